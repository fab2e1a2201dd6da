/** transport.* events: the state of flows, whose they are, and what is wrong with them. */
import type { EventOf, FlowAttrs, ProcessRef } from '../events/event.js';
import { flowId, peerId } from '../events/ids.js';
import { addLoss } from './losses.js';
import type { Fact, FlowNode, FlowTrouble, ProcessNode } from './model.js';
import { ensureProcess } from './process.js';
import { factOf } from './kinds.js';
import type { StateGraph } from './state-graph.js';

export type TransportEvent =
  | EventOf<'transport.connect'>
  | EventOf<'transport.connect_failed'>
  | EventOf<'transport.retransmit'>
  | EventOf<'transport.timeout'>
  | EventOf<'transport.recovered'>
  | EventOf<'transport.reset'>
  | EventOf<'transport.zero_window'>
  | EventOf<'transport.state'>
  | EventOf<'transport.close'>;

/** A retransmit without a timeout says little, and nothing at all once it is this old. */
const RETRANSMIT_MEMORY_MS = 5_000;
/** Failed connections with a longer pause between them are two stories. */
const FAILURE_PAUSE_MS = 30_000;

export function newFlow(graph: StateGraph, id: string, ts: number): FlowNode | undefined {
  return graph.insert<FlowNode>({
    id,
    type: 'flow',
    attrs: undefined,
    trouble: undefined,
    lastTrouble: undefined,
    losses: undefined,
    closedTs: undefined,
    connectMs: undefined,
    errno: undefined,
    queued: false,
    firstTs: ts,
    lastTs: ts,
    out: [],
    in: [],
  });
}

export function applyTransport(graph: StateGraph, event: TransportEvent): void {
  const known = graph.nodes.get(event.entity);
  const before = known?.type === 'flow' ? known.attrs : undefined;
  const node = observeFlow(graph, event.entity, event.attrs, event.ts);
  if (node === undefined) return;
  switch (event.type) {
    case 'transport.connect':
      node.connectMs = event.value;
      node.closedTs = undefined;
      node.errno = undefined;
      clear(graph, node, event.ts);
      forgetFailures(graph, event);
      return;
    case 'transport.connect_failed':
      node.errno = event.attrs.errno;
      set(graph, node, 'connect-failed', event.ts - event.value, factOf(event));
      countFailure(graph, node, event);
      node.closedTs = event.ts;
      return;
    case 'transport.reset':
      set(graph, node, 'reset', event.ts, factOf(event));
      return;
    case 'transport.recovered':
      clear(graph, node, event.ts);
      return;
    case 'transport.close':
      node.closedTs = event.ts;
      if (node.trouble?.kind !== 'reset' && node.trouble?.kind !== 'connect-failed')
        clear(graph, node, event.ts);
      dropOwner(graph, node);
      return;
    case 'transport.timeout':
    case 'transport.retransmit':
    case 'transport.zero_window':
    case 'transport.state': {
      const kind = event.type === 'transport.retransmit' ? 'retransmit' : undefined;
      judge(graph, node, event.attrs, factOf(event), kind);
      if (event.type === 'transport.timeout' || event.type === 'transport.retransmit')
        addLoss(node, before, event.attrs, event.ts, event.type === 'transport.timeout');
      return;
    }
  }
}

/** Whoever tries again is told by who made the socket: each try has a port, and so a flow, of its own. */
function countFailure(graph: StateGraph, flow: FlowNode, event: EventOf<'transport.connect_failed'>): void {
  const process = creatorOf(graph, event.attrs);
  if (process === undefined) return;
  const known = process.connectFailures;
  const same =
    known !== undefined &&
    event.ts - known.fact.ts < FAILURE_PAUSE_MS &&
    isSameRemote(known.flow.attrs, event.attrs);
  process.connectFailures = {
    flow,
    fact: factOf(event),
    errno: event.attrs.errno,
    since: same ? known.since : event.ts,
    count: same ? known.count + 1 : 1,
  };
}

/** It has got through. */
function forgetFailures(graph: StateGraph, { attrs }: EventOf<'transport.connect'>): void {
  const process = creatorOf(graph, attrs);
  if (process !== undefined && isSameRemote(process.connectFailures?.flow.attrs, attrs))
    process.connectFailures = undefined;
}

function creatorOf(graph: StateGraph, { owner }: FlowAttrs): ProcessNode | undefined {
  const process = owner.created === undefined ? undefined : graph.process(owner.created.pid);
  return process?.start === owner.created?.start ? process : undefined;
}

function isSameRemote(a: FlowAttrs | undefined, b: FlowAttrs): boolean {
  return a !== undefined && a.remote === b.remote && a.rport === b.rport;
}

