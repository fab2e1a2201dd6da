/**
 * Random lives of a small node: few pids, pipes, flows and locks, so that events meet. Names and times
 * are plausible, the order is not: exits before forks, waits of the dead, reused pids, time jumps.
 */
import { closedWindow, flow, idOf, reversed, type Story, stuck } from './build.js';
import { device, GIB, health, line, nvml, opened, state, use, users } from './gpu-story.js';
import * as rdma from './rdma-story.js';
import { fc } from '../lib/property.js';

/** One thing that happens, told to a story. */
export type Deed = (story: Story) => void;

const pid = fc.integer({ min: 1, max: 6 });
/** Also of threads that are some process's main one. */
const tid = fc.integer({ min: 1, max: 12 });
const small = fc.integer({ min: 1, max: 3 });
const forMs = fc.constantFrom(0, 50, 1_500, 5_000, 60_000);
const start = fc.constantFrom(1_000, 2_000, 3_000);
const some = fc.array(pid, { maxLength: 4 });
const numbers = fc.tuple(small, fc.constantFrom('well', 'stuck', 'closed', 'lossy', 'reverse'));
const entity = fc.oneof(
  small.map((n) => `pipe:${n}`),
  small.map((n) => `unix:${n}`),
  small.map((n) => idOf(flow(n))),
  small.map((n) => `file:8:1/${n}`),
);

function flowFor(story: Story, [n, how]: readonly [number, string]): ReturnType<typeof flow> {
  const attrs = story.owner(flow(n), n);
  switch (how) {
    case 'stuck':
      return stuck(attrs, story.now - 3_000);
    case 'closed':
      return closedWindow(attrs);
    case 'lossy':
      return { ...attrs, retransmits: 7, totalRetrans: 7 };
    case 'reverse':
      return stuck(reversed(attrs), story.now - 3_000);
    default:
      return attrs;
  }
}

const waitDeeds: fc.Arbitrary<Deed>[] = [
  fc.tuple(pid, fc.option(tid), forMs, fc.nat({ max: 2_000 })).chain(([p, t, ms, runMs]) => {
    const spec = { ...(t !== null && { tid: t }), forMs: ms, runMs };
    return fc.oneof(
      fc.constant<Deed>((s) => s.runs(p, spec)),
      fc.constant<Deed>((s) => s.wait('wait.run', p, `pid:${p}`, { cpu: 0, cpus: 2 }, spec)),
      fc.constant<Deed>((s) => s.sleeps(p, spec)),
      fc.constant<Deed>((s) => s.futex(p, spec)),
      fc.constant<Deed>((s) => s.accepts(p, spec)),
      fc.constant<Deed>((s) => s.stopped(p, spec)),
      fc.constant<Deed>((s) => s.frozen(p, spec)),
      fc.constant<Deed>((s) => s.disk(p, 'sda', spec)),
      fc.constant<Deed>((s) => s.other(p, 'io_uring', spec)),
      tid.map<Deed>((by) => (s) => s.traced(p, by, spec)),
      fc.tuple(small, tid).map<Deed>(
        ([address, owner]) =>
          (s) =>
            s.lock(p, address, owner, spec),
      ),
      tid.map<Deed>((other) => (s) => s.joins(p, other, spec)),
      small.map<Deed>((n) => (s) => s.reads(p, n, spec)),
      small.map<Deed>((n) => (s) => s.writes(p, n, spec)),
      small.map<Deed>((n) => (s) => s.unix(p, n, spec)),
      small.map<Deed>((n) => (s) => s.fileLock(p, n, spec)),
      numbers.map<Deed>((which) => (s) => s.receives(p, flowFor(s, which), spec)),
      numbers.map<Deed>((which) => (s) => s.sends(p, flowFor(s, which), spec)),
      fc.option(pid).map<Deed>((child) => (s) => s.waitsForChild(p, child ?? 0, spec)),
      fc.tuple(numbers, entity).map<Deed>(
        ([which, member]) =>
          (s) =>
            s.polls(p, [flowFor(s, which), member, 'eventfd'], spec),
      ),
    );
  }),
];

/** What the kernel log says, of numbers that are anybody's. */
const logDeeds: fc.Arbitrary<Deed>[] = [
  fc
    .tuple(
      tid,
      fc.constantFrom('hung-task', 'soft-lockup', 'rcu-stall', 'oom', 'bug'),
      fc.constantFrom('cpu:0', 'cpu:1', 'node'),
    )
    .map<Deed>(
      ([n, kind, cpu]) =>
        (s) =>
          s.say('error.kernel', cpu, 1, { class: kind, message: kind, seconds: 2 }, 'kmsg', n),
    ),
  fc.tuple(tid, fc.constantFrom('node', 'cpu:0', 'net:eth0')).map<Deed>(
    ([n, entity]) =>
      (s) =>
        s.say(
          'error.hw',
          entity,
          1,
          {
            class: 'mce',
            severity: 'uncorrected',
            message: 'x',
            about: [`pid:${n}`, 'block:sda', 'net:eth0'],
          },
          'kmsg',
        ),
  ),
  fc
    .constantFrom('topo.link_down', 'topo.link_up')
    .map<Deed>((type) => (s) => s.say(type, 'net:eth0', 1, { message: 'x' }, 'kmsg')),
];

