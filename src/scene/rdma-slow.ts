/**
 * Queue pairs that get on, and more slowly than they could: losses, a peer that is often not ready, a link that flaps. A
 * device that counts retries by port alone (mlx5) leaves open whose they are: that is said, and confidence goes with it.
 */
import type { Edge, ProcessNode } from '../graph/model.js';
import type { QpLife, RdmaPortNode } from '../graph/rdma-node.js';
import { ownerOf, portOf } from '../graph/rdma-lives.js';
import { CONFIDENCE, DISCOUNT } from './confidence.js';
import type { Fault, Outcome } from './finding.js';
import { STUCK_MS } from './links.js';
import { blockedBy, isConnected, livesOf, onPort, uses } from './rdma-links.js';
import { congestionOf, flappingFault, lastFall, type PortTrouble, portTrouble } from './rdma-port.js';
import { lossOf, oftenNotReady, oftenSince, pathAdvice } from './rdma-qp.js';
import { portName, remotesText } from './rdma-words.js';
import type { Step, Walk } from './walk.js';
import { count, who } from './words.js';

/** What is missing after a fall shows as retries so soon. */
const AFTER_FALL_MS = 10_000;
/** Whose queue pairs it may be: named are so many. */
const NAMED = 4;

type FaultOutcome = Extract<Outcome, { kind: 'fault' }>;

/** It gets on, and more slowly than it could; or who of several does not is not known. */
export function rdmaSlow(
  walk: Walk,
  process: ProcessNode,
  qps: readonly Edge[],
  path: readonly Step[],
  progress: boolean,
): Outcome | undefined {
  if (qps.length === 0) return undefined;
  const lives = livesOf(qps);
  for (const life of lives) {
    const found = slowed(walk, process, life, path);
    if (found !== undefined) return found;
  }
  const ports = new Set(lives.filter(isConnected).flatMap((life) => portOf(walk.graph, life) ?? []));
  for (const port of ports) {
    if (port.tellsQps || port.port?.attrs.driver === 'rdma_rxe') continue;
    const found = byPort(walk, process, lives, port, progress);
    if (found !== undefined) return found;
  }
  return undefined;
}

function slowed(
  walk: Walk,
  process: ProcessNode,
  life: QpLife,
  path: readonly Step[],
): FaultOutcome | undefined {
  const node = walk.graph.nodes.get(life.id);
  if (node === undefined || life.windows.length === 0) return undefined;
  const { now } = walk;
  const began = oftenSince(life);
  const told = life.windows.filter(({ retries, rnr }) => retries + rnr > 0);
  const facts = told.slice(-2).map(({ fact }) => fact);
  const last = told.at(-1)?.ts ?? 0;
  const own = uses(process, node, life, began, facts);
  const base = { began, facts, strength: 'hard' as const, scene: 'NetworkStall' as const };
  const notReady = oftenNotReady(life, now);
  if (notReady !== undefined) {
    const peer = walk.graph.rdma.peerOf(life);
    const owner = peer === undefined ? undefined : ownerOf(walk.graph, peer);
    const end =
      owner === undefined || owner === process
        ? undefined
        : walk.process(owner, [...path, { process, thread: undefined }]);
    const remote = walk.graph.nodes.get(`peer:${life.attrs.remote ?? ''}`);
    const to = end === undefined ? remote : owner;
    const link =
      to === undefined ? [] : [blockedBy(node, to, began, facts, 'it runs out of posted receives there')];
    if (end?.kind === 'fault' && end.fault.strength === 'hard')
      return { ...end, links: [own, ...link, ...end.links] };
    const fault: Fault = {
      ...base,
      node: to ?? node,
      subScene: 'PeerSlow',
      summary: to === owner && owner !== undefined ? `${who(owner)} on this node: ${notReady}` : notReady,
      confidence: CONFIDENCE.rdmaOftenNotReady,
      recommendations: [
        `See what the process at the other end does: it posts its receives too late or too few`,
      ],
      ails: 'rnr',
    };
    return { kind: 'fault', fault, links: [own, ...link] };
  }
  const loss = lossOf(life, now);
  const port = portOf(walk.graph, life);
  const fallTs = port === undefined ? undefined : lastFall(port);
  // Retries that follow a fall are its doing.
  const flaps =
    port === undefined || fallTs === undefined || last < fallTs || last > fallTs + AFTER_FALL_MS
      ? undefined
      : flappingFault(port, now);
  if (port !== undefined && flaps !== undefined)
    return { kind: 'fault', fault: flaps, links: [own, onPort(node, port, flaps)] };
  if (loss === undefined) return undefined;
  const fault: Fault = {
    ...base,
    node,
    scene: 'NetworkDrop',
    subScene: null,
    summary: loss,
    confidence: CONFIDENCE.rdmaLoss,
    recommendations: pathAdvice(life),
    ails: 'loss',
  };
  return { kind: 'fault', fault, links: [own] };
}

