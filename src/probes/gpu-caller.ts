/**
 * Calls of NVML for one purpose (one GPU, the library itself, the events), one after the other: what is under way
 * and since when, what it has cost, and what is of no use to ask again.
 */
import type { Pinned } from '../ffi/memory.js';
import { Nvml, type NvmlArgs } from '../ffi/nvml.js';
import { isAbsent, isLost, NVML_ERROR_NOT_SUPPORTED, nvmlName, wantsReload } from '../ffi/nvml-errors.js';
import type { NvmlFunction } from '../ffi/nvml-functions.js';
import { XctlError } from '../util/errors.js';

/** A code that is about more than one figure: the GPU is lost, or the driver was taken away. */
export class NvmlFailure extends XctlError {
  override readonly name = 'NvmlFailure';
  readonly call: string;
  readonly code: number;

  constructor(call: string, code: number) {
    super(`${call}: ${nvmlName(code)}`);
    this.call = call;
    this.code = code;
  }

  get reload(): boolean {
    return wantsReload(this.code);
  }
}

export interface Pending {
  readonly call: string;
  /** performance.now() */
  readonly since: number;
}

export class Caller {
  readonly nvml: Nvml;
  /** The call that has not come back yet. */
  pending: Pending | undefined;
  calls = 0;
  /** In calls of the library, ms. */
  spentMs = 0;
  readonly #frame = Nvml.frame();
  readonly #absent = new Set<string>();

  constructor(nvml: Nvml) {
    this.nvml = nvml;
  }

  /**
   * @param figure what is asked for, where a function has several: one that is not supported is not asked for again
   * @throws NvmlFailure
   */
  async ask<F extends NvmlFunction>(fn: F, args: NvmlArgs<F>, figure: string = fn): Promise<number> {
    if (this.#absent.has(figure)) return NVML_ERROR_NOT_SUPPORTED;
    const code = await this.plain(fn, args);
    if (isLost(code) || wantsReload(code)) throw new NvmlFailure(this.nvml.nameOf(fn) ?? fn, code);
    if (isAbsent(code)) this.#absent.add(figure);
    return code;
  }

  /** The same without judging the code. */
  async plain<F extends NvmlFunction>(fn: F, args: NvmlArgs<F>): Promise<number> {
    const since = performance.now();
    this.pending = { call: this.nvml.nameOf(fn) ?? fn, since };
    this.calls++;
    try {
      return await this.nvml.callIn(this.#frame, fn, args);
    } finally {
      this.pending = undefined;
      this.spentMs += performance.now() - since;
    }
  }

  isAbsent(figure: string): boolean {
    return this.#absent.has(figure);
  }

  setAbsent(figure: string): void {
    this.#absent.add(figure);
  }

  /** What was not supported may be now: MIG was switched, the driver was exchanged. */
  forget(): void {
    this.#absent.clear();
  }
}

/** Text up to its NUL. */
export function textOf(memory: Pinned, sizeBytes: number): string {
  const end = memory.bytes.indexOf(0);
  return memory.bytes.toString('utf8', 0, end < 0 || end > sizeBytes ? sizeBytes : end);
}
