/**
 * How often a link went down. Several witnesses may tell of the same time: the looks, the driver's events, the counters
 * of the network interface and of the port. Each misses some (two looks see nothing of what lies between them, and the
 * driver of a card without a link tells nothing), none invents any: so what counts is the witness that has seen most.
 */

export type FlapWitness = 'looks' | 'events' | 'carrier' | 'counter';

const KEPT_MS = 600_000;
const MAX_KEPT = 64;
const MAX_TOLD = 8;

export interface RecentFlaps {
  readonly flaps?: number;
  readonly flapTimes?: readonly number[];
}

export class Flaps {
  readonly #seen = new Map<FlapWitness, number>();
  #total = 0;
  /** Event times, oldest first. */
  readonly #times: number[] = [];

  /** Since it was first looked at. */
  get total(): number {
    return this.#total;
  }

  /**
   * @param times that `witness` has seen, beyond those that it has told of before
   * @param at event time, ms
   * @returns whether any is new
   */
  add(witness: FlapWitness, times: number, at: number): boolean {
    if (times <= 0) return false;
    const seen = (this.#seen.get(witness) ?? 0) + times;
    this.#seen.set(witness, seen);
    const fresh = seen - this.#total;
    if (fresh <= 0) return false;
    this.#total = seen;
    for (let i = 0; i < Math.min(fresh, MAX_KEPT); i++) this.#times.push(at);
    this.#times.splice(0, Math.max(0, this.#times.length - MAX_KEPT));
    return true;
  }

  /** Of the last ten minutes. */
  recent(now: number): RecentFlaps {
    while ((this.#times[0] ?? now) < now - KEPT_MS) this.#times.shift();
    const flaps = this.#times.length;
    return flaps === 0 ? {} : { flaps, flapTimes: this.#times.slice(-MAX_TOLD).map(Math.round) };
  }
}
