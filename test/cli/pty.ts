/** Command lines on a real terminal (a pty that `script` makes), with somebody at it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { until } from '../lib/until.js';
import { tempDir } from './helpers.js';

export interface Pty {
  /** All that the terminal was sent. */
  readonly output: () => string;
  readonly type: (keys: string) => void;
  /** The value of `stty -g` that the commands have put into this file. */
  readonly settings: (name: string) => string;
  /** The device's path, once a command has written it to the file `tty`. */
  readonly device: () => string;
  readonly script: ChildProcess;
  readonly ended: Promise<number | null>;
}

/**
 * @param commands of a shell, run in a directory of their own; a line each
 * @param env beside TERM and PATH
 */
export function onTerminal(
  t: Test,
  commands: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Pty {
  const dir = tempDir(t);
  const script = spawn('script', ['-qefc', commands.join('\n'), '/dev/null'], {
    cwd: dir,
    env: { PATH: process.env.PATH, TERM: 'xterm', LANG: 'C.UTF-8', SHELL: '/bin/bash', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.teardown(() => script.kill('SIGKILL'));
  let output = '';
  script.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  // A terminal that was hung up reads no keys.
  script.stdin.on('error', () => {});
  const file = (name: string): string => readFileSync(join(dir, name), 'utf8').trim();
  return {
    output: () => output,
    type: (keys) => void script.stdin.write(keys),
    settings: file,
    device: () => file('tty'),
    script,
    ended: new Promise((resolve) => script.on('close', resolve)),
  };
}

export function shows(pty: Pty, text: string | RegExp): Promise<unknown> {
  return until(() => (typeof text === 'string' ? pty.output().includes(text) : text.test(pty.output())), {
    timeoutMs: 15_000,
    what: `${text} on the terminal`,
  });
}
