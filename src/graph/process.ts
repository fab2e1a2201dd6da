/** process.* events: who lives, whose child it is, how it ended. */
import type { EventOf, ExitAttrs, ProcessAttrs, ProcessRef } from '../events/event.js';
import { processId } from '../events/ids.js';
import { statusOf } from '../util/signals.js';
import { gpusAtExit } from './gpu-users.js';
import { type BlockDeviceNode, type FilesystemNode, NO_THREADS, type ProcessNode } from './model.js';
import { factOf } from './kinds.js';
import type { StateGraph } from './state-graph.js';

/** Probes tell of four; a made-up recording may tell of a million. */
const MAX_WROTE = 16;

type ProcessEvent =
  | EventOf<'process.seen'>
  | EventOf<'process.fork'>
  | EventOf<'process.exec'>
  | EventOf<'process.info'>
  | EventOf<'process.exit'>
  | EventOf<'process.oom_kill'>;

export function applyProcess(graph: StateGraph, event: ProcessEvent): void {
  if (event.pid === undefined) return;
  const ref = { pid: event.pid, start: event.attrs.start };
  const node = ensureProcess(graph, ref, event.attrs.comm, event.ts, event.entity);
  if (node === undefined) return;
  switch (event.type) {
    case 'process.fork':
      node.uid = event.attrs.uid;
      node.bornTs = event.ts;
      // What it is found to have used at its first sample, it has used since.
      node.cpuSinceTs = event.ts;
      adopt(graph, node, event.attrs);
      return;
    case 'process.exec':
      node.comm = event.attrs.comm;
      node.uid = event.attrs.uid;
      node.cmdline = event.attrs.cmdline;
      if (node.ppid !== event.attrs.ppid) adopt(graph, node, event.attrs);
      if (node.threads.size > 0) node.cpuSinceTs = 0;
      forgetWaits(graph, node);
      return;
    case 'process.oom_kill':
      describe(graph, node, event.attrs);
      node.oomKill = { fact: factOf(event), attrs: event.attrs, consumers: graph.host.consumers };
      return;
    case 'process.exit':
      node.comm = event.attrs.comm;
      exit(graph, node, event);
      return;
    case 'process.seen':
    case 'process.info':
      describe(graph, node, event.attrs);
      return;
  }
}

/**
 * The node of (pid, start). A process with the same pid and an older start has ended, even if its
 * exit was lost; an event about such an older one, or about one that has ended, is counted as stale
 * and makes nothing.
 */
export function ensureProcess(
  graph: StateGraph,
  ref: ProcessRef,
  comm: string,
  ts: number,
  id = processId(ref.pid),
): ProcessNode | undefined {
  const known = graph.nodes.get(id);
  // Only a recording that somebody made up gives a process the name of another thing.
  if (known !== undefined && known.type !== 'process') return undefined;
  if (known?.start === ref.start) {
    known.lastTs = ts;
    return known;
  }
  // A socket outlives its owner, a sample may be older than an exit.
  if ((known !== undefined && known.start > ref.start) || graph.exited.hasSince(ref.pid, ref.start)) {
    graph.stale++;
    return undefined;
  }
  if (known !== undefined) retire(graph, known);
  return graph.insert<ProcessNode>({
    id,
    type: 'process',
    pid: ref.pid,
    start: ref.start,
    comm,
    ppid: 0,
    bornTs: undefined,
    uid: undefined,
    cmdline: undefined,
    cgroup: undefined,
    containerId: undefined,
    podUid: undefined,
    job: undefined,
    exit: undefined,
    oomKill: undefined,
    threads: NO_THREADS,
    threadCount: 0,
    children: undefined,
    cpuShare: 0,
    delayShare: 0,
    cpuSinceTs: 0,
    starvedTs: undefined,
    ioError: undefined,
    connectFailures: undefined,
    memoryFailure: undefined,
    usedAtExit: undefined,
    wroteAtExit: undefined,
    gpusAtExit: undefined,
    rdma: undefined,
    firstTs: ts,
    lastTs: ts,
    out: [],
    in: [],
  });
}

