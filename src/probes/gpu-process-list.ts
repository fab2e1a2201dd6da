/** The compute processes of one GPU with their memory, and how much of the GPU each of them used. */
import { Pinned } from '../ffi/memory.js';
import { NVML_ERROR_INSUFFICIENT_SIZE, NVML_SUCCESS } from '../ffi/nvml-errors.js';
import {
  available,
  instance,
  PROCESS_SAMPLE,
  PROCESS_V1,
  PROCESS_V2,
  PROCESS_V2_WIDE_BYTES,
  read,
} from '../ffi/nvml-structs.js';
import type { Caller } from './gpu-caller.js';

export interface NvmlProcess {
  readonly pid: number;
  readonly memoryBytes?: number;
  readonly smPercent?: number;
  readonly memoryPercent?: number;
  readonly gi?: number;
  readonly ci?: number;
}

const FIRST_ENTRIES = 32;
const MAX_ENTRIES = 4096;
/** What an answer does not write stays so: tells how long its entries are. */
const UNTOUCHED = 0xa5;

export class ProcessReader {
  readonly #caller: Caller;
  readonly #device: number;
  readonly #count = new Pinned(8);
  #list = new Pinned(FIRST_ENTRIES * PROCESS_V2_WIDE_BYTES);
  #samples = new Pinned(FIRST_ENTRIES * PROCESS_SAMPLE.sizeBytes);
  /** Time of the newest sample seen. */
  #sampledUs = 0;

  constructor(caller: Caller, device: number) {
    this.#caller = caller;
    this.#device = device;
  }

  /**
   * @returns undefined where the GPU does not tell
   * @throws NvmlFailure
   */
  async read(): Promise<readonly NvmlProcess[] | undefined> {
    const count = await this.#fill('processes');
    if (count === undefined) return undefined;
    const processes = this.#entries(count);
    const used = processes.length === 0 ? undefined : await this.#use();
    return processes.map((process) => ({ ...process, ...used?.get(process.pid) }));
  }

  /** A list that has grown is asked for again with more room. */
  async #fill(what: 'processes' | 'samples'): Promise<number | undefined> {
    for (let tries = 0; tries < 4; tries++) {
      const memory = what === 'processes' ? this.#list : this.#samples;
      const entryBytes = what === 'processes' ? PROCESS_V2_WIDE_BYTES : PROCESS_SAMPLE.sizeBytes;
      const room = memory.bytes.length / entryBytes;
      this.#count.view.setUint32(0, room, true);
      if (what === 'processes') memory.bytes.fill(UNTOUCHED);
      const code =
        what === 'processes'
          ? await this.#caller.ask('processes', [this.#device, this.#count, memory])
          : await this.#caller.ask('processSamples', [this.#device, memory, this.#count, this.#sampledUs]);
      const count = this.#count.view.getUint32(0, true);
      if (code === NVML_SUCCESS) return Math.min(count, room);
      if (code !== NVML_ERROR_INSUFFICIENT_SIZE || room >= MAX_ENTRIES) return undefined;
      const grown = new Pinned(Math.min(Math.max(count + 8, 2 * room), MAX_ENTRIES) * entryBytes);
      if (what === 'processes') this.#list = grown;
      else this.#samples = grown;
    }
    return undefined;
  }

  #entries(count: number): NvmlProcess[] {
    const old = this.#caller.nvml.nameOf('processes') === 'nvmlDeviceGetComputeRunningProcesses';
    const entryBytes = old ? PROCESS_V1.sizeBytes : this.#entryBytes(count);
    const processes: NvmlProcess[] = [];
    for (let i = 0; i < count; i++) {
      const at = i * entryBytes;
      const { pid, usedBytes } = read(this.#list, PROCESS_V1, at);
      const memoryBytes = available(usedBytes);
      const { gpuInstance, computeInstance } = old
        ? { gpuInstance: 0xffff_ffff, computeInstance: 0xffff_ffff }
        : read(this.#list, PROCESS_V2, at);
      const [gi, ci] = [instance(gpuInstance), instance(computeInstance)];
      processes.push({
        pid,
        ...(memoryBytes !== undefined && { memoryBytes }),
        ...(gi !== undefined && { gi }),
        ...(ci !== undefined && { ci }),
      });
    }
    return processes;
  }

  /** Two lengths go by one name: what was written tells which. */
  #entryBytes(count: number): number {
    const { bytes } = this.#list;
    const [short, long] = [count * PROCESS_V2.sizeBytes, count * PROCESS_V2_WIDE_BYTES];
    return bytes.subarray(short, long).every((byte) => byte === UNTOUCHED)
      ? PROCESS_V2.sizeBytes
      : PROCESS_V2_WIDE_BYTES;
  }

  async #use(): Promise<ReadonlyMap<number, { smPercent: number; memoryPercent: number }> | undefined> {
    const count = await this.#fill('samples');
    if (count === undefined) return undefined;
    const sums = new Map<number, { sm: number; memory: number; samples: number }>();
    for (let i = 0; i < count; i++) {
      const { pid, timeStampUs, sm, memory } = read(
        this.#samples,
        PROCESS_SAMPLE,
        i * PROCESS_SAMPLE.sizeBytes,
      );
      // Some drivers give old samples once more, and shares that are no shares.
      if (timeStampUs <= this.#sampledUs || sm > 100 || memory > 100) continue;
      const sum = sums.get(pid) ?? { sm: 0, memory: 0, samples: 0 };
      sums.set(pid, { sm: sum.sm + sm, memory: sum.memory + memory, samples: sum.samples + 1 });
    }
    for (let i = 0; i < count; i++)
      this.#sampledUs = Math.max(this.#sampledUs, this.#samples.readU64(i * PROCESS_SAMPLE.sizeBytes + 8));
    return new Map(
      [...sums].map(([pid, { sm, memory, samples }]) => [
        pid,
        { smPercent: sm / samples, memoryPercent: memory / samples },
      ]),
    );
  }
}
