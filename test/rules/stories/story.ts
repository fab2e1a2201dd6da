/**
 * What the recordings of rules tell: of each rule one incident that it is for, and the nearest one that it is not for.
 * `scene` is what the walk says of it, so that a change there is seen here and not only as a rule that fell silent.
 */
import type { Story } from '../../scene/build.js';

export interface Told {
  /** The process that is asked about. */
  readonly ask: number;
  /** `Scene/SubScene`, `Scene`, or the verdict where there is none. */
  readonly scene: string;
  readonly tell: (story: Story) => unknown;
}

export interface RuleStories {
  readonly rule: string;
  readonly hit: Told;
  readonly miss: Told;
}

export function told(ask: number, scene: string, tell: Told['tell']): Told {
  return { ask, scene, tell };
}

/** One second has passed, and the process still waits. */
export function still(s: Story, pid = 10, forMs = 6_000): Story {
  return s.later(1_000).futex(pid, { forMs }).pass([]);
}
