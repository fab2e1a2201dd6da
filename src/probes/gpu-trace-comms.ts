/** Records of probe `gpu-trace`: a communicator is made, ready or gone. As an event; and what a split says of ranks. */
import type { EventOf } from '../events/event.js';
import type { CommState } from '../events/nccl.js';
import {
  decodeXctlNcclComm,
  XctlCommState,
  type XctlNcclComm,
  XctlNcclCommLayout,
  XctlNcclSplitLayout,
} from '../kernel/abi.generated.js';
import type { BootClock } from '../kernel/clock.js';
import { callName } from './gpu-trace-functions.js';
import { placeKey, type SplitCall, type SplitRanks } from './gpu-trace-splits.js';
import { entityOf, handleOf, idOf, placeOf } from './gpu-trace-tables.js';

const STATES: Readonly<Record<number, CommState>> = {
  [XctlCommState.INIT]: 'init',
  [XctlCommState.READY]: 'ready',
  [XctlCommState.FAILED]: 'failed',
  [XctlCommState.FINALIZED]: 'finalized',
  [XctlCommState.DESTROYED]: 'destroyed',
  [XctlCommState.ABORTED]: 'aborted',
};

/** `ncclResult_t`; the latter of a call that goes on after it has returned. */
const [SUCCESS, IN_PROGRESS] = [0, 7];

export interface CommContext {
  readonly clock: BootClock;
  readonly splits: SplitRanks;
}

export function commEvent(
  view: DataView,
  at: number,
  { clock, splits }: CommContext,
): EventOf<'nccl.comm'> | undefined {
  const record = decodeXctlNcclComm(view, at);
  const state = STATES[record.state];
  if (state === undefined) return undefined;
  const { pid } = record.hdr;
  const handle = record.comm === 0 ? undefined : handleOf(view, at + XctlNcclCommLayout.comm);
  const id = idOf(view, at + XctlNcclCommLayout.id);
  const place =
    handle === undefined || id === undefined ? undefined : placeKey(pid, record.startNs, handle, id);
  const child = id === undefined || place === undefined ? undefined : { id, place };
  const call = splitCall(view, at, record, child);
  if (call !== undefined) splits.note(call);
  const ended = state === 'finalized' || state === 'destroyed' || state === 'aborted';
  return {
    ts: clock.toEpochMs(record.hdr.tsNs),
    type: 'nccl.comm',
    // One whose id and address are both unknown has the thread that makes it for a name.
    entity: entityOf(view, at + XctlNcclCommLayout.id, pid, handle ?? `thread/${record.tid}`),
    pid,
    value: Math.max(0, record.nranks),
    probe: 'gpu-trace',
    attrs: {
      start: record.startNs,
      ...(handle !== undefined && { handle }),
      state,
      call: callName(record.call),
      tid: record.tid,
      ...(place !== undefined && splits.placeOf(place)),
      ...placeOf(record.rank, record.nranks),
      ...(!ended && { since: clock.toEpochMs(record.sinceNs) }),
      ...((state === 'ready' || state === 'failed') && { result: record.result }),
      ...(ended && { collectives: record.collectives, p2p: record.p2p }),
    },
  };
}

/** What a rank said in a split that it took part in. */
function splitCall(
  view: DataView,
  at: number,
  record: XctlNcclComm,
  child: SplitCall['child'],
): SplitCall | undefined {
  const { split, result, state } = record;
  const returned = state === XctlCommState.READY || state === XctlCommState.FAILED;
  if (!returned || split.ordinal === 0 || (result !== SUCCESS && result !== IN_PROGRESS)) return undefined;
  const base = at + XctlNcclCommLayout.split;
  const parentId = idOf(view, base + XctlNcclSplitLayout.parentId);
  if (parentId === undefined) return undefined;
  const parent = handleOf(view, base + XctlNcclSplitLayout.parent);
  return {
    parentId,
    ordinal: split.ordinal,
    caller: placeKey(record.hdr.pid, record.startNs, parent, parentId),
    callerPlace: placeOf(split.parentRank, split.parentNranks),
    color: split.color,
    key: split.key,
    child,
  };
}
