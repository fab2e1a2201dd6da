/** `why` where the process itself tells: deadlocks, locks, devices, sleep, and its end. */
import t from 'tap';
import { lockId } from '../../src/events/ids.js';
import { Story } from './build.js';
import { table } from './table.js';

const DEADLOCK = 'ProcessBlocked/Deadlock';
const L1 = lockId(10, 1);
const L2 = lockId(10, 2);
const L3 = lockId(10, 3);

/** Samples of the threads are there before what they wait for is judged: owners are looked up by tid. */
function threads(story: Story, ...tids: readonly number[]): Story {
  story.seen(10);
  for (const tid of tids) story.futex(10, { tid });
  return story;
}

table([
  {
    name: 'two threads take two locks in opposite order',
    tell: (s) => threads(s, 10, 11).lock(10, 1, 11).lock(10, 2, 10, { tid: 11 }).pass(),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: DEADLOCK,
      root: L1,
      chain: ['pid:10', L1, 'pid:10', L2, 'pid:10'],
      confidence: 0.97,
      summary:
        /^deadlock for 5(\.0)? s: thread 10 \(p10\) waits for lock:10\/0x1, thread 11 \(t11\) waits for/,
    },
  },
  {
    name: 'a deadlock of other threads while the main thread waits on a condition',
    tell: (s) => {
      threads(s, 10, 11, 12).lock(10, 1, 12, { tid: 11 }).lock(10, 2, 11, { tid: 12 }).pass();
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: DEADLOCK, root: L1 },
  },
  {
    name: 'a deadlock is one even while another thread is busy',
    tell: (s) => {
      threads(s, 10, 11, 12).lock(10, 1, 12, { tid: 11 }).lock(10, 2, 11, { tid: 12 });
      s.runs(10, { runMs: 0 }).pass();
      s.later(1_000).runs(10, { runMs: 900 }).pass([11, 12]);
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: DEADLOCK, root: L1 },
  },
  {
    name: 'three threads and three locks',
    tell: (s) => {
      threads(s, 10, 11, 12).lock(10, 1, 11).lock(10, 2, 12, { tid: 11 }).lock(10, 3, 10, { tid: 12 });
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: DEADLOCK,
      root: L1,
      chain: ['pid:10', L1, 'pid:10', L2, 'pid:10', L3, 'pid:10'],
    },
  },
  {
    name: 'a thread that takes its own lock again',
    tell: (s) => threads(s, 10).lock(10, 1, 10),
    ask: 10,
    expect: { verdict: 'cause-found', scene: DEADLOCK, root: L1, chain: ['pid:10', L1, 'pid:10'] },
  },
  {
    name: 'one sample proves no deadlock',
    tell: (s) => threads(s, 10, 11).lock(10, 1, 11, { forMs: 0 }).lock(10, 2, 10, { tid: 11, forMs: 0 }),
    ask: 10,
    expect: { verdict: 'unknown', chain: ['pid:10', L1, 'pid:10', L2, 'pid:10'] },
  },
  {
    name: 'two processes read from each other over pipes',
    tell: (s) => s.seen(10).seen(20).reads(10, 7).reads(20, 8).holders('pipe:7', 20).holders('pipe:8', 10),
    ask: 20,
    expect: { verdict: 'cause-found', scene: DEADLOCK, root: 'pipe:7', confidence: 0.85 },
  },
  {
    name: 'over sockets it only looks like one',
    tell: (s) => s.seen(10).seen(20).unix(10, 7).unix(20, 8).holders('unix:7', 20).holders('unix:8', 10),
    ask: 10,
    expect: { verdict: 'cause-found', scene: DEADLOCK, root: 'unix:7', confidence: 0.6 },
  },
  {
    name: 'no deadlock where another thread could serve the pipe',
    tell: (s) => {
      s.seen(10).seen(20).reads(10, 7).sleeps(10, { tid: 11 }).reads(20, 8);
      s.holders('pipe:7', 20).holders('pipe:8', 10);
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessBlocked/WaitsOnPeer', root: 'pid:10', confidence: 0.65 },
  },
  {
    name: 'joins a thread that sleeps',
    tell: (s) => threads(s, 10, 11).sleeps(10, { tid: 11 }).joins(10, 11),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessBlocked/Join', root: 'pid:10', confidence: 0.8 },
  },
  {
    name: 'a lock whose holder sleeps',
    tell: (s) => threads(s, 10, 11).sleeps(10, { tid: 11 }).lock(10, 1, 11),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessBlocked/LockHeld',
      root: 'pid:10',
      chain: ['pid:10', L1, 'pid:10'],
      confidence: 0.8,
      summary: /^thread 11 \(t11\) holds the lock: it sleeps in clock_nanosleep$/,
    },
  },
  {
    name: 'a lock whose holder computes',
    tell: (s) => threads(s, 10, 11).runs(10, { tid: 11 }).lock(10, 1, 11),
    ask: 10,
    expect: {
      verdict: 'healthy',
      summary: /^makes progress: its main thread waits for a lock .* while others run$/,
    },
  },
  {
    name: '… which is what a thread of another process that waits for it is told, too',
    tell: (s) => {
      threads(s, 10, 11).runs(10, { tid: 11 }).lock(10, 1, 11).seen(20).reads(20, 7).holders('pipe:7', 10);
    },
    ask: 20,
    expect: { verdict: 'cause-found', scene: 'ProcessBlocked/WaitsOnPeer', root: 'pid:10', confidence: 0.65 },
  },
  {
    name: 'a lock waited for only a moment',
    tell: (s) => threads(s, 10, 11).runs(10, { tid: 11 }).lock(10, 1, 11, { forMs: 20 }),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'a lock whose holder was not sampled',
    tell: (s) => threads(s, 10).lock(10, 1, 77),
    ask: 10,
    expect: { verdict: 'unknown', chain: ['pid:10', L1] },
  },
  {
    name: 'a condition that nobody is known to signal',
    tell: (s) => s.seen(10).futex(10),
    ask: 10,
    expect: { verdict: 'unknown', chain: ['pid:10', 'futex:10/0x10'] },
  },
  {
    name: 'decoy: an idle event loop',
    tell: (s) => s.seen(10).polls(10, ['listener', 'eventfd']),
    ask: 10,
    expect: { verdict: 'healthy', confidence: 0.6 },
  },
  {
    name: 'decoy: a server that waits for connections',
    tell: (s) => s.seen(10).accepts(10),
    ask: 10,
    expect: { verdict: 'healthy', summary: /^idle: waits for connections$/ },
  },
  {
    name: 'decoy: a process that sleeps',
    tell: (s) => s.seen(10).sleeps(10),
    ask: 10,
    expect: { verdict: 'healthy', summary: /^idle: sleeps in clock_nanosleep$/ },
  },
  {
    name: 'in D state for a moment',
    tell: (s) => s.seen(10).disk(10, 'nvme0n1', { forMs: 300 }),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'in D state for longer than usual: ask again',
    tell: (s) => s.seen(10).disk(10, 'nvme0n1', { forMs: 1_200 }),
    ask: 10,
    expect: { verdict: 'symptom-only', scene: 'StorageSlow/Device', chain: ['pid:10', 'block:nvme0n1'] },
  },
  {
    name: 'in D state for so long that the device does not answer',
    tell: (s) => s.seen(10).disk(10, 'nvme0n1'),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'StorageSlow/Device',
      root: 'block:nvme0n1',
      chain: ['pid:10', 'block:nvme0n1', 'error:latency/block:nvme0n1'],
      confidence: 0.8,
    },
  },
  {
    name: 'any other wait is unknown, with its name',
    tell: (s) => s.seen(10).other(10, 'io_uring'),
    ask: 10,
    expect: { verdict: 'unknown', summary: /io_uring/ },
  },
  {
    name: 'not sampled yet',
    tell: (s) => s.seen(10),
    ask: 10,
    expect: { verdict: 'unknown', chain: [] },
  },
  {
    name: 'exited with a code',
    tell: (s) => s.seen(10).later(10).exited(10, { code: 3 }).later(5_000).seen(11),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessCrash/ExitCode',
      root: 'pid:10',
      summary: /^exited with code 3$/,
    },
  },
  {
    name: 'exited with a code that a shell gives for a signal',
    tell: (s) => s.seen(10).exited(10, { code: 137 }),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessCrash/ExitCode', root: 'pid:10', summary: /signal 9/ },
  },
  {
    name: 'killed by a signal, with a core',
    tell: (s) => s.seen(10).exited(10, { signal: 'SIGSEGV', core: true }),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessCrash/Signal',
      root: 'pid:10',
      confidence: 0.97,
      summary: /^killed by SIGSEGV \(signal 11, core dumped\)$/,
    },
  },
  {
    name: 'killed by the OOM killer',
    tell: (s) => s.seen(10).oomKilled(10, '/kubepods/x').exited(10, { signal: 'SIGKILL' }),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessCrash/HostOom',
      root: 'pid:10',
      summary: /OOM killer in cgroup \/kubepods\/x$/,
    },
  },
  {
    name: 'ended well',
    tell: (s) => s.seen(10).exited(10).later(90_000).seen(11),
    ask: 10,
    expect: { verdict: 'healthy', chain: [], summary: /^ended with exit code 0, 1 min 30 s ago$/ },
  },
  {
    name: "ended well, a job's process",
    tell: (s) =>
      s
        .seen(10, { job: { rank: 0, because: 'gpu' } })
        .exited(10)
        .later(90_000)
        .seen(11),
    ask: 10,
    expect: { verdict: 'healthy', chain: [], summary: /^ended with exit code 0, 1 min 30 s ago$/ },
  },
]);

t.test('a process that is not known has no answer', async (t) => {
  const story = new Story().seen(10);
  t.equal(story.why(11), undefined);
  t.equal(new Story().why(1), undefined);
});

t.test('the target says who was asked about', async (t) => {
  const story = new Story().seen(10, { comm: 'trainer' }).sleeps(10, { comm: 'trainer' });
  t.match(story.why(10)?.target, { pid: 10, comm: 'trainer', state: 'running' });
  t.notOk('tid' in (story.why(10)?.target ?? {}));
  story.exited(10);
  t.match(story.why(10)?.target, { pid: 10, state: 'exited' });
});
