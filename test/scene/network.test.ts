/** `why` where a TCP connection is at fault, and where one only looks as if it were. */
import t from 'tap';
import { closedWindow, flow, idOf, reversed, Story, stuck } from './build.js';
import { table } from './table.js';

const A = flow(1);
const B = flow(2);
const PATH_DOWN = 'NetworkStall/PathDown';
const SYN = { ...flow(3), state: 'SYN_SENT', backoff: 3, retransmits: 3 };

function down(story: Story, attrs = A): ReturnType<typeof stuck> {
  return stuck(attrs, story.now - 12_000);
}

/** One sample a second, each of a wait that has just begun. */
function samples(story: Story, pid: number, attrs: typeof A, count: number): void {
  for (let i = 0; i < count; i++) story.later(1_000).receives(pid, attrs, { forMs: 0 }).pass();
}

/** 20 had to send again what 10 waits for, and that was acked so long ago. */
function madeGood(story: Story, agoMs: number): void {
  const back = reversed(A);
  story
    .seen(10)
    .seen(20)
    .transport('transport.timeout', story.owner(down(story, back), 20), 5);
  const acked = { ...back, retransmits: 5, totalRetrans: 5, timeouts: 5 };
  story.later(1_000).transport('transport.recovered', story.owner(acked, 20), 1_000).later(agoMs);
  story.receives(10, A).futex(20).holders(idOf(A), 20).pass();
}

/** The kernel has taken the connection, and `pid` has not. */
function listens(story: Story, pid: number): Story {
  const holders = [
    { pid, start: pid * 1_000, comm: 'server', fd: 3, mode: 'rw' as const, queued: true as const },
  ];
  return story.say('wait.holders', idOf(A), 1, { holders }, 'waits');
}

t.test('that a connection was never accepted is in the chain', async (t) => {
  const said = (story: Story): string | undefined => story.why(10)?.chain.at(-1)?.note;
  const story = new Story();
  listens(story.seen(10).seen(20, { comm: 'server' }).receives(10, A).sleeps(20), 20);
  t.match(said(story), /^20 \(server\) listens there, and has not accepted the connection yet$/);
  story.later(1_000).receives(10, A, { forMs: 6_000 }).sleeps(20).holders(idOf(A), 20);
  t.match(said(story), /^the other end is held by 20 /, 'it has now');
});

