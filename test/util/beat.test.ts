/** Beats of different periods meet, and none is ever skipped or given twice. */
import t from 'tap';
import { every, untilBeatMs } from '../../src/util/beat.js';
import { until } from '../lib/until.js';
import { fc } from '../lib/property.js';

const now = fc.double({ min: 0, max: 1e9, noNaN: true });

t.test('the next beat is a multiple of the period, and ahead', async (t) => {
  fc.assert(
    fc.property(fc.constantFrom(250, 500, 1_000, 2_500), now, (periodMs, nowMs) => {
      const waitMs = untilBeatMs(periodMs, nowMs);
      const at = (nowMs + waitMs) / periodMs;
      return waitMs >= 1 && waitMs < periodMs + 1 && Math.abs(at - Math.round(at)) < 1e-6;
    }),
  );
  t.pass();
});

t.test('a beat of a second is also one of a quarter', async (t) => {
  fc.assert(
    fc.property(now, (nowMs) => {
      const at = nowMs + untilBeatMs(1_000, nowMs);
      // As seen from a moment before it.
      return Math.abs(untilBeatMs(250, at - 100) - 100) < 1e-6;
    }),
  );
  t.pass();
});

t.test('beats until it is stopped', async (t) => {
  const moments: number[] = [];
  const beat = every(20, () => moments.push(performance.now()));
  // The beat itself does not keep the process alive.
  await until(() => moments.length >= 3, { timeoutMs: 5_000, what: 'three beats' });
  beat.stop();
  const seen = moments.length;
  let other = 0;
  const later = every(20, () => other++);
  await until(() => other >= 2, { timeoutMs: 5_000, what: 'two beats of another' });
  later.stop();
  t.equal(moments.length, seen);
});
