/** Percentiles and baselines out of histograms: by example and by property. */
import t from 'tap';
import {
  Baseline,
  type Counts,
  noCounts,
  percentileMs,
  SLOTS,
  slotOf,
  slotStartMs,
} from '../../src/probes/block-latency.js';
import { fc } from '../lib/property.js';

function of(...latenciesMs: readonly number[]): Counts {
  const counts = noCounts();
  for (const ms of latenciesMs) {
    const slot = slotOf(ms * 1e6);
    counts[slot] = (counts[slot] ?? 0) + 1;
  }
  return counts;
}

t.test('slots follow each other without a gap, a quarter of an octave wide', async (t) => {
  for (let slot = 0; slot < SLOTS; slot++) {
    t.equal(slotOf(slotStartMs(slot) * 1e6), slot);
    if (slot >= 4) t.ok(slotStartMs(slot + 1) / slotStartMs(slot) <= 1.25);
  }
  t.ok(slotStartMs(SLOTS) > 270_000);
});

t.test('a latency lies in its slot, whatever it is', async (t) => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 270_000, noNaN: true }), (ms) => {
      const slot = slotOf(ms * 1e6);
      return slotStartMs(slot) <= ms && ms < slotStartMs(slot + 1);
    }),
  );
  t.equal(slotOf(1e15), SLOTS - 1, 'what is beyond the last slot is in it');
});

t.test('percentiles are right to a slot, and never fall as the share grows', async (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.01, max: 10_000, noNaN: true }), { minLength: 1, maxLength: 200 }),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      (latencies, share) => {
        const sorted = [...latencies].sort((a, b) => a - b);
        const exact = sorted[Math.max(0, Math.ceil(sorted.length * share - 1e-9) - 1)] ?? 0;
        const found = percentileMs(of(...latencies), share) ?? 0;
        const half = percentileMs(of(...latencies), share / 2) ?? 0;
        return found >= exact * 0.8 && found <= exact * 1.26 && half <= found;
      },
    ),
  );
  t.equal(percentileMs(noCounts(), 0.99), undefined, 'of no request there is none');
});

t.test('a baseline is what was, not what is', async (t) => {
  const usual = of(...Array.from({ length: 100 }, () => 2));
  const slow = of(...Array.from({ length: 100 }, () => 900));
  const baseline = new Baseline(60_000);
  t.equal(baseline.p99Ms, undefined);
  baseline.add(of(2), 1000, false);
  t.equal(baseline.p99Ms, undefined, 'one request is no history');
  for (let i = 0; i < 60; i++) baseline.add(usual, 1000, false);
  t.ok((baseline.p99Ms ?? 0) < 3);
  for (let i = 0; i < 10; i++) baseline.add(slow, 1000, true);
  t.ok((baseline.p99Ms ?? 0) < 3, 'ten seconds of trouble do not become usual');
  for (let i = 0; i < 600; i++) baseline.add(slow, 1000, true);
  t.ok((baseline.p99Ms ?? 0) > 500, 'ten minutes do');
});
