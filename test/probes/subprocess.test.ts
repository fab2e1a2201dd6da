import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Event } from '../../src/events/event.js';
import { SubprocessProbe } from '../../src/probes/subprocess.js';
import { keptLog, tempFolder } from '../agent/fixtures.js';
import { until } from '../lib/until.js';

const WAIT = { timeoutMs: 20_000 };
/** Fast, so that a test of restarts need not wait for seconds. */
const QUICK = { firstMs: 20, maxMs: 80, goodMs: 60_000 };

interface Running {
  readonly probe: SubprocessProbe;
  readonly events: Event[];
  readonly log: Record<string, unknown>[];
}

async function run(
  t: { teardown(fn: () => unknown): void },
  argv: readonly string[],
  backoff = QUICK,
): Promise<Running> {
  const events: Event[] = [];
  const { log, lines } = keptLog();
  const probe = new SubprocessProbe({
    argv,
    number: 1,
    sink: (event) => void events.push(event),
    log,
    backoff,
  });
  t.teardown(() => probe.stop());
  await probe.start();
  return { probe, events, log: lines };
}

/** A program in JavaScript. */
function node(script: string, ...args: string[]): readonly string[] {
  return [process.execPath, '-e', script, ...args];
}

function alive(pid: number): boolean {
  try {
    // A zombie is dead, but answers to kill(pid, 0).
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

const GOOD = '{"type":"compute.step_time","entity":"gpu:0","value":1}';

t.test('events and log lines', async (t) => {
  const { probe, events, log } = await run(t, [
    'sh',
    '-c',
    `echo '${GOOD}'; echo '${GOOD}'; printf 'hot \\033[31m\\n' >&2; exec sleep 30`,
  ]);
  await until(() => events.length === 2 && log.some((line) => line.msg === 'stderr'), {
    ...WAIT,
    what: 'its output',
  });
  t.match(events[0], {
    type: 'custom',
    customType: 'compute.step_time',
    entity: 'gpu:0',
    probe: 'subprocess',
  });
  t.match(
    log.find((line) => line.msg === 'stderr'),
    { line: 'hot \\x1b[31m', program: 'sh', number: 1 },
  );
  t.match(probe.stats(), { running: true, state: 'running', lines: 2, events: 2, restarts: 0 });
  t.match(probe.checks(), [{ status: 'ok', name: 'probe subprocess 1 (sh)' }]);
  await probe.stop();
  t.match(probe.stats(), { running: false, state: 'stopped', restarts: 0 });
  t.match(probe.checks(), [{ status: 'off' }]);
});

t.test('no shell: what looks like one is an argument', async (t) => {
  const { events } = await run(
    t,
    node(
      'console.log(JSON.stringify({ type: "error.argv", entity: "gpu:0", attrs: { argv: process.argv.slice(1) } })); setTimeout(() => {}, 3e4)',
      '$HOME',
      '|',
      ';',
      '`id`',
    ),
  );
  await until(() => events.length === 1, { ...WAIT, what: 'the event' });
  t.strictSame(events[0]?.attrs, { argv: ['$HOME', '|', ';', '`id`'] });
});

t.test('garbage, blank and over-long lines', async (t) => {
  const script = `
    process.stdout.write('garbage\\n\\n[1]\\n{"type":"x"}\\n');
    process.stdout.write(Buffer.from([0xff, 0xfe, 0x00, 0x0a]));
    process.stdout.write('{"type":"error.hw","entity":"gpu:0","attrs":{"t":"' + 'x'.repeat(200_000) + '"}}\\n');
    process.stdout.write('${GOOD}\\r\\n');
    setTimeout(() => {}, 3e4)`;
  const { probe, events, log } = await run(t, node(script));
  await until(() => events.length === 1, { ...WAIT, what: 'the good line' });
  const { lines, lost } = probe.stats();
  t.equal(lines, 6);
  t.match(lost, { json: 2, object: 1, type: 1, line: 1 });
  t.equal(log.filter((line) => String(line.msg).startsWith('line is no event')).length, 1, 'told once');
  t.match(probe.checks(), [{ status: 'degraded', detail: /most refused for json \(2\)/ }]);
});

t.test('half lines at the end', async (t) => {
  const { probe, events } = await run(t, ['sh', '-c', `printf '%s' '${GOOD}'`], {
    ...QUICK,
    firstMs: 60_000,
    maxMs: 60_000,
  });
  await until(() => !probe.stats().running, { ...WAIT, what: 'its end' });
  t.equal(events.length, 1, 'a whole event whose newline is missing');
  const half = await run(t, ['sh', '-c', `printf '%s' '${GOOD.slice(0, -9)}'`], {
    ...QUICK,
    firstMs: 60_000,
    maxMs: 60_000,
  });
  await until(() => !half.probe.stats().running, { ...WAIT, what: 'its end' });
  t.match(half.probe.stats(), { events: 0, lost: { json: 1 }, state: 'exited with 0' });
});

t.test('it is started again, whatever it ends with', async (t) => {
  for (const [script, state] of [
    ['exit 0', 'exited with 0'],
    ['exit 3', 'exited with 3'],
    ['kill -SEGV $$', 'ended by SIGSEGV'],
  ] as const) {
    const { probe, log } = await run(t, ['sh', '-c', script]);
    await until(() => probe.stats().restarts >= 3, { ...WAIT, what: 'restarts' });
    t.ok(
      log.some((line) => line.how === state),
      state,
    );
    const delays = log.map((line) => Number(line.delayMs)).filter((delayMs) => delayMs > 0);
    t.ok(
      delays.every((delayMs) => delayMs <= 80 * 1.2),
      'bounded',
    );
    t.ok((delays[2] ?? 0) > (delays[0] ?? 0), 'growing');
    await probe.stop();
    const { restarts } = probe.stats();
    await new Promise((resolve) => setImmediate(resolve));
    t.equal(probe.stats().restarts, restarts, 'not after stop()');
  }
});

t.test('what cannot be started is said and tried again', async (t) => {
  for (const [program, errno] of [
    ['/nonexistent/probe', 'ENOENT'],
    ['/etc/passwd', 'EACCES'],
  ] as const) {
    const { probe } = await run(t, [program]);
    await until(() => probe.stats().restarts >= 2, { ...WAIT, what: 'restarts' });
    t.match(probe.stats(), { running: false, state: errno });
    t.match(probe.checks(), [{ status: 'failed', detail: new RegExp(`^${errno}`) }]);
    await probe.stop();
  }
});

t.test('a flood is bounded and counted, and the event loop lives', async (t) => {
  const { probe, events } = await run(t, ['sh', '-c', `exec yes '${GOOD}'`]);
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  t.teardown(() => clearInterval(timer));
  await until(() => probe.stats().lost.rate > 5000 && ticks > 100, { ...WAIT, what: 'losses' });
  const { lines, lost } = probe.stats();
  t.equal(events.length + lost.rate, lines, 'each line is an event or counted');
  await probe.stop();
});

t.test('a flood on stderr, and a line without end', async (t) => {
  const { probe, log } = await run(t, ['sh', '-c', `yes noise >&2 & exec cat /dev/zero`]);
  await until(() => probe.stats().logLinesDropped > 1000 && probe.stats().lost.line > 0, {
    ...WAIT,
    what: 'losses',
  });
  t.ok(log.filter((line) => line.msg === 'stderr').length < 500);
  t.equal(probe.stats().events, 0);
  await probe.stop();
});

t.test('stop() ends the whole group, also what ignores SIGTERM', async (t) => {
  const folder = tempFolder(t);
  const pids = join(folder, 'pids');
  const script = `trap '' TERM; (trap '' TERM; exec sleep 30) & echo $$ $! > "$1.new" && mv "$1.new" "$1"; wait`;
  const { probe } = await run(t, ['sh', '-c', script, 'sh', pids]);
  await until(() => existsSync(pids), { ...WAIT, what: 'the pids' });
  const [leader = 0, grandchild = 0] = readFileSync(pids, 'utf8').trim().split(' ').map(Number);
  t.ok(alive(leader) && alive(grandchild));
  await probe.stop();
  await until(() => !alive(leader) && !alive(grandchild), { ...WAIT, what: 'both to end' });
  t.match(probe.stats(), { running: false });
});

t.test('what a program leaves behind goes with it, also when it holds stdout open', async (t) => {
  const folder = tempFolder(t);
  const file = join(folder, 'pid');
  const { probe } = await run(
    t,
    ['sh', '-c', `sleep 30 & echo $! > "$1.new" && mv "$1.new" "$1"`, 'sh', file],
    { ...QUICK, firstMs: 60_000, maxMs: 60_000 },
  );
  await until(() => !probe.stats().running, { ...WAIT, what: 'its end' });
  const stray = Number(readFileSync(file, 'utf8'));
  await until(() => !alive(stray), { ...WAIT, what: 'the stray to end' });
  t.match(probe.stats(), { state: 'exited with 0' });
});

t.test('a program that closes its stdout is ended and started again', async (t) => {
  const { probe, log } = await run(t, ['sh', '-c', 'exec >&-; exec sleep 30']);
  await until(() => probe.stats().restarts >= 1, { ...WAIT, what: 'a restart' });
  t.ok(log.some((line) => /closed its stdout/.test(String(line.msg))));
});

t.test('stop() before, during and after start()', async (t) => {
  const { log } = keptLog();
  const make = (): SubprocessProbe =>
    new SubprocessProbe({ argv: ['sleep', '30'], number: 1, sink: () => {}, log });
  const never = make();
  await never.stop();
  await never.start();
  t.match(never.stats(), { running: false });
  const early = make();
  const starting = early.start();
  await early.stop();
  await starting;
  t.match(early.stats(), { running: false, state: 'stopped' });
  await early.stop();
});
