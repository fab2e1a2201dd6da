/** Ranks of one job whose main thread waits on a condition while a helper polls the others' connections, as gloo's does. */
import type { JobAttrs } from '../../src/events/event.js';
import { flow, idOf, type Story } from './build.js';
import { table } from './table.js';

const A = flow(1);
const JOB: JobAttrs = { because: 'launcher', launcher: 'torchrun', id: 'none', worldSize: 2 };
const STUCK_MS = 6_000;

/** 10 waits for 20, which reads a disk that has not answered for six seconds. */
function ranks(s: Story, waitedMs: number, mine: JobAttrs | undefined, theirs: JobAttrs | undefined): void {
  s.seen(10, mine === undefined ? {} : { job: mine })
    .seen(20, theirs === undefined ? {} : { job: theirs })
    .say('storage.device', 'block:sda', 1e9, { dev: '8:0', kind: 'disk', under: [] })
    .say('storage.use', 'block:sda', STUCK_MS, {
      inFlight: 1,
      stalledMs: STUCK_MS,
      reads: { count: 0, sizeBytes: 0 },
      writes: { count: 0, sizeBytes: 0 },
      windowMs: 1_000,
      oldest: [{ op: 'read', sector: 8, sizeBytes: 4_096, ageMs: STUCK_MS, submitter: {} }],
    })
    .futex(10, { forMs: waitedMs })
    .polls(10, [A], { tid: 11, forMs: 8, comm: 'gloo' })
    .holders(idOf(A), 20)
    .disk(20, 'sda', { forMs: STUCK_MS });
}

table([
  {
    name: 'what keeps the other rank is the cause',
    tell: (s) => ranks(s, 5_000, { ...JOB, rank: 0 }, { ...JOB, rank: 1 }),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'StorageSlow/Device',
      root: 'block:sda',
      chain: ['pid:10', 'poll:10/11', idOf(A), 'pid:20', 'block:sda', 'error:latency/block:sda'],
      confidence: 0.77,
    },
  },
  {
    name: 'both stand still, and nothing shows why: nobody is picked',
    tell: (s) =>
      s
        .seen(10, { job: { ...JOB, rank: 0 } })
        .seen(20, { job: { ...JOB, rank: 1 } })
        .futex(10, { forMs: 7_000 })
        .polls(10, [A], { tid: 11, forMs: 8, comm: 'gloo' })
        .holders(idOf(A), 20)
        .futex(20, { forMs: 7_000 }),
    ask: 10,
    expect: {
      verdict: 'symptom-only',
      scene: 'ProcessBlocked/WaitsOnPeer',
      chain: ['pid:10', 'poll:10/11'],
      summary: /so do the other ranks of its job on this node: 20 \(p20\); none of them shows why/,
    },
  },
  {
    name: 'the same, and the helper is found between two looks',
    tell: (s) =>
      s
        .seen(10, { job: { ...JOB, rank: 0 } })
        .seen(20, { job: { ...JOB, rank: 1 } })
        .futex(10, { forMs: 7_000 })
        .polls(10, [A], { tid: 11, forMs: 8, comm: 'gloo' })
        .holders(idOf(A), 20)
        .futex(20, { forMs: 7_000 })
        .pass()
        .later(1_000)
        .futex(10, { forMs: 8_000 })
        .runs(10, { tid: 11, comm: 'gloo' })
        .futex(20, { forMs: 8_000 })
        .pass(),
    ask: 10,
    expect: {
      verdict: 'symptom-only',
      scene: 'ProcessBlocked/WaitsOnPeer',
      chain: ['pid:10', 'poll:10/11'],
    },
  },
  {
    name: 'both stand still, and their workers look again and again',
    tell: (s) =>
      s
        .seen(10, { job: { ...JOB, rank: 0 } })
        .seen(20, { job: { ...JOB, rank: 1 } })
        .seen(21, { job: { ...JOB, rank: 1 } })
        .futex(10, { forMs: 7_000 })
        .polls(10, [A], { tid: 11, forMs: 8, comm: 'gloo' })
        .holders(idOf(A), 20, 21)
        .futex(20, { forMs: 7_000 })
        // A time-out of five seconds that has just begun anew.
        .reads(21, 77, { forMs: 40 }),
    ask: 10,
    expect: { verdict: 'symptom-only', scene: 'ProcessBlocked/WaitsOnPeer' },
  },
  {
    name: 'step by step: each wait is short, and there is one after another',
    tell: (s) => {
      for (let step = 0; step < 8; step++) {
        ranks(s, 300, { ...JOB, rank: 0 }, { ...JOB, rank: 1 });
        s.pass().later(1_000);
      }
      ranks(s, 300, { ...JOB, rank: 0 }, { ...JOB, rank: 1 });
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'StorageSlow/Device', root: 'block:sda' },
  },
  {
    name: '… and it is found between two of them',
    tell: (s) => {
      for (let step = 0; step < 8; step++) {
        ranks(s, 300, { ...JOB, rank: 0 }, { ...JOB, rank: 1 });
        s.pass().later(1_000);
      }
      ranks(s, 300, { ...JOB, rank: 0 }, { ...JOB, rank: 1 });
      s.runs(10);
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'StorageSlow/Device', root: 'block:sda' },
  },
  {
    name: 'one short wait is a step of its work',
    tell: (s) => ranks(s, 300, { ...JOB, rank: 0 }, { ...JOB, rank: 1 }),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'the other one computes: it will come',
    tell: (s) => {
      s.seen(10, { job: JOB }).seen(20, { job: JOB }).runs(20, { runMs: 0 }).pass();
      s.later(1_000).runs(20, { runMs: 900 });
      s.futex(10, { forMs: 7_000 })
        .polls(10, [A], { tid: 11, forMs: 8, comm: 'gloo' })
        .holders(idOf(A), 20)
        .pass();
    },
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'it waited long before that: that one’s trouble is not why',
    tell: (s) => ranks(s, 60_000, { ...JOB, rank: 0 }, { ...JOB, rank: 1 }),
    ask: 10,
    expect: { verdict: 'symptom-only', scene: 'ProcessBlocked/WaitsOnPeer' },
  },
  {
    name: 'the other one is of another job',
    tell: (s) => ranks(s, 5_000, JOB, { ...JOB, id: '4711' }),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'a server and its client are of no job',
    tell: (s) => ranks(s, 5_000, undefined, undefined),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
]);
