/**
 * A BPF ring buffer, read where it lies.
 *
 * The kernel maps it as: one page with the consumer's position (ours to write), one page with the
 * producer's, then the data twice in a row so that no record wraps. A record is a u32 of length and
 * flags, a u32 of the kernel's own, and the bytes, padded to 8. Positions are u64 that only grow;
 * their low halves are enough here, since the two are never further apart than the ring is long.
 */
import { type Mapping, mmap, PROT_READ, PROT_WRITE, pageSizeBytes } from '../ffi/libc.js';
import type { RecordHandler } from './program.js';

const HEADER_BYTES = 8;
const BUSY = -0x8000_0000;
const DISCARDED = 0x4000_0000;
const LENGTH_MASK = 0x3fff_ffff;
/**
 * A record may be read once its header was seen without the busy bit, and only what is loaded after
 * that. On x86-64 every load keeps that order and an atomic one, which V8 makes a call, would double
 * the time a record; elsewhere it is needed.
 */
const LOADS_ACQUIRE = process.arch === 'x64';

/** Where a ring's pages are; `Ring` needs nothing else, so that tests can build one by hand. */
export interface RingMemory {
  /** 8 bytes: the consumer's position. */
  readonly consumer: Mapping;
  /** `pageBytes` that start with the producer's position, then the data twice. */
  readonly producer: Mapping;
  readonly pageBytes: number;
  readonly dataBytes: number;
}

export class Ring {
  readonly sizeBytes: number;
  readonly #memory: RingMemory;
  readonly #view: DataView;
  readonly #headers: Int32Array;
  readonly #producer: Int32Array;
  readonly #consumer: Int32Array;
  readonly #consumer64: BigUint64Array;
  readonly #mask: number;
  /** Bytes after which space is given back in the middle of a batch. */
  readonly #giveBackBytes: number;
  // Low and high half of the consumer's position; int32, so that they never become heap numbers.
  #low: number;
  #high: number;
  #errors = 0;
  #lastError: unknown;
  #draining = false;
  #stopped = false;

  constructor(memory: RingMemory) {
    const { consumer, producer, pageBytes, dataBytes } = memory;
    this.#memory = memory;
    this.sizeBytes = dataBytes;
    this.#mask = dataBytes - 1;
    this.#giveBackBytes = dataBytes >> 2;
    const at = producer.bytes.byteOffset;
    this.#view = new DataView(producer.bytes.buffer, at + pageBytes, 2 * dataBytes);
    this.#headers = new Int32Array(producer.bytes.buffer, at + pageBytes, dataBytes / 2);
    this.#producer = new Int32Array(producer.bytes.buffer, at, 2);
    this.#consumer = new Int32Array(consumer.bytes.buffer, consumer.bytes.byteOffset, 2);
    this.#consumer64 = new BigUint64Array(consumer.bytes.buffer, consumer.bytes.byteOffset, 1);
    this.#low = Atomics.load(this.#consumer, 0);
    this.#high = Atomics.load(this.#consumer, 1);
  }

  /**
   * Maps the ring behind a map's file descriptor. Nobody else may consume it.
   * @param sizeBytes the map's max_entries, a power of two.
   * @throws NativeError when it cannot be mapped.
   */
  static map(fd: number, sizeBytes: number): Ring {
    const pageBytes = pageSizeBytes();
    const consumer = mmap(fd, pageBytes, PROT_READ | PROT_WRITE);
    const producer = mmap(fd, pageBytes + 2 * sizeBytes, PROT_READ, pageBytes);
    return new Ring({ consumer, producer, pageBytes, dataBytes: sizeBytes });
  }

  /** Handlers that threw. Their records are consumed: one bad record must not stop all others. */
  get errors(): number {
    return this.#errors;
  }

  get lastError(): unknown {
    return this.#lastError;
  }

  /** Bytes written and not yet consumed, headers and padding included. */
  get pendingBytes(): number {
    return this.#stopped ? 0 : (Atomics.load(this.#producer, 0) - this.#low) | 0;
  }

  /**
   * Gives the records that are in the ring now to `handler`, oldest first, up to the first that is
   * still being written, or until `maxRecords` were given. What `handler` throws is counted.
   *
   * Allocates nothing; the space is given back once a batch, or sooner when a quarter of the ring
   * has been read.
   * @returns records given.
   */
  drain(handler: RecordHandler, maxRecords = 0x7fff_ffff): number {
    if (this.#stopped || this.#draining) return 0;
    this.#draining = true;
    // Locals: a field would be read again after each call of the handler.
    const view = this.#view;
    const headers = this.#headers;
    const mask = this.#mask;
    const giveBackBytes = this.#giveBackBytes;
    let given = 0;
    let low = this.#low;
    let released = low;
    let end = Atomics.load(this.#producer, 0);
    while (low !== end) {
      try {
        while (low !== end) {
          if (((low - released) | 0) >= giveBackBytes) {
            this.#advance(low);
            released = low;
          }
          const at = low & mask;
          const header = LOADS_ACQUIRE ? (headers[at >> 2] ?? BUSY) : Atomics.load(headers, at >> 2);
          if ((header & BUSY) !== 0 || given >= maxRecords) {
            end = low;
            break;
          }
          const length = header & LENGTH_MASK;
          // Before the handler: a record whose handler throws is consumed like any other.
          low = (low + ((length + HEADER_BYTES + 7) & ~7)) | 0;
          if ((header & DISCARDED) !== 0) continue;
          given++;
          handler(view, at + HEADER_BYTES, length);
        }
      } catch (error) {
        this.#errors++;
        this.#lastError = error;
      }
    }
    if (low !== released) this.#advance(low);
    this.#draining = false;
    if (this.#stopped) this.#unmap();
    return given;
  }

  /** Unmaps it. No view of a record may be touched after this; a handler may call it, though. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    if (!this.#draining) this.#unmap();
  }

  #unmap(): void {
    this.#memory.consumer.unmap();
    this.#memory.producer.unmap();
  }

  #advance(low: number): void {
    if (low >>> 0 >= this.#low >>> 0) {
      // The high half stays: a store of the low one is a store of the whole, without a BigInt.
      Atomics.store(this.#consumer, 0, low);
    } else {
      this.#high = (this.#high + 1) | 0;
      const whole = (BigInt(this.#high >>> 0) << 32n) | BigInt(low >>> 0);
      Atomics.store(this.#consumer64, 0, whole);
    }
    this.#low = low;
  }
}
