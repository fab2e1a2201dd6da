/**
 * The Event: an immutable fact. Everything the graph knows came in as one of these, so a recording
 * of them is the whole incident (`xctl-agent --record`, `xctl why --replay`).
 */

import type {
  GpuDeviceAttrs,
  GpuEventAttrs,
  GpuHealthAttrs,
  GpuHolder,
  GpuProcess,
  GpuStateAttrs,
  GpuUseAttrs,
} from './gpu.js';
import type {
  FilesystemErrorAttrs,
  HardwareErrorAttrs,
  KernelErrorAttrs,
  LinkAttrs,
  MemoryLimitAttrs,
  MemoryUser,
  PressureAttrs,
  ThrottleAttrs,
} from './host.js';
import type { CommAttrs, EnqueueAttrs, GpuWaitAttrs } from './nccl.js';
import type {
  RdmaAsyncAttrs,
  RdmaCmAttrs,
  RdmaCompletionAttrs,
  RdmaCountersAttrs,
  RdmaMemoryAttrs,
  RdmaPortAttrs,
  RdmaPostsAttrs,
  RdmaQpAttrs,
  RdmaRetryAttrs,
} from './rdma.js';
import type {
  BlockDeviceAttrs,
  BlockUseAttrs,
  MountAttrs,
  RequestAttrs,
  RpcAttrs,
  SpaceAttrs,
} from './storage.js';
import type { SxidAttrs, XidAttrs } from './xid.js';

/** A process is (pid, start), never a bare pid. `start`: nanoseconds of CLOCK_BOOTTIME. */
export interface ProcessRef {
  readonly pid: number;
  readonly start: number;
}

/** How a socket's owner came to be known (bpf/xctl_events.h, enum xctl_owner_how). */
export type OwnerHow = 'connect' | 'accept' | 'send' | 'iter' | 'listener';

/** Who a socket belongs to. Absent parts are unknown, never guessed. */
export interface SocketOwner {
  readonly created?: ProcessRef & { readonly how: OwnerHow };
  /** Who sent on it last: the process that a retransmit belongs to. */
  readonly last?: ProcessRef & { readonly how: OwnerHow; readonly comm: string };
  /** Held by several processes, none of which has sent since: `last` is absent for that reason. */
  readonly shared?: true;
  /** Owned by a kernel thread (NFS, iSCSI). */
  readonly kernel?: true;
}

/** A TCP connection as one end sees it. Addresses as text, times in the unit they name. */
export interface FlowAttrs {
  readonly family: 4 | 6;
  readonly local: string;
  readonly lport: number;
  readonly remote: string;
  readonly rport: number;
  /** Inode of the network namespace. */
  readonly netns: number;
  /** `ESTABLISHED`, `SYN_SENT`, … */
  readonly state: string;
  /** `Open`, `Disorder`, `CWR`, `Recovery`, `Loss`. */
  readonly caState: string;
  readonly owner: SocketOwner;
  readonly srttUs: number;
  readonly rtoMs: number;
  readonly unackedBytes: number;
  /** Written by the program and not acked: in flight or still queued. */
  readonly writeQueueBytes: number;
  readonly rcvQueueBytes: number;
  readonly sndWndBytes: number;
  /** RTO doublings in a row; 0 when the path answers. */
  readonly backoff: number;
  /** Zero window probes without an answer. */
  readonly probesOut: number;
  readonly totalRetrans: number;
  /** Of those, seen by this agent; and by RTO. */
  readonly retransmits: number;
  readonly timeouts: number;
  readonly bytesAcked: number;
  readonly bytesReceived: number;
  readonly lastRcvMs: number;
  readonly lastSndMs: number;
  readonly sndUna: number;
  readonly sndNxt: number;
  readonly rcvNxt: number;
  /** Start of the present trouble as event time (ms since the epoch); absent when there is none. */
  readonly since?: number;
}

/** Identity and placement of a process, as far as known. */
export interface ProcessAttrs {
  readonly start: number;
  readonly comm: string;
  readonly ppid?: number;
  readonly parentStart?: number;
  readonly uid?: number;
  readonly cmdline?: readonly string[];
  readonly cgroup?: string;
  readonly containerId?: string;
  readonly podUid?: string;
  readonly job?: JobAttrs;
}

