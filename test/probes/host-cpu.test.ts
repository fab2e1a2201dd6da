/** What the pass over threads says of CPU: time queued, CPU used, where; against the kernel's own account. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import type { EventOf, WaitAttrs } from '../../src/events/event.js';
import { FlowTable } from '../../src/probes/flow-table.js';
import { WaitsProbe } from '../../src/probes/waits.js';
import { cgroupSkip, makeCgroup } from '../lib/cgroup.js';
import { startWorkload } from '../lib/proc.js';
import { until } from '../lib/until.js';
import { type Rig, startProbe } from './lib/rig.js';

/** Any CPU that this process may use. */
function aCpu(): number {
  const list = /^Cpus_allowed_list:\s+(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return Number(list.split(/[,-]/).at(-1));
}

/** Of a thread: ms on a CPU, ms queued for one, as booked by the scheduler. */
function schedstat(tid: number): { readonly runMs: number; readonly delayMs: number } {
  const [run, delay] = readFileSync(`/proc/${tid}/schedstat`, 'utf8').split(' ').map(Number);
  return { runMs: (run ?? 0) / 1e6, delayMs: (delay ?? 0) / 1e6 };
}

/** One look now at the main thread of `pid`. */
function look(rig: Rig<WaitsProbe>, pid: number): { readonly ts: number; readonly attrs: WaitAttrs } {
  rig.events.length = 0;
  rig.probe.pass(true);
  const found = rig.events.find((e) => e.type.startsWith('wait.') && e.pid === pid && e.type !== 'wait.pass');
  if (found === undefined) throw new Error(`thread ${pid} was not seen`);
  return { ts: found.ts, attrs: (found as EventOf<'wait.run'>).attrs };
}

const waits = (t: Parameters<typeof startProbe>[0]): Promise<Rig<WaitsProbe>> =>
  startProbe(t, (c) => new WaitsProbe(c, new FlowTable()));

t.test('two that share one CPU: each queues for half of the time or more', async (t) => {
  const cpu = aCpu();
  const [one] = await Promise.all([
    startWorkload(t, 'cpu_hog', { cpu }),
    startWorkload(t, 'cpu_hog', { cpu }),
  ]);
  await one.ready();
  const rig = await waits(t);
  const first = look(rig, one.pid);
  const booked = schedstat(one.pid);
  t.ok(first.attrs.delayMs !== undefined && first.attrs.delayMs >= 0);
  t.match(first.attrs, { cpu, cpus: 1 });
  await until(() => schedstat(one.pid).runMs > booked.runMs + 600, {
    timeoutMs: 15_000,
    what: '600 ms on the CPU',
  });
  const last = look(rig, one.pid);
  const wall = last.ts - first.ts;
  const delay = (last.attrs.delayMs ?? 0) - (first.attrs.delayMs ?? 0);
  const run = last.attrs.runMs - first.attrs.runMs;
  t.comment(`of ${wall.toFixed(0)} ms: ran ${run.toFixed(0)}, queued ${delay.toFixed(0)}`);
  t.ok(delay / wall > 0.4, `${delay} of ${wall} ms`);
  // It never sleeps: what it does not run it is queued for. The clock of the present wait is a tick old.
  t.ok(Math.abs(run + delay - wall) < 0.05 * wall + 20, `${run} + ${delay} of ${wall} ms`);
  const now = schedstat(one.pid);
  t.ok(Math.abs(now.delayMs - (last.attrs.delayMs ?? 0)) < 0.05 * wall + 50, 'as the kernel books it');
});

t.test('a thread that gets no CPU: the wait shows while it lasts', async (t) => {
  const cpu = aCpu();
  const victim = await startWorkload(t, 'cpu_hog', { cpu, nice: 19 });
  await victim.ready();
  // 1 to 6,000 by weight, and it sleeps for a moment now and then, so that nothing else starves.
  await startWorkload(t, 'cpu_hog', { cpu, nice: -20, seconds: 20 });
  const rig = await waits(t);
  let before = look(rig, victim.pid);
  const [from, to] = await until(
    () => {
      const now = look(rig, victim.pid);
      if (now.attrs.runMs !== before.attrs.runMs) before = now;
      return now.ts - before.ts > 400 ? ([before, now] as const) : undefined;
    },
    { timeoutMs: 15_000, what: 'the thread not to run for 400 ms', everyMs: 50 },
  );
  const [wall, delay] = [to.ts - from.ts, (to.attrs.delayMs ?? 0) - (from.attrs.delayMs ?? 0)];
  t.equal(to.attrs.runMs, from.attrs.runMs, 'it has not run');
  t.ok(Math.abs(delay - wall) < 0.1 * wall + 20, `${delay} of ${wall} ms`);
  t.match(to.attrs, { cpu, cpus: 1 });
});

t.test('a thread that its CPU limit holds back is queued, too', { skip: cgroupSkip('cpu') }, async (t) => {
  const group = await makeCgroup(t, 'cpu', 'held');
  group.limitCpu(10, 100);
  const hog = await startWorkload(t, 'cpu_hog', {}, { wrap: group.wrap });
  await hog.ready();
  const rig = await waits(t);
  const first = look(rig, hog.pid);
  const second = await until(
    () => {
      const now = look(rig, hog.pid);
      return now.ts - first.ts > 1500 && now;
    },
    { timeoutMs: 15_000, what: 'a second and a half', everyMs: 100 },
  );
  const [wall, delay] = [second.ts - first.ts, (second.attrs.delayMs ?? 0) - (first.attrs.delayMs ?? 0)];
  t.ok(delay / wall > 0.7, `${delay} of ${wall} ms`);
});

t.test('an idle thread is not queued', async (t) => {
  const idle = await startWorkload(t, 'memory_hog', { mib: 1 });
  await idle.ready();
  const rig = await waits(t);
  const first = look(rig, idle.pid);
  const second = await until(
    () => {
      const now = look(rig, idle.pid);
      return now.ts - first.ts > 500 && now;
    },
    { timeoutMs: 15_000, what: 'half a second', everyMs: 100 },
  );
  t.equal(second.attrs.delayMs, first.attrs.delayMs);
  t.equal(second.attrs.memStall, undefined);
});

t.test('a thread held over memory.high is marked', { skip: cgroupSkip('memory', 2) }, async (t) => {
  const group = await makeCgroup(t, 'memory', 'stall');
  group.reclaimAt(16 << 20);
  const hog = await startWorkload(t, 'memory_hog', { mib: 256 }, { wrap: group.wrap });
  await hog.ready('start');
  const rig = await waits(t);
  const stalled = await until(
    () => {
      const now = look(rig, hog.pid);
      return now.attrs.memStall && now;
    },
    { timeoutMs: 15_000, what: 'the thread in a memory stall' },
  );
  t.ok(stalled.attrs.memStall);
});
