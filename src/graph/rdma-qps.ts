/**
 * rdma.qp, .retry, .completion, .posts events and the driver's word on a queue pair: what is wrong with it now, and what
 * was until a moment ago.
 */
import type { EventOf } from '../events/event.js';
import type { RdmaQpAttrs } from '../events/rdma.js';
import type { Fact, ProcessNode } from './model.js';
import {
  answered,
  begin,
  collapse,
  disconnect,
  end,
  lifeOf,
  nodeOf,
  own,
  owned,
  ownerOf,
  toPeer,
  toPort,
} from './rdma-lives.js';
import type { QpFailure, QpKnown, QpLife, QpNode } from './rdma-node.js';
import { factOf } from './kinds.js';
import type { StateGraph } from './state-graph.js';

/** What had to be sent again is kept for so long. */
const WINDOWS_MS = 10_000;

const MAX_WINDOWS = 64;

/** A trouble that is over for so long is not what a process ends of. */
const OVER_MS = 60_000;

/** Retries that ended so shortly before a failure ended in it. */
const ENDED_MS = 2_000;

/** Driver's events after which a queue pair is of no use. */
const FATAL: ReadonlySet<string> = new Set(['QP_FATAL', 'QP_REQ_ERR', 'QP_ACCESS_ERR']);

export function applyQp(graph: StateGraph, event: EventOf<'rdma.qp'>): void {
  const { attrs, ts } = event;
  const fact = { ...factOf(event), detail: qpWords(attrs) };
  const node = nodeOf(graph, event);
  if (node === undefined) return;
  if (attrs.change === 'create') begin(graph, node, event.attrs, fact);
  const life = lifeOf(graph, node, attrs.generation, fact);
  if (life === undefined) return;
  life.fact = fact;
  if (attrs.state === 'DESTROYED' || attrs.change === 'destroy') {
    owned(life, event.pid, attrs);
    end(graph, node, life, { ts, exiting: attrs.exiting === true, fact });
    return;
  }
  const process = own(graph, node, life, event.pid, attrs, fact);
  if (attrs.errno !== undefined) {
    const { errno, state, remote = life.attrs.remote } = attrs;
    life.refused = { fact, errno, ts, state, remote };
    if (process !== undefined) noteTrouble(process, life, ts);
    return;
  }
  life.refused = undefined;
  if (attrs.state === 'RESET' || attrs.state === 'INIT') disconnect(graph, node, life);
  life.attrs = knownOf(life.attrs, attrs);
  if (attrs.state === 'RTS' || attrs.state === 'RTR') {
    life.failure = undefined;
    // Since when one is that was there before, nobody knows.
    if (attrs.state === 'RTS' && attrs.change !== 'seen') life.connectedTs ??= ts;
  }
  if (attrs.change === 'error') fail(graph, node, life, { fact });
  else if (attrs.state === 'ERR') answered(graph, node, life, ts);
  graph.rdma.update(life);
  toPort(graph, node, life, fact);
}

export function applyRetry(graph: StateGraph, event: EventOf<'rdma.retry'>): void {
  const { attrs, ts } = event;
  const { retries, timeouts, rnr, since, retriesLeft } = attrs;
  const detail = `${retries} retries, ${timeouts} of them by the ACK timer, ${rnr} RNR NAKs received`;
  const fact = { ...factOf(event), detail };
  const node = nodeOf(graph, event);
  const life = node === undefined ? undefined : lifeOf(graph, node, attrs.generation, fact);
  if (node === undefined || life === undefined) return;
  const process = own(graph, node, life, event.pid, attrs, fact);
  for (const port of graph.rdma.ports) if (port.id.startsWith(`rdma:${attrs.device}/`)) port.tellsQps = true;
  const began = since === undefined ? undefined : Math.min(since, ts);
  if (life.run !== undefined && life.run.since !== began) collapse(life, life.run);
  life.windows.push({ ts, retries, timeouts, rnr, answered: began === undefined, fact });
  while (life.windows.length > MAX_WINDOWS || (life.windows[0]?.ts ?? ts) < ts - WINDOWS_MS)
    life.windows.shift();
  if (began === undefined) {
    answered(graph, node, life, ts);
    return;
  }
  const known = life.run?.since === began ? life.run : undefined;
  if (known === undefined) answered(graph, node, life, ts);
  life.run = {
    since: began,
    retries: (known?.retries ?? 0) + retries,
    timeouts: (known?.timeouts ?? 0) + timeouts,
    rnr: (known?.rnr ?? 0) + rnr,
    lastRnr: rnr,
    retriesLeft,
    fact,
  };
  toPeer(graph, node, life, fact);
  if (process !== undefined) noteTrouble(process, life, ts);
}

