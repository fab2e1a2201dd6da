/**
 * fast-check, set up the same for every test: `make test` draws the same cases each time, so that it fails
 * for what was changed and not for the dice; `make fuzz` draws others, and FUZZ times as many.
 */
import fc from 'fast-check';

/** Unset or 0: no fuzzing. */
const FUZZ = Number(process.env.FUZZ ?? 0);

/** Cases that a property without a number of its own is tried with; fast-check's own default. */
const RUNS = 100;

/** `cases` of `make test`, and as many times more as `make fuzz` was asked for. */
export function runs(cases: number): number {
  return cases * Math.max(1, FUZZ);
}

fc.configureGlobal({ numRuns: runs(RUNS), ...(FUZZ === 0 && { seed: 1 }) });

export { fc };
