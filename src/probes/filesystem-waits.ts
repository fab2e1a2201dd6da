/**
 * Threads that were seen to wait for a filesystem, and whether they still sleep in that very wait. The client of
 * a file server keeps no count of what it could not even send; that a thread waits is then the only fact there is.
 *
 * The proof is the thread's own count of context switches: as long as it stays the same, and the thread sleeps
 * uninterruptibly, nothing has ended the sleep that was seen.
 */
import { readFileSync } from 'node:fs';

const MAX_DEVS = 256;
/** One is proof enough; a few, because each may be killed. */
const MAX_THREADS = 4;

interface SeenThread {
  readonly pid: number;
  readonly switches: string;
  readonly sinceMs: number;
}

export class SeenWaits {
  readonly #procDir: string;
  readonly #seen = new Map<number, Map<number, SeenThread>>();

  constructor(procDir: string) {
    this.#procDir = procDir;
  }

  saw(dev: number, pid: number, tid: number, nowMs: number = performance.now()): void {
    const threads = this.#seen.get(dev) ?? new Map<number, SeenThread>();
    // A later wait of the same thread replaces the earlier one, which has ended.
    if (threads.size >= MAX_THREADS && !threads.has(tid)) return;
    const switches = this.#sleep(pid, tid);
    if (switches === undefined) return;
    const known = threads.get(tid);
    if (known?.switches !== switches) threads.set(tid, { pid, switches, sinceMs: nowMs });
    if (this.#seen.size < MAX_DEVS) this.#seen.set(dev, threads);
  }

  /** For how long a thread has been seen in one wait that has not ended, ms; undefined: there is none. */
  heldMs(dev: number, nowMs: number = performance.now()): number | undefined {
    const threads = this.#seen.get(dev);
    if (threads === undefined) return undefined;
    let since: number | undefined;
    for (const [tid, { pid, switches, sinceMs }] of threads) {
      if (this.#sleep(pid, tid) === switches) since = Math.min(since ?? sinceMs, sinceMs);
      else threads.delete(tid);
    }
    if (threads.size === 0) this.#seen.delete(dev);
    return since === undefined ? undefined : nowMs - since;
  }

  /** Its context switches while it sleeps uninterruptibly, else undefined. */
  #sleep(pid: number, tid: number): string | undefined {
    try {
      const status = readFileSync(`${this.#procDir}/${pid}/task/${tid}/status`, 'latin1');
      if (!/^State:\tD/m.test(status)) return undefined;
      return status.slice(status.lastIndexOf('\nvoluntary_ctxt_switches'));
    } catch {
      return undefined; // gone
    }
  }
}
