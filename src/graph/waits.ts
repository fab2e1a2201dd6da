/** wait.* events: what each thread waits for, who holds it, and which threads are still there. */
import type { EventOf } from '../events/event.js';
import { processId } from '../events/ids.js';
import {
  type Edge,
  type Fact,
  type GraphNode,
  NO_THREADS,
  type ProcessNode,
  type Thread,
  type ThreadWait,
} from './model.js';
import { ensureProcess } from './process.js';
import { factOf, isResource } from './kinds.js';
import type { StateGraph } from './state-graph.js';
import { sampleFlow } from './transport.js';

/** A CPU share over less than this would be noise; of a process that has just begun it is all there is. */
const CPU_WINDOW_MS = 500;
const FIRST_WINDOW_MS = 100;
/** Runnable without a CPU for this share of the time, and for this part of what it wanted: starved. */
const STARVED_SHARE = 0.4;
const STARVED_PART = 0.35;
/** The kernel accounts CPU time by another clock than events have. */
const CLOCK_TOLERANCE = 1.05;
/** Weight of the newest sample in a thread's shares of samples. */
const SHARE_WEIGHT = 0.2;

export function applyWait(graph: StateGraph, event: ThreadWait): void {
  if (event.pid === undefined) return;
  const { attrs } = event;
  const process = ensureProcess(graph, { pid: event.pid, start: attrs.start }, '', event.ts);
  // A process that has ended waits for nothing: the sample was taken just before.
  if (process === undefined || process.exit !== undefined) return;
  if (process.comm === '' || attrs.tid === process.pid) process.comm = attrs.comm;
  process.threadCount = attrs.threads;

  const thread = threadOf(graph, process, event);
  thread.cpuGainMs += Math.max(0, attrs.runMs - thread.runMs);
  thread.runMs = attrs.runMs;
  thread.delayGainMs += Math.max(0, (attrs.delayMs ?? 0) - thread.delayMs);
  thread.delayMs = Math.max(thread.delayMs, attrs.delayMs ?? 0);
  thread.seenTs = event.ts;
  const before = thread.wait;
  thread.wait = event;
  countSample(thread);
  updateEdges(graph, thread, before, event);
}

/** Who has an object open: replaces what was known. O(degree of the object). */
export function applyHolders(graph: StateGraph, event: EventOf<'wait.holders'>): void {
  const node = graph.node(event.entity, event.ts);
  // Only a recording that somebody made up says that a process is held.
  if (node === undefined || node.type === 'process') return;
  const fact = factOf(event);
  node.lastTs = event.ts;
  if (isResource(node)) {
    node.holders = event.attrs.holders;
    node.holdersTs = event.ts;
  }
  const { holders } = event.attrs;
  if (node.type === 'flow')
    node.queued = holders.length > 0 && holders.every(({ queued }) => queued === true);
  const keep = new Set<Edge>();
  for (const holder of event.attrs.holders) {
    const process = ensureProcess(graph, holder, holder.comm, event.ts);
    if (process === undefined || process.exit !== undefined) continue;
    const edge = graph.connect('BlockedBy', node, process, fact);
    if (edge !== undefined) keep.add(edge);
  }
  for (let i = node.out.length - 1; i >= 0; i--) {
    const edge = node.out[i];
    if (edge?.kind === 'BlockedBy' && edge.to.type === 'process' && !keep.has(edge)) graph.edges.remove(edge);
  }
}

/** The pass is complete: threads that it did not see are gone; CPU shares are known. */
export function applyPass(graph: StateGraph, event: EventOf<'wait.pass'>): void {
  for (const tid of event.attrs.same) {
    const thread = graph.threadsByTid.get(tid);
    if (thread === undefined) continue;
    thread.seenTs = event.ts;
    thread.process.lastTs = event.ts;
    for (const edge of thread.edges) edge.to.lastTs = event.ts;
    countSample(thread);
  }
  for (const thread of graph.threadsByTid.values()) {
    if (thread.seenTs < event.ts) {
      for (const edge of thread.edges) graph.edges.remove(edge);
      thread.process.threads.delete(thread.tid);
      graph.threadsByTid.delete(thread.tid);
    } else if (thread.tid === thread.process.pid) {
      measureCpu(thread.process, event.ts);
    }
  }
  graph.passTs = event.ts;
}

function threadOf(graph: StateGraph, process: ProcessNode, event: ThreadWait): Thread {
  const { tid, runMs, delayMs = 0 } = event.attrs;
  const known = process.threads.get(tid);
  if (known !== undefined) return known;
  const other = graph.threadsByTid.get(tid);
  if (other !== undefined) {
    for (const edge of other.edges) graph.edges.remove(edge);
    other.process.threads.delete(tid);
  }
  // Every pass sees every thread: this one is younger than the last, or was missed and has a longer past.
  const sinceMs = process.cpuSinceTs === 0 ? 0 : event.ts - process.cpuSinceTs;
  const young = runMs + delayMs <= sinceMs * CLOCK_TOLERANCE;
  const thread: Thread = {
    tid,
    process,
    wait: event,
    seenTs: event.ts,
    edges: [],
    runMs,
    delayMs,
    cpuShare: 0,
    delayShare: 0,
    cpuGainMs: young ? runMs : 0,
    delayGainMs: young ? delayMs : 0,
    recentOn: '',
    recentShare: 0,
    hangShare: 0,
    gpuWait: undefined,
  };
  if (process.threads === NO_THREADS) process.threads = new Map();
  process.threads.set(tid, thread);
  graph.threadsByTid.set(tid, thread);
  return thread;
}