/** From the named Slurm, torchrun and MPI variables; nothing else of an environment is kept. */
export interface JobAttrs {
  readonly launcher?: string;
  readonly id?: string;
  readonly rank?: number;
  readonly localRank?: number;
  readonly worldSize?: number;
  /** Why it counts as a job's process. */
  readonly because: 'gpu' | 'rdma' | 'launcher';
}

export interface ExitAttrs extends ProcessAttrs {
  /** Exit code, when it exited by itself. */
  readonly code?: number;
  /** Signal name (`SIGKILL`), when a signal ended it. */
  readonly signal?: string;
  readonly core?: true;
  /**
   * It ended badly, by itself: the device numbers (`8:1`) of filesystems that it had files open for writing on, four at
   * most.
   */
  readonly wrote?: readonly string[];
}

export type WaitOp = 'read' | 'write' | 'connect' | 'ioctl' | 'sync';

/** One thread's present wait; common part. */
export interface WaitAttrs {
  readonly start: number;
  readonly tid: number;
  /** The thread's name. */
  readonly comm: string;
  /** First sample that saw this very sleep (event time, ms). Two equal samples (ts > since) prove a continuous wait. */
  readonly since: number;
  /** CPU time of the thread so far. */
  readonly runMs: number;
  readonly threads: number;
  readonly syscall?: string;
  readonly op?: WaitOp;
  readonly fd?: number;
  readonly ioWait?: true;
  /** Runnable without a CPU so far, ms; absent where the kernel does not keep it. */
  readonly delayMs?: number;
  /** CPU that it runs on, is queued on or ran on last; and how many it may use. */
  readonly cpu?: number;
  readonly cpus?: number;
  /** Reclaims memory, or is throttled for it. */
  readonly memStall?: true;
}

/** What `wait.poll` found in the set: ids of nodes that the graph may know. */
export interface PollMember {
  readonly fd: number;
  /** `flow:…`, `pipe:…`, `unix:…`, or a kind (`eventfd`, `timerfd`, `listener`, `other`). */
  readonly entity: string;
  readonly flow?: FlowAttrs;
  /** What of it ends the poll: data to read or room to write. */
  readonly op?: WaitOp;
  /** unix: the other end's inode. */
  readonly peer?: number;
}

/** Who has an object open. */
export interface Holder extends ProcessRef {
  readonly comm: string;
  readonly fd: number;
  readonly mode: 'r' | 'w' | 'rw';
  /** Of a connection: it has the listening socket open, and has not accepted this one yet. */
  readonly queued?: true;
}

/** What the OOM killer had before it. */
export interface OomAttrs extends ProcessAttrs {
  readonly rssBytes?: number;
  /** Of the group that ran out; absent: the node did. */
  readonly limitBytes?: number;
  readonly usageBytes?: number;
  /** The group whose limit it was: the victim's own or one above. */
  readonly limited?: string;
}

/**
 * Event types and their attributes. `entity` is a node id (events/ids.ts); `value` is the number
 * that matters most, in the unit written here.
 */
export interface EventCatalogue {
  /** Was already running when the agent started. value 0 */
  'process.seen': ProcessAttrs;
  'process.fork': ProcessAttrs;
  'process.exec': ProcessAttrs;
  /** What user space adds for a process that lived: cgroup, container, pod, job. value 0 */
  'process.info': ProcessAttrs;
  /** value: exit status as a shell would show it (128 + signal) */
  'process.exit': ExitAttrs;
  'process.oom_kill': OomAttrs;

  /** value: ms from SYN to established */
  'transport.connect': FlowAttrs;
  /** value: ms from SYN to failure */
  'transport.connect_failed': FlowAttrs & { readonly errno: string };
  /** value: segments retransmitted so far */
  'transport.retransmit': FlowAttrs;
  /** value: RTO doublings in a row */
  'transport.timeout': FlowAttrs;
  /** value: ms in trouble */
  'transport.recovered': FlowAttrs;
  /** value 0 */
  'transport.reset': FlowAttrs & { readonly direction: 'sent' | 'received' };
  /** value: bytes that wait for the window */
  'transport.zero_window': FlowAttrs;
  /** value: unacked bytes */
  'transport.state': FlowAttrs;
  'transport.close': FlowAttrs;