function describe(graph: StateGraph, node: ProcessNode, attrs: ProcessAttrs): void {
  node.comm = attrs.comm;
  if (attrs.uid !== undefined) node.uid = attrs.uid;
  if (attrs.cmdline !== undefined) node.cmdline = attrs.cmdline;
  if (attrs.cgroup !== undefined) node.cgroup = attrs.cgroup;
  if (attrs.containerId !== undefined) node.containerId = attrs.containerId;
  if (attrs.podUid !== undefined) node.podUid = attrs.podUid;
  if (attrs.job !== undefined) node.job = attrs.job;
  adopt(graph, node, attrs);
}

/** Whose child it is; a parent may have ended, and its pid may belong to a younger process by now. */
function adopt(graph: StateGraph, node: ProcessNode, attrs: ProcessAttrs): void {
  if (attrs.ppid === undefined) return;
  if (attrs.ppid !== node.ppid) graph.process(node.ppid)?.children?.delete(node);
  node.ppid = attrs.ppid;
  const parent = graph.process(attrs.ppid);
  if (parent === undefined || (attrs.parentStart ?? parent.start) !== parent.start) return;
  parent.children ??= new Set();
  parent.children.add(node);
}

function exit(graph: StateGraph, node: ProcessNode, event: EventOf<'process.exit'>): void {
  if (node.ppid === 0) node.ppid = event.attrs.ppid ?? 0;
  forgetWaits(graph, node);
  node.usedAtExit = inTrouble(node);
  node.wroteAtExit = wroteTo(graph, event.attrs.wrote);
  node.gpusAtExit = gpusAtExit(node, event.ts);
  // Its descriptors are closed and its parent's wait is over: none of these is true any more.
  graph.edges.removeAll(node);
  if (isUnremarkable(node, event.attrs)) {
    keepCompact(graph, node, event.ts, statusOf(event.attrs));
    graph.drop(node);
    return;
  }
  node.exit = { ts: event.ts, attrs: event.attrs, fact: factOf(event) };
}

/** What it has open and cannot use: why it ended, perhaps. */
function inTrouble(node: ProcessNode): ProcessNode['usedAtExit'] {
  const found: (FilesystemNode | BlockDeviceNode)[] = [];
  for (const { kind, to } of node.out) {
    if (kind !== 'Consumes') continue;
    if (to.type === 'block-device' && (to.ioError ?? to.error ?? to.goneTs) !== undefined) found.push(to);
    if (to.type === 'filesystem' && ails(to, node.pid)) found.push(to);
  }
  return found.length === 0 ? undefined : found;
}

/** An overlay is its upper directory's filesystem. */
function wroteTo(graph: StateGraph, wrote: ExitAttrs['wrote']): ProcessNode['wroteAtExit'] {
  const found = new Set<FilesystemNode>();
  for (const dev of wrote?.slice(0, MAX_WROTE) ?? []) {
    const node = graph.filesystemsByDev.get(dev);
    const under = node?.out.find(({ kind, to }) => kind === 'Consumes' && to.type === 'filesystem')?.to;
    if (under?.type === 'filesystem') found.add(under);
    else if (node !== undefined) found.add(node);
  }
  return found.size === 0 ? undefined : [...found];
}

/** Whoever only reads does not mind that it cannot be written. */
function ails({ readOnly, space, error, writers }: FilesystemNode, pid: number): boolean {
  if (error !== undefined || readOnly?.shutDown === true) return true;
  return (readOnly ?? space) !== undefined && writers.has(pid);
}

/** Ended well and of no job: 48 bytes are enough to answer for it. */
function isUnremarkable(node: ProcessNode, attrs: ExitAttrs): boolean {
  return (
    attrs.signal === undefined && attrs.code === 0 && node.job === undefined && node.oomKill === undefined
  );
}

function keepCompact(graph: StateGraph, node: ProcessNode, ts: number, status: number): void {
  graph.exited.add(
    { pid: node.pid, start: node.start, ppid: node.ppid, exitTs: ts, comm: node.comm, status },
    graph.limits.keepMs,
  );
}

/** The pid belongs to another process now. */
function retire(graph: StateGraph, node: ProcessNode): void {
  // How it ended is not known if its exit was lost.
  if (node.exit !== undefined) keepCompact(graph, node, node.exit.ts, statusOf(node.exit.attrs));
  graph.drop(node);
}

function forgetWaits(graph: StateGraph, node: ProcessNode): void {
  for (const thread of node.threads.values()) {
    for (const edge of thread.edges) graph.edges.remove(edge);
    graph.threadsByTid.delete(thread.tid);
  }
  node.threads = NO_THREADS;
}
