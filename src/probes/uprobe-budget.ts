/**
 * What probes on functions of programs may cost the node. A uprobe is a trap: its price is known, how often it is paid
 * is counted, and when the two together are more than the share that is allowed, the class that can best be done
 * without is taken off.
 */

/** A burst is no load. */
const WINDOW_MS = 10_000;
/** Of the share; what costs less helps nobody by going. */
const NEXT_TO_NOTHING = 0.1;

export type CallsOf<C extends string> = Readonly<Record<C, number>>;

interface Reading<C extends string> {
  readonly ts: number;
  readonly calls: CallsOf<C>;
}

export interface BudgetOptions {
  /** Of one core, for the whole node. */
  readonly share: number;
  readonly windowMs?: number | undefined;
}

export abstract class UprobeBudget<C extends string> {
  readonly share: number;
  readonly classes: readonly C[];
  readonly #dispensable: readonly C[];
  readonly #windowMs: number;
  readonly #off = new Set<C>();
  #readings: Reading<C>[] = [];
  #used = 0;
  #rates: CallsOf<C>;

  /** @param dispensable in this order they are given up */
  constructor(classes: readonly C[], dispensable: readonly C[], { share, windowMs }: BudgetOptions) {
    this.classes = classes;
    this.#dispensable = dispensable;
    this.share = share;
    this.#windowMs = windowMs ?? WINDOW_MS;
    this.#rates = this.#each(() => 0);
  }

  /** What a call of a class costs, ns. */
  abstract price(name: C): number;

  /** Of one core, over the last window. */
  get used(): number {
    return this.#used;
  }

  /** Calls a second, over the last window. */
  get rates(): CallsOf<C> {
    return this.#rates;
  }

  /** Classes that were given up. */
  get off(): ReadonlySet<C> {
    return this.#off;
  }

  /**
   * @param ts any clock, ms. @param calls so far
   * @returns the class to take off now.
   */
  note(ts: number, calls: CallsOf<C>): C | undefined {
    this.#readings.push({ ts, calls });
    while (this.#readings.length > 2 && ts - (this.#readings[1]?.ts ?? ts) >= this.#windowMs)
      this.#readings.shift();
    const [first] = this.#readings;
    const elapsedMs = first === undefined ? 0 : ts - first.ts;
    if (first === undefined || elapsedMs < this.#windowMs) return undefined;
    const rates = this.#each((name) => ((calls[name] - first.calls[name]) / elapsedMs) * 1_000);
    this.#rates = rates;
    const shareOf = (name: C): number => (rates[name] * this.price(name)) / 1e9;
    this.#used = this.classes.reduce((sum, one) => sum + shareOf(one), 0);
    if (this.#used <= this.share) return undefined;
    const over = this.#dispensable.find(
      (name) => !this.#off.has(name) && shareOf(name) > this.share * NEXT_TO_NOTHING,
    );
    if (over === undefined) return undefined;
    this.#off.add(over);
    // What was counted until now says nothing of what is left.
    this.#readings = [];
    return over;
  }

  #each(value: (name: C) => number): CallsOf<C> {
    return Object.fromEntries(this.classes.map((name) => [name, value(name)])) as CallsOf<C>;
  }
}

/** For people: `0.42 %`. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}
