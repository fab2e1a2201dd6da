/** The double of libnvidia-ml.so.1, compiled when it is older than its sources; also as an old library that lacks symbols. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../../lib/root.js';

const run = promisify(execFile);
const DIRECTORY = join(ROOT, 'test/nvml/double');
const SOURCES = readdirSync(DIRECTORY)
  .filter((name) => /\.[ch]$/.test(name))
  .map((name) => join(DIRECTORY, name));
const FLAGS = [
  '-O2',
  '-g',
  '-Wall',
  '-Wextra',
  '-Wno-missing-field-initializers',
  '-Werror',
  '-shared',
  '-fPIC',
  '-pthread',
];

/** What libraries of before 2022 lack, newer names with it: a call a figure. */
export const OLD_LIBRARY: readonly string[] = [
  'nvmlDeviceGetFieldValues',
  'nvmlDeviceGetMemoryInfo_v2',
  'nvmlDeviceGetCurrentClocksEventReasons',
  'nvmlDeviceGetComputeRunningProcesses_v3',
  'nvmlDeviceGetComputeRunningProcesses_v2',
  'nvmlDeviceGetPciInfo_v3',
  'nvmlDeviceGetEnforcedPowerLimit',
  'nvmlEventSetWait_v2',
];

function mtimeMs(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/**
 * @param without symbols that this one does not export
 * @returns its path
 * @throws Error with the compiler's words
 */
export async function nvmlDouble(without: readonly string[] = []): Promise<string> {
  const variant =
    without.length === 0 ? '' : `-${createHash('sha256').update(without.join()).digest('hex').slice(0, 8)}`;
  const to = join(ROOT, 'build', 'test', `libnvidia-ml${variant}.so.1`);
  if (mtimeMs(to) > Math.max(...SOURCES.map(mtimeMs))) return to;
  mkdirSync(dirname(to), { recursive: true });
  // A name of its own: two processes that compile the same library must not write one file.
  const mine = `${to}.${process.pid}`;
  const script = `${mine}.map`;
  const local = [...without, '*'].map((name) => `${name};`).join(' ');
  writeFileSync(script, `{ global: nvml*; local: ${local} };\n`);
  const units = SOURCES.filter((name) => name.endsWith('.c'));
  await run('gcc', [...FLAGS, `-Wl,--version-script=${script}`, '-o', mine, ...units]);
  rmSync(script);
  renameSync(mine, to);
  return to;
}
