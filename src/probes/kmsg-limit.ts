/**
 * How often the same thing is told: a dying disk says so a thousand times a second.
 *
 * By key, `BURST` at once and one more every `EVERY_MS` of event time; the others are counted, and the last
 * of them is told with that count as soon as there is room. So the count is never lost, and of something
 * that changes (a link) the last state always comes.
 */

const BURST = 5;
const EVERY_MS = 12_000;
/** Keys kept; beyond, the one told of longest ago goes. */
const MAX_KEYS = 1_024;

interface Entry<T> {
  tokens: number;
  at: number;
  /** Not told, `last` included. */
  suppressed: number;
  last: T | undefined;
}

export class KmsgLimit<T> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #tell: (fact: T, suppressed: number) => void;

  /** @param tell gets each fact that may be told, and how many like it were not since the one before */
  constructor(tell: (fact: T, suppressed: number) => void) {
    this.#tell = tell;
  }

  offer(key: string, ts: number, fact: T): void {
    const entry = this.#entries.get(key) ?? this.#add(key, ts);
    refill(entry, ts);
    if (entry.tokens >= 1) {
      this.#give(entry, fact, entry.suppressed);
      return;
    }
    entry.suppressed++;
    entry.last = fact;
  }

  /** What the keys are about is gone, and what comes by its name now is another: tells what was held back of it. */
  forget(isAbout: (key: string) => boolean): void {
    for (const [key, entry] of this.#entries) {
      if (!isAbout(key)) continue;
      if (entry.last !== undefined) this.#give(entry, entry.last, entry.suppressed - 1);
      this.#entries.delete(key);
    }
  }

  /** Tells what was held back and may be told by now; forgets what has been quiet. */
  settle(now: number): void {
    for (const [key, entry] of this.#entries) {
      refill(entry, now);
      if (entry.last !== undefined && entry.tokens >= 1) this.#give(entry, entry.last, entry.suppressed - 1);
      else if (entry.last === undefined && entry.tokens >= BURST) this.#entries.delete(key);
    }
  }

  #give(entry: Entry<T>, fact: T, suppressed: number): void {
    entry.tokens--;
    entry.suppressed = 0;
    entry.last = undefined;
    this.#tell(fact, suppressed);
  }

  #add(key: string, ts: number): Entry<T> {
    const [oldest] = this.#entries;
    if (this.#entries.size >= MAX_KEYS && oldest !== undefined) {
      const [, entry] = oldest;
      if (entry.last !== undefined) this.#give(entry, entry.last, entry.suppressed - 1);
      this.#entries.delete(oldest[0]);
    }
    const entry: Entry<T> = { tokens: BURST, at: ts, suppressed: 0, last: undefined };
    this.#entries.set(key, entry);
    return entry;
  }
}

function refill(entry: { tokens: number; at: number }, ts: number): void {
  if (ts <= entry.at) return;
  entry.tokens = Math.min(BURST, entry.tokens + (ts - entry.at) / EVERY_MS);
  entry.at = ts;
}
