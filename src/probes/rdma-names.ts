/** Numbers of the InfiniBand verbs as the names that events have: the kernel's and libibverbs' enums, and addresses. */
import { QP_STATES, type QpState, type QpType, WC_STATUSES, type WcStatus } from '../events/rdma.js';
import { formatAddress } from './address.js';

const GID_BYTES = 16;

const TYPES: Readonly<Record<number, QpType>> = {
  0: 'SMI',
  1: 'GSI',
  2: 'RC',
  3: 'UC',
  4: 'UD',
  8: 'RAW_PACKET',
  9: 'XRC_INI',
  10: 'XRC_TGT',
  255: 'DRIVER',
};

/** `enum ib_qp_type` */
export function qpTypeName(type: number): QpType {
  return TYPES[type] ?? 'OTHER';
}

/** `enum ib_qp_state`; the last two of ours are not the kernel's. */
export function qpStateName(state: number): QpState {
  return state <= 6 ? (QP_STATES[state] ?? 'UNKNOWN') : 'UNKNOWN';
}

/** `enum ib_wc_status` */
export function wcStatusName(status: number): WcStatus {
  return WC_STATUSES[status] ?? 'GENERAL_ERR';
}

/** `enum ib_event_type` without IB_EVENT_ */
const ASYNC_EVENTS = [
  'CQ_ERR',
  'QP_FATAL',
  'QP_REQ_ERR',
  'QP_ACCESS_ERR',
  'COMM_EST',
  'SQ_DRAINED',
  'PATH_MIG',
  'PATH_MIG_ERR',
  'DEVICE_FATAL',
  'PORT_ACTIVE',
  'PORT_ERR',
  'LID_CHANGE',
  'PKEY_CHANGE',
  'SM_CHANGE',
  'SRQ_ERR',
  'SRQ_LIMIT_REACHED',
  'QP_LAST_WQE_REACHED',
  'CLIENT_REREGISTER',
  'GID_CHANGE',
  'WQ_FATAL',
] as const;

/** After these the queue pair is in ERR, as the specification has it. */
const QP_ERRORS: ReadonlySet<string> = new Set(['QP_FATAL', 'QP_REQ_ERR', 'QP_ACCESS_ERR']);

export function asyncEventName(event: number): string {
  return ASYNC_EVENTS[event] ?? `EVENT_${event}`;
}

export function isQpError(event: string): boolean {
  return QP_ERRORS.has(event);
}

/** `enum rdma_cm_event_type` without RDMA_CM_EVENT_ */
const CM_EVENTS = [
  'ADDR_RESOLVED',
  'ADDR_ERROR',
  'ROUTE_RESOLVED',
  'ROUTE_ERROR',
  'CONNECT_REQUEST',
  'CONNECT_RESPONSE',
  'CONNECT_ERROR',
  'UNREACHABLE',
  'REJECTED',
  'ESTABLISHED',
  'DISCONNECTED',
  'DEVICE_REMOVAL',
  'MULTICAST_JOIN',
  'MULTICAST_ERROR',
  'ADDR_CHANGE',
  'TIMEWAIT_EXIT',
] as const;

export function cmEventName(event: number): string {
  return CM_EVENTS[event] ?? `EVENT_${event}`;
}

/** 4.096 us × 2^timeout, in ms; 0 stands for no timeout at all. */
export function ackTimeoutMs(timeout: number): number {
  return timeout === 0 ? 0 : 0.004096 * 2 ** (timeout & 31);
}

/** A GID; one that holds an IPv4 address (RoCE) as that. Undefined when it is all zero. */
export function formatGid(view: DataView, at: number): string | undefined {
  let zeros = 0;
  while (zeros < GID_BYTES && view.getUint8(at + zeros) === 0) zeros++;
  if (zeros === GID_BYTES) return undefined;
  const mapped = zeros === 10 && view.getUint16(at + 10, false) === 0xffff;
  return mapped ? formatAddress(view, at + 12, true) : formatAddress(view, at, false);
}
