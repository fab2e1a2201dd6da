/** Probe `rdma-trace` on the real kernel, over doubles of libibverbs and a provider. With real ones: rdma-trace-rxe.test.ts. */
import { copyFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { attrsFit } from '../../src/events/catalogue.js';
import type { EventOf } from '../../src/events/event.js';
import { RdmaTraceProbe, type RdmaTraceOptions } from '../../src/probes/rdma-trace.js';
import { workload } from '../lib/cc.js';
import { type Proc, start, startTicks } from '../lib/proc.js';
import { until } from '../lib/until.js';
import { type VerbsDoubles, verbsDoubles } from '../verbs/doubles.js';
import { type Rig, startProbe } from './lib/rig.js';

type Posts = EventOf<'rdma.posts'>;

const TICK_NS = 10_000_000;
/** Looks as often as it can: a test does not wait for a library to be found. */
const FAST: RdmaTraceOptions = { watch: { firstMs: 1, maxMs: 1 }, devicesMs: 100 };

interface World {
  readonly rig: Rig<RdmaTraceProbe>;
  readonly doubles: VerbsDoubles;
}

async function world(t: Test, options: RdmaTraceOptions = {}, plugged = true): Promise<World> {
  const doubles = await verbsDoubles(t);
  if (plugged) doubles.plug();
  const { ibverbs, sysDir } = doubles;
  const rig = await startProbe(
    t,
    (context) => new RdmaTraceProbe(context, { ibverbs, sysDir, ...FAST, ...options }),
  );
  return { rig, doubles };
}

async function poster(t: Test, provider: string, words: string): Promise<Proc> {
  const program = await workload('verbs_poster', 'test/verbs/poster.c');
  return start(t, program, [`provider=${provider}`, `do=${words}`]);
}

function check({ rig }: World, name = 'probe rdma-trace'): string {
  return rig.probe.checks().find((one) => one.name === name)?.detail ?? '';
}

/** The probe is in so many files before these processes go on. */
async function traced(w: World, procs: readonly Proc[], files = 1): Promise<void> {
  for (const { pid } of procs) w.rig.probe.watch(pid, Number(startTicks(pid)) * TICK_NS);
  await until(() => new RegExp(`post_send in ${files} provider`).test(check(w)), {
    timeoutMs: 15_000,
    what: `${files} providers with probes`,
  });
}

/** It has mapped its provider and waits; the probe is there; it goes on. */
async function begin(t: Test, w: World, words: string, provider = w.doubles.provider): Promise<Proc> {
  const proc = await poster(t, provider, `load,wait,${words}`);
  await proc.ready('wait');
  await traced(w, [proc]);
  proc.kill('SIGUSR1');
  return proc;
}

function posts({ rig }: World, pid: number, pass: (event: Posts) => boolean): Promise<Posts> {
  return until(() => rig.all('rdma.posts', (event) => event.pid === pid && pass(event)).at(-1), {
    timeoutMs: 10_000,
    what: `posts of ${pid}`,
  });
}

t.test('posts, their bytes and the last of them, by queue pair', async (t) => {
  const w = await world(t);
  const { pid } = await begin(t, w, 'qp:291,post:5');
  const event = await posts(w, pid, ({ attrs }) => attrs.totalPosts === 5);
  t.match(event, { entity: 'qp:double0/291', attrs: { device: 'double0', qpn: 291 } });
  t.equal(Math.floor(event.attrs.start / TICK_NS), Number(startTicks(pid)));
  t.ok((event.attrs.last ?? 0) <= event.ts && (event.attrs.last ?? 0) > event.ts - 60_000);
  t.notOk('outstanding' in event.attrs, 'nobody tells');
  const all = w.rig.all('rdma.posts', (e) => e.pid === pid);
  t.equal(
    all.reduce((sum, { attrs }) => sum + attrs.posts, 0),
    5,
  );
  t.equal(
    all.reduce((sum, { attrs }) => sum + attrs.bytes, 0),
    500,
  );
  for (const { type, attrs } of all) t.ok(attrsFit(type, attrs));
  t.match(check(w, 'probe rdma-trace/cost'), /us a post, measured on this machine/);
});

t.test('lists of work requests and of pieces; what is too long is said to be', async (t) => {
  const w = await world(t);
  const { pid } = await begin(t, w, 'qp:1,chain:16,pieces:4,wait,chain:40,pieces:9,wait');
  const whole = await posts(w, pid, ({ attrs }) => attrs.totalPosts === 17);
  t.ok(whole.value > 0);
  const bytes = (): number =>
    w.rig.all('rdma.posts', (e) => e.pid === pid).reduce((sum, { attrs }) => sum + attrs.bytes, 0);
  t.equal(bytes(), 2_000);
  process.kill(pid, 'SIGUSR1');
  await posts(w, pid, ({ attrs }) => attrs.totalPosts === 34);
  t.equal(bytes(), 2_000 + 1_600 + 400, 'no more than is looked at');
});

t.test('another number at the same place is another queue pair', async (t) => {
  const w = await world(t);
  const { pid } = await begin(t, w, 'qp:7,post:3,wait,qp:8,post:4');
  await posts(w, pid, ({ attrs }) => attrs.qpn === 7 && attrs.totalPosts === 3);
  process.kill(pid, 'SIGUSR1');
  const second = await posts(w, pid, ({ attrs }) => attrs.qpn === 8);
  t.equal(second.attrs.totalPosts, 4);
  t.equal(second.entity, 'qp:double0/8');
});

t.test('a later process is seen from its first post on; a child has counts of its own', async (t) => {
  const w = await world(t);
  const first = await begin(t, w, 'qp:1,fork:post:3,post:2');
  await posts(w, first.pid, ({ attrs }) => attrs.totalPosts === 2);
  const child = await until(() => w.rig.all('rdma.posts', ({ pid }) => pid !== first.pid)[0], {
    timeoutMs: 10_000,
    what: 'the child',
  });
  t.equal(child.attrs.totalPosts, 3);
  // Nobody names it to the probe.
  const later = await poster(t, w.doubles.provider, 'qp:2,post:6');
  t.equal((await posts(w, later.pid, () => true)).attrs.totalPosts, 6);
});

t.test(
  'copies of the same build are found by it, also one that was replaced under its process',
  async (t) => {
    const w = await world(t);
    const copied = await w.doubles.copy('container');
    const one = await poster(t, copied, 'load,wait,qp:3,post:1');
    await one.ready('wait');
    // As an upgrade does it: another file takes the name.
    const fresh = join(w.doubles.dir, 'fresh');
    copyFileSync(copied, fresh);
    renameSync(fresh, copied);
    const other = await poster(t, copied, 'load,wait,qp:4,post:2');
    await other.ready('wait');
    await traced(w, [one, other], 2);
    for (const proc of [one, other]) proc.kill('SIGUSR1');
    t.equal((await posts(w, one.pid, () => true)).attrs.totalPosts, 1);
    t.equal((await posts(w, other.pid, () => true)).attrs.totalPosts, 2);
  },
);

t.test('another build is not guessed at, and said to be there', async (t) => {
  const w = await world(t);
  const proc = await poster(t, await w.doubles.copy('container', true), 'load,wait,qp:3,post:9,wait');
  await proc.ready('wait');
  w.rig.probe.watch(proc.pid, Number(startTicks(proc.pid)) * TICK_NS);
  await until(() => /in 0 provider libraries \(1 more are mapped, and nothing tells that/.test(check(w)), {
    timeoutMs: 10_000,
    what: 'the other build',
  });
  proc.kill('SIGUSR1');
  await until(() => proc.truths('wait').length === 2, { timeoutMs: 10_000, what: 'its posts' });
  w.rig.probe.pass(true);
  t.same(w.rig.all('rdma.posts'), []);
});

t.test('no device: nothing is loaded; one that comes later is found', async (t) => {
  const w = await world(t, {}, false);
  t.match(w.rig.probe.checks()[0], { status: 'off', detail: /no RDMA device/ });
  w.doubles.plug();
  await until(() => /^1 devices/.test(check(w)), { timeoutMs: 10_000, what: 'the device' });
  const { pid } = await begin(t, w, 'qp:5,post:2');
  t.equal((await posts(w, pid, () => true)).attrs.totalPosts, 2);
});

t.test('no libibverbs: said, and nothing else is amiss', async (t) => {
  const w = await world(t, { ibverbs: '/nonexistent/libibverbs.so.1' });
  await until(
    () =>
      /ENOENT.*functions are found by processes' queue pairs alone/.test(
        check(w, 'probe rdma-trace/libibverbs'),
      ),
    {
      timeoutMs: 10_000,
      what: 'what is missing',
    },
  );
  t.match(w.rig.probe.checks()[0], { status: 'ok' });
});

t.test('a budget that is used up: the probes go, and doctor says so', async (t) => {
  const w = await world(t, { budgetShare: 1e-5, budgetWindowMs: 1_000 });
  const { pid } = await begin(t, w, 'qp:6,loop:100');
  const stopped = await posts(w, pid, ({ attrs }) => attrs.stopped === true);
  t.match(check(w, 'probe rdma-trace/cost'), /over budget, taken off/);
  const count = async (): Promise<number> => {
    w.rig.probe.pass(true);
    return w.rig.all('rdma.posts', (e) => e.pid === pid).at(-1)?.attrs.totalPosts ?? 0;
  };
  // It still posts; two looks with the same count, one after the other, are the end.
  let last = -1;
  await until(
    async () => {
      const now = await count();
      const same = now === last;
      last = now;
      return same;
    },
    { timeoutMs: 10_000, what: 'the count to stand still', everyMs: 100 },
  );
  t.ok(last >= stopped.attrs.totalPosts);
});

t.test('what belongs to a process that has ended goes', async (t) => {
  const w = await world(t);
  const proc = await begin(t, w, 'qp:9,post:1');
  await posts(w, proc.pid, () => true);
  t.match(check(w), /, 1 queue pairs posted to/);
  proc.kill('SIGKILL');
  await proc.exited;
  await until(() => /, 0 queue pairs posted to/.test(check(w)), {
    timeoutMs: 25_000,
    what: 'its entry to go',
  });
  t.pass();
});
