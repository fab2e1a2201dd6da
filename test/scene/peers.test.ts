/** `why` where a process waits for another one: pipes, sockets, children, file locks, poll sets. */
import { flow, idOf, type Story, stuck } from './build.js';
import { table } from './table.js';

const A = flow(1);
const LOCKED = 'file:8:1/99';
const STOPPED = 'ProcessBlocked/Stopped';
const WAITS_ON_PEER = 'ProcessBlocked/WaitsOnPeer';

function down(story: Story): typeof A {
  return stuck(A, story.now - 12_000);
}

/** Processes `from` to `to`, all asleep. */
function sleepers(story: Story, from: number, to: number): number[] {
  const pids = Array.from({ length: to - from + 1 }, (_, i) => from + i);
  for (const pid of pids) story.seen(pid).sleeps(pid);
  return pids;
}

/** 10 reads what 20 writes, that reads what 21 writes, that reads what 22 writes; each has the ends above it open as well. */
function inherited(story: Story): Story {
  return story
    .seen(10)
    .seen(20, { ppid: 10 })
    .seen(21, { ppid: 20 })
    .seen(22, { ppid: 21 })
    .reads(10, 7)
    .reads(20, 8)
    .reads(21, 9)
    .holders('pipe:7', 20, 21, 22)
    .holders('pipe:8', 21, 22)
    .holders('pipe:9', 22);
}

