/**
 * Live processes: which of them are launchers or run below one, and which are due for a closer look.
 *
 * A look costs file reads, so a process earns one by living: the first after a second, then ever
 * more seldom, because a trainer opens its GPU many seconds after it started. What ends sooner
 * leaves without a trace. All operations are O(1).
 */
import { processId } from '../events/ids.js';

export interface LiveProcess {
  /** Node id, made once. */
  readonly id: string;
  readonly pid: number;
  /** Nanoseconds of CLOCK_BOOTTIME. */
  readonly start: number;
  ppid: number;
  comm: string;
  /** What kind of launcher it is itself. */
  launcher: string | undefined;
  /** The nearest ancestor that is a launcher; kept when that one is gone. */
  under: string | undefined;
  /** What was last told of it, to tell only what is new. */
  told: string | undefined;
  /** Index of the look that comes next, and when (event time, ms). */
  stage: number;
  dueMs: number;
}

/** From one look to the next; the last repeats. */
const LOOK_AFTER_MS = [1_000, 4_000, 15_000, 40_000, 300_000];

export class ProcessTable {
  readonly #live = new Map<number, LiveProcess>();
  // One queue a delay: within one, whoever came first is due first.
  readonly #stages: readonly Set<LiveProcess>[] = LOOK_AFTER_MS.map(() => new Set());

  get size(): number {
    return this.#live.size;
  }

  get(pid: number): LiveProcess | undefined {
    return this.#live.get(pid);
  }

  /** A process that was forked, or is seen for the first time. Replaces an older one of the same pid. */
  add(pid: number, start: number, ppid: number, comm: string, tsMs: number): LiveProcess {
    const old = this.#live.get(pid);
    if (old !== undefined) {
      if (old.start === start) return old;
      this.#stages[old.stage]?.delete(old);
    }
    const parent = this.#live.get(ppid);
    const process: LiveProcess = {
      id: processId(pid),
      pid,
      start,
      ppid,
      comm,
      launcher: undefined,
      under: parent?.launcher ?? parent?.under,
      told: undefined,
      stage: 0,
      dueMs: 0,
    };
    this.#live.set(pid, process);
    this.#schedule(process, 0, tsMs);
    return process;
  }

  /** It runs another program now: what was found out about it counts no more. */
  execed(process: LiveProcess, comm: string, launcher: string | undefined, tsMs: number): void {
    process.comm = comm;
    process.launcher = launcher;
    this.#stages[process.stage]?.delete(process);
    this.#schedule(process, 0, tsMs);
  }

  /** @returns false when (pid, start) is not known to live. */
  remove(pid: number, start: number): boolean {
    const process = this.#live.get(pid);
    if (process?.start !== start) return false;
    this.#live.delete(pid);
    this.#stages[process.stage]?.delete(process);
    return true;
  }

  /** Those that are due now, at most `limit`; each is put in line for its next look. */
  due(nowMs: number, limit: number): LiveProcess[] {
    const found: LiveProcess[] = [];
    for (const stage of this.#stages) {
      for (const process of stage) {
        if (found.length >= limit || process.dueMs > nowMs) break;
        found.push(process);
      }
    }
    for (const process of found) {
      this.#stages[process.stage]?.delete(process);
      this.#schedule(process, Math.min(process.stage + 1, LOOK_AFTER_MS.length - 1), nowMs);
    }
    return found;
  }

  clear(): void {
    this.#live.clear();
    for (const stage of this.#stages) stage.clear();
  }

  #schedule(process: LiveProcess, stage: number, fromMs: number): void {
    process.stage = stage;
    process.dueMs = fromMs + (LOOK_AFTER_MS[stage] ?? 0);
    this.#stages[stage]?.add(process);
  }
}
