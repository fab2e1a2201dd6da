/** The host's part: CPU taken by others or by a limit, memory at a limit, the OOM killer's reasons. */
import type { ThrottleAttrs } from '../../src/events/host.js';
import type { Story } from './build.js';
import { line, training } from './gpu-story.js';
import { table } from './table.js';

interface Use {
  readonly pid: number;
  readonly runShare: number;
  readonly delayShare?: number;
  readonly cpus?: number;
  readonly cpu?: number;
}

/** Four seconds in which each process had so much of a CPU, and waited so much for one. */
function compete(s: Story, uses: readonly Use[]): Story {
  for (let second = 0; second <= 4; second++) {
    for (const { pid, runShare, delayShare = 0, cpus = 1, cpu = 0 } of uses) {
      const runMs = second * 1_000 * runShare;
      const delayMs = second * 1_000 * delayShare;
      s.wait('wait.run', pid, `pid:${pid}`, { delayMs, cpus, cpu }, { runMs, forMs: 0 });
    }
    s.pass([]).later(1_000);
  }
  return s;
}

const THROTTLE: ThrottleAttrs = {
  quotaMs: 50,
  periodMs: 100,
  periods: 20,
  throttledPeriods: 18,
  throttledMs: 900,
  windowMs: 2_000,
  members: [{ pid: 10, start: 10_000 }],
};

/** 20 has the CPU, and 10 waits for it. */
const STARVED = [
  { pid: 10, runShare: 0.05, delayShare: 0.95 },
  { pid: 20, runShare: 0.95, delayShare: 0.05 },
];

