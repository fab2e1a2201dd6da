/**
 * The agent's side of the kernel: the maps that all BPF objects share, and the objects.
 *
 *     const kernel = await Kernel.open({ log, bpfDir: 'dist/bpf', signal });
 *     const tcp = await kernel.load('tcp');
 *     …
 *     kernel.stop();
 */
import { closeSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_RINGBUF, Libbpf } from '../ffi/libbpf.js';
import { getuid, trimHeap } from '../ffi/libc.js';
import { NativeError } from '../util/errors.js';
import type { Log } from '../util/log.js';
import { XctlLostReason, XctlLostReasonNames } from './abi.generated.js';
import { Hooks } from './hooks.js';
import { KernelObject } from './loaded-object.js';
import { KernelMap } from './map.js';
import { ObjectError, type SharedMaps } from './object.js';
import { loadObject } from './object-loader.js';
import type { LoadedObject, ProgramStatus } from './program.js';
import { Ring } from './ring.js';

export interface KernelOptions {
  readonly log: Log;
  /** Directory of the built objects, `<name>.bpf.o`. */
  readonly bpfDir: string;
  /** Ends a load between two attempts. */
  readonly signal?: AbortSignal;
  /** Types of the running kernel, where it does not carry them itself. */
  readonly btfPath?: string;
  /** Bytes of the rings, powers of two and multiples of a page; 2 MiB and 512 KiB. */
  readonly eventsBytes?: number;
  readonly criticalBytes?: number;
  /** One link for uprobes at many places, where the kernel can (6.6); false: one a place, as before. */
  readonly uprobeMulti?: boolean;
  /** Another libbpf than `libbpf.so.1`. */
  readonly libbpf?: string;
}

const EVENTS_BYTES = 2 * 1024 * 1024;
const CRITICAL_BYTES = 512 * 1024;

export class Kernel {
  /** Facts by the thousand. */
  readonly events: Ring;
  /** Rare ones that are never repeated. */
  readonly critical: Ring;
  readonly bpf: Libbpf;
  readonly #options: KernelOptions;
  readonly #hooks: Hooks;
  readonly #shared: SharedMaps;
  readonly #lost: KernelMap;
  readonly #lostValues: DataView;
  readonly #objects = new Map<string, LoadedObject>();
  readonly #failures = new Map<string, string>();
  #stopped = false;

  private constructor(
    bpf: Libbpf,
    options: KernelOptions,
    shared: SharedMaps,
    rings: [Ring, Ring],
    lost: KernelMap,
  ) {
    this.bpf = bpf;
    this.#options = options;
    this.#shared = shared;
    [this.events, this.critical] = rings;
    this.#lost = lost;
    this.#lostValues = new DataView(new ArrayBuffer(lost.lookupSizeBytes));
    this.#hooks = new Hooks(bpf, options.uprobeMulti);
  }

  /**
   * Creates the two rings and the table of losses.
   * @throws NativeError: libbpf is missing, or the rights to use BPF are.
   */
  static async open(options: KernelOptions): Promise<Kernel> {
    options.signal?.throwIfAborted();
    const bpf = new Libbpf(options.libbpf);
    const eventsBytes = options.eventsBytes ?? EVENTS_BYTES;
    const criticalBytes = options.criticalBytes ?? CRITICAL_BYTES;
    const fds: number[] = [];
    const create = (type: number, name: string, key: number, value: number, entries: number): number => {
      const fd = createShared(bpf, type, name, key, value, entries);
      fds.push(fd);
      return fd;
    };
    try {
      const shared = {
        xctl_events: create(BPF_MAP_TYPE_RINGBUF, 'xctl_events', 0, 0, eventsBytes),
        xctl_critical: create(BPF_MAP_TYPE_RINGBUF, 'xctl_critical', 0, 0, criticalBytes),
        xctl_lost: create(BPF_MAP_TYPE_PERCPU_ARRAY, 'xctl_lost', 4, 8, XctlLostReason.MAX),
      };
      const rings: [Ring, Ring] = [
        Ring.map(shared.xctl_events, eventsBytes),
        Ring.map(shared.xctl_critical, criticalBytes),
      ];
      const lost = new KernelMap(bpf, 'xctl_lost', shared.xctl_lost, {
        type: BPF_MAP_TYPE_PERCPU_ARRAY,
        keySizeBytes: 4,
        valueSizeBytes: 8,
        maxEntries: XctlLostReason.MAX,
        perCpu: true,
      });
      return new Kernel(bpf, options, shared, rings, lost);
    } catch (error) {
      for (const fd of fds) closeSync(fd);
      throw error;
    }
  }

