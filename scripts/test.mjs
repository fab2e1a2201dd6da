#!/usr/bin/env node
/**
 * Runs the tests (all, or the files given) and closes with `N passed, N failed` alone on the last line.
 * Exit code 0 only when tap says so and nothing failed. JOBS=N: test files at a time, 2 unless said.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const TAP_OUTPUT = join(ROOT, 'build', 'test.tap');

/** @returns {Promise<number | null>} tap's exit code */
function runTap() {
  mkdirSync(dirname(TAP_OUTPUT), { recursive: true });
  rmSync(TAP_OUTPUT, { force: true });
  const args = [
    'run',
    `--jobs=${process.env.JOBS ?? 2}`,
    '--reporter=terse',
    `--output-file=${TAP_OUTPUT}`,
    ...process.argv.slice(2),
  ];
  return new Promise((done, fail) => {
    const tap = spawn(join(ROOT, 'node_modules', '.bin', 'tap'), args, {
      cwd: ROOT,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    tap.once('error', fail);
    tap.once('close', done);
    // tap ends its children on these itself; this script stays to print the last line.
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => tap.kill(signal));
  });
}

/** The assertions, as tap itself sums them up: `# { total: 13, pass: 5, fail: 5, todo: 1, skip: 2 }`. */
function countsOf(text) {
  const summary = [...text.matchAll(/^# \{ (total: \d+.*) \}$/gm)].at(-1)?.[1];
  if (summary === undefined) return undefined;
  const fields = Object.fromEntries(summary.split(', ').map((field) => field.split(': ')));
  const count = (name) => Number(fields[name] ?? 0);
  return { passed: count('pass'), failed: count('fail'), skipped: count('skip') + count('todo') };
}

function tapText() {
  try {
    return readFileSync(TAP_OUTPUT, 'utf8');
  } catch {
    // No file: tap did not come so far, which the caller counts as a failure.
    return '';
  }
}

/** What a run that broke off before its summary left behind: whole test files. */
function countsOfFiles(text) {
  const count = (pattern) => [...text.matchAll(pattern)].length;
  return { passed: count(/^ok \d+ - (?!.*# SKIP)/gm), failed: count(/^not ok \d+ - /gm), skipped: 0 };
}

const status = await runTap();
const tap = tapText();
const counts = countsOf(tap) ?? countsOfFiles(tap);
const clean = status === 0 && counts.failed === 0 && counts.passed > 0;
// The reporter says nothing of them where its output is no terminal and CI is set.
for (const [line] of tap.matchAll(/^ *not ok \d+ - .*$/gm)) console.log(line.trim());
// Whatever went wrong without a failed assertion (a crash, no test at all) is one failure.
const failed = clean ? 0 : Math.max(1, counts.failed);
if (counts.skipped > 0) console.log(`${counts.skipped} skipped; each says why in ${TAP_OUTPUT}`);
// The reporter ends with an escape sequence and no newline: the sums stand alone on their line.
console.log(`\n${counts.passed} passed, ${failed} failed`);
process.exitCode = clean ? 0 : 1;