/** GPUs that fail, fill up, are used by whoever; by number and by address. */
const gpu = fc.nat({ max: 1 });
const gpuDeeds: fc.Arbitrary<Deed>[] = [
  gpu.map<Deed>((n) => (s) => device(s, n)),
  fc.tuple(gpu, some, fc.nat({ max: 40 })).map<Deed>(
    ([n, pids, gib]) =>
      (s) =>
        users(s, n, ...[...new Set(pids)].map((p) => [p, gib + p] as const)),
  ),
  fc.tuple(gpu, some).map<Deed>(
    ([n, pids]) =>
      (s) =>
        opened(s, n, ...new Set(pids)),
  ),
  fc.tuple(gpu, fc.constantFrom(1, 40, 79)).map<Deed>(
    ([n, gib]) =>
      (s) =>
        use(s, n, { usedBytes: gib * GIB, gpuPercent: gib, throttle: gib === 40 ? ['hw-thermal'] : [] }),
  ),
  fc.tuple(gpu, fc.nat({ max: 2 }), fc.boolean()).map<Deed>(
    ([n, errors, up]) =>
      (s) =>
        health(s, n, { uncorrectedVolatile: errors, remapPending: !up, links: [{ link: 1, up }] }),
  ),
  fc.tuple(gpu, fc.constantFrom('ok', 'lost', 'hung', 'gone', 'reloaded')).map<Deed>(
    ([n, now]) =>
      (s) =>
        state(s, n, { state: now, was: 'lost' }),
  ),
  fc.tuple(gpu, fc.constantFrom(13, 31, 43, 45, 48, 63, 79, 94, 154), fc.option(pid)).map<Deed>(
    ([n, code, p]) =>
      (s) =>
        line(s, n, code, p === null ? {} : { pid: p }),
  ),
  fc.tuple(gpu, fc.constantFrom(48, 79)).map<Deed>(
    ([n, code]) =>
      (s) =>
        nvml(s, n, code),
  ),
];

/** Queue pairs of whoever, on three devices, connected to each other or elsewhere; numbers and processes are used again. */
const end: fc.Arbitrary<rdma.End> = fc.record({
  pid,
  device: fc.constantFrom('rxe0', 'rxe1', 'mlx5_0'),
  qpn: fc.integer({ min: 17, max: 19 }),
  generation: fc.integer({ min: 1, max: 2 }),
});
const statuses = [
  'RETRY_EXC_ERR',
  'RNR_RETRY_EXC_ERR',
  'REM_ACCESS_ERR',
  'LOC_QP_OP_ERR',
  'WR_FLUSH_ERR',
] as const;
const rdmaDeeds: fc.Arbitrary<Deed>[] = [
  fc.tuple(end, end).map<Deed>(
    ([a, b]) =>
      (s) =>
        rdma.pair(s, a, b),
  ),
  end.map<Deed>((a) => (s) => rdma.remote(s, a)),
  fc.tuple(end, fc.constantFrom('RESET', 'INIT', 'RTS', 'ERR', 'SQE')).map<Deed>(
    ([a, to]) =>
      (s) =>
        rdma.qp(s, a, { state: to, change: to === 'SQE' ? 'error' : 'modify' }),
  ),
  end.map<Deed>((a) => (s) => rdma.qp(s, a, { state: 'INIT', errno: 'ETIMEDOUT' })),
  fc.tuple(end, fc.constantFrom(1_000, 4_000)).map<Deed>(
    ([a, ms]) =>
      (s) =>
        rdma.unanswered(s, a, ms),
  ),
  end.map<Deed>((a) => (s) => rdma.notReady(s, a, 3_000)),
  end.map<Deed>((a) => (s) => rdma.lossy(s, a, 4)),
  fc.tuple(end, fc.constantFrom(...statuses)).map<Deed>(
    ([a, status]) =>
      (s) =>
        rdma.failed(s, a, status),
  ),
  fc.tuple(end, fc.boolean()).map<Deed>(
    ([a, exiting]) =>
      (s) =>
        rdma.destroyed(s, a, exiting),
  ),
  fc
    .tuple(
      fc.constantFrom('rxe0', 'rxe1', 'mlx5_0'),
      fc.constantFrom('ACTIVE', 'DOWN', 'INIT', 'GONE', 'NOP'),
      fc.boolean(),
    )
    .map<Deed>(
      ([on, now, same]) =>
        (s) =>
          rdma.port(s, on, { state: now, ...(same && { netdev: 'eth0' }) }),
    ),
  fc
    .tuple(fc.constantFrom('rxe0', 'mlx5_0'), fc.constantFrom('PORT_ERR', 'PORT_ACTIVE', 'DEVICE_FATAL'))
    .map<Deed>(
      ([on, what]) =>
        (s) =>
          rdma.async(s, rdma.portOf(on), on, what, 1),
    ),
  end.map<Deed>((a) => (s) => rdma.async(s, rdma.idOf(a), a.device, 'QP_FATAL')),
  fc
    .tuple(
      fc.constantFrom('rxe0', 'mlx5_0'),
      fc.constantFrom('timeouts', 'rnrReceived', 'gaveUp', 'outOfOrder', 'cnpHandled', 'linkErrors'),
    )
    .map<Deed>(
      ([on, name]) =>
        (s) =>
          rdma.grew(rdma.grew(s, on, { [name]: 900 }).later(1_000), on, { [name]: 900 }),
    ),
  end.map<Deed>((a) => (s) => rdma.posts(s, a, { outstanding: 2, oldest: s.now - 5_000 })),
  fc.tuple(pid, fc.constantFrom('UNREACHABLE', 'REJECTED', 'ESTABLISHED')).map<Deed>(
    ([p, what]) =>
      (s) =>
        rdma.cm(s, p, what),
  ),
  fc.tuple(pid, forMs).map<Deed>(
    ([p, ms]) =>
      (s) =>
        rdma.sleepsOnChannel(s, p, ms),
  ),
  pid.map<Deed>((p) => (s) => rdma.spins(s, p, [1, 2, 3, 4, 5, 6])),
];

