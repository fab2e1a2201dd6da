/**
 * The lives of queue pairs: a number is used again, and what is said of an older use of it is not of this one. Whose each
 * is, and what of it is in the graph while it lives.
 */
import type { EventOf } from '../events/event.js';
import { peerId, rdmaPortId } from '../events/ids.js';
import type { RdmaQpAttrs } from '../events/rdma.js';
import type { Fact, GraphNode, ProcessNode } from './model.js';
import { ensureProcess } from './process.js';
import type { QpKnown, QpLife, QpNode, RetryRun } from './rdma-node.js';
import { block, findPort } from './rdma-ports.js';
import type { StateGraph } from './state-graph.js';

export function newQp(graph: StateGraph, id: string, ts: number): QpNode | undefined {
  const slash = id.lastIndexOf('/');
  const qpn = Number(id.slice(slash + 1));
  const attrs = { device: id.slice('qp:'.length, slash), qpn: Number.isInteger(qpn) ? qpn : 0 };
  const fact: Fact = { ts, type: 'rdma.qp', probe: 'rdma', entity: id, value: 0 };
  return graph.insert<QpNode>({
    id,
    type: 'qp',
    life: newLife(id, 0, attrs, fact),
    firstTs: ts,
    lastTs: ts,
    out: [],
    in: [],
  });
}

function newLife(id: string, generation: number, attrs: QpKnown, fact: Fact): QpLife {
  return {
    id,
    generation,
    bornTs: fact.ts,
    attrs,
    fact,
    owner: undefined,
    orphan: false,
    connectedTs: undefined,
    run: undefined,
    lastRun: undefined,
    windows: [],
    failure: undefined,
    refused: undefined,
    posts: undefined,
    gone: undefined,
  };
}

/** It stood still for a while, and was answered: however often it tried, that is one time that something was lost. */
export function collapse({ windows }: QpLife, run: RetryRun): void {
  const at = windows.findIndex(({ ts, answered }) => !answered && ts >= run.since);
  const first = at < 0 ? undefined : windows[at];
  if (first === undefined) return;
  // Told once, it was over as soon as that.
  if (windows.length - at === 1) {
    windows[at] = { ...first, answered: true };
    return;
  }
  windows.length = at;
  const once = (n: number): number => Math.min(1, n);
  windows.push({
    ts: run.fact.ts,
    retries: once(run.retries),
    timeouts: once(run.timeouts),
    rnr: once(run.rnr),
    answered: true,
    fact: run.fact,
  });
}

export function nodeOf(
  graph: StateGraph,
  event: EventOf<'rdma.qp' | 'rdma.retry' | 'rdma.completion' | 'rdma.async' | 'rdma.posts'>,
): QpNode | undefined {
  const node = graph.node(event.entity, event.ts);
  if (node?.type !== 'qp') return undefined;
  node.lastTs = event.ts;
  return node;
}

/** The life that `generation` names; undefined: an older one, which is over. */
export function lifeOf(graph: StateGraph, node: QpNode, generation: number, fact: Fact): QpLife | undefined {
  if (generation < node.life.generation) return undefined;
  // Its creation was lost.
  if (generation > node.life.generation)
    renew(graph, node, newLife(node.id, generation, idsOf(node.life.attrs), fact));
  return node.life.gone === undefined ? node.life : undefined;
}

/** A number is given out: whatever was known under it is over. */
export function begin(graph: StateGraph, node: QpNode, attrs: RdmaQpAttrs, fact: Fact): void {
  const { generation, bornTs, owner, gone } = node.life;
  const fresh = owner === undefined && gone === undefined && bornTs === fact.ts;
  if (attrs.generation < generation || (fresh && attrs.generation === generation)) return;
  renew(graph, node, newLife(node.id, attrs.generation, idsOf(attrs), fact));
}

function idsOf({ device, qpn }: QpKnown): QpKnown {
  return { device, qpn };
}

/** Nothing that was true of the one before is true of this one. */
function renew(graph: StateGraph, node: QpNode, life: QpLife): void {
  graph.rdma.forget(node.life);
  const { gone, bornTs, fact } = node.life;
  // Its destruction was lost.
  if (gone === undefined && bornTs < life.bornTs) node.life.gone = { ts: life.bornTs, exiting: false, fact };
  cut(graph, node);
  node.life = life;
}

export function end(graph: StateGraph, node: QpNode, life: QpLife, gone: NonNullable<QpLife['gone']>): void {
  answered(graph, node, life, gone.ts);
  life.gone = gone;
  graph.rdma.forget(life);
  cut(graph, node);
}

