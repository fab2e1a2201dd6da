/** What a benchmark says: one JSON object a line on stdout, for people's eyes and for `make bench`. */

export interface Result {
  /** What was measured, in the words of the bar. */
  readonly name: string;
  /** The bar, as text: `<= 1 %`. */
  readonly asked: string;
  readonly measured: number;
  readonly unit: string;
  readonly ok: boolean;
  /** Whatever else tells how good the figure is: rounds, spread, peers. */
  readonly [more: string]: unknown;
}

export function report(result: Result): void {
  console.log(JSON.stringify(result));
}

/** Progress, for people; stdout is for results. */
export function progress(text: string): void {
  console.error(`  ${text}`);
}
