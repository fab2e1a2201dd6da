/**
 * What is wrong with a queue pair by its own numbers: it sends again and again and gets no answer, its peer has no
 * receive posted, it gave up, a work request failed. Retries that were answered, and errors that are over, are none.
 */
import type { WcStatus } from '../events/rdma.js';
import type { Fact, GraphNode } from '../graph/model.js';
import type { QpFailure, QpLife, RetryRun } from '../graph/rdma-node.js';
import { CONFIDENCE } from './confidence.js';
import type { Fault } from './finding.js';
import { remoteEnd } from './rdma-words.js';
import { count, duration } from './words.js';

/** An answer that takes so long is none: the device tries again within far less. */
export const NO_ANSWER_MS = 1_000;
/** Retries are told of as they happen; a run that nobody has spoken of for so long may be over. */
const FRESH_MS = 5_000;
/** … or for so many ACK time-outs, each up to four times its nominal length (the specification allows that). */
const FRESH_TIMEOUTS = 8;
/** So many retries in a row are no lost packet. */
const IN_A_ROW = 3;
/** An error explains a process that lives for so long. */
const MEMORY_MS = 600_000;
/** Losses: so many retries within ten seconds, over so long, the last so short a while ago. */
const LOSSY_RETRIES = 5;
const LOSSY_SPAN_MS = 2_000;
const LOSSY_FRESH_MS = 3_500;

export type Stall =
  | { readonly kind: 'no-answer' | 'not-ready'; readonly began: number; readonly run: RetryRun }
  | {
      readonly kind: 'gave-up' | 'never-ready' | 'error';
      readonly began: number;
      readonly failure: QpFailure;
    };

/** It does not get on at all. */
export function stallOf(life: QpLife, now: number): Stall | undefined {
  const { failure, run } = life;
  if (failure !== undefined) return now - failure.ts > MEMORY_MS ? undefined : failed(failure);
  return run === undefined || now - run.since < NO_ANSWER_MS || !isFresh(life, run, now)
    ? undefined
    : running(life, run);
}

/** The same of one that is gone or whose process has ended: its last trouble, as it stood then. */
export function stallAtEnd(life: QpLife, ended: number, withinMs: number): Stall | undefined {
  const { failure, run, lastRun, gone } = life;
  if (failure !== undefined) return failure.ts < ended - withinMs ? undefined : failed(failure);
  const last = run ?? (gone !== undefined && lastRun?.until === gone.ts ? lastRun : undefined);
  if (last === undefined || last.fact.ts < ended - withinMs || ended - last.since < NO_ANSWER_MS)
    return undefined;
  return running(life, last);
}

function failed(failure: QpFailure): Stall {
  return { kind: kindOf(failure.status), began: failure.since, failure };
}

function running({ windows }: QpLife, run: RetryRun): Stall | undefined {
  if (run.lastRnr > 0) return { kind: 'not-ready', began: run.since, run };
  // One more packet lost of a flow that loses some: the retry may well be answered.
  const lossy = windows.some(({ answered }) => answered);
  if (lossy && run.retries < IN_A_ROW) return undefined;
  return { kind: 'no-answer', began: run.since, run };
}

function kindOf(status: WcStatus | undefined): 'gave-up' | 'never-ready' | 'error' {
  if (status === 'RETRY_EXC_ERR' || status === 'RESP_TIMEOUT_ERR') return 'gave-up';
  return status === 'RNR_RETRY_EXC_ERR' ? 'never-ready' : 'error';
}

function isFresh({ attrs: { ackTimeoutMs } }: QpLife, run: RetryRun, now: number): boolean {
  const patience = ackTimeoutMs === undefined || ackTimeoutMs === 0 ? 30_000 : FRESH_TIMEOUTS * ackTimeoutMs;
  return now - run.fact.ts <= Math.max(FRESH_MS, patience);
}

export function stallFacts(stall: Stall): readonly Fact[] {
  return 'run' in stall ? [stall.run.fact] : stall.failure.facts;
}

/** As it is known from this end. `node`: the queue pair, or whom it waits for. */
export function stallFault(life: QpLife, stall: Stall, node: GraphNode, now: number): Fault {
  const to = remoteEnd(life.attrs);
  const base = { node, began: stall.began, facts: stallFacts(stall), strength: 'hard' as const };
  switch (stall.kind) {
    case 'no-answer': {
      const { run } = stall;
      return {
        ...base,
        scene: 'NetworkStall',
        subScene: 'PathDown',
        summary: `no answer from ${to} for ${duration(now - stall.began)}: ${count(run.retries, 'retry', 'retries')} in a row${timerText(life, run)}${leftText(run)}`,
        confidence: run.retries >= 2 ? CONFIDENCE.rdmaNoAnswer : CONFIDENCE.rdmaFirstRetry,
        recommendations: pathAdvice(life),
        ails: 'no-answer',
      };
    }
    case 'gave-up':
      return {
        ...base,
        scene: 'NetworkStall',
        subScene: 'PathDown',
        summary: `gave up on ${to} ${duration(now - stall.failure.ts)} ago: no answer, retries exceeded (${stall.failure.status ?? 'ERR'})`,
        confidence: CONFIDENCE.rdmaGaveUp,
        recommendations: [
          ...pathAdvice(life),
          'This connection does not come back by itself: the job has to make it anew, or to be restarted',
        ],
        ails: 'retry-exceeded',
      };
    case 'not-ready':
      return {
        ...base,
        scene: 'NetworkStall',
        subScene: 'PeerSlow',
        summary: `${to} has had no receive posted for ${duration(now - stall.began)} (${count(stall.run.rnr, 'RNR NAK')}): the path works, the process there does not take what is sent`,
        confidence: CONFIDENCE.rdmaNotReady,
        recommendations: peerAdvice(life),
        ails: 'rnr',
      };
    case 'never-ready':
      return {
        ...base,
        scene: 'NetworkStall',
        subScene: 'PeerSlow',
        summary: `gave up on ${to} ${duration(now - stall.failure.ts)} ago: it had no receive posted (RNR_RETRY_EXC_ERR); the path works, the process there did not take what was sent`,
        confidence: CONFIDENCE.rdmaGaveUp,
        recommendations: peerAdvice(life),
        ails: 'rnr',
      };
    case 'error':
      return {
        ...base,
        scene: 'NetworkStall',
        subScene: 'QpError',
        summary: `its queue pair to ${to} went into error ${duration(now - stall.failure.ts)} ago: ${errorText(stall.failure)}`,
        confidence: CONFIDENCE.rdmaRequestError,
        recommendations: [
          "The program's own log has the completion with its vendor_err; dmesg may have the driver's word",
        ],
        ails: 'qp-error',
      };
  }
}

