/** Probe `gpu`: XIDs and other events that NVML tells, by the one and by the ten thousand. */
import t from 'tap';
import { until } from '../lib/until.js';
import { gpuRig } from '../nvml/rig.js';

const GPU3 = 'gpu:3';
const NONE = 0xffff_ffff;
const XID = 8;

t.test('XIDs and other events, each once, of the right GPU', async (t) => {
  const rig = await gpuRig(t, { gpus: 4 });
  await rig.event('gpu.use', (e) => e.entity === GPU3);
  const began = performance.now();
  rig.scenario.change({
    events: [
      [1, 3, XID, 79],
      [2, 1, XID, 94, 5, 0],
      [3, 0, 2, 0],
      [4, 12, XID, 48],
      [5, 2, 4, 0],
    ],
  });
  await rig.event('gpu.event', (e) => e.attrs.kind === 'ecc-uncorrected');
  t.ok(performance.now() - began < 1_000, 'at once');
  t.same(
    rig.all('gpu.event').map((e) => [e.entity, e.value, e.attrs]),
    [
      [GPU3, 79, { kind: 'xid', xid: 79 }],
      ['gpu:1', 94, { kind: 'xid', xid: 94, gi: 5, ci: 0 }],
      ['gpu:0', 1, { kind: 'ecc-uncorrected' }],
    ],
  );
  await until(() => rig.probe.stats.unknownEvents === 1, { timeoutMs: 5_000, what: 'the event of no GPU' });
  t.equal(rig.probe.heard, 3);
});

t.test('10,000 XIDs at once: each is heard, none hides another, and the count is told', async (t) => {
  const TOTAL = 10_000;
  const rig = await gpuRig(t, { gpus: 4 });
  await rig.event('gpu.use', (e) => e.entity === GPU3);
  const looks = (): number => rig.probe.costs().reduce((sum, cost) => sum + cost.looks, 0);
  const before = { looks: looks(), at: performance.now() };
  rig.scenario.change({
    events: [
      [1, 3, XID, 31, NONE, NONE, TOTAL],
      [2, 1, XID, 79],
    ],
  });
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  t.teardown(() => clearInterval(timer));
  const lost = await rig.next('gpu.event', (e) => e.entity === 'gpu:1');
  const tookMs = performance.now() - before.at;
  t.equal(lost.value, 79, 'the other GPU is heard');
  t.equal(rig.probe.heard, TOTAL + 1, 'all of them');
  t.comment(`${TOTAL} in ${tookMs.toFixed(0)} ms, ${ticks} ticks of 5 ms, ${looks() - before.looks} looks`);
  t.ok(ticks > tookMs / 100, 'the loop stays free');
  const flood = rig.all('gpu.event', (e) => e.entity === GPU3);
  t.ok(flood.length <= 6, `${flood.length} events of ${TOTAL}`);

  // Those that were held back come with their count when twelve seconds have passed: by the clock of events.
  const nowNs = rig.clock.nowNs.bind(rig.clock);
  t.capture(rig.clock, 'nowNs', () => nowNs() + 20e9);
  await rig.event('gpu.event', (e) => e.entity === GPU3 && e.attrs.suppressed !== undefined);
  const told = rig.all('gpu.event', (e) => e.entity === GPU3);
  t.equal(
    told.reduce((sum, { attrs }) => sum + 1 + (attrs.suppressed ?? 0), 0),
    TOTAL,
    'told or counted',
  );
});
