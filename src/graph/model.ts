/** What the graph is made of: nodes, threads inside process nodes, and three kinds of edge. */
import type {
  EventOf,
  EventType,
  ExitAttrs,
  FlowAttrs,
  Holder,
  JobAttrs,
  PollMember,
  WaitOp,
} from '../events/event.js';

export type EdgeKind = 'Consumes' | 'WaitsOn' | 'BlockedBy';

/** An edge is a fact; `event` is the event that proved it last. */
export interface Edge {
  readonly kind: EdgeKind;
  readonly from: GraphNode;
  readonly to: GraphNode;
  /** Event time (ms) of the first event that said so. */
  since: number;
  event: Fact;
  /** WaitsOn from a process: the thread that waits. BlockedBy a process: the thread that holds, when known. */
  readonly tid: number | undefined;
  /** Positions in from.out and to.in, so that removal costs O(1). */
  outAt: number;
  inAt: number;
}

/** The part of an event that stays as evidence. */
export interface Fact {
  readonly ts: number;
  readonly type: string;
  readonly probe: string;
  readonly entity: string;
  readonly value: number;
}

interface NodeBase {
  readonly id: string;
  firstTs: number;
  lastTs: number;
  readonly out: Edge[];
  readonly in: Edge[];
}

export type ThreadWait = {
  [T in Extract<EventType, `wait.${string}`>]: T extends 'wait.pass' | 'wait.holders' ? never : EventOf<T>;
}[Extract<EventType, `wait.${string}`>];

export interface Thread {
  readonly tid: number;
  readonly process: ProcessNode;
  /** The last sample's event. */
  wait: ThreadWait;
  /** Event time of the last sample that saw the thread. */
  seenTs: number;
  edges: readonly Edge[];
  /** CPU time (ms) at the last sample. */
  runMs: number;
  /** The flow it was found waiting on most often lately, and in which share (0–1) of the samples. */
  recentFlow: string;
  recentShare: number;
}

export interface ProcessNode extends NodeBase {
  readonly type: 'process';
  readonly pid: number;
  readonly start: number;
  comm: string;
  ppid: number;
  uid: number | undefined;
  cmdline: readonly string[] | undefined;
  cgroup: string | undefined;
  containerId: string | undefined;
  podUid: string | undefined;
  job: JobAttrs | undefined;
  exit: { readonly ts: number; readonly attrs: ExitAttrs; readonly fact: Fact } | undefined;
  oomKill: Fact | undefined;
  /** By tid; NO_THREADS until one is sampled, since most processes end before. */
  threads: Map<number, Thread>;
  threadCount: number;
  children: Set<ProcessNode> | undefined;
  /** CPU time gained between the last two passes, as a share of one core. */
  cpuShare: number;
  cpuGainMs: number;
  cpuSinceTs: number;
}

/** Shared by all processes without sampled threads; nothing is ever put into it (graph/waits.ts). */
export const NO_THREADS: Map<number, Thread> = new Map();

/** What is wrong with a flow, as of its last event. */
export interface FlowTrouble {
  readonly kind: 'timeout' | 'retransmit' | 'zero-window' | 'connect-failed' | 'reset';
  readonly since: number;
  readonly fact: Fact;
}

export interface FlowNode extends NodeBase {
  readonly type: 'flow';
  attrs: FlowAttrs | undefined;
  trouble: FlowTrouble | undefined;
  /** The trouble before the present one, kept for questions about the past. */
  lastTrouble: (FlowTrouble & { readonly until: number }) | undefined;
  closedTs: number | undefined;
  connectMs: number | undefined;
  errno: string | undefined;
}

export interface PeerNode extends NodeBase {
  readonly type: 'peer';
  readonly address: string;
}

/** Anything that processes share: who holds it is in its BlockedBy edges. */
export interface ResourceNode extends NodeBase {
  readonly type: ResourceType;
  holders: readonly Holder[];
  holdersTs: number;
  members: readonly PollMember[];
}

export type ResourceType =
  | 'pipe'
  | 'unix-socket'
  | 'lock'
  | 'futex'
  | 'poll-set'
  | 'file'
  | 'device'
  | 'block-device'
  | 'filesystem'
  | 'cgroup'
  | 'error'
  | 'gpu'
  | 'rdma-port'
  | 'qp'
  | 'thing';

export type GraphNode = ProcessNode | FlowNode | PeerNode | ResourceNode;
export type NodeType = GraphNode['type'];

export const RESOURCE_PREFIXES: Readonly<Record<string, ResourceType>> = {
  pipe: 'pipe',
  unix: 'unix-socket',
  lock: 'lock',
  futex: 'futex',
  poll: 'poll-set',
  file: 'file',
  dev: 'device',
  block: 'block-device',
  fs: 'filesystem',
  cgroup: 'cgroup',
  error: 'error',
  gpu: 'gpu',
  rdma: 'rdma-port',
  qp: 'qp',
};

export type { WaitOp };
