/** What the graph is made of: nodes, threads inside process nodes, and three kinds of edge. */
import type { MemoryLimitAttrs, PressureAttrs, ThrottleAttrs } from '../events/host.js';
import type {
  BlockDeviceAttrs,
  BlockUseAttrs,
  MountAttrs,
  RequestAttrs,
  RpcAttrs,
  SpaceAttrs,
} from '../events/storage.js';
import type { CommMember, CommNode, GpuWait } from './comm-node.js';
import type { GpuAtExit, GpuNode, GpuUser, GpuXid } from './gpu-node.js';
import type { ProcessRdma, QpLife, QpNode, RdmaPortNode } from './rdma-node.js';
import type {
  EventCatalogue,
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
  /** Its source's own words: the line of the kernel log. */
  readonly detail?: string;
}

export interface NodeBase {
  readonly id: string;
  firstTs: number;
  lastTs: number;
  readonly out: Edge[];
  readonly in: Edge[];
}

export type ThreadWait = {
  [T in Extract<EventType, `wait.${string}`>]: T extends 'wait.pass' | 'wait.holders' | 'wait.gpu'
    ? never
    : EventOf<T>;
}[Extract<EventType, `wait.${string}`>];

export interface Thread {
  readonly tid: number;
  readonly process: ProcessNode;
  /** The last sample's event. */
  wait: ThreadWait;
  /** Event time of the last sample that saw the thread. */
  seenTs: number;
  edges: readonly Edge[];
  /** CPU time (ms) at the last sample; and time it was runnable without a CPU. */
  runMs: number;
  delayMs: number;
  /** Between the last two passes: shares of the time on a CPU, and runnable without one. */
  cpuShare: number;
  delayShare: number;
  /** Since the last pass, ms. */
  cpuGainMs: number;
  delayGainMs: number;
  /** What it was found waiting on most often lately (a node id), and in which share (0–1) of the samples. */
  recentOn: string;
  recentShare: number;
  /** In which share (0–1) of the samples it was lately found hanging from another thread: on a condition, a lock, a join. */
  hangShare: number;
  /** What it really does while it seems to run, or sleeps in the driver. */
  gpuWait: GpuWait | undefined;
}

export interface ProcessNode extends NodeBase {
  readonly type: 'process';
  readonly pid: number;
  readonly start: number;
  comm: string;
  ppid: number;
  /** Event time of its fork, where the agent saw it. */
  bornTs: number | undefined;
  uid: number | undefined;
  cmdline: readonly string[] | undefined;
  cgroup: string | undefined;
  containerId: string | undefined;
  podUid: string | undefined;
  job: JobAttrs | undefined;
  exit: { readonly ts: number; readonly attrs: ExitAttrs; readonly fact: Fact } | undefined;
  oomKill: OomKill | undefined;
  /** By tid; NO_THREADS until one is sampled, since most processes end before. */
  threads: Map<number, Thread>;
  threadCount: number;
  children: Set<ProcessNode> | undefined;
  /** CPU time gained between the last two passes, as a share of one core; and time without one when runnable. */
  cpuShare: number;
  delayShare: number;
  /** Event time from which on its threads' CPU time is counted; 0 until that is known. */
  cpuSinceTs: number;
  /** Event time since which it has been starved (isStarved) in every window; undefined: in the last one it was not. */
  starvedTs: number | undefined;
  /** Its own requests that failed; kept while they are news. */
  ioError: IoError | undefined;
  /** Its connections to one address that failed, again and again. */
  connectFailures: ConnectFailures | undefined;
  /** The kernel says that it was killed for memory that failed in hardware. */
  memoryFailure: Fact | undefined;
  /** Filesystems and devices that it had open and that were in trouble when it ended. */
  usedAtExit: readonly (FilesystemNode | BlockDeviceNode)[] | undefined;
  /** It ended badly, by itself: filesystems that it had files open for writing on, whether in trouble or not. */
  wroteAtExit: readonly FilesystemNode[] | undefined;
  /** GPUs that it used when it ended, or just before. */
  gpusAtExit: readonly GpuAtExit[] | undefined;
  /** Undefined: nothing of RDMA was heard of it but its queue pairs. */
  rdma: ProcessRdma | undefined;
}

export interface OomKill {
  readonly fact: Fact;
  readonly attrs: EventCatalogue['process.oom_kill'];
  /** The largest processes, as last counted before it. */
  readonly consumers: Reading<EventCatalogue['compute.consumers']> | undefined;
}

/** Failed requests, the latest of them, and since when without a pause. */
export interface IoError {
  readonly fact: Fact;
  readonly attrs: EventCatalogue['storage.error'];
  readonly node: BlockDeviceNode;
  readonly since: number;
  readonly count: number;
  /** Done over by a device above it, whose users did not see it. */
  readonly absorbed: boolean;
}

/** Connections to one address that failed one after the other. */
export interface ConnectFailures {
  /** The last of them. */
  readonly flow: FlowNode;
  readonly fact: Fact;
  readonly errno: string;
  readonly since: number;
  readonly count: number;
}

/** A measurement with the fact that it came by. */
export interface Reading<A> {
  readonly attrs: A;
  readonly fact: Fact;
  /** Event time at which this state of it began. */
  readonly since: number;
}

