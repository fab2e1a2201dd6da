/** GpuOom: a full GPU, who holds it, who grew, who asked last. */
import type { Story } from './build.js';
import { device, GIB, use, users } from './gpu-story.js';
import { table } from './table.js';

const FULL = { usedBytes: 79 * GIB, freeBytes: GIB, totalBytes: 80 * GIB, gpuPercent: 0 };
const CHAIN = ['pid:10', 'gpu:0', 'error:out-of-memory/gpu:0'];

/** 11 has held most of it for long. */
function shared(s: Story, gib: number): Story {
  users(device(s.seen(10).seen(11)), 0, [11, gib]);
  return use(s, 0, { usedBytes: gib * GIB }).later(120_000);
}

table([
  {
    name: 'it asks for more than another one has left, and ends',
    tell: (s) => {
      use(users(shared(s, 70), 0, [11, 70], [10, 9]), 0, FULL);
      s.later(900).exited(10, { code: 1 }).later(30_000);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'GpuOom',
      root: 'gpu:0',
      chain: CHAIN,
      confidence: 0.75,
      summary:
        /^exited with code 1: the memory of gpu:0 is used up: 79 GiB of 80 GiB in use; 11 \(p11\) holds 70 GiB, 10 \(p10\) holds 9 GiB, 9 GiB of it in the last 1 min 0 s; 10 \(p10\) got memory last/,
    },
  },
  {
    name: 'seen to be full only after it ended',
    tell: (s) => {
      users(shared(s, 40), 0, [11, 40], [10, 1]);
      s.exited(10, { code: 1 }).later(800);
      use(users(s, 0, [11, 78]), 0, FULL).later(30_000);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'GpuOom',
      root: 'gpu:0',
      chain: CHAIN,
      summary: /11 \(p11\) holds 78 GiB, 38 GiB of it in the last/,
    },
  },
  {
    name: 'full for hours: no news, and no reason',
    tell: (s) => {
      use(users(device(s.seen(10)), 0, [10, 78]), 0, FULL);
      for (let i = 0; i < 20; i++) use(users(s.later(10_000), 0, [10, 78]), 0, FULL);
      s.exited(10, { code: 1 }).later(1_000);
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessCrash/ExitCode', root: 'pid:10' },
  },
  {
    name: 'full long after the end',
    tell: (s) => {
      users(shared(s, 40), 0, [11, 40], [10, 1]);
      s.exited(10, { code: 1 }).later(20_000);
      use(users(s, 0, [11, 78]), 0, FULL);
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessCrash/ExitCode', root: 'pid:10' },
  },
  {
    name: 'it gets no further, and others have the memory',
    tell: (s) => {
      use(users(shared(s, 78), 0, [11, 78], [10, 1]), 0, FULL);
      s.later(2_000).futex(10).pass([]);
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'GpuOom', root: 'gpu:0', chain: CHAIN, confidence: 0.6 },
  },
  {
    name: 'whoever holds most of it does not wait for memory',
    tell: (s) => {
      use(users(shared(s, 78), 0, [11, 78], [10, 1]), 0, { ...FULL, gpuPercent: 60 });
      s.later(2_000).futex(11).pass([]);
    },
    ask: 11,
    expect: { verdict: 'unknown' },
  },
  {
    name: 'not full: nothing to say',
    tell: (s) => {
      use(users(shared(s, 70), 0, [11, 70], [10, 1]), 0, {
        ...FULL,
        usedBytes: 71 * GIB,
        freeBytes: 9 * GIB,
      });
      s.later(900).exited(10, { code: 1 });
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessCrash/ExitCode', root: 'pid:10' },
  },
]);