function measureCpu(process: ProcessNode, ts: number): void {
  const since = process.cpuSinceTs;
  const elapsedMs = ts - since;
  if (elapsedMs < (since === process.bornTs ? FIRST_WINDOW_MS : CPU_WINDOW_MS)) return;
  const first = since === 0;
  process.cpuSinceTs = ts;
  process.cpuShare = 0;
  process.delayShare = 0;
  for (const thread of process.threads.values()) {
    thread.cpuShare = first ? 0 : thread.cpuGainMs / elapsedMs;
    // What was counted late (a thread that had been starved for long) is not of this window alone.
    thread.delayShare = first ? 0 : Math.min(1, thread.delayGainMs / elapsedMs);
    thread.cpuGainMs = 0;
    thread.delayGainMs = 0;
    process.cpuShare += thread.cpuShare;
    process.delayShare += thread.delayShare;
  }
  const starved = elapsedMs >= CPU_WINDOW_MS && isStarved(process);
  process.starvedTs = starved ? (process.starvedTs ?? since) : undefined;
}

function isStarved({ cpuShare, delayShare }: ProcessNode): boolean {
  return delayShare >= STARVED_SHARE && delayShare >= STARVED_PART * (delayShare + cpuShare);
}

/**
 * A lossy flow, a slow disk, a late pipe is waited on again and again, and never for long: count in
 * how many samples.
 */
function countSample(thread: Thread): void {
  thread.hangShare = thread.hangShare * (1 - SHARE_WEIGHT) + (hangsOnOthers(thread) ? SHARE_WEIGHT : 0);
  const on = repeats(thread.wait) ? thread.wait.entity : '';
  if (on !== '' && on !== thread.recentOn && thread.recentShare < 1 - SHARE_WEIGHT) {
    thread.recentOn = on;
    thread.recentShare = SHARE_WEIGHT;
    return;
  }
  const hit = on !== '' && on === thread.recentOn ? 1 : 0;
  thread.recentShare = thread.recentShare * (1 - SHARE_WEIGHT) + hit * SHARE_WEIGHT;
}

/** What it waits for is done by another thread, of this process or another. */
export function hangsOnOthers({ wait }: Thread): boolean {
  return wait.type === 'wait.futex' || wait.type === 'wait.lock' || wait.type === 'wait.join';
}

function repeats(wait: ThreadWait): boolean {
  return (
    wait.type === 'wait.tcp' ||
    wait.type === 'wait.disk' ||
    wait.type === 'wait.pipe' ||
    wait.type === 'wait.unix'
  );
}

function updateEdges(graph: StateGraph, thread: Thread, before: ThreadWait, event: ThreadWait): void {
  const fact = factOf(event);
  if (event.type === 'wait.tcp') sampleFlow(graph, event.entity, event.attrs.flow, fact);
  if (event.type === 'wait.poll') {
    for (const { entity, flow } of event.attrs.members) {
      if (flow !== undefined) sampleFlow(graph, entity, flow, { ...fact, entity });
    }
  }
  const same =
    before !== event &&
    before.type === event.type &&
    before.entity === event.entity &&
    before.attrs.since === event.attrs.since;
  if (same && thread.edges.length > 0 && event.type !== 'wait.child') {
    for (const edge of thread.edges) edge.event = fact;
    touch(graph, event, fact);
    return;
  }
  for (const edge of thread.edges) graph.edges.remove(edge);
  const targets = touch(graph, event, fact);
  thread.edges = targets.flatMap((target) =>
    graph.mayAddEdge()
      ? [graph.edges.add('WaitsOn', thread.process, target, event.attrs.since, fact, thread.tid)]
      : [],
  );
}

/** The nodes that this wait is on, refreshed with what the event says of them. */
function touch(graph: StateGraph, event: ThreadWait, fact: Fact): readonly GraphNode[] {
  switch (event.type) {
    case 'wait.run':
    case 'wait.sleep':
    case 'wait.stopped':
    case 'wait.frozen':
    case 'wait.traced':
      return [];
    case 'wait.join':
      return present(graph.nodes.get(event.entity));
    case 'wait.child':
      return children(graph, event);
    case 'wait.lock': {
      const node = graph.resource(event.entity, event.ts);
      const owner = graph.threadsByTid.get(event.attrs.ownerTid)?.process ?? ownProcess(graph, event);
      if (node !== undefined && owner !== undefined) {
        node.lastTs = event.ts;
        const edge = graph.connect('BlockedBy', node, owner, fact, event.attrs.ownerTid);
        for (const old of [...node.out]) if (old !== edge) graph.edges.remove(old);
      }
      return present(node);
    }
    case 'wait.poll': {
      const node = graph.resource(event.entity, event.ts);
      if (node !== undefined) {
        node.members = event.attrs.members;
        node.lastTs = event.ts;
      }
      return present(node);
    }
    default: {
      const node = graph.node(event.entity, event.ts);
      if (node !== undefined) node.lastTs = event.ts;
      return present(node);
    }
  }
}

function children(graph: StateGraph, event: EventOf<'wait.child'>): readonly GraphNode[] {
  if (event.attrs.childPid !== 0) return present(graph.nodes.get(processId(event.attrs.childPid)));
  return [...(ownProcess(graph, event)?.children ?? [])].filter((child) => child.exit === undefined);
}

function ownProcess(graph: StateGraph, event: ThreadWait): ProcessNode | undefined {
  return event.pid === undefined ? undefined : graph.process(event.pid);
}

function present(node: GraphNode | undefined): readonly GraphNode[] {
  return node === undefined ? [] : [node];
}
