/**
 * How much one counter of a device has grown: one that wraps goes on, one that was set back begins anew. Between two
 * looks no counter grows by half of what it can hold.
 */

export type Step =
  | { readonly kind: 'first' | 'reset' | 'nonsense' }
  | { readonly kind: 'grew'; readonly by: number };

const RANGE = { 32: 2 ** 32, 64: 2 ** 64 } as const;

/** One counter over time. */
export class CounterTrack {
  readonly #bits: 32 | 64;
  #last: number | undefined;
  #total = 0;

  constructor(bits: 32 | 64) {
    this.#bits = bits;
  }

  /** As the device said first, and all growth since: never goes back. */
  get total(): number {
    return this.#total;
  }

  next(value: number): Step {
    const last = this.#last;
    // Queue counters of one driver are wider than those of another with the same name.
    const range = last !== undefined && last >= RANGE[32] ? RANGE[64] : RANGE[this.#bits];
    // All ones: what a device says that has fallen off its bus.
    if (value === RANGE[32] - 1 || value >= RANGE[64]) return { kind: 'nonsense' };
    this.#last = value;
    if (last === undefined) {
      this.#total = value;
      return { kind: 'first' };
    }
    const by = value >= last ? value - last : range - last + value;
    if (by >= range / 2) return { kind: 'reset' };
    this.#total += by;
    return { kind: 'grew', by };
  }
}
