/** What is wrong with a TCP flow by its own numbers, and how to say so. */
import { LOSS_MEMORY_MS, lossShare } from '../graph/losses.js';
import type { FlowNode, FlowTrouble } from '../graph/model.js';
import { CONFIDENCE } from './confidence.js';
import type { Fault } from './finding.js';
import { count, duration, remoteOf } from './words.js';

/** A flow must have lost this many segments before its losses are called a cause. */
const LOSSY_RETRANSMITS = 3;
/** … and must have stood still for them for this share of the last seconds, or of one long wait. */
const LOSSY_SHARE = 0.3;
const LOSSY_SHARE_OF_WAIT = 0.5;

/** A cut of a moment is over by then: the first four resends are sent within this time. */
const MOMENT_MS = 3_000;

/** A wait that goes on for longer after the last loss was made good is for something else. */
const MADE_GOOD_MS = 2_000;

/** A fault that stops the flow: timeouts in a row, no answer to SYN, a closed window. */
export function flowFault(flow: FlowNode, now: number): Fault | undefined {
  const { attrs, trouble } = flow;
  if (attrs === undefined || trouble === undefined) return undefined;
  const forMs = Math.max(0, now - trouble.since);
  const base = { node: flow, began: trouble.since, facts: [trouble.fact], strength: 'hard' as const };
  if (trouble.kind === 'timeout' && attrs.state === 'SYN_SENT') {
    return {
      ...base,
      scene: 'NetworkStall',
      subScene: 'PathDown',
      summary: `no answer to SYN from ${remoteOf(attrs)} for ${duration(forMs)} (${count(attrs.backoff, 'retry', 'retries')})`,
      // The second resend of a SYN is sent after three seconds.
      confidence: attrs.backoff >= 2 ? CONFIDENCE.connectTimeout : CONFIDENCE.firstTimeout,
      recommendations: pathAdvice(flow),
    };
  }
  if (trouble.kind === 'timeout') {
    return {
      ...base,
      scene: 'NetworkStall',
      subScene: 'PathDown',
      summary:
        `no ACK from ${remoteOf(attrs)} for ${duration(forMs)}: ` +
        `${count(attrs.backoff, 'timeout')} in a row, ${count(attrs.unackedBytes, 'byte')} unacked`,
      confidence: attrs.backoff >= 2 && forMs >= MOMENT_MS ? CONFIDENCE.pathDown : CONFIDENCE.firstTimeout,
      recommendations: pathAdvice(flow),
    };
  }
  if (trouble.kind === 'zero-window') {
    return {
      ...base,
      scene: 'NetworkStall',
      subScene: 'ZeroWindow',
      summary:
        `${remoteOf(attrs)} has closed its receive window for ${duration(forMs)}: its process does not read; ` +
        `${count(attrs.writeQueueBytes, 'byte')} wait here`,
      confidence: CONFIDENCE.zeroWindow,
      recommendations: [`On ${attrs.remote}: xctl why <pid of the process behind port ${attrs.rport}>`],
    };
  }
  return undefined;
}

/**
 * Losses that slow a flow down without stopping it; only a cause for a thread that waits on it again and again, or all
 * the time, and where they cost enough of that time. `waitSince`: those that were made good while it waited count as
 * well, for between two of them nothing is wrong with the flow.
 */
export function lossFault(flow: FlowNode, now: number, waitSince?: number): Fault | undefined {
  const { attrs } = flow;
  const trouble = flow.trouble ?? madeGood(flow, now, waitSince ?? Number.POSITIVE_INFINITY);
  if (attrs === undefined || trouble === undefined) return undefined;
  if (trouble.kind !== 'retransmit' && trouble.kind !== 'timeout') return undefined;
  if (attrs.retransmits < LOSSY_RETRANSMITS) return undefined;
  const share = lossShare(flow, waitSince ?? now - LOSS_MEMORY_MS, now);
  if (share < (waitSince === undefined ? LOSSY_SHARE : LOSSY_SHARE_OF_WAIT)) return undefined;
  return {
    node: flow,
    scene: 'NetworkDrop',
    subScene: null,
    summary: `packets to ${remoteOf(attrs)} are lost: ${count(attrs.retransmits, 'segment')} retransmitted, ${attrs.timeouts} by timeout; it stood still for them ${Math.round(share * 100)} % of the time`,
    confidence: CONFIDENCE.lossyFlow,
    began: trouble.since,
    facts: [trouble.fact],
    recommendations: pathAdvice(flow),
    strength: 'hard',
  };
}

function madeGood({ lastTrouble }: FlowNode, now: number, waitSince: number): FlowTrouble | undefined {
  if (lastTrouble === undefined || lastTrouble.until < waitSince) return undefined;
  return now - lastTrouble.until > MADE_GOOD_MS ? undefined : lastTrouble;
}

function pathAdvice(flow: FlowNode): readonly string[] {
  const attrs = flow.attrs;
  if (attrs === undefined) return [];
  return [
    `Check the path to ${attrs.remote}: ping, link state of both NICs, firewall rules, MTU`,
    `See whether ${attrs.remote} is up and its process is alive: xctl why on that node`,
  ];
}
