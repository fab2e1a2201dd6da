/**
 * Shared libraries and calls into them. A call is prepared once (signature, cells for the arguments
 * and the result) and then costs a third of a microsecond, 10 to 50 times less than ffi-napi's own
 * functions, which make a Buffer for each argument of each call.
 */
import { constants } from 'node:os';
import bindings from 'ffi-napi/lib/bindings.js';
import makeCif from 'ffi-napi/lib/cif.js';
// For its effect: only this package's main module teaches ref-napi the types of libffi.
import 'ffi-napi';
import ref from 'ref-napi';
import { NativeError } from '../util/errors.js';
import { codeAt, Pinned } from './memory.js';

/** Types of arguments; `ptr` takes memory of ours or a handle, all others a number. */
export type ArgType = 'i32' | 'u32' | 'u64' | 'ptr';
/** Types of results; `ptr` is a handle: a number, never a Buffer. */
export type ResultType = 'void' | 'i32' | 'i64' | 'u64' | 'ptr';
type ArgOf<T> = T extends 'ptr' ? Pinned | number : number;
export type ArgsOf<A extends readonly ArgType[]> = { readonly [K in keyof A]: ArgOf<A[K]> };

const FFI_TYPE_OF = {
  void: 'void',
  i32: 'int32',
  u32: 'uint32',
  i64: 'int64',
  u64: 'uint64',
  ptr: 'uint64',
} as const;
const CELL_BYTES = 8;

/**
 * Argument cells, the list of their addresses and the result, in one piece of memory: what one call at a time needs.
 * One made for more arguments than a function has will do for it too.
 */
export class Frame {
  readonly #cells: Pinned;
  readonly #argc: number;
  readonly argv: Buffer;
  readonly result: Buffer;
  /** What C reads during the call; an address alone would not keep it alive. */
  kept: readonly (Pinned | number)[] = [];

  constructor(argc: number) {
    this.#argc = argc;
    this.#cells = new Pinned((2 * argc + 2) * CELL_BYTES);
    for (let i = 0; i < argc; i++) {
      this.#cells.writeAddress((argc + i) * CELL_BYTES, this.#cells.address + i * CELL_BYTES);
    }
    this.argv = this.#cells.bytes.subarray(argc * CELL_BYTES);
    this.result = this.#cells.bytes.subarray(2 * argc * CELL_BYTES);
  }

  fill(args: readonly (Pinned | number)[]): void {
    this.kept = args;
    const view = this.#cells.view;
    for (let i = 0; i < args.length; i++) {
      const arg = args[i] ?? 0;
      const value = typeof arg === 'number' ? arg : arg.address;
      // Two's complement in 64 bits: a narrower type is the low end of it.
      view.setUint32(i * CELL_BYTES, value >>> 0, true);
      view.setInt32(i * CELL_BYTES + 4, Math.floor(value / 0x1_0000_0000), true);
    }
  }

  take(type: ResultType): number {
    this.kept = [];
    const at = 2 * this.#argc * CELL_BYTES;
    const view = this.#cells.view;
    switch (type) {
      case 'void':
        return 0;
      case 'i32':
        return view.getInt32(at, true);
      case 'i64':
        return view.getUint32(at, true) + view.getInt32(at + 4, true) * 0x1_0000_0000;
      case 'u64':
      case 'ptr':
        return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
    }
  }
}

let pending = 0;

/** Calls by `callAsync` that have not come back. */
export function pendingCalls(): number {
  return pending;
}

/** A C function. Numbers in, a number out; 64-bit values are exact below 2^53. */
export class NativeFunction<A extends readonly ArgType[]> {
  readonly name: string;
  readonly #result: ResultType;
  readonly #argc: number;
  readonly #cif: Buffer;
  readonly #code: Buffer;
  readonly #frame: Frame;