table([
  {
    name: 'a stopped peer over a pipe',
    tell: (s) => s.seen(10).seen(20).reads(10, 7).holders('pipe:7', 20).stopped(20),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: STOPPED,
      root: 'pid:20',
      chain: ['pid:10', 'pipe:7', 'pid:20'],
      confidence: 0.97,
    },
  },
  {
    name: 'a stopped peer over a unix socket',
    tell: (s) => s.seen(10).seen(20).unix(10, 31).holders('unix:31', 20).stopped(20),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: STOPPED,
      root: 'pid:20',
      chain: ['pid:10', 'unix:31', 'pid:20'],
    },
  },
  {
    name: 'the own end of the pipe, inherited and open, does not count',
    tell: (s) => s.seen(10).seen(20).reads(10, 7).holders('pipe:7', 10, 20).stopped(20),
    ask: 10,
    expect: { verdict: 'cause-found', scene: STOPPED, root: 'pid:20', confidence: 0.97 },
  },
  {
    name: 'a peer that is traced',
    tell: (s) => s.seen(10).seen(20).writes(10, 7).holders('pipe:7', 20).traced(20, 99),
    ask: 10,
    expect: { verdict: 'cause-found', scene: STOPPED, root: 'pid:20', summary: /tracer \(pid 99\)/ },
  },
  {
    name: 'a process that is frozen itself',
    tell: (s) => s.seen(10, { cgroup: '/kubepods/x' }).frozen(10),
    ask: 10,
    expect: { verdict: 'cause-found', scene: STOPPED, root: 'pid:10', chain: [], confidence: 0.95 },
  },
  {
    name: 'a peer that sleeps does not act: a cause, but a soft one',
    tell: (s) => s.seen(10).seen(20).reads(10, 7).holders('pipe:7', 20).sleeps(20),
    ask: 10,
    expect: { verdict: 'cause-found', scene: WAITS_ON_PEER, root: 'pid:20', confidence: 0.75 },
  },
  {
    name: 'a peer that computes',
    tell: (s) => {
      s.seen(10).seen(20).reads(10, 7).holders('pipe:7', 20).runs(20, { runMs: 0 }).pass();
      s.later(1_000).runs(20, { runMs: 900 }).pass([10]);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: WAITS_ON_PEER,
      root: 'pid:20',
      confidence: 0.65,
      summary: /is busy on the CPU$/,
    },
  },
  {
    name: 'a peer that goes from one short wait to the next is not blamed at once',
    tell: (s) =>
      s.seen(10).seen(20).reads(10, 7, { forMs: 2_000 }).holders('pipe:7', 20).reads(20, 8, { forMs: 40 }),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: '… but after many seconds it is',
    tell: (s) =>
      s.seen(10).seen(20).reads(10, 7, { forMs: 9_000 }).holders('pipe:7', 20).reads(20, 8, { forMs: 40 }),
    ask: 10,
    expect: { verdict: 'cause-found', scene: WAITS_ON_PEER, root: 'pid:20', summary: /does other things$/ },
  },
  {
    name: 'a pipe that nobody here holds',
    tell: (s) => s.seen(10).reads(10, 7),
    ask: 10,
    expect: { verdict: 'unknown', chain: ['pid:10', 'pipe:7'] },
  },
  {
    name: 'several hold the other end and one of them is stopped',
    tell: (s) => {
      s.seen(10).reads(10, 7);
      s.holders('pipe:7', ...sleepers(s, 20, 24));
      s.stopped(22);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: STOPPED,
      root: 'pid:22',
      confidence: 0.82,
      chain: ['pid:10', 'pipe:7', 'pid:22'],
    },
  },
  {
    name: 'several hold the other end and none shows a fault',
    tell: (s) =>
      s
        .seen(10)
        .reads(10, 7)
        .holders('pipe:7', ...sleepers(s, 20, 25)),
    ask: 10,
    expect: {
      verdict: 'symptom-only',
      scene: WAITS_ON_PEER,
      summary: /one of 6 processes holds the other end \(20 \(p20\), 21 \(p21\), 22 \(p22\), 23 \(p23\), …\)/,
    },
  },
  {
    name: 'forked workers that kept all ends open: the others wait for the one that sleeps',
    tell: (s) => inherited(s).sleeps(22),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: WAITS_ON_PEER,
      root: 'pid:22',
      chain: ['pid:10', 'pipe:7', 'pid:22'],
      confidence: 0.75,
    },
  },
  {
    name: '… that is stopped: all wait for it, so that it does not matter which of them should have written',
    tell: (s) => inherited(s).stopped(22),
    ask: 10,
    expect: { verdict: 'cause-found', scene: STOPPED, root: 'pid:22', confidence: 0.97 },
  },
  {
    name: '… that has locked itself out',
    tell: (s) => inherited(s).lock(22, 0x40, 22).pass(),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessBlocked/Deadlock',
      root: 'lock:22/0x40',
      chain: ['pid:10', 'pipe:7', 'pid:22', 'lock:22/0x40', 'pid:22'],
      confidence: 0.97,
    },
  },
  {
    name: '… one of which computes: it may be the one that should write',
    tell: (s) => {
      inherited(s).sleeps(22).runs(21, { runMs: 0 }).pass([10, 22]);
      s.later(1_000).runs(21, { runMs: 900 }).pass([10, 22]);
    },
    ask: 10,
    expect: { verdict: 'symptom-only', scene: WAITS_ON_PEER },
  },
  {
    name: 'a circle that would close through one of several holders is not proven',
    tell: (s) =>
      s
        .seen(10)
        .seen(20)
        .seen(21)
        .reads(10, 7)
        .holders('pipe:7', 20, 21)
        .reads(20, 8)
        .reads(21, 8)
        .holders('pipe:8', 10)
        .pass(),
    ask: 10,
    expect: { verdict: 'symptom-only', scene: WAITS_ON_PEER },
  },
  {
    name: 'a crowd is not searched for a culprit',
    tell: (s) => {
      s.seen(10).reads(10, 7);
      s.holders('pipe:7', ...sleepers(s, 20, 40));
      s.stopped(22);
    },
    ask: 10,
    expect: { verdict: 'symptom-only', scene: WAITS_ON_PEER, summary: /one of 21 processes/ },
  },
  {
    name: 'only the process itself holds the other end, and another of its threads is stuck on a flow',
    tell: (s) => s.seen(10).reads(10, 7).holders('pipe:7', 10).receives(10, down(s), { tid: 11 }),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkStall/PathDown',
      root: idOf(A),
      chain: ['pid:10', 'pipe:7', 'pid:10', idOf(A)],
    },
  },
  {
    name: '… and its other threads wait for nothing that is known',
    tell: (s) => s.seen(10).reads(10, 7).holders('pipe:7', 10).futex(10, { tid: 11 }),
    ask: 10,
    expect: { verdict: 'unknown', chain: ['pid:10', 'pipe:7'] },
  },
  {
    name: '… and another of its threads runs',
    tell: (s) => s.seen(10).reads(10, 7).holders('pipe:7', 10).runs(10, { tid: 11 }),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: "a trainer's loader thread and its worker wait on each other while the network is down",
    tell: (s) => {
      s.seen(10).seen(20, { ppid: 10 }).futex(10);
      s.reads(10, 7, { tid: 11 }).reads(20, 8).receives(10, down(s), { tid: 12 });
      s.holders('pipe:7', 20).holders('pipe:8', 10).pass();
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkStall/PathDown',
      root: idOf(A),
      chain: ['pid:10', idOf(A)],
    },
  },
  {
    name: '… asked of the worker',
    tell: (s) => {
      s.seen(10).seen(20, { ppid: 10 }).futex(10);
      s.reads(10, 7, { tid: 11 }).reads(20, 8).receives(10, down(s), { tid: 12 });
      s.holders('pipe:7', 20).holders('pipe:8', 10).pass();
    },
    ask: 20,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkStall/PathDown',
      root: idOf(A),
      chain: ['pid:20', 'pipe:8', 'pid:10', idOf(A)],
    },
  },
  {
    name: 'waits for its one child, which is stuck',
    tell: (s) => s.seen(10).seen(20, { ppid: 10 }).waitsForChild(10, 20).receives(20, down(s)),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkStall/PathDown',
      root: idOf(A),
      chain: ['pid:10', 'pid:20', idOf(A)],
    },
  },
  {
    name: 'waits for any child, one of which is stopped',
    tell: (s) => {
      s.seen(10).seen(20, { ppid: 10 }).seen(21, { ppid: 10 }).seen(22);
      s.sleeps(20).stopped(21).stopped(22).waitsForChild(10, 0);
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: STOPPED, root: 'pid:21', chain: ['pid:10', 'pid:21'] },
  },
  {
    name: 'a child of a process that had the same pid before is no child',
    tell: (s) => {
      s.seen(10, { start: 50_000 });
      s.apply({
        ts: s.now,
        type: 'process.seen',
        entity: 'pid:21',
        pid: 21,
        value: 0,
        attrs: { start: 21_000, comm: 'p21', ppid: 10, parentStart: 10_000 },
        probe: 'process',
      });
      s.stopped(21).waitsForChild(10, 0);
    },
    ask: 10,
    expect: { verdict: 'unknown' },
  },
  {
    name: 'waits for a child that works',
    tell: (s) => s.seen(10).seen(20, { ppid: 10 }).waitsForChild(10, 20).runs(20),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'a shell waits for a child that sleeps by design',
    tell: (s) => s.seen(10).seen(20, { ppid: 10 }).waitsForChild(10, 20).sleeps(20),
    ask: 10,
    expect: { verdict: 'healthy', chain: ['pid:10', 'pid:20'] },
  },
  {
    name: 'waits for a child that is not known',
    tell: (s) => s.seen(10).waitsForChild(10, 0),
    ask: 10,
    expect: { verdict: 'unknown' },
  },
  {
    name: 'a file lock whose holder sleeps',
    tell: (s) => s.seen(10).seen(20).fileLock(10, 99).holders(LOCKED, 20).sleeps(20),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: WAITS_ON_PEER,
      root: 'pid:20',
      chain: ['pid:10', LOCKED, 'pid:20'],
    },
  },
  {
    name: 'a file lock whose holder is stopped',
    tell: (s) => s.seen(10).seen(20).fileLock(10, 99).holders(LOCKED, 20).stopped(20),
    ask: 10,
    expect: { verdict: 'cause-found', scene: STOPPED, root: 'pid:20' },
  },
  {
    name: 'a poll set with one bad member',
    tell: (s) => s.seen(10).polls(10, [flow(5), down(s), 'eventfd', flow(6)]),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkStall/PathDown',
      root: idOf(A),
      chain: ['pid:10', 'poll:10/10', idOf(A)],
      confidence: 0.92,
    },
  },
  {
    name: 'a poll set with a peer that is stopped',
    tell: (s) => s.seen(10).seen(20).holders('unix:31', 20).stopped(20).polls(10, ['eventfd', 'unix:31']),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: STOPPED,
      root: 'pid:20',
      chain: ['pid:10', 'poll:10/10', 'unix:31', 'pid:20'],
      confidence: 0.82,
    },
  },
  {
    name: 'a poll set without a bad member is not guessed from',
    tell: (s) =>
      s
        .seen(10)
        .seen(20)
        .holders('unix:31', 20)
        .sleeps(20)
        .polls(10, [flow(5), 'unix:31']),
    ask: 10,
    expect: {
      verdict: 'healthy',
      summary: /^idle: has polled 2 descriptors/,
      chain: ['pid:10', 'poll:10/10'],
    },
  },
  {
    name: 'decoy: a pipeline of short waits',
    tell: (s) => {
      s.seen(10).seen(20).seen(30).reads(10, 7, { forMs: 40 }).reads(20, 8, { forMs: 12 }).runs(30);
      s.holders('pipe:7', 20).holders('pipe:8', 30).pass();
    },
    ask: 10,
    expect: { verdict: 'healthy', summary: /its waits are short/ },
  },
  {
    name: 'a chain longer than the walk goes ends in what would be needed, not in a cause',
    tell: (s) => {
      for (let i = 0; i < 60; i++) {
        const pid = 100 + i;
        s.seen(pid)
          .seen(pid + 1)
          .reads(pid, i)
          .holders(`pipe:${i}`, pid + 1);
      }
      s.stopped(160);
    },
    ask: 100,
    expect: { verdict: 'unknown', summary: /^the chain goes on past/ },
  },
  {
    name: '… and asked nearer to its end it is found',
    tell: (s) => {
      for (let i = 0; i < 60; i++) {
        const pid = 100 + i;
        s.seen(pid)
          .seen(pid + 1)
          .reads(pid, i)
          .holders(`pipe:${i}`, pid + 1);
      }
      s.stopped(160);
    },
    ask: 150,
    expect: { verdict: 'cause-found', scene: STOPPED, root: 'pid:160' },
  },
]);