/** Packets are lost and sent again, often enough to be felt, and it gets on. */
export function lossOf(life: QpLife, now: number): Fault['summary'] | undefined {
  const sent = oftenIn(life, now, ({ retries, rnr }) => Math.max(0, retries - rnr));
  if (sent === undefined) return undefined;
  const timeouts = life.windows.reduce((sum, window) => sum + window.timeouts, 0);
  return `packets to ${remoteEnd(life.attrs)} are lost: ${count(sent.total, 'retry', 'retries')} in the last ${duration(sent.spanMs)}, ${timeouts} by timeout`;
}

/** The peer runs out of receives again and again, and takes some in between. */
export function oftenNotReady(life: QpLife, now: number): Fault['summary'] | undefined {
  const naks = oftenIn(life, now, ({ rnr }) => rnr);
  if (naks === undefined) return undefined;
  return `${remoteEnd(life.attrs)} runs out of posted receives: ${count(naks.total, 'RNR NAK')} in the last ${duration(naks.spanMs)}; the path works, the process there is slow`;
}

function oftenIn(
  { windows }: QpLife,
  now: number,
  of: (window: QpLife['windows'][number]) => number,
): { readonly total: number; readonly spanMs: number } | undefined {
  const those = windows.filter((window) => of(window) > 0);
  const [first, last] = [those[0], those.at(-1)];
  if (first === undefined || last === undefined || now - last.ts > LOSSY_FRESH_MS) return undefined;
  const total = those.reduce((sum, window) => sum + of(window), 0);
  if (total < LOSSY_RETRIES || last.ts - first.ts < LOSSY_SPAN_MS) return undefined;
  return { total, spanMs: now - first.ts };
}

/** Since when it has had such trouble, within what is kept. */
export function oftenSince({ windows }: QpLife): number {
  return windows[0]?.ts ?? 0;
}

function timerText({ attrs: { ackTimeoutMs } }: QpLife, { timeouts }: RetryRun): string {
  if (timeouts === 0) return '';
  const timer =
    ackTimeoutMs === undefined || ackTimeoutMs === 0 ? '' : ` of ${duration(Math.max(1, ackTimeoutMs))}`;
  return ` (${timeouts} by the ACK timer${timer})`;
}

function leftText({ retriesLeft }: RetryRun): string {
  return retriesLeft === undefined || retriesLeft >= 7 ? '' : `, ${retriesLeft} left`;
}

/** What the specification means by a status, as far as that helps to know who is to blame. */
const MEANING: { readonly [S in WcStatus]?: string } = {
  LOC_LEN_ERR: 'a message was longer than the receive posted for it',
  LOC_QP_OP_ERR: 'the device could not carry out the request',
  LOC_PROT_ERR: 'local memory was not registered for what was asked',
  LOC_ACCESS_ERR: 'local memory was not registered for what was asked',
  MW_BIND_ERR: 'a memory window could not be bound',
  BAD_RESP_ERR: 'the peer answered out of order',
  REM_INV_REQ_ERR: 'the peer refused the request as invalid: too long, or of a kind that it does not allow',
  REM_ACCESS_ERR:
    'the peer refused access: the key or the address is wrong, or the memory is not registered any more',
  REM_OP_ERR: 'the peer could not carry it out',
  REM_ABORT_ERR: 'the peer aborted it',
  FATAL_ERR: 'the device failed',
};

function errorText({ status, vendorErr, async }: QpFailure): string {
  if (status === undefined)
    return async === undefined ? 'it was not asked to' : `the driver reports ${async}`;
  const vendor = vendorErr === undefined || vendorErr === 0 ? '' : `, vendor_err 0x${vendorErr.toString(16)}`;
  const meaning = MEANING[status];
  return `${status}${vendor}${meaning === undefined ? '' : `: ${meaning}`}`;
}

export function pathAdvice({ attrs: { remote } }: QpLife): readonly string[] {
  const to = remote ?? 'the peer';
  return [
    `Check the path to ${to}: link state of both ports, cables, switch ports, PFC/ECN settings, MTU; ibv_rc_pingpong tells whether RDMA gets through`,
    `See whether ${to} is up and its process is alive: xctl why on that node`,
  ];
}

function peerAdvice({ attrs: { remote } }: QpLife): readonly string[] {
  return [
    `On ${remote ?? 'the node of the peer'}: xctl why <pid of the process at the other end>; nothing is wrong with the network`,
  ];
}
