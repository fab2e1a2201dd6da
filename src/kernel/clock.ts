/**
 * From the kernel's clock to the calendar. Records carry nanoseconds of CLOCK_BOOTTIME; people and
 * JSON want the epoch. The offset is taken once, so that the order of events never changes when
 * somebody sets the clock; it is then wrong by as much as the clock was set.
 */
import { CLOCK_BOOTTIME, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME, clockNs } from '../ffi/libc.js';

export class BootClock {
  /** Epoch milliseconds at boot. */
  readonly bootEpochMs: number;

  constructor(bootEpochMs: number) {
    this.bootEpochMs = bootEpochMs;
  }

  /** Offset as of now: of several readings the one that was interrupted least. */
  static now(): BootClock {
    let bestGapNs = Number.POSITIVE_INFINITY;
    let bootEpochMs = 0;
    for (let i = 0; i < 5; i++) {
      const before = clockNs(CLOCK_BOOTTIME);
      const realtime = clockNs(CLOCK_REALTIME);
      const after = clockNs(CLOCK_BOOTTIME);
      if (after - before < bestGapNs) {
        bestGapNs = after - before;
        bootEpochMs = realtime / 1e6 - (before + after) / 2e6;
      }
    }
    return new BootClock(bootEpochMs);
  }

  /** Epoch milliseconds of a time since boot; to a microsecond. */
  toEpochMs(bootNs: number): number {
    return this.bootEpochMs + bootNs / 1e6;
  }

  /** Nanoseconds since boot, suspended time included, as `bpf_ktime_get_boot_ns` gives it. */
  nowNs(): number {
    return clockNs(CLOCK_BOOTTIME);
  }
}

/** Nanoseconds of CLOCK_MONOTONIC_RAW: the CPU's own counter, which nobody slews. */
export function monotonicRawNs(): number {
  return clockNs(CLOCK_MONOTONIC_RAW);
}
