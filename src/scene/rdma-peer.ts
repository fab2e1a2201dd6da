/**
 * The other end of a queue pair where it is on this node, too: then it is known whose it is and how that one fares. A
 * process that was killed takes its queue pairs with it, and nobody tells its peers; one that is stopped, or late for a
 * reason of its own, posts no receives. Whoever merely ended well, or sleeps, is no fault.
 */
import type { Fact, GraphNode, ProcessNode } from '../graph/model.js';
import type { QpLife } from '../graph/rdma-node.js';
import { ownerOf, portOf } from '../graph/rdma-lives.js';
import type { StateGraph } from '../graph/state-graph.js';
import { CONFIDENCE } from './confidence.js';
import { describeRecord } from './crash.js';
import type { Fault, Outcome } from './finding.js';
import { waitFact } from './finding.js';
import { blockedBy } from './rdma-links.js';
import { portDownFault } from './rdma-port.js';
import { type Stall, stallFacts, stallFault } from './rdma-qp.js';
import { ownEnd, portName, remoteEnd } from './rdma-words.js';
import type { Step, Walk } from './walk.js';
import { count, duration, waitNote, who } from './words.js';

/** The end of the other side, and the first retry that comes of it. */
const SLACK_MS = 1_000;

type FaultOutcome = Extract<Outcome, { kind: 'fault' }>;

/** From `node`, the queue pair here, to why its other end does not answer; undefined: nothing is known against that. */
export function silentPeer(
  walk: Walk,
  node: GraphNode,
  life: QpLife,
  began: number,
  path: readonly Step[],
): FaultOutcome | undefined {
  const peer = walk.graph.rdma.peerOf(life);
  if (peer === undefined) return undefined;
  const port = portOf(walk.graph, peer);
  // A process that ends takes its queue pairs with it, whatever its port does.
  const exited = peer.gone?.exiting === true;
  const fault = port === undefined || exited ? undefined : portDownFault(port, began, walk.now);
  if (port !== undefined && fault !== undefined) {
    const note = `its peer is ${ownEnd(peer)}, on ${portName(port)} of this node`;
    return { kind: 'fault', fault, links: [blockedBy(node, port, fault.began, fault.facts, note)] };
  }
  if (peer.gone !== undefined)
    return peer.gone.ts > began + SLACK_MS ? undefined : endedPeer(walk, node, peer, path);
  return brokenPeer(walk.graph, node, peer, began, walk.now);
}

/** Its other end went into error before: what it was sent since it drops without a word. */
function brokenPeer(
  graph: StateGraph,
  node: GraphNode,
  peer: QpLife,
  began: number,
  now: number,
): FaultOutcome | undefined {
  const { failure, attrs } = peer;
  const to = graph.nodes.get(peer.id);
  if (to === undefined) return undefined;
  const note = `its peer is ${ownEnd(peer)} of ${ownerName(peer)} on this node`;
  // One that gave up on this one tells of the same trouble from the other side.
  if (failure !== undefined && failure.status !== 'RETRY_EXC_ERR' && failure.status !== 'RNR_RETRY_EXC_ERR') {
    if (failure.ts > began + SLACK_MS) return undefined;
    const stall: Stall = { kind: 'error', began: failure.since, failure };
    const fault = stallFault(peer, stall, to, now);
    return { kind: 'fault', fault, links: [blockedBy(node, to, failure.ts, failure.facts, note)] };
  }
  const closed = attrs.state === 'ERR' || attrs.state === 'RESET' || attrs.state === 'INIT';
  if (!closed || failure !== undefined || peer.fact.ts > began + SLACK_MS) return undefined;
  const owner = ownerOf(graph, peer);
  const agoMs = Math.max(0, now - peer.fact.ts);
  const fault = closedFault(
    owner ?? to,
    `${ownerName(peer)} put its end (${ownEnd(peer)}) into ${attrs.state}`,
    agoMs,
    peer.fact,
  );
  return { kind: 'fault', fault, links: [blockedBy(node, owner ?? to, peer.fact.ts, [peer.fact], note)] };
}

/** Its other end is gone: with its process, or closed by it. */
export function endedPeer(
  walk: Walk,
  node: GraphNode,
  peer: QpLife,
  path: readonly Step[],
): FaultOutcome | undefined {
  const { gone, owner } = peer;
  if (gone === undefined) return undefined;
  const { graph, now } = walk;
  const process = ownerOf(graph, peer);
  const agoMs = Math.max(0, now - gone.ts);
  if (process?.exit !== undefined) {
    const died = diedPeer(walk, node, peer, process, gone.fact, path);
    if (died !== undefined) return died;
    const link = blockedBy(node, process, gone.ts, [gone.fact], wasOf(peer, process));
    return { kind: 'fault', fault: endedWell(process, ownerName(peer), agoMs, gone.fact), links: [link] };
  }
  if (process !== undefined) {
    const note = `its peer is ${who(process)} on this node`;
    const fault = closedFault(
      process,
      `${who(process)} destroyed its end (${ownEnd(peer)})`,
      agoMs,
      gone.fact,
    );
    return { kind: 'fault', fault, links: [blockedBy(node, process, gone.ts, [gone.fact], note)] };
  }
  const record = owner === undefined ? undefined : graph.exited.find(owner.pid, now - graph.limits.keepMs);
  const ended = record !== undefined && record.start === owner?.start ? record : undefined;
  if (ended === undefined) {
    const what = `the peer on this node, ${ownEnd(peer)}${owner === undefined ? '' : ` of ${ownerName(peer)}`}, was destroyed`;
    return { kind: 'fault', fault: closedFault(node, what, agoMs, gone.fact), links: [] };
  }
  const how = describeRecord(ended)?.summary;
  const fault = endedWell(node, ownerName(peer), agoMs, gone.fact);
  return {
    kind: 'fault',
    fault:
      how === undefined
        ? fault
        : { ...fault, summary: `its peer ${ownerName(peer)} on this node: ${how}, ${duration(agoMs)} ago` },
    links: [],
  };
}

