/** The version of this package, from the package.json that the running file belongs to. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGE = 'xctl-agent';

/** Found from the source tree, from a bundle in dist/ and from node_modules alike; `unknown` when moved elsewhere. */
export function packageVersion(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const version = versionIn(join(folder, 'package.json'));
    if (version !== undefined) return version;
    if (dirname(folder) === folder) return 'unknown';
  }
}

function versionIn(path: string): string | undefined {
  try {
    const manifest: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (
      typeof manifest !== 'object' ||
      manifest === null ||
      !('name' in manifest) ||
      !('version' in manifest)
    )
      return;
    return manifest.name === PACKAGE && typeof manifest.version === 'string' ? manifest.version : undefined;
  } catch {
    // No package.json here: the next folder up.
    return undefined;
  }
}
