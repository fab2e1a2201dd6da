/** What the kernel probes share in reading records: 64-bit numbers, and what an iterator wrote. */
import { XctlHdrLayout } from '../kernel/abi.generated.js';
import type { RecordHandler } from '../kernel/program.js';

/** An unsigned 64-bit number; exact up to 2^53. */
export function u64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}

/**
 * Gives every record in the output of an iterator to `handler`, as the ring does.
 * @returns records given. What is cut short at the end is left out.
 */
export function forEachRecord(bytes: Buffer, handler: RecordHandler): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let given = 0;
  for (let at = 0; at + XctlHdrLayout.sizeBytes <= view.byteLength; ) {
    const size = view.getUint16(at + XctlHdrLayout.size, true);
    if (size < XctlHdrLayout.sizeBytes || at + size > view.byteLength) break;
    handler(view, at, size);
    given++;
    at += size;
  }
  return given;
}
