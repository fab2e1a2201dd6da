/** What the programs left in the kernel's tables, as events: counts per communicator, threads inside a wait. */
import { existsSync } from 'node:fs';
import type { Event } from '../events/event.js';
import { commId, processId, unknownCommId } from '../events/ids.js';
import {
  decodeXctlGpuWait,
  decodeXctlNcclCount,
  decodeXctlNcclKey,
  XctlGpuClass,
  XctlNcclCountLayout,
  XctlNcclKeyLayout,
} from '../kernel/abi.generated.js';
import type { BootClock } from '../kernel/clock.js';
import type { BpfMap, LoadedObject } from '../kernel/program.js';
import type { Calls } from './gpu-trace-budget.js';
import { callName } from './gpu-trace-functions.js';
import { type Place, placeKey, type SplitRanks } from './gpu-trace-splits.js';
import { isSame } from './proc.js';

/** A healthy step synchronises too, and not for as long. */
const WAIT_MS = 500;
const UNKNOWN = -1;

interface ToldWait {
  readonly pid: number;
  readonly start: number;
  readonly what: string;
  readonly since: number;
}

interface Enqueued {
  readonly event: Event;
  /** All that would be news. */
  readonly figures: string;
  /** Of a communicator that others can be in: whose part in which it is. */
  readonly place: string | undefined;
}

export interface TablesContext {
  readonly clock: BootClock;
  readonly sink: (event: Event) => void;
  /** Whether all enqueues in that file are counted. */
  readonly counts: (file: number) => boolean;
  readonly splits: SplitRanks;
}

export class TraceTables {
  readonly #context: TablesContext;
  readonly #counts: BpfMap;
  readonly #waits: BpfMap;
  readonly #calls: BpfMap;
  readonly #count: DataView;
  readonly #wait: DataView;
  readonly #perCpu: DataView;
  /** By key of the table: the figures that were told last. */
  #told = new Map<string, string>();
  #waiting = new Map<number, ToldWait>();

  constructor(object: LoadedObject, context: TablesContext) {
    this.#context = context;
    this.#counts = object.map('xctl_nccl_counts');
    this.#waits = object.map('xctl_gpu_waits');
    this.#calls = object.map('xctl_gpu_calls');
    this.#count = new DataView(new ArrayBuffer(this.#counts.lookupSizeBytes));
    this.#wait = new DataView(new ArrayBuffer(this.#waits.lookupSizeBytes));
    this.#perCpu = new DataView(new ArrayBuffer(this.#calls.lookupSizeBytes));
  }

  /** Threads told of as waiting now. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Communicators that are alive. */
  get communicators(): number {
    return this.#told.size;
  }

  /** Tells what has changed. @param full all of it */
  pass(full: boolean): void {
    this.#passCounts(full);
    this.#passWaits();
  }

