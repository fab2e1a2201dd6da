/**
 * `struct xctl_flow`, `xctl_tcp_state` and `xctl_owner` (bpf/xctl_events.h) as the attributes of an
 * event. Read where they lie, field by field: this runs once for every record of a busy ring.
 */
import type { FlowAttrs, OwnerHow, SocketOwner } from '../events/event.js';
import {
  XctlFlowLayout,
  XctlOwnerHow,
  XctlOwnerLayout,
  XctlTcpLayout,
  XctlTcpStateLayout,
} from '../kernel/abi.generated.js';
import { readText } from '../kernel/abi-read.js';
import { type FlowEntry, NO_OWNER } from './flow-table.js';
import { u64 } from './records.js';

/** By number, include/net/tcp_states.h. */
const STATES = [
  'UNKNOWN',
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'FIN_WAIT1',
  'FIN_WAIT2',
  'TIME_WAIT',
  'CLOSE',
  'CLOSE_WAIT',
  'LAST_ACK',
  'LISTEN',
  'CLOSING',
  'NEW_SYN_RECV',
  'BOUND_INACTIVE',
] as const;

/** By number, include/uapi/linux/tcp.h, enum tcp_ca_state. */
const CA_STATES = ['Open', 'Disorder', 'CWR', 'Recovery', 'Loss'] as const;

const HOWS: Readonly<Record<number, OwnerHow>> = {
  [XctlOwnerHow.CONNECT]: 'connect',
  [XctlOwnerHow.ACCEPT]: 'accept',
  [XctlOwnerHow.SEND]: 'send',
  [XctlOwnerHow.ITER]: 'iter',
  [XctlOwnerHow.LISTENER]: 'listener',
};

const F = XctlFlowLayout;
const S = XctlTcpStateLayout;
const O = XctlOwnerLayout;
const T = XctlTcpLayout;

/**
 * @param flow the flow that `view` holds at `flowAt`.
 * @param stateAt byte offset of its `struct xctl_tcp_state`.
 * @param sinceMs start of its trouble as event time, when it is known to be in trouble.
 * @returns attributes with nobody as owner: a record of another probe than tcp does not carry one.
 */
export function flowAttrs(
  flow: FlowEntry,
  view: DataView,
  flowAt: number,
  stateAt: number,
  sinceMs?: number,
): FlowAttrs {
  return attrsOf(flow, NO_OWNER, view, flowAt, stateAt, sinceMs);
}

/** The attributes of the `struct xctl_tcp` at byte `at`, with the owner that it names. */
export function tcpAttrs(flow: FlowEntry, view: DataView, at: number, sinceMs?: number): FlowAttrs {
  flow.memo.retransmits = view.getUint32(at + T.retransEvents, true);
  flow.memo.timeouts = view.getUint32(at + T.timeoutEvents, true);
  return attrsOf(flow, ownerOf(flow, view, at + T.owner), view, at + T.flow, at + T.tcp, sinceMs);
}

function attrsOf(
  flow: FlowEntry,
  owner: SocketOwner,
  view: DataView,
  flowAt: number,
  at: number,
  sinceMs: number | undefined,
): FlowAttrs {
  const attrs: { -readonly [K in keyof FlowAttrs]: FlowAttrs[K] } = {
    family: flow.family,
    local: flow.local,
    lport: flow.lport,
    remote: flow.remote,
    rport: flow.rport,
    netns: flow.netns,
    state: STATES[view.getUint8(flowAt + F.state)] ?? 'UNKNOWN',
    caState: CA_STATES[view.getUint8(flowAt + F.caState)] ?? 'Open',
    owner,
    srttUs: view.getUint32(at + S.srttUs, true),
    rtoMs: view.getUint32(at + S.rtoUs, true) / 1000,
    unackedBytes: view.getUint32(at + S.unackedBytes, true),
    writeQueueBytes: view.getUint32(at + S.writeQueueBytes, true),
    rcvQueueBytes: view.getUint32(at + S.rcvQueueBytes, true),
    sndWndBytes: view.getUint32(at + S.sndWnd, true),
    backoff: timeoutsInARow(view, at),
    probesOut: view.getUint32(at + S.probesOut, true),
    totalRetrans: view.getUint32(at + S.totalRetrans, true),
    retransmits: flow.memo.retransmits,
    timeouts: flow.memo.timeouts,
    bytesAcked: u64(view, at + S.bytesAcked),
    bytesReceived: u64(view, at + S.bytesReceived),
    lastRcvMs: view.getUint32(at + S.lastRcvMs, true),
    lastSndMs: view.getUint32(at + S.lastSndMs, true),
    sndUna: view.getUint32(at + S.sndUna, true),
    sndNxt: view.getUint32(at + S.sndNxt, true),
    rcvNxt: view.getUint32(at + S.rcvNxt, true),
  };
  if (sinceMs !== undefined) attrs.since = sinceMs;
  return attrs;
}

/**
 * RTOs without an answer. The kernel doubles icsk_backoff after the retransmit that we hear of, does
 * not count the first SYNs in it (tcp_syn_linear_timeouts), and uses it for zero window probes,
 * which are answered, too: with nothing in flight there is no timeout.
 */
function timeoutsInARow(view: DataView, at: number): number {
  if (view.getUint32(at + S.packetsOut, true) === 0) return 0;
  const backoff = view.getUint32(at + S.backoff, true);
  const retransmits = view.getUint32(at + S.retransmits, true);
  return Math.max(backoff, retransmits);
}

/** Equal bytes give the same object, so that a flow in trouble costs one owner and not one a record. */
function ownerOf(flow: FlowEntry, view: DataView, at: number): SocketOwner {
  const { memo } = flow;
  const words = memo.ownerWords;
  let same = true;
  for (let i = 0; i < words.length; i++) {
    const word = view.getUint32(at + i * 4, true);
    if (words[i] === word) continue;
    words[i] = word;
    same = false;
  }
  if (!same) memo.owner = decodeOwner(view, at);
  return memo.owner;
}

/**
 * `last` only where it is proven: it connected, it sent, or it alone held the socket when the agent
 * started. Who accepted without having sent is `created`, no more.
 */
export function decodeOwner(view: DataView, at: number): SocketOwner {
  const createdPid = view.getUint32(at + O.createdPid, true);
  const createdHow = HOWS[view.getUint8(at + O.createdHow)];
  const lastPid = view.getUint32(at + O.lastPid, true);
  const lastHow = HOWS[view.getUint8(at + O.lastHow)];
  const shared = view.getUint8(at + O.shared) !== 0;
  const kernel = view.getUint8(at + O.kernel) !== 0;
  const proven = lastHow === 'connect' || lastHow === 'send' || lastHow === 'iter';
  return {
    ...(createdPid !== 0 &&
      createdHow !== undefined && {
        created: { pid: createdPid, start: u64(view, at + O.createdStartNs), how: createdHow },
      }),
    ...(lastPid !== 0 &&
      proven &&
      !shared &&
      !kernel && {
        last: {
          pid: lastPid,
          start: u64(view, at + O.lastStartNs),
          how: lastHow,
          comm: readText(view, at + O.comm, 16),
        },
      }),
    ...(shared && { shared: true as const }),
    ...(kernel && { kernel: true as const }),
  };
}
