/**
 * Timers that fire together. Each time that an idle process wakes up it finds cold caches, which costs more than
 * what it wakes up for; so whoever looks once a second does so in the same moment as whoever looks twice.
 */

export interface Beat {
  stop(): void;
}

/**
 * Calls `run` at every multiple of `periodMs` of one clock, so that periods that divide each other meet. Does not keep
 * the process alive; a beat that comes late is not made up for.
 */
export function every(periodMs: number, run: () => void): Beat {
  let timer: NodeJS.Timeout | undefined;
  const next = (): void => {
    timer = setTimeout(() => {
      next();
      run();
    }, untilBeatMs(periodMs)).unref();
  };
  next();
  return { stop: () => clearTimeout(timer) };
}

/** From now to the next multiple of `periodMs`, ms; never 0. */
export function untilBeatMs(periodMs: number, nowMs = performance.now()): number {
  const left = periodMs - (nowMs % periodMs);
  // Timers are early by up to a millisecond: that one is through.
  return left < 1 ? left + periodMs : left;
}
