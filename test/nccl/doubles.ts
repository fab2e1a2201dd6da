/** The doubles of libnccl.so.2 and libcuda.so.1, compiled when they are older than their sources, and copies of them. */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { OWN_PREFIX } from '../lib/owner.js';
import { ROOT } from '../lib/root.js';
import type { Scope } from '../lib/scope.js';

const run = promisify(execFile);
const FLAGS = [
  // A true library's functions are large, and so begin with a push; with -O2 these would not.
  '-O0',
  '-g',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-shared',
  '-fPIC',
  '-fvisibility=hidden',
];

const SOURCES = {
  'libnccl.so.2': 'test/nccl/fake_nccl.c',
  'libcuda.so.1': 'test/cuda/fake_cuda.c',
} as const;
export type DoubleName = keyof typeof SOURCES;

function mtimeMs(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/**
 * @param defines of the compiler, e.g. `WITHOUT_REDUCE`
 * @throws Error with the compiler's words
 */
export async function builtDouble(name: DoubleName, defines: readonly string[] = []): Promise<string> {
  const from = join(ROOT, SOURCES[name]);
  const to = join(ROOT, 'build', 'test', ['gpu', ...defines].join('-'), name);
  if (mtimeMs(to) > mtimeMs(from)) return to;
  mkdirSync(dirname(to), { recursive: true });
  // A name of its own: two processes that compile the same library must not write one file.
  const mine = `${to}.${process.pid}`;
  await run('gcc', [...FLAGS, ...defines.map((define) => `-D${define}`), '-o', mine, from]);
  renameSync(mine, to);
  return to;
}

export interface Doubles {
  readonly dir: string;
  readonly nccl: string;
  readonly cuda: string;
}

/** Copies in a directory of their own, which no other test has probes in. */
export async function doubles(scope: Scope, defines: readonly string[] = []): Promise<Doubles> {
  const dir = mkdtempSync(join(tmpdir(), OWN_PREFIX));
  scope.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const nccl = join(dir, 'libnccl.so.2');
  const cuda = join(dir, 'libcuda.so.1');
  copyFileSync(await builtDouble('libnccl.so.2', defines), nccl);
  copyFileSync(await builtDouble('libcuda.so.1'), cuda);
  return { dir, nccl, cuda };
}
