/** Probe `gpu-trace` on the real kernel, over doubles of libnccl and libcuda. */
import { copyFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { attrsFit } from '../../src/events/catalogue.js';
import { startTicks } from '../lib/proc.js';
import { until } from '../lib/until.js';
import { begin, type Comm, comm, enqueue, job, said, TICK_NS, traced, world } from './lib/gpu-trace.js';

for (const init of ['init', 'initconfig', 'initscalable']) {
  t.test(`${init}: rank, size and address; the ranks of one id meet`, async (t) => {
    const w = await world(t);
    const proc = await begin(t, w, { n: 3, do: `load,wait,${init},allreduce:5` });
    const ready: Comm[] = [];
    for (let rank = 0; rank < 3; rank++) {
      const { pid, text } = await said(proc, 'allreduce', rank);
      const event = await comm(w, pid, 'ready');
      ready.push(event);
      t.equal(event.attrs.rank, rank);
      t.equal(event.attrs.nranks, 3);
      t.equal(event.attrs.handle, text('comm'));
      t.equal(event.attrs.result, init === 'initconfig' ? 7 : 0);
      t.equal(Math.floor(event.attrs.start / TICK_NS), Number(startTicks(pid)));
      t.equal((await comm(w, pid, 'init')).entity, event.entity);
      const counted = await enqueue(w, pid, (e) => e.attrs.collectives === 5);
      t.match(counted, { entity: event.entity, attrs: { rank, nranks: 3, p2p: 0, handle: text('comm') } });
    }
    t.equal(new Set(ready.map(({ entity }) => entity)).size, 1, 'one communicator');
    t.match(ready[0]?.entity, /^comm:[0-9a-f]{16}$/);
    for (const event of w.rig.events) t.ok(attrsFit(event.type, event.attrs), event.type);
  });
}

t.test('every function that enqueues is counted, whichever argument has the communicator', async (t) => {
  const w = await world(t);
  const all = 'allreduce:1,reducescatter:2,allgather:4,broadcast:8,reduce:16,send:3,recv:5';
  const proc = await begin(t, w, { do: `load,wait,init,${all}` });
  const { pid } = await said(proc, 'recv');
  const { attrs } = await enqueue(w, pid, (e) => e.attrs.p2p === 8);
  t.equal(attrs.collectives, 31);
  t.ok((attrs.last ?? 0) > 0);
});

t.test('as before Linux 6.6: a link for each place', async (t) => {
  const w = await world(t, {}, { uprobeMulti: false });
  const proc = await begin(t, w, { do: 'load,wait,init,allreduce:2,reduce:3,send:1,sync' });
  const { pid, tid } = await said(proc, 'sync');
  t.equal((await comm(w, pid, 'ready')).attrs.rank, 0);
  t.match((await enqueue(w, pid, (e) => e.attrs.p2p === 1)).attrs, { collectives: 5, rank: 0 });
  await w.rig.event('wait.gpu', (e) => e.attrs.tid === tid);
});

t.test('two jobs are two communicators; a failed init is none', async (t) => {
  const w = await world(t);
  const one = await begin(t, w, { do: 'load,wait,init' });
  const two = await begin(t, w, { do: 'load,wait,bad,init' });
  const [a, b] = [await said(one, 'init'), await said(two, 'init')];
  const first = await comm(w, a.pid, 'ready');
  const second = await comm(w, b.pid, 'ready');
  t.not(first.entity, second.entity);
  const failed = await comm(w, b.pid, 'failed');
  t.match(failed.attrs, { result: 4, rank: 2, nranks: 1 });
  t.notOk('handle' in failed.attrs);
});

t.test('all ranks in one process, and splits', async (t) => {
  const w = await world(t);
  const proc = await begin(t, w, {
    n: 2,
    do: 'load,wait,init,split:1,allreduce:3,pop,split:-1',
    do1: 'load,wait,init,split:2,pop,split:1',
  });
  const [a, b] = [await said(proc, 'allreduce', 0), await said(proc, 'split', 1)];
  const parent = await comm(w, a.pid, 'ready');
  const red = await comm(w, a.pid, 'ready', 1);
  t.equal(red.attrs.call, 'ncclCommSplit');
  t.not(red.entity, parent.entity);
  const green = await comm(w, b.pid, 'ready', 1);
  t.not(green.entity, red.entity, 'another color');
  const later = await comm(w, b.pid, 'ready', 2);
  t.not(later.entity, red.entity, 'another split');
  t.equal(
    (await enqueue(w, a.pid, (e) => e.entity === red.entity && e.attrs.collectives > 0)).attrs.collectives,
    3,
  );

  const alone = await begin(t, w, { do: 'load,wait,initall:3,allreduce:2' });
  const { pid } = await said(alone, 'allreduce');
  const last = await comm(w, pid, 'ready', 2);
  const all = w.rig.all('nccl.comm', (e) => e.pid === pid && e.attrs.state === 'ready');
  t.same(
    all.map(({ attrs }) => attrs.rank),
    [0, 1, 2],
  );
  t.equal(new Set(all.map(({ entity }) => entity)).size, 1);
  t.equal((await enqueue(w, pid, (e) => e.attrs.collectives > 0)).attrs.rank, 2);
  t.equal(last.attrs.nranks, 3);
});

t.test('an address that is given out again; finalize, destroy, abort', async (t) => {
  const w = await world(t);
  const proc = await begin(t, w, {
    do: 'load,wait,init,allreduce:7,finalize,destroy,initall:1,allreduce:2,abort,initall:1,wait',
  });
  const { pid } = await said(proc, 'abort');
  const aborted = await comm(w, pid, 'aborted');
  const destroyed = await comm(w, pid, 'destroyed');
  const first = await comm(w, pid, 'ready');
  const second = await comm(w, pid, 'ready', 1);
  t.equal(first.attrs.handle, second.attrs.handle, 'the double gives out the same');
  t.not(first.entity, second.entity);
  t.match(destroyed, { entity: first.entity, attrs: { collectives: 7, rank: 0 } });
  t.match(await comm(w, pid, 'finalized'), { entity: first.entity });
  t.match(aborted, { entity: second.entity, attrs: { collectives: 2 } });
  const third = await comm(w, pid, 'ready', 2);
  const fresh = await enqueue(w, pid, (e) => e.entity === third.entity);
  t.equal(fresh.attrs.collectives, 0, 'nothing is left of those before');
});

t.test('a process that was there before: its communicator has no rank', async (t) => {
  const w = await world(t);
  const proc = await job(t, w.libraries, { do: 'init,allreduce:9,wait,allreduce:4' });
  const { pid, text } = await said(proc, 'wait');
  await traced(w, [pid]);
  process.kill(pid, 'SIGUSR1');
  const { entity, attrs } = await enqueue(w, pid, (e) => e.attrs.collectives === 4);
  t.equal(entity, `comm:${pid}/${text('comm')}`);
  t.notOk('rank' in attrs || 'nranks' in attrs);
});

t.test('a child that was forked after the init has none of the parent’s', async (t) => {
  const w = await world(t);
  const proc = await begin(t, w, { do: 'load,wait,init,fork:allreduce:3,allreduce:2' });
  const parent = await said(proc, 'init');
  const child = await until(() => proc.truths('allreduce').find(({ pid }) => pid !== parent.pid), {
    timeoutMs: 10_000,
    what: 'the child',
  });
  const own = await enqueue(w, parent.pid, (e) => e.attrs.collectives === 2);
  const other = await enqueue(w, child.pid, (e) => e.attrs.collectives === 3);
  t.equal(own.attrs.rank, 0);
  t.not(other.entity, own.entity);
  t.notOk('rank' in other.attrs);
});

for (const [word, what] of [
  ['sync', 'cuStreamSynchronize'],
  ['eventsync', 'cuEventSynchronize'],
  ['ctxsync', 'cuCtxSynchronize'],
] as const) {
  t.test(`a thread that spins in ${what}`, async (t) => {
    const w = await world(t);
    const proc = await begin(t, w, { do: `load,wait,syncs:100,${word}` });
    const { pid, tid } = await said(proc, word);
    const wait = await w.rig.event('wait.gpu', (e) => e.attrs.tid === tid);
    t.match(wait, { entity: `pid:${pid}`, pid, attrs: { what } });
    t.ok(wait.value >= 500, 'short ones are not told');
    process.kill(pid, 'SIGUSR2');
    await said(proc, 'synced');
    const over = await w.rig.event('wait.gpu', (e) => e.attrs.tid === tid && e.attrs.over === true);
    t.equal(over.attrs.since, wait.attrs.since);
    const last = w.rig.all('wait.gpu', (e) => e.attrs.tid === tid).at(-1);
    t.equal(last?.attrs.over, true, 'and nothing after it');
  });
}

t.test('a process that dies inside a call that waits, and one inside an init', async (t) => {
  const w = await world(t);
  const proc = await begin(t, w, { do: 'load,wait,init,sync' });
  const { pid, tid } = await said(proc, 'sync');
  await w.rig.event('wait.gpu', (e) => e.attrs.tid === tid);
  process.kill(pid, 'SIGKILL');
  await w.rig.event('wait.gpu', (e) => e.attrs.tid === tid && e.attrs.over === true, 25_000);
  await until(() => /, 0 communicators, 0 threads wait/.test(w.rig.probe.checks()[0]?.detail ?? ''), {
    timeoutMs: 25_000,
    what: 'its entries to go',
  });
  t.pass();
});

t.test(
  'copies of the libraries: each is a file of its own, also one that was replaced under its process',
  async (t) => {
    const w = await world(t);
    const old = await job(t, w.libraries, { do: 'load,wait,init,allreduce:1' });
    const before = await said(old, 'wait');
    // As an upgrade does it: another file takes the name.
    const fresh = join(w.libraries.dir, 'fresh');
    copyFileSync(w.libraries.nccl, fresh);
    renameSync(fresh, w.libraries.nccl);
    const young = await job(t, w.libraries, { do: 'load,wait,init,allreduce:2' });
    const after = await said(young, 'wait');
    await traced(w, [before.pid, after.pid], 3);
    for (const { pid } of [before, after]) process.kill(pid, 'SIGUSR1');
    t.equal((await enqueue(w, before.pid, (e) => e.attrs.collectives > 0)).attrs.collectives, 1);
    t.equal((await enqueue(w, after.pid, (e) => e.attrs.collectives > 0)).attrs.collectives, 2);
  },
);

t.test('libraries that come later, and a process that lives no more', async (t) => {
  const w = await world(t);
  const proc = await job(t, w.libraries, { do: 'wait,load,wait,init,allreduce:6' });
  const { pid } = await said(proc, 'wait');
  const dead = await job(t, w.libraries, { do: 'exit:0' });
  await dead.exited;
  w.rig.probe.watch(dead.pid, 1);
  w.rig.probe.watch(pid, Number(startTicks(pid)) * TICK_NS);
  t.match(w.rig.probe.checks()[0], { status: 'ok', detail: /none maps libnccl or libcuda yet/ });
  process.kill(pid, 'SIGUSR1');
  await traced(w, [pid]);
  await until(() => proc.truths('wait').length === 2, { timeoutMs: 10_000, what: 'the second wait' });
  process.kill(pid, 'SIGUSR1');
  t.equal((await enqueue(w, pid, (e) => e.attrs.collectives > 0)).attrs.rank, 0);
});

t.test('a library without one of the functions: said, and nobody is counted half', async (t) => {
  const w = await world(t, {}, { defines: ['WITHOUT_REDUCE'] });
  const proc = await begin(t, w, { do: 'load,wait,init,allreduce:6,wait' });
  const { pid } = await said(proc, 'allreduce');
  const { attrs } = await enqueue(w, pid, () => true);
  t.match(attrs, { rank: 0, collectives: 0, stopped: true });
  const check = w.rig.probe.checks().find(({ name }) => name === 'probe gpu-trace/libnccl');
  t.match(check, { status: 'degraded', detail: /libnccl\.so\.2 does not export ncclReduce$/ });
});

t.test('a budget that is used up: the counters go, and doctor says so', async (t) => {
  const w = await world(t, { budgetShare: 1e-5, budgetWindowMs: 1_000 });
  const proc = await begin(t, w, { do: 'load,wait,init,loop:1' });
  const { pid } = await said(proc, 'loop');
  const stopped = await enqueue(w, pid, (e) => e.attrs.stopped === true);
  t.equal(stopped.attrs.rank, 0);
  const check = (): string =>
    w.rig.probe.checks().find(({ name }) => name === 'probe gpu-trace/cost')?.detail ?? '';
  t.match(check(), /over budget, taken off: enqueues/);
  const { collectives } = stopped.attrs;
  await until(() => /enqueue [\d.]+ us x 0\/s/.test(check()), {
    timeoutMs: 10_000,
    what: 'no more calls',
  });
  const last = w.rig.all('nccl.enqueue', (e) => e.pid === pid).at(-1);
  t.ok((last?.attrs.collectives ?? 0) - collectives < 2_000, 'nothing is counted any more');
});
