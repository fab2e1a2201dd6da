/** `xctl top`: what it shows on screens of any size, what keys do, and what becomes of the terminal. */
import t from 'tap';
import type { ProcessRow } from '../../src/api/contract.js';
import type { Key, Screen, ScreenOutput, Size } from '../../src/cli/screen.js';
import { keysOf, openScreen } from '../../src/cli/screen.js';
import { renderTop, type TopState } from '../../src/cli/render/top.js';
import { widthOf } from '../../src/cli/render/width.js';
import type { Style } from '../../src/cli/terminal.js';
import { watch } from '../../src/cli/watch.js';
import { until } from '../lib/until.js';
import { FINDINGS, HEAD, PS, ROW, WHY } from './answers.js';
import { RAW, runCli, serve } from './helpers.js';
import { fc } from '../lib/property.js';

const STYLE: Style = { width: 80, tableWidth: 80, color: false, unicode: true };
const ESC = '\u001b';
const QUICK = { timeoutMs: 5_000 };

const ROWS: readonly ProcessRow[] = Array.from({ length: 100 }, (_, at) => ({
  ...ROW,
  pid: 1_000 + at,
  job: null,
  comm: `p${at}`,
  sinceMs: at * 1_000,
}));

const STATE: TopState = {
  ps: { ...PS, processes: [...ROWS, ROW, { ...ROW, pid: 7, state: 'exited', sinceMs: null }] },
  findings: FINDINGS,
  order: 'trouble',
  offset: 0,
  problem: undefined,
};

/** A screen without a terminal: what was drawn, and the hands of somebody at it. */
class FakeScreen implements Screen {
  lines: readonly string[] = [];
  drawn = 0;
  calls: string[] = [];
  now: Size = { columns: 100, rows: 30 };
  onKey: (key: Key) => void = () => {};
  onResize: () => void = () => {};

  readonly size = (): Size => this.now;
  readonly draw = (lines: readonly string[]): void => {
    this.lines = lines;
    this.drawn++;
  };
  readonly open = (onKey: (key: Key) => void, onResize: () => void): void => {
    this.calls.push('open');
    this.onKey = onKey;
    this.onResize = onResize;
  };
  readonly stop = (): void => void this.calls.push('stop');
  readonly close = (): void => void this.calls.push('close');

  press(...keys: readonly Key[]): void {
    for (const key of keys) this.onKey(key);
  }

  /** The pids of the rows that are shown. */
  get pids(): readonly number[] {
    return this.lines.flatMap((line) => {
      const [, pid] = /^ *\d* +(\d+) {2}\S/.exec(line) ?? [];
      return pid === undefined ? [] : [Number(pid)];
    });
  }
}

t.test('findings first, then their processes, what has ended, then the rest', async (t) => {
  const { lines } = renderTop(STATE, STYLE, { columns: 100, rows: 24 });
  t.match(lines[0], /^xctl top {2}gpu-07 {2}2026-11-23 01:02:03Z {2}3 wrong; 102 processes/);
  t.match(lines[2], /^1 ✗ NetworkStall\/PeerSilent +94 % sure {2}python3 \(pid 4242\): no ACK/);
  const at = lines.findIndex((line) => line.includes('COMMAND'));
  t.match(lines[at + 1], /^1 +4242 {2}python3/, 'the number of its finding');
  t.match(lines[at + 2], /^ +7 {2}python3/, 'what has ended');
  t.match(lines[at + 3], /^ +1099 {2}p99/, 'the longest wait');
  t.equal(lines.length, 24);
  t.match(lines.at(-1), /^q leaves/);
});

t.test('any screen: never a line too many or a column too wide', async () => {
  const name = fc.string({ unit: 'grapheme', maxLength: 40 });
  fc.assert(
    fc.property(
      fc.record({ columns: fc.integer({ min: 1, max: 200 }), rows: fc.integer({ min: 1, max: 60 }) }),
      fc.array(name, { maxLength: 40 }),
      fc.nat({ max: 500 }),
      fc.boolean(),
      (size, names, offset, hasProblem) => {
        const processes = names.map((comm, at) => ({ ...ROW, pid: at + 1, comm, waitsFor: comm }));
        const problem = hasProblem ? names.join(' ') : undefined;
        const findings = { ...FINDINGS, findings: names.map((summary) => ({ ...WHY, summary })) };
        const state: TopState = { ps: { ...PS, processes }, findings, order: 'wait', offset, problem };
        const { lines } = renderTop(state, STYLE, size);
        return lines.length <= size.rows && lines.every((line) => widthOf(line) <= Math.max(size.columns, 1));
      },
    ),
  );
});

interface Watched {
  readonly screen: FakeScreen;
  readonly asked: string[];
  /** The next answers; a function may throw. */
  answer: { ps: () => Promise<typeof PS>; findings: () => Promise<typeof FINDINGS> };
  readonly second: () => void;
  readonly done: Promise<void>;
  readonly abort: AbortController;
}

