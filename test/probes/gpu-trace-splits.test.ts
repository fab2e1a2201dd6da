/** Probe `gpu-trace`: which rank of how many, in communicators that are made of others and in those from before. */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Proc, Truth } from '../lib/proc.js';
import { until } from '../lib/until.js';
import { begin, comm, type Enqueue, enqueue, job, said, traced, type World, world } from './lib/gpu-trace.js';

/** Which rank of how many the double says that it is. */
function truthOf(truth: Truth): { readonly rank: number; readonly nranks: number } {
  return { rank: truth.number('as'), nranks: truth.number('of') };
}

/** All that rank `rank` said of `kind`, once that were `count` words. */
function allSaid(proc: Proc, kind: string, rank: number, count: number): Promise<readonly Truth[]> {
  return until(
    () => {
      const found = proc.truths(kind).filter((truth) => truth.number('rank') === rank);
      return found.length >= count ? found : undefined;
    },
    { timeoutMs: 15_000, what: `${count} of ${kind} of rank ${rank}` },
  );
}

/** What is told of the communicator that this was said of, once so many collectives of it are. */
function told(w: World, truth: Truth, collectives: number): Promise<Enqueue> {
  const handle = truth.text('comm');
  return enqueue(w, truth.pid, (e) => e.attrs.handle === handle && e.attrs.collectives === collectives);
}

/** The same, once its rank is. */
function placed(w: World, truth: Truth): Promise<Enqueue> {
  const handle = truth.text('comm');
  return enqueue(w, truth.pid, (e) => e.attrs.handle === handle && e.attrs.rank !== undefined);
}

/** Nothing that was ever told of the ranks that these truths are of is anything else than so. */
function neverWrong(t: Test, w: World, truths: readonly Truth[]): void {
  for (const truth of truths) {
    const { rank, nranks } = truthOf(truth);
    const handle = truth.text('comm');
    const of = (e: { pid?: number; attrs: { handle?: string } }): boolean =>
      e.pid === truth.pid && e.attrs.handle === handle;
    for (const { attrs } of [...w.rig.all('nccl.enqueue', of), ...w.rig.all('nccl.comm', of)]) {
      if (attrs.rank !== undefined) t.equal(attrs.rank, rank);
      if (attrs.nranks !== undefined) t.equal(attrs.nranks, nranks);
    }
  }
}

for (const uprobeMulti of [true, false]) {
  const kernel = uprobeMulti ? '' : '; as before Linux 6.6';
  t.test(`split: two colors, keys the other way round${kernel}`, async (t) => {
    const w = await world(t, {}, { uprobeMulti });
    const proc = await begin(t, w, {
      n: 4,
      do: 'load,wait,init,split:0/7,allreduce:1',
      do1: 'load,wait,init,split:1/6,allreduce:1',
      do2: 'load,wait,init,split:0/5,allreduce:1',
      do3: 'load,wait,init,split:1/-4,allreduce:1',
    });
    const expected = [1, 1, 0, 0];
    const entities: string[] = [];
    for (const [rank, place] of expected.entries()) {
      const truth = await said(proc, 'allreduce', rank);
      t.same(truthOf(truth), { rank: place, nranks: 2 }, 'the double knows the manual');
      const { entity, attrs } = await placed(w, truth);
      t.match(attrs, { rank: place, nranks: 2 });
      t.match(entity, /^comm:[0-9a-f]{16}$/);
      entities.push(entity);
      neverWrong(t, w, [truth]);
    }
    t.equal(entities[0], entities[2]);
    t.equal(entities[1], entities[3]);
    t.not(entities[0], entities[1]);
  });
}

t.test('no color is no part in any; equal keys go by the rank in the parent', async (t) => {
  const w = await world(t);
  const proc = await begin(t, w, {
    n: 3,
    do: 'load,wait,init,split:5/0,allreduce:1',
    do1: 'load,wait,init,split:-1/0,pop,allreduce:2',
  });
  const [a, none, b] = [
    await said(proc, 'allreduce', 0),
    await said(proc, 'allreduce', 1),
    await said(proc, 'allreduce', 2),
  ];
  t.match((await placed(w, a)).attrs, { rank: 0, nranks: 2 });
  t.match((await placed(w, b)).attrs, { rank: 1, nranks: 2 });
  t.match((await told(w, none, 2)).attrs, { rank: 1, nranks: 3 }, 'only in the one before');
  t.match((await comm(w, none.pid, 'failed')).attrs, { call: 'ncclCommSplit', result: 0 });
  neverWrong(t, w, [a, b, none]);
});

