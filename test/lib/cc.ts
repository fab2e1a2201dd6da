/** C programs, compiled when they are older than their source. */
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from './root.js';

const run = promisify(execFile);

const FLAGS = ['-O2', '-g', '-Wall', '-Wextra', '-Wno-missing-field-initializers', '-Werror', '-pthread'];

const WORKLOADS = join(ROOT, 'test/workloads');
/** By the start of the name; what they need is installed where there are devices (scripts/vm/setup.sh). */
const LIBRARIES: Readonly<Record<string, readonly string[]>> = { rdma: ['-lrdmacm', '-libverbs'] };

function mtimeMs(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** One build a program in this process, however many ask for it at once. */
const building = new Map<string, Promise<string>>();

/**
 * Path of the program built from `test/workloads/<name>.c` (or another `source` below the repository).
 * Safe when several test processes ask at once.
 * @throws Error with the compiler's words
 */
export function workload(name: string, source = `test/workloads/${name}.c`): Promise<string> {
  const known = building.get(name);
  if (known !== undefined) return known;
  const built = build(name, source);
  building.set(name, built);
  return built;
}

async function build(name: string, source: string): Promise<string> {
  const from = join(ROOT, source);
  const to = join(ROOT, 'build', 'workloads', name);
  const headers = readdirSync(WORKLOADS).filter((file) => file.endsWith('.h'));
  const newest = Math.max(mtimeMs(from), ...headers.map((file) => mtimeMs(join(WORKLOADS, file))));
  if (mtimeMs(to) > newest) return to;
  mkdirSync(dirname(to), { recursive: true });
  // A name of its own: two processes that compile the same program must not write one file.
  const mine = `${to}.${process.pid}`;
  const how = name === 'true' ? [...FLAGS, '-static'] : FLAGS;
  const libraries = Object.entries(LIBRARIES).flatMap(([start, words]) =>
    name.startsWith(start) ? words : [],
  );
  await run('gcc', [...how, '-I', WORKLOADS, '-o', mine, from, ...libraries]);
  renameSync(mine, to);
  return to;
}