/** A waiting thread's sample carries its flow's state: the same judgement, from another witness. */
export function sampleFlow(
  graph: StateGraph,
  id: string,
  attrs: FlowAttrs,
  fact: Fact,
): FlowNode | undefined {
  const node = observeFlow(graph, id, attrs, fact.ts);
  if (node !== undefined) judge(graph, node, attrs, fact, undefined);
  return node;
}

function observeFlow(graph: StateGraph, id: string, attrs: FlowAttrs, ts: number): FlowNode | undefined {
  const known = graph.nodes.get(id);
  const node = known === undefined ? newFlow(graph, id, ts) : known.type === 'flow' ? known : undefined;
  if (node === undefined) return undefined;
  node.attrs = attrs;
  node.lastTs = ts;
  if (attrs.owner.last !== undefined) own(graph, node, attrs.owner.last, attrs.owner.last.comm, ts);
  return node;
}

/** Sets or clears the trouble that the flow's own numbers show. */
function judge(
  graph: StateGraph,
  node: FlowNode,
  attrs: FlowAttrs,
  fact: Fact,
  seen: 'retransmit' | undefined,
): void {
  if (attrs.backoff > 0 && (attrs.unackedBytes > 0 || attrs.state === 'SYN_SENT')) {
    set(graph, node, 'timeout', attrs.since ?? fact.ts, fact);
  } else if (windowIsClosed(attrs)) {
    set(graph, node, 'zero-window', attrs.since ?? fact.ts, fact);
  } else if (seen === 'retransmit') {
    set(graph, node, 'retransmit', attrs.since ?? fact.ts, fact);
  } else if (node.trouble?.kind === 'retransmit') {
    if (fact.ts - node.trouble.fact.ts > RETRANSMIT_MEMORY_MS) clear(graph, node, fact.ts);
  } else if (node.trouble?.kind === 'timeout' || node.trouble?.kind === 'zero-window') {
    clear(graph, node, fact.ts);
  }
}

/** The program has data for the peer, nothing is in flight, and the peer's window does not take it. */
export function windowIsClosed(attrs: FlowAttrs): boolean {
  if (attrs.probesOut > 0) return true;
  return attrs.writeQueueBytes > 0 && attrs.unackedBytes === 0 && attrs.sndWndBytes === 0;
}

function set(graph: StateGraph, node: FlowNode, kind: FlowTrouble['kind'], since: number, fact: Fact): void {
  const known = node.trouble?.kind === kind ? node.trouble : undefined;
  // What the tcp probe saw happen is better evidence than a sample of the state it left.
  const better = known?.fact.probe === 'tcp' && fact.probe !== 'tcp' ? known.fact : fact;
  node.trouble = { kind, since: Math.min(known?.since ?? since, since), fact: better };
  if (node.attrs === undefined) return;
  const peer = graph.node(peerId(node.attrs.remote), fact.ts);
  if (peer === undefined) return;
  peer.lastTs = fact.ts;
  graph.connect('BlockedBy', node, peer, fact);
}

function clear(graph: StateGraph, node: FlowNode, ts: number): void {
  if (node.trouble === undefined) return;
  node.lastTrouble = { ...node.trouble, until: ts };
  node.trouble = undefined;
  for (let i = node.out.length - 1; i >= 0; i--) {
    const edge = node.out[i];
    if (edge?.to.type === 'peer') graph.edges.remove(edge);
  }
}

/** Process Consumes flow: one owner at a time, the one that sent last. */
function own(graph: StateGraph, node: FlowNode, owner: ProcessRef, comm: string, ts: number): void {
  for (const edge of node.in) {
    if (edge.kind !== 'Consumes' || edge.from.type !== 'process') continue;
    if (edge.from.pid === owner.pid && edge.from.start === owner.start) return;
    graph.edges.remove(edge);
    break;
  }
  const process = ensureProcess(graph, owner, comm, ts);
  if (process === undefined || process.exit !== undefined || !graph.mayAddEdge()) return;
  const fact: Fact = { ts, type: 'transport.owner', probe: 'tcp', entity: node.id, value: owner.pid };
  graph.edges.add('Consumes', process, node, ts, fact);
}

function dropOwner(graph: StateGraph, node: FlowNode): void {
  for (let i = node.in.length - 1; i >= 0; i--) {
    const edge = node.in[i];
    if (edge?.kind === 'Consumes') graph.edges.remove(edge);
  }
}

/** The id that the other end of this flow has, as the other end sees it. */
export function reverseFlowId(attrs: FlowAttrs): string {
  return flowId(attrs.remote, attrs.rport, attrs.local, attrs.lport);
}