export function applyCompletion(graph: StateGraph, event: EventOf<'rdma.completion'>): void {
  const { attrs } = event;
  // Flushed ones only follow another failure.
  if (attrs.status === 'SUCCESS' || attrs.status === 'WR_FLUSH_ERR') return;
  const fact = { ...factOf(event), detail: `a work request ended with ${attrs.status}` };
  const node = nodeOf(graph, event);
  const life = node === undefined ? undefined : lifeOf(graph, node, attrs.generation, fact);
  if (node === undefined || life === undefined) return;
  own(graph, node, life, event.pid, attrs, fact);
  const { status, vendorErr } = attrs;
  fail(graph, node, life, { fact, status, vendorErr });
}

/** The driver's own event of a queue pair. */
export function qpEvent(graph: StateGraph, event: EventOf<'rdma.async'>): void {
  const { attrs } = event;
  if (!FATAL.has(attrs.event)) return;
  const fact = { ...factOf(event), detail: attrs.event };
  const node = nodeOf(graph, event);
  const life =
    node === undefined ? undefined : lifeOf(graph, node, attrs.generation ?? node.life.generation, fact);
  if (node === undefined || life === undefined) return;
  own(graph, node, life, event.pid, attrs, fact);
  fail(graph, node, life, { fact, async: attrs.event });
}

export function applyPosts(graph: StateGraph, event: EventOf<'rdma.posts'>): void {
  const { attrs, ts } = event;
  const fact = { ...factOf(event), detail: `${attrs.posts} work requests posted, ${attrs.bytes} bytes` };
  const node = nodeOf(graph, event);
  if (node === undefined || node.life.gone !== undefined) return;
  const process = own(graph, node, node.life, event.pid, attrs, fact);
  // Counted at the library, which knows no generation: an older process's counts are not of this one.
  if (process === undefined && node.life.owner !== undefined) return;
  // What was outstanding then says nothing of later.
  node.life.posts = attrs.stopped === true ? undefined : { attrs, fact, since: node.life.posts?.since ?? ts };
}

/** Several sources tell of one failure: the completion says most. */
function fail(
  graph: StateGraph,
  node: QpNode,
  life: QpLife,
  told: Pick<Partial<QpFailure>, 'status' | 'vendorErr' | 'async'> & { readonly fact: Fact },
): void {
  const { fact } = told;
  const known = life.failure;
  const before = life.run ?? (fact.ts - (life.lastRun?.until ?? 0) <= ENDED_MS ? life.lastRun : undefined);
  life.failure = {
    status: known?.status ?? told.status,
    vendorErr: known?.vendorErr ?? told.vendorErr,
    async: known?.async ?? told.async,
    ts: known?.ts ?? fact.ts,
    since: known?.since ?? before?.since ?? fact.ts,
    facts: known === undefined ? [fact] : known.facts.length < 4 ? [...known.facts, fact] : known.facts,
  };
  answered(graph, node, life, fact.ts);
  toPeer(graph, node, life, fact);
  const process = ownerOf(graph, life);
  if (process !== undefined) noteTrouble(process, life, fact.ts);
}

/** The first stays while it is in trouble and that is news: what fails after it may only follow. */
function noteTrouble(process: ProcessNode, life: QpLife, ts: number): void {
  if (process.exit !== undefined) return;
  process.rdma ??= { failed: undefined, connect: undefined, memory: undefined };
  const known = process.rdma.failed;
  if (known === undefined || known === life || !isTroubled(known) || ts - troubleTs(known) > OVER_MS)
    process.rdma.failed = life;
}

/** It is in trouble, or was until its end. */
export function isTroubled({ failure, run, lastRun, refused, gone }: QpLife): boolean {
  if ((failure ?? run ?? refused) !== undefined) return true;
  return gone !== undefined && lastRun?.until === gone.ts;
}

/** When it was in trouble last, as far as that is known. */
function troubleTs({ failure, run, lastRun, refused }: QpLife): number {
  return run?.fact.ts ?? Math.max(failure?.ts ?? 0, lastRun?.until ?? 0, refused?.ts ?? 0);
}

/** What an event does not say, it does not change. */
function knownOf(before: QpKnown, attrs: RdmaQpAttrs): QpKnown {
  const {
    change: _change,
    generation: _generation,
    start: _start,
    comm: _comm,
    errno: _errno,
    exiting: _exiting,
    ...now
  } = attrs;
  return { ...before, ...now };
}

function qpWords(attrs: RdmaQpAttrs): string {
  const what = attrs.change === 'modify' ? `modify to ${attrs.state}` : `${attrs.change}: ${attrs.state}`;
  const to = attrs.remoteQpn === undefined ? '' : `, peer ${attrs.remote ?? 'unknown'} QP ${attrs.remoteQpn}`;
  return attrs.errno === undefined ? `${what}${to}` : `${what} refused: ${attrs.errno}${to}`;
}
