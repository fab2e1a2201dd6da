/** nccl.* and wait.gpu events: who is in which communicator, who is behind in it, which thread waits for a GPU. */
import type { EventOf } from '../events/event.js';
import { processId } from '../events/ids.js';
import type { CommMember, CommNode } from './comm-node.js';
import type { Fact, ProcessNode } from './model.js';
import { ensureProcess } from './process.js';
import { factOf } from './kinds.js';
import type { StateGraph } from './state-graph.js';

/** Ranks of one communicator on this node; more are not kept. */
const MAX_MEMBERS = 256;

export type NcclEvent = EventOf<'nccl.comm'> | EventOf<'nccl.enqueue'> | EventOf<'wait.gpu'>;

export function newComm(graph: StateGraph, id: string, ts: number): CommNode | undefined {
  return graph.insert<CommNode>({
    id,
    type: 'communicator',
    nranks: undefined,
    members: new Map(),
    counted: true,
    firstTs: ts,
    lastTs: ts,
    out: [],
    in: [],
  });
}

export function applyNccl(graph: StateGraph, event: NcclEvent): void {
  switch (event.type) {
    case 'nccl.comm':
      applyComm(graph, event);
      return;
    case 'nccl.enqueue':
      applyEnqueue(graph, event);
      return;
    case 'wait.gpu':
      applyGpuWait(graph, event);
      return;
  }
}

function applyComm(graph: StateGraph, event: EventOf<'nccl.comm'>): void {
  const parts = partsOf(graph, event);
  if (parts === undefined) return;
  const { node, process } = parts;
  const { handle, tid, state, rank } = event.attrs;
  const { start } = process;
  node.nranks = event.attrs.nranks ?? node.nranks;
  const key = keyOf(process.pid, start, handle ?? `thread ${tid}`);
  // The call has come back: what it was while it was made is over.
  if (state === 'ready' || state === 'failed')
    node.members.delete(keyOf(process.pid, start, `thread ${tid}`));
  const fact = wordsOf(event, node);
  if (state === 'failed') {
    leave(graph, node, process);
    return;
  }
  const known = node.members.get(key);
  if (known === undefined) {
    if (node.members.size >= MAX_MEMBERS) return;
    const member: CommMember = {
      pid: process.pid,
      start,
      handle,
      tid: handle === undefined ? tid : undefined,
      rank,
      state,
      since: state === 'init' ? (event.attrs.since ?? event.ts) : event.ts,
      collectives: event.attrs.collectives ?? 0,
      lastTs: undefined,
      behindSince: undefined,
      fact,
    };
    node.members.set(key, member);
  } else {
    known.rank = rank ?? known.rank;
    if (known.state !== state) known.since = event.ts;
    known.state = state;
    known.collectives = Math.max(known.collectives, event.attrs.collectives ?? 0);
    known.fact = fact;
  }
  judge(node, key, false, event.ts);
  if (state === 'destroyed' || state === 'aborted') leave(graph, node, process);
  else graph.connect('Consumes', process, node, fact);
}

function applyEnqueue(graph: StateGraph, event: EventOf<'nccl.enqueue'>): void {
  const parts = partsOf(graph, event);
  if (parts === undefined) return;
  const { node, process } = parts;
  const { handle, collectives, rank, nranks, last, stopped } = event.attrs;
  node.nranks = nranks ?? node.nranks;
  if (stopped === true) node.counted = false;
  const key = keyOf(process.pid, process.start, handle);
  const fact = wordsOf(event, node);
  const known = node.members.get(key);
  const changed = known?.collectives !== collectives;
  if (known === undefined) {
    if (node.members.size >= MAX_MEMBERS) return;
    node.members.set(key, {
      pid: process.pid,
      start: process.start,
      handle,
      tid: undefined,
      rank,
      state: 'ready',
      since: event.ts,
      collectives,
      lastTs: last,
      behindSince: undefined,
      fact,
    });
  } else {
    known.rank = rank ?? known.rank;
    known.collectives = collectives;
    known.lastTs = last ?? known.lastTs;
    known.fact = fact;
  }
  judge(node, key, changed, event.ts);
  graph.connect('Consumes', process, node, fact);
}

/**
 * Who is behind: a member with fewer collectives than another that has not enqueued any since. All ranks enqueue the
 * same ones in the same order, so that nobody gets past what the last one has not begun.
 */
function judge(node: CommNode, key: string, changed: boolean, ts: number): void {
  let most = 0;
  for (const { collectives } of node.members.values()) most = Math.max(most, collectives);
  for (const [name, member] of node.members) {
    if (!node.counted || member.state === 'init' || member.collectives >= most)
      member.behindSince = undefined;
    else if (member.behindSince === undefined || (changed && name === key)) member.behindSince = ts;
  }
}

/** The process is in it no more, unless with another rank of its own. */
function leave(graph: StateGraph, node: CommNode, process: ProcessNode): void {
  for (const { pid, start, state } of node.members.values()) {
    const over = state === 'destroyed' || state === 'aborted' || state === 'failed';
    if (!over && pid === process.pid && start === process.start) return;
  }
  for (const edge of [...process.out])
    if (edge.kind === 'Consumes' && edge.to === node) graph.edges.remove(edge);
}

function partsOf(
  graph: StateGraph,
  event: EventOf<'nccl.comm'> | EventOf<'nccl.enqueue'>,
): { readonly node: CommNode; readonly process: ProcessNode } | undefined {
  if (event.pid === undefined) return undefined;
  const process = ensureProcess(graph, { pid: event.pid, start: event.attrs.start }, '', event.ts);
  if (process === undefined || process.exit !== undefined) return undefined;
  const node = graph.node(event.entity, event.ts);
  if (node?.type !== 'communicator') return undefined;
  node.lastTs = event.ts;
  return { node, process };
}

/** "rank 3 of 8: 1,234 collectives": what the edge to a communicator says. */
function wordsOf(event: EventOf<'nccl.comm'> | EventOf<'nccl.enqueue'>, node: CommNode): Fact {
  const rank = event.attrs.rank === undefined ? 'rank unknown' : `rank ${event.attrs.rank}`;
  const of = node.nranks === undefined ? '' : ` of ${node.nranks}`;
  const what =
    event.type === 'nccl.comm'
      ? `${event.attrs.call}: ${event.attrs.state}`
      : `${event.attrs.collectives} collectives enqueued`;
  // Of this member: others of the same communicator say theirs at the same time.
  const entity = event.pid === undefined ? event.entity : processId(event.pid);
  return { ...factOf(event), entity, detail: `${rank}${of} in ${event.entity}, ${what}` };
}

function keyOf(pid: number, start: number, handle: string): string {
  return `${pid}/${start}/${handle}`;
}

/** It is a thread's, which the sampler has to know; said again every second, so that one missed is no loss. */
function applyGpuWait(graph: StateGraph, event: EventOf<'wait.gpu'>): void {
  const { tid, start, what, since, over } = event.attrs;
  const thread = graph.threadsByTid.get(tid);
  if (thread === undefined || thread.process.pid !== event.pid || thread.process.start !== start) return;
  thread.process.lastTs = event.ts;
  thread.gpuWait = over === true ? undefined : { what, since, seenTs: event.ts, fact: gpuWaitFact(event) };
}

function gpuWaitFact(event: EventOf<'wait.gpu'>): Fact {
  return { ...factOf(event), detail: `thread ${event.attrs.tid} is in ${event.attrs.what}` };
}
