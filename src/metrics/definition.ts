/** What a metric is, before the registry makes one of it. */

export type Labels = Readonly<Record<string, string>>;
export type Series = Iterable<readonly [labels: Labels, value: number]>;

export interface Definition {
  /** A counter's name ends in `_total`. */
  readonly name: `xctl_${string}`;
  readonly help: string;
  readonly labels: readonly string[];
  readonly read: () => Series;
}
