import assert from 'node:assert/strict';
import t from 'tap';
import { Once, type Told, type XidSource } from '../../src/xid/once.js';
import { fc, runs } from '../lib/property.js';

const GPU = 'gpu:0';
const tell = (once: Once, source: XidSource, ts: number, more: Partial<Told> = {}): number =>
  once.tell({ source, gpu: GPU, code: 79, ts, ...more });

t.test('told twice, counted once, in either order', async (t) => {
  for (const [first, second] of [
    ['line', 'nvml'],
    ['nvml', 'line'],
  ] as const) {
    const once = new Once();
    t.equal(tell(once, first, 1_000), 1);
    t.equal(tell(once, second, 1_900), 0);
    // The log is read once a second: its line is older than what NVML told before it.
    t.equal(tell(once, second, 9_000), 1);
    t.equal(tell(once, first, 8_100), 0);
  }
});

t.test('a GPU off the bus: two lines and an event of NVML are one fault', async (t) => {
  const once = new Once();
  t.strictSame(
    (['line', 'lost', 'nvml'] as const).map((source) => tell(once, source, 1_000)),
    [1, 0, 0],
  );
});

t.test('twice from one source is twice', async (t) => {
  const once = new Once();
  t.strictSame(
    [
      tell(once, 'line', 1),
      tell(once, 'line', 2),
      tell(once, 'nvml', 3),
      tell(once, 'nvml', 4),
      tell(once, 'nvml', 5),
    ],
    [1, 1, 0, 0, 1],
  );
});

t.test('another GPU, code or time is another fault', async (t) => {
  const once = new Once();
  tell(once, 'line', 1_000);
  t.equal(tell(once, 'nvml', 1_000, { gpu: 'gpu:1' }), 1);
  t.equal(tell(once, 'nvml', 1_000, { code: 48 }), 1);
  t.equal(tell(once, 'nvml', 6_001), 1);
});

t.test('a flood, of which the log says only how many there were', async (t) => {
  const once = new Once();
  let counted = 0;
  for (let i = 0; i < 10_000; i++) counted += tell(once, 'nvml', 1_000 + i * 2);
  t.equal(counted, 10_000);
  // Twenty seconds of it: five lines, and the last with the count of the others.
  for (let i = 0; i < 5; i++) counted += tell(once, 'line', 1_000 + i);
  counted += tell(once, 'line', 21_000, { count: 9_995, sinceTs: 1_004 });
  t.equal(counted, 10_000);
  t.ok(once.size <= 64, `${once.size} remembered`);
});

t.test('what is remembered is bounded', async (t) => {
  const once = new Once();
  for (let gpu = 0; gpu < 5_000; gpu++) once.tell({ source: 'line', gpu: `gpu:${gpu}`, code: 31, ts: gpu });
  t.equal(once.size, 1_024);
  for (let i = 0; i < 1_000; i++) tell(once, 'line', 1e6 * i);
  t.ok(once.size <= 1_024, 'old ones are forgotten');
});

t.test('nonsense counts nothing', async (t) => {
  for (const count of [0, -1, Number.NaN, 0.5]) t.equal(tell(new Once(), 'line', 1, { count }), 0);
});

const WINDOW_MS = 1_000;

/** Faults; each source tells every one within half a window, in order, and the tellings come in any mix. */
const story = fc
  .record({
    gaps: fc.array(fc.nat(2 * WINDOW_MS), { minLength: 1, maxLength: 40 }),
    sources: fc.constantFrom<readonly XidSource[]>(
      ['line', 'nvml'],
      ['nvml', 'line'],
      ['line', 'lost', 'nvml'],
    ),
    lags: fc.array(fc.nat(WINDOW_MS / 2), { minLength: 120, maxLength: 120 }),
    mix: fc.array(fc.nat(2), { minLength: 200, maxLength: 200 }),
  })
  .map(({ gaps, sources, lags, mix }) => {
    let at = 0;
    const faults = gaps.map((gap) => (at += gap));
    const queues = sources.map((source, s) => {
      let last = 0;
      return faults.map((ts, i) => {
        // Its own order is kept: a later fault is never told with an earlier time.
        last = Math.max(last, ts + (lags[(s * 40 + i) % lags.length] ?? 0));
        return { source, ts: Math.min(last, ts + WINDOW_MS) };
      });
    });
    const told: { source: XidSource; ts: number }[] = [];
    for (let i = 0; queues.some((queue) => queue.length > 0); i++) {
      const queue = queues[(mix[i % mix.length] ?? 0) % queues.length];
      const next =
        (queue?.length ?? 0) > 0 ? queue?.shift() : queues.find(({ length }) => length > 0)?.shift();
      if (next !== undefined) told.push(next);
    }
    return { faults, told };
  });

t.test('property: however the tellings mix, each fault counts once', async (t) => {
  fc.assert(
    fc.property(story, ({ faults, told }) => {
      const once = new Once({ windowMs: WINDOW_MS, keepMs: 1e9 });
      const counted = told.reduce((sum, { source, ts }) => sum + tell(once, source, ts), 0);
      assert.equal(counted, faults.length);
    }),
    { numRuns: runs(1_000) },
  );
  t.pass();
});

t.test('property: never less than one source says, never more than all say', async (t) => {
  const tellings = fc.array(
    fc.record({
      source: fc.constantFrom<XidSource>('line', 'lost', 'nvml'),
      ts: fc.nat(20 * WINDOW_MS),
      count: fc.nat(5),
    }),
    { maxLength: 80 },
  );
  fc.assert(
    fc.property(tellings, fc.boolean(), (told, close) => {
      const once = new Once({ windowMs: WINDOW_MS, keepMs: 1e9 });
      const sums = new Map<XidSource, number>();
      let counted = 0;
      for (const { source, ts, count } of told) {
        counted += tell(once, source, close ? ts / 20 : ts, { count });
        sums.set(source, (sums.get(source) ?? 0) + count);
      }
      const most = Math.max(0, ...sums.values());
      const all = [...sums.values()].reduce((a, b) => a + b, 0);
      assert.ok(counted >= most && counted <= all);
      if (close) assert.equal(counted, most, 'within one window: as many as the one that heard most');
    }),
    { numRuns: runs(1_000) },
  );
  t.pass();
});
