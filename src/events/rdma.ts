/**
 * What probe `rdma` sees of devices, ports, queue pairs and connections, as attributes of the rdma.* events. Names are
 * those of the InfiniBand specification and of libibverbs. Absent fields are unknown, never 0.
 */

/** `ib_port_state`, as /sys/class/infiniband spells it; `GONE`: the device was taken away. */
export const PORT_STATES = ['NOP', 'DOWN', 'INIT', 'ARMED', 'ACTIVE', 'ACTIVE_DEFER', 'GONE'] as const;
export type PortState = (typeof PORT_STATES)[number];

/** A port as it is; entity `rdma:mlx5_0/1`. */
export interface RdmaPortAttrs {
  readonly device: string;
  readonly port: number;
  readonly state: PortState;
  /** `LinkUp`, `Polling`, `Disabled`, … */
  readonly physState?: string;
  readonly linkLayer?: 'InfiniBand' | 'Ethernet';
  readonly rateGbps?: number;
  /** Kernel driver: `mlx5_core`, `rdma_rxe`. */
  readonly driver?: string;
  /** Ethernet: the network interface below. */
  readonly netdev?: string;
  /** PCI address as in /sys; absent for software devices. */
  readonly pci?: string;
  /** Times that the link left ACTIVE within the last ten minutes, and event times (ms) of the last of them. */
  readonly flaps?: number;
  readonly flapTimes?: readonly number[];
  /** Event time (ms) since which it is in this state, where the agent saw it change. */
  readonly since?: number;
}

/** What counters of all vendors have in common; docs/rdma.md has their names by vendor. */
export const RDMA_COUNTERS = [
  /** The sender's ACK timer expired. */
  'timeouts',
  /** The sender was told of a gap (NAK sequence error): the fabric lost a packet. */
  'sequenceErrors',
  /** Retries begun, where the device does not tell by what (rxe). */
  'retries',
  /** Packets received out of order, or after a loss. */
  'outOfOrder',
  /** Received twice: the peer has sent again. */
  'duplicates',
  /** RNR NAK received: the peer has no receive posted. */
  'rnrReceived',
  /** RNR NAK sent, or no buffer for what came in: the receiver here is slow. */
  'rnrSent',
  /** Gave up: retries exceeded. */
  'gaveUp',
  'rnrGaveUp',
  /** Work requests that ended in error, and that were flushed. */
  'failedCompletions',
  'flushedCompletions',
  /** Congestion notification packets sent, handled; ECN marks seen. */
  'cnpSent',
  'cnpHandled',
  'ecnMarked',
  /** InfiniBand: ticks in which something was to be sent and the other side of the link had no room. */
  'xmitWait',
  /** Remote side refused: access, invalid request, operation. */
  'remoteErrors',
  /** Local errors of the link: symbol errors, integrity, buffer overrun; discards; times it went down. */
  'linkErrors',
  'discards',
  'linkDowned',
  'txPackets',
  'rxPackets',
  'txBytes',
  'rxBytes',
] as const;
export type RdmaCounter = (typeof RDMA_COUNTERS)[number];

/** How much the counters of a port have grown; entity `rdma:…`. */
export interface RdmaCountersAttrs {
  readonly device: string;
  readonly port: number;
  /** Over which time. */
  readonly windowMs: number;
  /** Only those that the device has. */
  readonly grew: Readonly<Partial<Record<RdmaCounter, number>>>;
  /** A counter went back, and not by wrapping: the device was reset, and nothing is said of the time before. */
  readonly reset?: true;
}

/** `UNKNOWN`: it was there before the agent, and its driver keeps the state in the device alone. */
export const QP_STATES = [
  'RESET',
  'INIT',
  'RTR',
  'RTS',
  'SQD',
  'SQE',
  'ERR',
  'DESTROYED',
  'UNKNOWN',
] as const;
export type QpState = (typeof QP_STATES)[number];
export const QP_TYPES = [
  'SMI',
  'GSI',
  'RC',
  'UC',
  'UD',
  'RAW_PACKET',
  'XRC_INI',
  'XRC_TGT',
  'DRIVER',
  'OTHER',
] as const;
export type QpType = (typeof QP_TYPES)[number];

