/** Ranks in split communicators, from what was said in the split: never wrong, whatever was heard and when. */
import t from 'tap';
import { type Place, placeKey, type SplitCall, SplitRanks } from '../../src/probes/gpu-trace-splits.js';
import { fc, runs } from '../lib/property.js';

const WORLD = 'aa';

/** What a rank says; -1: no color. */
interface Said {
  readonly color: number;
  readonly key: number;
}

const caller = (parentId: string, rank: number): string => placeKey(100 + rank, 1, `0x${parentId}`, parentId);

function callOf(parentId: string, said: Said, rank: number, nranks: number, ordinal = 1): SplitCall {
  const id = `${parentId}.${ordinal}.${said.color}`;
  return {
    parentId,
    ordinal,
    caller: caller(parentId, rank),
    callerPlace: { rank, nranks },
    ...said,
    child: said.color === -1 ? undefined : { id, place: placeKey(100 + rank, 1, `0x${id}`, id) },
  };
}

/** As NCCL's own code has it: each rank is inserted behind those whose key is not greater. */
function manual(says: readonly Said[], rank: number): Place | undefined {
  const own = says[rank];
  if (own === undefined || own.color === -1) return undefined;
  const order: number[] = [];
  for (const [i, { color, key }] of says.entries()) {
    if (color !== own.color) continue;
    let at = 0;
    while (at < order.length && (says[order[at] ?? 0]?.key ?? 0) <= key) at++;
    order.splice(at, 0, i);
  }
  return { rank: order.indexOf(rank), nranks: order.length };
}

function placeOf(ranks: SplitRanks, call: SplitCall): Place | undefined {
  return call.child === undefined ? undefined : ranks.placeOf(call.child.place);
}

const small = fc.record<Said>({ color: fc.integer({ min: -1, max: 1 }), key: fc.nat(3) });
const says = fc.array(
  fc.record<Said>({
    color: fc.integer({ min: -1, max: 2 }),
    key: fc.oneof(fc.integer({ min: -2, max: 2 }), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })),
  }),
  { minLength: 1, maxLength: 9 },
);
/** In which order they are heard. */
const shuffled = says.chain((all) =>
  fc.tuple(
    fc.constant(all),
    fc.shuffledSubarray([...all.keys()], { minLength: all.length, maxLength: all.length }),
  ),
);

t.test('all were heard: as the manual says, in whatever order', async (t) => {
  fc.assert(
    fc.property(shuffled, ([all, order]) => {
      const ranks = new SplitRanks();
      const calls = all.map((said, rank) => callOf(WORLD, said, rank, all.length));
      for (const [nth, rank] of order.entries()) {
        for (const call of calls)
          if (placeOf(ranks, call) !== undefined) throw new Error(`told after ${nth}`);
        const call = calls[rank];
        if (call !== undefined) ranks.note(call);
      }
      t.same(
        calls.map((call) => placeOf(ranks, call)),
        calls.map((_, rank) => manual(all, rank)),
      );
    }),
  );
});

const FLAWS = ['lost', 'twice', 'same rank', 'other size', 'no rank', 'color and none', 'stranger'] as const;

/** What is heard in place of the call of rank `rank` of `nranks`. */
function flawed(
  call: SplitCall,
  flaw: (typeof FLAWS)[number],
  rank: number,
  nranks: number,
): readonly SplitCall[] {
  switch (flaw) {
    case 'lost':
      return [];
    case 'twice':
      return nranks === 1 ? [] : [call, call];
    case 'same rank':
      return [{ ...call, callerPlace: { rank: (rank + 1) % (nranks + 1), nranks } }];
    case 'other size':
      return [{ ...call, callerPlace: { rank, nranks: nranks + 1 } }];
    case 'no rank':
      return [{ ...call, callerPlace: { nranks } }];
    case 'color and none':
      return [{ ...call, color: -1, child: { id: 'x', place: 'x' } }];
    case 'stranger':
      return [{ ...call, caller: 'x', callerPlace: { rank: nranks, nranks } }];
  }
}

t.test('one was not heard, or twice, or says what cannot be: nothing is told', async (t) => {
  fc.assert(
    fc.property(shuffled, fc.constantFrom(...FLAWS), fc.nat(), ([all, order], flaw, nth) => {
      const ranks = new SplitRanks();
      const victim = nth % all.length;
      const heard = order.map((rank): readonly SplitCall[] => {
        const call = callOf(WORLD, all[rank] ?? { color: 0, key: 0 }, rank, all.length);
        return rank === victim ? flawed(call, flaw, rank, all.length) : [call];
      });
      // After the last one, the second time would be too late for a flaw.
      const told = (flaw === 'twice' ? heard.sort((a, b) => b.length - a.length) : heard).flat();
      for (const call of told) ranks.note(call);
      for (const call of told) if (placeOf(ranks, call) !== undefined) throw new Error(`told: ${flaw}`);
    }),
    { numRuns: runs(1_000) },
  );
  t.pass();
});

