/** What the graph knows of RDMA ports and queue pairs. */
import type {
  QpState,
  RdmaCounter,
  RdmaPortAttrs,
  RdmaPostsAttrs,
  RdmaQpAttrs,
  WcStatus,
} from '../events/rdma.js';
import type { Fact, NodeBase, Reading } from './model.js';

export interface RdmaPortNode extends NodeBase {
  readonly type: 'rdma-port';
  port: Reading<RdmaPortAttrs> | undefined;
  /** It is not active now. */
  down: PortDown | undefined;
  /** The time before the present one, kept for what came of it. */
  lastDown: (PortDown & { readonly until: number }) | undefined;
  /** Event times at which it left ACTIVE, of the last ten minutes, oldest first. */
  readonly falls: number[];
  /** Counters that have grown within the last minute, oldest first. */
  readonly windows: CounterWindow[];
  /** The driver tells the retries of each queue pair: those of the port say nothing more. */
  tellsQps: boolean;
  /** The driver gave the whole device up. */
  fatal: Fact | undefined;
  /** Its device has another name now: what is said of this one is over. */
  renamed: string | undefined;
}

export interface PortDown {
  /** As /sys spells it; `PORT_ERR` where only the driver's event is known. */
  readonly state: string;
  /** Event time since which it is so; or since which it is known to be so (`seen` is false). */
  readonly since: number;
  /** It was active before, under our eyes. */
  readonly seen: boolean;
  readonly fact: Fact;
}

export interface CounterWindow {
  readonly ts: number;
  readonly windowMs: number;
  readonly grew: Readonly<Partial<Record<RdmaCounter, number>>>;
  readonly fact: Fact;
}

/** The node of a number: numbers are used again, and each use is a life of its own. */
export interface QpNode extends NodeBase {
  readonly type: 'qp';
  life: QpLife;
}

export interface QpLife {
  /** Of its node. */
  readonly id: string;
  readonly generation: number;
  /** Event time at which the agent heard of it first. */
  readonly bornTs: number;
  attrs: QpKnown;
  fact: Fact;
  owner: QpOwner | undefined;
  /** Its owner has ended, or is not in the graph. */
  orphan: boolean;
  /** Event time at which it reached RTS last. */
  connectedTs: number | undefined;
  /** It sends again and again, and nothing comes back. */
  run: RetryRun | undefined;
  /** The one before, and what ended it. */
  lastRun: (RetryRun & { readonly until: number }) | undefined;
  /** What it had to send again within the last ten seconds, oldest first. */
  readonly windows: RetryWindow[];
  /** It cannot be used any more: a work request failed, or it went into ERR. */
  failure: QpFailure | undefined;
  /** The last `modify`, where it was refused. */
  refused: Refusal | undefined;
  posts: Reading<RdmaPostsAttrs> | undefined;
  gone: { readonly ts: number; readonly exiting: boolean; readonly fact: Fact } | undefined;
}

/** As far as it is known: of one that was there before the agent, and of a driver that does not tell, that is little. */
export type QpKnown = Pick<RdmaQpAttrs, 'device' | 'qpn'> & {
  readonly state?: QpState;
} & Partial<
    Pick<
      RdmaQpAttrs,
      | 'port'
      | 'type'
      | 'local'
      | 'remote'
      | 'remoteLid'
      | 'remoteQpn'
      | 'ackTimeoutMs'
      | 'retryCnt'
      | 'rnrRetry'
      | 'netns'
    >
  >;

export interface Refusal {
  readonly fact: Fact;
  readonly errno: string;
  readonly ts: number;
  /** In which it stayed. */
  readonly state: QpState;
  readonly remote: string | undefined;
}

/** The process that created it: who has it by a fork is not known. */
export interface QpOwner {
  readonly pid: number;
  readonly start: number;
  readonly comm: string;
}

export interface RetryWindow {
  readonly ts: number;
  readonly retries: number;
  readonly timeouts: number;
  readonly rnr: number;
  readonly answered: boolean;
  readonly fact: Fact;
}

/** Retries without an answer in between. */
export interface RetryRun {
  readonly since: number;
  readonly retries: number;
  readonly timeouts: number;
  readonly rnr: number;
  /** RNR NAKs in its last window: the peer does answer, and has no receive posted. */
  readonly lastRnr: number;
  readonly retriesLeft: number | undefined;
  readonly fact: Fact;
}

export interface QpFailure {
  /** Undefined: it went into ERR, and no completion said why. */
  readonly status: WcStatus | undefined;
  readonly vendorErr: number | undefined;
  /** `QP_FATAL`, where the driver told of it. */
  readonly async: string | undefined;
  readonly ts: number;
  /** Event time at which the retries began that ended in it; else `ts`. */
  readonly since: number;
  readonly facts: readonly Fact[];
}

/** What RDMA has to say of a process. */
export interface ProcessRdma {
  /** Of its queue pairs, the first that was in trouble of late. */
  failed: QpLife | undefined;
  /** Connections that the connection manager could not make, one after the other to one address. */
  connect: CmFailures | undefined;
  memory: { readonly fact: Fact; readonly regions: number; readonly bytes: number } | undefined;
}

export interface CmFailures {
  readonly event: string;
  readonly status: number;
  readonly remote: string;
  readonly remotePort: number | undefined;
  readonly since: number;
  readonly count: number;
  readonly fact: Fact;
}
