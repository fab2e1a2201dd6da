/**
 * When a record of the kernel log was made.
 *
 * Records carry local_clock(): nanoseconds since boot by the CPU's own counter, standing still while the
 * machine is suspended. On hardware nobody slews it; in a guest the host may. So it runs away from
 * CLOCK_MONOTONIC, from CLOCK_MONOTONIC_RAW or from both: 20 ppm are 52 s in a month, and a fault would come
 * after the wait that it caused. How far it is from CLOCK_MONOTONIC_RAW is measured once, by ftrace's
 * `local` clock, which is the same one and tells its time in a file; and corrected by every record of
 * which it is known between which two looks it was made. An event's time is then its record's age, back from now.
 */
import { readFileSync } from 'node:fs';
import { type BootClock, monotonicRawNs } from '../kernel/clock.js';

const TRACEFS = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'];
/** A record's time is taken before others can see it. */
const SLACK_NS = 10e6;

export class KmsgClock {
  readonly #clock: BootClock;
  readonly #rawNs: () => number;
  /** Added to a record's time to have CLOCK_MONOTONIC_RAW. */
  #offsetNs: number;

  constructor(clock: BootClock, rawNs: () => number = monotonicRawNs, offsetNs: number = logOffsetNs() ?? 0) {
    this.#clock = clock;
    this.#rawNs = rawNs;
    this.#offsetNs = offsetNs;
  }

  nowNs(): number {
    return this.#rawNs();
  }

  /**
   * Epoch milliseconds of a record.
   * @param notBeforeNs by `nowNs()`: it was not there at this time; undefined when that is not known
   */
  eventTime(timeUs: number, notBeforeNs: number | undefined): number {
    const recordNs = timeUs * 1_000;
    const nowNs = this.#rawNs();
    if (notBeforeNs !== undefined)
      this.#offsetNs = Math.max(this.#offsetNs, notBeforeNs - SLACK_NS - recordNs);
    this.#offsetNs = Math.min(this.#offsetNs, nowNs - recordNs);
    const ageNs = nowNs - (recordNs + this.#offsetNs);
    return this.#clock.toEpochMs(this.#clock.nowNs() - ageNs);
  }
}

/** CLOCK_MONOTONIC_RAW less the log's clock, now; undefined where tracefs does not tell. */
export function logOffsetNs(dirs: readonly string[] = TRACEFS): number | undefined {
  for (const dir of dirs) {
    try {
      if (!readFileSync(`${dir}/trace_clock`, 'utf8').includes('[local]')) continue;
      const before = monotonicRawNs();
      const stats = readFileSync(`${dir}/per_cpu/cpu0/stats`, 'utf8');
      const rawNs = (before + monotonicRawNs()) / 2;
      const [, seconds, micros] = /^now ts: *(\d{1,12})\.(\d{6})$/m.exec(stats) ?? [];
      if (micros !== undefined) return rawNs - (Number(seconds) * 1e9 + Number(micros) * 1e3);
    } catch {
      // not mounted there: the two looks around a record have to do
    }
  }
  return undefined;
}
