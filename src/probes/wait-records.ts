/**
 * What one pass of the iterator `threads` wrote, sorted: waits with the members of their poll sets,
 * and the tids that have not run. Numbers only; wait-events.ts makes facts of them.
 */
import {
  XctlHdrLayout,
  XctlKind,
  XctlWaitHolderLayout,
  XctlWaitKind,
  XctlWaitLayout,
  XctlWaitMemberLayout,
  XctlWaitSameLayout,
} from '../kernel/abi.generated.js';
import { readText } from '../kernel/abi-read.js';
import { u64 } from './records.js';

const W = XctlWaitLayout;
const M = XctlWaitMemberLayout;
const H = XctlWaitHolderLayout;

export interface WaitRecord {
  readonly pid: number;
  readonly tid: number;
  readonly startNs: number;
  readonly sinceNs: number;
  readonly runNs: number;
  readonly object: number;
  readonly peer: number;
  readonly syscall: number;
  readonly fd: number;
  ownerTid: number;
  readonly dev: number;
  wait: number;
  readonly op: number;
  readonly readers: number;
  readonly writers: number;
  readonly nfds: number;
  readonly threads: number;
  readonly flags: number;
  readonly delayNs: number;
  readonly cpu: number;
  readonly cpus: number;
  readonly comm: string;
  readonly name: string;
  readonly members: readonly MemberRecord[];
  /** Where `struct xctl_wait` lies, for its flow. */
  readonly at: number;
}

export interface MemberRecord {
  readonly fd: number;
  readonly wait: number;
  readonly op: number;
  readonly object: number;
  readonly peer: number;
  readonly name: string;
  readonly at: number;
}

export interface HolderRecord {
  readonly pid: number;
  readonly startNs: number;
  readonly object: number;
  readonly fd: number;
  /** FMODE_READ 1 | FMODE_WRITE 2. */
  readonly mode: number;
  readonly wait: number;
  /** It has the listening socket open, and has not accepted this connection yet. */
  readonly queued: boolean;
  readonly comm: string;
  readonly at: number;
}

export interface ThreadPass {
  readonly waits: readonly WaitRecord[];
  readonly same: readonly number[];
  /** tid → pid of every thread that the pass saw. */
  readonly pids: ReadonlyMap<number, number>;
}

const NO_MEMBERS: readonly MemberRecord[] = [];

export function readThreadPass(view: DataView): ThreadPass {
  const waits: WaitRecord[] = [];
  const same: number[] = [];
  const pids = new Map<number, number>();
  let members: MemberRecord[] = [];
  for (const { kind, at } of records(view)) {
    if (kind === XctlKind.WAIT_SAME) {
      const tid = view.getUint32(at + XctlWaitSameLayout.tid, true);
      same.push(tid);
      pids.set(tid, view.getUint32(at + XctlHdrLayout.pid, true));
    } else if (kind === XctlKind.WAIT_MEMBER) {
      members.push(memberAt(view, at));
    } else if (kind === XctlKind.WAIT) {
      const record = waitAt(view, at, members);
      if (members.length > 0) members = [];
      waits.push(record);
      pids.set(record.tid, record.pid);
    }
  }
  return { waits, same, pids };
}

export function* readHolders(view: DataView): Generator<HolderRecord> {
  for (const { kind, at } of records(view)) {
    if (kind !== XctlKind.WAIT_HOLDER) continue;
    yield {
      pid: view.getUint32(at + XctlHdrLayout.pid, true),
      startNs: u64(view, at + H.startNs),
      object: u64(view, at + H.object),
      fd: view.getInt32(at + H.fd, true),
      mode: view.getUint32(at + H.mode, true),
      wait: view.getUint16(at + H.wait, true),
      queued: view.getUint16(at + H.queued, true) !== 0,
      comm: readText(view, at + H.comm, 16),
      at,
    };
  }
}

/** An iterator's output is records one after the other; a header that contradicts itself ends it. */
function* records(view: DataView): Generator<{ readonly kind: number; readonly at: number }> {
  let at = 0;
  while (at + XctlHdrLayout.sizeBytes <= view.byteLength) {
    const size = view.getUint16(at + XctlHdrLayout.size, true);
    if (size < XctlHdrLayout.sizeBytes || at + size > view.byteLength) return;
    yield { kind: view.getUint16(at + XctlHdrLayout.kind, true), at };
    at += size;
  }
}

function waitAt(view: DataView, at: number, members: MemberRecord[]): WaitRecord {
  return {
    pid: view.getUint32(at + XctlHdrLayout.pid, true),
    tid: view.getUint32(at + W.tid, true),
    startNs: u64(view, at + W.startNs),
    sinceNs: u64(view, at + W.sinceNs),
    runNs: u64(view, at + W.runNs),
    object: u64(view, at + W.object),
    peer: u64(view, at + W.peer),
    syscall: view.getInt32(at + W.syscall, true),
    fd: view.getInt32(at + W.fd, true),
    ownerTid: view.getUint32(at + W.ownerTid, true),
    dev: view.getUint32(at + W.dev, true),
    wait: view.getUint16(at + W.wait, true),
    op: view.getUint16(at + W.op, true),
    readers: view.getUint16(at + W.readers, true),
    writers: view.getUint16(at + W.writers, true),
    nfds: view.getUint32(at + W.nfds, true),
    threads: view.getUint32(at + W.threads, true),
    flags: view.getUint32(at + W.flags, true),
    delayNs: u64(view, at + W.delayNs),
    cpu: view.getUint32(at + W.cpu, true),
    cpus: view.getUint32(at + W.cpus, true),
    comm: readText(view, at + W.comm, 16),
    name: view.getUint8(at + W.name) === 0 ? '' : readText(view, at + W.name, 16),
    members: members.length > 0 ? members : NO_MEMBERS,
    at,
  };
}

function memberAt(view: DataView, at: number): MemberRecord {
  return {
    fd: view.getInt32(at + M.fd, true),
    wait: view.getUint16(at + M.wait, true),
    op: view.getUint16(at + M.op, true),
    object: u64(view, at + M.object),
    peer: u64(view, at + M.peer),
    name: view.getUint8(at + M.name) === 0 ? '' : readText(view, at + M.name, 16),
    at,
  };
}

/**
 * Lock words are claims: an owner counts only if the pass saw a living thread of that tid, of the
 * same process. Else the wait is on a futex that nobody is known to own.
 */
export function checkOwners(pass: ThreadPass): void {
  for (const record of pass.waits) {
    if (record.wait !== XctlWaitKind.LOCK && record.wait !== XctlWaitKind.JOIN) continue;
    const owner = pass.pids.get(record.ownerTid);
    // A thread may hold the very lock it waits for; it cannot join itself.
    if (owner === record.pid && (record.wait === XctlWaitKind.LOCK || record.ownerTid !== record.tid))
      continue;
    record.wait = XctlWaitKind.FUTEX;
    record.ownerTid = 0;
  }
}
