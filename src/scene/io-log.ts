/**
 * Failures that only the kernel log tells of: I/O on a device without requests (dm, md), or what a filesystem says
 * of itself. Whose I/O it was the log does not say. A device or filesystem with one user has no other to mean;
 * each of several is told that it may have been its own.
 */
import type { Edge, GraphNode, ProcessNode } from '../graph/model.js';
import { CONFIDENCE } from './confidence.js';
import { ERROR_MEMORY_MS } from './device.js';
import { culpritOf, isStorage, type StorageNode } from './disk.js';
import type { Fault, Link, Outcome } from './finding.js';
import { count, duration } from './words.js';

/** The device below fails first; what lies on it says so a moment later. */
const BEFORE_MS = 5_000;

interface Suspected {
  readonly node: StorageNode;
  readonly fault: Fault;
  readonly others: number;
}

/** @param since event time (ms) from which on the log counts */
export function loggedFault(node: StorageNode, now: number, since: number): Fault | undefined {
  const { error } = node;
  if (error === undefined || error.fact.ts < Math.max(since, now - ERROR_MEMORY_MS)) return undefined;
  const { op, message } = error.attrs;
  return {
    node,
    scene: 'StorageIoError',
    subScene: null,
    summary:
      `${op === undefined ? 'I/O' : `a ${op}`} on ${node.id} failed ${duration(now - error.fact.ts)} ago, ` +
      `by the kernel log: "${message}"`,
    confidence: CONFIDENCE.loggedError,
    began: error.since,
    facts: [error.fact],
    recommendations: [
      `Read the kernel log (dmesg), and look at what ${node.id} lies on: lsblk -s, dmsetup status, /proc/mdstat`,
      'Move the job off this node until it is known to be sound',
    ],
    strength: 'hard',
    ails: 'io-error',
  };
}

/** What only this process uses so, down to the device with failed requests of its own. */
export function loggedTrouble(
  edges: readonly Edge[],
  now: number,
): { readonly fault: Fault; readonly links: readonly Link[] } | undefined {
  for (const edge of edges) {
    const found = suspected(edge, now);
    if (found === undefined || found.others > 0) continue;
    const { fault, node } = found;
    const own = uses(edge, fault, 'no other process has it, or files on it, open');
    const below = culpritOf(node, now, fault.began - BEFORE_MS);
    if (below === undefined || (below.fault.ails !== 'io-error' && below.fault.ails !== 'gone'))
      return { fault, links: [own] };
    return {
      fault: { ...below.fault, facts: [...below.fault.facts, ...fault.facts] },
      links: [own, ...below.links],
    };
  }
  return undefined;
}

/** One of several whose I/O it may have been. */
export function loggedSuspicion(
  edges: readonly Edge[],
  now: number,
): Extract<Outcome, { kind: 'symptom' }> | undefined {
  for (const edge of edges) {
    const found = suspected(edge, now);
    if (found === undefined) continue;
    const { fault, node, others } = found;
    const users = `${count(others, 'other process', 'other processes')} ${others === 1 ? 'has' : 'have'}`;
    return {
      kind: 'symptom',
      scene: 'StorageIoError',
      subScene: null,
      summary: () =>
        `${fault.summary}; whether it was its own is not known: ${users} it, or files on it, open, too`,
      needs: `whose it was: which of the users of ${node.id} reports EIO`,
      confidence: CONFIDENCE.loggedAmongOthers,
      links: [uses(edge, fault, 'has it, or files on it, open')],
    };
  }
  return undefined;
}

function uses(edge: Edge, fault: Fault, note: string): Link {
  return { from: edge.from, edge: 'Consumes', to: edge.to, since: edge.since, facts: fault.facts, note };
}

function suspected({ from, to }: Edge, now: number): Suspected | undefined {
  if (!isStorage(to) || from.type !== 'process' || !couldBe(from, to)) return undefined;
  const fault = loggedFault(to, now, Number.NEGATIVE_INFINITY);
  if (fault === undefined) return undefined;
  const others = to.in.filter((edge) => edge.kind === 'Consumes' && isOther(edge.from, from, to)).length;
  return { node: to, fault, others };
}

function isOther(node: GraphNode, self: ProcessNode, of: StorageNode): boolean {
  return node.type === 'process' && node !== self && node.exit === undefined && couldBe(node, of);
}

/** A lost write is of somebody who writes; what failed before a process was there is not its own. */
function couldBe({ pid, bornTs }: ProcessNode, { error, writers }: StorageNode): boolean {
  if (error === undefined || (bornTs !== undefined && bornTs > error.fact.ts)) return false;
  return error.attrs.op !== 'write' || writers.has(pid);
}