async function start(): Promise<Watched> {
  const screen = new FakeScreen();
  const asked: string[] = [];
  const abort = new AbortController();
  let second = (): void => {};
  const watched = {
    screen,
    asked,
    abort,
    answer: { ps: async () => STATE.ps, findings: async () => FINDINGS },
    second: () => second(),
  };
  const done = watch({
    screen,
    client: {
      ps: () => {
        asked.push('ps');
        return watched.answer.ps();
      },
      findings: () => {
        asked.push('findings');
        return watched.answer.findings();
      },
    },
    style: STYLE,
    signal: abort.signal,
    everySecond: (act) => {
      second = act;
      return () => {
        second = () => asked.push('after the end');
      };
    },
  });
  await until(() => screen.drawn > 0, { ...QUICK, what: 'the first picture' });
  return { ...watched, answer: watched.answer, done };
}

t.test('one question a second, in turns, and none while one is open', async (t) => {
  const { screen, asked, second, answer, done } = await start();
  t.same(asked, ['findings', 'ps']);
  second();
  await until(() => screen.drawn === 2, { ...QUICK, what: 'the second picture' });
  second();
  await until(() => screen.drawn === 3, { ...QUICK, what: 'the third picture' });
  t.same(asked.slice(2), ['findings', 'ps']);
  answer.findings = () => new Promise(() => {});
  second();
  second();
  second();
  t.same(asked.slice(4), ['findings']);
  screen.press('quit');
  await done;
  t.same(screen.calls, ['open', 'close']);
  second();
  t.same(asked.slice(5), ['after the end'], 'the clock is stopped');
});

t.test('keys', async (t) => {
  const { screen, done } = await start();
  const first = screen.pids;
  screen.press('down');
  t.equal(screen.pids[0], first[1]);
  screen.press('up', 'up', 'up');
  t.same(screen.pids, first, 'not above the first');
  screen.press('page-down');
  t.notOk(first.includes(screen.pids[0] ?? 0), 'a page further');
  screen.press('end');
  t.equal(screen.pids.length, first.length, 'the last page is full');
  screen.press('home', { text: 's' }, { text: 's' });
  t.same(screen.pids.slice(0, 3), [7, 1000, 1001], 'by pid');
  t.match(screen.lines.at(-1), /by pid/);
  const { drawn } = screen;
  screen.press({ text: 'x' });
  t.equal(screen.drawn, drawn, 'a key without a meaning');
  screen.now = { columns: 40, rows: 10 };
  screen.onResize();
  t.equal(screen.lines.length, 10);
  screen.press('stop');
  t.ok(screen.calls.includes('stop'));
  screen.press('quit');
  await done;
});

t.test('an agent that goes away leaves the last picture, and says so', async (t) => {
  const { screen, second, answer, done, abort } = await start();
  answer.findings = () => Promise.reject(new Error('no agent at /x\u001b[2J'));
  second();
  await until(() => screen.lines[1] !== '', { ...QUICK, what: 'the complaint' });
  t.match(screen.lines[1], /^! no agent at \/x\\x1b\[2J; this is from before/);
  t.ok(screen.pids.length > 0);
  second();
  await until(() => screen.lines[1] === '', { ...QUICK, what: 'it to be well again' });
  abort.abort();
  await done;
  t.same(screen.calls, ['open', 'close'], 'Ctrl-C from outside');
});

t.test('not on a terminal: once', async (t) => {
  const { path, backend } = await serve(t);
  const text = await runCli(['top', '--socket', path]);
  t.match(text, { code: 0, stderr: '', stdout: /^xctl top {2}gpu-07[\s\S]*NetworkStall[\s\S]*WAITS-FOR\n/ });
  t.notMatch(text.stdout, /q leaves/);
  t.notMatch(text.stdout, RAW);
  const json = JSON.parse((await runCli(['top', '-o', 'json', '--socket', path])).stdout);
  t.same(json, JSON.parse(JSON.stringify({ ...PS, findings: FINDINGS.findings })));
  backend.answers.ps = { ...HEAD, processes: [{ ...ROW, comm: '\u001b[2J', waitsFor: '\u009b' }] };
  t.notMatch((await runCli(['top', '--socket', path])).stdout, RAW);
  t.match(await runCli(['top', '--socket', '/nowhere.sock']), { code: 3, stdout: '' });
});

t.test('what is typed, key by key', async (t) => {
  t.same(keysOf('q'), ['quit']);
  t.same(keysOf('\u0003'), ['quit']);
  t.same(keysOf('\u001b[A\u001b[B\u001b[5~jk'), ['up', 'down', 'page-up', 'down', 'up']);
  t.same(keysOf('s\u001bOA\u001b'), [{ text: 's' }, 'up'], 'Esc alone is no key');
  t.same(keysOf('\u001b[200~q\u001b[1;5A数'), ['quit'], 'what is not known is passed over');
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (typed) => keysOf(typed).length <= typed.length));
});

