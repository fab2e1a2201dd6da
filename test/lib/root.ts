/** Where this checkout is, also when asked by a bundle that lies somewhere below it. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function findRoot(): string {
  let at = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(at, 'package-lock.json'))) {
    const up = dirname(at);
    if (up === at) throw new Error(`no checkout of xctl-agent around ${import.meta.url}`);
    at = up;
  }
  return at;
}

/** Absolute path of the repository. */
export const ROOT: string = findRoot();