/** The device counts by port: whose queue pair it is follows only if there is one. */
function byPort(
  walk: Walk,
  process: ProcessNode,
  lives: readonly QpLife[],
  port: RdmaPortNode,
  progress: boolean,
): Outcome | undefined {
  const flaps = flappingFault(port, walk.now);
  const found = portTrouble(port, walk.now);
  const mine = lives.filter((life) => isConnected(life) && portOf(walk.graph, life) === port);
  const all = usersOf(port);
  const oldest = oldestOf(mine, walk.now);
  const [life = mine[0]] = oldest === undefined ? [] : [oldest];
  const node = life === undefined ? undefined : walk.graph.nodes.get(life.id);
  if (life === undefined || node === undefined) return undefined;
  if (flaps !== undefined && (found !== undefined || !progress)) {
    const fault = { ...flaps, confidence: flaps.confidence * DISCOUNT.otherQueuePairs };
    return {
      kind: 'fault',
      fault,
      links: [uses(process, node, life, flaps.began, []), onPort(node, port, flaps)],
    };
  }
  if (found === undefined) return undefined;
  const facts = found.facts.slice(-3);
  const known = all.length === 1 || oldest !== undefined;
  const shared = all.some((other) => other.owner?.pid !== process.pid);
  const which = known ? '' : `; ${whichText(all, process)}`;
  const summary = `${portName(port)}: ${found.what}${which}`;
  const own = uses(process, node, life, found.since, []);
  const note = known
    ? `it is on ${portName(port)}`
    : `the device counts retries by port: which of ${all.length} queue pairs on it is not known`;
  const links = [own, blockedBy(node, port, found.since, facts, note)];
  if (!known && shared) {
    return {
      kind: 'symptom',
      scene: found.scene,
      subScene: found.subScene,
      summary: () => summary,
      needs: 'which queue pair it is: start the agent with --rdma-trace, or ask the agents at their peers',
      confidence: CONFIDENCE.rdmaPortRetriesShared,
      links,
    };
  }
  return {
    kind: 'fault',
    fault: {
      node: port,
      scene: found.scene,
      subScene: found.subScene,
      summary,
      confidence: known ? CONFIDENCE.rdmaPortRetries : CONFIDENCE.rdmaPortRetriesOwn,
      began: found.since,
      facts,
      recommendations:
        found.subScene === 'PeerSlow'
          ? [`See what the processes at the other ends do: ${remotesText(mine)}`]
          : pathAdvice(life),
      strength: 'hard',
      ails: found.subScene === 'PeerSlow' ? 'rnr' : found.scene === 'NetworkDrop' ? 'loss' : 'retries',
    },
    links,
  };
}

/** Connected queue pairs on a port, of whomever. */
function usersOf(port: RdmaPortNode): readonly QpLife[] {
  return port.in.flatMap(({ kind, from }) =>
    kind === 'Consumes' && from.type === 'qp' && from.life.gone === undefined && isConnected(from.life)
      ? [from.life]
      : [],
  );
}

/** With `--rdma-trace`: the one whose work requests are not done for far longer than those of others. */
function oldestOf(lives: readonly QpLife[], now: number): QpLife | undefined {
  const waiting = lives.filter(({ posts }) => {
    const { outstanding = 0, oldest } = posts?.attrs ?? {};
    return outstanding > 0 && oldest !== undefined && now - oldest >= STUCK_MS;
  });
  return waiting.length === 1 ? waiting[0] : undefined;
}

function whichText(all: readonly QpLife[], process: ProcessNode): string {
  const pids = new Map<number, string>();
  for (const { owner } of all) if (owner !== undefined) pids.set(owner.pid, owner.comm);
  const names = [...pids].slice(0, NAMED).map(([pid, comm]) => (comm === '' ? `${pid}` : `${pid} (${comm})`));
  const of = pids.size === 1 ? who(process) : `${names.join(', ')}${pids.size > NAMED ? ', …' : ''}`;
  return `it may be any of ${count(all.length, 'queue pair')} of ${of}, to ${remotesText(all)}`;
}

/** The fabric is only said to be full: a suspicion, for whoever waits and nobody knows for what. */
export function congestion(walk: Walk, process: ProcessNode, lives: readonly QpLife[]): Outcome | undefined {
  for (const life of lives) {
    const port = portOf(walk.graph, life);
    const node = walk.graph.nodes.get(life.id);
    const found: PortTrouble | undefined = port === undefined ? undefined : congestionOf(port, walk.now);
    if (port === undefined || node === undefined || found === undefined) continue;
    const facts = found.facts.slice(-3);
    return {
      kind: 'symptom',
      scene: 'NetworkStall',
      subScene: 'Congestion',
      summary: () =>
        `${portName(port)}: ${found.what}: the fabric may be congested, and its queue pairs are on that port`,
      needs:
        'whether its own traffic is slowed: compare with the counters of the switch and of the other nodes',
      confidence: CONFIDENCE.rdmaCongestion,
      links: [
        uses(process, node, life, found.since, []),
        blockedBy(node, port, found.since, facts, `it is on ${portName(port)}`),
      ],
    };
  }
  return undefined;
}
