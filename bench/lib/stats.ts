/** Statistics that noise does not carry away. */

/** @throws RangeError of an empty list */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = sorted[Math.floor(at)];
  const high = sorted[Math.ceil(at)];
  if (low === undefined || high === undefined) throw new RangeError('no values');
  return low + (high - low) * (at - Math.floor(at));
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** 95 % confidence interval of the median by bootstrap; the same values always give the same interval. */
export function medianInterval(values: readonly number[], resamples = 2000): Interval {
  const random = mulberry32(0x78_63_74_6c);
  const medians = Array.from({ length: resamples }, () =>
    median(values.map(() => values[Math.floor(random() * values.length)] ?? Number.NaN)),
  );
  return { low: quantile(medians, 0.025), high: quantile(medians, 0.975) };
}

/** Rounds for a reader: three significant digits. */
export function rounded(value: number): number {
  return Number(value.toPrecision(3));
}

/** Tommy Ettinger's 32-bit generator (public domain). */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
