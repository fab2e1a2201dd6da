/**
 * From a process to its queue pairs, and on to the port or the peer. Whoever polls for completions uses a CPU all the
 * time: with a queue pair that gets no answer that is no progress. In this order:
 *
 * 1. A queue pair that stands still: its port is down, its peer on this node has died or takes nothing, nobody answers.
 * 2. One that is slowed: losses, a peer that is often not ready, a link that flaps; by the counters of the port where the
 *    device tells nothing of queue pairs.
 * 3. A peer on this node that is dead, stopped or cut off, where the process waits for it and its own end is well.
 */
import type { Edge, Fact, ProcessNode } from '../graph/model.js';
import type { QpLife } from '../graph/rdma-node.js';
import { ownerOf, portOf } from '../graph/rdma-lives.js';
import { DISCOUNT } from './confidence.js';
import type { Outcome } from './finding.js';
import { blockedBy, isConnected, livesOf, onPort, uses } from './rdma-links.js';
import { silentPeer, slowPeer } from './rdma-peer.js';
import { portDownFault } from './rdma-port.js';
import { type Stall, stallFault, stallOf } from './rdma-qp.js';
import type { Step, Walk } from './walk.js';
import { count, who } from './words.js';

type FaultOutcome = Extract<Outcome, { kind: 'fault' }>;

/** @param progress it uses the CPU */
export function rdmaStall(
  walk: Walk,
  process: ProcessNode,
  qps: readonly Edge[],
  path: readonly Step[],
  progress: boolean,
): FaultOutcome | undefined {
  if (qps.length === 0) return undefined;
  const lives = livesOf(qps);
  let first: { readonly life: QpLife; readonly stall: Stall } | undefined;
  const stalled = new Set<QpLife>();
  for (const life of lives) {
    const stall = stallOf(life, walk.now);
    if (stall === undefined || isReplaced(life, stall, lives)) continue;
    stalled.add(life);
    if (first === undefined || stall.began < first.stall.began) first = { life, stall };
  }
  if (first === undefined) return quietPort(walk, process, lives, progress);
  const outcome = resolve(walk, process, first.life, first.stall, path);
  const others = stalled.size - 1;
  const more =
    others === 0
      ? ''
      : `; ${count(others, 'more queue pair')} of it ${others === 1 ? 'is' : 'are'} in trouble`;
  const well = progress && lives.some((life) => isConnected(life) && !stalled.has(life));
  const confidence = outcome.fault.confidence * (well ? DISCOUNT.otherQueuePairs : 1);
  return { ...outcome, fault: { ...outcome.fault, confidence, summary: `${outcome.fault.summary}${more}` } };
}

/** It has made itself another one to the same peer since. */
function isReplaced(life: QpLife, stall: Stall, lives: readonly QpLife[]): boolean {
  if (!('failure' in stall)) return false;
  const { remote } = life.attrs;
  return lives.some(
    (other) =>
      other !== life &&
      (other.connectedTs ?? 0) > stall.failure.ts &&
      other.failure === undefined &&
      other.attrs.remote === remote,
  );
}

/** Why this queue pair stands still, with the chain from its process. */
export function resolve(
  walk: Walk,
  process: ProcessNode,
  life: QpLife,
  stall: Stall,
  path: readonly Step[],
  until = walk.now,
): FaultOutcome {
  const { graph, now } = walk;
  const node = graph.nodes.get(life.id);
  // Aged out of the graph: a process that ended long ago.
  if (node === undefined) return { kind: 'fault', fault: stallFault(life, stall, process, until), links: [] };
  const own = uses(process, node, life, stall.began, stallFact(stall));
  const inner = [...path, { process, thread: undefined }];
  const behind = (found: FaultOutcome): FaultOutcome => ({ ...found, links: [own, ...found.links] });
  if (stall.kind === 'not-ready' || stall.kind === 'never-ready') {
    const slow = slowPeer(walk, process, node, life, stall, inner);
    if (slow !== undefined) return behind(slow);
    const peer = life.attrs.remote === undefined ? undefined : graph.nodes.get(`peer:${life.attrs.remote}`);
    const fault = stallFault(life, stall, peer ?? node, until);
    if (peer === undefined) return { kind: 'fault', fault, links: [own] };
    const to = blockedBy(node, peer, stall.began, fault.facts, 'no receive is posted there');
    return { kind: 'fault', fault, links: [own, to] };
  }
  const port = portOf(graph, life);
  const down = port === undefined ? undefined : portDownFault(port, stall.began, now);
  if (port !== undefined && down !== undefined)
    return { kind: 'fault', fault: down, links: [own, onPort(node, port, down)] };
  const silent = silentPeer(walk, node, life, stall.began, inner);
  if (silent !== undefined) return behind(silent);
  const fault = stallFault(life, stall, node, until);
  const peer = graph.rdma.peerOf(life);
  const here = peer === undefined || peer.gone !== undefined ? undefined : ownerOf(graph, peer);
  const summary =
    here === undefined
      ? fault.summary
      : `${fault.summary}; its peer is ${who(here)} on this node, which lives`;
  return { kind: 'fault', fault: { ...fault, summary }, links: [own] };
}

function stallFact(stall: Stall): readonly Fact[] {
  return 'run' in stall ? [stall.run.fact] : stall.failure.facts.slice(0, 1);
}

/** Nothing is known to be in trouble but the port under it: not every device tells of its queue pairs. */
function quietPort(
  walk: Walk,
  process: ProcessNode,
  lives: readonly QpLife[],
  progress: boolean,
): FaultOutcome | undefined {
  const connected = lives.filter(isConnected);
  for (const life of connected) {
    const port = portOf(walk.graph, life);
    const node = walk.graph.nodes.get(life.id);
    const fault = port === undefined ? undefined : portDownFault(port, walk.now, walk.now, true);
    if (port === undefined || fault === undefined || node === undefined) continue;
    // It was connected since: what is known of the port is old.
    if ((life.connectedTs ?? 0) > fault.began) continue;
    const others = connected.some((other) => portOf(walk.graph, other)?.down === undefined);
    const doubt = (others ? DISCOUNT.otherQueuePairs : 1) * (progress ? DISCOUNT.pollsOrComputes : 1);
    const links = [uses(process, node, life, fault.began, []), onPort(node, port, fault)];
    return { kind: 'fault', fault: { ...fault, confidence: fault.confidence * doubt }, links };
  }
  return undefined;
}
