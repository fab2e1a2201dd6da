/**
 * A process whose own queue pairs are well, and that waits for what should come in on them. Who is at the other end is
 * known where that is on this node; a peer that is dead, stopped or cut off is the reason. Nothing else is guessed.
 */
import type { Edge, ProcessNode, Thread } from '../graph/model.js';
import type { QpLife } from '../graph/rdma-node.js';
import { ownerOf, portOf } from '../graph/rdma-lives.js';
import type { StateGraph } from '../graph/state-graph.js';
import { CONFIDENCE, DISCOUNT } from './confidence.js';
import type { Fault, Outcome } from './finding.js';
import { waitedMs } from './finding.js';
import { haltFault } from './halt.js';
import { isKin, STUCK_MS } from './links.js';
import { awaitsCompletion, blockedBy, isConnected, livesOf, uses } from './rdma-links.js';
import { diedPeer, endedPeer } from './rdma-peer.js';
import { portDownFault } from './rdma-port.js';
import { type Stall, stallFault, stallOf } from './rdma-qp.js';
import { congestion } from './rdma-slow.js';
import { ownEnd, remotesText } from './rdma-words.js';
import type { Step, Walk } from './walk.js';
import { count, duration, waitNote, who } from './words.js';

/** More peers than this are a crowd. */
const MAX_PEERS = 16;

type FaultOutcome = Extract<Outcome, { kind: 'fault' }>;

/**
 * Its own queue pairs are well, and whoever is at their other ends, on this node, is not. Only where it waits for them:
 * its main thread sleeps on completions, or it may poll for them.
 * @param progress it uses the CPU: perhaps it computes
 */
export function rdmaPeer(
  walk: Walk,
  process: ProcessNode,
  qps: readonly Edge[],
  path: readonly Step[],
  progress: boolean,
): FaultOutcome | undefined {
  const main = process.threads.get(process.pid);
  const sleeps = main !== undefined && awaitsCompletion(main) && waitedMs(main) >= STUCK_MS;
  if (qps.length === 0 || (!sleeps && !progress)) return undefined;
  const peers = peersOf(walk.graph, livesOf(qps).filter(isConnected));
  if (peers.size === 0 || peers.size > MAX_PEERS) return undefined;
  const inner = [...path, { process, thread: undefined }];
  const bad: FaultOutcome[] = [];
  let kin = false;
  for (const { life, peer } of peers.values()) {
    if (peer === undefined || walk.exhausted) continue;
    const outcome = unwell(walk, process, life, peer, inner, sleeps && main?.wait.type === 'wait.other');
    if (outcome === undefined) continue;
    bad.push(outcome);
    kin ||= isKin(process, ownerOf(walk.graph, peer));
  }
  const [first] = bad.sort((a, b) => a.fault.began - b.fault.began);
  // A server loses a client, and goes on with the others.
  if (first === undefined || (bad.length < peers.size && !kin)) return undefined;
  const doubt =
    (progress ? DISCOUNT.pollsOrComputes : 1) * (bad.length < peers.size ? DISCOUNT.oneOfSeveral : 1);
  return { ...first, fault: { ...first.fault, confidence: first.fault.confidence * doubt } };
}

/** By process where the other end is here, by address where it is elsewhere. */
function peersOf(
  graph: StateGraph,
  lives: readonly QpLife[],
): ReadonlyMap<string, { readonly life: QpLife; readonly peer: QpLife | undefined }> {
  const found = new Map<string, { readonly life: QpLife; readonly peer: QpLife | undefined }>();
  for (const life of lives) {
    const peer = graph.rdma.peerOf(life);
    const key =
      peer?.owner === undefined
        ? `${life.attrs.remote ?? life.id}`
        : `pid:${peer.owner.pid}/${peer.owner.start}`;
    const known = found.get(key);
    if (known === undefined || tellsMore(peer, known.peer)) found.set(key, { life, peer });
  }
  return found;
}

/** One that is still there says more of its process than one that is gone; one in trouble says most. */
function tellsMore(peer: QpLife | undefined, than: QpLife | undefined): boolean {
  const rank = (life: QpLife | undefined): number => {
    if (life === undefined || life.gone !== undefined) return 0;
    return life.run === undefined && life.failure === undefined ? 1 : 2;
  };
  return rank(peer) > rank(than);
}