table([
  {
    name: 'starved by one other process',
    tell: (s) => compete(s.seen(10).seen(20, { comm: 'hog' }), STARVED),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessBlocked/CpuStarved',
      root: 'pid:20',
      chain: ['pid:10', 'pid:20'],
      summary: /waits for a CPU 95 % of the time and gets 5 % of one; instead of it ran: 20 \(hog\) 95 %/,
    },
  },
  {
    name: 'starved, and its GPU has failed: no CPU brings that back',
    tell: (s) => compete(line(training(s).seen(20, { comm: 'hog' }), 0, 79), STARVED),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'GpuError/OffBus', root: 'gpu:0' },
  },
  {
    name: 'starved, and the GPU of another one has failed',
    tell: (s) => compete(line(training(s).seen(20, { comm: 'hog' }), 1, 79), STARVED),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessBlocked/CpuStarved', root: 'pid:20' },
  },
  {
    name: 'who has the CPU is fine',
    tell: (s) => compete(s.seen(10).seen(20), STARVED),
    ask: 20,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'a hog on another CPU is innocent',
    tell: (s) =>
      compete(s.seen(10).seen(20).seen(30), [
        { pid: 10, runShare: 0.1, delayShare: 0.9 },
        { pid: 20, runShare: 0.9, delayShare: 0.1 },
        { pid: 30, runShare: 1, cpu: 1 },
      ]),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessBlocked/CpuStarved',
      root: 'pid:20',
      chain: ['pid:10', 'pid:20'],
    },
  },
  {
    name: 'many of them: nobody is picked out',
    tell: (s) =>
      compete(s.seen(10).seen(20).seen(30).seen(40), [
        { pid: 10, runShare: 0.25, delayShare: 0.75 },
        { pid: 20, runShare: 0.25, delayShare: 0.75 },
        { pid: 30, runShare: 0.25, delayShare: 0.75 },
        { pid: 40, runShare: 0.25, delayShare: 0.75 },
      ]),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessBlocked/CpuStarved',
      root: 'pid:10',
      chain: ['pid:10', 'error:cpu/pid:10'],
      summary: /20 \(p20\) 25 %, 30 \(p30\) 25 %, 40 \(p40\) 25 %/,
    },
  },
  {
    name: 'a little contention is no finding',
    tell: (s) => compete(s.seen(10), [{ pid: 10, runShare: 0.7, delayShare: 0.2 }]),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'throttled by the limit of its cgroup',
    tell: (s) =>
      compete(s.seen(10, { cgroup: '/kubepods/x' }), [{ pid: 10, runShare: 0.5, delayShare: 0.5 }]).say(
        'compute.throttle',
        'cgroup:kubepods/x',
        900,
        THROTTLE,
        'host',
      ),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessBlocked/CpuThrottled',
      root: 'cgroup:kubepods/x',
      chain: ['pid:10', 'cgroup:kubepods/x', 'error:quota/cgroup:kubepods/x'],
      summary:
        /0\.50 CPUs \(50 ms each 100 ms\) and was throttled in 90 % of the periods: 900 ms lost in the last 2\.0 s/,
    },
  },
  {
    name: 'a member that sleeps is not held back',
    tell: (s) => s.seen(10).sleeps(10).say('compute.throttle', 'cgroup:kubepods/x', 900, THROTTLE, 'host'),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'let go when the throttling ends',
    tell: (s) =>
      compete(s.seen(10), [{ pid: 10, runShare: 0.6, delayShare: 0.15 }])
        .say('compute.throttle', 'cgroup:kubepods/x', 900, THROTTLE, 'host')
        .later(2_000)
        .say(
          'compute.throttle',
          'cgroup:kubepods/x',
          0,
          { ...THROTTLE, throttledPeriods: 0, throttledMs: 0, members: [] },
          'host',
        ),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'reclaims for memory.high',
    tell: (s) =>
      s
        .seen(10)
        .wait('wait.other', 10, 'pid:10', { what: 'the kernel', memStall: true }, { forMs: 1_500 })
        .say(
          'compute.memory',
          'cgroup:a/b',
          1024 ** 3,
          {
            usageBytes: 1024 ** 3,
            highBytes: 1024 ** 3,
            highEvents: 40,
            maxEvents: 0,
            oomEvents: 0,
            oomKills: 0,
            windowMs: 2_000,
            members: [{ pid: 10, start: 10_000 }],
          },
          'host',
        ),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessBlocked/MemoryLimit',
      root: 'cgroup:a/b',
      summary: /uses 1 GiB and has a memory\.high of 1 GiB: over it 40 times/,
    },
  },
  {
    name: 'the whole node is short of memory: the chain leads to whoever has the most',
    tell: (s) => {
      const processes = [{ pid: 20, start: 20_000, comm: 'cache', rssBytes: 9e10, swapBytes: 0 }];
      const pressure = { cpuSome: 1, ioSome: 5, ioFull: 5, memorySome: 70, memoryFull: 60 };
      s.seen(20, { comm: 'cache' })
        .say('compute.consumers', 'node', 9e10, { processes, totalBytes: 1e11, availableBytes: 1e8 }, 'host')
        .say('compute.pressure', 'node', 70, pressure, 'host')
        .seen(10)
        .wait('wait.other', 10, 'pid:10', { what: 'the kernel', memStall: true }, { forMs: 1_500 });
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessBlocked/MemoryPressure',
      root: 'pid:20',
      chain: ['pid:10', 'pid:20', 'error:memory/pid:20'],
    },
  },
  {
    name: 'the OOM killer, with the limit and the largest',
    tell: (s) =>
      s
        .seen(10)
        .say(
          'compute.consumers',
          'node',
          9e9,
          {
            processes: [{ pid: 10, start: 10_000, comm: 'p10', rssBytes: 500 * 1024 ** 2, swapBytes: 0 }],
            totalBytes: 9e9,
            availableBytes: 1e9,
          },
          'host',
        )
        .say(
          'process.oom_kill',
          'pid:10',
          0,
          {
            start: 10_000,
            comm: 'p10',
            rssBytes: 510 * 1024 ** 2,
            limitBytes: 512 * 1024 ** 2,
            usageBytes: 512 * 1024 ** 2,
            limited: '/kubepods/x',
          },
          'process',
          10,
        )
        .exited(10, { signal: 'SIGKILL' }),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessCrash/HostOom',
      root: 'pid:10',
      summary:
        /OOM killer while it had 510 MiB: cgroup \/kubepods\/x had used up its limit of 512 MiB; the largest on the node were 10 \(p10\) 500 MiB/,
    },
  },
]);
