/**
 * What the rest of the agent sees of loaded BPF programs: which slot is attached by which rung, and
 * why the better rungs were refused. A *slot* is one job ("tcp_retransmit"); its *rungs* are the
 * programs in the same ELF that can do it, named `<slot>__<rung>`.
 */
import type { UprobePlaces } from '../ffi/uprobe-multi.js';

export type { UprobePlaces };

/** Ways to hook a program in, best first within a ladder; `other` is a section outside the ladders. */
export type Rung = 'tp_btf' | 'fentry' | 'raw_tp' | 'tp' | 'kprobe' | 'iter_s' | 'iter' | 'other';

/** Cheapest for the workload first (tracepoint arguments typed by BTF, …, breakpoint). */
export const RUNG_ORDER: readonly Rung[] = [
  'tp_btf',
  'fentry',
  'raw_tp',
  'tp',
  'kprobe',
  'iter_s',
  'iter',
  'other',
];

/** Why one rung was not taken. */
export interface RungAttempt {
  readonly rung: Rung;
  /** `probe`: the kernel lacks the hook; `load`: the verifier refused; `attach`: the kernel refused. */
  readonly stage: 'probe' | 'load' | 'attach';
  /** `EPERM`, `EINVAL`, … or `ENOENT` where the hook does not exist. */
  readonly errno: string;
  /** One line, control characters removed. */
  readonly reason: string;
}

/** State of a slot, for `xctl doctor` and `/metrics`. */
export interface ProgramStatus {
  /** Object the slot is in, without directory and suffix: `tcp`. */
  readonly object: string;
  readonly slot: string;
  /** The rung in use; null when none is left. */
  readonly rung: Rung | null;
  readonly attached: boolean;
  /** Why it is off, or why it is not on its best rung; null when there is nothing to say. */
  readonly reason: string | null;
  /** Every rung that was refused, in the order tried. */
  readonly attempts: readonly RungAttempt[];
}

/** A map of a loaded object. Keys and values are native byte order, per-CPU values one after the other. */
export interface BpfMap {
  readonly name: string;
  readonly fd: number;
  readonly keySizeBytes: number;
  /** Of one value; a lookup in a per-CPU map fills `valueSizeBytes * possibleCpus`. */
  readonly valueSizeBytes: number;
  /** Bytes that `lookup` writes to `out`. */
  readonly lookupSizeBytes: number;
  /** @returns false when there is no such key. @throws NativeError on any other failure. */
  lookup(key: Uint8Array, out: Uint8Array): boolean;
  /** @throws NativeError `E2BIG` when the map is full. */
  update(key: Uint8Array, value: Uint8Array): void;
  /** @returns false when there was no such key. */
  delete(key: Uint8Array): boolean;
  /** Every key at the time of the call, in the map's order; a copy. */
  keys(): Uint8Array[];
}

/** What one pass of an iterator wrote. */
export interface IteratorPass {
  /** Bytes, valid until the next `read()` of the same iterator. */
  readonly bytes: Buffer;
  /** False when a pid was asked for and the kernel (before 6.1) walked all tasks instead. */
  readonly restricted: boolean;
}

/** An iterator program: `read()` runs it once over all objects and returns all it wrote. */
export interface BpfIterator {
  readonly slot: string;
  readonly rung: 'iter_s' | 'iter';
  /**
   * @param pid only the tasks of this process (tgid), where the kernel can.
   * @throws NativeError when the kernel refuses the pass.
   */
  read(pid?: number): IteratorPass;
}

/** A program on functions of one file. */
export interface UprobeLink {
  /** Safe to call twice, and after the object has stopped. */
  detach(): Promise<void>;
}

/** One loaded ELF. */
export interface LoadedObject {
  readonly name: string;
  readonly programs: readonly ProgramStatus[];
  /** @throws NativeError `ENOENT` when the object has no such map. */
  map(name: string): BpfMap;
  /** Undefined when the slot is off or is no iterator. */
  iterator(slot: string): BpfIterator | undefined;
  /** File descriptor of the slot's program; undefined when it is off. */
  programFd(slot: string): number | undefined;
  /**
   * Attaches the slot's program to functions of one file of user space, once more for each call; all or none.
   * @throws NativeError when the kernel refuses; `ENOENT` when the program was not loaded.
   */
  attachUprobe(slot: string, places: UprobePlaces): Promise<UprobeLink>;
  /** Detaches and unloads. Safe to call twice. */
  stop(): void;
}

/**
 * Receives a record where it lies in the ring: `view` spans the whole ring, the record starts at
 * `at` and has `size` bytes. Nothing of it may be kept after the handler returns.
 */
export type RecordHandler = (view: DataView, at: number, size: number) => void;
