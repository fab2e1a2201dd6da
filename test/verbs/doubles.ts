/** The doubles of libibverbs and of a provider, compiled when they are older than their sources, and copies of them. */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { OWN_PREFIX } from '../lib/owner.js';
import { ROOT } from '../lib/root.js';
import type { Scope } from '../lib/scope.js';

const run = promisify(execFile);
const SOURCES = join(ROOT, 'test/verbs');
const PROVIDER = 'libdouble-rdmav34.so';
const IBVERBS = 'libibverbs.so.1';
const FLAGS = [
  // A true provider's function is large, and so begins with a push; with -O2 this one would not.
  '-O0',
  '-g',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-shared',
  '-fPIC',
  '-fvisibility=hidden',
  '-Wl,--build-id',
];

function mtimeMs(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

async function built(source: string, name: string, defines: readonly string[] = []): Promise<string> {
  const from = join(SOURCES, source);
  const to = join(ROOT, 'build', 'test', ['verbs', ...defines].join('-'), name);
  if (mtimeMs(to) > Math.max(mtimeMs(from), mtimeMs(join(SOURCES, 'abi.h')))) return to;
  mkdirSync(dirname(to), { recursive: true });
  // A name of its own: two processes that compile the same library must not write one file.
  const mine = `${to}.${process.pid}`;
  await run('gcc', [...FLAGS, ...defines.map((define) => `-D${define}`), '-o', mine, from, '-ldl']);
  // As distributions do it: no name is left of what is not exported.
  await run('strip', [mine]);
  renameSync(mine, to);
  return to;
}

export interface VerbsDoubles {
  readonly dir: string;
  readonly ibverbs: string;
  /** That which the double of libibverbs loads. */
  readonly provider: string;
  /** A directory like /sys, with no device yet. */
  readonly sysDir: string;
  /** A copy in a directory of its own, as a container has one. @param other of another build */
  copy(name: string, other?: boolean): Promise<string>;
  /** A device appears. */
  plug(): void;
}

/** In a directory of their own, which no other test has probes in. */
export async function verbsDoubles(scope: Scope): Promise<VerbsDoubles> {
  const dir = mkdtempSync(join(tmpdir(), OWN_PREFIX));
  scope.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const ibverbs = join(dir, IBVERBS);
  const provider = join(dir, PROVIDER);
  const sysDir = join(dir, 'sys');
  mkdirSync(sysDir);
  copyFileSync(await built('fake_ibverbs.c', IBVERBS), ibverbs);
  copyFileSync(await built('fake_provider.c', PROVIDER), provider);
  return {
    dir,
    ibverbs,
    provider,
    sysDir,
    copy: async (name, other = false) => {
      const to = join(dir, name, PROVIDER);
      mkdirSync(dirname(to));
      copyFileSync(await built('fake_provider.c', PROVIDER, other ? ['OTHER_BUILD'] : []), to);
      return to;
    },
    plug: () => {
      const device = join(sysDir, 'class/infiniband_verbs/uverbs0');
      mkdirSync(device, { recursive: true });
      writeFileSync(join(device, 'dev'), '231:192\n');
    },
  };
}
