/** The kernel's records of queue pairs (bpf/rdma*.bpf.c) as data; every function returns a copy. */
import { getSystemErrorName } from 'node:util';
import type { QpState, QpType, RdmaQpAttrs } from '../events/rdma.js';
import {
  XctlHdrLayout,
  XctlQpChange,
  XctlRdmaAsyncLayout,
  XctlRdmaCmLayout,
  XctlRdmaCompletionLayout,
  XctlRdmaIdLayout,
  XctlRdmaQpLayout,
  XctlRdmaRetryLayout,
} from '../kernel/abi.generated.js';
import { readComm, readText } from '../kernel/abi-read.js';
import { printable } from '../util/text.js';
import { formatAddress } from './address.js';
import {
  ackTimeoutMs,
  asyncEventName,
  cmEventName,
  formatGid,
  qpStateName,
  qpTypeName,
  wcStatusName,
} from './rdma-names.js';
import { shownName } from './rdma-sysfs.js';
import { u64 } from './records.js';

const I = XctlRdmaIdLayout;
const NAME_BYTES = 64;
const AF_INET = 2;
const AF_INET6 = 10;

/** XCTL_QF_* */
const STATE = 1;
const LOCAL = 2;
const REMOTE_GID = 4;
const REMOTE_LID = 8;
const REMOTE_QPN = 16;
const TIMEOUT = 32;
const RETRY_CNT = 64;
const RNR_RETRY = 128;
const EXITING = 256;

export interface RdmaOwner {
  readonly pid: number;
  /** Nanoseconds since boot. */
  readonly start: number;
  readonly comm: string;
  readonly netns?: number;
}

/** Which queue pair a record is about, and whose it is; `owner` is absent for the kernel's own. */
export interface RdmaId {
  /** Of the device, whatever its name. */
  readonly index: number;
  readonly device: string;
  /** 0: none is meant. */
  readonly qpn: number;
  readonly port?: number;
  readonly owner?: RdmaOwner;
}

/** @param at of the record; the identity follows its header in all of them */
export function idOf(view: DataView, at: number): RdmaId {
  const id = at + XctlHdrLayout.sizeBytes;
  const pid = view.getUint32(at + XctlHdrLayout.pid, true);
  const port = view.getUint32(id + I.port, true);
  const netns = view.getUint32(id + I.netns, true);
  return {
    index: view.getUint32(id + I.dev, true),
    device: shownName(readText(view, id + I.device, NAME_BYTES)),
    qpn: view.getUint32(id + I.qpn, true),
    ...(port !== 0 && { port }),
    ...(pid !== 0 && {
      owner: {
        pid,
        start: u64(view, id + I.startNs),
        comm: printable(readComm(view, id + I.comm)),
        ...(netns !== 0 && { netns }),
      },
    }),
  };
}

const CHANGES: Readonly<Record<number, RdmaQpAttrs['change']>> = {
  [XctlQpChange.SEEN]: 'seen',
  [XctlQpChange.CREATE]: 'create',
  [XctlQpChange.MODIFY]: 'modify',
  [XctlQpChange.DESTROY]: 'destroy',
  [XctlQpChange.ERROR]: 'error',
};

/** What a change says of a queue pair; what it does not say is absent. */
export interface QpChange {
  readonly change: RdmaQpAttrs['change'];
  readonly type: QpType;
  readonly state?: QpState;
  /** It was refused: nothing has changed. */
  readonly errno?: string;
  readonly exiting: boolean;
  readonly connection: QpConnection;
}

/** What connects it, as far as it is known. */
export type QpConnection = Pick<
  RdmaQpAttrs,
  'local' | 'remote' | 'remoteLid' | 'remoteQpn' | 'ackTimeoutMs' | 'retryCnt' | 'rnrRetry'
>;

