/**
 * Incidents told as events: each method says one thing that a probe would say. Time only moves when
 * the story moves it (`later`), so that a test reads like the sequence of facts that it is.
 */
import type {
  Event,
  EventCatalogue,
  EventOf,
  ExitAttrs,
  FlowAttrs,
  Holder,
  JobAttrs,
  PollMember,
  WaitAttrs,
} from '../../src/events/event.js';
import {
  blockId,
  fileId,
  flowId,
  futexId,
  lockId,
  pipeId,
  pollId,
  processId,
  unixId,
} from '../../src/events/ids.js';
import type { GraphLimits } from '../../src/graph/limits.js';
import { StateGraph } from '../../src/graph/state-graph.js';
import type { Findings, WhyAnswer } from '../../src/scene/answer.js';
import { findings } from '../../src/scene/findings.js';
import { why } from '../../src/scene/why.js';

export const T0 = 1_750_000_000_000;
export const OPTIONS = { node: 'testnode', bootMs: T0 - 1_000_000 };

type WaitType = Extract<
  { [T in keyof EventCatalogue]: EventCatalogue[T] extends WaitAttrs ? T : never }[keyof EventCatalogue],
  string
>;
type TransportType = Extract<keyof EventCatalogue, `transport.${string}`>;

/** What is said of a wait beside what it is on. */
export interface WaitSpec {
  /** The main thread. */
  readonly tid?: number;
  /** 5,000: long enough to matter. */
  readonly forMs?: number;
  readonly comm?: string;
  readonly runMs?: number;
}

export interface ProcessSpec {
  readonly comm?: string;
  readonly ppid?: number;
  /** 1,000 × pid. */
  readonly start?: number;
  readonly job?: JobAttrs;
  readonly cgroup?: string;
}

/** A connection from 10.0.0.1; `n` tells one from another. */
export function flow(n: number, more: Partial<FlowAttrs> = {}): FlowAttrs {
  return {
    family: 4,
    local: '10.0.0.1',
    lport: 40_000 + n,
    remote: '10.0.0.2',
    rport: 29_500,
    netns: 1,
    state: 'ESTABLISHED',
    caState: 'Open',
    owner: {},
    srttUs: 200,
    rtoMs: 201,
    unackedBytes: 0,
    writeQueueBytes: 0,
    rcvQueueBytes: 0,
    sndWndBytes: 65_535,
    backoff: 0,
    probesOut: 0,
    totalRetrans: 0,
    retransmits: 0,
    timeouts: 0,
    bytesAcked: 1,
    bytesReceived: 1,
    lastRcvMs: 1,
    lastSndMs: 1,
    sndUna: 1,
    sndNxt: 1,
    rcvNxt: 1,
    ...more,
  };
}

export function idOf(attrs: FlowAttrs): string {
  return flowId(attrs.local, attrs.lport, attrs.remote, attrs.rport);
}

/** The same connection as its other end sees it. */
export function reversed(attrs: FlowAttrs): FlowAttrs {
  const { local, lport, remote, rport } = attrs;
  return { ...attrs, local: remote, lport: rport, remote: local, rport: lport };
}

/** Five timeouts in a row on data in flight, for `forMs`. */
export function stuck(attrs: FlowAttrs, sinceTs: number): FlowAttrs {
  return {
    ...attrs,
    caState: 'Loss',
    // Doubled four times.
    rtoMs: 16 * attrs.rtoMs,
    backoff: 5,
    unackedBytes: 1_448,
    writeQueueBytes: 1_448,
    totalRetrans: 5,
    retransmits: 5,
    timeouts: 5,
    since: sinceTs,
  };
}

/** The peer takes nothing, and nothing is in flight. */
export function closedWindow(attrs: FlowAttrs): FlowAttrs {
  return { ...attrs, sndWndBytes: 0, writeQueueBytes: 9_000, unackedBytes: 0, probesOut: 2 };
}

export class Story {
  readonly graph: StateGraph;
  readonly events: Event[] = [];
  now = T0;
  readonly #starts = new Map<number, number>();
  readonly #comms = new Map<number, string>();

  constructor(limits: Partial<GraphLimits> = {}) {
    this.graph = new StateGraph(limits);
  }

  later(ms: number): this {
    this.now += ms;
    return this;
  }

  apply(event: Event): this {
    this.events.push(event);
    this.graph.apply(event);
    return this;
  }

  /** From here on `pid` means the process that started at `start`. */
  begin(pid: number, start: number): this {
    this.#starts.set(pid, start);
    return this;
  }

  seen(pid: number, spec: ProcessSpec = {}): this {
    return this.#process('process.seen', pid, spec);
  }

