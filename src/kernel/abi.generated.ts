// Generated from the BTF of bpf/xctl_events.h by scripts/gen-abi.mjs (make abi). Do not edit.
// 64-bit values are numbers: exact up to 2^53, rounded to the nearest beyond.
import type { AbiStruct } from './abi-read.js';
import { readBytes, readText, readUint32s, readUint64s, readWords } from './abi-read.js';

export const XCTL_ABI_VERSION = 1;
export const XCTL_COMM_LEN = 16;
export const XCTL_CMDLINE_LEN = 192;
export const XCTL_CGROUP_LEN = 128;
export const XCTL_NAME_LEN = 16;
export const XCTL_EXIT_DEVS = 4;
export const XCTL_WF_IOWAIT = 1;
export const XCTL_WF_SIMPLE = 2;
export const XCTL_WF_MEMBERS_CUT = 4;
export const XCTL_WF_MEMSTALL = 8;
export const XCTL_WF_ON_CPU = 16;
export const XCTL_WF_PATH = 32;
export const XCTL_BF_WRITEBACK = 1;
export const XCTL_BF_METADATA = 2;
export const XCTL_LATENCY_SLOTS = 108;
export const XCTL_FAST_WEIGHT = 8;
export const XCTL_LATENCY_OPS = 2;
export const XCTL_SPLITS_UNKNOWN = 4294967295;
export const XCTL_RDMA_NAME_LEN = 64;
export const XCTL_QF_STATE = 1;
export const XCTL_QF_LOCAL = 2;
export const XCTL_QF_REMOTE_GID = 4;
export const XCTL_QF_REMOTE_LID = 8;
export const XCTL_QF_REMOTE_QPN = 16;
export const XCTL_QF_TIMEOUT = 32;
export const XCTL_QF_RETRY_CNT = 64;
export const XCTL_QF_RNR_RETRY = 128;
export const XCTL_QF_EXITING = 256;
export const XCTL_VERBS_QPS = 4;

/** `enum xctl_kind`. */
export const XctlKind = {
  PROCESS_FORK: 1,
  PROCESS_EXEC: 2,
  PROCESS_EXIT: 3,
  PROCESS_OOM_KILL: 4,
  PROCESS_SEEN: 5,
  TCP_CONNECT: 16,
  TCP_CONNECT_FAILED: 17,
  TCP_RETRANSMIT: 18,
  TCP_TIMEOUT: 19,
  TCP_RECOVERED: 20,
  TCP_RESET_RECEIVED: 21,
  TCP_RESET_SENT: 22,
  TCP_ZERO_WINDOW: 23,
  TCP_STATE: 24,
  TCP_CLOSE: 25,
  WAIT: 32,
  WAIT_SAME: 33,
  WAIT_MEMBER: 35,
  WAIT_HOLDER: 34,
  BLOCK_SLOW: 48,
  BLOCK_ERROR: 49,
  BLOCK_INFLIGHT: 50,
  BLOCK_QUEUE: 51,
  CGROUP_CPU: 64,
  CGROUP_MEMORY: 65,
  MEMORY_USE: 66,
  FILE_USER: 80,
  NCCL_COMM: 96,
  RDMA_QP: 112,
  RDMA_RETRY: 113,
  RDMA_COMPLETION: 114,
  RDMA_ASYNC: 115,
  RDMA_CM: 116,
  VERBS_FILE: 128,
} as const;
/** Value of `enum xctl_kind` → its name in lower case. */
export const XctlKindNames: Readonly<Record<number, string>> = {
  1: 'process_fork',
  2: 'process_exec',
  3: 'process_exit',
  4: 'process_oom_kill',
  5: 'process_seen',
  16: 'tcp_connect',
  17: 'tcp_connect_failed',
  18: 'tcp_retransmit',
  19: 'tcp_timeout',
  20: 'tcp_recovered',
  21: 'tcp_reset_received',
  22: 'tcp_reset_sent',
  23: 'tcp_zero_window',
  24: 'tcp_state',
  25: 'tcp_close',
  32: 'wait',
  33: 'wait_same',
  35: 'wait_member',
  34: 'wait_holder',
  48: 'block_slow',
  49: 'block_error',
  50: 'block_inflight',
  51: 'block_queue',
  64: 'cgroup_cpu',
  65: 'cgroup_memory',
  66: 'memory_use',
  80: 'file_user',
  96: 'nccl_comm',
  112: 'rdma_qp',
  113: 'rdma_retry',
  114: 'rdma_completion',
  115: 'rdma_async',
  116: 'rdma_cm',
  128: 'verbs_file',
};

/** `enum xctl_owner_how`. */
export const XctlOwnerHow = {
  NONE: 0,
  CONNECT: 1,
  ACCEPT: 2,
  SEND: 3,
  ITER: 4,
  LISTENER: 5,
} as const;
/** Value of `enum xctl_owner_how` → its name in lower case. */
export const XctlOwnerHowNames: Readonly<Record<number, string>> = {
  0: 'none',
  1: 'connect',
  2: 'accept',
  3: 'send',
  4: 'iter',
  5: 'listener',
};

/** `enum xctl_wait_kind`. */
export const XctlWaitKind = {
  RUN: 1,
  SLEEP: 2,
  FUTEX: 3,
  LOCK: 4,
  JOIN: 5,
  PIPE: 6,
  UNIX: 7,
  TCP: 8,
  ACCEPT: 9,
  POLL: 10,
  EPOLL: 11,
  CHILD: 12,
  FILE_LOCK: 13,
  DISK: 14,
  DEVICE: 15,
  STOPPED: 16,
  TRACED: 17,
  FROZEN: 18,
  IO_URING: 19,
  AIO: 20,
  EVENTFD: 21,
  SOCKET: 22,
  SYSV: 23,
  TTY: 24,
  KERNEL: 25,
  OTHER: 26,
} as const;
/** Value of `enum xctl_wait_kind` → its name in lower case. */
export const XctlWaitKindNames: Readonly<Record<number, string>> = {
  1: 'run',
  2: 'sleep',
  3: 'futex',
  4: 'lock',
  5: 'join',
  6: 'pipe',
  7: 'unix',
  8: 'tcp',
  9: 'accept',
  10: 'poll',
  11: 'epoll',
  12: 'child',
  13: 'file_lock',
  14: 'disk',
  15: 'device',
  16: 'stopped',
  17: 'traced',
  18: 'frozen',
  19: 'io_uring',
  20: 'aio',
  21: 'eventfd',
  22: 'socket',
  23: 'sysv',
  24: 'tty',
  25: 'kernel',
  26: 'other',
};

/** `enum xctl_wait_op`. */
export const XctlWaitOp = {
  NONE: 0,
  READ: 1,
  WRITE: 2,
  CONNECT: 3,
  IOCTL: 4,
  SYNC: 5,
} as const;
/** Value of `enum xctl_wait_op` → its name in lower case. */
export const XctlWaitOpNames: Readonly<Record<number, string>> = {
  0: 'none',
  1: 'read',
  2: 'write',
  3: 'connect',
  4: 'ioctl',
  5: 'sync',
};

/** `enum xctl_block_op`. */
export const XctlBlockOp = {
  READ: 1,
  WRITE: 2,
  FLUSH: 3,
  DISCARD: 4,
  OTHER: 5,
} as const;
/** Value of `enum xctl_block_op` → its name in lower case. */
export const XctlBlockOpNames: Readonly<Record<number, string>> = {
  1: 'read',
  2: 'write',
  3: 'flush',
  4: 'discard',
  5: 'other',
};

/** `enum xctl_gpu_call`. */
export const XctlGpuCall = {
  INIT_RANK: 1,
  INIT_RANK_CONFIG: 2,
  INIT_RANK_SCALABLE: 3,
  INIT_ALL: 4,
  SPLIT: 5,
  FINALIZE: 6,
  DESTROY: 7,
  ABORT: 8,
  SHRINK: 9,
  STREAM_SYNC: 16,
  EVENT_SYNC: 17,
  CTX_SYNC: 18,
} as const;
/** Value of `enum xctl_gpu_call` → its name in lower case. */
export const XctlGpuCallNames: Readonly<Record<number, string>> = {
  1: 'init_rank',
  2: 'init_rank_config',
  3: 'init_rank_scalable',
  4: 'init_all',
  5: 'split',
  6: 'finalize',
  7: 'destroy',
  8: 'abort',
  9: 'shrink',
  16: 'stream_sync',
  17: 'event_sync',
  18: 'ctx_sync',
};

/** `enum xctl_comm_state`. */
export const XctlCommState = {
  INIT: 1,
  READY: 2,
  FAILED: 3,
  FINALIZED: 4,
  DESTROYED: 5,
  ABORTED: 6,
} as const;
/** Value of `enum xctl_comm_state` → its name in lower case. */
export const XctlCommStateNames: Readonly<Record<number, string>> = {
  1: 'init',
  2: 'ready',
  3: 'failed',
  4: 'finalized',
  5: 'destroyed',
  6: 'aborted',
};

/** `enum xctl_gpu_class`. */
export const XctlGpuClass = {
  COMM: 0,
  ENQUEUE: 1,
  SYNC: 2,
  ASK: 3,
  CLASS_MAX: 4,
} as const;
/** Value of `enum xctl_gpu_class` → its name in lower case. */
export const XctlGpuClassNames: Readonly<Record<number, string>> = {
  0: 'comm',
  1: 'enqueue',
  2: 'sync',
  3: 'ask',
  4: 'class_max',
};

/** `enum xctl_qp_change`. */
export const XctlQpChange = {
  SEEN: 1,
  CREATE: 2,
  MODIFY: 3,
  DESTROY: 4,
  ERROR: 5,
} as const;
/** Value of `enum xctl_qp_change` → its name in lower case. */
export const XctlQpChangeNames: Readonly<Record<number, string>> = {
  1: 'seen',
  2: 'create',
  3: 'modify',
  4: 'destroy',
  5: 'error',
};

/** `enum xctl_verbs_class`. */
export const XctlVerbsClass = {
  POST: 0,
  CLASS_MAX: 1,
} as const;
/** Value of `enum xctl_verbs_class` → its name in lower case. */
export const XctlVerbsClassNames: Readonly<Record<number, string>> = {
  0: 'post',
  1: 'class_max',
};

