/** The C peers of the benchmarks. */
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../../test/lib/root.js';

const run = promisify(execFile);

/**
 * Builds `bench/c/<name>.c`, linked statically unless `libraries` are asked for, and gives the program's path.
 * @throws Error with the compiler's words
 */
export async function peer(name: string, libraries: readonly string[] = []): Promise<string> {
  const out = join(ROOT, 'build', 'bench', name);
  mkdirSync(join(ROOT, 'build', 'bench'), { recursive: true });
  const link = libraries.length === 0 ? ['-static'] : libraries.map((library) => `-l${library}`);
  await run('gcc', [
    '-O2',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-o',
    out,
    join(ROOT, 'bench', 'c', `${name}.c`),
    ...link,
  ]);
  return out;
}