t.test('a split of a split, and a second one of the same', async (t) => {
  const w = await world(t);
  const proc = await begin(t, w, {
    n: 4,
    do: 'load,wait,init,split:0/3,allreduce:1,split:9/1,allreduce:1,pop,split:2/0,allreduce:1',
    do1: 'load,wait,init,split:1/2,allreduce:1,split:9/1,allreduce:1,pop,split:3/0,allreduce:1',
    do2: 'load,wait,init,split:0/1,allreduce:1,split:9/0,allreduce:1,pop,split:2/0,allreduce:1',
    do3: 'load,wait,init,split:1/0,allreduce:1,split:9/2,allreduce:1,pop,split:4/0,allreduce:1',
  });
  const expected = [
    [
      { rank: 1, nranks: 2 },
      { rank: 1, nranks: 2 },
      { rank: 1, nranks: 2 },
    ],
    [
      { rank: 1, nranks: 2 },
      { rank: 0, nranks: 2 },
      { rank: 0, nranks: 1 },
    ],
    [
      { rank: 0, nranks: 2 },
      { rank: 0, nranks: 2 },
      { rank: 0, nranks: 2 },
    ],
    [
      { rank: 0, nranks: 2 },
      { rank: 1, nranks: 2 },
      { rank: 0, nranks: 1 },
    ],
  ];
  for (const [rank, places] of expected.entries()) {
    const truths = await allSaid(proc, 'allreduce', rank, 3);
    for (const [nth, truth] of truths.entries()) {
      t.same(truthOf(truth), places[nth]);
      t.match((await placed(w, truth)).attrs, places[nth] ?? {});
    }
    neverWrong(t, w, truths);
  }
});

t.test('random jobs: each rank is told as what it is', async (t) => {
  const random = (below: number): number => Math.floor(Math.random() * below);
  for (let run = 0; run < 3; run++) {
    const w = await world(t);
    const n = 3 + random(3);
    const deep = random(2) === 1;
    const words: Record<string, string | number> = { n };
    for (let rank = 0; rank < n; rank++) {
      const split = (): string => `split:${random(2)}/${random(3) - 1},allreduce:1`;
      const chain = [split(), split(), split()].join(deep ? ',' : ',pop,');
      words[`do${rank}`] = `load,wait,init,${chain}`;
    }
    t.comment(JSON.stringify(words));
    const proc = await begin(t, w, words);
    for (let rank = 0; rank < n; rank++) {
      const truths = await allSaid(proc, 'allreduce', rank, 3);
      for (const truth of truths) t.match((await placed(w, truth)).attrs, truthOf(truth));
      neverWrong(t, w, truths);
    }
  }
});

/** Ranks 2 and 3 have a library that the agent is not told of: they might as well be on another node. */
function elsewhere(w: World): Readonly<Record<string, string>> {
  const copy = join(w.libraries.dir, 'elsewhere.so');
  copyFileSync(w.libraries.nccl, copy);
  return { nccl2: copy, nccl3: copy };
}

t.test('ranks elsewhere: unknown, until the program asks', async (t) => {
  const w = await world(t);
  const words = (rank: number): string =>
    `load,wait,init,split:0/${3 - rank},allreduce:1,wait,userrank,count,allreduce:2`;
  const dos = Object.fromEntries([0, 1, 2, 3].map((rank) => [`do${rank}`, words(rank)]));
  const proc = await begin(t, w, { n: 4, ...elsewhere(w), ...dos }, 2);
  const truths = [await said(proc, 'allreduce', 0), await said(proc, 'allreduce', 1)];
  const before = await Promise.all(truths.map((truth) => told(w, truth, 1)));
  for (const { attrs } of before) t.notOk('rank' in attrs || 'nranks' in attrs);
  t.equal(before[0]?.entity, before[1]?.entity, 'but that they belong together is');
  for (const { pid } of truths) process.kill(pid, 'SIGUSR1');
  for (const truth of truths) t.match((await told(w, truth, 3)).attrs, truthOf(truth));
  t.same(truths.map(truthOf), [
    { rank: 3, nranks: 4 },
    { rank: 2, nranks: 4 },
  ]);
  neverWrong(t, w, truths);
});

t.test('a part that is all on this node: splits of it follow from one answer', async (t) => {
  const w = await world(t);
  // By node; a split of that; only then what the program asks of the former.
  const words = (node: number, rank: number): string =>
    `load,wait,init,split:${node}/${rank},split:0/${-rank},allreduce:1,wait,pop,userrank,count,allreduce:1`;
  const dos = { do0: words(0, 0), do1: words(0, 1), do2: words(1, 2), do3: words(1, 3) };
  const proc = await begin(t, w, { n: 4, ...elsewhere(w), ...dos }, 2);
  const inner = [await said(proc, 'allreduce', 0), await said(proc, 'allreduce', 1)];
  for (const truth of inner) t.notOk('rank' in (await told(w, truth, 1)).attrs);
  for (const { pid } of inner) process.kill(pid, 'SIGUSR1');
  for (const truth of inner) t.match((await placed(w, truth)).attrs, truthOf(truth));
  t.same(inner.map(truthOf), [
    { rank: 1, nranks: 2 },
    { rank: 0, nranks: 2 },
  ]);
  neverWrong(t, w, inner);
});

