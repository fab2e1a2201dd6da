/** How much of its time a flow's losses cost it. */
import t from 'tap';
import type { FlowAttrs } from '../../src/events/event.js';
import { addLoss, LOSS_MEMORY_MS, lossShare } from '../../src/graph/losses.js';
import type { FlowNode } from '../../src/graph/model.js';
import { newFlow } from '../../src/graph/transport.js';
import { fc } from '../lib/property.js';
import { flow, idOf, Story } from '../scene/build.js';

const A = flow(1);
const T0 = 1_000_000;

function quiet(): FlowNode {
  const made = newFlow(new Story().graph, idOf(A), T0);
  if (made === undefined) throw new Error('no room for a flow');
  return made;
}

function again(total: number, more: Partial<FlowAttrs> = {}): FlowAttrs {
  return { ...A, totalRetrans: total, retransmits: total, ...more };
}

t.test('a timer that runs off costs itself, a fast resend a round trip', async (t) => {
  const node = quiet();
  t.equal(lossShare(node, T0, T0 + 1_000), 0);
  addLoss(node, A, again(1, { rtoMs: 400 }), T0 + 500, true);
  t.equal(lossShare(node, T0, T0 + 1_000), 0.4);
  addLoss(node, again(1), again(2, { srttUs: 50_000 }), T0 + 900, false);
  t.equal(lossShare(node, T0, T0 + 1_000), 0.45);
});

t.test('what was lost before the time that is asked about does not count', async (t) => {
  const node = quiet();
  addLoss(node, A, again(1, { rtoMs: 400 }), T0, true);
  t.equal(lossShare(node, T0 + 1_000, T0 + 2_000), 0);
  t.ok(lossShare(node, T0, T0 + 1_000) > 0);
  t.equal(lossShare(node, T0, T0 + 3 * LOSS_MEMORY_MS), 0, 'forgotten');
  t.equal(lossShare(node, T0 + 5, T0 + 5), 0, 'no time at all');
});

t.test('a thousand segments of one round trip cost no more than has passed', async (t) => {
  const node = quiet();
  addLoss(node, A, again(1, { srttUs: 20_000 }), T0, false);
  addLoss(node, again(1), again(1_001, { srttUs: 20_000 }), T0 + 100, false);
  t.equal(lossShare(node, T0 - 1_000, T0 + 1_000), 120 / 2_000);
});

t.test('property: a share, and bounded memory', async () => {
  const loss = fc.record({
    afterMs: fc.nat(5_000),
    segments: fc.nat(10_000),
    rtoMs: fc.nat(120_000),
    srttUs: fc.nat(10_000_000),
    byTimer: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(loss, { maxLength: 200 }), fc.nat(20_000), (losses, agoMs) => {
      const node = quiet();
      let ts = T0;
      let before: FlowAttrs | undefined;
      for (const { afterMs, segments, rtoMs, srttUs, byTimer } of losses) {
        ts += afterMs;
        const attrs = again((before?.totalRetrans ?? 0) + segments, { rtoMs, srttUs });
        addLoss(node, before, attrs, ts, byTimer);
        before = attrs;
      }
      const share = lossShare(node, ts - agoMs, ts);
      return share >= 0 && share <= 1 && (node.losses?.length ?? 0) <= 40;
    }),
  );
});