t.test('splits of splits, heard in any order, the parent’s last too', async (t) => {
  fc.assert(
    fc.property(
      says,
      fc.array(small, { minLength: 9, maxLength: 9 }),
      fc.array(fc.nat(), { maxLength: 40 }),
      (all, more, mix) => {
        const ranks = new SplitRanks();
        const first = all.map((said, rank) => callOf(WORLD, said, rank, all.length));
        const second: SplitCall[] = [];
        const expected = new Map<string, Place | undefined>();
        for (const color of new Set(all.map((said) => said.color))) {
          if (color === -1) continue;
          const id = `${WORLD}.1.${color}`;
          const members = first.flatMap((call, rank) => {
            const place = manual(all, rank);
            return call.color === color && place !== undefined ? [{ rank, place }] : [];
          });
          const ordered = [...members].sort((a, b) => a.place.rank - b.place.rank);
          const inner = ordered.map(({ rank }) => more[rank] ?? { color: -1, key: 0 });
          for (const [at, { rank }] of ordered.entries()) {
            const said = inner[at] ?? { color: -1, key: 0 };
            // The kernel does not know which rank a split gave.
            const call = { ...callOf(id, said, rank, 1), callerPlace: {} };
            second.push(call);
            if (call.child !== undefined) expected.set(call.child.place, manual(inner, at));
          }
        }
        const calls = [...first, ...second];
        for (const swap of mix) {
          const [a, b] = [swap % calls.length, (swap * 7 + 3) % calls.length];
          const [x, y] = [calls[a], calls[b]];
          if (x !== undefined && y !== undefined) [calls[a], calls[b]] = [y, x];
        }
        for (const call of calls) ranks.note(call);
        for (const [place, value] of expected) t.same(ranks.placeOf(place), value);
      },
    ),
    { numRuns: runs(200) },
  );
});

t.test('what the program asks later completes a split; a size without a rank does not', async (t) => {
  const ranks = new SplitRanks();
  const [a, b] = [0, 1].map((rank) => ({
    ...callOf(WORLD, { color: 0, key: -rank }, rank, 2),
    callerPlace: {},
  }));
  if (a === undefined || b === undefined) throw new Error('none');
  ranks.note(a);
  ranks.note(b);
  ranks.learn(WORLD, a.caller, { rank: 0, nranks: 2 });
  ranks.learn(WORLD, b.caller, { nranks: 2 });
  t.equal(placeOf(ranks, a), undefined);
  ranks.learn('another', b.caller, { rank: 1, nranks: 2 });
  t.equal(placeOf(ranks, a), undefined);
  ranks.learn(WORLD, b.caller, { rank: 1, nranks: 2 });
  t.same(
    [placeOf(ranks, a), placeOf(ranks, b)],
    [
      { rank: 1, nranks: 2 },
      { rank: 0, nranks: 2 },
    ],
  );
});

t.test('what is gone is forgotten, and the parent may be gone first', async (t) => {
  const ranks = new SplitRanks();
  const outer = [0, 1].map((rank) => callOf(WORLD, { color: 0, key: 0 }, rank, 2));
  for (const call of outer) ranks.note(call);
  const { id = '', place = '' } = outer[0]?.child ?? {};
  const [one, other] = [0, 1].map((rank) => ({
    ...callOf(id, { color: 4, key: -rank }, rank, 2),
    callerPlace: {},
  }));
  if (one === undefined || other === undefined) throw new Error('none');
  ranks.note(one);
  t.same(ranks.placeOf(place), { rank: 0, nranks: 2 });
  ranks.keep(new Set());
  t.ok(ranks.placeOf(place), 'one look may miss it');
  ranks.keep(new Set([place]));
  ranks.keep(new Set());
  t.ok(ranks.placeOf(place));
  ranks.keep(new Set());
  t.equal(ranks.placeOf(place), undefined);
  ranks.note({ ...other, callerPlace: { rank: 1, nranks: 2 } });
  t.same(placeOf(ranks, one), { rank: 1, nranks: 2 }, 'the call knows which rank its caller was');
});

t.test('splits that never are complete make room', async (t) => {
  const ranks = new SplitRanks();
  for (let ordinal = 1; ordinal <= 6_000; ordinal++)
    ranks.note(callOf(WORLD, { color: 0, key: 0 }, 0, 2, ordinal));
  t.ok(ranks.dropped > 0);
  const [a, b] = [0, 1].map((rank) => callOf(WORLD, { color: 0, key: 0 }, rank, 2, 7_000));
  if (a === undefined || b === undefined) throw new Error('none');
  ranks.note(a);
  ranks.note(b);
  t.same(placeOf(ranks, b), { rank: 1, nranks: 2 });
});