  forked(pid: number, spec: ProcessSpec = {}): this {
    return this.#process('process.fork', pid, spec);
  }

  execed(pid: number, spec: ProcessSpec = {}): this {
    return this.#process('process.exec', pid, spec);
  }

  oomKilled(pid: number, cgroup: string): this {
    return this.#process('process.oom_kill', pid, { cgroup });
  }

  exited(pid: number, how: Pick<ExitAttrs, 'code' | 'signal' | 'core' | 'wrote'> = { code: 0 }): this {
    const { start, comm } = this.#known(pid);
    return this.apply({
      ts: this.now,
      type: 'process.exit',
      entity: processId(pid),
      pid,
      value: how.code ?? 128,
      attrs: { start, comm, ...how },
      probe: 'process',
    });
  }

  /** `attrs` as the flow's own numbers; `errno` and `direction` where the type has them. */
  transport(type: TransportType, attrs: FlowAttrs, value = 0): this {
    const more =
      type === 'transport.connect_failed'
        ? { errno: 'ECONNREFUSED' }
        : type === 'transport.reset'
          ? { direction: 'received' }
          : {};
    const event = {
      ts: this.now,
      type,
      entity: idOf(attrs),
      value,
      attrs: { ...attrs, ...more },
      probe: 'tcp',
    };
    return this.apply(event as EventOf<TransportType> as Event);
  }

  /** Twice a second for so long: what was lost is lost again, and its timer runs off twice before it gets through. */
  loses(attrs: FlowAttrs, forMs: number, before = 0): FlowAttrs {
    let lossy = attrs;
    for (let n = before + 1; n <= before + forMs / 500; n++) {
      lossy = { ...attrs, totalRetrans: n, retransmits: n, timeouts: n };
      this.later(500);
      this.transport(
        'transport.timeout',
        { ...lossy, rtoMs: 2 * attrs.rtoMs, backoff: 2, unackedBytes: 1_448 },
        2,
      );
    }
    this.transport('transport.retransmit', lossy, lossy.retransmits);
    return lossy;
  }

  owner(attrs: FlowAttrs, pid: number): FlowAttrs {
    const { start, comm } = this.#known(pid);
    return { ...attrs, owner: { last: { pid, start, how: 'send', comm } } };
  }

  runs(pid: number, spec: WaitSpec = {}): this {
    return this.wait('wait.run', pid, processId(pid), {}, spec);
  }

  sleeps(pid: number, spec: WaitSpec = {}): this {
    return this.wait('wait.sleep', pid, processId(pid), { syscall: 'clock_nanosleep' }, spec);
  }

  /** A condition or semaphore: nobody owns it. */
  futex(pid: number, spec: WaitSpec = {}): this {
    return this.wait('wait.futex', pid, futexId(pid, 0x10), {}, spec);
  }

  lock(pid: number, address: number, ownerTid: number, spec: WaitSpec = {}): this {
    return this.wait('wait.lock', pid, lockId(pid, address), { ownerTid }, spec);
  }

  joins(pid: number, ownerTid: number, spec: WaitSpec = {}): this {
    return this.wait('wait.join', pid, processId(pid), { ownerTid }, spec);
  }

  reads(pid: number, inode: number, spec: WaitSpec = {}): this {
    return this.wait('wait.pipe', pid, pipeId(inode), { op: 'read', readers: 1, writers: 1 }, spec);
  }

  writes(pid: number, inode: number, spec: WaitSpec = {}): this {
    return this.wait('wait.pipe', pid, pipeId(inode), { op: 'write', readers: 1, writers: 1 }, spec);
  }

  unix(pid: number, inode: number, spec: WaitSpec = {}): this {
    return this.wait('wait.unix', pid, unixId(inode), { op: 'read', peer: inode + 1 }, spec);
  }

  receives(pid: number, attrs: FlowAttrs, spec: WaitSpec = {}): this {
    return this.wait('wait.tcp', pid, idOf(attrs), { op: 'read', flow: attrs }, spec);
  }

  sends(pid: number, attrs: FlowAttrs, spec: WaitSpec = {}): this {
    return this.wait('wait.tcp', pid, idOf(attrs), { op: 'write', flow: attrs }, spec);
  }

  connects(pid: number, attrs: FlowAttrs, spec: WaitSpec = {}): this {
    return this.wait('wait.tcp', pid, idOf(attrs), { op: 'connect', flow: attrs }, spec);
  }

  accepts(pid: number, spec: WaitSpec = {}): this {
    return this.wait('wait.accept', pid, processId(pid), {}, spec);
  }

