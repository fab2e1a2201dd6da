/**
 * What a flow's losses cost it. A segment that is sent again for duplicate ACKs costs about a round trip, one for which a
 * timer had to run off costs all of that timer: 200 ms and more on Linux, a thousand round trips within a cluster. So a
 * busy flow that loses one segment of a hundred is hardly slower, and one that loses every fourth stands still.
 */
import type { FlowAttrs } from '../events/event.js';
import type { FlowNode, LossTime } from './model.js';

/** How far back is remembered, ms of event time; and in how many parts, at most. */
export const LOSS_MEMORY_MS = 10_000;
const MAX_PARTS = 40;
/** Nearer together they are one part. */
const PART_MS = LOSS_MEMORY_MS / MAX_PARTS;

/**
 * A timer has run off, or segments were sent again since the flow was `before`.
 * @param ts event time, ms
 */
export function addLoss(
  flow: FlowNode,
  before: FlowAttrs | undefined,
  attrs: FlowAttrs,
  ts: number,
  byTimer: boolean,
): void {
  flow.losses ??= [];
  const last = flow.losses.at(-1);
  const lostMs = byTimer ? attrs.rtoMs : resendMs(before, attrs, ts - (last?.ts ?? ts));
  if (last !== undefined && ts - last.ts < PART_MS) {
    flow.losses[flow.losses.length - 1] = { ts: last.ts, lostMs: last.lostMs + lostMs };
    return;
  }
  flow.losses.push({ ts, lostMs });
  if (flow.losses.length > MAX_PARTS) flow.losses.shift();
}

/** Many segments are sent again within one round trip: no more than has passed since the last. */
function resendMs(before: FlowAttrs | undefined, attrs: FlowAttrs, passedMs: number): number {
  const roundTripMs = attrs.srttUs / 1_000;
  const again = attrs.totalRetrans - (before?.totalRetrans ?? attrs.totalRetrans);
  return Math.max(roundTripMs, Math.min(again * roundTripMs, passedMs));
}

/** Share (0–1) of the time from `from` until `now` for which the flow stood still for its losses. */
export function lossShare({ losses = [] }: FlowNode, from: number, now: number): number {
  const since = Math.max(from, now - LOSS_MEMORY_MS);
  if (now <= since) return 0;
  const lostMs = losses.reduce((sum, loss) => sum + within(loss, since), 0);
  return Math.min(1, lostMs / (now - since));
}

/** The timer ran before it ran off. */
function within({ ts, lostMs }: LossTime, since: number): number {
  return Math.max(0, Math.min(lostMs, ts + PART_MS - since));
}
