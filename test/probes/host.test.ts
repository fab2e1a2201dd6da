/** Probe `host` on the real kernel: groups held back by their limits, who uses memory, and letting go. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { EventOf } from '../../src/events/event.js';
import { cgroupId } from '../../src/events/ids.js';
import { HostProbe } from '../../src/probes/host.js';
import { type Cgroup, cgroupSkip, makeCgroup } from '../lib/cgroup.js';
import { rssBytes, start, startTicks, startWorkload } from '../lib/proc.js';
import { until } from '../lib/until.js';
import { startProbe } from './lib/rig.js';

const MIB = 1 << 20;

const membersOf = (event: EventOf<'compute.throttle'> | EventOf<'compute.memory'>): number[] =>
  event.attrs.members.map((member) => member.pid).sort((a, b) => a - b);

const sorted = (...pids: number[]): number[] => pids.sort((a, b) => a - b);

function throttledMs(group: Cgroup): number {
  return group.version === 2
    ? group.stat('cpu.stat', 'throttled_usec') / 1e3
    : group.stat('cpu.stat', 'throttled_time') / 1e6;
}

t.test(
  'a group that its CPU limit holds back: how much, in whom; and let go when it has calmed',
  { skip: cgroupSkip('cpu') },
  async (t) => {
    const group = await makeCgroup(t, 'cpu', 'throttled');
    const rig = await startProbe(t, (c) => new HostProbe(c));
    // The limit is two groups above one of the processes, one above the others.
    const near = group.child('near');
    const far = group.child('mid').child('far');
    group.limitCpu(20, 100);
    const hogs = await Promise.all([
      startWorkload(t, 'cpu_hog', {}, { wrap: near.wrap }),
      startWorkload(t, 'cpu_hog', {}, { wrap: far.wrap }),
    ]);
    const idle = await start(t, 'sleep', ['1000'], { wrap: near.wrap });
    const pids = sorted(idle.pid, ...hogs.map((hog) => hog.pid));
    const entity = cgroupId(group.path);
    // Other tests' groups are throttled on this machine, too.
    const told = () => rig.all('compute.throttle', (e) => e.entity === entity);
    const first = await rig.event(
      'compute.throttle',
      (e) => e.entity === entity && membersOf(e).length === 3,
    );
    t.match(first.attrs, { quotaMs: 20, periodMs: 100 });
    t.same(membersOf(first), pids, 'members are those in it, whether they run or not');
    for (const { pid, start: startNs } of first.attrs.members) {
      t.equal(String(Math.floor(startNs / 1e7)), startTicks(pid), 'with the start of each');
    }

    const [before, at] = [throttledMs(group), Date.now()];
    const seen = told().length;
    await until(() => told().length >= seen + 2, {
      timeoutMs: 20_000,
      what: 'two passes',
    });
    const rate = (throttledMs(group) - before) / (Date.now() - at);
    const { attrs, value } = told().at(-1) ?? first;
    t.equal(value, attrs.throttledMs);
    t.ok(attrs.windowMs >= 1000 && attrs.windowMs < 20_000, `window ${attrs.windowMs}`);
    const share = attrs.throttledMs / attrs.windowMs;
    t.ok(Math.abs(share - rate) < 0.25 * rate, `${share} of the time, by cpu.stat ${rate}`);
    t.ok(attrs.throttledPeriods > 0 && attrs.throttledPeriods <= attrs.periods, `${attrs.throttledPeriods}`);
    t.ok(
      Math.abs(attrs.periods - attrs.windowMs / 100) <= 0.2 * (attrs.windowMs / 100) + 2,
      `${attrs.periods} periods`,
    );

    // A question right after a pass: about a second or more, not about the last milliseconds.
    rig.probe.pass(true);
    rig.probe.pass(true);
    const asked = told().at(-1) ?? first;
    t.ok(asked.attrs.windowMs >= 1000 && asked.attrs.throttledMs > 0, 'a question is about a second or more');

    for (const hog of hogs) await hog.stop();
    await rig.event('compute.throttle', (e) => e.entity === entity && e.attrs.throttledMs === 0);
    const calm = told().length;
    const { passes } = rig.probe.stats;
    await until(() => rig.probe.stats.passes >= passes + 2, { timeoutMs: 20_000, what: 'two more passes' });
    t.equal(told().length, calm, 'said once');
  },
);

t.test(
  'a group that was throttled before the agent came is no news',
  { skip: cgroupSkip('cpu') },
  async (t) => {
    const group = await makeCgroup(t, 'cpu', 'before');
    group.limitCpu(10, 100);
    const hog = await startWorkload(t, 'cpu_hog', { seconds: 1 }, { wrap: group.wrap });
    await start(t, 'sleep', ['1000'], { wrap: group.wrap });
    await hog.exited;
    t.ok(throttledMs(group) > 300, 'it was');
    const rig = await startProbe(t, (c) => new HostProbe(c));
    await until(() => rig.probe.stats.passes >= 3, { timeoutMs: 20_000, what: 'three passes' });
    t.same(
      rig.all('compute.throttle', (e) => e.entity === cgroupId(group.path)),
      [],
    );
  },
);

t.test('a group near its memory limit, and gone', { skip: cgroupSkip('memory') }, async (t) => {
  const rig = await startProbe(t, (c) => new HostProbe(c));
  const parent = await makeCgroup(t, 'memory', 'near');
  const group = parent.child('leaf');
  parent.limitMemory(64 * MIB);
  const hog = await startWorkload(t, 'memory_hog', { mib: 62 }, { wrap: group.wrap });
  await hog.ready();
  const entity = cgroupId(parent.path);
  const full = await rig.event('compute.memory', (e) => e.entity === entity && e.value >= 0.95 * 64 * MIB);
  t.match(full.attrs, { limitBytes: 64 * MIB, highBytes: undefined, oomKills: 0 });
  t.equal(full.attrs.usageBytes, full.value);
  t.ok(full.value <= 64 * MIB);
  t.same(membersOf(full), [hog.pid]);
  await hog.stop();
  const gone = await rig.event(
    'compute.memory',
    (e) => e.entity === entity && e.ts > full.ts && e.value < 8 * MIB,
  );
  t.same(gone.attrs.members, []);
  const last = rig.all('compute.memory', (e) => e.entity === entity).length;
  const { passes } = rig.probe.stats;
  await until(() => rig.probe.stats.passes >= passes + 2, { timeoutMs: 20_000, what: 'two more passes' });
  t.equal(rig.all('compute.memory', (e) => e.entity === entity).length, last, 'said once');
});

t.test('memory reclaimed from a group over memory.high', { skip: cgroupSkip('memory', 2) }, async (t) => {
  const rig = await startProbe(t, (c) => new HostProbe(c));
  const group = await makeCgroup(t, 'memory', 'high');
  group.reclaimAt(32 * MIB);
  const hog = await startWorkload(t, 'memory_hog', { mib: 96, step_ms: 20 }, { wrap: group.wrap });
  const entity = cgroupId(group.path);
  const over = await rig.event('compute.memory', (e) => e.entity === entity && e.attrs.highEvents > 0);
  t.match(over.attrs, { highBytes: 32 * MIB, limitBytes: undefined, oomEvents: 0 });
  t.ok(over.value > 30 * MIB, `${over.value} in use`);
  t.ok(over.attrs.highEvents <= group.stat('memory.events', 'high'), 'as the group itself counts');
  t.same(membersOf(over), [hog.pid]);
});

t.test('a group whose limit refuses memory again and again', { skip: cgroupSkip('memory') }, async (t) => {
  const rig = await startProbe(t, (c) => new HostProbe(c));
  const group = await makeCgroup(t, 'memory', 'refused');
  group.limitMemory(24 * MIB);
  const hog = await startWorkload(t, 'memory_hog', { mib: 64, step_ms: 5, again: 1 }, { wrap: group.wrap });
  const refused = await rig.event(
    'compute.memory',
    (e) => e.entity === cgroupId(group.path) && e.attrs.maxEvents > 0,
    30_000,
  );
  t.match(refused.attrs, { limitBytes: 24 * MIB, oomKills: 0 });
  t.same(membersOf(refused), [hog.pid]);
  t.ok(hog.running, 'and nobody was killed');
});

t.test('the largest processes by name, with what the kernel says they use', async (t) => {
  const hog = await startWorkload(t, 'memory_hog', { mib: 200 });
  await hog.ready();
  const rig = await startProbe(t, (c) => new HostProbe(c));
  const { attrs, value } = await rig.event('compute.consumers');
  const found = attrs.processes.find((one) => one.pid === hog.pid);
  t.match(found, { comm: 'memory_hog', swapBytes: 0 });
  t.equal(String(Math.floor((found?.start ?? 0) / 1e7)), startTicks(hog.pid));
  // The kernel itself is off by what CPUs have not added up yet.
  t.ok(Math.abs((found?.rssBytes ?? 0) - (rssBytes(hog.pid) ?? 0)) < 2 * MIB, `${found?.rssBytes} bytes`);
  t.ok((found?.rssBytes ?? 0) > 198 * MIB);
  t.ok(attrs.processes.length <= 20);
  t.ok(
    attrs.processes.every((one, i, all) => i === 0 || one.rssBytes <= (all[i - 1]?.rssBytes ?? 0)),
    'largest first',
  );
  t.ok(value >= attrs.processes.reduce((sum, one) => sum + one.rssBytes, 0));
  t.ok(attrs.availableBytes > 0);
});

t.test('pressure is told when it is high, once more when it has gone, and when asked for', async (t) => {
  const directory = t.testdir();
  const set = (share: string): void => {
    for (const resource of ['cpu', 'io', 'memory']) {
      const text = `some avg10=${share} avg60=0 avg300=0 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n`;
      writeFileSync(join(directory, resource), text);
    }
  };
  set('3.50');
  const rig = await startProbe(t, (c) => new HostProbe(c, { pressureDirectory: directory }));
  const told = () => rig.all('compute.pressure').map((e) => e.value);
  t.same(told(), [3.5], 'at start');
  rig.probe.pass(false);
  t.same(told(), [3.5], 'little is not told unless asked for');
  rig.probe.pass(true);
  t.same(told(), [3.5, 3.5]);
  set('42.25');
  await until(() => told().at(-1) === 42.25, { timeoutMs: 20_000, what: 'pressure' });
  set('0.00');
  await until(() => told().at(-1) === 0, { timeoutMs: 20_000, what: 'no pressure' });
  const last = rig.all('compute.pressure').at(-1);
  t.same(last?.attrs, { cpuSome: 0, ioSome: 0, ioFull: 0, memorySome: 0, memoryFull: 0 });
});

t.test('what works here, and a kernel without pressure information', async (t) => {
  const rig = await startProbe(t, (c) => new HostProbe(c));
  const checks = rig.probe.checks();
  t.match(checks[0], { name: 'probe host', status: 'ok', detail: 'groups by iter, memory by iter' });
  const groups = checks.find((check) => check.name === 'probe host/cgroups');
  t.match(groups, { status: 'ok' }, groups?.detail ?? 'cgroups');
  t.match(groups?.detail, /^(?:cpu in version [12]|no cpu controller), memory in version [12]$/);

  const empty = join(t.testdir(), 'none');
  mkdirSync(empty);
  const without = await startProbe(t, (c) => new HostProbe(c, { pressureDirectory: empty }));
  t.match(
    without.probe.checks().find((check) => check.name === 'probe host/pressure'),
    { status: 'degraded', detail: /CONFIG_PSI/ },
  );
  t.same(without.all('compute.pressure'), []);
  await without.probe.stop();
  await without.probe.stop();
  t.equal(without.probe.pass(true), false, 'no pass once it is stopped');
});
