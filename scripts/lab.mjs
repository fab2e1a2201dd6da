#!/usr/bin/env node
/**
 * Bundles the fault lab and plays it: `make lab`. What it takes comes from the environment, as make gives it:
 *   SEED="1 2 3"  which throws of the dice (1)         ONLY="network process/stopped-"  which scenarios (all)
 *   JOBS=4        scenarios at a time                   LIST=yes   names them and plays none
 *   SOAK=60       minutes of healthy and decoy load instead of faults; false alarms are counted
 *   MERGE=FILE    results from elsewhere (a guest's)    FRESH=yes  forgets what was played before
 *   VM=yes        plays what wants a guest's kernel in QEMU (make test-vm) and nothing here, then as REPORT=yes
 *   REPORT=yes    plays nothing: the table of all that was played
 *   UPDATE=yes    docs/accuracy.md gets the table of all that was played
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');
/** It has modules for all that the scenarios are made of. */
const GUEST_KERNEL = '6.1';
const OUT = join(ROOT, 'build', 'lab', 'main.mjs');

await build({
  entryPoints: [join(ROOT, 'test', 'lab', 'main.ts')],
  outfile: OUT,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  sourcemap: 'inline',
  logLevel: 'warning',
});

const { env } = process;
const words = [];
for (const [name, flag] of [
  ['SEED', '--seeds'],
  ['ONLY', '--only'],
  ['JOBS', '--jobs'],
  ['SOAK', '--soak'],
  ['MERGE', '--merge'],
]) {
  if (env[name]) words.push(flag, env[name]);
}
for (const [name, flag] of [
  ['LIST', '--list'],
  ['REPORT', '--report'],
  ['FRESH', '--fresh'],
  ['UPDATE', '--update'],
]) {
  if (env[name] === 'yes') words.push(flag);
}

if (env.VM === 'yes') words.push('--merge', playInGuest(), '--report');

/** The guest sees this machine's files and not its environment; it leaves a line for each result. */
function playInGuest() {
  const list = (text) => (text ?? '').split(/[\s,]+/).filter((word) => word !== '');
  const seeds = list(env.SEED).map(Number);
  const asked = { seeds: seeds.length > 0 ? seeds : [1], only: list(env.ONLY) };
  mkdirSync(dirname(OUT), { recursive: true });
  writeFileSync(join(dirname(OUT), 'guest.json'), JSON.stringify(asked));
  const results = join(ROOT, 'build', 'vm', GUEST_KERNEL, 'run', 'lab.jsonl');
  rmSync(results, { force: true });
  const make = ['test-vm', `KERNELS=${GUEST_KERNEL}`, 'TESTS=test/lab/guest.ts'];
  spawnSync('make', make, { cwd: ROOT, stdio: 'inherit' });
  return results;
}

const lab = spawn(process.execPath, ['--enable-source-maps', OUT, ...words], { cwd: ROOT, stdio: 'inherit' });
// The lab undoes what it made on these; this script stays until it has.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => lab.kill(signal));
lab.once('close', (code, signal) => {
  process.exitCode = signal === null ? (code ?? 1) : 1;
});
