/** The kernel's records of block requests as data. */
import type { RequestAttrs, RequestOp, Submitter } from '../events/storage.js';
import { XctlBlockOp, XctlBlockRqLayout, XctlHdrLayout } from '../kernel/abi.generated.js';
import { readComm, readText } from '../kernel/abi-read.js';
import { printable } from '../util/text.js';
import { u64 } from './records.js';

const R = XctlBlockRqLayout;
/** XCTL_BF_WRITEBACK */
const WRITEBACK = 1;
const CGROUP_BYTES = 128;

/** blk_status_t, by the kernel's own names; those that only drivers of zoned disks see stay numbers. */
const STATUS: Readonly<Record<number, string>> = {
  1: 'NOTSUPP',
  2: 'TIMEOUT',
  3: 'NOSPC',
  4: 'TRANSPORT',
  5: 'TARGET',
  6: 'RESV_CONFLICT',
  7: 'MEDIUM',
  8: 'PROTECTION',
  9: 'RESOURCE',
  10: 'IOERR',
};

/** 17 from 5.18 on, 16 since a status of zoned disks before it went. */
const OFFLINE: ReadonlySet<number> = new Set([16, 17]);

export function statusName(status: number): string {
  if (OFFLINE.has(status)) return 'OFFLINE';
  return STATUS[status] ?? `STATUS_${status}`;
}

const OPS: Readonly<Record<number, RequestOp>> = {
  [XctlBlockOp.READ]: 'read',
  [XctlBlockOp.WRITE]: 'write',
  [XctlBlockOp.FLUSH]: 'flush',
  [XctlBlockOp.DISCARD]: 'discard',
};

function submitterOf(view: DataView, at: number): Submitter {
  const pid = view.getUint32(at + XctlHdrLayout.pid, true);
  const group = readText(view, at + R.cgroup, CGROUP_BYTES);
  const writeback = (view.getUint16(at + R.flags, true) & WRITEBACK) !== 0;
  return {
    ...(pid !== 0 && {
      pid,
      start: u64(view, at + R.startNs),
      comm: printable(readComm(view, at + R.comm)),
    }),
    // The root group is everybody's: it says nothing.
    ...(group !== '' && group !== '/' && { cgroup: printable(group, CGROUP_BYTES) }),
    ...(writeback && { writeback: true }),
  };
}

/** The `struct xctl_block_rq` at `at`; a copy. */
export function requestAttrs(view: DataView, at: number): RequestAttrs {
  const deviceNs = u64(view, at + R.deviceNs);
  const suppressed = view.getUint32(at + R.suppressed, true);
  return {
    op: OPS[view.getUint16(at + R.op, true)] ?? 'other',
    sector: u64(view, at + R.sector),
    sizeBytes: view.getUint32(at + R.bytes, true),
    ageMs: u64(view, at + R.ageNs) / 1e6,
    ...(deviceNs > 0 && { deviceMs: deviceNs / 1e6 }),
    submitter: submitterOf(view, at),
    ...(suppressed > 0 && { suppressed }),
  };
}

export function devOf(view: DataView, at: number): number {
  return view.getUint32(at + R.dev, true);
}

export function statusOf(view: DataView, at: number): number {
  return view.getUint32(at + R.status, true);
}
