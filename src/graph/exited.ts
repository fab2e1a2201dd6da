/**
 * Processes that ended, ten minutes of them, in 48 bytes each, found by pid: a node that runs a thousand short
 * commands a second would otherwise hold 600,000 objects. Typed arrays are touched only as they
 * fill, so an idle node pays nothing for the capacity.
 */

export interface ExitedRecord {
  readonly pid: number;
  readonly start: number;
  readonly ppid: number;
  readonly exitTs: number;
  readonly comm: string;
  /** As wait(2) gives it. */
  readonly status: number;
}

const COMM_BYTES = 16;
/** Pids are given out in order, so that their low bits spread well. */
const BUCKETS = 1 << 16;

/** A ring: the oldest record gives way when it is full. */
export class ExitedStore {
  readonly #capacity: number;
  readonly #pid: Uint32Array;
  readonly #ppid: Uint32Array;
  readonly #status: Uint32Array;
  readonly #start: Float64Array;
  readonly #exitTs: Float64Array;
  readonly #comm: Buffer;
  /** Newest slot of a bucket, and the one before it in the same bucket, each plus one; 0 for none. */
  readonly #newest = new Int32Array(BUCKETS);
  readonly #older: Int32Array;
  #next = 0;
  #size = 0;
  #overwritten = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#pid = new Uint32Array(capacity);
    this.#ppid = new Uint32Array(capacity);
    this.#status = new Uint32Array(capacity);
    this.#start = new Float64Array(capacity);
    this.#exitTs = new Float64Array(capacity);
    this.#older = new Int32Array(capacity);
    this.#comm = Buffer.alloc(capacity * COMM_BYTES);
  }

  get size(): number {
    return this.#size;
  }

  /** Records that gave way before `keepMs` had passed. */
  get overwritten(): number {
    return this.#overwritten;
  }

  add(record: ExitedRecord, keepMs: number): void {
    const at = this.#next;
    if (this.#size === this.#capacity) {
      if (record.exitTs - this.#at(this.#exitTs, at) < keepMs) this.#overwritten++;
    } else {
      this.#size++;
    }
    this.#pid[at] = record.pid;
    this.#ppid[at] = record.ppid;
    this.#status[at] = record.status;
    this.#start[at] = record.start;
    this.#exitTs[at] = record.exitTs;
    this.#comm.fill(0, at * COMM_BYTES, (at + 1) * COMM_BYTES);
    this.#comm.write(record.comm, at * COMM_BYTES, COMM_BYTES);
    const bucket = record.pid % BUCKETS;
    this.#older[at] = this.#newest[bucket] ?? 0;
    this.#newest[bucket] = at + 1;
    this.#next = (at + 1) % this.#capacity;
  }

  /** The newest record of `pid` that ended at `afterTs` or later. */
  find(pid: number, afterTs: number): ExitedRecord | undefined {
    const at = this.#newestOf(pid, (slot) => this.#at(this.#exitTs, slot) >= afterTs);
    return at === undefined ? undefined : this.#record(at);
  }

  /** Whether this very process is known to have ended, or a younger one that had its pid. */
  hasSince(pid: number, start: number): boolean {
    return this.#newestOf(pid, (slot) => this.#at(this.#start, slot) >= start) !== undefined;
  }

  #newestOf(pid: number, matches: (slot: number) => boolean): number | undefined {
    let age = -1;
    for (let at = (this.#newest[pid % BUCKETS] ?? 0) - 1; at >= 0; at = (this.#older[at] ?? 0) - 1) {
      // A slot that was used again is younger than the one that leads to it: the rest is gone, too.
      const older = (this.#next - 1 - at + this.#capacity) % this.#capacity;
      if (older <= age) return undefined;
      age = older;
      if (this.#pid[at] === pid && matches(at)) return at;
    }
    return undefined;
  }

  #record(at: number): ExitedRecord {
    const bytes = this.#comm.subarray(at * COMM_BYTES, (at + 1) * COMM_BYTES);
    const end = bytes.indexOf(0);
    return {
      pid: this.#at(this.#pid, at),
      ppid: this.#at(this.#ppid, at),
      status: this.#at(this.#status, at),
      start: this.#at(this.#start, at),
      exitTs: this.#at(this.#exitTs, at),
      comm: bytes.toString('utf8', 0, end < 0 ? COMM_BYTES : end),
    };
  }

  #at(array: Uint32Array | Float64Array, index: number): number {
    return array[index] ?? 0;
  }
}
