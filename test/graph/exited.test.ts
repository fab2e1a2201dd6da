/** ExitedStore against the obvious model: an array of everything, of which only the newest count. */
import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import { ExitedStore, type ExitedRecord } from '../../src/graph/exited.js';
import { fc, runs } from '../lib/property.js';

const KEEP_MS = 600_000;

function record(pid: number, start: number, exitTs: number, comm = 'sh'): ExitedRecord {
  return { pid, start, ppid: 1, exitTs, comm, status: 0 };
}

t.test('a record comes back as it went in', async (t) => {
  const store = new ExitedStore(4);
  const given = {
    pid: 4_194_304,
    start: 2 ** 52,
    ppid: 77,
    exitTs: 1.75e12 + 0.125,
    comm: 'python3',
    status: 0x8b,
  };
  store.add(given, KEEP_MS);
  t.same(store.find(given.pid, 0), given);
  t.equal(store.size, 1);
});

t.test('a name is cut at sixteen bytes, between characters', async (t) => {
  const store = new ExitedStore(2);
  store.add(record(1, 1, 1, 'exactly16bytes!!'), KEEP_MS);
  store.add(record(2, 1, 1, `${'a'.repeat(15)}é`), KEEP_MS);
  t.equal(store.find(1, 0)?.comm, 'exactly16bytes!!');
  t.equal(store.find(2, 0)?.comm, 'a'.repeat(15));
});

t.test('pids that share a bucket are told apart', async (t) => {
  const store = new ExitedStore(8);
  const pids = [5, 5 + 65_536, 5 + 2 * 65_536];
  for (const pid of pids) store.add(record(pid, pid, pid), KEEP_MS);
  t.same(
    pids.map((pid) => store.find(pid, 0)?.start),
    pids,
  );
  t.equal(store.find(5 + 3 * 65_536, 0), undefined);
});

t.test('it remembers what the last records say, and nothing else', async (t) => {
  const pid = fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constantFrom(1 + 65_536, 2 + 65_536));
  const exits = fc.array(
    fc.record({ pid, start: fc.nat({ max: 50 }), stepMs: fc.integer({ min: -50, max: 400_000 }) }),
    {
      maxLength: 60,
      size: 'max',
    },
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), exits, (capacity, all) => {
      const store = new ExitedStore(capacity);
      const model: ExitedRecord[] = [];
      let ts = 1_000_000;
      let early = 0;
      for (const { pid, start, stepMs } of all) {
        ts += stepMs;
        const one = record(pid, start, ts);
        const gone = model.at(-capacity);
        if (gone !== undefined && ts - gone.exitTs < KEEP_MS) early++;
        model.push(one);
        store.add(one, KEEP_MS);
        const kept = model.slice(-capacity).reverse();
        for (const asked of [1, 2, 3, 4, 1 + 65_536, 2 + 65_536]) {
          for (const after of [0, ts - 200_000, ts]) {
            const expected = kept.find((known) => known.pid === asked && known.exitTs >= after);
            if (!isDeepStrictEqual(store.find(asked, after), expected)) return false;
          }
          for (const born of [0, start]) {
            const expected = kept.some((known) => known.pid === asked && known.start >= born);
            if (store.hasSince(asked, born) !== expected) return false;
          }
        }
        if (store.size !== kept.length || store.overwritten !== early) return false;
      }
      return true;
    }),
    { numRuns: runs(300) },
  );
  t.pass();
});