  constructor(name: string, code: Buffer, result: ResultType, args: A) {
    this.name = name;
    this.#result = result;
    this.#argc = args.length;
    this.#code = code;
    this.#cif = makeCif(
      ref.coerceType(FFI_TYPE_OF[result]),
      args.map((arg) => ref.coerceType(FFI_TYPE_OF[arg])),
    );
    this.#frame = new Frame(args.length);
  }

  call(...args: ArgsOf<A>): number {
    const frame = this.#frame;
    frame.fill(args);
    bindings.ffi_call(this.#cif, this.#code, frame.result, frame.argv);
    return frame.take(this.#result);
  }

  /** The same on a thread of libuv's pool, for calls that block. `errno` cannot be read after it. */
  callAsync(...args: ArgsOf<A>): Promise<number> {
    return this.callAsyncIn(new Frame(this.#argc), args);
  }

  /** `callAsync` with a frame that is kept, which no other call may use before this one has come back. */
  callAsyncIn(frame: Frame, args: ArgsOf<A>): Promise<number> {
    frame.fill(args);
    pending++;
    return new Promise((resolve, reject) => {
      bindings.ffi_call_async(this.#cif, this.#code, frame.result, frame.argv, (error) => {
        // Reading the result here also keeps the frame alive until C is done with it.
        const value = frame.take(this.#result);
        pending--;
        if (error) reject(error);
        else resolve(value);
      });
    });
  }
}

const statics = bindings.StaticFunctions;
const dlopen = new NativeFunction('dlopen', statics.dlopen, 'ptr', ['ptr', 'i32']);
const dlsym = new NativeFunction('dlsym', statics.dlsym, 'ptr', ['ptr', 'ptr']);
const dlerror = new NativeFunction('dlerror', statics.dlerror, 'ptr', []);
const errnoFunction = new NativeFunction('errno', statics._errno, 'i32', []);

/** `errno` of the last call on this thread; read it before anything else is called. */
export function errno(): number {
  return errnoFunction.call();
}

const ERRNO_NAMES = new Map<number, string>();
for (const [name, value] of Object.entries(constants.errno)) {
  // Some numbers have two names; the first is the one that strerrorname_np gives (EAGAIN).
  if (!ERRNO_NAMES.has(value)) ERRNO_NAMES.set(value, name);
}
ERRNO_NAMES.set(constants.errno.EOPNOTSUPP, 'EOPNOTSUPP');
// Of the kernel alone: not in any libc header, yet returned by bpf(2).
ERRNO_NAMES.set(524, 'ENOTSUPP');
// libbpf's own, from 4000 (enum libbpf_errno).
const LIBBPF_ERRNO = [
  'LIBELF',
  'FORMAT',
  'KVERSION',
  'ENDIAN',
  'INTERNAL',
  'RELOC',
  'LOAD',
  'VERIFY',
  'PROG2BIG',
];
for (const [i, name] of LIBBPF_ERRNO.entries()) ERRNO_NAMES.set(4000 + i, `LIBBPF_${name}`);

/** `EPERM` for 1 or -1; the number itself where it has no name. */
export function errnoName(value: number): string {
  return ERRNO_NAMES.get(Math.abs(value)) ?? `errno ${Math.abs(value)}`;
}

/** A loaded shared library. It stays loaded until the process ends: code may not vanish under a call. */
export class Library {
  readonly name: string;
  readonly #handle: number;

  private constructor(name: string, handle: number) {
    this.name = name;
    this.#handle = handle;
  }

  /**
   * @param name soname or path; undefined for what the process has already loaded (libc).
   * @param hint what to do when it is missing, e.g. `apt-get install libbpf1`.
   * @throws NativeError when it cannot be loaded.
   */
  static open(name: string | undefined, hint?: string): Library {
    const path = name === undefined ? 0 : Pinned.string(name);
    const handle = dlopen.call(path, bindings.RTLD_NOW);
    if (handle === 0) {
      const reason = lastDlError();
      const missing = /cannot open shared object file/.test(reason);
      throw new NativeError(`dlopen ${name ?? 'libc'}`, missing ? 'ENOENT' : reason, hint);
    }
    return new Library(name ?? 'libc', handle);
  }

  /** @throws NativeError `ENOSYS` when the library has no such function (it is too old). */
  bind<const A extends readonly ArgType[]>(name: string, result: ResultType, args: A): NativeFunction<A> {
    const bound = this.find(name, result, args);
    if (bound === undefined) {
      throw new NativeError(`dlsym ${name}`, 'ENOSYS', `${this.name} is too old`);
    }
    return bound;
  }

  /** Like `bind`, undefined when the library has no such function. */
  find<const A extends readonly ArgType[]>(
    name: string,
    result: ResultType,
    args: A,
  ): NativeFunction<A> | undefined {
    const address = dlsym.call(this.#handle, Pinned.string(name));
    return address === 0 ? undefined : new NativeFunction(name, codeAt(address), result, args);
  }
}

const MAX_TEXT_BYTES = 4096;
const text = new Pinned(MAX_TEXT_BYTES);
const libc = Library.open(undefined);
export const memcpy = libc.bind('memcpy', 'ptr', ['ptr', 'ptr', 'u64']);
const strnlen = libc.bind('strnlen', 'u64', ['ptr', 'u64']);

/** The C string at `address`, UTF-8, cut at 4 KiB; '' for NULL. Copied: a Buffer over it would be a new address. */
export function cString(address: number): string {
  if (address === 0) return '';
  const length = strnlen.call(address, MAX_TEXT_BYTES);
  memcpy.call(text, address, length);
  return text.bytes.toString('utf8', 0, length);
}

/** Asked for again and again where a library is missing. */
function lastDlError(): string {
  return cString(dlerror.call()) || 'unknown error';
}
