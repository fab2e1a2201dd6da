/**
 * The looks that a probe takes time and again: how many, what they cost, and those that failed. One that fails
 * ends nothing, the next may go well; but what it would have seen is lost, and that is said.
 */
import type { Check } from '../util/check.js';
import { messageOf } from '../util/errors.js';
import type { Log } from '../util/log.js';

export class Passes {
  passes = 0;
  failures = 0;
  /** Time spent in passes, ms. */
  spentMs = 0;
  readonly #over: string;
  readonly #log: Log;
  #lastFailure = '';

  /** @param over what is looked at: `threads` */
  constructor(over: string, log: Log) {
    this.#over = over;
    this.#log = log;
  }

  /** @returns whether it came to its end. */
  run(pass: () => void): boolean {
    const started = performance.now();
    try {
      pass();
      return true;
    } catch (error) {
      this.#lastFailure = messageOf(error);
      this.failures++;
      // The first of each power of two: it may fail once a second.
      if ((this.failures & (this.failures - 1)) === 0)
        this.#log.warn(`pass over ${this.#over} failed`, { error: this.#lastFailure, count: this.failures });
      return false;
    } finally {
      this.passes++;
      this.spentMs += performance.now() - started;
    }
  }

  /** Nothing when all went well. */
  checks(probe: string): readonly Check[] {
    if (this.failures === 0) return [];
    const detail = `${this.failures} of ${this.passes} passes over ${this.#over} failed, the last: ${this.#lastFailure}`;
    return [{ status: 'degraded', name: `probe ${probe}/passes`, detail }];
  }
}
