/**
 * Who holds what somebody waits for. The pass over the files reports candidates by the kernel's own
 * inode, or by address pair; here each is given to the waiters it concerns, and a TCP candidate
 * only if the sequence numbers of the two ends fit into each other.
 */
import type { EventOf, FlowAttrs, Holder } from '../events/event.js';
import { fileId, pipeId, unixId } from '../events/ids.js';
import { XctlWaitHolderLayout, XctlWaitKind } from '../kernel/abi.generated.js';
import { flowAttrs } from './flow-attrs.js';
import type { HeldLock } from './file-locks.js';
import type { WaitEventContext } from './wait-events.js';
import { readHolders } from './wait-records.js';

const FMODE_READ = 1;
const FMODE_WRITE = 2;

/** What the waits of a pass ask for. */
export class Wanted {
  /** Pipe inode → the mode its holders must have to end the wait. */
  readonly #pipes = new Map<number, number>();
  /** Peer inode → our ends that wait for it. */
  readonly #unix = new Map<number, Set<number>>();
  /** Addresses and ports of the other end → our flow. */
  readonly #flows = new Map<string, { readonly id: string; readonly attrs: FlowAttrs }>();

  get size(): number {
    return this.#pipes.size + this.#unix.size + this.#flows.size;
  }

  pipe(inode: number, op: string | undefined): void {
    this.#pipes.set(inode, op === 'write' ? FMODE_READ : FMODE_WRITE);
  }

  unix(own: number, peer: number): void {
    if (peer === 0) return;
    const ends = this.#unix.get(peer) ?? new Set();
    ends.add(own);
    this.#unix.set(peer, ends);
  }

  flow(id: string, attrs: FlowAttrs): void {
    this.#flows.set(tuple(attrs.remote, attrs.rport, attrs.local, attrs.lport), { id, attrs });
  }

  /** One event for each object that was asked for, holders or none. */
  events(context: WaitEventContext, view: DataView, ts: number): readonly EventOf<'wait.holders'>[] {
    const found = new Map<string, Holder[]>();
    const peers = new Map<string, FlowAttrs>();
    for (const inode of this.#pipes.keys()) found.set(pipeId(inode), []);
    for (const ends of this.#unix.values()) for (const own of ends) found.set(unixId(own), []);
    for (const { id } of this.#flows.values()) found.set(id, []);

    for (const record of readHolders(view)) {
      const holder: Holder = {
        pid: record.pid,
        start: record.startNs,
        comm: record.comm,
        fd: record.fd,
        mode: modeText(record.mode),
        ...(record.queued && { queued: true }),
      };
      switch (record.wait) {
        case XctlWaitKind.PIPE:
          if ((record.mode & (this.#pipes.get(record.object) ?? 0)) !== 0)
            add(found, pipeId(record.object), holder);
          break;
        case XctlWaitKind.UNIX:
          for (const own of this.#unix.get(record.object) ?? []) add(found, unixId(own), holder);
          break;
        case XctlWaitKind.TCP: {
          const flowAt = record.at + XctlWaitHolderLayout.flow;
          const entry = context.flows.entry(view, flowAt, ts);
          const ours = this.#flows.get(tuple(entry.local, entry.lport, entry.remote, entry.rport));
          const theirs = flowAttrs(entry, view, flowAt, record.at + XctlWaitHolderLayout.tcp);
          if (ours === undefined || !isOtherEnd(ours.attrs, theirs)) break;
          add(found, ours.id, holder);
          peers.set(ours.id, theirs);
          break;
        }
        default:
          break;
      }
    }
    return [...found].map(([entity, holders]) => holdersEvent(entity, holders, ts, peers.get(entity)));
  }
}

/** The file locks that are held on `entity`'s inode; `startOf` knows who lives. */
export function lockHolders(
  entity: string,
  locks: readonly HeldLock[],
  known: (pid: number) => Pick<Holder, 'start' | 'comm'> | undefined,
  ts: number,
): EventOf<'wait.holders'> {
  const holders: Holder[] = [];
  for (const lock of locks) {
    if (fileId(lock.major, lock.minor, lock.inode) !== entity) continue;
    const process = known(lock.pid);
    if (process !== undefined) holders.push({ pid: lock.pid, ...process, fd: -1, mode: 'rw' });
  }
  return holdersEvent(entity, holders, ts, undefined);
}

function holdersEvent(
  entity: string,
  holders: readonly Holder[],
  ts: number,
  flow: FlowAttrs | undefined,
): EventOf<'wait.holders'> {
  return {
    ts,
    type: 'wait.holders',
    entity,
    value: holders.length,
    probe: 'waits',
    attrs: { holders, ...(flow !== undefined && { flow }) },
  };
}

/**
 * Two sockets are the ends of one connection if each has received no more than the other has sent,
 * and no less than the other knows to be acked. Sequence numbers wrap at 2^32.
 */
export function isOtherEnd(a: FlowAttrs, b: FlowAttrs): boolean {
  return between(a.sndUna, b.rcvNxt, a.sndNxt) && between(b.sndUna, a.rcvNxt, b.sndNxt);
}

function between(low: number, value: number, high: number): boolean {
  return (value - low) >>> 0 <= (high - low) >>> 0;
}

function add(found: Map<string, Holder[]>, entity: string, holder: Holder): void {
  const list = found.get(entity);
  // One process may have it open under several numbers; one edge is enough.
  if (list !== undefined && !list.some((known) => known.pid === holder.pid)) list.push(holder);
}

function modeText(mode: number): Holder['mode'] {
  if ((mode & (FMODE_READ | FMODE_WRITE)) === (FMODE_READ | FMODE_WRITE)) return 'rw';
  return (mode & FMODE_WRITE) !== 0 ? 'w' : 'r';
}

function tuple(local: string, lport: number, remote: string, rport: number): string {
  return `${local} ${lport} ${remote} ${rport}`;
}
