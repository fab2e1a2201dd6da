/**
 * Addresses and the memory behind them.
 *
 * Two rules of ref-napi decide this file. Every *new* address that becomes a Buffer books 1 GiB of
 * external memory and forces a full garbage collection, so addresses stay numbers and memory is
 * looked at through few Buffers that are kept. And an address does not keep its Buffer alive, so
 * what C is given is a `Pinned`, never a bare number taken from one.
 */
import ref from 'ref-napi';

/** An opaque C pointer: below 2^47 in user space, so exact as a number. 0 is NULL. */
export type Handle<T extends string> = number & { readonly __handle: T };

/** Memory of ours that C is given the address of, with the address. Alive as long as this object is. */
export class Pinned {
  readonly bytes: Buffer;
  readonly view: DataView;
  readonly address: number;

  constructor(sizeBytes: number) {
    // An ArrayBuffer of its own: Buffer's shared pool would pin its neighbours too.
    const memory = new ArrayBuffer(Math.max(sizeBytes, 8));
    this.bytes = Buffer.from(memory, 0, sizeBytes);
    this.view = new DataView(memory);
    this.address = ref.address(this.bytes);
  }

  /** `text` as UTF-8 with a NUL at the end. */
  static string(text: string): Pinned {
    const length = Buffer.byteLength(text);
    const pinned = new Pinned(length + 1);
    pinned.bytes.write(text, 0, length, 'utf8');
    return pinned;
  }

  /** Writes an address (or any whole number below 2^53) as a u64 at `offset`. */
  writeAddress(offset: number, address: number): void {
    this.view.setUint32(offset, address >>> 0, true);
    this.view.setUint32(offset + 4, Math.floor(address / 0x1_0000_0000), true);
  }

  readU64(offset: number): number {
    return this.view.getUint32(offset, true) + this.view.getUint32(offset + 4, true) * 0x1_0000_0000;
  }
}

/**
 * A Buffer over native memory, for mappings that live as long as the process.
 *
 * Costs one forced garbage collection for an address not seen before. The Buffer's ArrayBuffer
 * claims 1 GiB, so every typed array over it needs an explicit offset and length; touching it after
 * the memory was unmapped is a crash.
 */
export function nativeMemory(address: number, sizeBytes: number): Buffer {
  const cell = new Pinned(8);
  cell.writeAddress(0, address);
  return ref.readPointer(cell.bytes, 0, sizeBytes);
}

const REGION_BYTES = 0x4000_0000;
const regions = new Map<number, Buffer>();

/**
 * A Buffer that starts at the machine code at `address`, only ever to be called.
 *
 * All functions within one aligned GiB share one ArrayBuffer: libraries are mapped close together,
 * so that hundreds of functions cost one or two new addresses and not one each.
 */
export function codeAt(address: number): Buffer {
  const base = Math.floor(address / REGION_BYTES) * REGION_BYTES;
  let region = regions.get(base);
  if (region === undefined) {
    region = nativeMemory(base, REGION_BYTES - 1);
    regions.set(base, region);
  }
  return region.subarray(address - base);
}