/** @param waits it sleeps for a completion and for nothing else: then a peer that merely left is the reason, too */
function unwell(
  walk: Walk,
  process: ProcessNode,
  life: QpLife,
  peer: QpLife,
  path: readonly Step[],
  waits: boolean,
): FaultOutcome | undefined {
  const { graph, now } = walk;
  const node = graph.nodes.get(life.id);
  const owner = ownerOf(graph, peer);
  if (node === undefined || owner === process) return undefined;
  const behind = (found: FaultOutcome): FaultOutcome => ({
    ...found,
    links: [uses(process, node, life, found.fault.began, []), ...found.links],
  });
  if (peer.gone !== undefined) {
    const ended = endedPeer(walk, node, peer, path);
    return ended === undefined || (ended.fault.subScene === 'PeerEnded' && !waits)
      ? undefined
      : behind(ended);
  }
  const stall = stallOf(peer, now);
  // Where that one finds nobody ready, it is this one that posts nothing.
  if (stall !== undefined && (stall.kind === 'no-answer' || stall.kind === 'gave-up')) {
    const to = graph.nodes.get(peer.id);
    if (to === undefined) return undefined;
    const fault = portDown(graph, peer, stall, now) ?? stallFault(peer, stall, to, now);
    const note = `its peer is ${ownEnd(peer)}${owner === undefined ? '' : ` of ${who(owner)}`} on this node, and what that sends does not arrive`;
    const links = [blockedBy(node, to, stall.began, fault.facts, note)];
    return behind({
      kind: 'fault',
      fault,
      links:
        fault.node === to
          ? links
          : [...links, blockedBy(to, fault.node, fault.began, fault.facts, 'it is on this port')],
    });
  }
  if (owner === undefined) return undefined;
  if (owner.exit !== undefined) {
    const died = diedPeer(walk, node, peer, owner, peer.fact, path);
    return died === undefined ? undefined : behind(died);
  }
  const link = blockedBy(
    node,
    owner,
    walk.now,
    [],
    `its peer, ${ownEnd(peer)}, is ${who(owner)}'s on this node`,
  );
  const halted = haltFault(owner, now);
  if (halted !== undefined)
    return behind({ kind: 'fault', fault: halted, links: [{ ...link, since: halted.began }] });
  if (!waits) return undefined;
  const end = walk.process(owner, path);
  if (end.kind !== 'fault' || end.fault.strength !== 'hard' || end.fault.subScene === 'Deadlock')
    return undefined;
  return behind({ ...end, links: [{ ...link, since: end.fault.began }, ...end.links] });
}

function portDown(graph: StateGraph, life: QpLife, stall: Stall, now: number): Fault | undefined {
  const port = portOf(graph, life);
  return port === undefined ? undefined : portDownFault(port, stall.began, now);
}

/** It sleeps for completions, and nothing is known against anybody; or the fabric is only said to be full. */
export function rdmaDoubt(
  walk: Walk,
  process: ProcessNode,
  qps: readonly Edge[],
  main: Thread,
  shown: Outcome,
): Outcome | undefined {
  // What sleeps by design, sleeps by design.
  if (qps.length === 0 || shown.kind !== 'unknown') return undefined;
  const lives = livesOf(qps).filter(isConnected);
  const [life] = lives;
  const node = life === undefined ? undefined : walk.graph.nodes.get(life.id);
  if (life === undefined || node === undefined || waitedMs(main) < STUCK_MS) return undefined;
  const congested = congestion(walk, process, lives);
  if (congested !== undefined) return congested;
  if (!awaitsCompletion(main)) return undefined;
  const whom = `${count(lives.length, 'queue pair')} to ${remotesText(lives)}`;
  return {
    kind: 'symptom',
    scene: 'NetworkStall',
    subScene: 'PeerSlow',
    summary: () =>
      `${waitNote(main)} for ${duration(waitedMs(main))}: it waits for a completion on ${whom}; its own end shows no fault`,
    needs: 'what the processes at the other ends wait for: ask the agents there',
    confidence: CONFIDENCE.oneOfThem,
    links: [uses(process, node, life, main.wait.attrs.since, [])],
  };
}
