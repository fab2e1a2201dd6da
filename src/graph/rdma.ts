/**
 * rdma.* events: process Consumes queue pair Consumes port; a queue pair is BlockedBy the peer that does not answer, or
 * the port that is down. Ports are in rdma-ports.ts, queue pairs in rdma-qps.ts, who talks to whom in rdma-peers.ts.
 */
import type { EventOf, EventType } from '../events/event.js';
import { peerId } from '../events/ids.js';
import type { ProcessNode } from './model.js';
import { ensureProcess } from './process.js';
import type { ProcessRdma } from './rdma-node.js';
import { applyCounters, applyPort, portEvent } from './rdma-ports.js';
import { applyCompletion, applyPosts, applyQp, applyRetry, qpEvent } from './rdma-qps.js';
import { factOf } from './kinds.js';
import type { StateGraph } from './state-graph.js';

type RdmaType = Extract<EventType, `rdma.${string}`>;
export type RdmaEvent = { [T in RdmaType]: EventOf<T> }[RdmaType];

/** Connections that fail with a longer pause between them are two stories. */
const FAILURE_PAUSE_MS = 30_000;
/** No connection was made. */
const FAILED: ReadonlySet<string> = new Set([
  'ADDR_ERROR',
  'ROUTE_ERROR',
  'CONNECT_ERROR',
  'UNREACHABLE',
  'REJECTED',
]);

export function applyRdma(graph: StateGraph, event: RdmaEvent): void {
  switch (event.type) {
    case 'rdma.port':
      applyPort(graph, event);
      return;
    case 'rdma.counters':
      applyCounters(graph, event);
      return;
    case 'rdma.qp':
      applyQp(graph, event);
      return;
    case 'rdma.retry':
      applyRetry(graph, event);
      return;
    case 'rdma.completion':
      applyCompletion(graph, event);
      return;
    case 'rdma.async':
      if (event.entity.startsWith('qp:')) qpEvent(graph, event);
      else portEvent(graph, event);
      return;
    case 'rdma.cm':
      applyCm(graph, event);
      return;
    case 'rdma.memory':
      applyMemory(graph, event);
      return;
    case 'rdma.posts':
      applyPosts(graph, event);
      return;
  }
}

/** Those that it has now. */
export function queuePairsOf(process: ProcessNode | undefined): number {
  if (process === undefined || process.exit !== undefined) return 0;
  return process.out.filter(({ to }) => to.type === 'qp' && to.life.gone === undefined).length;
}

function applyCm(graph: StateGraph, event: EventOf<'rdma.cm'>): void {
  const { attrs, ts } = event;
  const process = processOf(graph, event.pid, attrs.start, ts);
  if (process === undefined) return;
  const { event: what, status, remote, remotePort } = attrs;
  const known = process.rdma?.connect;
  const same = known !== undefined && known.remote === remote && known.remotePort === remotePort;
  // Whoever connects is told of the response; its library makes ESTABLISHED of that.
  if (what === 'ESTABLISHED' || what === 'CONNECT_RESPONSE') {
    if (same && process.rdma !== undefined) process.rdma.connect = undefined;
    if (same) unblock(graph, process);
    return;
  }
  if (!FAILED.has(what) || remote === undefined) return;
  unblock(graph, process);
  const peer = graph.node(peerId(remote), ts);
  if (peer?.type === 'peer') {
    peer.lastTs = ts;
    graph.connect('BlockedBy', process, peer, factOf(event));
  }
  const again = same && ts - known.fact.ts < FAILURE_PAUSE_MS;
  partOf(process).connect = {
    event: what,
    status,
    remote,
    remotePort,
    since: again ? known.since : ts,
    count: again ? known.count + 1 : 1,
    fact: { ...factOf(event), detail: `${what} (${status})` },
  };
}

/** Of all that a process has edges to, only whom it cannot connect to is a peer. */
function unblock(graph: StateGraph, process: ProcessNode): void {
  for (let i = process.out.length - 1; i >= 0; i--) {
    const edge = process.out[i];
    if (edge?.kind === 'BlockedBy' && edge.to.type === 'peer') graph.edges.remove(edge);
  }
}

function applyMemory(graph: StateGraph, event: EventOf<'rdma.memory'>): void {
  const { start, regions, bytes } = event.attrs;
  const process = processOf(graph, event.pid, start, event.ts);
  if (process !== undefined) partOf(process).memory = { fact: factOf(event), regions, bytes };
}

function processOf(
  graph: StateGraph,
  pid: number | undefined,
  start: number | undefined,
  ts: number,
): ProcessNode | undefined {
  if (pid === undefined || pid === 0 || start === undefined) return undefined;
  const process = ensureProcess(graph, { pid, start }, '', ts);
  return process?.exit === undefined ? process : undefined;
}

function partOf(process: ProcessNode): ProcessRdma {
  process.rdma ??= { failed: undefined, connect: undefined, memory: undefined };
  return process.rdma;
}
