/** Exponential backoff with jitter, so that what fails on every node is not retried on all at once. */

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  /** A run at least this long counts as good: the next delay is the first one again. */
  readonly goodMs: number;
}

export class Backoff {
  readonly #options: BackoffOptions;
  readonly #random: () => number;
  #failures = 0;

  /** @param random in [0, 1) */
  constructor(options: BackoffOptions, random: () => number = Math.random) {
    this.#options = options;
    this.#random = random;
  }

  /** Delay before the next attempt, ms: doubles from first to max, ±20 %. */
  next(lastRunMs: number): number {
    const { firstMs, maxMs, goodMs } = this.#options;
    if (lastRunMs >= goodMs) this.#failures = 0;
    const delayMs = Math.min(maxMs, firstMs * 2 ** Math.min(this.#failures++, 30));
    return Math.round(delayMs * (0.8 + 0.4 * this.#random()));
  }
}