export interface BlockDeviceNode extends NodeBase {
  readonly type: 'block-device';
  device: BlockDeviceAttrs | undefined;
  /** Event time at which it was found to be gone; suspended. */
  goneTs: number | undefined;
  suspended: Reading<BlockDeviceAttrs> | undefined;
  use: Reading<BlockUseAttrs> | undefined;
  /** The last use in which anything completed: one in which nothing did says nothing of latency. */
  answered: Reading<BlockUseAttrs> | undefined;
  /** The last request that completed far too late. */
  slow: Reading<RequestAttrs> | undefined;
  ioError: IoError | undefined;
  /** What the kernel log last said of it. */
  hardware: Reading<EventCatalogue['error.hw']> | undefined;
  /** I/O on it that failed by the kernel log: of devices without requests that is all there is. */
  error: Reading<EventCatalogue['error.fs']> | undefined;
  /** Pids that had it open for writing when its users were last looked for. */
  writers: ReadonlySet<number>;
}

export interface FilesystemNode extends NodeBase {
  readonly type: 'filesystem';
  mount: MountAttrs | undefined;
  goneTs: number | undefined;
  /** It could be written to before. */
  readOnly: { readonly fact: Fact; readonly since: number; readonly shutDown: boolean } | undefined;
  space: Reading<SpaceAttrs> | undefined;
  /** When it was full last and is not any more; kept for questions about who ended meanwhile. */
  lastFull: (Reading<SpaceAttrs> & { readonly until: number }) | undefined;
  rpc: Reading<RpcAttrs> | undefined;
  error: Reading<EventCatalogue['error.fs']> | undefined;
  /** Pids that had files on it open for writing when its users were last looked for. */
  writers: ReadonlySet<number>;
}

export interface CgroupNode extends NodeBase {
  readonly type: 'cgroup';
  throttle: Reading<ThrottleAttrs> | undefined;
  memory: Reading<MemoryLimitAttrs> | undefined;
}

export type { CommMember, CommNode, GpuWait };
export type { GpuAtExit, GpuNode, GpuUser, GpuXid };
export type { QpLife, QpNode, RdmaPortNode };

/** What is true of the node as a whole. */
export interface HostState {
  pressure: Reading<PressureAttrs> | undefined;
  consumers: Reading<EventCatalogue['compute.consumers']> | undefined;
  /** Threads that the kernel called hung, by tid. */
  readonly hung: Map<number, KernelWord>;
  /** CPUs that it called locked up or stalled, by class and CPU. */
  readonly lockups: Map<string, KernelWord>;
  /** Network links that went down, by id. */
  readonly links: Map<string, LinkState>;
  /** What failed of CPUs, memory and network adapters, by id. */
  readonly hardware: Map<string, Reading<EventCatalogue['error.hw']>>;
  /** What NVSwitches said last, by id. */
  readonly switches: Map<string, Reading<EventCatalogue['error.sxid']>>;
}

/** What the kernel log says of a thread or a CPU, in full. */
export interface KernelWord {
  readonly fact: Fact;
  readonly attrs: EventCatalogue['error.kernel'];
  /** The thread that it names. */
  readonly tid: number | undefined;
}

export interface LinkState {
  readonly down: Fact;
  /** It came up again. */
  readonly up: Fact | undefined;
}

/** Shared by all processes without sampled threads; nothing is ever put into it (graph/waits.ts). */
export const NO_THREADS: Map<number, Thread> = new Map();

/** What is wrong with a flow, as of its last event. */
export interface FlowTrouble {
  readonly kind: 'timeout' | 'retransmit' | 'zero-window' | 'connect-failed' | 'reset';
  readonly since: number;
  readonly fact: Fact;
}

/** Until what was lost had been sent again. */
export interface LossTime {
  readonly ts: number;
  readonly lostMs: number;
}

export interface FlowNode extends NodeBase {
  readonly type: 'flow';
  attrs: FlowAttrs | undefined;
  trouble: FlowTrouble | undefined;
  /** The trouble before the present one, kept for questions about the past. */
  lastTrouble: (FlowTrouble & { readonly until: number }) | undefined;
  /** Time that it stood still for its losses, newest last; undefined until something was lost. */
  losses: LossTime[] | undefined;
  closedTs: number | undefined;
  connectMs: number | undefined;
  errno: string | undefined;
  /** Its holders have the listening socket open, and have not accepted it yet. */
  queued: boolean;
}

export interface PeerNode extends NodeBase {
  readonly type: 'peer';
  readonly address: string;
  /** The kernel log said that this file server does not answer, and not yet that it does again. */
  silent: Fact | undefined;
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
  | 'link'
  | 'error'
  | 'nvswitch'
  | 'thing';

export type GraphNode =
  | ProcessNode
  | FlowNode
  | PeerNode
  | BlockDeviceNode
  | FilesystemNode
  | CgroupNode
  | CommNode
  | GpuNode
  | RdmaPortNode
  | QpNode
  | ResourceNode;
export type NodeType = GraphNode['type'];

export const RESOURCE_PREFIXES: Readonly<Record<string, ResourceType>> = {
  pipe: 'pipe',
  unix: 'unix-socket',
  lock: 'lock',
  futex: 'futex',
  poll: 'poll-set',
  file: 'file',
  dev: 'device',
  net: 'link',
  error: 'error',
  nvswitch: 'nvswitch',
};

export type { WaitOp };
