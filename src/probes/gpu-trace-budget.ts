/**
 * What the probes may cost the node. A uprobe is a trap: its price is known, how often it is paid is counted, and
 * when the two together are more than the share that is allowed, the class that can best be done without is taken off.
 */
import type { TraceClass } from './gpu-trace-functions.js';

/**
 * One call, entry and return together where both are looked at, ns: measured by bench/gpu-trace.ts. The trap is nearly
 * all of it, so that it differs from one machine to the next by the cost of a trap.
 */
export const COST_NS: Readonly<Record<TraceClass, number>> = {
  comm: 4_000,
  ask: 2_000,
  enqueue: 1_000,
  sync: 2_000,
};
/** More where the first instruction is stepped through (gpu-trace-entry.ts). */
export const STEP_NS = 12_000;

/** Of one core, for the whole node. */
export const BUDGET_SHARE = 0.005;
/** A burst is no load. */
const WINDOW_MS = 10_000;
export const CLASSES: readonly TraceClass[] = ['comm', 'ask', 'enqueue', 'sync'];
/** In this order they are given up; making and ending communicators never is, being rare. */
const DISPENSABLE: readonly TraceClass[] = ['ask', 'enqueue', 'sync'];
/** Of the budget; what costs less helps nobody by going. */
const NEXT_TO_NOTHING = 0.1;

export type Calls = Readonly<Record<TraceClass, number>>;

interface Reading {
  readonly ts: number;
  readonly calls: Calls;
}

export class TraceBudget {
  readonly share: number;
  readonly #windowMs: number;
  readonly #off = new Set<TraceClass>();
  #readings: Reading[] = [];
  #used = 0;
  #stepped: ReadonlySet<TraceClass> = new Set();
  #rates: Calls = { comm: 0, ask: 0, enqueue: 0, sync: 0 };

  constructor(share = BUDGET_SHARE, windowMs = WINDOW_MS) {
    this.share = share;
    this.#windowMs = windowMs;
  }

  /** Of one core, over the last window. */
  get used(): number {
    return this.#used;
  }

  /** Calls a second, over the last window. */
  get rates(): Calls {
    return this.#rates;
  }

  /** Classes that were given up. */
  get off(): ReadonlySet<TraceClass> {
    return this.#off;
  }

  /** What a call of a class costs, ns. */
  price(name: TraceClass): number {
    return COST_NS[name] + (this.#stepped.has(name) ? STEP_NS : 0);
  }

  /**
   * @param ts any clock, ms. @param calls so far. @param stepped classes that are dear
   * @returns the class to take off now.
   */
  note(ts: number, calls: Calls, stepped: ReadonlySet<TraceClass> = new Set()): TraceClass | undefined {
    this.#stepped = stepped;
    this.#readings.push({ ts, calls });
    while (this.#readings.length > 2 && ts - (this.#readings[1]?.ts ?? ts) >= this.#windowMs)
      this.#readings.shift();
    const [first] = this.#readings;
    const elapsedMs = first === undefined ? 0 : ts - first.ts;
    if (first === undefined || elapsedMs < this.#windowMs) return undefined;
    const rate = (name: TraceClass): number => ((calls[name] - first.calls[name]) / elapsedMs) * 1_000;
    this.#rates = { comm: rate('comm'), ask: rate('ask'), enqueue: rate('enqueue'), sync: rate('sync') };
    const shareOf = (name: TraceClass): number => (this.#rates[name] * this.price(name)) / 1e9;
    this.#used = CLASSES.reduce((sum, one) => sum + shareOf(one), 0);
    if (this.#used <= this.share) return undefined;
    const over = DISPENSABLE.find(
      (name) => !this.#off.has(name) && shareOf(name) > this.share * NEXT_TO_NOTHING,
    );
    if (over === undefined) return undefined;
    this.#off.add(over);
    // What was counted until now says nothing of what is left.
    this.#readings = [];
    return over;
  }
}