  polls(pid: number, members: readonly (string | FlowAttrs)[], spec: WaitSpec = {}): this {
    const set = members.map(
      (member, i): PollMember =>
        typeof member === 'string'
          ? { fd: 3 + i, entity: member }
          : { fd: 3 + i, entity: idOf(member), flow: member },
    );
    const entity = pollId(pid, spec.tid ?? pid);
    return this.wait('wait.poll', pid, entity, { members: set, nfds: set.length }, spec);
  }

  /** @param childPid 0 for any */
  waitsForChild(pid: number, childPid: number, spec: WaitSpec = {}): this {
    const entity = processId(childPid === 0 ? pid : childPid);
    return this.wait('wait.child', pid, entity, { childPid }, spec);
  }

  fileLock(pid: number, inode: number, spec: WaitSpec = {}): this {
    return this.wait('wait.file_lock', pid, fileId(8, 1, inode), { holders: [] }, spec);
  }

  disk(pid: number, device: string, spec: WaitSpec = {}): this {
    return this.wait('wait.disk', pid, blockId(device), { dev: device }, spec);
  }

  stopped(pid: number, spec: WaitSpec = {}): this {
    return this.wait('wait.stopped', pid, processId(pid), {}, spec);
  }

  traced(pid: number, tracerPid: number, spec: WaitSpec = {}): this {
    return this.wait('wait.traced', pid, processId(pid), { tracerPid }, spec);
  }

  frozen(pid: number, spec: WaitSpec = {}): this {
    return this.wait('wait.frozen', pid, processId(pid), {}, spec);
  }

  other(pid: number, what: string, spec: WaitSpec = {}): this {
    return this.wait('wait.other', pid, processId(pid), { what }, spec);
  }

  /** Any other fact. */
  say<T extends Exclude<keyof EventCatalogue, 'custom'>>(
    type: T,
    entity: string,
    value: number,
    attrs: EventCatalogue[T],
    probe: EventOf<T>['probe'] = 'block',
    pid?: number,
  ): this {
    const event = { ts: this.now, type, entity, value, attrs, probe, ...(pid !== undefined && { pid }) };
    return this.apply(event as unknown as Event);
  }

  wait<T extends WaitType>(
    type: T,
    pid: number,
    entity: string,
    more: Partial<WaitAttrs> & Omit<EventCatalogue[T], keyof WaitAttrs>,
    spec: WaitSpec,
  ): this {
    const { tid = pid, forMs = 5_000, runMs = 100 } = spec;
    const { start, comm } = this.#known(pid);
    const name = spec.comm ?? (tid === pid ? comm : `t${tid}`);
    const base = { start, tid, comm: name, since: this.now - forMs, runMs, threads: 1 };
    const attrs = { ...base, ...more };
    // T ties type and attrs together for the callers; TypeScript cannot follow that into a union.
    return this.apply({
      ts: this.now,
      type,
      entity,
      pid,
      value: forMs,
      attrs,
      probe: 'waits',
    } as unknown as Event);
  }

  /** Who has `entity` open. */
  holders(entity: string, ...pids: readonly number[]): this {
    const holders = pids.map((pid): Holder => ({ pid, ...this.#known(pid), fd: 5, mode: 'rw' }));
    return this.apply({
      ts: this.now,
      type: 'wait.holders',
      entity,
      value: holders.length,
      attrs: { holders },
      probe: 'waits',
    });
  }

  /** The sampler is through: threads that it did not speak of, and are not in `same`, have ended. */
  pass(same: readonly number[] = []): this {
    return this.apply({
      ts: this.now,
      type: 'wait.pass',
      entity: 'node',
      value: same.length,
      attrs: { same, full: false, durationMs: 1 },
      probe: 'waits',
    });
  }

  why(pid: number): WhyAnswer | undefined {
    return why(this.graph, pid, OPTIONS);
  }

  findings(): Findings {
    return findings(this.graph, OPTIONS);
  }

  #process(
    type: 'process.seen' | 'process.fork' | 'process.exec' | 'process.oom_kill',
    pid: number,
    spec: ProcessSpec,
  ): this {
    const { start, ...rest } = spec;
    if (start !== undefined) this.#starts.set(pid, start);
    if (spec.comm !== undefined) this.#comms.set(pid, spec.comm);
    const known = this.#known(pid);
    return this.apply({
      ts: this.now,
      type,
      entity: processId(pid),
      pid,
      value: 0,
      attrs: { ...known, ...rest },
      probe: 'process',
    });
  }

  #known(pid: number): { readonly start: number; readonly comm: string } {
    return { start: this.#starts.get(pid) ?? pid * 1_000, comm: this.#comms.get(pid) ?? `p${pid}` };
  }
}
