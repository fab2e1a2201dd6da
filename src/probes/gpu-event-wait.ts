/**
 * The wait for NVML's events: one call at a time, on a thread of its own of libuv's four (gpu-lanes.ts has two), each
 * of a second at most, so that the agent can always end. It is the only way to hear of an XID at once that needs no
 * kernel log, and one wake-up a second.
 */
import type { GpuEventAttrs } from '../events/gpu.js';
import { Pinned } from '../ffi/memory.js';
import type { Nvml } from '../ffi/nvml.js';
import { NVML_ERROR_TIMEOUT, NVML_SUCCESS, nvmlName, wantsReload } from '../ffi/nvml-errors.js';
import { EVENT_DATA, instance, read } from '../ffi/nvml-structs.js';
import { Caller } from './gpu-caller.js';
import { eventKind } from './gpu-figures.js';

const WAIT_MS = 1_000;
/** After an answer that is neither an event nor the end of the time: not at once again. */
const PAUSE_MS = 1_000;

export interface EventHandler {
  /** @param handle of the GPU */
  onEvent(handle: number, attrs: GpuEventAttrs): void;
  /** The driver was taken away. */
  onReload(call: string, code: number): void;
}

export class EventWait {
  readonly #caller: Caller;
  readonly #handler: EventHandler;
  readonly #data = new Pinned(EVENT_DATA.sizeBytes);
  #running: Promise<void> | undefined;
  #pause: (() => void) | undefined;
  #set = 0;
  events = 0;
  /** Of the last wait that failed. */
  failure: string | undefined;

  constructor(nvml: Nvml, handler: EventHandler) {
    this.#caller = new Caller(nvml);
    this.#handler = handler;
  }

  /** For how long the wait is overdue, ms; 0 when it is not. */
  overdueMs(): number {
    const since = this.#caller.pending?.since;
    return since === undefined ? 0 : Math.max(0, performance.now() - since - WAIT_MS);
  }

  get idle(): boolean {
    return this.#running === undefined;
  }

  start(set: number): void {
    if (set === 0 || this.#running !== undefined) return;
    this.#set = set;
    this.#running = this.#loop().finally(() => {
      this.#running = undefined;
    });
  }

  /** Begins no further wait. What is under way ends within a second, or hangs. */
  stop(): void {
    this.#set = 0;
    this.#pause?.();
  }

  async #loop(): Promise<void> {
    const v2 = this.#caller.nvml.nameOf('eventWait') !== 'nvmlEventSetWait';
    while (this.#set !== 0) {
      const code = await this.#caller.plain('eventWait', [this.#set, this.#data, WAIT_MS]);
      if (code === NVML_SUCCESS) this.#tell(v2);
      else if (wantsReload(code)) {
        if (this.#set !== 0) this.#handler.onReload('nvmlEventSetWait', code);
        return;
      } else if (code !== NVML_ERROR_TIMEOUT) {
        this.failure = nvmlName(code);
        await this.#rest();
      }
    }
  }

  #tell(v2: boolean): void {
    this.failure = undefined;
    const { device, type, data, gpuInstance, computeInstance } = read(this.#data, EVENT_DATA);
    const kind = eventKind(type);
    if (kind === undefined) return;
    this.events++;
    const [gi, ci] = v2 ? [instance(gpuInstance), instance(computeInstance)] : [];
    this.#handler.onEvent(device, {
      kind,
      ...(kind === 'xid' && { xid: data }),
      ...(gi !== undefined && { gi }),
      ...(ci !== undefined && { ci }),
    });
  }

  #rest(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, PAUSE_MS).unref();
      this.#pause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