/** @returns undefined when it is of a kind that this agent does not know. */
export function qpChangeOf(view: DataView, at: number): QpChange | undefined {
  const Q = XctlRdmaQpLayout;
  const change = CHANGES[view.getUint8(at + Q.change)];
  if (change === undefined) return undefined;
  const flags = view.getUint32(at + Q.flags, true);
  const err = view.getInt32(at + Q.err, true);
  return {
    change,
    type: qpTypeName(view.getUint8(at + Q.type)),
    ...((flags & STATE) !== 0 && { state: qpStateName(view.getUint8(at + Q.state)) }),
    ...(err !== 0 && { errno: errnoName(err) }),
    exiting: (flags & EXITING) !== 0,
    connection: connectionOf(view, at, flags),
  };
}

function connectionOf(view: DataView, at: number, flags: number): QpConnection {
  const Q = XctlRdmaQpLayout;
  const local = (flags & LOCAL) === 0 ? undefined : formatGid(view, at + Q.localGid);
  const remote = (flags & REMOTE_GID) === 0 ? undefined : formatGid(view, at + Q.remoteGid);
  const lid = view.getUint16(at + Q.remoteLid, true);
  return {
    ...(local !== undefined && { local }),
    ...(remote !== undefined && { remote }),
    ...((flags & REMOTE_LID) !== 0 && lid !== 0 && { remoteLid: lid }),
    ...((flags & REMOTE_QPN) !== 0 && { remoteQpn: view.getUint32(at + Q.remoteQpn, true) }),
    ...((flags & TIMEOUT) !== 0 && { ackTimeoutMs: ackTimeoutMs(view.getUint8(at + Q.timeout)) }),
    ...((flags & RETRY_CNT) !== 0 && { retryCnt: view.getUint8(at + Q.retryCnt) }),
    ...((flags & RNR_RETRY) !== 0 && { rnrRetry: view.getUint8(at + Q.rnrRetry) }),
  };
}

export interface RetryRecord {
  /** Nanoseconds since boot; 0: it has been answered. */
  readonly sinceNs: number;
  readonly totalRetries: number;
  readonly totalRnr: number;
  readonly retries: number;
  readonly timeouts: number;
  readonly rnr: number;
  readonly retriesLeft: number;
}

export function retryOf(view: DataView, at: number): RetryRecord {
  const R = XctlRdmaRetryLayout;
  return {
    sinceNs: u64(view, at + R.sinceNs),
    totalRetries: u64(view, at + R.totalRetries),
    totalRnr: u64(view, at + R.totalRnr),
    retries: view.getUint32(at + R.retries, true),
    timeouts: view.getUint32(at + R.timeouts, true),
    rnr: view.getUint32(at + R.rnr, true),
    retriesLeft: view.getUint32(at + R.retriesLeft, true),
  };
}

export function completionOf(view: DataView, at: number) {
  const C = XctlRdmaCompletionLayout;
  const vendorErr = view.getUint32(at + C.vendorErr, true);
  return {
    status: wcStatusName(view.getUint32(at + C.status, true)),
    ...(vendorErr !== 0 && { vendorErr }),
  };
}

export function asyncEventOf(view: DataView, at: number): string {
  return asyncEventName(view.getUint32(at + XctlRdmaAsyncLayout.event, true));
}

export function connectionEventOf(view: DataView, at: number) {
  const C = XctlRdmaCmLayout;
  const family = view.getUint16(at + C.family, true);
  const ip = family === AF_INET || family === AF_INET6;
  const address = (from: number): string => formatAddress(view, from, family === AF_INET);
  const remotePort = view.getUint16(at + C.rport, true);
  return {
    event: cmEventName(view.getUint32(at + C.event, true)),
    status: view.getInt32(at + C.status, true),
    ...(ip && { local: address(at + C.laddr), remote: address(at + C.raddr) }),
    ...(ip && remotePort !== 0 && { remotePort }),
  };
}

/** The kernel has some of its own (EPROBE_DEFER) that nobody else knows. */
function errnoName(err: number): string {
  const name = getSystemErrorName(err);
  return /^E[A-Z0-9]+$/.test(name) ? name : `ERRNO_${Math.abs(err)}`;
}
