/** The package that the running file belongs to. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGE = 'xctl-agent';

/** `unknown` when the file was moved out of its package. */
export function packageVersion(): string {
  const root = packageRoot();
  return (root === undefined ? undefined : versionIn(root)) ?? 'unknown';
}

/** The folder of the package, found from the source tree, from a bundle in dist/ and from node_modules alike. */
export function packageRoot(): string | undefined {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (versionIn(folder) !== undefined) return folder;
    if (dirname(folder) === folder) return undefined;
  }
}

function versionIn(folder: string): string | undefined {
  try {
    const manifest: unknown = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
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