  /** Every slot of every loaded object. */
  get programs(): readonly ProgramStatus[] {
    return [...this.#objects.values()].flatMap((o) => o.programs);
  }

  get objects(): readonly LoadedObject[] {
    return [...this.#objects.values()];
  }

  /** Objects that could not be loaded at all → why. */
  get failures(): ReadonlyMap<string, string> {
    return this.#failures;
  }

  /**
   * Loads `<bpfDir>/<name>.bpf.o` and attaches each slot by the best rung this kernel allows. A slot
   * that nothing could attach is off in `programs`, with the reasons; that is no error.
   * @throws ObjectError the file is missing, of another ABI version, or this kernel has no BTF.
   * @throws NativeError the object cannot be loaded even without a program.
   */
  async load(name: string): Promise<LoadedObject> {
    const { bpfDir, log, signal, btfPath } = this.#options;
    try {
      this.#requireBtf(name);
      const loaded = await loadObject(
        { bpf: this.bpf, log, hooks: this.#hooks, shared: this.#shared, btfPath, signal },
        join(bpfDir, `${name}.bpf.o`),
      );
      const object = new KernelObject(this.bpf, name, loaded);
      if (this.#stopped) {
        object.stop();
        throw new ObjectError(`${name}: stopped while it was loaded`);
      }
      this.#objects.get(name)?.stop();
      this.#objects.set(name, object);
      this.#failures.delete(name);
      return object;
    } catch (error) {
      this.#failures.set(name, error instanceof Error ? error.message : String(error));
      throw error;
    } finally {
      this.#hooks.stop();
      trimHeap();
    }
  }

  /** What the kernel could not deliver so far, by reason (`events_full`, …). */
  lost(): Record<string, number> {
    const values = this.#lostValues;
    const bytes = new Uint8Array(values.buffer);
    const key = new Uint8Array(4);
    const result: Record<string, number> = {};
    for (let reason = 0; reason < XctlLostReason.MAX; reason++) {
      key[0] = reason;
      let sum = 0;
      if (!this.#stopped && this.#lost.lookup(key, bytes)) {
        for (let at = 0; at < values.byteLength; at += 8) {
          sum += values.getUint32(at, true) + values.getUint32(at + 4, true) * 0x1_0000_0000;
        }
      }
      result[XctlLostReasonNames[reason] ?? String(reason)] = sum;
    }
    return result;
  }

  /** Detaches everything. Safe to call twice. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    for (const object of this.#objects.values()) object.stop();
    this.#hooks.stop();
    this.events.stop();
    this.critical.stop();
    for (const fd of Object.values(this.#shared)) closeSync(fd);
  }

  #requireBtf(name: string): void {
    const { btfPath } = this.#options;
    const present = btfPath === undefined ? this.#hooks.hasBtf() : existsSync(btfPath);
    if (present) return;
    throw new ObjectError(
      `${name}: no kernel BTF at ${btfPath ?? '/sys/kernel/btf/vmlinux'}; needs a kernel with CONFIG_DEBUG_INFO_BTF`,
    );
  }
}

function createShared(
  bpf: Libbpf,
  type: number,
  name: string,
  key: number,
  value: number,
  entries: number,
): number {
  try {
    return bpf.createMap(type, name, key, value, entries);
  } catch (error) {
    if (error instanceof NativeError && error.errno === 'EPERM') {
      const who = getuid() === 0 ? 'root here lacks a capability' : `not root (uid ${getuid()})`;
      throw new NativeError(error.fn, error.errno, `${who}; needs CAP_BPF and CAP_PERFMON`, { cause: error });
    }
    throw error;
  }
}