  /** Runs or is runnable; entity is the process. value: CPU ms */
  'wait.run': WaitAttrs;
  'wait.sleep': WaitAttrs;
  /** Condition, semaphore or unchecked lock; entity `futex:PID/ADDR`. value: ms waited, as in all below */
  'wait.futex': WaitAttrs;
  /** Owner read from the lock word and checked; entity `lock:PID/ADDR`. */
  'wait.lock': WaitAttrs & { readonly ownerTid: number };
  'wait.join': WaitAttrs & { readonly ownerTid: number };
  'wait.pipe': WaitAttrs & { readonly readers: number; readonly writers: number };
  /** entity: our end `unix:INODE`; peer: the other end's inode, 0 when unknown */
  'wait.unix': WaitAttrs & { readonly peer: number };
  'wait.tcp': WaitAttrs & { readonly flow: FlowAttrs };
  'wait.accept': WaitAttrs;
  /** poll, select, epoll: a set, never one of it. entity `poll:PID/TID` */
  'wait.poll': WaitAttrs & { readonly members: readonly PollMember[]; readonly nfds: number };
  /** childPid 0: any child */
  'wait.child': WaitAttrs & { readonly childPid: number };
  /** entity `file:MAJ:MIN/INODE`; holders from /proc/locks */
  'wait.file_lock': WaitAttrs & { readonly holders: readonly number[] };
  /** Uninterruptible on a file or device; entity `block:NAME` or `dev:MAJ:MIN` */
  'wait.disk': WaitAttrs & { readonly dev: string };
  'wait.device': WaitAttrs & { readonly dev: string };
  /** entity is the process */
  'wait.stopped': WaitAttrs;
  'wait.traced': WaitAttrs & { readonly tracerPid: number };
  'wait.frozen': WaitAttrs;
  /** io_uring, aio, eventfd, another socket family, SysV IPC, tty, kernel lock, anything else */
  'wait.other': WaitAttrs & { readonly what: string };
  /** A thread waits for the GPU in a call that spins, beside what the sampler sees it do. entity is the process. value: ms */
  'wait.gpu': GpuWaitAttrs;
  /** Who holds what somebody waits for; entity is the object. value: number of holders */
  'wait.holders': { readonly holders: readonly Holder[]; readonly flow?: FlowAttrs };
  /** A pass of the sampler is complete. value: threads seen. `same`: tids that have not run since the last pass. */
  'wait.pass': { readonly same: readonly number[]; readonly full: boolean; readonly durationMs: number };

  /** A block device was found, has changed or is gone; entity `block:NAME`. value: size in bytes */
  'storage.device': BlockDeviceAttrs;
  /** How a device has been used since the last such event. value: age of its oldest request, ms; 0: none in flight */
  'storage.use': BlockUseAttrs;
  /** One request took far longer than it should. value: ms */
  'storage.latency': RequestAttrs;
  /** One request failed. value: bytes */
  'storage.error': RequestAttrs & { readonly status: string };
  /** A filesystem was found mounted, has changed or is gone; entity `fs:/mount/point`. value 0 */
  'storage.mount': MountAttrs;
  /** A filesystem that could be written to cannot any more. value 0 */
  'storage.readonly': MountAttrs;
  /** value: share of blocks or inodes in use, whichever is more, in per cent */
  'storage.space': SpaceAttrs;
  /** A network filesystem's server. value: ms since the oldest unanswered request was sent, as far as known; 0: it answers */
  'storage.rpc': RpcAttrs;
  /** Who has files open on a filesystem or device that is in trouble. value: number of processes */
  'storage.users': { readonly holders: readonly Holder[] };

  /** From the kernel log; entity is the device, `cpu:3`, `pci:0000:3b:00.0`, `block:sda`. value 1 + suppressed */
  'error.hw': HardwareErrorAttrs;
  /** entity: the process, or `cpu:3` */
  'error.kernel': KernelErrorAttrs;
  /** entity `fs:…` or `block:…` */
  'error.fs': FilesystemErrorAttrs;
  /** A fault of a GPU; entity `gpu:…`, see ids.ts. value 1 + suppressed */
  'error.xid': XidAttrs;
  /** A fault of an NVSwitch; entity `nvswitch:3`. value 1 + suppressed */
  'error.sxid': SxidAttrs;
  /** entity `net:eth0`, `rdma:mlx5_0/1` */
  'topo.link_down': LinkAttrs;
  'topo.link_up': LinkAttrs;
  /** The kernel log says that a file server does not (or does again) answer; entity `peer:ADDRESS`. */
  'storage.server': { readonly server: string; readonly responding: boolean };

