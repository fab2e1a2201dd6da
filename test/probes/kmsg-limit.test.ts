import assert from 'node:assert/strict';
import t from 'tap';
import { BootClock } from '../../src/kernel/clock.js';
import { KmsgClock } from '../../src/probes/kmsg-clock.js';
import { KmsgLimit } from '../../src/probes/kmsg-limit.js';
import { fc } from '../lib/property.js';

t.test('five at once, then one every twelve seconds, with the count of the others', async (t) => {
  const told: [number, number][] = [];
  const limit = new KmsgLimit<number>((fact, suppressed) => told.push([fact, suppressed]));
  for (let i = 0; i < 10; i++) limit.offer('disk', 1_000 + i, i);
  limit.offer('other', 1_010, 100);
  t.same(
    told.map(([fact]) => fact),
    [0, 1, 2, 3, 4, 100],
  );
  limit.settle(12_000);
  t.equal(told.length, 6, 'not yet');
  limit.settle(13_100);
  t.same(told.at(-1), [9, 4], 'the last one, for itself and the four before');
  limit.settle(60_000);
  t.equal(told.length, 7, 'once');
});

t.test('what is gone: its count is told, and its name begins anew', async (t) => {
  const told: [number, number][] = [];
  const limit = new KmsgLimit<number>((fact, suppressed) => told.push([fact, suppressed]));
  for (let i = 0; i < 8; i++)
    for (const key of ['io/block:dm-0', 'io/block:dm-1']) limit.offer(key, 1_000, i);
  limit.forget((key) => key.endsWith('/block:dm-0'));
  t.same(told.slice(10), [[7, 2]]);
  limit.offer('io/block:dm-0', 1_001, 100);
  limit.offer('io/block:dm-1', 1_001, 200);
  t.same(told.slice(11), [[100, 0]], 'the other one is still held back');
});

t.test('every fact is told or counted, and the last one is told', async (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(2_000), fc.nat(40_000), fc.boolean()), { minLength: 1, maxLength: 300 }),
      (steps) => {
        let told = 0;
        const last = new Map<number, number>();
        const limit = new KmsgLimit<readonly [number, number]>(([key, serial], suppressed) => {
          told += 1 + suppressed;
          last.set(key, serial);
        });
        let now = 0;
        const offered = new Map<number, number>();
        for (const [serial, [key, pauseMs, settle]] of steps.entries()) {
          now += pauseMs / 20;
          limit.offer(String(key), now, [key, serial]);
          offered.set(key, serial);
          if (settle) limit.settle(now);
        }
        limit.settle(now + 120_000);
        assert.equal(told, steps.length);
        assert.deepStrictEqual([...last].sort(), [...offered].sort());
      },
    ),
  );
  t.pass();
});

t.test('the time of a record, whatever the CPU counter has drifted', async (t) => {
  // The log runs 40 s ahead of the raw clock; looks are made every half second.
  let rawNs = 1e15;
  const clock = new BootClock(0);
  const boot = t.capture(clock, 'nowNs', () => rawNs + 3e9);
  const log = new KmsgClock(clock, () => rawNs, 0);
  const driftUs = 40e6;
  const lookNs = rawNs;
  rawNs += 200e6;
  const madeUs = rawNs / 1e3 + driftUs;
  rawNs += 300e6;
  const trueMs = (rawNs + 3e9) / 1e6 - 300;
  const ts = log.eventTime(madeUs, lookNs);
  t.ok(Math.abs(ts - trueMs) <= 500, `${ts - trueMs} ms off: no more than between two looks`);
  t.ok(ts <= (rawNs + 3e9) / 1e6, 'never in the future');
  t.ok(boot().length > 0);
});
