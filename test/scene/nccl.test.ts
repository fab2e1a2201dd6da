/** `why` where a process waits for a GPU, and through it for another rank. */
import t from 'tap';
import type { CommAttrs, EnqueueAttrs } from '../../src/events/nccl.js';
import { Story } from './build.js';
import { table } from './table.js';

const COMM = 'comm:00000000000000aa';
const BEHIND = 'ProcessBlocked/NcclRankBehind';

interface Rank {
  readonly pid: number;
  readonly rank?: number;
  readonly comm?: string;
  readonly nranks?: number;
  readonly handle?: string;
}

const A: Rank = { pid: 10, rank: 0 };
const B: Rank = { pid: 20, rank: 1 };

function comm(s: Story, of: Rank, state: CommAttrs['state'], more: Partial<CommAttrs> = {}): Story {
  const { pid, rank, nranks = 2, handle = '0x7f00' } = of;
  const attrs: CommAttrs = {
    start: pid * 1_000,
    state,
    call: 'ncclCommInitRank',
    tid: pid,
    ...(state !== 'init' && state !== 'failed' && { handle }),
    ...(rank !== undefined && { rank }),
    nranks,
    ...more,
  };
  return s.say('nccl.comm', of.comm ?? COMM, nranks, attrs, 'gpu-trace', pid);
}

function enqueued(s: Story, of: Rank, collectives: number, more: Partial<EnqueueAttrs> = {}): Story {
  const { pid, rank, handle = '0x7f00' } = of;
  const attrs: EnqueueAttrs = {
    start: pid * 1_000,
    handle,
    collectives,
    p2p: 0,
    last: s.now,
    ...(rank !== undefined && { rank }),
    ...more,
  };
  return s.say('nccl.enqueue', of.comm ?? COMM, collectives, attrs, 'gpu-trace', pid);
}

function syncs(s: Story, pid: number, forMs: number, over = false): Story {
  const attrs = {
    start: pid * 1_000,
    tid: pid,
    what: 'cuStreamSynchronize',
    since: s.now - forMs,
    ...(over && { over: true as const }),
  };
  return s.say('wait.gpu', `pid:${pid}`, forMs, attrs, 'gpu-trace', pid);
}

/** Two ranks that have done the same so far. */
function job(s: Story, collectives = 57): Story {
  s.seen(10, { comm: 'train' }).seen(20, { comm: 'train' });
  for (const rank of [A, B]) comm(comm(s, rank, 'init', { since: s.now }), rank, 'ready', { result: 0 });
  for (const rank of [A, B]) enqueued(s, rank, collectives);
  return s;
}

/** Rank 0 has enqueued one more `agoMs` ago and has spun since; rank 1 has not. */
function ahead(s: Story, agoMs: number): Story {
  s.runs(10, { runMs: 0 }).pass([20]);
  enqueued(s, A, 58).later(agoMs);
  s.runs(10, { runMs: agoMs * 0.98 }).pass([20]);
  return syncs(s, 10, agoMs);
}

