/** bin/xctl as a process: pipes that close, disks that are full, signals, a build that is missing. Needs `make build`. */
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, openSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ROOT } from '../lib/root.js';
import { until } from '../lib/until.js';
import { exitEvent, PS, ROW } from './answers.js';
import { serve, tempDir } from './helpers.js';

const XCTL = join(ROOT, 'bin', 'xctl');

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(
  t: Test,
  args: readonly string[],
  stdout: 'pipe' | number = 'pipe',
  program = XCTL,
): ChildProcess {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', stdout, 'pipe'] });
  t.teardown(() => child.kill('SIGKILL'));
  return child;
}

function ended(child: ChildProcess): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (text) => {
    stdout += String(text);
  });
  child.stderr?.on('data', (text) => {
    stderr += String(text);
  });
  return new Promise((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr })),
  );
}

t.test('answers, and ends by itself', async (t) => {
  const { path } = await serve(t);
  t.match(await ended(start(t, ['why', '4242', '--socket', path])), {
    code: 0,
    stderr: '',
    stdout: /CAUSE FOUND/,
  });
  const yaml = await ended(start(t, ['ps', '-o', 'yaml', '--socket', path]));
  t.match(
    yaml,
    { code: 0, stderr: '', stdout: /^apiVersion: xctl\/v1\n/ },
    'js-yaml is found from the bundle',
  );
  t.match(await ended(start(t, ['why', '1', '--socket', path])), {
    code: 4,
    stderr: 'xctl why: no process 1\n',
    stdout: '',
  });
  t.match(await ended(start(t, ['--help'])), { code: 0, stderr: '', stdout: /^Usage: xctl/ });
});

t.test('a reader that goes away is success', async (t) => {
  const { path, backend } = await serve(t);
  backend.answers.ps = { ...PS, processes: Array.from({ length: 20_000 }, () => ROW) };
  const child = start(t, ['ps', '--socket', path]);
  child.stdout?.once('data', () => child.stdout?.destroy());
  t.match(await ended(child), { code: 0, stderr: '' });
});

t.test('a full disk is not', async (t) => {
  const { path } = await serve(t);
  const full = openSync('/dev/full', 'w');
  t.match(await ended(start(t, ['ps', '--socket', path], full)), {
    code: 1,
    stderr: /^xctl: cannot write the answer: .*ENOSPC.*\n$/,
  });
});

t.test('Ctrl-C ends events -f quietly with 130', async (t) => {
  const { path, backend } = await serve(t);
  const child = start(t, ['events', '-f', '--socket', path]);
  const end = ended(child);
  await until(() => backend.subscribers === 1, { timeoutMs: 10_000, what: 'the subscription' });
  child.stdout?.once('data', () => child.kill('SIGINT'));
  backend.say(exitEvent(7));
  t.match(await end, { code: 130, signal: null, stderr: '', stdout: /process\.exit/ });
  await until(() => backend.subscribers === 0, { timeoutMs: 5000, what: 'the end of it' });
});

t.test('events to a reader that goes away', async (t) => {
  const { path, backend } = await serve(t);
  const child = start(t, ['events', '-f', '--socket', path]);
  const end = ended(child);
  await until(() => backend.subscribers === 1, { timeoutMs: 10_000, what: 'the subscription' });
  child.stdout?.destroy();
  await until(
    () => {
      backend.say(exitEvent(7));
      return child.exitCode !== null;
    },
    { timeoutMs: 10_000, what: 'it to end' },
  );
  t.match(await end, { code: 0, stderr: '' });
});

t.test('through a symbolic link, as npm installs it', async (t) => {
  const dir = tempDir(t);
  symlinkSync(XCTL, join(dir, 'xctl'));
  t.match(await ended(start(t, ['--version'], 'pipe', join(dir, 'xctl'))), { code: 0, stdout: /^xctl \d/ });
});

t.test('without a build each says what to type', async (t) => {
  const dir = tempDir(t);
  mkdirSync(join(dir, 'bin'));
  for (const name of ['xctl', 'xctl-agent', 'package.json'])
    copyFileSync(join(ROOT, 'bin', name), join(dir, 'bin', name));
  for (const name of ['xctl', 'xctl-agent']) {
    t.match(await ended(start(t, ['ps'], 'pipe', join(dir, 'bin', name))), {
      code: 1,
      stdout: '',
      stderr: `${name}: run \`make build\` first\n`,
    });
  }
});
