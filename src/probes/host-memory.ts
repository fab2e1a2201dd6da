/** Who uses the node's memory: the largest processes of a pass of the iterator `memory`, and what is left. */
import { readFileSync } from 'node:fs';
import type { MemoryUser } from '../events/host.js';
import { XctlHdrLayout, XctlKind, XctlMemoryUseLayout } from '../kernel/abi.generated.js';
import { readComm } from '../kernel/abi-read.js';
import { forEachRecord, u64 } from './records.js';

const U = XctlMemoryUseLayout;
const TOLD = 20;

export interface MemoryUse {
  /** Largest first, at most 20. */
  readonly processes: readonly MemoryUser[];
  /** Resident bytes of all; what processes share is counted for each. */
  readonly totalBytes: number;
}

export function readMemoryUse(bytes: Buffer): MemoryUse {
  const found: { readonly rssBytes: number; readonly at: number }[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let totalBytes = 0;
  forEachRecord(bytes, (_, at) => {
    if (view.getUint16(at + XctlHdrLayout.kind, true) !== XctlKind.MEMORY_USE) return;
    const rssBytes = u64(view, at + U.rssBytes);
    totalBytes += rssBytes;
    found.push({ rssBytes, at });
  });
  found.sort((a, b) => b.rssBytes - a.rssBytes);
  const processes = found.slice(0, TOLD).map(({ rssBytes, at }) => ({
    pid: view.getUint32(at + XctlHdrLayout.pid, true),
    start: u64(view, at + U.startNs),
    comm: readComm(view, at + U.comm),
    rssBytes,
    swapBytes: u64(view, at + U.swapBytes),
  }));
  return { processes, totalBytes };
}

/** What new processes could have without swapping, as the kernel estimates it; 0 when it does not say. */
export function availableBytes(path = '/proc/meminfo'): number {
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync(path, 'utf8'))?.[1];
  return Number(kib ?? 0) * 1024;
}
