/** The parts of probe `host` that need no kernel: pressure files, paths of groups, windows over counters. */
import t from 'tap';
import { pathIn, groupPath, versionsOf } from '../../src/probes/host-cgroups.js';
import type { CpuGroup, LimitedGroup, MemoryGroup } from '../../src/probes/host-records.js';
import { LimitWindows } from '../../src/probes/host-windows.js';
import { stallOf } from '../../src/probes/pressure.js';
import { fc } from '../lib/property.js';

t.test('pressure files, of every kernel', async (t) => {
  const text =
    'some avg10=26.77 avg60=24.44 avg300=19.14 total=3677985500\nfull avg10=1.50 avg60=0.00 avg300=0.00 total=0\n';
  t.same(stallOf(text), { some: 26.77, full: 1.5 });
  t.same(
    stallOf('some avg10=0.14 avg60=0.12 avg300=0.15 total=4\n'),
    { some: 0.14, full: 0 },
    'cpu before 5.13',
  );
  t.same(stallOf(''), { some: 0, full: 0 });
  t.same(stallOf('some avg10=nonsense avg60=1\nfull avg10='), { some: 0, full: 0 });
  fc.assert(
    fc.property(fc.string(), (any) => {
      const { some, full } = stallOf(any);
      return some >= 0 && some <= 100 && full >= 0 && full <= 100;
    }),
  );
});

t.test('paths of groups, by /proc/PID/cgroup', async (t) => {
  const text = '9:name=systemd:/\n4:memory:/pods/a:b/leaf\n1:cpu,cpuacct:/cpus\n0::/unified\n';
  t.equal(pathIn(text, 'memory'), '/pods/a:b/leaf');
  t.equal(pathIn(text, 'cpu'), '/cpus');
  t.equal(pathIn(text, 'blkio'), '/unified');
  t.equal(pathIn('0::/../../kubepods/x\n', 'cpu'), '/kubepods/x');
  t.equal(pathIn('', 'cpu'), undefined);

  const group = (name: string, levels: number): LimitedGroup => cpu({ name, levels });
  const read = (): string => '0::/kubepods.slice/pod.slice/crio.scope/init\n';
  t.equal(groupPath(group('crio.scope/init', 0), read), '/kubepods.slice/pod.slice/crio.scope/init');
  t.equal(groupPath(group('pod.slice/crio.scope', 1), read), '/kubepods.slice/pod.slice/crio.scope');
  t.equal(groupPath(group('kubepods.slice/pod.slice', 2), read), '/kubepods.slice/pod.slice');
  t.equal(groupPath(group('/kubepods.slice', 3), read), '/kubepods.slice');
  t.equal(groupPath(group('other/init', 0), read), undefined, 'it has moved');
  t.equal(
    groupPath(group('/x', 0), () => undefined),
    undefined,
    'it has gone',
  );
  const long = `${'p'.repeat(80)}/${'ä'.repeat(40)}`;
  t.equal(
    groupPath(group(`${'p'.repeat(63)}/${'ä'.repeat(31)}`, 0), () => `0::/${long}\n`),
    `/${long}`,
    'names that the kernel part has cut',
  );
  t.equal(
    versionsOf('#subsys_name\thierarchy\tnum\tenabled\ncpu\t0\t1\t1\nmemory\t4\t1\t1\n'),
    'cpu in version 2, memory in version 1',
  );
  t.equal(versionsOf(''), 'no cpu controller, no memory controller');
});

const OLD = [{ pid: 7, start: 1 }];
const YOUNG = [{ pid: 7, start: 1e15 }];

function cpu(fields: Partial<CpuGroup>): CpuGroup {
  return {
    kind: 'cpu',
    id: 1,
    name: 'a/b',
    levels: 0,
    quotaMs: 20,
    periodMs: 100,
    counts: { periods: 0, throttledPeriods: 0, throttledMs: 0 },
    members: [...OLD],
    ...fields,
  };
}