/** A filesystem that comes and goes, fills and is emptied. */
const MOUNT = { fsType: 'ext4', mountPoint: '/data', under: ['block:sda'], readOnly: false };
const storageDeeds: fc.Arbitrary<Deed>[] = [
  fc.tuple(fc.constantFrom('8:1', '8:2'), fc.constantFrom({}, {}, { gone: true as const })).map<Deed>(
    ([dev, more]) =>
      (s) =>
        s.say('storage.mount', 'fs:/data', 0, { ...MOUNT, dev, ...more }, 'filesystem'),
  ),
  fc
    .constantFrom(40, 100)
    .map<Deed>(
      (percent) => (s) =>
        s.say(
          'storage.space',
          'fs:/data',
          percent,
          { sizeBytes: 1_000, freeBytes: 1_000 - 10 * percent, inodes: 0, freeInodes: 0 },
          'filesystem',
        ),
    ),
];

const otherDeeds: fc.Arbitrary<Deed>[] = [
  fc.tuple(pid, start, fc.option(pid)).chain(([p, at, ppid]) => {
    const spec = { start: at, ...(ppid !== null && { ppid }) };
    return fc.constantFrom<Deed>(
      (s) => s.seen(p, spec),
      (s) => s.forked(p, spec),
      (s) => s.execed(p, spec),
      (s) => s.forked(p, { ...spec, job: { rank: p, because: 'gpu' } }),
    );
  }),
  pid.map<Deed>((p) => (s) => s.oomKilled(p, '/x')),
  fc
    .tuple(
      pid,
      fc.constantFrom(
        { code: 0 },
        { code: 3 },
        { code: 3, wrote: ['8:1'] },
        { signal: 'SIGKILL' },
        { signal: 'SIGTERM' },
        { signal: 'SIGABRT', wrote: ['8:1', '8:2'] },
      ),
    )
    .map<Deed>(
      ([p, how]) =>
        (s) =>
          s.exited(p, how),
    ),
  fc.tuple(entity, some).map<Deed>(
    ([id, pids]) =>
      (s) =>
        s.holders(id, ...pids),
  ),
  fc.array(tid, { maxLength: 12 }).map<Deed>((same) => (s) => s.pass(same)),
  fc
    .tuple(
      numbers,
      fc.constantFrom(
        'transport.state',
        'transport.timeout',
        'transport.retransmit',
        'transport.zero_window',
        'transport.recovered',
        'transport.connect',
        'transport.connect_failed',
        'transport.reset',
        'transport.close',
      ),
    )
    .map<Deed>(
      ([which, type]) =>
        (s) =>
          s.transport(type, flowFor(s, which), 1),
    ),
  ...storageDeeds,
  ...logDeeds,
  ...gpuDeeds,
  ...rdmaDeeds,
  fc.constantFrom(0, 1, 400, 1_000, 4_000, 700_000).map<Deed>((ms) => (s) => s.later(ms)),
];

/** Waits are what is sampled most. */
export const deeds: fc.Arbitrary<readonly Deed[]> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.oneof(...waitDeeds) },
    { weight: 2, arbitrary: fc.oneof(...otherDeeds) },
  ),
  { maxLength: 120, size: 'max' },
);

export const PIDS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] as const;
