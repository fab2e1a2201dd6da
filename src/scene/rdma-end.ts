/**
 * A process that ended with an error of its own shortly after RDMA had failed it: a queue pair that gave up, one that the
 * kernel would not connect, a connection that nobody took. And one that lives and tries again and again.
 */
import type { ProcessNode } from '../graph/model.js';
import { peerId } from '../events/ids.js';
import type { CmFailures } from '../graph/rdma-node.js';
import { CONFIDENCE } from './confidence.js';
import { brokenMemory } from './crash.js';
import type { Fault, Link, Outcome } from './finding.js';
import { resolve } from './rdma.js';
import { stallAtEnd } from './rdma-qp.js';
import { ownEnd } from './rdma-words.js';
import type { Step, Walk } from './walk.js';
import { count, duration } from './words.js';

/** NCCL ends a job up to a minute after its queue pair gave up. */
const BEFORE_END_MS = 60_000;
/** Who cannot connect ends at once. */
const CONNECT_MS = 10_000;
/** So many failures are a loop; the last is not longer ago than a usual pause between two tries. */
const MIN_TRIES = 3;
const TRIED_MS = 10_000;

type FaultOutcome = Extract<Outcome, { kind: 'fault' }>;

export function rdmaCrash(walk: Walk, process: ProcessNode, path: readonly Step[]): FaultOutcome | undefined {
  const { exit, rdma } = process;
  if (exit === undefined || rdma === undefined || brokenMemory(process) !== undefined) return undefined;
  // Two that died of each other: one of them is told of already.
  if (path.some((step) => step.process === process)) return undefined;
  const { signal, code = 0 } = exit.attrs;
  // Any other signal is somebody else's, or a bug of the program.
  if (signal === undefined ? code === 0 : signal !== 'SIGABRT') return undefined;
  const found = failedBefore(walk, process, exit.ts, path) ?? refused(walk, process, exit.ts);
  if (found === undefined) return undefined;
  const how = signal === undefined ? `exited with code ${code}` : `killed by ${signal}`;
  const { fault } = found;
  const summary = `${how}: ${fault.summary}`;
  return { ...found, fault: { ...fault, summary, facts: [...fault.facts, exit.fact] } };
}

function failedBefore(
  walk: Walk,
  process: ProcessNode,
  ended: number,
  path: readonly Step[],
): FaultOutcome | undefined {
  const life = process.rdma?.failed;
  const stall = life === undefined ? undefined : stallAtEnd(life, ended, BEFORE_END_MS);
  return life === undefined || stall === undefined
    ? undefined
    : resolve(walk, process, life, stall, path, ended);
}

/** The kernel would not connect the queue pair, or the connection manager could not make the connection. */
function refused(walk: Walk, process: ProcessNode, ended: number): FaultOutcome | undefined {
  const { failed, connect } = process.rdma ?? {};
  if (connect !== undefined && ended - connect.fact.ts <= CONNECT_MS)
    return notConnected(walk, process, connect);
  const refusal = failed?.refused;
  const node = failed === undefined ? undefined : walk.graph.nodes.get(failed.id);
  if (failed === undefined || refusal === undefined || node === undefined) return undefined;
  if (ended - refusal.ts > CONNECT_MS) return undefined;
  const to = refusal.remote === undefined ? 'its peer' : refusal.remote;
  const fault: Fault = {
    node,
    scene: 'NetworkStall',
    subScene: 'ConnectFails',
    summary: `the kernel would not connect ${ownEnd(failed)} to ${to} (${refusal.errno}${meaningOf(refusal.errno)})`,
    confidence: CONFIDENCE.rdmaRefused,
    began: refusal.ts,
    facts: [refusal.fact],
    recommendations: [
      `See whether ${to} is reached from the interface of that port (ip route get, ip neigh), and whether the GID index is one of it (show_gids, NCCL_IB_GID_INDEX)`,
    ],
    strength: 'hard',
    ails: 'connect',
  };
  const note = 'could not connect it';
  const link: Link = {
    from: process,
    edge: 'Consumes',
    to: node,
    since: refusal.ts,
    facts: [refusal.fact],
    note,
  };
  return { kind: 'fault', fault, links: [link] };
}

/** What it mostly means when a queue pair is connected. */
function meaningOf(errno: string): string {
  switch (errno) {
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return ': its address does not resolve';
    case 'EINVAL':
      return ': its attributes do not fit the port, a GID that is gone perhaps';
    default:
      return '';
  }
}

/** It lives and tries again and again. */
export function rdmaConnecting(walk: Walk, process: ProcessNode): FaultOutcome | undefined {
  const connect = process.rdma?.connect;
  if (connect === undefined || connect.count < MIN_TRIES || walk.now - connect.fact.ts > TRIED_MS)
    return undefined;
  return notConnected(walk, process, connect);
}

function notConnected(walk: Walk, process: ProcessNode, connect: CmFailures): FaultOutcome | undefined {
  const { event, status, remote, remotePort, since, count: tries, fact } = connect;
  const node = walk.graph.nodes.get(peerId(remote));
  if (node === undefined) return undefined;
  const refused = event === 'REJECTED';
  const times = tries === 1 ? '' : `, ${count(tries, 'try', 'tries')} in ${duration(fact.ts - since)}`;
  const where = remotePort === undefined ? remote : `${remote} port ${remotePort}`;
  const fault: Fault = {
    node,
    scene: 'NetworkStall',
    subScene: refused ? 'Refused' : 'ConnectFails',
    summary: `${where} ${refused ? 'refuses RDMA connections: nobody takes them there' : 'cannot be reached by RDMA'} (${event}, ${status}${times})`,
    confidence: CONFIDENCE.rdmaConnect,
    began: since,
    facts: [fact],
    recommendations: [
      `See whether whoever should listen at ${where} is up, and its address right; rping tells whether RDMA connections get through`,
    ],
    strength: 'hard',
    ails: 'connect',
  };
  const link: Link = {
    from: process,
    edge: 'BlockedBy',
    to: node,
    since,
    facts: [fact],
    note: 'tries to connect to it',
  };
  return { kind: 'fault', fault, links: [link] };
}