table([
  {
    name: 'a rank that reads from an empty pipe whose other end is stopped',
    tell: (s) => {
      ahead(job(s), 12_000);
      s.seen(30, { comm: 'loader' }).reads(20, 7, { forMs: 12_000 }).holders('pipe:7', 30).stopped(30);
      syncs(s, 10, 12_000);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessBlocked/Stopped',
      root: 'pid:30',
      chain: ['pid:10', COMM, 'pid:20', 'pipe:7', 'pid:30'],
    },
  },
  {
    name: 'a rank that sleeps',
    tell: (s) => {
      ahead(job(s), 12_000);
      s.sleeps(20);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: BEHIND,
      root: 'pid:20',
      chain: ['pid:10', COMM, 'pid:20'],
      summary:
        /rank 1 is behind for 12\.0 s \(it has enqueued 57 collectives, rank 0 58\): 20 \(train\) sleeps/,
    },
  },
  {
    name: 'a rank that ended well, without a word to NCCL',
    tell: (s) => {
      const story = job(s);
      story.exited(20);
      ahead(story, 12_000);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: BEHIND,
      root: COMM,
      chain: ['pid:10', COMM],
      summary: /its process 20 has ended/,
    },
  },
  {
    name: 'a rank that crashed',
    tell: (s) => {
      const story = job(s);
      story.exited(20, { signal: 'SIGSEGV', core: true });
      ahead(story, 12_000);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessCrash/Signal',
      root: 'pid:20',
      chain: ['pid:10', COMM, 'pid:20'],
    },
  },
  {
    name: 'a rank that has aborted',
    tell: (s) => {
      job(s);
      comm(s, B, 'aborted', { call: 'ncclCommAbort', collectives: 57 });
      ahead(s, 12_000).sleeps(20);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: BEHIND,
      root: 'pid:20',
      summary: /has aborted the communicator/,
    },
  },
  {
    name: 'the rank that is behind, asked itself: what it waits for',
    tell: (s) => {
      ahead(job(s), 12_000);
      s.seen(30).reads(20, 7, { forMs: 12_000 }).holders('pipe:7', 30).stopped(30);
    },
    ask: 20,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessBlocked/Stopped',
      root: 'pid:30',
      chain: ['pid:20', 'pipe:7', 'pid:30'],
    },
  },
  {
    name: 'a difference of a moment ago is the way of things',
    tell: (s) => {
      ahead(job(s), 2_000);
      s.sleeps(20);
    },
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'a rank that is behind and gets on',
    tell: (s) => {
      ahead(job(s, 55), 9_000);
      enqueued(s.sleeps(20), B, 57).later(2_500);
      syncs(s.runs(10, { runMs: 11_000 }).pass([20]), 10, 2_000);
    },
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'sends and receives do not count: a pipeline has ranks that do fewer',
    tell: (s) => {
      job(s);
      enqueued(s, A, 57, { p2p: 900 }).later(12_000);
      syncs(s.sleeps(20).runs(10), 10, 4_000);
    },
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'communicators from before the agent: unknown ones are not compared',
    tell: (s) => {
      s.seen(10).seen(20);
      enqueued(s, { pid: 10, comm: 'comm:10/0x7f00' }, 58);
      enqueued(s, { pid: 20, comm: 'comm:20/0x7f00' }, 57).later(12_000);
      syncs(s.sleeps(20).runs(10), 10, 12_000);
    },
    ask: 10,
    expect: {
      verdict: 'symptom-only',
      scene: 'ProcessBlocked/GpuSync',
      summary: /cuStreamSynchronize for 12\.0 s/,
    },
  },
  {
    name: 'counters that were taken off accuse nobody',
    tell: (s) => {
      ahead(job(s), 12_000);
      enqueued(s.sleeps(20), B, 57, { stopped: true });
    },
    ask: 10,
    expect: { verdict: 'symptom-only', scene: 'ProcessBlocked/GpuSync' },
  },
  {
    name: 'all ranks here have done the same, and there are more elsewhere',
    tell: (s) => {
      s.seen(10);
      comm(s, { ...A, nranks: 4 }, 'ready', { result: 0 });
      enqueued(s, { ...A, nranks: 4 }, 57).later(40_000);
      syncs(s.runs(10), 10, 40_000);
    },
    ask: 10,
    expect: {
      verdict: 'symptom-only',
      scene: 'NetworkStall/NcclRemote',
      chain: ['pid:10', COMM],
      summary: /1 rank of 4 that are on this node have all enqueued 57 collectives/,
    },
  },
  {
    name: 'a communicator that is not complete',
    tell: (s) => {
      s.seen(10);
      comm(s, { ...A, nranks: 4 }, 'init', { since: s.now }).later(40_000);
      s.polls(10, ['other'], { forMs: 39_000 });
    },
    ask: 10,
    expect: {
      verdict: 'symptom-only',
      scene: 'NetworkStall/NcclInit',
      summary: /for 40\.0 s as rank 0; of 4 ranks, those that nobody on this node has come as are 1, 2, 3/,
    },
  },
  {
    name: 'a spinning thread seems to run: the process makes no progress by it',
    tell: (s) => {
      s.seen(10).runs(10, { runMs: 0 }).pass().later(8_000);
      syncs(s.runs(10, { runMs: 8_000 }).pass(), 10, 8_000);
    },
    ask: 10,
    expect: { verdict: 'symptom-only', scene: 'ProcessBlocked/GpuSync' },
  },
  {
    name: 'the call has returned',
    tell: (s) => {
      s.seen(10).runs(10, { runMs: 0 }).pass().later(8_000);
      syncs(s.runs(10, { runMs: 8_000 }).pass(), 10, 8_000);
      syncs(s.later(1_000), 10, 9_000, true);
    },
    ask: 10,
    expect: { verdict: 'healthy' },
  },
]);

t.test('an address that is used again is another communicator', async (t) => {
  const s = job(new Story());
  const again: Rank = { ...A, comm: 'comm:00000000000000bb' };
  comm(s, A, 'destroyed', { call: 'ncclCommDestroy', collectives: 57 });
  comm(s, B, 'destroyed', { call: 'ncclCommDestroy', collectives: 57 });
  comm(s, again, 'ready', { result: 0 });
  enqueued(s, again, 1).later(12_000);
  syncs(s.runs(10).sleeps(20), 10, 4_000);
  t.equal(s.why(10)?.verdict, 'healthy', 'nobody is behind in the new one');
  t.notOk(
    s.graph.process(20)?.out.some(({ to }) => to.type === 'communicator'),
    'who has destroyed it has no part in it',
  );
});

t.test('a split: which rank it is comes out after it was made, or never', async (t) => {
  for (const rank of [undefined, 1]) {
    const s = new Story().seen(10, { comm: 'train' }).seen(20, { comm: 'train' });
    const call = 'ncclCommSplit';
    for (const { pid } of [A, B])
      s.say(
        'nccl.comm',
        COMM,
        0,
        { start: pid * 1_000, state: 'ready', call, tid: pid, handle: '0x7f00', result: 0 },
        'gpu-trace',
        pid,
      );
    for (const { pid } of [A, B]) enqueued(s, { pid }, 57);
    if (rank !== undefined) enqueued(enqueued(s, A, 57, { nranks: 2 }), B, 57, { nranks: 2 });
    s.runs(10, { runMs: 0 }).pass([20]);
    enqueued(s, { pid: 10 }, 58).later(12_000);
    syncs(s.runs(10, { runMs: 11_800 }).pass([20]), 10, 12_000).sleeps(20);
    const answer = s.why(10);
    t.equal(answer?.rootCause?.node, 'pid:20');
    t.match(answer?.summary, rank === undefined ? /the rank of process 20 is behind/ : /rank 1 is behind/);
  }
});

t.test('a rank behind is what is wrong on the node', async (t) => {
  const s = ahead(job(new Story()), 12_000).sleeps(20);
  const [first] = s.findings().findings;
  t.equal(first?.rootCause?.node, 'pid:20');
  t.match(first?.summary, /rank 1 is behind/);
});
