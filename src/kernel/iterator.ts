/** Iterator programs: a pass is a file descriptor, read to its end. */
import { closeSync, readSync } from 'node:fs';
import type { Libbpf, LinkHandle, ProgramHandle } from '../ffi/libbpf.js';
import { errnoOf, NativeError } from '../util/errors.js';
import type { BpfIterator, IteratorPass } from './program.js';

const FIRST_BYTES = 64 * 1024;
/** Beyond this a pass is cut with an error: no node has that many threads. */
const MAX_BYTES = 256 * 1024 * 1024;

export class KernelIterator implements BpfIterator {
  readonly slot: string;
  readonly rung: 'iter_s' | 'iter';
  readonly #bpf: Libbpf;
  readonly #program: ProgramHandle;
  /** Over all objects; made at load, which is also how a refusal shows in time for the next rung. */
  readonly #all: LinkHandle;
  #bytes = Buffer.alloc(FIRST_BYTES);
  #canRestrict = true;

  constructor(bpf: Libbpf, slot: string, rung: 'iter_s' | 'iter', program: ProgramHandle, all: LinkHandle) {
    this.#bpf = bpf;
    this.slot = slot;
    this.rung = rung;
    this.#program = program;
    this.#all = all;
  }

  read(pid?: number): IteratorPass {
    const link = pid === undefined ? undefined : this.#restricted(pid);
    try {
      return { bytes: this.#pass(link ?? this.#all), restricted: link !== undefined };
    } finally {
      if (link !== undefined) this.#bpf.destroyLink(link);
    }
  }

  #restricted(pid: number): LinkHandle | undefined {
    if (!this.#canRestrict) return undefined;
    try {
      return this.#bpf.attachIterator(this.#program, pid);
    } catch (error) {
      if (!(error instanceof NativeError)) throw error;
      // ESRCH: the process is gone, which the full walk shows as well. All else: an older kernel.
      if (error.errno !== 'ESRCH') this.#canRestrict = false;
      return undefined;
    }
  }

  #pass(link: LinkHandle): Buffer {
    const fd = this.#bpf.createIterator(link);
    try {
      let used = 0;
      for (;;) {
        if (used === this.#bytes.length) this.#grow(used);
        const got = this.#read(fd, used);
        if (got === 0) return this.#bytes.subarray(0, used);
        if (got > 0) used += got;
      }
    } finally {
      closeSync(fd);
    }
  }

  /** @returns bytes read, 0 at the end, -1 when the kernel asks to be called again. */
  #read(fd: number, at: number): number {
    try {
      return readSync(fd, this.#bytes, at, this.#bytes.length - at, null);
    } catch (error) {
      const errno = errnoOf(error);
      // After a million objects without output the kernel lets go of the CPU.
      if (errno === 'EAGAIN') return -1;
      throw new NativeError(`read iterator ${this.slot}`, errno ?? 'EIO', undefined, { cause: error });
    }
  }

  #grow(used: number): void {
    if (used >= MAX_BYTES) throw new NativeError(`read iterator ${this.slot}`, 'EFBIG');
    const larger = Buffer.alloc(2 * used);
    this.#bytes.copy(larger, 0, 0, used);
    this.#bytes = larger;
  }
}
