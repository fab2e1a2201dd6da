/** The joints of a chain: links, who holds a node, and how an end is put behind its beginning. */
import type {
  BlockDeviceNode,
  CgroupNode,
  Edge,
  FilesystemNode,
  GraphNode,
  ProcessNode,
  Thread,
  ThreadWait,
} from '../graph/model.js';
import type { Fault, Link, Outcome } from './finding.js';
import { waitedMs, waitFact } from './finding.js';
import type { Walk } from './walk.js';
import { waitNote } from './words.js';

/** A CPU share above this is progress, whatever some threads sleep in. */
export const PROGRESS_CPU_SHARE = 0.25;

/** Below this a wait says nothing: a healthy pipeline waits all the time. */
export const STUCK_MS = 1_000;

/** Beyond this many holders none is followed: it is a crowd, not a culprit. */
export const MAX_HOLDERS = 16;

/** The link from a thread's process to what the thread waits on. */
export function waitLink(thread: Thread, to: GraphNode): Link {
  return {
    from: thread.process,
    edge: 'WaitsOn',
    to,
    since: thread.wait.attrs.since,
    facts: [waitFact(thread)],
    tid: thread.tid,
    note: waitNote(thread),
  };
}

/** The link from a process to what holds all of it back. */
export function blocked(
  from: ProcessNode,
  to: GraphNode,
  since: number,
  note: string,
  facts: Link['facts'],
): Link {
  return { from, edge: 'BlockedBy', to, since, facts, note };
}

/** What a process hangs on beside the waits of its threads. */
export interface Ties {
  /** Those whose limits hold it back. */
  readonly cgroups: readonly CgroupNode[];
  /** Those in trouble that it has files on open for writing, or open at all where that is no use any more. */
  readonly writes: readonly { readonly to: FilesystemNode; readonly since: number }[];
  /** To devices and filesystems of which the kernel log tells failures. */
  readonly failing: readonly Edge[];
  /** To disks that it has open and that are not there any more. */
  readonly removed: readonly { readonly to: BlockDeviceNode; readonly since: number }[];
  readonly gpus: readonly Edge[];
  readonly qps: readonly Edge[];
}

/** In one pass: they are few among as many edges as it has threads. */
export function tiesOf(process: ProcessNode): Ties {
  const cgroups: CgroupNode[] = [];
  const writes: { to: FilesystemNode; since: number }[] = [];
  const failing: Edge[] = [];
  const removed: { to: BlockDeviceNode; since: number }[] = [];
  const gpus: Edge[] = [];
  const qps: Edge[] = [];
  for (const edge of process.out) {
    const { kind, to, since } = edge;
    if (kind === 'BlockedBy' && to.type === 'cgroup') cgroups.push(to);
    if (kind !== 'Consumes') continue;
    if (to.type === 'gpu') gpus.push(edge);
    if (to.type === 'qp') qps.push(edge);
    // Whoever only reads does not mind that it cannot be written; one that was shut down cannot be read, either.
    if (to.type === 'filesystem' && (to.writers.has(process.pid) || to.readOnly?.shutDown === true))
      writes.push({ to, since });
    if ((to.type === 'filesystem' || to.type === 'block-device') && to.error !== undefined)
      failing.push(edge);
    if (to.type === 'block-device' && to.goneTs !== undefined) removed.push({ to, since });
  }
  return { cgroups, writes, failing, removed, gpus, qps };
}

export function target(walk: Walk, wait: ThreadWait): GraphNode | undefined {
  return walk.graph.nodes.get(wait.entity);
}

/** A wait that two samples do not agree on, or that is short: the thread gets on. */
export function moving(thread: Thread): Outcome | undefined {
  return waitedMs(thread) < STUCK_MS ? { kind: 'running', links: [] } : undefined;
}

export function holdersOf(node: GraphNode): readonly ProcessNode[] {
  const found: ProcessNode[] = [];
  for (const edge of node.out) {
    if (edge.kind === 'BlockedBy' && edge.to.type === 'process' && edge.to.exit === undefined)
      found.push(edge.to);
  }
  return found;
}

/**
 * Puts links in front of an outcome. An end without a fault of its own (it runs, sleeps, waits for
 * something unknown) becomes the soft fault that `soft` makes of it, or stays as it is.
 */
export function extend(
  links: readonly Link[],
  end: Outcome,
  soft: (kind: 'running' | 'by-design' | 'unknown') => Fault | undefined,
): Outcome {
  switch (end.kind) {
    case 'fault':
    case 'symptom':
      return { ...end, links: [...links, ...end.links] };
    case 'running':
    case 'by-design':
    case 'unknown': {
      const fault = end.kind === 'unknown' && end.cutOff === true ? undefined : soft(end.kind);
      if (fault === undefined) return { ...end, links: [...links, ...end.links] };
      // The chain ends at its cause: what that one waits for in turn explains nothing.
      return { kind: 'fault', fault, links };
    }
  }
}

/** Of one job: what ails one of them ails all. */
export function isKin({ job }: ProcessNode, other: ProcessNode | undefined): boolean {
  const its = other?.job;
  return job !== undefined && its !== undefined && job.id === its.id && job.launcher === its.launcher;
}