/** `enum xctl_lost_reason`. */
export const XctlLostReason = {
  EVENTS_FULL: 0,
  CRITICAL_FULL: 1,
  STORAGE: 2,
  READ: 3,
  SEQ_FULL: 4,
  WANTED_FULL: 5,
  TABLE_FULL: 6,
  RETURN: 7,
  MAX: 8,
} as const;
/** Value of `enum xctl_lost_reason` → its name in lower case. */
export const XctlLostReasonNames: Readonly<Record<number, string>> = {
  0: 'events_full',
  1: 'critical_full',
  2: 'storage',
  3: 'read',
  4: 'seq_full',
  5: 'wanted_full',
  6: 'table_full',
  7: 'return',
  8: 'max',
};

/** `struct xctl_hdr`, 16 bytes. */
export interface XctlHdr {
  readonly tsNs: number;
  readonly pid: number;
  readonly kind: number;
  readonly size: number;
}
/** Byte offsets in `struct xctl_hdr`. */
export const XctlHdrLayout = {
  sizeBytes: 16,
  tsNs: 0,
  pid: 8,
  kind: 12,
  size: 14,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlHdr(view: DataView, at: number): XctlHdr {
  return {
    tsNs: view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000,
    pid: view.getUint32(at + 8, true),
    kind: view.getUint16(at + 12, true),
    size: view.getUint16(at + 14, true),
  };
}
const XctlHdrFields: AbiStruct = {
  sizeBytes: 16,
  fields: [
    { name: 'tsNs', offset: 0, code: 'u64' },
    { name: 'pid', offset: 8, code: 'u32' },
    { name: 'kind', offset: 12, code: 'u16' },
    { name: 'size', offset: 14, code: 'u16' },
  ],
};

/** `struct xctl_process`, 80 bytes. */
export interface XctlProcess {
  readonly hdr: XctlHdr;
  readonly startNs: number;
  readonly parentStartNs: number;
  readonly cgroupId: number;
  readonly ppid: number;
  readonly uid: number;
  readonly exitCode: number;
  readonly pidNs: number;
  readonly nsPid: number;
  readonly cmdlineLen: number;
  readonly comm: string;
}
/** Byte offsets in `struct xctl_process`. */
export const XctlProcessLayout = {
  sizeBytes: 80,
  hdr: 0,
  startNs: 16,
  parentStartNs: 24,
  cgroupId: 32,
  ppid: 40,
  uid: 44,
  exitCode: 48,
  pidNs: 52,
  nsPid: 56,
  cmdlineLen: 60,
  comm: 64,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlProcess(view: DataView, at: number): XctlProcess {
  return {
    hdr: decodeXctlHdr(view, at),
    startNs: view.getUint32(at + 16, true) + view.getUint32(at + 16 + 4, true) * 0x1_0000_0000,
    parentStartNs: view.getUint32(at + 24, true) + view.getUint32(at + 24 + 4, true) * 0x1_0000_0000,
    cgroupId: view.getUint32(at + 32, true) + view.getUint32(at + 32 + 4, true) * 0x1_0000_0000,
    ppid: view.getUint32(at + 40, true),
    uid: view.getUint32(at + 44, true),
    exitCode: view.getUint32(at + 48, true),
    pidNs: view.getUint32(at + 52, true),
    nsPid: view.getUint32(at + 56, true),
    cmdlineLen: view.getUint32(at + 60, true),
    comm: readText(view, at + 64, 16),
  };
}
const XctlProcessFields: AbiStruct = {
  sizeBytes: 80,
  fields: [
    { name: 'hdr', offset: 0, code: 'struct', struct: 'XctlHdr' },
    { name: 'startNs', offset: 16, code: 'u64' },
    { name: 'parentStartNs', offset: 24, code: 'u64' },
    { name: 'cgroupId', offset: 32, code: 'u64' },
    { name: 'ppid', offset: 40, code: 'u32' },
    { name: 'uid', offset: 44, code: 'u32' },
    { name: 'exitCode', offset: 48, code: 'u32' },
    { name: 'pidNs', offset: 52, code: 'u32' },
    { name: 'nsPid', offset: 56, code: 'u32' },
    { name: 'cmdlineLen', offset: 60, code: 'u32' },
    { name: 'comm', offset: 64, code: 'text', length: 16 },
  ],
};

/** `struct xctl_process_exec`, 272 bytes. */
export interface XctlProcessExec {
  readonly p: XctlProcess;
  readonly cmdline: string;
}
/** Byte offsets in `struct xctl_process_exec`. */
export const XctlProcessExecLayout = {
  sizeBytes: 272,
  p: 0,
  cmdline: 80,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlProcessExec(view: DataView, at: number): XctlProcessExec {
  return {
    p: decodeXctlProcess(view, at),
    cmdline: readWords(view, at + 80, 192),
  };
}
const XctlProcessExecFields: AbiStruct = {
  sizeBytes: 272,
  fields: [
    { name: 'p', offset: 0, code: 'struct', struct: 'XctlProcess' },
    { name: 'cmdline', offset: 80, code: 'words', length: 192 },
  ],
};

/** `struct xctl_process_exit`, 96 bytes. */
export interface XctlProcessExit {
  readonly p: XctlProcess;
  readonly wrote: readonly number[];
}
/** Byte offsets in `struct xctl_process_exit`. */
export const XctlProcessExitLayout = {
  sizeBytes: 96,
  p: 0,
  wrote: 80,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlProcessExit(view: DataView, at: number): XctlProcessExit {
  return {
    p: decodeXctlProcess(view, at),
    wrote: readUint32s(view, at + 80, 4),
  };
}
const XctlProcessExitFields: AbiStruct = {
  sizeBytes: 96,
  fields: [
    { name: 'p', offset: 0, code: 'struct', struct: 'XctlProcess' },
    { name: 'wrote', offset: 80, code: 'u32s', length: 4 },
  ],
};

/** `struct xctl_process_oom`, 360 bytes. */
export interface XctlProcessOom {
  readonly p: XctlProcess;
  readonly rssBytes: number;
  readonly limitBytes: number;
  readonly usageBytes: number;
  readonly cgroup: string;
  readonly limited: string;
}
/** Byte offsets in `struct xctl_process_oom`. */
export const XctlProcessOomLayout = {
  sizeBytes: 360,
  p: 0,
  rssBytes: 80,
  limitBytes: 88,
  usageBytes: 96,
  cgroup: 104,
  limited: 232,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlProcessOom(view: DataView, at: number): XctlProcessOom {
  return {
    p: decodeXctlProcess(view, at),
    rssBytes: view.getUint32(at + 80, true) + view.getUint32(at + 80 + 4, true) * 0x1_0000_0000,
    limitBytes: view.getUint32(at + 88, true) + view.getUint32(at + 88 + 4, true) * 0x1_0000_0000,
    usageBytes: view.getUint32(at + 96, true) + view.getUint32(at + 96 + 4, true) * 0x1_0000_0000,
    cgroup: readText(view, at + 104, 128),
    limited: readText(view, at + 232, 128),
  };
}
const XctlProcessOomFields: AbiStruct = {
  sizeBytes: 360,
  fields: [
    { name: 'p', offset: 0, code: 'struct', struct: 'XctlProcess' },
    { name: 'rssBytes', offset: 80, code: 'u64' },
    { name: 'limitBytes', offset: 88, code: 'u64' },
    { name: 'usageBytes', offset: 96, code: 'u64' },
    { name: 'cgroup', offset: 104, code: 'text', length: 128 },
    { name: 'limited', offset: 232, code: 'text', length: 128 },
  ],
};

/** `struct xctl_owner`, 48 bytes. */
export interface XctlOwner {
  readonly createdStartNs: number;
  readonly lastStartNs: number;
  readonly createdPid: number;
  readonly lastPid: number;
  readonly createdHow: number;
  readonly lastHow: number;
  readonly shared: number;
  readonly kernel: number;
  readonly comm: string;
}
/** Byte offsets in `struct xctl_owner`. */
export const XctlOwnerLayout = {
  sizeBytes: 48,
  createdStartNs: 0,
  lastStartNs: 8,
  createdPid: 16,
  lastPid: 20,
  createdHow: 24,
  lastHow: 25,
  shared: 26,
  kernel: 27,
  comm: 32,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlOwner(view: DataView, at: number): XctlOwner {
  return {
    createdStartNs: view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000,
    lastStartNs: view.getUint32(at + 8, true) + view.getUint32(at + 8 + 4, true) * 0x1_0000_0000,
    createdPid: view.getUint32(at + 16, true),
    lastPid: view.getUint32(at + 20, true),
    createdHow: view.getUint8(at + 24),
    lastHow: view.getUint8(at + 25),
    shared: view.getUint8(at + 26),
    kernel: view.getUint8(at + 27),
    comm: readText(view, at + 32, 16),
  };
}
const XctlOwnerFields: AbiStruct = {
  sizeBytes: 48,
  fields: [
    { name: 'createdStartNs', offset: 0, code: 'u64' },
    { name: 'lastStartNs', offset: 8, code: 'u64' },
    { name: 'createdPid', offset: 16, code: 'u32' },
    { name: 'lastPid', offset: 20, code: 'u32' },
    { name: 'createdHow', offset: 24, code: 'u8' },
    { name: 'lastHow', offset: 25, code: 'u8' },
    { name: 'shared', offset: 26, code: 'u8' },
    { name: 'kernel', offset: 27, code: 'u8' },
    { name: 'comm', offset: 32, code: 'text', length: 16 },
  ],
};

/** `struct xctl_flow`, 56 bytes. */
export interface XctlFlow {
  readonly cookie: number;
  readonly netns: number;
  readonly family: number;
  readonly lport: number;
  readonly rport: number;
  readonly state: number;
  readonly caState: number;
  readonly laddr: Uint8Array;
  readonly raddr: Uint8Array;
}
/** Byte offsets in `struct xctl_flow`. */
export const XctlFlowLayout = {
  sizeBytes: 56,
  cookie: 0,
  netns: 8,
  family: 12,
  lport: 14,
  rport: 16,
  state: 18,
  caState: 19,
  laddr: 24,
  raddr: 40,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlFlow(view: DataView, at: number): XctlFlow {
  return {
    cookie: view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000,
    netns: view.getUint32(at + 8, true),
    family: view.getUint16(at + 12, true),
    lport: view.getUint16(at + 14, true),
    rport: view.getUint16(at + 16, true),
    state: view.getUint8(at + 18),
    caState: view.getUint8(at + 19),
    laddr: readBytes(view, at + 24, 16),
    raddr: readBytes(view, at + 40, 16),
  };
}
const XctlFlowFields: AbiStruct = {
  sizeBytes: 56,
  fields: [
    { name: 'cookie', offset: 0, code: 'u64' },
    { name: 'netns', offset: 8, code: 'u32' },
    { name: 'family', offset: 12, code: 'u16' },
    { name: 'lport', offset: 14, code: 'u16' },
    { name: 'rport', offset: 16, code: 'u16' },
    { name: 'state', offset: 18, code: 'u8' },
    { name: 'caState', offset: 19, code: 'u8' },
    { name: 'laddr', offset: 24, code: 'bytes', length: 16 },
    { name: 'raddr', offset: 40, code: 'bytes', length: 16 },
  ],
};

/** `struct xctl_tcp_state`, 88 bytes. */
export interface XctlTcpState {
  readonly bytesAcked: number;
  readonly bytesReceived: number;
  readonly sndUna: number;
  readonly sndNxt: number;
  readonly rcvNxt: number;
  readonly sndWnd: number;
  readonly srttUs: number;
  readonly rtoUs: number;
  readonly packetsOut: number;
  readonly unackedBytes: number;
  readonly writeQueueBytes: number;
  readonly rcvQueueBytes: number;
  readonly retransmits: number;
  readonly totalRetrans: number;
  readonly backoff: number;
  readonly probesOut: number;
  readonly lastRcvMs: number;
  readonly lastSndMs: number;
  readonly skErr: number;
  readonly skShutdown: number;
}
/** Byte offsets in `struct xctl_tcp_state`. */
export const XctlTcpStateLayout = {
  sizeBytes: 88,
  bytesAcked: 0,
  bytesReceived: 8,
  sndUna: 16,
  sndNxt: 20,
  rcvNxt: 24,
  sndWnd: 28,
  srttUs: 32,
  rtoUs: 36,
  packetsOut: 40,
  unackedBytes: 44,
  writeQueueBytes: 48,
  rcvQueueBytes: 52,
  retransmits: 56,
  totalRetrans: 60,
  backoff: 64,
  probesOut: 68,
  lastRcvMs: 72,
  lastSndMs: 76,
  skErr: 80,
  skShutdown: 84,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlTcpState(view: DataView, at: number): XctlTcpState {
  return {
    bytesAcked: view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000,
    bytesReceived: view.getUint32(at + 8, true) + view.getUint32(at + 8 + 4, true) * 0x1_0000_0000,
    sndUna: view.getUint32(at + 16, true),
    sndNxt: view.getUint32(at + 20, true),
    rcvNxt: view.getUint32(at + 24, true),
    sndWnd: view.getUint32(at + 28, true),
    srttUs: view.getUint32(at + 32, true),
    rtoUs: view.getUint32(at + 36, true),
    packetsOut: view.getUint32(at + 40, true),
    unackedBytes: view.getUint32(at + 44, true),
    writeQueueBytes: view.getUint32(at + 48, true),
    rcvQueueBytes: view.getUint32(at + 52, true),
    retransmits: view.getUint32(at + 56, true),
    totalRetrans: view.getUint32(at + 60, true),
    backoff: view.getUint32(at + 64, true),
    probesOut: view.getUint32(at + 68, true),
    lastRcvMs: view.getUint32(at + 72, true),
    lastSndMs: view.getUint32(at + 76, true),
    skErr: view.getUint32(at + 80, true),
    skShutdown: view.getUint32(at + 84, true),
  };
}
const XctlTcpStateFields: AbiStruct = {
  sizeBytes: 88,
  fields: [
    { name: 'bytesAcked', offset: 0, code: 'u64' },
    { name: 'bytesReceived', offset: 8, code: 'u64' },
    { name: 'sndUna', offset: 16, code: 'u32' },
    { name: 'sndNxt', offset: 20, code: 'u32' },
    { name: 'rcvNxt', offset: 24, code: 'u32' },
    { name: 'sndWnd', offset: 28, code: 'u32' },
    { name: 'srttUs', offset: 32, code: 'u32' },
    { name: 'rtoUs', offset: 36, code: 'u32' },
    { name: 'packetsOut', offset: 40, code: 'u32' },
    { name: 'unackedBytes', offset: 44, code: 'u32' },
    { name: 'writeQueueBytes', offset: 48, code: 'u32' },
    { name: 'rcvQueueBytes', offset: 52, code: 'u32' },
    { name: 'retransmits', offset: 56, code: 'u32' },
    { name: 'totalRetrans', offset: 60, code: 'u32' },
    { name: 'backoff', offset: 64, code: 'u32' },
    { name: 'probesOut', offset: 68, code: 'u32' },
    { name: 'lastRcvMs', offset: 72, code: 'u32' },
    { name: 'lastSndMs', offset: 76, code: 'u32' },
    { name: 'skErr', offset: 80, code: 'u32' },
    { name: 'skShutdown', offset: 84, code: 'u32' },
  ],
};

/** `struct xctl_tcp`, 240 bytes. */
export interface XctlTcp {
  readonly hdr: XctlHdr;
  readonly flow: XctlFlow;
  readonly owner: XctlOwner;
  readonly tcp: XctlTcpState;
  readonly sinceNs: number;
  readonly latencyNs: number;
  readonly err: number;
  readonly retransEvents: number;
  readonly timeoutEvents: number;
  readonly suppressed: number;
}
/** Byte offsets in `struct xctl_tcp`. */
export const XctlTcpLayout = {
  sizeBytes: 240,
  hdr: 0,
  flow: 16,
  owner: 72,
  tcp: 120,
  sinceNs: 208,
  latencyNs: 216,
  err: 224,
  retransEvents: 228,
  timeoutEvents: 232,
  suppressed: 236,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlTcp(view: DataView, at: number): XctlTcp {
  return {
    hdr: decodeXctlHdr(view, at),
    flow: decodeXctlFlow(view, at + 16),
    owner: decodeXctlOwner(view, at + 72),
    tcp: decodeXctlTcpState(view, at + 120),
    sinceNs: view.getUint32(at + 208, true) + view.getUint32(at + 208 + 4, true) * 0x1_0000_0000,
    latencyNs: view.getUint32(at + 216, true) + view.getUint32(at + 216 + 4, true) * 0x1_0000_0000,
    err: view.getUint32(at + 224, true),
    retransEvents: view.getUint32(at + 228, true),
    timeoutEvents: view.getUint32(at + 232, true),
    suppressed: view.getUint32(at + 236, true),
  };
}
const XctlTcpFields: AbiStruct = {
  sizeBytes: 240,
  fields: [
    { name: 'hdr', offset: 0, code: 'struct', struct: 'XctlHdr' },
    { name: 'flow', offset: 16, code: 'struct', struct: 'XctlFlow' },
    { name: 'owner', offset: 72, code: 'struct', struct: 'XctlOwner' },
    { name: 'tcp', offset: 120, code: 'struct', struct: 'XctlTcpState' },
    { name: 'sinceNs', offset: 208, code: 'u64' },
    { name: 'latencyNs', offset: 216, code: 'u64' },
    { name: 'err', offset: 224, code: 'u32' },
    { name: 'retransEvents', offset: 228, code: 'u32' },
    { name: 'timeoutEvents', offset: 232, code: 'u32' },
    { name: 'suppressed', offset: 236, code: 'u32' },
  ],
};

/** `struct xctl_wait`, 304 bytes. */
export interface XctlWait {
  readonly hdr: XctlHdr;
  readonly startNs: number;
  readonly sinceNs: number;
  readonly switches: number;
  readonly runNs: number;
  readonly object: number;
  readonly peer: number;
  readonly tid: number;
  readonly syscall: number;
  readonly state: number;
  readonly fd: number;
  readonly ownerTid: number;
  readonly dev: number;
  readonly wait: number;
  readonly op: number;
  readonly readers: number;
  readonly writers: number;
  readonly futexWord: number;
  readonly nfds: number;
  readonly threads: number;
  readonly flags: number;
  readonly delayNs: number;
  readonly cpu: number;
  readonly cpus: number;
  readonly comm: string;
  readonly name: string;
  readonly flow: XctlFlow;
  readonly tcp: XctlTcpState;
}
/** Byte offsets in `struct xctl_wait`. */
export const XctlWaitLayout = {
  sizeBytes: 304,
  hdr: 0,
  startNs: 16,
  sinceNs: 24,
  switches: 32,
  runNs: 40,
  object: 48,
  peer: 56,
  tid: 64,
  syscall: 68,
  state: 72,
  fd: 76,
  ownerTid: 80,
  dev: 84,
  wait: 88,
  op: 90,
  readers: 92,
  writers: 94,
  futexWord: 96,
  nfds: 100,
  threads: 104,
  flags: 108,
  delayNs: 112,
  cpu: 120,
  cpus: 124,
  comm: 128,
  name: 144,
  flow: 160,
  tcp: 216,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlWait(view: DataView, at: number): XctlWait {
  return {
    hdr: decodeXctlHdr(view, at),
    startNs: view.getUint32(at + 16, true) + view.getUint32(at + 16 + 4, true) * 0x1_0000_0000,
    sinceNs: view.getUint32(at + 24, true) + view.getUint32(at + 24 + 4, true) * 0x1_0000_0000,
    switches: view.getUint32(at + 32, true) + view.getUint32(at + 32 + 4, true) * 0x1_0000_0000,
    runNs: view.getUint32(at + 40, true) + view.getUint32(at + 40 + 4, true) * 0x1_0000_0000,
    object: view.getUint32(at + 48, true) + view.getUint32(at + 48 + 4, true) * 0x1_0000_0000,
    peer: view.getUint32(at + 56, true) + view.getUint32(at + 56 + 4, true) * 0x1_0000_0000,
    tid: view.getUint32(at + 64, true),
    syscall: view.getInt32(at + 68, true),
    state: view.getUint32(at + 72, true),
    fd: view.getInt32(at + 76, true),
    ownerTid: view.getUint32(at + 80, true),
    dev: view.getUint32(at + 84, true),
    wait: view.getUint16(at + 88, true),
    op: view.getUint16(at + 90, true),
    readers: view.getUint16(at + 92, true),
    writers: view.getUint16(at + 94, true),
    futexWord: view.getUint32(at + 96, true),
    nfds: view.getUint32(at + 100, true),
    threads: view.getUint32(at + 104, true),
    flags: view.getUint32(at + 108, true),
    delayNs: view.getUint32(at + 112, true) + view.getUint32(at + 112 + 4, true) * 0x1_0000_0000,
    cpu: view.getUint32(at + 120, true),
    cpus: view.getUint32(at + 124, true),
    comm: readText(view, at + 128, 16),
    name: readText(view, at + 144, 16),
    flow: decodeXctlFlow(view, at + 160),
    tcp: decodeXctlTcpState(view, at + 216),
  };
}
const XctlWaitFields: AbiStruct = {
  sizeBytes: 304,
  fields: [
    { name: 'hdr', offset: 0, code: 'struct', struct: 'XctlHdr' },
    { name: 'startNs', offset: 16, code: 'u64' },
    { name: 'sinceNs', offset: 24, code: 'u64' },
    { name: 'switches', offset: 32, code: 'u64' },
    { name: 'runNs', offset: 40, code: 'u64' },
    { name: 'object', offset: 48, code: 'u64' },
    { name: 'peer', offset: 56, code: 'u64' },
    { name: 'tid', offset: 64, code: 'u32' },
    { name: 'syscall', offset: 68, code: 's32' },
    { name: 'state', offset: 72, code: 'u32' },
    { name: 'fd', offset: 76, code: 's32' },
    { name: 'ownerTid', offset: 80, code: 'u32' },
    { name: 'dev', offset: 84, code: 'u32' },
    { name: 'wait', offset: 88, code: 'u16' },
    { name: 'op', offset: 90, code: 'u16' },
    { name: 'readers', offset: 92, code: 'u16' },
    { name: 'writers', offset: 94, code: 'u16' },
    { name: 'futexWord', offset: 96, code: 'u32' },
    { name: 'nfds', offset: 100, code: 'u32' },
    { name: 'threads', offset: 104, code: 'u32' },
    { name: 'flags', offset: 108, code: 'u32' },
    { name: 'delayNs', offset: 112, code: 'u64' },
    { name: 'cpu', offset: 120, code: 'u32' },
    { name: 'cpus', offset: 124, code: 'u32' },
    { name: 'comm', offset: 128, code: 'text', length: 16 },
    { name: 'name', offset: 144, code: 'text', length: 16 },
    { name: 'flow', offset: 160, code: 'struct', struct: 'XctlFlow' },
    { name: 'tcp', offset: 216, code: 'struct', struct: 'XctlTcpState' },
  ],
};

/** `struct xctl_wait_member`, 208 bytes. */
export interface XctlWaitMember {
  readonly hdr: XctlHdr;
  readonly object: number;
  readonly peer: number;
  readonly tid: number;
  readonly fd: number;
  readonly wait: number;
  readonly op: number;
  readonly name: string;
  readonly flow: XctlFlow;
  readonly tcp: XctlTcpState;
}
/** Byte offsets in `struct xctl_wait_member`. */
export const XctlWaitMemberLayout = {
  sizeBytes: 208,
  hdr: 0,
  object: 16,
  peer: 24,
  tid: 32,
  fd: 36,
  wait: 40,
  op: 42,
  name: 48,
  flow: 64,
  tcp: 120,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlWaitMember(view: DataView, at: number): XctlWaitMember {
  return {
    hdr: decodeXctlHdr(view, at),
    object: view.getUint32(at + 16, true) + view.getUint32(at + 16 + 4, true) * 0x1_0000_0000,
    peer: view.getUint32(at + 24, true) + view.getUint32(at + 24 + 4, true) * 0x1_0000_0000,
    tid: view.getUint32(at + 32, true),
    fd: view.getInt32(at + 36, true),
    wait: view.getUint16(at + 40, true),
    op: view.getUint16(at + 42, true),
    name: readText(view, at + 48, 16),
    flow: decodeXctlFlow(view, at + 64),
    tcp: decodeXctlTcpState(view, at + 120),
  };
}
const XctlWaitMemberFields: AbiStruct = {
  sizeBytes: 208,
  fields: [
    { name: 'hdr', offset: 0, code: 'struct', struct: 'XctlHdr' },
    { name: 'object', offset: 16, code: 'u64' },
    { name: 'peer', offset: 24, code: 'u64' },
    { name: 'tid', offset: 32, code: 'u32' },
    { name: 'fd', offset: 36, code: 's32' },
    { name: 'wait', offset: 40, code: 'u16' },
    { name: 'op', offset: 42, code: 'u16' },
    { name: 'name', offset: 48, code: 'text', length: 16 },
    { name: 'flow', offset: 64, code: 'struct', struct: 'XctlFlow' },
    { name: 'tcp', offset: 120, code: 'struct', struct: 'XctlTcpState' },
  ],
};

/** `struct xctl_wait_same`, 24 bytes. */
export interface XctlWaitSame {
  readonly hdr: XctlHdr;
  readonly tid: number;
}
/** Byte offsets in `struct xctl_wait_same`. */
export const XctlWaitSameLayout = {
  sizeBytes: 24,
  hdr: 0,
  tid: 16,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlWaitSame(view: DataView, at: number): XctlWaitSame {
  return {
    hdr: decodeXctlHdr(view, at),
    tid: view.getUint32(at + 16, true),
  };
}
const XctlWaitSameFields: AbiStruct = {
  sizeBytes: 24,
  fields: [
    { name: 'hdr', offset: 0, code: 'struct', struct: 'XctlHdr' },
    { name: 'tid', offset: 16, code: 'u32' },
  ],
};

/** `struct xctl_wait_holder`, 208 bytes. */
export interface XctlWaitHolder {
  readonly hdr: XctlHdr;
  readonly startNs: number;
  readonly object: number;
  readonly fd: number;
  readonly mode: number;
  readonly wait: number;
  readonly queued: number;
  readonly flow: XctlFlow;
  readonly tcp: XctlTcpState;
  readonly comm: string;
}
/** Byte offsets in `struct xctl_wait_holder`. */
export const XctlWaitHolderLayout = {
  sizeBytes: 208,
  hdr: 0,
  startNs: 16,
  object: 24,
  fd: 32,
  mode: 36,
  wait: 40,
  queued: 42,
  flow: 48,
  tcp: 104,
  comm: 192,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlWaitHolder(view: DataView, at: number): XctlWaitHolder {
  return {
    hdr: decodeXctlHdr(view, at),
    startNs: view.getUint32(at + 16, true) + view.getUint32(at + 16 + 4, true) * 0x1_0000_0000,
    object: view.getUint32(at + 24, true) + view.getUint32(at + 24 + 4, true) * 0x1_0000_0000,
    fd: view.getInt32(at + 32, true),
    mode: view.getUint32(at + 36, true),
    wait: view.getUint16(at + 40, true),
    queued: view.getUint16(at + 42, true),
    flow: decodeXctlFlow(view, at + 48),
    tcp: decodeXctlTcpState(view, at + 104),
    comm: readText(view, at + 192, 16),
  };
}
const XctlWaitHolderFields: AbiStruct = {
  sizeBytes: 208,
  fields: [
    { name: 'hdr', offset: 0, code: 'struct', struct: 'XctlHdr' },
    { name: 'startNs', offset: 16, code: 'u64' },
    { name: 'object', offset: 24, code: 'u64' },
    { name: 'fd', offset: 32, code: 's32' },
    { name: 'mode', offset: 36, code: 'u32' },
    { name: 'wait', offset: 40, code: 'u16' },
    { name: 'queued', offset: 42, code: 'u16' },
    { name: 'flow', offset: 48, code: 'struct', struct: 'XctlFlow' },
    { name: 'tcp', offset: 104, code: 'struct', struct: 'XctlTcpState' },
    { name: 'comm', offset: 192, code: 'text', length: 16 },
  ],
};

/** `struct xctl_block_rq`, 224 bytes. */
export interface XctlBlockRq {
  readonly hdr: XctlHdr;
  readonly startNs: number;
  readonly cgroupId: number;
  readonly sector: number;
  readonly ageNs: number;
  readonly deviceNs: number;
  readonly dev: number;
  readonly part: number;
  readonly bytes: number;
  readonly status: number;
  readonly op: number;
  readonly flags: number;
  readonly suppressed: number;
  readonly comm: string;
  readonly cgroup: string;
}
/** Byte offsets in `struct xctl_block_rq`. */
export const XctlBlockRqLayout = {
  sizeBytes: 224,
  hdr: 0,
  startNs: 16,
  cgroupId: 24,
  sector: 32,
  ageNs: 40,
  deviceNs: 48,
  dev: 56,
  part: 60,
  bytes: 64,
  status: 68,
  op: 72,
  flags: 74,
  suppressed: 76,
  comm: 80,
  cgroup: 96,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlBlockRq(view: DataView, at: number): XctlBlockRq {
  return {
    hdr: decodeXctlHdr(view, at),
    startNs: view.getUint32(at + 16, true) + view.getUint32(at + 16 + 4, true) * 0x1_0000_0000,
    cgroupId: view.getUint32(at + 24, true) + view.getUint32(at + 24 + 4, true) * 0x1_0000_0000,
    sector: view.getUint32(at + 32, true) + view.getUint32(at + 32 + 4, true) * 0x1_0000_0000,
    ageNs: view.getUint32(at + 40, true) + view.getUint32(at + 40 + 4, true) * 0x1_0000_0000,
    deviceNs: view.getUint32(at + 48, true) + view.getUint32(at + 48 + 4, true) * 0x1_0000_0000,
    dev: view.getUint32(at + 56, true),
    part: view.getUint32(at + 60, true),
    bytes: view.getUint32(at + 64, true),
    status: view.getUint32(at + 68, true),
    op: view.getUint16(at + 72, true),
    flags: view.getUint16(at + 74, true),
    suppressed: view.getUint32(at + 76, true),
    comm: readText(view, at + 80, 16),
    cgroup: readText(view, at + 96, 128),
  };
}
const XctlBlockRqFields: AbiStruct = {
  sizeBytes: 224,
  fields: [
    { name: 'hdr', offset: 0, code: 'struct', struct: 'XctlHdr' },
    { name: 'startNs', offset: 16, code: 'u64' },
    { name: 'cgroupId', offset: 24, code: 'u64' },
    { name: 'sector', offset: 32, code: 'u64' },
    { name: 'ageNs', offset: 40, code: 'u64' },
    { name: 'deviceNs', offset: 48, code: 'u64' },
    { name: 'dev', offset: 56, code: 'u32' },
    { name: 'part', offset: 60, code: 'u32' },
    { name: 'bytes', offset: 64, code: 'u32' },
    { name: 'status', offset: 68, code: 'u32' },
    { name: 'op', offset: 72, code: 'u16' },
    { name: 'flags', offset: 74, code: 'u16' },
    { name: 'suppressed', offset: 76, code: 'u32' },
    { name: 'comm', offset: 80, code: 'text', length: 16 },
    { name: 'cgroup', offset: 96, code: 'text', length: 128 },
  ],
};

/** `struct xctl_block_queue`, 40 bytes. */
export interface XctlBlockQueue {
  readonly hdr: XctlHdr;
  readonly oldestNs: number;
  readonly dev: number;
  readonly inFlight: number;
  readonly depth: number;
  readonly told: number;
}
/** Byte offsets in `struct xctl_block_queue`. */
export const XctlBlockQueueLayout = {
  sizeBytes: 40,
  hdr: 0,
  oldestNs: 16,
  dev: 24,
  inFlight: 28,
  depth: 32,
  told: 36,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlBlockQueue(view: DataView, at: number): XctlBlockQueue {
  return {
    hdr: decodeXctlHdr(view, at),
    oldestNs: view.getUint32(at + 16, true) + view.getUint32(at + 16 + 4, true) * 0x1_0000_0000,
    dev: view.getUint32(at + 24, true),
    inFlight: view.getUint32(at + 28, true),
    depth: view.getUint32(at + 32, true),
    told: view.getUint32(at + 36, true),
  };
}
const XctlBlockQueueFields: AbiStruct = {
  sizeBytes: 40,
  fields: [
    { name: 'hdr', offset: 0, code: 'struct', struct: 'XctlHdr' },
    { name: 'oldestNs', offset: 16, code: 'u64' },
    { name: 'dev', offset: 24, code: 'u32' },
    { name: 'inFlight', offset: 28, code: 'u32' },
    { name: 'depth', offset: 32, code: 'u32' },
    { name: 'told', offset: 36, code: 'u32' },
  ],
};

/** `struct xctl_block_latency`, 872 bytes. */
export interface XctlBlockLatency {
  readonly dev: number;
  readonly counts: readonly number[];
}
/** Byte offsets in `struct xctl_block_latency`. */
export const XctlBlockLatencyLayout = {
  sizeBytes: 872,
  dev: 0,
  counts: 8,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlBlockLatency(view: DataView, at: number): XctlBlockLatency {
  return {
    dev: view.getUint32(at, true),
    counts: readUint32s(view, at + 8, 216),
  };
}
const XctlBlockLatencyFields: AbiStruct = {
  sizeBytes: 872,
  fields: [
    { name: 'dev', offset: 0, code: 'u32' },
    { name: 'counts', offset: 8, code: 'u32s', length: 216 },
  ],
};

/** `struct xctl_block_config`, 16 bytes. */
export interface XctlBlockConfig {
  readonly slowNs: number;
  readonly fd: number;
}
/** Byte offsets in `struct xctl_block_config`. */
export const XctlBlockConfigLayout = {
  sizeBytes: 16,
  slowNs: 0,
  fd: 8,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlBlockConfig(view: DataView, at: number): XctlBlockConfig {
  return {
    slowNs: view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000,
    fd: view.getInt32(at + 8, true),
  };
}
const XctlBlockConfigFields: AbiStruct = {
  sizeBytes: 16,
  fields: [
    { name: 'slowNs', offset: 0, code: 'u64' },
    { name: 'fd', offset: 8, code: 's32' },
  ],
};

/** `struct xctl_cgroup_cpu`, 208 bytes. */
export interface XctlCgroupCpu {
  readonly hdr: XctlHdr;
  readonly startNs: number;
  readonly cgroupId: number;
  readonly quotaNs: number;
  readonly periodNs: number;
  readonly periods: number;
  readonly throttledPeriods: number;
  readonly throttledNs: number;
  readonly levels: number;
  readonly throttled: number;
  readonly cgroup: string;
}
/** Byte offsets in `struct xctl_cgroup_cpu`. */
export const XctlCgroupCpuLayout = {
  sizeBytes: 208,
  hdr: 0,
  startNs: 16,
  cgroupId: 24,
  quotaNs: 32,
  periodNs: 40,
  periods: 48,
  throttledPeriods: 56,
  throttledNs: 64,
  levels: 72,
  throttled: 76,
  cgroup: 80,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlCgroupCpu(view: DataView, at: number): XctlCgroupCpu {
  return {
    hdr: decodeXctlHdr(view, at),
    startNs: view.getUint32(at + 16, true) + view.getUint32(at + 16 + 4, true) * 0x1_0000_0000,
    cgroupId: view.getUint32(at + 24, true) + view.getUint32(at + 24 + 4, true) * 0x1_0000_0000,
    quotaNs: view.getUint32(at + 32, true) + view.getUint32(at + 32 + 4, true) * 0x1_0000_0000,
    periodNs: view.getUint32(at + 40, true) + view.getUint32(at + 40 + 4, true) * 0x1_0000_0000,
    periods: view.getUint32(at + 48, true) + view.getUint32(at + 48 + 4, true) * 0x1_0000_0000,
    throttledPeriods: view.getUint32(at + 56, true) + view.getUint32(at + 56 + 4, true) * 0x1_0000_0000,
    throttledNs: view.getUint32(at + 64, true) + view.getUint32(at + 64 + 4, true) * 0x1_0000_0000,
    levels: view.getUint32(at + 72, true),
    throttled: view.getUint32(at + 76, true),
    cgroup: readText(view, at + 80, 128),
  };
}
const XctlCgroupCpuFields: AbiStruct = {
  sizeBytes: 208,
  fields: [
    { name: 'hdr', offset: 0, code: 'struct', struct: 'XctlHdr' },
    { name: 'startNs', offset: 16, code: 'u64' },
    { name: 'cgroupId', offset: 24, code: 'u64' },
    { name: 'quotaNs', offset: 32, code: 'u64' },
    { name: 'periodNs', offset: 40, code: 'u64' },
    { name: 'periods', offset: 48, code: 'u64' },
    { name: 'throttledPeriods', offset: 56, code: 'u64' },
    { name: 'throttledNs', offset: 64, code: 'u64' },
    { name: 'levels', offset: 72, code: 'u32' },
    { name: 'throttled', offset: 76, code: 'u32' },
    { name: 'cgroup', offset: 80, code: 'text', length: 128 },
  ],
};

/** `struct xctl_cgroup_memory`, 224 bytes. */
export interface XctlCgroupMemory {
  readonly hdr: XctlHdr;
  readonly startNs: number;
  readonly cgroupId: number;
  readonly usageBytes: number;
  readonly limitBytes: number;
  readonly highBytes: number;
  readonly highEvents: number;
  readonly maxEvents: number;
  readonly oomEvents: number;
  readonly oomKills: number;
  readonly levels: number;
  readonly cgroup: string;
}
/** Byte offsets in `struct xctl_cgroup_memory`. */
export const XctlCgroupMemoryLayout = {
  sizeBytes: 224,
  hdr: 0,
  startNs: 16,
  cgroupId: 24,
  usageBytes: 32,
  limitBytes: 40,
  highBytes: 48,
  highEvents: 56,
  maxEvents: 64,
  oomEvents: 72,
  oomKills: 80,
  levels: 88,
  cgroup: 96,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlCgroupMemory(view: DataView, at: number): XctlCgroupMemory {
  return {
    hdr: decodeXctlHdr(view, at),
    startNs: view.getUint32(at + 16, true) + view.getUint32(at + 16 + 4, true) * 0x1_0000_0000,
    cgroupId: view.getUint32(at + 24, true) + view.getUint32(at + 24 + 4, true) * 0x1_0000_0000,
    usageBytes: view.getUint32(at + 32, true) + view.getUint32(at + 32 + 4, true) * 0x1_0000_0000,
    limitBytes: view.getUint32(at + 40, true) + view.getUint32(at + 40 + 4, true) * 0x1_0000_0000,
    highBytes: view.getUint32(at + 48, true) + view.getUint32(at + 48 + 4, true) * 0x1_0000_0000,
    highEvents: view.getUint32(at + 56, true) + view.getUint32(at + 56 + 4, true) * 0x1_0000_0000,
    maxEvents: view.getUint32(at + 64, true) + view.getUint32(at + 64 + 4, true) * 0x1_0000_0000,
    oomEvents: view.getUint32(at + 72, true) + view.getUint32(at + 72 + 4, true) * 0x1_0000_0000,
    oomKills: view.getUint32(at + 80, true) + view.getUint32(at + 80 + 4, true) * 0x1_0000_0000,
    levels: view.getUint32(at + 88, true),
    cgroup: readText(view, at + 96, 128),
  };
}
const XctlCgroupMemoryFields: AbiStruct = {
  sizeBytes: 224,
  fields: [
    { name: 'hdr', offset: 0, code: 'struct', struct: 'XctlHdr' },
    { name: 'startNs', offset: 16, code: 'u64' },
    { name: 'cgroupId', offset: 24, code: 'u64' },
    { name: 'usageBytes', offset: 32, code: 'u64' },
    { name: 'limitBytes', offset: 40, code: 'u64' },
    { name: 'highBytes', offset: 48, code: 'u64' },
    { name: 'highEvents', offset: 56, code: 'u64' },
    { name: 'maxEvents', offset: 64, code: 'u64' },
    { name: 'oomEvents', offset: 72, code: 'u64' },
    { name: 'oomKills', offset: 80, code: 'u64' },
    { name: 'levels', offset: 88, code: 'u32' },
    { name: 'cgroup', offset: 96, code: 'text', length: 128 },
  ],
};

/** `struct xctl_memory_use`, 56 bytes. */
export interface XctlMemoryUse {
  readonly hdr: XctlHdr;
  readonly startNs: number;
  readonly rssBytes: number;
  readonly swapBytes: number;
  readonly comm: string;
}
/** Byte offsets in `struct xctl_memory_use`. */
export const XctlMemoryUseLayout = {
  sizeBytes: 56,
  hdr: 0,
  startNs: 16,
  rssBytes: 24,
  swapBytes: 32,
  comm: 40,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlMemoryUse(view: DataView, at: number): XctlMemoryUse {
  return {
    hdr: decodeXctlHdr(view, at),
    startNs: view.getUint32(at + 16, true) + view.getUint32(at + 16 + 4, true) * 0x1_0000_0000,
    rssBytes: view.getUint32(at + 24, true) + view.getUint32(at + 24 + 4, true) * 0x1_0000_0000,
    swapBytes: view.getUint32(at + 32, true) + view.getUint32(at + 32 + 4, true) * 0x1_0000_0000,
    comm: readText(view, at + 40, 16),
  };
}
const XctlMemoryUseFields: AbiStruct = {
  sizeBytes: 56,
  fields: [
    { name: 'hdr', offset: 0, code: 'struct', struct: 'XctlHdr' },
    { name: 'startNs', offset: 16, code: 'u64' },
    { name: 'rssBytes', offset: 24, code: 'u64' },
    { name: 'swapBytes', offset: 32, code: 'u64' },
    { name: 'comm', offset: 40, code: 'text', length: 16 },
  ],
};

/** `struct xctl_file_user`, 56 bytes. */
export interface XctlFileUser {
  readonly hdr: XctlHdr;
  readonly startNs: number;
  readonly dev: number;
  readonly mode: number;
  readonly fd: number;
  readonly comm: string;
}
/** Byte offsets in `struct xctl_file_user`. */
export const XctlFileUserLayout = {
  sizeBytes: 56,
  hdr: 0,
  startNs: 16,
  dev: 24,
  mode: 28,
  fd: 32,
  comm: 40,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlFileUser(view: DataView, at: number): XctlFileUser {
  return {
    hdr: decodeXctlHdr(view, at),
    startNs: view.getUint32(at + 16, true) + view.getUint32(at + 16 + 4, true) * 0x1_0000_0000,
    dev: view.getUint32(at + 24, true),
    mode: view.getUint32(at + 28, true),
    fd: view.getInt32(at + 32, true),
    comm: readText(view, at + 40, 16),
  };
}
const XctlFileUserFields: AbiStruct = {
  sizeBytes: 56,
  fields: [
    { name: 'hdr', offset: 0, code: 'struct', struct: 'XctlHdr' },
    { name: 'startNs', offset: 16, code: 'u64' },
    { name: 'dev', offset: 24, code: 'u32' },
    { name: 'mode', offset: 28, code: 'u32' },
    { name: 'fd', offset: 32, code: 's32' },
    { name: 'comm', offset: 40, code: 'text', length: 16 },
  ],
};

/** `struct xctl_nccl_split`, 40 bytes. */
export interface XctlNcclSplit {
  readonly parent: number;
  readonly parentId: number;
  readonly parentRank: number;
  readonly parentNranks: number;
  readonly color: number;
  readonly key: number;
  readonly ordinal: number;
}
/** Byte offsets in `struct xctl_nccl_split`. */
export const XctlNcclSplitLayout = {
  sizeBytes: 40,
  parent: 0,
  parentId: 8,
  parentRank: 16,
  parentNranks: 20,
  color: 24,
  key: 28,
  ordinal: 32,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlNcclSplit(view: DataView, at: number): XctlNcclSplit {
  return {
    parent: view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000,
    parentId: view.getUint32(at + 8, true) + view.getUint32(at + 8 + 4, true) * 0x1_0000_0000,
    parentRank: view.getInt32(at + 16, true),
    parentNranks: view.getInt32(at + 20, true),
    color: view.getInt32(at + 24, true),
    key: view.getInt32(at + 28, true),
    ordinal: view.getUint32(at + 32, true),
  };
}
const XctlNcclSplitFields: AbiStruct = {
  sizeBytes: 40,
  fields: [
    { name: 'parent', offset: 0, code: 'u64' },
    { name: 'parentId', offset: 8, code: 'u64' },
    { name: 'parentRank', offset: 16, code: 's32' },
    { name: 'parentNranks', offset: 20, code: 's32' },
    { name: 'color', offset: 24, code: 's32' },
    { name: 'key', offset: 28, code: 's32' },
    { name: 'ordinal', offset: 32, code: 'u32' },
  ],
};

/** `struct xctl_nccl_comm`, 128 bytes. */
export interface XctlNcclComm {
  readonly hdr: XctlHdr;
  readonly startNs: number;
  readonly comm: number;
  readonly id: number;
  readonly sinceNs: number;
  readonly collectives: number;
  readonly p2p: number;
  readonly rank: number;
  readonly nranks: number;
  readonly result: number;
  readonly tid: number;
  readonly state: number;
  readonly call: number;
  readonly split: XctlNcclSplit;
}
/** Byte offsets in `struct xctl_nccl_comm`. */
export const XctlNcclCommLayout = {
  sizeBytes: 128,
  hdr: 0,
  startNs: 16,
  comm: 24,
  id: 32,
  sinceNs: 40,
  collectives: 48,
  p2p: 56,
  rank: 64,
  nranks: 68,
  result: 72,
  tid: 76,
  state: 80,
  call: 82,
  split: 88,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlNcclComm(view: DataView, at: number): XctlNcclComm {
  return {
    hdr: decodeXctlHdr(view, at),
    startNs: view.getUint32(at + 16, true) + view.getUint32(at + 16 + 4, true) * 0x1_0000_0000,
    comm: view.getUint32(at + 24, true) + view.getUint32(at + 24 + 4, true) * 0x1_0000_0000,
    id: view.getUint32(at + 32, true) + view.getUint32(at + 32 + 4, true) * 0x1_0000_0000,
    sinceNs: view.getUint32(at + 40, true) + view.getUint32(at + 40 + 4, true) * 0x1_0000_0000,
    collectives: view.getUint32(at + 48, true) + view.getUint32(at + 48 + 4, true) * 0x1_0000_0000,
    p2p: view.getUint32(at + 56, true) + view.getUint32(at + 56 + 4, true) * 0x1_0000_0000,
    rank: view.getInt32(at + 64, true),
    nranks: view.getInt32(at + 68, true),
    result: view.getInt32(at + 72, true),
    tid: view.getUint32(at + 76, true),
    state: view.getUint16(at + 80, true),
    call: view.getUint16(at + 82, true),
    split: decodeXctlNcclSplit(view, at + 88),
  };
}
const XctlNcclCommFields: AbiStruct = {
  sizeBytes: 128,
  fields: [
    { name: 'hdr', offset: 0, code: 'struct', struct: 'XctlHdr' },
    { name: 'startNs', offset: 16, code: 'u64' },
    { name: 'comm', offset: 24, code: 'u64' },
    { name: 'id', offset: 32, code: 'u64' },
    { name: 'sinceNs', offset: 40, code: 'u64' },
    { name: 'collectives', offset: 48, code: 'u64' },
    { name: 'p2p', offset: 56, code: 'u64' },
    { name: 'rank', offset: 64, code: 's32' },
    { name: 'nranks', offset: 68, code: 's32' },
    { name: 'result', offset: 72, code: 's32' },
    { name: 'tid', offset: 76, code: 'u32' },
    { name: 'state', offset: 80, code: 'u16' },
    { name: 'call', offset: 82, code: 'u16' },
    { name: 'split', offset: 88, code: 'struct', struct: 'XctlNcclSplit' },
  ],
};

/** `struct xctl_nccl_key`, 24 bytes. */
export interface XctlNcclKey {
  readonly startNs: number;
  readonly comm: number;
  readonly pid: number;
}
/** Byte offsets in `struct xctl_nccl_key`. */
export const XctlNcclKeyLayout = {
  sizeBytes: 24,
  startNs: 0,
  comm: 8,
  pid: 16,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlNcclKey(view: DataView, at: number): XctlNcclKey {
  return {
    startNs: view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000,
    comm: view.getUint32(at + 8, true) + view.getUint32(at + 8 + 4, true) * 0x1_0000_0000,
    pid: view.getUint32(at + 16, true),
  };
}
const XctlNcclKeyFields: AbiStruct = {
  sizeBytes: 24,
  fields: [
    { name: 'startNs', offset: 0, code: 'u64' },
    { name: 'comm', offset: 8, code: 'u64' },
    { name: 'pid', offset: 16, code: 'u32' },
  ],
};

/** `struct xctl_nccl_count`, 56 bytes. */
export interface XctlNcclCount {
  readonly id: number;
  readonly collectives: number;
  readonly p2p: number;
  readonly lastNs: number;
  readonly source: number;
  readonly rank: number;
  readonly nranks: number;
  readonly splits: number;
  readonly shrinks: number;
}
/** Byte offsets in `struct xctl_nccl_count`. */
export const XctlNcclCountLayout = {
  sizeBytes: 56,
  id: 0,
  collectives: 8,
  p2p: 16,
  lastNs: 24,
  source: 32,
  rank: 40,
  nranks: 44,
  splits: 48,
  shrinks: 52,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlNcclCount(view: DataView, at: number): XctlNcclCount {
  return {
    id: view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000,
    collectives: view.getUint32(at + 8, true) + view.getUint32(at + 8 + 4, true) * 0x1_0000_0000,
    p2p: view.getUint32(at + 16, true) + view.getUint32(at + 16 + 4, true) * 0x1_0000_0000,
    lastNs: view.getUint32(at + 24, true) + view.getUint32(at + 24 + 4, true) * 0x1_0000_0000,
    source: view.getUint32(at + 32, true) + view.getUint32(at + 32 + 4, true) * 0x1_0000_0000,
    rank: view.getInt32(at + 40, true),
    nranks: view.getInt32(at + 44, true),
    splits: view.getUint32(at + 48, true),
    shrinks: view.getUint32(at + 52, true),
  };
}
const XctlNcclCountFields: AbiStruct = {
  sizeBytes: 56,
  fields: [
    { name: 'id', offset: 0, code: 'u64' },
    { name: 'collectives', offset: 8, code: 'u64' },
    { name: 'p2p', offset: 16, code: 'u64' },
    { name: 'lastNs', offset: 24, code: 'u64' },
    { name: 'source', offset: 32, code: 'u64' },
    { name: 'rank', offset: 40, code: 's32' },
    { name: 'nranks', offset: 44, code: 's32' },
    { name: 'splits', offset: 48, code: 'u32' },
    { name: 'shrinks', offset: 52, code: 'u32' },
  ],
};

/** `struct xctl_gpu_wait`, 24 bytes. */
export interface XctlGpuWait {
  readonly startNs: number;
  readonly sinceNs: number;
  readonly pid: number;
  readonly call: number;
}
/** Byte offsets in `struct xctl_gpu_wait`. */
export const XctlGpuWaitLayout = {
  sizeBytes: 24,
  startNs: 0,
  sinceNs: 8,
  pid: 16,
  call: 20,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlGpuWait(view: DataView, at: number): XctlGpuWait {
  return {
    startNs: view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000,
    sinceNs: view.getUint32(at + 8, true) + view.getUint32(at + 8 + 4, true) * 0x1_0000_0000,
    pid: view.getUint32(at + 16, true),
    call: view.getUint32(at + 20, true),
  };
}
const XctlGpuWaitFields: AbiStruct = {
  sizeBytes: 24,
  fields: [
    { name: 'startNs', offset: 0, code: 'u64' },
    { name: 'sinceNs', offset: 8, code: 'u64' },
    { name: 'pid', offset: 16, code: 'u32' },
    { name: 'call', offset: 20, code: 'u32' },
  ],
};

/** `struct xctl_rdma_id`, 104 bytes. */
export interface XctlRdmaId {
  readonly startNs: number;
  readonly dev: number;
  readonly qpn: number;
  readonly port: number;
  readonly netns: number;
  readonly comm: string;
  readonly device: string;
}
/** Byte offsets in `struct xctl_rdma_id`. */
export const XctlRdmaIdLayout = {
  sizeBytes: 104,
  startNs: 0,
  dev: 8,
  qpn: 12,
  port: 16,
  netns: 20,
  comm: 24,
  device: 40,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlRdmaId(view: DataView, at: number): XctlRdmaId {
  return {
    startNs: view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000,
    dev: view.getUint32(at + 8, true),
    qpn: view.getUint32(at + 12, true),
    port: view.getUint32(at + 16, true),
    netns: view.getUint32(at + 20, true),
    comm: readText(view, at + 24, 16),
    device: readText(view, at + 40, 64),
  };
}
const XctlRdmaIdFields: AbiStruct = {
  sizeBytes: 104,
  fields: [
    { name: 'startNs', offset: 0, code: 'u64' },
    { name: 'dev', offset: 8, code: 'u32' },
    { name: 'qpn', offset: 12, code: 'u32' },
    { name: 'port', offset: 16, code: 'u32' },
    { name: 'netns', offset: 20, code: 'u32' },
    { name: 'comm', offset: 24, code: 'text', length: 16 },
    { name: 'device', offset: 40, code: 'text', length: 64 },
  ],
};

/** `struct xctl_rdma_qp`, 176 bytes. */
export interface XctlRdmaQp {
  readonly hdr: XctlHdr;
  readonly id: XctlRdmaId;
  readonly localGid: Uint8Array;
  readonly remoteGid: Uint8Array;
  readonly remoteQpn: number;
  readonly err: number;
  readonly flags: number;
  readonly remoteLid: number;
  readonly change: number;
  readonly type: number;
  readonly state: number;
  readonly timeout: number;
  readonly retryCnt: number;
  readonly rnrRetry: number;
}
/** Byte offsets in `struct xctl_rdma_qp`. */
export const XctlRdmaQpLayout = {
  sizeBytes: 176,
  hdr: 0,
  id: 16,
  localGid: 120,
  remoteGid: 136,
  remoteQpn: 152,
  err: 156,
  flags: 160,
  remoteLid: 164,
  change: 166,
  type: 167,
  state: 168,
  timeout: 169,
  retryCnt: 170,
  rnrRetry: 171,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlRdmaQp(view: DataView, at: number): XctlRdmaQp {
  return {
    hdr: decodeXctlHdr(view, at),
    id: decodeXctlRdmaId(view, at + 16),
    localGid: readBytes(view, at + 120, 16),
    remoteGid: readBytes(view, at + 136, 16),
    remoteQpn: view.getUint32(at + 152, true),
    err: view.getInt32(at + 156, true),
    flags: view.getUint32(at + 160, true),
    remoteLid: view.getUint16(at + 164, true),
    change: view.getUint8(at + 166),
    type: view.getUint8(at + 167),
    state: view.getUint8(at + 168),
    timeout: view.getUint8(at + 169),
    retryCnt: view.getUint8(at + 170),
    rnrRetry: view.getUint8(at + 171),
  };
}
const XctlRdmaQpFields: AbiStruct = {
  sizeBytes: 176,
  fields: [
    { name: 'hdr', offset: 0, code: 'struct', struct: 'XctlHdr' },
    { name: 'id', offset: 16, code: 'struct', struct: 'XctlRdmaId' },
    { name: 'localGid', offset: 120, code: 'bytes', length: 16 },
    { name: 'remoteGid', offset: 136, code: 'bytes', length: 16 },
    { name: 'remoteQpn', offset: 152, code: 'u32' },
    { name: 'err', offset: 156, code: 's32' },
    { name: 'flags', offset: 160, code: 'u32' },
    { name: 'remoteLid', offset: 164, code: 'u16' },
    { name: 'change', offset: 166, code: 'u8' },
    { name: 'type', offset: 167, code: 'u8' },
    { name: 'state', offset: 168, code: 'u8' },
    { name: 'timeout', offset: 169, code: 'u8' },
    { name: 'retryCnt', offset: 170, code: 'u8' },
    { name: 'rnrRetry', offset: 171, code: 'u8' },
  ],
};

/** `struct xctl_rdma_retry`, 160 bytes. */
export interface XctlRdmaRetry {
  readonly hdr: XctlHdr;
  readonly id: XctlRdmaId;
  readonly sinceNs: number;
  readonly totalRetries: number;
  readonly totalRnr: number;
  readonly retries: number;
  readonly timeouts: number;
  readonly rnr: number;
  readonly retriesLeft: number;
}
/** Byte offsets in `struct xctl_rdma_retry`. */
export const XctlRdmaRetryLayout = {
  sizeBytes: 160,
  hdr: 0,
  id: 16,
  sinceNs: 120,
  totalRetries: 128,
  totalRnr: 136,
  retries: 144,
  timeouts: 148,
  rnr: 152,
  retriesLeft: 156,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlRdmaRetry(view: DataView, at: number): XctlRdmaRetry {
  return {
    hdr: decodeXctlHdr(view, at),
    id: decodeXctlRdmaId(view, at + 16),
    sinceNs: view.getUint32(at + 120, true) + view.getUint32(at + 120 + 4, true) * 0x1_0000_0000,
    totalRetries: view.getUint32(at + 128, true) + view.getUint32(at + 128 + 4, true) * 0x1_0000_0000,
    totalRnr: view.getUint32(at + 136, true) + view.getUint32(at + 136 + 4, true) * 0x1_0000_0000,
    retries: view.getUint32(at + 144, true),
    timeouts: view.getUint32(at + 148, true),
    rnr: view.getUint32(at + 152, true),
    retriesLeft: view.getUint32(at + 156, true),
  };
}
const XctlRdmaRetryFields: AbiStruct = {
  sizeBytes: 160,
  fields: [
    { name: 'hdr', offset: 0, code: 'struct', struct: 'XctlHdr' },
    { name: 'id', offset: 16, code: 'struct', struct: 'XctlRdmaId' },
    { name: 'sinceNs', offset: 120, code: 'u64' },
    { name: 'totalRetries', offset: 128, code: 'u64' },
    { name: 'totalRnr', offset: 136, code: 'u64' },
    { name: 'retries', offset: 144, code: 'u32' },
    { name: 'timeouts', offset: 148, code: 'u32' },
    { name: 'rnr', offset: 152, code: 'u32' },
    { name: 'retriesLeft', offset: 156, code: 'u32' },
  ],
};

/** `struct xctl_rdma_completion`, 128 bytes. */
export interface XctlRdmaCompletion {
  readonly hdr: XctlHdr;
  readonly id: XctlRdmaId;
  readonly status: number;
  readonly vendorErr: number;
}
/** Byte offsets in `struct xctl_rdma_completion`. */
export const XctlRdmaCompletionLayout = {
  sizeBytes: 128,
  hdr: 0,
  id: 16,
  status: 120,
  vendorErr: 124,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlRdmaCompletion(view: DataView, at: number): XctlRdmaCompletion {
  return {
    hdr: decodeXctlHdr(view, at),
    id: decodeXctlRdmaId(view, at + 16),
    status: view.getUint32(at + 120, true),
    vendorErr: view.getUint32(at + 124, true),
  };
}
const XctlRdmaCompletionFields: AbiStruct = {
  sizeBytes: 128,
  fields: [
    { name: 'hdr', offset: 0, code: 'struct', struct: 'XctlHdr' },
    { name: 'id', offset: 16, code: 'struct', struct: 'XctlRdmaId' },
    { name: 'status', offset: 120, code: 'u32' },
    { name: 'vendorErr', offset: 124, code: 'u32' },
  ],
};

/** `struct xctl_rdma_async`, 128 bytes. */
export interface XctlRdmaAsync {
  readonly hdr: XctlHdr;
  readonly id: XctlRdmaId;
  readonly event: number;
}
/** Byte offsets in `struct xctl_rdma_async`. */
export const XctlRdmaAsyncLayout = {
  sizeBytes: 128,
  hdr: 0,
  id: 16,
  event: 120,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlRdmaAsync(view: DataView, at: number): XctlRdmaAsync {
  return {
    hdr: decodeXctlHdr(view, at),
    id: decodeXctlRdmaId(view, at + 16),
    event: view.getUint32(at + 120, true),
  };
}
const XctlRdmaAsyncFields: AbiStruct = {
  sizeBytes: 128,
  fields: [
    { name: 'hdr', offset: 0, code: 'struct', struct: 'XctlHdr' },
    { name: 'id', offset: 16, code: 'struct', struct: 'XctlRdmaId' },
    { name: 'event', offset: 120, code: 'u32' },
  ],
};

/** `struct xctl_rdma_cm`, 168 bytes. */
export interface XctlRdmaCm {
  readonly hdr: XctlHdr;
  readonly id: XctlRdmaId;
  readonly laddr: Uint8Array;
  readonly raddr: Uint8Array;
  readonly event: number;
  readonly status: number;
  readonly family: number;
  readonly lport: number;
  readonly rport: number;
}
/** Byte offsets in `struct xctl_rdma_cm`. */
export const XctlRdmaCmLayout = {
  sizeBytes: 168,
  hdr: 0,
  id: 16,
  laddr: 120,
  raddr: 136,
  event: 152,
  status: 156,
  family: 160,
  lport: 162,
  rport: 164,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlRdmaCm(view: DataView, at: number): XctlRdmaCm {
  return {
    hdr: decodeXctlHdr(view, at),
    id: decodeXctlRdmaId(view, at + 16),
    laddr: readBytes(view, at + 120, 16),
    raddr: readBytes(view, at + 136, 16),
    event: view.getUint32(at + 152, true),
    status: view.getInt32(at + 156, true),
    family: view.getUint16(at + 160, true),
    lport: view.getUint16(at + 162, true),
    rport: view.getUint16(at + 164, true),
  };
}
const XctlRdmaCmFields: AbiStruct = {
  sizeBytes: 168,
  fields: [
    { name: 'hdr', offset: 0, code: 'struct', struct: 'XctlHdr' },
    { name: 'id', offset: 16, code: 'struct', struct: 'XctlRdmaId' },
    { name: 'laddr', offset: 120, code: 'bytes', length: 16 },
    { name: 'raddr', offset: 136, code: 'bytes', length: 16 },
    { name: 'event', offset: 152, code: 'u32' },
    { name: 'status', offset: 156, code: 's32' },
    { name: 'family', offset: 160, code: 'u16' },
    { name: 'lport', offset: 162, code: 'u16' },
    { name: 'rport', offset: 164, code: 'u16' },
  ],
};

/** `struct xctl_rdma_memory_key`, 16 bytes. */
export interface XctlRdmaMemoryKey {
  readonly startNs: number;
  readonly pid: number;
}
/** Byte offsets in `struct xctl_rdma_memory_key`. */
export const XctlRdmaMemoryKeyLayout = {
  sizeBytes: 16,
  startNs: 0,
  pid: 8,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlRdmaMemoryKey(view: DataView, at: number): XctlRdmaMemoryKey {
  return {
    startNs: view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000,
    pid: view.getUint32(at + 8, true),
  };
}
const XctlRdmaMemoryKeyFields: AbiStruct = {
  sizeBytes: 16,
  fields: [
    { name: 'startNs', offset: 0, code: 'u64' },
    { name: 'pid', offset: 8, code: 'u32' },
  ],
};

/** `struct xctl_rdma_memory`, 16 bytes. */
export interface XctlRdmaMemory {
  readonly bytes: number;
  readonly regions: number;
}
/** Byte offsets in `struct xctl_rdma_memory`. */
export const XctlRdmaMemoryLayout = {
  sizeBytes: 16,
  bytes: 0,
  regions: 8,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlRdmaMemory(view: DataView, at: number): XctlRdmaMemory {
  return {
    bytes: view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000,
    regions: view.getUint32(at + 8, true) + view.getUint32(at + 8 + 4, true) * 0x1_0000_0000,
  };
}
const XctlRdmaMemoryFields: AbiStruct = {
  sizeBytes: 16,
  fields: [
    { name: 'bytes', offset: 0, code: 'u64' },
    { name: 'regions', offset: 8, code: 'u64' },
  ],
};

/** `struct xctl_rxe_device`, 24 bytes. */
export interface XctlRxeDevice {
  readonly counter: number;
  readonly first: number;
  readonly told: number;
}
/** Byte offsets in `struct xctl_rxe_device`. */
export const XctlRxeDeviceLayout = {
  sizeBytes: 24,
  counter: 0,
  first: 8,
  told: 16,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlRxeDevice(view: DataView, at: number): XctlRxeDevice {
  return {
    counter: view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000,
    first: view.getUint32(at + 8, true) + view.getUint32(at + 8 + 4, true) * 0x1_0000_0000,
    told: view.getUint32(at + 16, true) + view.getUint32(at + 16 + 4, true) * 0x1_0000_0000,
  };
}
const XctlRxeDeviceFields: AbiStruct = {
  sizeBytes: 24,
  fields: [
    { name: 'counter', offset: 0, code: 'u64' },
    { name: 'first', offset: 8, code: 'u64' },
    { name: 'told', offset: 16, code: 'u64' },
  ],
};

/** `struct xctl_verbs_file`, 152 bytes. */
export interface XctlVerbsFile {
  readonly hdr: XctlHdr;
  readonly startNs: number;
  readonly handles: readonly number[];
  readonly qpns: readonly number[];
  readonly fd: number;
  readonly qps: number;
  readonly driver: number;
  readonly device: string;
}
/** Byte offsets in `struct xctl_verbs_file`. */
export const XctlVerbsFileLayout = {
  sizeBytes: 152,
  hdr: 0,
  startNs: 16,
  handles: 24,
  qpns: 56,
  fd: 72,
  qps: 76,
  driver: 80,
  device: 88,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlVerbsFile(view: DataView, at: number): XctlVerbsFile {
  return {
    hdr: decodeXctlHdr(view, at),
    startNs: view.getUint32(at + 16, true) + view.getUint32(at + 16 + 4, true) * 0x1_0000_0000,
    handles: readUint64s(view, at + 24, 4),
    qpns: readUint32s(view, at + 56, 4),
    fd: view.getInt32(at + 72, true),
    qps: view.getUint32(at + 76, true),
    driver: view.getUint32(at + 80, true),
    device: readText(view, at + 88, 64),
  };
}
const XctlVerbsFileFields: AbiStruct = {
  sizeBytes: 152,
  fields: [
    { name: 'hdr', offset: 0, code: 'struct', struct: 'XctlHdr' },
    { name: 'startNs', offset: 16, code: 'u64' },
    { name: 'handles', offset: 24, code: 'u64s', length: 4 },
    { name: 'qpns', offset: 56, code: 'u32s', length: 4 },
    { name: 'fd', offset: 72, code: 's32' },
    { name: 'qps', offset: 76, code: 'u32' },
    { name: 'driver', offset: 80, code: 'u32' },
    { name: 'device', offset: 88, code: 'text', length: 64 },
  ],
};

/** `struct xctl_posts_key`, 24 bytes. */
export interface XctlPostsKey {
  readonly startNs: number;
  readonly qp: number;
  readonly pid: number;
}
/** Byte offsets in `struct xctl_posts_key`. */
export const XctlPostsKeyLayout = {
  sizeBytes: 24,
  startNs: 0,
  qp: 8,
  pid: 16,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlPostsKey(view: DataView, at: number): XctlPostsKey {
  return {
    startNs: view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000,
    qp: view.getUint32(at + 8, true) + view.getUint32(at + 8 + 4, true) * 0x1_0000_0000,
    pid: view.getUint32(at + 16, true),
  };
}
const XctlPostsKeyFields: AbiStruct = {
  sizeBytes: 24,
  fields: [
    { name: 'startNs', offset: 0, code: 'u64' },
    { name: 'qp', offset: 8, code: 'u64' },
    { name: 'pid', offset: 16, code: 'u32' },
  ],
};

/** `struct xctl_posts`, 120 bytes. */
export interface XctlPosts {
  readonly posts: number;
  readonly bytes: number;
  readonly cut: number;
  readonly lastNs: number;
  readonly source: number;
  readonly qpn: number;
  readonly driver: number;
  readonly outstanding: number;
  readonly known: number;
  readonly device: string;
}
/** Byte offsets in `struct xctl_posts`. */
export const XctlPostsLayout = {
  sizeBytes: 120,
  posts: 0,
  bytes: 8,
  cut: 16,
  lastNs: 24,
  source: 32,
  qpn: 40,
  driver: 44,
  outstanding: 48,
  known: 52,
  device: 56,
} as const;
/** Decodes the record at byte `at` of `view`. */
export function decodeXctlPosts(view: DataView, at: number): XctlPosts {
  return {
    posts: view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000,
    bytes: view.getUint32(at + 8, true) + view.getUint32(at + 8 + 4, true) * 0x1_0000_0000,
    cut: view.getUint32(at + 16, true) + view.getUint32(at + 16 + 4, true) * 0x1_0000_0000,
    lastNs: view.getUint32(at + 24, true) + view.getUint32(at + 24 + 4, true) * 0x1_0000_0000,
    source: view.getUint32(at + 32, true) + view.getUint32(at + 32 + 4, true) * 0x1_0000_0000,
    qpn: view.getUint32(at + 40, true),
    driver: view.getUint32(at + 44, true),
    outstanding: view.getInt32(at + 48, true),
    known: view.getUint32(at + 52, true),
    device: readText(view, at + 56, 64),
  };
}
const XctlPostsFields: AbiStruct = {
  sizeBytes: 120,
  fields: [
    { name: 'posts', offset: 0, code: 'u64' },
    { name: 'bytes', offset: 8, code: 'u64' },
    { name: 'cut', offset: 16, code: 'u64' },
    { name: 'lastNs', offset: 24, code: 'u64' },
    { name: 'source', offset: 32, code: 'u64' },
    { name: 'qpn', offset: 40, code: 'u32' },
    { name: 'driver', offset: 44, code: 'u32' },
    { name: 'outstanding', offset: 48, code: 's32' },
    { name: 'known', offset: 52, code: 'u32' },
    { name: 'device', offset: 56, code: 'text', length: 64 },
  ],
};

/** Every struct as data, for tools that write records (tests, fuzzers). */
export const abiStructs = {
  XctlHdr: XctlHdrFields,
  XctlProcess: XctlProcessFields,
  XctlProcessExec: XctlProcessExecFields,
  XctlProcessExit: XctlProcessExitFields,
  XctlProcessOom: XctlProcessOomFields,
  XctlOwner: XctlOwnerFields,
  XctlFlow: XctlFlowFields,
  XctlTcpState: XctlTcpStateFields,
  XctlTcp: XctlTcpFields,
  XctlWait: XctlWaitFields,
  XctlWaitMember: XctlWaitMemberFields,
  XctlWaitSame: XctlWaitSameFields,
  XctlWaitHolder: XctlWaitHolderFields,
  XctlBlockRq: XctlBlockRqFields,
  XctlBlockQueue: XctlBlockQueueFields,
  XctlBlockLatency: XctlBlockLatencyFields,
  XctlBlockConfig: XctlBlockConfigFields,
  XctlCgroupCpu: XctlCgroupCpuFields,
  XctlCgroupMemory: XctlCgroupMemoryFields,
  XctlMemoryUse: XctlMemoryUseFields,
  XctlFileUser: XctlFileUserFields,
  XctlNcclSplit: XctlNcclSplitFields,
  XctlNcclComm: XctlNcclCommFields,
  XctlNcclKey: XctlNcclKeyFields,
  XctlNcclCount: XctlNcclCountFields,
  XctlGpuWait: XctlGpuWaitFields,
  XctlRdmaId: XctlRdmaIdFields,
  XctlRdmaQp: XctlRdmaQpFields,
  XctlRdmaRetry: XctlRdmaRetryFields,
  XctlRdmaCompletion: XctlRdmaCompletionFields,
  XctlRdmaAsync: XctlRdmaAsyncFields,
  XctlRdmaCm: XctlRdmaCmFields,
  XctlRdmaMemoryKey: XctlRdmaMemoryKeyFields,
  XctlRdmaMemory: XctlRdmaMemoryFields,
  XctlRxeDevice: XctlRxeDeviceFields,
  XctlVerbsFile: XctlVerbsFileFields,
  XctlPostsKey: XctlPostsKeyFields,
  XctlPosts: XctlPostsFields,
} as const satisfies Readonly<Record<string, AbiStruct>>;
