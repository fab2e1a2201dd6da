/** Sampled waits as events: the table from `enum xctl_wait_kind` to event types and node ids. */
import type { Event, EventOf, PollMember, WaitAttrs, WaitOp } from '../events/event.js';
import { fileId, futexId, lockId, pipeId, pollId, processId, unixId } from '../events/ids.js';
import { XctlWaitKind, XctlWaitLayout, XctlWaitMemberLayout, XctlWaitOp } from '../kernel/abi.generated.js';
import type { BootClock } from '../kernel/clock.js';
import type { Devices } from './devices.js';
import { majorOf, minorOf } from './devices.js';
import { flowAttrs } from './flow-attrs.js';
import type { FlowTable } from './flow-table.js';
import { syscallName } from './syscalls.js';
import type { MemberRecord, WaitRecord } from './wait-records.js';

const XCTL_WF_IOWAIT = 1;
const XCTL_WF_MEMSTALL = 8;

const OPS: Readonly<Record<number, WaitOp>> = {
  [XctlWaitOp.READ]: 'read',
  [XctlWaitOp.WRITE]: 'write',
  [XctlWaitOp.CONNECT]: 'connect',
  [XctlWaitOp.IOCTL]: 'ioctl',
  [XctlWaitOp.SYNC]: 'sync',
};

/** Kinds that only need a word. */
const OTHERS: Readonly<Record<number, string>> = {
  [XctlWaitKind.IO_URING]: 'io_uring',
  [XctlWaitKind.AIO]: 'asynchronous I/O (io_getevents)',
  [XctlWaitKind.EVENTFD]: 'an eventfd',
  [XctlWaitKind.SOCKET]: 'a socket (not TCP, not unix)',
  [XctlWaitKind.SYSV]: 'System V IPC',
  [XctlWaitKind.TTY]: 'a terminal',
  [XctlWaitKind.KERNEL]: 'the kernel (uninterruptible, no file known)',
};

export interface WaitEventContext {
  readonly clock: BootClock;
  readonly flows: FlowTable;
  readonly devices: Devices;
}

/** @param nowNs boot time of the pass; all its events carry it. */
export function waitEvent(
  context: WaitEventContext,
  record: WaitRecord,
  view: DataView,
  nowNs: number,
): Event {
  const ts = context.clock.toEpochMs(nowNs);
  const self = processId(record.pid);
  const attrs = attrsOf(context, record);
  const value = Math.max(0, ts - attrs.since);
  const base = { ts, pid: record.pid, value, probe: 'waits' as const };
  switch (record.wait) {
    case XctlWaitKind.RUN:
      return { ...base, type: 'wait.run', entity: self, value: attrs.runMs, attrs };
    case XctlWaitKind.SLEEP:
      return { ...base, type: 'wait.sleep', entity: self, attrs };
    case XctlWaitKind.FUTEX:
      return { ...base, type: 'wait.futex', entity: futexId(record.pid, record.object), attrs };
    case XctlWaitKind.LOCK:
      return {
        ...base,
        type: 'wait.lock',
        entity: lockId(record.pid, record.object),
        attrs: { ...attrs, ownerTid: record.ownerTid },
      };
    case XctlWaitKind.JOIN:
      return { ...base, type: 'wait.join', entity: self, attrs: { ...attrs, ownerTid: record.ownerTid } };
    case XctlWaitKind.PIPE:
      return {
        ...base,
        type: 'wait.pipe',
        entity: pipeId(record.object),
        attrs: { ...attrs, readers: record.readers, writers: record.writers },
      };
    case XctlWaitKind.UNIX:
      return {
        ...base,
        type: 'wait.unix',
        entity: unixId(record.object),
        attrs: { ...attrs, peer: record.peer },
      };
    case XctlWaitKind.TCP: {
      const flowAt = record.at + XctlWaitLayout.flow;
      const flow = context.flows.entry(view, flowAt, ts);
      const state = flowAttrs(flow, view, flowAt, record.at + XctlWaitLayout.tcp);
      return { ...base, type: 'wait.tcp', entity: flow.id, attrs: { ...attrs, flow: state } };
    }
    case XctlWaitKind.ACCEPT:
      return { ...base, type: 'wait.accept', entity: self, attrs };
    case XctlWaitKind.POLL:
    case XctlWaitKind.EPOLL: {
      const members = record.members.map((member) => pollMember(context, member, view, ts));
      const nfds = Math.max(record.nfds, members.length);
      return {
        ...base,
        type: 'wait.poll',
        entity: pollId(record.pid, record.tid),
        attrs: { ...attrs, members, nfds },
      };
    }
    case XctlWaitKind.CHILD: {
      const entity = record.ownerTid === 0 ? self : processId(record.ownerTid);
      return { ...base, type: 'wait.child', entity, attrs: { ...attrs, childPid: record.ownerTid } };
    }
    case XctlWaitKind.FILE_LOCK: {
      const entity = fileId(majorOf(record.dev), minorOf(record.dev), record.object);
      return { ...base, type: 'wait.file_lock', entity, attrs: { ...attrs, holders: [] } };
    }
    case XctlWaitKind.DISK:
      return disk(context, record, base, attrs);
    case XctlWaitKind.DEVICE: {
      const dev = `dev:${majorOf(record.dev)}:${minorOf(record.dev)}`;
      return { ...base, type: 'wait.device', entity: dev, attrs: { ...attrs, dev } };
    }
    case XctlWaitKind.STOPPED:
      return { ...base, type: 'wait.stopped', entity: self, attrs };
    case XctlWaitKind.TRACED:
      return { ...base, type: 'wait.traced', entity: self, attrs: { ...attrs, tracerPid: record.ownerTid } };
    case XctlWaitKind.FROZEN:
      return { ...base, type: 'wait.frozen', entity: self, attrs };
    default:
      return { ...base, type: 'wait.other', entity: self, attrs: { ...attrs, what: whatOf(record) } };
  }
}