t.test('a communicator from before the agent: told when the program asks', async (t) => {
  const w = await world(t);
  const proc = await job(t, w.libraries, {
    n: 2,
    do: 'init,allreduce:9,wait,allreduce:4,wait,count,wait,userrank,allreduce:1',
  });
  const truth = await said(proc, 'wait', 1);
  const { pid } = truth;
  await traced(w, [pid]);
  process.kill(pid, 'SIGUSR1');
  t.notOk('rank' in (await told(w, truth, 4)).attrs);
  await allSaid(proc, 'wait', 1, 2);
  process.kill(pid, 'SIGUSR1');
  const sized = await enqueue(w, pid, (e) => e.attrs.nranks !== undefined);
  t.equal(sized.attrs.nranks, 2);
  t.notOk('rank' in sized.attrs);
  await allSaid(proc, 'wait', 1, 3);
  process.kill(pid, 'SIGUSR1');
  const { entity, attrs } = await told(w, truth, 5);
  t.match(attrs, { rank: 1, nranks: 2 });
  t.equal(entity, `comm:${pid}/${truth.text('comm')}`, 'whose it is stays unknown');
});

t.test('a split that failed in one rank: no later one is told wrong', async (t) => {
  const w = await world(t);
  const proc = await begin(t, w, {
    n: 2,
    do: 'load,wait,init,split:0/1,allreduce:1,pop,split:0/0,allreduce:2',
    do1: 'load,wait,init,badsplit,split:0/0,allreduce:1,pop,split:0/1,allreduce:2',
  });
  for (const rank of [0, 1]) {
    const [first, second] = await allSaid(proc, 'allreduce', rank, 2);
    if (first === undefined || second === undefined) throw new Error('not two');
    t.notOk('rank' in (await told(w, first, 1)).attrs);
    t.notOk('rank' in (await told(w, second, 2)).attrs);
    neverWrong(t, w, [first, second]);
  }
  const [one] = await allSaid(proc, 'allreduce', 1, 1);
  if (one === undefined) throw new Error('none');
  const { entity } = await told(w, one, 1);
  t.equal(entity, `comm:${one.pid}/${one.text('comm')}`, 'nor taken for another');
});

t.test('a split that comes after its call: only the program knows', async (t) => {
  const w = await world(t);
  const proc = await begin(t, w, {
    n: 2,
    do: 'load,wait,init,splitlate:0/1,allreduce:1,wait,count,userrank,allreduce:1',
    do1: 'load,wait,init,splitlate:0/0,allreduce:1,wait,count,userrank,allreduce:1',
  });
  for (const rank of [0, 1]) {
    const truth = await said(proc, 'allreduce', rank);
    t.notOk('rank' in (await told(w, truth, 1)).attrs);
    process.kill(truth.pid, 'SIGUSR1');
    t.match((await told(w, truth, 2)).attrs, { rank: 1 - rank, nranks: 2 });
    neverWrong(t, w, [truth]);
  }
});

t.test('shrink: the others close up', async (t) => {
  const w = await world(t);
  const proc = await begin(t, w, {
    n: 4,
    do: 'load,wait,init,shrink:2,allreduce:1',
    do2: 'load,wait,init',
    // Of two, in order and not; a second shrink of one parent.
    do3: 'load,wait,init,shrink:2,allreduce:1,pop,shrink:0/2,allreduce:1,pop,shrink:2/1,allreduce:1',
  });
  const truths: Truth[] = [];
  const entities = new Set<string>();
  for (const [rank, place] of [
    [0, 0],
    [1, 1],
    [3, 2],
  ] as const) {
    const truth = await said(proc, 'allreduce', rank);
    const { entity, attrs } = await placed(w, truth);
    t.match(attrs, { rank: place, nranks: 3 });
    entities.add(entity);
    truths.push(truth);
    t.match((await comm(w, truth.pid, 'ready', 1)).attrs, { call: 'ncclCommShrink', rank: place, nranks: 3 });
  }
  t.equal(entities.size, 1, 'one communicator');
  const [, second, third] = await allSaid(proc, 'allreduce', 3, 3);
  if (second === undefined || third === undefined) throw new Error('not three');
  const { entity, attrs } = await placed(w, second);
  t.match(attrs, { rank: 1, nranks: 2 });
  t.equal(entity, `comm:${second.pid}/${second.text('comm')}`, 'which of several it is is unknown');
  t.notOk('rank' in (await told(w, third, 1)).attrs, 'a list that is in no order');
  neverWrong(t, w, [...truths, second, third]);
});