/** Whose it was has died: killed, or of something that is known. @param fact what is known of the queue pair */
export function diedPeer(
  walk: Walk,
  node: GraphNode,
  peer: QpLife,
  process: ProcessNode,
  fact: Fact,
  path: readonly Step[],
): FaultOutcome | undefined {
  if (process.exit === undefined) return undefined;
  const end = walk.process(process, path);
  if (end.kind !== 'fault') return undefined;
  const link = blockedBy(node, process, process.exit.ts, [fact], wasOf(peer, process));
  const ago = duration(walk.now - process.exit.ts);
  const left = peer.gone === undefined ? `; a child of it, most likely, still has ${ownEnd(peer)} open` : '';
  const summary =
    end.fault.node === process
      ? `its peer ${who(process)} on this node has died, ${ago} ago: ${end.fault.summary}${left}`
      : end.fault.summary;
  const confidence = Math.min(end.fault.confidence, CONFIDENCE.rdmaPeerDied);
  return { kind: 'fault', fault: { ...end.fault, summary, confidence }, links: [link, ...end.links] };
}

function wasOf(peer: QpLife, process: ProcessNode): string {
  return `its peer, ${ownEnd(peer)}, was ${who(process)}'s on this node`;
}

function endedWell(node: GraphNode, name: string, agoMs: number, fact: Fact): Fault {
  return {
    node,
    scene: 'NetworkStall',
    subScene: 'PeerEnded',
    summary: `its peer ${name} on this node ended ${duration(agoMs)} ago (exit code 0), and nobody else is at the other end`,
    confidence: CONFIDENCE.rdmaPeerDied,
    began: fact.ts,
    facts: [fact],
    recommendations: ['Read the log of the process that ended: it left while this one still counts on it'],
    strength: 'hard',
  };
}

function closedFault(node: GraphNode, what: string, agoMs: number, fact: Fact): Fault {
  return {
    node,
    scene: 'NetworkStall',
    subScene: 'PeerEnded',
    summary: `${what} ${duration(agoMs)} ago, and this one still counts on it`,
    confidence: CONFIDENCE.rdmaPeerClosed,
    began: fact.ts,
    facts: [fact],
    recommendations: ['Read the log of the process at the other end: it closed the connection'],
    strength: 'hard',
  };
}

/** RNR: the peer's process does not take what is sent. It is followed where it is on this node. */
export function slowPeer(
  walk: Walk,
  process: ProcessNode,
  node: GraphNode,
  life: QpLife,
  stall: Stall,
  path: readonly Step[],
): FaultOutcome | undefined {
  const peer = walk.graph.rdma.peerOf(life);
  const owner = peer === undefined ? undefined : ownerOf(walk.graph, peer);
  if (peer === undefined || owner === undefined || owner === process) return undefined;
  // Whoever has it by a fork does not serve it.
  if (owner.exit !== undefined) return diedPeer(walk, node, peer, owner, peer.fact, path);
  const note = `its peer, ${ownEnd(peer)}, is ${who(owner)}'s on this node and has no receive posted`;
  const link = blockedBy(node, owner, stall.began, stallFacts(stall), note);
  const end = walk.process(owner, path);
  if (end.kind === 'fault') return { ...end, links: [link, ...end.links] };
  const naks = 'run' in stall ? ` (${count(stall.run.rnr, 'RNR NAK')})` : '';
  const main = owner.threads.get(owner.pid);
  const fault: Fault = {
    node: owner,
    scene: 'NetworkStall',
    subScene: 'PeerSlow',
    summary: `${who(owner)} has had no receive posted on ${ownEnd(peer)} for ${duration(walk.now - stall.began)}${naks}: it ${doingOf(owner, end)}`,
    confidence: CONFIDENCE.rdmaNotReady,
    began: stall.began,
    facts: [...stallFacts(stall), ...(main === undefined ? [] : [waitFact(main)])],
    recommendations: [
      `Look at what ${who(owner)} does instead of posting receives: its stack tells (gdb -p ${owner.pid}, py-spy dump)`,
    ],
    strength: 'hard',
  };
  return { kind: 'fault', fault, links: [link] };
}

function doingOf(owner: ProcessNode, end: Outcome): string {
  const main = owner.threads.get(owner.pid);
  if (end.kind === 'running')
    return main === undefined || main.wait.type === 'wait.run' ? 'runs' : 'does other things';
  return main === undefined ? 'is idle' : waitNote(main);
}

function ownerName({ owner, attrs }: QpLife): string {
  if (owner === undefined)
    return `the kernel or a process that is not known (${remoteEnd(attrs)} is its peer)`;
  return owner.comm === '' ? `${owner.pid}` : `${owner.pid} (${owner.comm})`;
}