t.test('a screen is taken and given back', async (t) => {
  const { world, keyboard, written } = terminal();
  const screen = openScreen(world);
  t.ok(screen);
  const keys: Key[] = [];
  screen?.open(
    (key) => keys.push(key),
    () => {},
  );
  t.equal(keyboard.raw, true);
  t.ok(written().endsWith(`${ESC}[?1049h${ESC}[?25l`));
  keyboard.type('q');
  t.same(keys, ['quit']);
  keyboard.hangUp();
  t.same(keys, ['quit', 'quit'], 'a terminal that is gone');
  screen?.draw(['a', 'b', 'c', 'd']);
  const three = ['a', 'b', 'c'].map((line) => `${line}${ESC}[K`).join('\r\n');
  t.ok(written().endsWith(`${ESC}[H${three}`), 'no more lines than rows, the last one without an end');
  screen?.close();
  screen?.close();
  t.equal(keyboard.raw, false);
  t.ok(written().endsWith(`${ESC}[?25h${ESC}[?1049l`));
  t.equal(written().split('\u001b[?1049l').length, 2, 'once');
  t.equal(keyboard.listening, 0);
  const before = written();
  screen?.draw(['late']);
  t.equal(written(), before, 'nothing is drawn on a terminal that was given back');
});

t.test('an end of input from before the keys came as they are pressed is a zero', async (t) => {
  for (const [typed, expected] of [
    [['\u0000'], ['quit']],
    [['j\u0000'], ['quit']],
    [
      ['j', '\u0000', 'k'],
      ['down', 'up'],
    ],
  ] as const) {
    const { world, keyboard } = terminal();
    const keys: Key[] = [];
    const screen = openScreen(world);
    screen?.open(
      (key) => keys.push(key),
      () => {},
    );
    for (const text of typed) keyboard.type(text);
    t.same(keys, expected, JSON.stringify(typed));
    screen?.close();
  }
});

t.test('a signal or an error gives it back, too', async (t) => {
  const { world, keyboard, written, undo } = terminal();
  openScreen(world)?.open(
    () => {},
    () => {},
  );
  undo();
  t.equal(keyboard.raw, false);
  t.ok(written().endsWith(`${ESC}[?1049l`));
});

t.test('a slow terminal gets the newest picture and not all of them', async (t) => {
  const { world, written, stall } = terminal();
  const screen = openScreen(world);
  screen?.open(
    () => {},
    () => {},
  );
  const drain = stall();
  for (const text of ['one', 'two', 'three']) screen?.draw([text]);
  t.notMatch(written(), /two|three/);
  drain();
  t.match(written(), /three/);
  t.notMatch(written(), /two/);
  screen?.close();
});

t.test('no screen where nobody looks or types', async (t) => {
  const { world } = terminal();
  t.equal(openScreen({ ...world, env: { TERM: 'dumb' } }), undefined);
  t.equal(openScreen({ ...world, env: {} }), undefined);
  t.equal(openScreen({ ...world, stdout: { ...world.stdout, isTTY: false } }), undefined);
  const { stdin: _, ...deaf } = world;
  t.equal(openScreen(deaf), undefined);
});

/** Both ends of a terminal of three rows, as node gives them. */
function terminal() {
  let text = '';
  let full = false;
  let drained = (): void => {};
  let undo = (): void => {};
  const data = new Set<(typed: string) => void>();
  const ends = new Set<() => void>();
  const keyboard = {
    raw: false,
    isTTY: true,
    setRawMode: (raw: boolean) => {
      keyboard.raw = raw;
    },
    on: (event: string, listener: (typed: string) => void) =>
      event === 'data' ? data.add(listener) : ends.add(listener as () => void),
    off: (event: string, listener: (typed: string) => void) =>
      event === 'data' ? data.delete(listener) : ends.delete(listener as () => void),
    resume: () => {},
    pause: () => {},
    type: (typed: string) => {
      for (const listener of data) listener(typed);
    },
    hangUp: () => {
      for (const listener of [...ends].slice(0, 1)) listener();
    },
    get listening() {
      return data.size + ends.size;
    },
  };
  const stdout: ScreenOutput = {
    isTTY: true,
    columns: 20,
    rows: 3,
    write: (more) => {
      text += more;
      return !full;
    },
    once: (_event, listener) => {
      drained = listener;
    },
  };
  return {
    keyboard,
    written: () => text,
    stall: () => {
      full = true;
      return () => {
        full = false;
        drained();
      };
    },
    undo: () => undo(),
    world: {
      stdout,
      stdin: keyboard,
      env: { TERM: 'xterm' },
      beforeEnd: (act: () => void) => {
        undo = act;
        return () => {};
      },
    },
  };
}
