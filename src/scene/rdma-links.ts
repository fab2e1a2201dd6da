/** The joints of a chain through RDMA: which queue pairs a process has, and how it is said that it uses them. */
import type { QpType } from '../events/rdma.js';
import type { Edge, Fact, GraphNode, ProcessNode, Thread } from '../graph/model.js';
import type { QpLife, RdmaPortNode } from '../graph/rdma-node.js';
import type { Fault, Link } from './finding.js';
import { waitFact } from './finding.js';
import { ownEnd, portName, remoteEnd } from './rdma-words.js';

/** What the kernel calls the file of a completion channel, `[infinibandevent]`, as far as a record has room for it. */
const CHANNEL = '[infinibandeven';
const UNCONNECTED: ReadonlySet<QpType> = new Set(['SMI', 'GSI', 'UD', 'RAW_PACKET']);

/** Its queue pairs that are not gone. */
export function livesOf(qps: readonly Edge[]): readonly QpLife[] {
  return qps.flatMap(({ to }) => (to.type === 'qp' && to.life.gone === undefined ? [to.life] : []));
}

/**
 * It has a peer: what nobody has connected yet, or was made for datagrams, waits for nobody. Of one that was there before
 * the agent most drivers tell no state: it counts, since few are not connected.
 */
export function isConnected({ attrs: { state = 'UNKNOWN', remoteQpn, type }, failure }: QpLife): boolean {
  if (failure !== undefined || (type !== undefined && UNCONNECTED.has(type))) return false;
  return state === 'UNKNOWN' || (remoteQpn !== undefined && state !== 'ERR' && state !== 'SQE');
}

export function onPort(from: GraphNode, port: RdmaPortNode, fault: Fault): Link {
  return blockedBy(from, port, fault.began, fault.facts, `it is on ${portName(port)}`);
}

/** The link from a process to its queue pair; with the thread that is known to wait for a completion. */
export function uses(
  process: ProcessNode,
  node: GraphNode,
  life: QpLife,
  since: number,
  facts: readonly Fact[],
): Link {
  const main = process.threads.get(process.pid);
  const to = `${ownEnd(life)}, connected to ${remoteEnd(life.attrs)}`;
  if (main !== undefined && awaitsCompletion(main)) {
    const note = `waits for a completion; its ${to}`;
    const waited = main.wait.attrs.since;
    return {
      from: process,
      edge: 'WaitsOn',
      to: node,
      since: waited,
      facts: [waitFact(main), ...facts],
      tid: main.tid,
      note,
    };
  }
  return { from: process, edge: 'Consumes', to: node, since, facts, note: `its ${to}` };
}

/**
 * It sleeps until a completion channel has something. An asynchronous event is waited for under the same name, so that
 * this is said of main threads alone: a thread that does nothing else is one for those.
 */
export function awaitsCompletion({ wait, tid, process }: Thread): boolean {
  if (tid !== process.pid) return false;
  if (wait.type === 'wait.other') return wait.attrs.what.startsWith(CHANNEL);
  return wait.type === 'wait.poll' && wait.attrs.members.some(({ entity }) => entity.startsWith(CHANNEL));
}

export function blockedBy(
  from: GraphNode,
  to: GraphNode,
  since: number,
  facts: readonly Fact[],
  note: string,
): Link {
  return { from, edge: 'BlockedBy', to, since, facts, note };
}
