/** What is wrong with a block device by what is known of it, and how to say so. */
import type { IoSummary } from '../events/storage.js';
import type { BlockDeviceNode, Fact } from '../graph/model.js';
import { CONFIDENCE } from './confidence.js';
import type { Fault } from './finding.js';
import { bytes, count, duration } from './words.js';

/** A request of this age is no ordinary one on any device. */
export const STUCK_REQUEST_MS = 1_000;
/** Every second while something is wrong: older ones tell of the past. */
const USE_MEMORY_MS = 5_000;
/** A failure stays a cause for so long after the last one like it. */
export const ERROR_MEMORY_MS = 60_000;
/** Slower than this and so many times slower than usual: something is wrong with the device. */
const SLOW_P99_MS = 100;
const SLOW_FACTOR = 4;
/** Slow by any measure, where nobody knows what is usual. */
const VERY_SLOW_MS = 500;

/**
 * undefined: nothing is known to be wrong with the device itself. What lies under it is the caller's.
 * @param since event time (ms) from which on a failed request counts: one from before a wait does not explain it
 */
export function deviceFault(node: BlockDeviceNode, now: number, since: number): Fault | undefined {
  return (
    goneFault(node, now) ??
    ioErrorFault(node, Math.max(since, now - ERROR_MEMORY_MS)) ??
    suspendedFault(node, now) ??
    stuckFault(node, now) ??
    slowFault(node, now)
  );
}

function suspendedFault(node: BlockDeviceNode, now: number): Fault | undefined {
  const { suspended } = node;
  if (suspended === undefined) return undefined;
  return {
    ...base(node, suspended.since, [suspended.fact]),
    scene: 'StorageSlow',
    subScene: 'Suspended',
    summary: `${node.id} is suspended, for ${duration(now - suspended.since)} at least: it holds back all that it is given`,
    confidence: CONFIDENCE.deviceGone,
    recommendations: [
      `See who suspended it: a snapshot, a multipath or LVM tool that died; dmsetup info ${node.id.slice(6)}`,
      `When nobody needs it so: dmsetup resume ${node.id.slice(6)}`,
    ],
    ails: 'latency',
  };
}

function goneFault(node: BlockDeviceNode, now: number): Fault | undefined {
  if (node.goneTs === undefined) return undefined;
  return {
    ...base(node, node.goneTs, node.ioError === undefined ? [] : [node.ioError.fact]),
    scene: 'StorageIoError',
    subScene: 'DeviceGone',
    summary: `${node.id} was removed ${duration(now - node.goneTs)} ago`,
    confidence: CONFIDENCE.deviceGone,
    recommendations: [
      'Look why it went: dmesg; cable, enclosure, or somebody detached it',
      'Unmount what was on it',
    ],
    ails: 'gone',
  };
}

function ioErrorFault(node: BlockDeviceNode, since: number): Fault | undefined {
  const { ioError } = node;
  if (ioError === undefined || ioError.fact.ts < since) return undefined;
  const { attrs } = ioError;
  return {
    ...base(node, ioError.since, [ioError.fact]),
    scene: 'StorageIoError',
    subScene: null,
    summary:
      `${attrs.op} of ${bytes(attrs.sizeBytes)} at sector ${attrs.sector} of ${node.id} failed (${attrs.status})` +
      (ioError.count > 1 ? `; ${count(ioError.count, 'failure')} so far` : ''),
    confidence: CONFIDENCE.ioError,
    recommendations: [
      `Look at the health of ${node.id}: smartctl -a or nvme smart-log, and the kernel log`,
      'Move the job off this node until it is known to be sound',
    ],
    ails: 'io-error',
  };
}

function stuckFault(node: BlockDeviceNode, now: number): Fault | undefined {
  const { use } = node;
  if (use === undefined || use.attrs.inFlight === 0 || now - use.fact.ts > USE_MEMORY_MS) return undefined;
  const [oldest] = use.attrs.oldest;
  const sinceMs = now - use.fact.ts;
  const ageMs = oldest === undefined ? use.attrs.stalledMs : oldest.ageMs;
  if (ageMs < STUCK_REQUEST_MS) return undefined;
  const what =
    oldest === undefined
      ? `none of ${count(use.attrs.inFlight, 'request')} with ${node.id} has been answered for ${duration(ageMs + sinceMs)}`
      : `a ${oldest.op} of ${bytes(oldest.sizeBytes)} on ${node.id} has not been answered for ${duration(ageMs + sinceMs)}; ` +
        `${use.attrs.inFlight} in flight`;
  return {
    ...base(node, use.since, [use.fact]),
    scene: 'StorageSlow',
    subScene: 'Device',
    summary: `${what}${usual(oldest?.op === 'write' ? use.attrs.writes : use.attrs.reads)}`,
    confidence: CONFIDENCE.stuckRequest,
    recommendations: slowAdvice(node),
    ails: 'latency',
  };
}

function slowFault(node: BlockDeviceNode, now: number): Fault | undefined {
  const { answered } = node;
  if (answered === undefined || now - answered.fact.ts > USE_MEMORY_MS) return slowRequest(node, now);
  const { reads, writes } = answered.attrs;
  const side = isSlow(reads) ? 'read' : isSlow(writes) ? 'write' : undefined;
  if (side === undefined) return slowRequest(node, now);
  const summary = side === 'read' ? reads : writes;
  return {
    ...base(node, answered.since, [answered.fact]),
    scene: 'StorageSlow',
    subScene: 'Device',
    summary: `${node.id}: ${side} latency ${summary.ofMeans === true ? 'mean' : 'p99'} ${duration(summary.p99Ms ?? 0)}${usual(summary)}`,
    confidence: summary.baselineMs === undefined ? CONFIDENCE.slowDevice : CONFIDENCE.slowerDevice,
    recommendations: slowAdvice(node),
    ails: 'latency',
  };
}

/** One request completed late a moment ago; who waits on the device again and again has met such ones. */
function slowRequest(node: BlockDeviceNode, now: number): Fault | undefined {
  const { slow } = node;
  if (slow === undefined || now - slow.fact.ts > 2 * USE_MEMORY_MS) return undefined;
  return {
    ...base(node, slow.since, [slow.fact]),
    scene: 'StorageSlow',
    subScene: 'Device',
    summary: `${node.id}: a ${slow.attrs.op} of ${bytes(slow.attrs.sizeBytes)} took ${duration(slow.attrs.ageMs)}`,
    confidence: CONFIDENCE.slowDevice,
    recommendations: slowAdvice(node),
    ails: 'latency',
  };
}

function isSlow(summary: IoSummary): boolean {
  const { p99Ms, baselineMs } = summary;
  if (p99Ms === undefined) return false;
  if (p99Ms >= STUCK_REQUEST_MS) return true;
  if (baselineMs === undefined) return p99Ms >= VERY_SLOW_MS;
  return p99Ms >= SLOW_P99_MS && p99Ms >= SLOW_FACTOR * baselineMs;
}

function usual(summary: IoSummary): string {
  return summary.baselineMs === undefined ? '' : `, baseline ${duration(summary.baselineMs)}`;
}

function slowAdvice(node: BlockDeviceNode): readonly string[] {
  const name = node.id.slice('block:'.length);
  return [
    `See who else uses it and how: iostat -x 1 ${name}, xctl why (without a pid)`,
    `Look at its health and the kernel log: smartctl -a /dev/${name}, dmesg`,
  ];
}

function base(node: BlockDeviceNode, began: number, facts: readonly Fact[]) {
  return { node, began, facts, strength: 'hard' as const };
}