/** A queue pair as it is after a change; entity `qp:mlx5_0/291`; pid is its owner by the restrack entry. */
export interface RdmaQpAttrs {
  readonly device: string;
  readonly qpn: number;
  readonly port?: number;
  readonly type: QpType;
  readonly state: QpState;
  /** Of the owner: the process that created it. Absent with pid: the kernel's own. */
  readonly start?: number;
  readonly comm?: string;
  /** Inode of the owner's network namespace, whose addresses these are. */
  readonly netns?: number;
  /** `seen`: was there before the agent. `error`: it went into ERR or SQE without being asked to. */
  readonly change: 'seen' | 'create' | 'modify' | 'destroy' | 'error';
  /** It is not the first of its number: increases with every creation that the agent saw (numbers are reused). */
  readonly generation: number;
  /** Own and remote address: GIDs that hold an IPv4 address as that; remote LID where there is no GID. */
  readonly local?: string;
  readonly remote?: string;
  readonly remoteLid?: number;
  readonly remoteQpn?: number;
  /** 4.096 us × 2^timeout, ms; 0: for ever. */
  readonly ackTimeoutMs?: number;
  readonly retryCnt?: number;
  readonly rnrRetry?: number;
  /** modify was refused: its errno, `EINVAL`; the state is unchanged. */
  readonly errno?: string;
  /** Its process was ending when it was destroyed. */
  readonly exiting?: true;
}

/** What a queue pair had to send again; entity `qp:…`, as far as the driver tells (rxe). value: retries in this window */
export interface RdmaRetryAttrs {
  readonly device: string;
  readonly qpn: number;
  readonly generation: number;
  readonly start?: number;
  /** In this window: retries begun; of them by the ACK timer; and RNR NAKs received. */
  readonly retries: number;
  readonly timeouts: number;
  readonly rnr: number;
  /** Since it was created, seen by the agent. */
  readonly totalRetries: number;
  readonly totalRnr: number;
  /** Event time (ms) since which it has retried without an ACK in between; absent: it has been answered since. */
  readonly since?: number;
  /** Of its retry limit, left; 7 for ever at rxe. */
  readonly retriesLeft?: number;
}

/** `ibv_wc_status`, as libibverbs spells it. */
export const WC_STATUSES = [
  'SUCCESS',
  'LOC_LEN_ERR',
  'LOC_QP_OP_ERR',
  'LOC_EEC_OP_ERR',
  'LOC_PROT_ERR',
  'WR_FLUSH_ERR',
  'MW_BIND_ERR',
  'BAD_RESP_ERR',
  'LOC_ACCESS_ERR',
  'REM_INV_REQ_ERR',
  'REM_ACCESS_ERR',
  'REM_OP_ERR',
  'RETRY_EXC_ERR',
  'RNR_RETRY_EXC_ERR',
  'LOC_RDD_VIOL_ERR',
  'REM_INV_RD_REQ_ERR',
  'REM_ABORT_ERR',
  'INV_EECN_ERR',
  'INV_EEC_STATE_ERR',
  'FATAL_ERR',
  'RESP_TIMEOUT_ERR',
  'GENERAL_ERR',
] as const;
export type WcStatus = (typeof WC_STATUSES)[number];

/** A work request that failed, the first of a queue pair and no flushed one; entity `qp:…`. value: suppressed since + 1 */
export interface RdmaCompletionAttrs {
  readonly device: string;
  readonly qpn: number;
  readonly generation: number;
  readonly start?: number;
  readonly status: WcStatus;
  readonly vendorErr?: number;
}

/** An asynchronous event of the driver (`ib_event_type`); entity `qp:…`, `rdma:…/PORT` or `rdma:DEVICE`. value 0 */
export interface RdmaAsyncAttrs {
  readonly device: string;
  /** `QP_FATAL`, `PORT_ERR`, `DEVICE_FATAL`, … as the kernel's enum without IB_EVENT_. */
  readonly event: string;
  readonly port?: number;
  readonly qpn?: number;
  readonly generation?: number;
  readonly start?: number;
}

/** An event of the RDMA connection manager; entity is the process, else the peer. value: errno, 0: none */
export interface RdmaCmAttrs {
  /**
   * `CONNECT_REQUEST`, `ESTABLISHED`, `UNREACHABLE`, `REJECTED`, `DISCONNECTED`, … without RDMA_CM_EVENT_; as the kernel
   * tells the library, which makes ESTABLISHED of the CONNECT_RESPONSE that whoever connects is told of.
   */
  readonly event: string;
  readonly status: number;
  readonly start?: number;
  readonly device?: string;
  readonly qpn?: number;
  readonly local?: string;
  readonly remote?: string;
  readonly remotePort?: number;
}

/** What a process holds of RDMA, when that has changed, at most once a second; entity is the process. value: bytes registered */
export interface RdmaMemoryAttrs {
  readonly start: number;
  readonly regions: number;
  readonly bytes: number;
}

/** Verbs of one queue pair (`--rdma-trace`); entity `qp:…`. value: work requests posted in this window */
export interface RdmaPostsAttrs {
  readonly device: string;
  readonly qpn: number;
  readonly start: number;
  readonly windowMs: number;
  readonly posts: number;
  readonly bytes: number;
  readonly totalPosts: number;
  /** Posted and not completed, as far as it is known; and since when the oldest of them, event time, ms. */
  readonly outstanding?: number;
  readonly oldest?: number;
  /** Of the last post, event time, ms. */
  readonly last?: number;
  /** The probes were taken off: these are the last counts. */
  readonly stopped?: true;
}