  /** Every wait that was told is over as far as anybody will know. */
  stop(): void {
    const ts = this.#now();
    for (const [tid, wait] of this.#waiting) this.#tellWait(ts, tid, wait, true);
    this.#waiting.clear();
  }

  /** Nothing takes marks away any more. */
  forgetWaits(): void {
    for (const key of this.#waits.keys()) this.#waits.delete(key);
    this.stop();
  }

  /** How often each class of programs ran so far. */
  calls(): Calls {
    return {
      comm: this.#callsOf(XctlGpuClass.COMM),
      ask: this.#callsOf(XctlGpuClass.ASK),
      enqueue: this.#callsOf(XctlGpuClass.ENQUEUE),
      sync: this.#callsOf(XctlGpuClass.SYNC),
    };
  }

  /** Takes out what belongs to processes and threads that have ended. */
  sweep(): void {
    const alive = new Map<number, boolean>();
    const lives = (pid: number, start: number): boolean => {
      const known = alive.get(pid) ?? isSame(pid, start);
      alive.set(pid, known);
      return known;
    };
    for (const key of this.#counts.keys()) {
      const { pid, startNs } = decodeXctlNcclKey(viewOf(key), 0);
      if (!lives(pid, startNs)) this.#counts.delete(key);
    }
    for (const key of this.#waits.keys()) {
      if (!this.#waits.lookup(key, bytesOf(this.#wait))) continue;
      const tid = viewOf(key).getUint32(0, true);
      const { pid, startNs } = decodeXctlGpuWait(this.#wait, 0);
      if (!lives(pid, startNs) || !existsSync(`/proc/${pid}/task/${tid}`)) this.#waits.delete(key);
    }
  }

  #passCounts(full: boolean): void {
    const ts = this.#now();
    const told = new Map<string, string>();
    const alive = new Set<string>();
    for (const key of this.#counts.keys()) {
      if (!this.#counts.lookup(key, bytesOf(this.#count))) continue;
      const name = hexOf(key);
      const { event, figures, place } = this.#enqueueEvent(ts, viewOf(key));
      told.set(name, figures);
      if (place !== undefined) alive.add(place);
      if (full || this.#told.get(name) !== figures) this.#context.sink(event);
    }
    this.#told = told;
    this.#context.splits.keep(alive);
  }

  #enqueueEvent(ts: number, key: DataView): Enqueued {
    const { pid, startNs } = decodeXctlNcclKey(key, 0);
    const count = decodeXctlNcclCount(this.#count, 0);
    const { collectives, p2p, lastNs, source } = count;
    const handle = handleOf(key, XctlNcclKeyLayout.comm);
    const stopped = !this.#context.counts(source);
    const entity = entityOf(this.#count, XctlNcclCountLayout.id, pid, handle);
    const id = idOf(this.#count, XctlNcclCountLayout.id);
    const place = id === undefined ? undefined : placeKey(pid, startNs, handle, id);
    const told = placeOf(count.rank, count.nranks);
    if (id !== undefined && place !== undefined) this.#context.splits.learn(id, place, told);
    const { rank, nranks } = { ...(place !== undefined && this.#context.splits.placeOf(place)), ...told };
    return {
      figures: `${entity} ${collectives} ${p2p} ${stopped} ${rank} ${nranks}`,
      place,
      event: {
        ts,
        type: 'nccl.enqueue',
        entity,
        pid,
        value: collectives,
        probe: 'gpu-trace',
        attrs: {
          start: startNs,
          handle,
          collectives,
          p2p,
          ...(lastNs > 0 && { last: this.#context.clock.toEpochMs(lastNs) }),
          ...(rank !== undefined && { rank }),
          ...(nranks !== undefined && { nranks }),
          ...(stopped && { stopped: true as const }),
        },
      },
    };
  }

  #passWaits(): void {
    const ts = this.#now();
    const waiting = new Map<number, ToldWait>();
    for (const key of this.#waits.keys()) {
      if (!this.#waits.lookup(key, bytesOf(this.#wait))) continue;
      const { pid, startNs, sinceNs, call } = decodeXctlGpuWait(this.#wait, 0);
      const since = this.#context.clock.toEpochMs(sinceNs);
      if (ts - since < WAIT_MS) continue;
      const wait = { pid, start: startNs, what: callName(call), since };
      const tid = viewOf(key).getUint32(0, true);
      waiting.set(tid, wait);
      this.#tellWait(ts, tid, wait, false);
    }
    for (const [tid, wait] of this.#waiting) if (!waiting.has(tid)) this.#tellWait(ts, tid, wait, true);
    this.#waiting = waiting;
  }

  #tellWait(ts: number, tid: number, { pid, start, what, since }: ToldWait, over: boolean): void {
    this.#context.sink({
      ts,
      type: 'wait.gpu',
      entity: processId(pid),
      pid,
      value: Math.max(0, ts - since),
      probe: 'gpu-trace',
      attrs: { start, tid, what, since, ...(over && { over: true as const }) },
    });
  }

  #callsOf(index: number): number {
    const key = new Uint8Array(4);
    key[0] = index;
    if (!this.#calls.lookup(key, bytesOf(this.#perCpu))) return 0;
    let sum = 0;
    for (let at = 0; at < this.#perCpu.byteLength; at += 8) sum += u64(this.#perCpu, at);
    return sum;
  }

  #now(): number {
    return this.#context.clock.toEpochMs(this.#context.clock.nowNs());
  }
}

/** What the kernel knows of rank and size, by the init call or because the program has asked. */
export function placeOf(rank: number, nranks: number): Partial<Place> {
  return { ...(rank !== UNKNOWN && { rank }), ...(nranks !== UNKNOWN && { nranks }) };
}

/** The hash at `at`, the same in all ranks of one communicator. */
export function idOf(view: DataView, at: number): string | undefined {
  const hash = view.getBigUint64(at, true);
  return hash === 0n ? undefined : hash.toString(16).padStart(16, '0');
}

/** `comm:…` by the hash at `at`; by its address where that is unknown. */
export function entityOf(view: DataView, at: number, pid: number, handle: string): string {
  const id = idOf(view, at);
  return id === undefined ? unknownCommId(pid, handle) : commId(id);
}

export function handleOf(view: DataView, at: number): string {
  return `0x${view.getBigUint64(at, true).toString(16)}`;
}

function u64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
