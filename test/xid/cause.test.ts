import assert from 'node:assert/strict';
import t from 'tap';
import { xid, XID_CODES } from '../../src/xid/catalogue.js';
import { blame, causeOf, type SeenXid } from '../../src/xid/cause.js';
import { fc, runs } from '../lib/property.js';

const seen = (code: number, ts: number, more: Partial<SeenXid> = {}): SeenXid => ({
  code,
  ts,
  gpu: 'gpu:0',
  ...more,
});

t.test('a symptom points at what was before it', async (t) => {
  const rows: readonly (readonly [string, SeenXid, readonly SeenXid[], number | undefined])[] = [
    ['cleanup after a fault', seen(45, 1_000), [seen(48, 900)], 48],
    ['the first of a burst', seen(45, 1_300), [seen(48, 1_000), seen(63, 1_050), seen(94, 1_100)], 48],
    ['a note explains less', seen(45, 1_300), [seen(63, 1_000), seen(94, 1_100)], 94],
    ['but more than nothing', seen(45, 1_300), [seen(63, 1_000)], 63],
    [
      'what the driver names',
      seen(45, 9_000, { causedBy: 149 }),
      [seen(48, 8_900), seen(149, 8_000), seen(149, 2_000)],
      149,
    ],
    [
      'what the driver names, and nobody saw',
      seen(45, 9_000, { causedBy: 149 }),
      [seen(48, 8_900)],
      undefined,
    ],
    ['printed a little later', seen(43, 1_000), [seen(31, 1_400)], 31],
    ['an old one', seen(154, 100_000), [seen(79, 10_000)], undefined],
    ['another GPU', seen(154, 1_000), [seen(79, 900, { gpu: 'gpu:1' })], undefined],
    ['another symptom', seen(154, 1_000), [seen(45, 900), seen(43, 800)], undefined],
    ['an earlier trouble that was over', seen(45, 50_000), [seen(31, 1_000), seen(79, 49_000)], 79],
    [
      'its own process',
      seen(43, 1_000, { pid: 2 }),
      [seen(31, 800, { pid: 1 }), seen(13, 900, { pid: 2 })],
      13,
    ],
    [
      'the hardware is everybody’s',
      seen(43, 1_000, { pid: 2 }),
      [seen(48, 800, { pid: 1 }), seen(13, 900, { pid: 2 })],
      48,
    ],
    ['nothing', seen(45, 1_000), [], undefined],
    ['a cause has none', seen(79, 1_000), [seen(48, 900)], undefined],
  ];
  for (const [name, symptom, recent, want] of rows)
    t.equal(causeOf(symptom, [...recent, symptom])?.code, want, name);
  const first = seen(149, 2_000);
  const second = seen(149, 8_000);
  t.equal(causeOf(seen(45, 9_000, { causedBy: 149 }), [second, first]), second, 'the last of that number');
});

t.test('property: it is never a symptom, never of another GPU', async (t) => {
  const any: fc.Arbitrary<SeenXid> = fc.record({
    code: fc.constantFrom(...XID_CODES),
    ts: fc.nat(100_000),
    gpu: fc.constantFrom('gpu:0', 'gpu:1'),
    pid: fc.constantFrom(1, 2),
  });
  fc.assert(
    fc.property(any, fc.array(any, { maxLength: 30 }), (symptom, recent) => {
      const cause = causeOf(symptom, recent);
      if (cause === undefined) return;
      assert.ok(recent.includes(cause));
      assert.equal(xid(cause.code).role, 'cause');
      assert.equal(xid(symptom.code).role, 'symptom');
      assert.equal(cause.gpu, symptom.gpu);
    }),
    { numRuns: runs(1_000) },
  );
  t.pass();
});

const HOUR = 3_600_000;
const sm = (tpc: number) => ({ sm: { gpc: 1, tpc, sm: 0 } });

t.test('13 and 31: the program or the GPU', async (t) => {
  t.equal(blame([]), undefined);
  t.equal(blame([seen(79, 1)]), undefined, 'of others it says nothing');
  t.match(blame([seen(31, 0)]), { points: 'application', how: 'once', incidents: 1 });
  t.match(blame([seen(31, 0), seen(31, HOUR)]), {
    points: 'hardware',
    how: 'one-gpu',
    incidents: 2,
    gpus: ['gpu:0'],
  });
  t.match(
    blame([seen(31, 0, { pid: 1 }), seen(13, 1_000, { pid: 2 })]),
    { points: 'hardware', incidents: 2 },
    'another program, at once',
  );
  t.match(blame([seen(31, 0), seen(31, 5, { gpu: 'gpu:3' })]), {
    points: 'application',
    how: 'several-gpus',
    gpus: ['gpu:0', 'gpu:3'],
  });
  t.match(blame([seen(13, 0, sm(1)), seen(13, HOUR, sm(1))]), { points: 'hardware', how: 'one-gpu' });
  t.match(blame([seen(13, 0, sm(1)), seen(13, HOUR, sm(2))]), { points: 'application', how: 'several-tpcs' });
  t.match(
    blame([seen(13, 0, sm(1)), seen(31, HOUR)]),
    { points: 'hardware' },
    'a place that is not known may be the same',
  );
});

t.test('one exception prints a line for each SM: that is one incident', async (t) => {
  const burst = Array.from({ length: 200 }, (_, i) => seen(13, i, { pid: 7, ...sm(i % 60) }));
  t.match(blame(burst), { points: 'application', how: 'once', incidents: 1 });
  t.match(blame([...burst, ...burst.map((one) => ({ ...one, ts: one.ts + HOUR, pid: 8 }))]), {
    points: 'hardware',
    incidents: 2,
  });
});

t.test('property: the order in which they are given does not matter', async (t) => {
  const any = fc.record({
    code: fc.constantFrom(13, 31, 48),
    ts: fc.nat(100_000),
    gpu: fc.constantFrom('gpu:0', 'gpu:1'),
  });
  fc.assert(
    fc.property(fc.array(any, { maxLength: 20 }), (all) => {
      const reversed = blame(all.toReversed());
      assert.deepEqual(blame(all), reversed);
      const gpus = new Set(all.filter(({ code }) => code !== 48).map(({ gpu }) => gpu));
      assert.equal(reversed?.gpus.length ?? 0, gpus.size);
      if (gpus.size > 1) assert.equal(reversed?.points, 'application');
    }),
  );
  t.pass();
});
