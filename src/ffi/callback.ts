/** C functions made of JavaScript ones, for rare calls. */
import bindings from 'ffi-napi/lib/bindings.js';
import makeCif from 'ffi-napi/lib/cif.js';
import ref from 'ref-napi';
import { copyFrom } from './libc.js';
import { Pinned } from './memory.js';

/**
 * A C function pointer of the type `int (*)(…)`; C may call it as long as this object is alive.
 *
 * Built on ffi-napi's inner callback: its public one makes a Buffer for each argument of each call,
 * at 1 to 30 ms each, since arguments lie on the stack at addresses never seen before.
 */
export class NativeCallback {
  readonly address: number;
  readonly #body: (args: readonly number[]) => number;
  readonly #onThrow: (error: unknown) => void;
  readonly #argc: number;
  readonly #argument = new Pinned(8);
  /** The closure is freed with this Buffer, and its signature must live as long. */
  readonly kept: readonly Buffer[];
  // ffi-napi hands in two Buffers a call, over stack memory. A kept one is found again when the same
  // call depth comes back, and then costs nothing; libbpf calls from a handful of depths.
  readonly #seen = new Set<ArrayBufferLike>();

  /**
   * @param argc arguments, all integers or pointers; `body` gets them as unsigned 64-bit numbers,
   *   of which a narrower argument is the low end.
   * @param body returns the `int`. What it throws goes to `onThrow`: C could not handle it.
   */
  constructor(argc: number, body: (args: readonly number[]) => number, onThrow: (error: unknown) => void) {
    this.#argc = argc;
    this.#body = body;
    this.#onThrow = onThrow;
    const uint64 = ref.coerceType('uint64');
    const cif = makeCif(
      ref.coerceType('int32'),
      Array.from({ length: argc }, () => uint64),
    );
    const code = bindings.Callback(cif, 8, argc, onThrow, (result, argv) => this.#call(result, argv));
    this.kept = [cif, code];
    this.address = ref.address(code);
  }

  // Anything returned but undefined would be taken for an error.
  #call(result: Buffer, argv: Buffer): undefined {
    this.#seen.add(result.buffer).add(argv.buffer);
    let value = 0;
    try {
      const args: number[] = [];
      for (let i = 0; i < this.#argc; i++) {
        const at = argv.readUInt32LE(i * 8) + argv.readUInt32LE(i * 8 + 4) * 0x1_0000_0000;
        copyFrom(at, this.#argument);
        args.push(this.#argument.readU64(0));
      }
      value = this.#body(args);
    } catch (error) {
      this.#onThrow(error);
    }
    result.writeInt32LE(value, 0);
    return undefined;
  }
}
