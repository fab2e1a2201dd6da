/**
 * NVIDIA's management library, found at run time and never linked. This file only calls: every call runs on a thread
 * of libuv's pool, since any of them can wait for a GPU that answers late or never, and gives NVML's own return code.
 * When to call, how many at a time and what to make of a call that does not come back is for src/probes/gpu-*.ts.
 */
import { NativeError } from '../util/errors.js';
import { type ArgsOf, type ArgType, Frame, Library, type NativeFunction } from './native.js';
import { NVML_ERROR_FUNCTION_NOT_FOUND } from './nvml-errors.js';
import { FUNCTIONS, type NvmlFunction, type NvmlFunctionSpec } from './nvml-functions.js';

export const NVML_SONAME = 'libnvidia-ml.so.1';

const MAX_ARGS = Math.max(...Object.values(FUNCTIONS).map(({ args }) => args.length));

export type NvmlArgs<F extends NvmlFunction> = ArgsOf<(typeof FUNCTIONS)[F]['args']>;

export class Nvml {
  readonly path: string;
  readonly #bound = new Map<NvmlFunction, NativeFunction<readonly ArgType[]>>();
  /** Calls made so far. */
  calls = 0;

  /**
   * Loads the library; nothing of it is called.
   * @throws NativeError `ENOENT` it is not there; `ENOSYS` it is, and no NVML that could be used
   */
  constructor(path = NVML_SONAME) {
    const library = Library.open(path);
    this.path = path;
    for (const [key, spec] of Object.entries<NvmlFunctionSpec>(FUNCTIONS)) {
      const bound = newest(library, spec);
      if (bound !== undefined) this.#bound.set(key as NvmlFunction, bound);
      else if (spec.essential)
        throw new NativeError(`dlsym ${spec.names[0]}`, 'ENOSYS', `${path} is no NVML`);
    }
  }

  /** The name under which the library has a function; undefined when it has it under none. */
  nameOf(fn: NvmlFunction): string | undefined {
    return this.#bound.get(fn)?.name;
  }

  /** Functions that the library does not have under any name. */
  missing(): readonly NvmlFunction[] {
    return Object.keys(FUNCTIONS)
      .map((key) => key as NvmlFunction)
      .filter((key) => !this.#bound.has(key));
  }

  /** For one call at a time, of any function. */
  static frame(): Frame {
    return new Frame(MAX_ARGS);
  }

  /**
   * @param frame that no other call uses before this one has come back
   * @returns NVML's return code; FUNCTION_NOT_FOUND where the library has no such function. Memory that is given
   *   must not be touched before that, however long it takes.
   */
  callIn<F extends NvmlFunction>(frame: Frame, fn: F, args: NvmlArgs<F>): Promise<number> {
    const bound = this.#bound.get(fn);
    if (bound === undefined) return Promise.resolve(NVML_ERROR_FUNCTION_NOT_FOUND);
    this.calls++;
    return bound.callAsyncIn(frame, args);
  }

  /** The same with a frame of its own. */
  call<F extends NvmlFunction>(fn: F, ...args: NvmlArgs<F>): Promise<number> {
    return this.callIn(Nvml.frame(), fn, args);
  }
}

function newest(library: Library, spec: NvmlFunctionSpec): NativeFunction<readonly ArgType[]> | undefined {
  for (const name of spec.names) {
    const found = library.find<readonly ArgType[]>(name, 'i32', spec.args);
    if (found !== undefined) return found;
  }
  return undefined;
}