function counted(throttledPeriods: number, members = OLD): Map<string, LimitedGroup> {
  const counts = { periods: 2 * throttledPeriods, throttledPeriods, throttledMs: 80 * throttledPeriods };
  return new Map([['cpu:1', cpu({ counts, members: [...members] })]]);
}

const NONE: ReadonlyMap<string, LimitedGroup> = new Map();

t.test('windows: counters from before are no news, those of a new group are', async (t) => {
  const windows = new LimitWindows(() => '/a/b');
  t.same(windows.pass(counted(100), 10_000, 0), [], 'first sight');
  const [event] = windows.pass(counted(103), 12_000, 0);
  t.match(event, {
    entity: 'cgroup:/a/b',
    value: 240,
    attrs: { periods: 6, throttledPeriods: 3, throttledMs: 240, windowMs: 2000 },
  });

  const later = new LimitWindows(() => undefined);
  t.same(later.pass(NONE, 10_000, 0), []);
  const [young] = later.pass(counted(5, YOUNG), 12_000, 0);
  t.match(young, { entity: 'cgroup:a/b', attrs: { throttledPeriods: 5, windowMs: 2000 } });
  const other = new LimitWindows(() => undefined);
  other.pass(NONE, 10_000, 0);
  t.same(other.pass(counted(5), 12_000, 0), [], 'its processes are older than the last pass');
});

t.test('windows: a question right after a pass; and the last word', async (t) => {
  const windows = new LimitWindows(() => '/a/b');
  windows.pass(counted(0), 0, 0);
  windows.pass(counted(10), 2000, 0);
  t.match(windows.pass(NONE, 2080, 0)[0]?.attrs, { throttledPeriods: 10, windowMs: 2080 });
  t.match(windows.pass(counted(11), 2090, 0)[0]?.attrs, { throttledPeriods: 11, windowMs: 2090 });
  t.match(windows.pass(NONE, 4000, 0)[0]?.attrs, { throttledPeriods: 1, windowMs: 2000 });
  t.match(windows.pass(NONE, 6000, 0)[0]?.attrs, { throttledPeriods: 0, throttledMs: 0, windowMs: 2000 });
  t.same(windows.pass(NONE, 8000, 0), []);
});

t.test('windows: memory near its limit', async (t) => {
  const windows = new LimitWindows(() => '/m');
  const memory = (usageBytes: number): Map<string, LimitedGroup> => {
    const group: MemoryGroup = {
      kind: 'memory',
      id: 1,
      name: 'm',
      levels: 0,
      usageBytes,
      limitBytes: 100,
      highBytes: undefined,
      counts: { highEvents: 0, maxEvents: 7, oomEvents: 0, oomKills: 0 },
      members: [...OLD],
    };
    return new Map([['memory:1', group]]);
  };
  t.same(windows.pass(memory(50), 0, 0), []);
  t.match(windows.pass(memory(96), 2000, 0)[0], { value: 96, attrs: { maxEvents: 0, members: OLD } });
  t.match(windows.pass(NONE, 2500, 0)[0], { value: 96 }, 'not told again within a second: it still is');
  t.match(windows.pass(memory(40), 4000, 0)[0], { value: 40, attrs: { members: OLD } });
  t.same(windows.pass(NONE, 6000, 0), []);
  windows.pass(memory(99), 8000, 0);
  t.match(windows.pass(NONE, 10_000, 0)[0], { value: 0, attrs: { members: [] } }, 'it has gone');
});

t.test('windows: whatever the counters do, sums agree', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(50), fc.integer({ min: 1000, max: 5000 })), { maxLength: 30 }),
      (steps) => {
        const windows = new LimitWindows(() => '/a/b');
        windows.pass(counted(0), 0, 0);
        let [total, ts, told] = [0, 0, 0];
        for (const [more, ms] of steps) {
          total += more;
          ts += ms;
          const events = windows.pass(more === 0 ? NONE : counted(total), ts, 0);
          for (const event of events)
            if (event.type === 'compute.throttle') told += event.attrs.throttledPeriods;
        }
        return told === total;
      },
    ),
  );
});