type Base = Pick<EventOf<'wait.run'>, 'ts' | 'value' | 'probe'> & { readonly pid: number };

/** A page fault has no descriptor, so that its device is not known from here. */
function disk(context: WaitEventContext, record: WaitRecord, base: Base, attrs: WaitAttrs): Event {
  if (record.dev === 0) {
    const what = 'block I/O (a page fault or a file without a descriptor)';
    return { ...base, type: 'wait.other', entity: processId(record.pid), attrs: { ...attrs, what } };
  }
  const dev = context.devices.nodeOf(record.dev, record.pid, record.tid);
  return { ...base, type: 'wait.disk', entity: dev, attrs: { ...attrs, dev } };
}

function attrsOf(context: WaitEventContext, record: WaitRecord): WaitAttrs {
  const op = OPS[record.op];
  const syscall =
    record.syscall < 0 ? undefined : (syscallName(record.syscall) ?? `syscall ${record.syscall}`);
  return {
    start: record.startNs,
    tid: record.tid,
    comm: record.comm,
    since: context.clock.toEpochMs(record.sinceNs),
    runMs: record.runNs / 1e6,
    threads: record.threads,
    ...(syscall !== undefined && { syscall }),
    ...(op !== undefined && { op }),
    ...(record.fd >= 0 && { fd: record.fd }),
    ...((record.flags & XCTL_WF_IOWAIT) !== 0 && { ioWait: true as const }),
    // A thread that ran at all was queued for at least a moment: 0 is a kernel that does not count.
    ...(record.delayNs > 0 && { delayMs: record.delayNs / 1e6 }),
    cpu: record.cpu,
    cpus: record.cpus,
    ...((record.flags & XCTL_WF_MEMSTALL) !== 0 && { memStall: true as const }),
  };
}

function whatOf(record: WaitRecord): string {
  const known = OTHERS[record.wait];
  if (known !== undefined) return known;
  if (record.name !== '') return record.name;
  if (record.syscall < 0) return 'the kernel';
  return syscallName(record.syscall) ?? `syscall ${record.syscall}`;
}

function pollMember(context: WaitEventContext, member: MemberRecord, view: DataView, ts: number): PollMember {
  const { fd } = member;
  const op = OPS[member.op];
  switch (member.wait) {
    case XctlWaitKind.TCP: {
      const flowAt = member.at + XctlWaitMemberLayout.flow;
      const flow = context.flows.entry(view, flowAt, ts);
      return {
        fd,
        entity: flow.id,
        flow: flowAttrs(flow, view, flowAt, member.at + XctlWaitMemberLayout.tcp),
      };
    }
    case XctlWaitKind.PIPE:
      return { fd, entity: pipeId(member.object), ...(op !== undefined && { op }) };
    case XctlWaitKind.UNIX:
      return { fd, entity: unixId(member.object), ...(op !== undefined && { op }), peer: member.peer };
    case XctlWaitKind.ACCEPT:
      return { fd, entity: 'listener' };
    default:
      return { fd, entity: member.name === '' ? 'other' : member.name };
  }
}
