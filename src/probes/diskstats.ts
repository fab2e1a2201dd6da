/**
 * /proc/diskstats: what every block device has done and has in flight, in one small file. It costs the
 * workload nothing, knows devices without requests of their own (dm, md), and a name that comes or goes
 * is a device that does.
 */
import { closeSync, openSync, readSync } from 'node:fs';

/** Totals since boot of one device; all of them wrap, none is ever set back. */
export interface DiskStats {
  /** As in /sys/block: `!` for `/`. */
  readonly name: string;
  readonly major: number;
  readonly minor: number;
  readonly reads: number;
  readonly readBytes: number;
  /** What all of them took together, as of those below. */
  readonly readMs: number;
  readonly writes: number;
  readonly writtenBytes: number;
  readonly writeMs: number;
  /** Discards and flushes, where the kernel counts them. */
  readonly others: number;
  readonly inFlight: number;
}

const SECTOR_BYTES = 512;
/** A node has tens of devices; what is beyond this is not looked at. */
export const MAX_DEVICES = 1024;
const FIRST_BYTES = 16 * 1024;
const MAX_BYTES = 1024 * 1024;

/** Lines that are cut or hold no numbers are left out. */
export function parseDiskStats(text: string): DiskStats[] {
  const found: DiskStats[] = [];
  for (const line of text.split('\n')) {
    const fields = line.split(' ').filter((field) => field !== '');
    const name = fields[2];
    if (name === undefined || fields.length < 14 || found.length >= MAX_DEVICES) continue;
    const number = (index: number): number => Number(fields[index] ?? 0);
    const stats: DiskStats = {
      name: name.replaceAll('/', '!'),
      major: number(0),
      minor: number(1),
      reads: number(3),
      readBytes: number(5) * SECTOR_BYTES,
      readMs: number(6),
      writes: number(7),
      writtenBytes: number(9) * SECTOR_BYTES,
      writeMs: number(10),
      others: number(14) + number(18),
      inFlight: number(11),
    };
    if (Object.values(stats).every((value) => typeof value === 'string' || Number.isSafeInteger(value)))
      found.push(stats);
  }
  return found;
}

/** Reads the file again and again through one descriptor and one buffer. */
export class DiskStatsFile {
  readonly #path: string;
  #fd: number | undefined;
  #bytes = Buffer.alloc(FIRST_BYTES);

  constructor(path = '/proc/diskstats') {
    this.#path = path;
  }

  /** @throws Error when there is no such file. */
  read(): DiskStats[] {
    this.#fd ??= openSync(this.#path, 'r');
    for (;;) {
      let used = 0;
      for (let got = -1; got !== 0 && used < this.#bytes.length; used += got) {
        got = readSync(this.#fd, this.#bytes, used, this.#bytes.length - used, used);
      }
      if (used < this.#bytes.length || used >= MAX_BYTES)
        return parseDiskStats(this.#bytes.toString('latin1', 0, used));
      this.#bytes = Buffer.alloc(2 * this.#bytes.length);
    }
  }

  stop(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
