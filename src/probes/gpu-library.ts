/**
 * The library's own life: found, started, ended and started anew when the driver was exchanged, and which GPUs it
 * has. None of it is a crash: what does not work is a state with a reason, and is tried again.
 */
import { Pinned } from '../ffi/memory.js';
import { Nvml } from '../ffi/nvml.js';
import {
  isLost,
  NVML_ERROR_UNKNOWN,
  NVML_SUCCESS,
  nvmlHint,
  nvmlName,
  wantsReload,
} from '../ffi/nvml-errors.js';
import { NativeError } from '../util/errors.js';
import { printable } from '../util/text.js';
import { Caller, textOf } from './gpu-caller.js';
import { WANTED_EVENTS } from './gpu-figures.js';

export type LibraryState =
  /** There is no such library here: no NVIDIA driver, or not in this container. */
  | { readonly kind: 'absent'; readonly reason: string }
  /** There is one, and it is not NVML. */
  | { readonly kind: 'unusable'; readonly reason: string }
  /** It does not start. */
  | { readonly kind: 'closed'; readonly code: number; readonly reason: string }
  /** It is being started. */
  | { readonly kind: 'opening' }
  | { readonly kind: 'open'; readonly driver: string | undefined };

/** A GPU as the library counts them: its handle, or why there is none. */
export type Found = { readonly index: number } & (
  | { readonly handle: number }
  | { readonly code: number; readonly lost: boolean }
);

const VERSION_BYTES = 80;
const MAX_GPUS = 64;

export class GpuLibrary {
  readonly #path: string | undefined;
  readonly #out = new Pinned(VERSION_BYTES);
  #state: LibraryState = { kind: 'absent', reason: 'not looked for yet' };
  #caller: Caller | undefined;
  #users = 0;
  /** 0: none. */
  eventSet = 0;
  /** GPUs whose events come, and why not those of others. */
  eventGpus = 0;
  eventRefusal: number | undefined;

  /** @param path another library than the system's, for tests */
  constructor(path?: string) {
    this.#path = path;
  }

  get state(): LibraryState {
    return this.#state;
  }

  get caller(): Caller | undefined {
    return this.#caller;
  }

  get nvml(): Nvml | undefined {
    return this.#caller?.nvml;
  }

  /** Loads it where that was not done. @returns whether it is there */
  load(): boolean {
    if (this.#caller !== undefined) return true;
    try {
      this.#caller = new Caller(new Nvml(this.#path));
      this.#state = { kind: 'opening' };
      return true;
    } catch (error) {
      if (!(error instanceof NativeError)) throw error;
      const missing = error.errno === 'ENOENT';
      this.#state = missing
        ? { kind: 'absent', reason: 'no libnvidia-ml.so.1 here' }
        : { kind: 'unusable', reason: printable(error.message, 300) };
      return false;
    }
  }

  /**
   * Starts it, or ends it and starts it anew.
   * @returns the GPUs it has; undefined when it did not start
   */
  async open(): Promise<readonly Found[] | undefined> {
    const caller = this.#caller;
    if (caller === undefined) return undefined;
    await this.close();
    const code = await caller.plain('init', []);
    if (code !== NVML_SUCCESS) return this.#closed(code, 'init');
    this.#users++;
    const found = await this.#find(caller);
    if (typeof found === 'number') return this.#closed(found, 'count');
    const driver =
      (await caller.plain('driverVersion', [this.#out, VERSION_BYTES])) === NVML_SUCCESS
        ? printable(textOf(this.#out, VERSION_BYTES), VERSION_BYTES)
        : undefined;
    await this.#listen(caller, found);
    this.#state = { kind: 'open', driver };
    return found;
  }

  /** Lets go of the GPUs. The library stays loaded: code may not vanish under a call. */
  async close(): Promise<void> {
    const caller = this.#caller;
    if (caller === undefined) return;
    const set = this.eventSet;
    this.eventSet = 0;
    this.eventGpus = 0;
    this.eventRefusal = undefined;
    if (set !== 0) await caller.plain('eventSetFree', [set]);
    for (; this.#users > 0; this.#users--) await caller.plain('shutdown', []);
  }

  #closed(code: number, call: 'init' | 'count'): undefined {
    const hint = nvmlHint(code);
    const name = this.#caller?.nvml.nameOf(call) ?? call;
    const reason = `${name}: ${nvmlName(code)}${hint === undefined ? '' : `; ${hint}`}`;
    this.#state = { kind: 'closed', code, reason };
    return undefined;
  }

  async #find(caller: Caller): Promise<readonly Found[] | number> {
    const out = this.#out;
    const counted = await caller.plain('count', [out]);
    if (counted !== NVML_SUCCESS) return counted;
    const count = Math.min(out.view.getUint32(0, true), MAX_GPUS);
    const found: Found[] = [];
    for (let index = 0; index < count; index++) {
      const code = await caller.plain('handle', [index, out]);
      if (wantsReload(code)) return code;
      // One that fell off the bus may have no better reason than UNKNOWN.
      if (code === NVML_SUCCESS) found.push({ index, handle: out.readU64(0) });
      else found.push({ index, code, lost: isLost(code) || code === NVML_ERROR_UNKNOWN });
    }
    return found;
  }

  async #listen(caller: Caller, found: readonly Found[]): Promise<void> {
    const out = this.#out;
    const code = await caller.plain('eventSet', [out]);
    if (code !== NVML_SUCCESS) {
      this.eventRefusal = code;
      return;
    }
    const set = out.readU64(0);
    for (const gpu of found) {
      if (!('handle' in gpu)) continue;
      const known = await caller.plain('eventTypes', [gpu.handle, out]);
      // Bits beyond 32 are none that this agent knows.
      const types = known === NVML_SUCCESS ? (out.view.getUint32(0, true) & WANTED_EVENTS) >>> 0 : 0;
      const registered = types === 0 ? known : await caller.plain('registerEvents', [gpu.handle, types, set]);
      if (registered === NVML_SUCCESS && types !== 0) this.eventGpus++;
      else if (registered !== NVML_SUCCESS) this.eventRefusal = registered;
    }
    this.eventSet = set;
  }
}