/** It is dropped from the graph. */
export function forgetQp(graph: StateGraph, node: QpNode): void {
  graph.rdma.forget(node.life);
}

function cut(graph: StateGraph, node: QpNode): void {
  for (const edge of [...node.out]) graph.edges.remove(edge);
  for (const edge of [...node.in]) if (edge.kind === 'Consumes') graph.edges.remove(edge);
}

/** It is made ready for another connection. */
export function disconnect(graph: StateGraph, node: QpNode, life: QpLife): void {
  answered(graph, node, life, life.fact.ts);
  life.windows.length = 0;
  life.failure = undefined;
  life.connectedTs = undefined;
  const { remote: _remote, remoteQpn: _qpn, remoteLid: _lid, ...rest } = life.attrs;
  life.attrs = rest;
  graph.rdma.unpair(life);
}

/** An answer has come, or nothing is asked any more. */
export function answered(graph: StateGraph, node: QpNode, life: QpLife, ts: number): void {
  if (life.run === undefined) return;
  life.lastRun = { ...life.run, until: ts };
  life.run = undefined;
  if (life.failure !== undefined) return;
  for (const edge of [...node.out])
    if (edge.kind === 'BlockedBy' && edge.to.type === 'peer') graph.edges.remove(edge);
}

/** The owner's node while the graph has it, alive or crashed. */
export function ownerOf(graph: StateGraph, { owner }: QpLife): ProcessNode | undefined {
  const process = owner === undefined ? undefined : graph.process(owner.pid);
  return process?.start === owner?.start ? process : undefined;
}

/** Whose it is, for good: the first that was named. `false`: this is about somebody else. */
export function owned(
  life: QpLife,
  pid: number | undefined,
  { start, comm = '' }: { readonly start?: number; readonly comm?: string },
): boolean {
  if (pid === undefined || pid === 0 || start === undefined) return false;
  life.owner ??= { pid, start, comm };
  if (life.owner.pid !== pid || life.owner.start !== start) return false;
  if (life.owner.comm === '' && comm !== '') life.owner = { pid, start, comm };
  return true;
}

/**
 * Process Consumes queue pair.
 * @returns the owner, while it lives: a child may keep the queue pairs of one that has ended
 */
export function own(
  graph: StateGraph,
  node: QpNode,
  life: QpLife,
  pid: number | undefined,
  attrs: { readonly start?: number; readonly comm?: string },
  fact: Fact,
): ProcessNode | undefined {
  if (!owned(life, pid, attrs) || life.owner === undefined || life.orphan) return undefined;
  for (const edge of node.in) {
    if (edge.kind !== 'Consumes' || edge.from.type !== 'process') continue;
    edge.event = fact;
    edge.from.lastTs = fact.ts;
    return edge.from;
  }
  const process = ensureProcess(graph, life.owner, life.owner.comm, fact.ts);
  life.orphan = process === undefined || process.exit !== undefined;
  if (process === undefined || life.orphan) return undefined;
  join(graph, process, node, fact);
  return process;
}

function join(graph: StateGraph, from: GraphNode, to: GraphNode, fact: Fact): void {
  if (graph.mayAddEdge()) graph.edges.add('Consumes', from, to, fact.ts, fact);
}

/** Queue pair Consumes port; held up where the port is down. */
export function toPort(graph: StateGraph, node: QpNode, life: QpLife, fact: Fact): void {
  const { device, port } = life.attrs;
  if (port === undefined) return;
  const to = graph.node(rdmaPortId(device, port), fact.ts);
  if (to?.type !== 'rdma-port') return;
  to.lastTs = fact.ts;
  if (node.out.some((edge) => edge.to === to)) return;
  join(graph, node, to, fact);
  if (to.down !== undefined) block(graph, node, to, to.down);
}

/** Queue pair BlockedBy whom it gets no answer from. */
export function toPeer(graph: StateGraph, node: QpNode, { attrs: { remote } }: QpLife, fact: Fact): void {
  if (remote === undefined) return;
  const peer = graph.node(peerId(remote), fact.ts);
  if (peer?.type !== 'peer') return;
  peer.lastTs = fact.ts;
  graph.connect('BlockedBy', node, peer, fact);
}

/** The port that it is on, if the graph has it. */
export function portOf(graph: StateGraph, { attrs }: QpLife): ReturnType<typeof findPort> {
  return attrs.port === undefined ? undefined : findPort(graph, attrs.device, attrs.port);
}
