/** Durations and versions as people write them in a rule. */

const MS_OF: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
export const DURATION = '^[1-9][0-9]{0,5}(ms|s|m|h|d)$';
const DURATION_PARTS = /^([1-9][0-9]{0,5})(ms|s|m|h|d)$/;
export const MAX_WINDOW_MS = 7 * 86_400_000;

/** @param text of the form that the schema asks for */
export function durationMs(text: string): number {
  const [, digits = '', unit = ''] = DURATION_PARTS.exec(text) ?? [];
  return Number(digits) * (MS_OF[unit] ?? Number.NaN);
}

export const KERNEL_RANGE = '^(>=|<=|>|<|=)[0-9]+[.][0-9]+( (>=|<=|>|<|=)[0-9]+[.][0-9]+){0,3}$';

/** Whether a running kernel (`6.1.0-18-amd64`) lies within `>=5.15 <6.9`. Of a bound only what it names counts. */
export function kernelFits(range: string, release: string): boolean {
  const [major = Number.NaN, minor = Number.NaN] = release
    .split('.', 2)
    .map((part) => Number.parseInt(part, 10));
  return range.split(' ').every((bound) => {
    const [, operator = '', its = '', itsMinor = ''] = /^([<>=]+)(\d+)\.(\d+)$/.exec(bound) ?? [];
    const difference = major - Number(its) || minor - Number(itsMinor);
    switch (operator) {
      case '>=':
        return difference >= 0;
      case '<=':
        return difference <= 0;
      case '>':
        return difference > 0;
      case '<':
        return difference < 0;
      default:
        return difference === 0;
    }
  });
}
