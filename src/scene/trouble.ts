/**
 * What is wrong with the storage that a process uses, when no thread of it waits there: a request of
 * its own failed, a filesystem that it writes to is read-only or full, or the kernel log tells of failures.
 */
import type { GraphNode, ProcessNode } from '../graph/model.js';
import { CONFIDENCE, DISCOUNT } from './confidence.js';
import { brokenMemory } from './crash.js';
import { deviceFault, ERROR_MEMORY_MS } from './device.js';
import { writeFault, writeFaultAt } from './filesystem.js';
import type { Fault, Link, Outcome } from './finding.js';
import { loggedFault, loggedTrouble } from './io-log.js';
import type { Ties } from './links.js';
import { bytes, duration } from './words.js';

/** A process that ends on a failure does so soon. */
const ENDS_WITHIN_MS = 30_000;

type FaultOutcome = Extract<Outcome, { kind: 'fault' }>;

/** Of a process that lives. */
export function storageTrouble(
  process: ProcessNode,
  { writes, failing, removed }: Ties,
  now: number,
): FaultOutcome | undefined {
  const own = ownFailure(process, now, now - ERROR_MEMORY_MS);
  if (own !== undefined) return own;
  for (const { to, since } of writes) {
    const fault = writeFault(to, now);
    if (fault !== undefined) {
      const note = to.writers.has(process.pid) ? 'has files on it open for writing' : 'has files on it open';
      return { kind: 'fault', fault, links: [uses(process, to, since, note)] };
    }
  }
  for (const { to, since } of removed) {
    const fault = deviceFault(to, now, now);
    if (fault === undefined) continue;
    const links = [uses(process, to, since, 'has it open')];
    return { kind: 'fault', fault: { ...fault, confidence: CONFIDENCE.deviceGoneOpen }, links };
  }
  const logged = loggedTrouble(failing, now);
  return logged === undefined ? undefined : { kind: 'fault', ...logged };
}

/** Of one that ended badly: what failed it just before. */
export function storageCrash(process: ProcessNode, now: number): FaultOutcome | undefined {
  const { exit } = process;
  if (exit === undefined || exit.attrs.code === 0 || brokenMemory(process) !== undefined) return undefined;
  // Somebody else ended it; a bus error is how a failed page fault shows.
  if (exit.attrs.signal !== undefined && exit.attrs.signal !== 'SIGBUS' && exit.attrs.signal !== 'SIGABRT')
    return undefined;
  const own = ownFailure(process, now, exit.ts - ENDS_WITHIN_MS);
  const found = own ?? usedAtExit(process, now);
  if (found === undefined) return undefined;
  const how =
    exit.attrs.signal === undefined
      ? `exited with code ${exit.attrs.code}`
      : `killed by ${exit.attrs.signal}`;
  return {
    ...found,
    fault: {
      ...found.fault,
      summary: `${how}: ${found.fault.summary}`,
      facts: [...found.fault.facts, exit.fact],
    },
  };
}

function ownFailure(process: ProcessNode, now: number, after: number): FaultOutcome | undefined {
  const { ioError } = process;
  if (ioError === undefined || ioError.fact.ts < after) return undefined;
  const { attrs, node } = ioError;
  const device = deviceFault(node, now, after);
  return {
    kind: 'fault',
    fault: {
      node,
      scene: 'StorageIoError',
      subScene: device?.subScene === 'DeviceGone' ? 'DeviceGone' : null,
      summary:
        `its ${attrs.op} of ${bytes(attrs.sizeBytes)} at sector ${attrs.sector} of ${node.id} failed (${attrs.status}), ` +
        `${duration(now - ioError.fact.ts)} ago`,
      confidence: CONFIDENCE.ioError,
      began: ioError.since,
      facts: [ioError.fact],
      recommendations: device?.recommendations ?? [],
      strength: 'hard',
      ails: 'io-error',
    },
    links: [uses(process, node, ioError.since, `submitted a ${attrs.op} that failed`)],
  };
}

function usedAtExit(process: ProcessNode, now: number): FaultOutcome | undefined {
  const endTs = process.exit?.ts ?? now;
  const began = endTs - ENDS_WITHIN_MS;
  for (const node of process.usedAtExit ?? []) {
    const known = node.type === 'filesystem' ? writeFault(node, now) : deviceFault(node, now, began);
    const fault = known ?? loggedFault(node, now, began);
    if (fault !== undefined && fault.began <= endTs) return ofItsEnd(process, fault);
  }
  // What it wrote to is looked at when it has ended: it may be the first to meet the fault.
  for (const node of process.wroteAtExit ?? []) {
    const fault = writeFaultAt(node, endTs, now);
    if (fault !== undefined) return ofItsEnd(process, fault);
  }
  return undefined;
}

/** That it ended of it is likely, and not seen. */
function ofItsEnd(process: ProcessNode, fault: Fault): FaultOutcome {
  const link = uses(process, fault.node, fault.began, 'had files on it open when it ended');
  return {
    kind: 'fault',
    fault: { ...fault, confidence: fault.confidence * DISCOUNT.atItsEnd },
    links: [link],
  };
}

function uses(process: ProcessNode, node: GraphNode, since: number, note: string): Link {
  return { from: process, edge: 'Consumes', to: node, since, facts: [], note };
}
