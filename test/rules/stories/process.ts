/** ProcessBlocked. */
import type { ThrottleAttrs } from '../../../src/events/host.js';
import type { Story } from '../../scene/build.js';
import { type RuleStories, told } from './story.js';

interface Use {
  readonly pid: number;
  readonly runShare: number;
  readonly delayShare: number;
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

/** Four seconds in which each had so much of one CPU, and waited so much for it. */
function compete(s: Story, uses: readonly Use[]): Story {
  for (let second = 0; second <= 4; second++) {
    for (const { pid, runShare, delayShare } of uses) {
      const runMs = second * 1_000 * runShare;
      const delayMs = second * 1_000 * delayShare;
      s.wait('wait.run', pid, `pid:${pid}`, { delayMs, cpus: 1, cpu: 0 }, { runMs, forMs: 0 });
    }
    s.pass([]).later(1_000);
  }
  return s;
}

function hog(s: Story): Story {
  return compete(s.seen(10, { comm: 'trainer' }).seen(20, { comm: 'backup' }), [
    { pid: 10, runShare: 0.05, delayShare: 0.95 },
    { pid: 20, runShare: 0.95, delayShare: 0.05 },
  ]);
}

function crowd(s: Story): Story {
  for (const pid of [10, 20, 30, 40]) s.seen(pid);
  return compete(
    s,
    [10, 20, 30, 40].map((pid) => ({ pid, runShare: 0.25, delayShare: 0.75 })),
  );
}

function throttled(s: Story): Story {
  return compete(s.seen(10, { cgroup: '/kubepods/x' }), [{ pid: 10, runShare: 0.5, delayShare: 0.5 }]).say(
    'compute.throttle',
    'cgroup:kubepods/x',
    900,
    THROTTLE,
    'host',
  );
}

function reclaims(s: Story): Story {
  return s
    .seen(10)
    .wait('wait.other', 10, 'pid:10', { what: 'the kernel', memStall: true }, { forMs: 1_500 });
}

function atLimit(s: Story): Story {
  return reclaims(s).say(
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
  );
}

function nodeShort(s: Story): Story {
  const processes = [{ pid: 20, start: 20_000, comm: 'cache', rssBytes: 9e10, swapBytes: 0 }];
  s.seen(20, { comm: 'cache' });
  s.say('compute.consumers', 'node', 9e10, { processes, totalBytes: 1e11, availableBytes: 1e8 }, 'host');
  const attrs = { cpuSome: 1, ioSome: 5, ioFull: 5, memorySome: 70, memoryFull: 60 };
  return reclaims(s.say('compute.pressure', 'node', 70, attrs, 'host'));
}

/** The trainer reads what its loader should write. */
function pipe(s: Story): Story {
  return s.seen(10, { comm: 'trainer' }).seen(20, { comm: 'loader' }).reads(10, 7).holders('pipe:7', 20);
}

function threads(s: Story): Story {
  return s.seen(10).futex(10).futex(10, { tid: 11 });
}

function locks(s: Story): Story {
  return threads(s).lock(10, 1, 11).lock(10, 2, 10, { tid: 11 }).pass();
}

function pipes(s: Story): Story {
  return s.seen(10).seen(20).reads(10, 7).reads(20, 8).holders('pipe:7', 20).holders('pipe:8', 10);
}

function hung(s: Story, message = true): Story {
  s.seen(10);
  if (message) {
    const line = 'INFO: task p10:10 blocked for more than 122 seconds.';
    s.now -= 8_000;
    s.say('error.kernel', 'pid:10', 1, { class: 'hung-task', message: line, seconds: 122 }, 'kmsg', 10);
    s.later(8_000);
  }
  return s.other(10, 'the kernel', { forMs: 130_000 });
}

function lockedUp(s: Story, forMs: number): Story {
  s.seen(10);
  s.now -= 5_000;
  const message = 'watchdog: BUG: soft lockup - CPU#3 stuck for 35s! [p10:10]';
  s.say('error.kernel', 'cpu:3', 1, { class: 'soft-lockup', message, seconds: 35 }, 'kmsg', 10);
  return s.later(5_000).wait('wait.run', 10, 'pid:10', { cpu: 3, cpus: 2 }, { forMs });
}

export const PROCESS_STORIES: readonly RuleStories[] = [
  {
    rule: 'deadlock-of-locks',
    hit: told(10, 'ProcessBlocked/Deadlock', locks),
    miss: told(10, 'ProcessBlocked/Deadlock', pipes),
  },
  {
    rule: 'deadlock-of-pipes',
    hit: told(10, 'ProcessBlocked/Deadlock', pipes),
    miss: told(10, 'ProcessBlocked/Deadlock', locks),
  },
  {
    rule: 'lock-taken-twice',
    hit: told(10, 'ProcessBlocked/Deadlock', (s) => s.seen(10).futex(10).lock(10, 1, 10)),
    miss: told(10, 'ProcessBlocked/Deadlock', locks),
  },
  {
    rule: 'stopped-by-signal',
    hit: told(10, 'ProcessBlocked/Stopped', (s) => pipe(s).stopped(20)),
    miss: told(10, 'ProcessBlocked/Stopped', (s) => s.seen(10, { cgroup: '/kubepods/x' }).frozen(10)),
  },
  {
    rule: 'held-by-a-debugger',
    hit: told(10, 'ProcessBlocked/Stopped', (s) => pipe(s).traced(20, 99)),
    miss: told(10, 'ProcessBlocked/Stopped', (s) => pipe(s).stopped(20)),
  },
  {
    rule: 'frozen-by-cgroup',
    hit: told(10, 'ProcessBlocked/Stopped', (s) => s.seen(10, { cgroup: '/kubepods/x' }).frozen(10)),
    miss: told(10, 'ProcessBlocked/Stopped', (s) => s.seen(10).stopped(10)),
  },
  {
    rule: 'waits-on-idle-process',
    hit: told(10, 'ProcessBlocked/WaitsOnPeer', (s) => pipe(s).sleeps(20)),
    miss: told(10, 'ProcessBlocked/WaitsOnPeer', (s) => {
      pipe(s).runs(20, { runMs: 0 }).pass();
      s.later(1_000).runs(20, { runMs: 900 }).pass([10]);
    }),
  },
  {
    rule: 'waits-on-busy-process',
    hit: told(10, 'ProcessBlocked/WaitsOnPeer', (s) => {
      pipe(s).runs(20, { runMs: 0 }).pass();
      s.later(1_000).runs(20, { runMs: 900 }).pass([10]);
    }),
    miss: told(10, 'ProcessBlocked/WaitsOnPeer', (s) => pipe(s).sleeps(20)),
  },
  {
    rule: 'waits-on-one-of-several',
    hit: told(10, 'ProcessBlocked/WaitsOnPeer', (s) => {
      for (const pid of [10, 20, 21, 22]) s.seen(pid);
      s.reads(10, 7).sleeps(20).sleeps(21).sleeps(22).holders('pipe:7', 20, 21, 22);
    }),
    miss: told(10, 'ProcessBlocked/WaitsOnPeer', (s) => pipe(s).sleeps(20)),
  },
  {
    rule: 'lock-held',
    hit: told(10, 'ProcessBlocked/LockHeld', (s) => threads(s).sleeps(10, { tid: 11 }).lock(10, 1, 11)),
    miss: told(10, 'ProcessBlocked/Deadlock', locks),
  },
  {
    rule: 'joins-a-thread',
    hit: told(10, 'ProcessBlocked/Join', (s) => threads(s).sleeps(10, { tid: 11 }).joins(10, 11)),
    miss: told(10, 'ProcessBlocked/LockHeld', (s) => threads(s).sleeps(10, { tid: 11 }).lock(10, 1, 11)),
  },
  {
    rule: 'kernel-lockup',
    hit: told(10, 'ProcessBlocked/KernelLockup', (s) => lockedUp(s, 40_000)),
    miss: told(10, 'healthy', (s) => lockedUp(s, 2_000)),
  },
  {
    rule: 'hung-task',
    hit: told(10, 'ProcessBlocked/HungTask', (s) => hung(s)),
    miss: told(10, 'unknown', (s) => hung(s, false)),
  },
  {
    rule: 'cpu-taken-by-another',
    hit: told(10, 'ProcessBlocked/CpuStarved', hog),
    miss: told(10, 'ProcessBlocked/CpuStarved', crowd),
  },
  {
    rule: 'cpu-oversubscribed',
    hit: told(10, 'ProcessBlocked/CpuStarved', crowd),
    miss: told(10, 'ProcessBlocked/CpuStarved', hog),
  },
  {
    rule: 'cpu-limit',
    hit: told(10, 'ProcessBlocked/CpuThrottled', throttled),
    miss: told(10, 'healthy', (s) =>
      s.seen(10).sleeps(10).say('compute.throttle', 'cgroup:kubepods/x', 900, THROTTLE, 'host'),
    ),
  },
  {
    rule: 'memory-limit',
    hit: told(10, 'ProcessBlocked/MemoryLimit', atLimit),
    miss: told(10, 'ProcessBlocked/MemoryPressure', nodeShort),
  },
  {
    rule: 'memory-short-on-node',
    hit: told(10, 'ProcessBlocked/MemoryPressure', nodeShort),
    miss: told(10, 'ProcessBlocked/MemoryLimit', atLimit),
  },
];
