/**
 * What the generated decoders share: text and arrays out of a DataView. Everything returned is a
 * copy, since the bytes belong to the ring and are overwritten.
 */

/** A field of a record as data; offsets and lengths in bytes and elements. */
export interface AbiField {
  readonly name: string;
  readonly offset: number;
  readonly code:
    | 'u8'
    | 'u16'
    | 'u32'
    | 'u64'
    | 's8'
    | 's16'
    | 's32'
    | 'text'
    | 'words'
    | 'bytes'
    | 'u32s'
    | 'u64s'
    | 'struct';
  readonly length?: number;
  readonly struct?: string;
}

export interface AbiStruct {
  readonly sizeBytes: number;
  readonly fields: readonly AbiField[];
}

// One Buffer a view, since Buffer's native slices are the fastest way from bytes to a string.
const bytesOfView = new WeakMap<DataView, Buffer>();
let lastView: DataView | undefined;
let lastBytes: Buffer = Buffer.alloc(0);

function bytesOf(view: DataView): Buffer {
  if (view === lastView) return lastBytes;
  let bytes = bytesOfView.get(view);
  if (bytes === undefined) {
    bytes = Buffer.from(view.buffer, view.byteOffset, view.byteLength);
    bytesOfView.set(view, bytes);
  }
  lastView = view;
  lastBytes = bytes;
  return bytes;
}

function decodeText(bytes: Buffer, start: number, end: number): string {
  for (let i = start; i < end; i++) {
    if ((bytes[i] ?? 0) >= 0x80) return bytes.toString('utf8', start, end);
  }
  return bytes.toString('latin1', start, end);
}

/** Text that ends at the first NUL or after `length` bytes; UTF-8, invalid bytes become U+FFFD. */
export function readText(view: DataView, at: number, length: number): string {
  const bytes = bytesOf(view);
  let end = at;
  const limit = at + length;
  while (end < limit && bytes[end] !== 0) end++;
  return decodeText(bytes, at, end);
}

/** A process's name is one of a few hundred; the same 16 bytes give the same string. */
const COMM_SLOTS = 512;
const commWords = new Uint32Array(COMM_SLOTS * 4);
const comms: string[] = new Array(COMM_SLOTS).fill('');

/** `char comm[16]`: as readText, without a new string for a name that was read before. */
export function readComm(view: DataView, at: number): string {
  const a = view.getUint32(at, true);
  const b = view.getUint32(at + 4, true);
  const c = view.getUint32(at + 8, true);
  const d = view.getUint32(at + 12, true);
  const slot = (Math.imul(a ^ Math.imul(b, 31) ^ Math.imul(c, 131) ^ d, 0x9e3779b1) >>> 23) % COMM_SLOTS;
  const i = slot * 4;
  if (commWords[i] === a && commWords[i + 1] === b && commWords[i + 2] === c && commWords[i + 3] === d) {
    return comms[slot] ?? '';
  }
  commWords[i] = a;
  commWords[i + 1] = b;
  commWords[i + 2] = c;
  commWords[i + 3] = d;
  const text = readText(view, at, 16);
  comms[slot] = text;
  return text;
}

/** Words separated by NUL; only the NULs at the end are cut. */
export function readWords(view: DataView, at: number, length: number): string {
  const bytes = bytesOf(view);
  let end = at + length;
  while (end > at && bytes[end - 1] === 0) end--;
  return decodeText(bytes, at, end);
}

export function readBytes(view: DataView, at: number, length: number): Uint8Array {
  const copy = new Uint8Array(length);
  for (let i = 0; i < length; i++) copy[i] = view.getUint8(at + i);
  return copy;
}

export function readUint32s(view: DataView, at: number, length: number): number[] {
  return Array.from({ length }, (_, i) => view.getUint32(at + 4 * i, true));
}

/** Exact up to 2^53. */
export function readUint64s(view: DataView, at: number, length: number): number[] {
  return Array.from(
    { length },
    (_, i) => view.getUint32(at + 8 * i, true) + view.getUint32(at + 8 * i + 4, true) * 0x1_0000_0000,
  );
}
