/** bin/xctl on a real terminal: what becomes of it, however `top` ends. Needs `make build`. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ROOT } from '../lib/root.js';
import { until } from '../lib/until.js';
import { serve } from './helpers.js';
import { onTerminal, type Pty, shows } from './pty.js';

const XCTL = `${process.execPath} ${join(ROOT, 'bin', 'xctl')}`;
const ENTER = '\u001b[?1049h';
const LEAVE = '\u001b[?1049l';
const SEQUENCE = new RegExp(`${'\u001b'}\\[[0-9;?]*[A-Za-z]`, 'g');
const SIZE = 'stty rows 20 cols 70';

/** Takes the terminal, runs `top`, says how it ended, and what the terminal is like. */
function top(socket: string, ...before: readonly string[]): readonly string[] {
  return [
    SIZE,
    'tty > tty',
    'stty -g > before',
    ...before,
    `${XCTL} top --socket ${socket}`,
    'code=$?',
    'stty -g > after',
    'echo "ended with $code"',
  ];
}

function isLeft(t: Test, pty: Pty): void {
  t.equal(pty.settings('after'), pty.settings('before'), 'the terminal is as it was');
  const text = pty.output();
  t.ok(text.lastIndexOf(LEAVE) > text.lastIndexOf(ENTER), 'and shows what it did');
  t.ok(text.lastIndexOf('\u001b[?25h') > text.lastIndexOf('\u001b[?25l'), 'with a cursor');
}

/** The pid of the only `xctl top` at this socket. */
function pidOf(socket: string): number {
  const found = readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      return words[0] === process.execPath && words.includes('top') && words.includes(socket);
    } catch {
      return false;
    }
  });
  const [only] = found;
  if (only === undefined || found.length !== 1) throw new Error(`${found.length} processes`);
  return Number(only);
}

for (const [name, key] of [
  ['q', 'q'],
  ['Ctrl-C', '\u0003'],
] as const) {
  t.test(`${name} leaves the terminal as it was`, async (t) => {
    const { path } = await serve(t);
    const pty = onTerminal(t, top(path));
    await shows(pty, 'q leaves');
    pty.type(key);
    await shows(pty, 'ended with 0');
    await pty.ended;
    isLeft(t, pty);
  });
}

t.test('so do signals, which end it as they would have', async (t) => {
  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    ['SIGINT', 130],
  ] as const) {
    const { path } = await serve(t);
    const pty = onTerminal(t, top(path));
    await shows(pty, 'q leaves');
    process.kill(pidOf(path), signal);
    await shows(pty, `ended with ${code}`);
    await pty.ended;
    isLeft(t, pty);
  }
});

t.test('Ctrl-Z gives the terminal to the shell, fg takes it back', async (t) => {
  const { path } = await serve(t);
  const commands = [
    ...top(path, 'set -m').slice(0, -3),
    'stty -g > stopped',
    'echo "the shell again"',
    'fg',
    'stty -g > after',
    'echo "the end"',
  ];
  const pty = onTerminal(t, commands);
  await shows(pty, 'q leaves');
  pty.type('\u001a');
  await shows(pty, 'the shell again');
  t.equal(pty.settings('stopped'), pty.settings('before'));
  await until(() => pty.output().split(ENTER).length === 3, {
    timeoutMs: 15_000,
    what: 'the screen to be taken again',
  });
  await until(() => /q leaves/.test(pty.output().split(ENTER)[2] ?? ''), {
    timeoutMs: 15_000,
    what: 'a new picture',
  });
  pty.type('q');
  await shows(pty, 'the end');
  await pty.ended;
  isLeft(t, pty);
});

t.test('a terminal of another size gets another picture', async (t) => {
  const { path } = await serve(t);
  const pty = onTerminal(t, top(path));
  await shows(pty, 'q leaves');
  const { length } = pty.output();
  execFileSync('stty', ['-F', pty.device(), 'rows', '9', 'cols', '45']);
  const picture = await until(
    () => {
      const pictures = pty.output().slice(length).split('\u001b[H').slice(1);
      return pictures
        .map((text) => text.replaceAll(SEQUENCE, '').split(/\r+\n/))
        .find(
          (lines) =>
            lines.length === 9 &&
            lines.every((line) => line.length <= 45) &&
            /^q leaves/.test(lines[8] ?? ''),
        );
    },
    { timeoutMs: 15_000, what: 'a picture of nine lines, none wider than 45 columns' },
  );
  t.match(picture[0], /^xctl top/);
  t.match(picture[8], /^q leaves/);
  pty.type('q');
  await shows(pty, 'ended with 0');
});

t.test('a terminal that is gone ends it', async (t) => {
  const { path } = await serve(t);
  const pty = onTerminal(t, top(path));
  await shows(pty, 'q leaves');
  const pid = pidOf(path);
  pty.script.kill('SIGKILL');
  await until(
    () => {
      try {
        process.kill(pid, 0);
        return false;
      } catch {
        return true;
      }
    },
    { timeoutMs: 15_000, what: 'xctl top to end' },
  );
});

t.test('an end of input ends it, also one from before it took the keys', async (t) => {
  const { path } = await serve(t);
  const late = onTerminal(t, top(path));
  await shows(late, 'q leaves');
  late.script.stdin?.end();
  await shows(late, 'ended with 0');
  const early = onTerminal(t, top(path, 'until read -t 0; do sleep 0.05; done'));
  early.script.stdin?.end();
  await shows(early, 'ended with 0');
  await early.ended;
  isLeft(t, early);
});

t.test('an agent that is gone leaves the last picture, and q still leaves', async (t) => {
  const { path, server } = await serve(t);
  const pty = onTerminal(t, top(path));
  await shows(pty, 'q leaves');
  await server.stop();
  await shows(pty, '! no agent at');
  pty.type('q');
  await shows(pty, 'ended with 0');
  await pty.ended;
  isLeft(t, pty);
});

t.test('without an agent nothing is taken', async (t) => {
  const pty = onTerminal(t, top('/nowhere.sock'));
  await shows(pty, 'ended with 3');
  t.notOk(pty.output().includes(ENTER));
  t.match(pty.output(), /xctl top: no agent at \/nowhere\.sock/);
});

t.test('a terminal that reads no UTF-8 gets ASCII', async (t) => {
  const { path } = await serve(t);
  for (const command of ['why 4242', 'why', 'ps', 'graph --trouble']) {
    const pty = onTerminal(t, [SIZE, `${XCTL} ${command} --socket ${path}`, 'echo done'], { LANG: 'C' });
    await shows(pty, 'done');
    await pty.ended;
    t.notMatch(pty.output().replaceAll(SEQUENCE, ''), /[^\r\n -~]/, command);
  }
});