  /** A cgroup's CPU limit held its processes back; entity `cgroup:parent/leaf`. value: ms lost in the window */
  'compute.throttle': ThrottleAttrs;
  /** A cgroup near or over a memory limit. value: usage in bytes */
  'compute.memory': MemoryLimitAttrs;
  /** Largest first, at most 20; entity `node`. value: bytes of all processes */
  'compute.consumers': {
    readonly processes: readonly MemoryUser[];
    readonly totalBytes: number;
    readonly availableBytes: number;
  };
  /** entity `node`. value: the largest of them */
  'compute.pressure': PressureAttrs;

  /** A GPU was found, has changed or is gone; entity `gpu:N`, as in all gpu.*. value: memory in bytes, 0 where unknown */
  'gpu.device': GpuDeviceAttrs;
  /** One look at it. value: share of the time in which a kernel ran, per cent; 0 where unknown (MIG) */
  'gpu.use': GpuUseAttrs;
  /** Its counts of errors and its links, when they have changed or are asked for. value: links that are down */
  'gpu.health': GpuHealthAttrs;
  /** Compute processes on it, largest first, at most 256. value: their bytes */
  'gpu.processes': { readonly processes: readonly GpuProcess[] };
  /** Who has it open (/dev/nvidiaN), by pid, at most 256; the agent is left out. value: processes */
  'gpu.users': { readonly holders: readonly GpuHolder[] };
  /** value: ms that the call hangs, or that what `was` has lasted */
  'gpu.state': GpuStateAttrs;
  /** value: the XID, else 1 */
  'gpu.event': GpuEventAttrs;

  /** A communicator of NCCL is made, ready or gone in one process; entity `comm:…`. value: its ranks, 0 where unknown */
  'nccl.comm': CommAttrs;
  /** What a process has enqueued on it, when that has changed. value: collectives */
  'nccl.enqueue': EnqueueAttrs;

  /** A port was found, has changed, or is gone; entity `rdma:mlx5_0/1`. value: Gbit/s, 0 where unknown */
  'rdma.port': RdmaPortAttrs;
  /** When a counter that tells of trouble has grown, and when asked for. value: the sum of those that tell of trouble */
  'rdma.counters': RdmaCountersAttrs;
  /** A queue pair was made, has changed state or is gone; entity `qp:mlx5_0/291`. value 0 */
  'rdma.qp': RdmaQpAttrs;
  'rdma.retry': RdmaRetryAttrs;
  'rdma.completion': RdmaCompletionAttrs;
  'rdma.async': RdmaAsyncAttrs;
  'rdma.cm': RdmaCmAttrs;
  'rdma.memory': RdmaMemoryAttrs;
  'rdma.posts': RdmaPostsAttrs;

  /** From a JSONL probe: any type of the eight families that this table does not name. */
  custom: Readonly<Record<string, unknown>>;
}

export type EventType = keyof EventCatalogue;

export interface EventOf<T extends EventType> {
  /** Event time: milliseconds since the epoch, fractional. */
  readonly ts: number;
  readonly type: T;
  /** Node id that the fact is about. */
  readonly entity: string;
  readonly pid?: number;
  readonly value: number;
  readonly attrs: EventCatalogue[T];
  /** Which probe said it. */
  readonly probe: ProbeName;
  /** For `custom`: the type as the subprocess wrote it, e.g. `compute.step_time`. */
  readonly customType?: string;
}

export type Event = { [T in EventType]: EventOf<T> }[EventType];

export const PROBE_NAMES = [
  'tcp',
  'block',
  'filesystem',
  'process',
  'waits',
  'host',
  'rdma',
  'rdma-trace',
  'gpu',
  'gpu-trace',
  'kmsg',
  'subprocess',
] as const;
export type ProbeName = (typeof PROBE_NAMES)[number];

/** Where probes put their events. Called in time order; must not throw. */
export type EventSink = (event: Event) => void;