table([
  {
    name: 'the main thread waits on a flow without ACKs',
    tell: (s) => s.seen(10).receives(10, down(s)).pass(),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: PATH_DOWN,
      root: idOf(A),
      chain: ['pid:10', idOf(A)],
      confidence: 0.95,
      summary: /^no ACK from 10\.0\.0\.2:29500 for 12(\.0)? s: 5 timeouts in a row, 1,448 bytes unacked$/,
    },
  },
  {
    name: 'one timeout is less sure than five',
    tell: (s) => s.seen(10).receives(10, { ...down(s), backoff: 1 }),
    ask: 10,
    expect: { verdict: 'cause-found', scene: PATH_DOWN, root: idOf(A), confidence: 0.75 },
  },
  {
    name: 'nor are several within a moment: the next resend may get through',
    tell: (s) => s.seen(10).receives(10, { ...stuck(A, s.now - 2_000), backoff: 3 }, { forMs: 2_100 }),
    ask: 10,
    expect: { verdict: 'cause-found', scene: PATH_DOWN, root: idOf(A), confidence: 0.75 },
  },
  {
    name: 'nor is a SYN that has been sent twice',
    tell: (s) => s.seen(10).connects(10, { ...SYN, since: s.now - 1_500, backoff: 1 }, { forMs: 1_600 }),
    ask: 10,
    expect: { verdict: 'cause-found', scene: PATH_DOWN, root: idOf(SYN), confidence: 0.75 },
  },
  {
    name: 'cut off, and the process at the other end is stopped as well',
    tell: (s) => s.seen(10).seen(20).receives(10, down(s)).stopped(20).holders(idOf(A), 20).pass([20]),
    ask: 10,
    expect: { verdict: 'cause-found', scene: PATH_DOWN, root: idOf(A), alternatives: ['pid:20'] },
  },
  {
    name: '… one of two that could answer',
    tell: (s) =>
      s.seen(10).seen(20).seen(21).receives(10, down(s)).stopped(20).sleeps(21).holders(idOf(A), 20, 21),
    ask: 10,
    expect: { verdict: 'cause-found', scene: PATH_DOWN, root: idOf(A), alternatives: [] },
  },
  {
    name: 'the listener is stopped before it has accepted',
    tell: (s) => {
      s.seen(10).seen(20, { comm: 'server' }).receives(10, A).stopped(20);
      listens(s, 20);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessBlocked/Stopped',
      root: 'pid:20',
      chain: ['pid:10', idOf(A), 'pid:20'],
      confidence: 0.97,
    },
  },
  {
    name: 'a flow in trouble by its own events explains a wait sampled before',
    tell: (s) =>
      s
        .seen(10)
        .receives(10, A)
        .pass()
        .later(500)
        .transport('transport.timeout', stuck(A, s.now - 4_000), 5),
    ask: 10,
    expect: { verdict: 'cause-found', scene: PATH_DOWN, root: idOf(A), confidence: 0.95 },
  },
  {
    name: 'a fault that began long after the wait explains it less well',
    tell: (s) => s.seen(10).receives(10, stuck(A, s.now - 4_000), { forMs: 60_000 }),
    ask: 10,
    expect: { verdict: 'cause-found', scene: PATH_DOWN, root: idOf(A), confidence: 0.81 },
  },
  {
    name: 'the main thread waits on a condition, the communication thread on the flow',
    tell: (s) => s.seen(10).futex(10).receives(10, down(s), { tid: 11 }).futex(10, { tid: 12 }).pass(),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: PATH_DOWN,
      root: idOf(A),
      chain: ['pid:10', idOf(A)],
      confidence: 0.92,
    },
  },
  {
    name: 'the main thread is stuck while other threads spin',
    tell: (s) => {
      s.seen(10).receives(10, down(s), { runMs: 0 }).runs(10, { tid: 11, runMs: 0 }).pass();
      s.later(1_000).receives(10, down(s), { runMs: 0 }).runs(10, { tid: 11, runMs: 900 }).pass();
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: PATH_DOWN, root: idOf(A), confidence: 0.81 },
  },
  {
    name: 'through a pipe to the worker that waits on the flow',
    tell: (s) => s.seen(10).seen(20).reads(10, 7).receives(20, down(s)).holders('pipe:7', 20).pass(),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: PATH_DOWN,
      root: idOf(A),
      chain: ['pid:10', 'pipe:7', 'pid:20', idOf(A)],
    },
  },
  {
    name: 'the other end is on this node and what it sends is not acked',
    tell: (s) => {
      s.seen(10).seen(20).receives(10, A);
      s.transport('transport.timeout', s.owner(down(s, reversed(A)), 20), 5);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: PATH_DOWN,
      root: idOf(reversed(A)),
      chain: ['pid:10', idOf(A), 'pid:20', idOf(reversed(A))],
    },
  },
  {
    name: '… and nobody knows whose it is',
    tell: (s) =>
      s
        .seen(10)
        .receives(10, A)
        .transport('transport.timeout', down(s, reversed(A)), 5),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: PATH_DOWN,
      root: idOf(reversed(A)),
      chain: ['pid:10', idOf(A), idOf(reversed(A))],
    },
  },
  {
    name: 'a connect without an answer',
    tell: (s) => s.seen(10).connects(10, SYN),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: PATH_DOWN,
      root: idOf(SYN),
      confidence: 0.93,
      summary: /^no answer to SYN from 10\.0\.0\.2:29500 for 0 ms \(3 retries\)$/,
    },
  },
  {
    name: 'a closed window of a peer elsewhere',
    tell: (s) => s.seen(10).sends(10, closedWindow(A)),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkStall/ZeroWindow',
      root: idOf(A),
      chain: ['pid:10', idOf(A)],
      summary: /9,000 bytes wait here$/,
    },
  },
  {
    name: 'a closed window whose reader is here and sleeps',
    tell: (s) => s.seen(10).seen(20).sends(10, closedWindow(A)).sleeps(20).holders(idOf(A), 20),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkStall/ZeroWindow',
      root: idOf(A),
      chain: ['pid:10', idOf(A), 'pid:20'],
      summary: /the reader is 20 \(p20\)$/,
    },
  },
  {
    name: 'a closed window whose reader is stopped: that is the cause',
    tell: (s) => s.seen(10).seen(20).sends(10, closedWindow(A)).stopped(20).holders(idOf(A), 20),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessBlocked/Stopped',
      root: 'pid:20',
      chain: ['pid:10', idOf(A), 'pid:20'],
    },
  },
  {
    name: 'a lossy flow waited on again and again, never for long',
    tell: (s) => {
      s.seen(10);
      for (let second = 0; second < 8; second++) samples(s, 10, s.loses(A, 1_000, 2 * second), 1);
      s.loses(A, 1_000, 16);
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'NetworkDrop', root: idOf(A), chain: ['pid:10', idOf(A)] },
  },
  {
    name: 'a lossy flow waited on for long',
    tell: (s) => s.seen(10).receives(10, s.loses(A, 5_000)),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'NetworkDrop', root: idOf(A), confidence: 0.75 },
  },
  {
    name: 'a flow that is waited on all the time, and loses what costs next to nothing',
    tell: (s) => {
      s.seen(10);
      for (let n = 50; n <= 600; n += 50) {
        const busy = { ...A, retransmits: n, totalRetrans: 5 * n };
        s.transport('transport.retransmit', busy, 5 * n);
        samples(s, 10, busy, 1);
      }
    },
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: '… also when a timer runs off now and then',
    tell: (s) => {
      s.seen(10);
      for (let n = 1; n <= 5; n++) {
        samples(s, 10, { ...A, retransmits: 10 * n, totalRetrans: 50 * n, timeouts: n }, 2);
        s.loses(A, 500, n);
      }
    },
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'a long wait in which little was lost is for something else',
    tell: (s) => s.seen(10).receives(10, s.loses(A, 1_000, 5), { forMs: 5_000 }),
    ask: 10,
    expect: { verdict: 'symptom-only', scene: 'NetworkStall/PeerSlow' },
  },
  {
    name: 'between two losses of the other end on this node',
    tell: (s) => madeGood(s, 100),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkDrop',
      root: idOf(reversed(A)),
      chain: ['pid:10', idOf(A), 'pid:20', idOf(reversed(A))],
    },
  },
  {
    name: 'long after the last loss was made good',
    tell: (s) => madeGood(s, 3_000),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessBlocked/WaitsOnPeer', root: 'pid:20' },
  },
  {
    name: 'one retransmit is no cause',
    tell: (s) =>
      s
        .seen(10)
        .transport('transport.retransmit', { ...A, retransmits: 1 }, 1)
        .receives(10, { ...A, retransmits: 1 }),
    ask: 10,
    expect: { verdict: 'symptom-only', scene: 'NetworkStall/PeerSlow' },
  },
  {
    name: 'nothing is unacked and the peer is elsewhere: a symptom, and where to ask',
    tell: (s) => s.seen(10).receives(10, A),
    ask: 10,
    expect: {
      verdict: 'symptom-only',
      scene: 'NetworkStall/PeerSlow',
      chain: ['pid:10', idOf(A)],
      summary: /10\.0\.0\.2:29500; the path shows no fault from here/,
    },
  },
  {
    name: 'the peer is a process of this node, stopped',
    tell: (s) => s.seen(10).seen(20).receives(10, A).holders(idOf(A), 20).stopped(20),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessBlocked/Stopped',
      root: 'pid:20',
      chain: ['pid:10', idOf(A), 'pid:20'],
    },
  },
  {
    name: 'two flows are down: two causes, each with its chain',
    tell: (s) => s.seen(10).receives(10, down(s)).receives(10, down(s, B), { tid: 11 }).pass(),
    ask: 10,
    expect: { verdict: 'cause-found', scene: PATH_DOWN, root: idOf(A), alternatives: [idOf(B)] },
  },
  {
    name: 'decoy: retransmits and timeouts on a flow nobody waits on',
    tell: (s) =>
      s
        .seen(10)
        .transport('transport.timeout', s.owner(down(s), 10), 5)
        .runs(10)
        .pass(),
    ask: 10,
    expect: { verdict: 'healthy', chain: [] },
  },
  {
    name: 'decoy: a busy process with a background thread that is stuck',
    tell: (s) => {
      s.seen(10).runs(10, { runMs: 0 }).receives(10, down(s), { tid: 11, runMs: 0 }).pass();
      s.later(1_000).runs(10, { runMs: 800 }).pass([11]);
    },
    ask: 10,
    expect: { verdict: 'healthy', summary: /^makes progress: 80 % of a core$/ },
  },
  {
    name: 'decoy: a flow that has recovered',
    tell: (s) => s.seen(10).receives(10, down(s)).later(100).transport('transport.recovered', A, 9).runs(10),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'a flow that is not in the graph is unknown, not a guess',
    tell: (s) => s.seen(10).wait('wait.tcp', 10, 'pid:10', { op: 'read', flow: A }, {}),
    ask: 10,
    expect: { verdict: 'unknown' },
  },
]);

t.test('the evidence under a stall is the sample and the timeouts', async (t) => {
  const story = new Story().seen(10);
  story.receives(10, A).transport('transport.timeout', down(story), 5);
  const answer = story.why(10);
  t.match(answer?.evidence, [
    { id: 'e1', probe: 'waits', type: 'wait.tcp', entity: idOf(A), value: 5_000, unit: 'ms' },
    {
      id: 'e2',
      probe: 'tcp',
      type: 'transport.timeout',
      entity: idOf(A),
      value: 5,
      unit: 'timeouts in a row',
    },
  ]);
  t.same(answer?.chain[0]?.evidence, ['e1', 'e2']);
  t.match(answer?.chain[0], { edge: 'WaitsOn', tid: 10, sinceMs: 5_000 });
});
