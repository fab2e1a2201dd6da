/**
 * How old the oldest work request of a queue pair is that is not completed, by what was posted and what is outstanding
 * at each look. It was posted after the last look that had fewer posts than are completed, and no later than the look
 * behind that one: that time is told, so that it is at least as old as is said.
 */

/** A queue pair that never comes to rest keeps no more. */
const MAX_SNAPSHOTS = 128;

export interface PostsNow {
  /** Counted so far. */
  readonly posts: number;
  /** Negative: unknown. */
  readonly outstanding: number;
  /** Some were not counted. */
  readonly cut: boolean;
  /** Time of the last post. */
  readonly last: number;
}

export class OldestPost {
  /** What was posted by when, as far as it may not be completed; the oldest first. */
  readonly #snapshots: { readonly posts: number; readonly at: number }[] = [];
  #posts = 0;

  /** @returns a time of the clock of `last`; undefined when nothing is outstanding, or not known */
  note({ posts, outstanding, cut, last }: PostsNow): number | undefined {
    if (outstanding < 0) return undefined;
    const snapshots = this.#snapshots;
    if (posts !== this.#posts) snapshots.push({ posts, at: last });
    this.#posts = posts;
    const completed = posts - outstanding;
    while (snapshots[0] !== undefined && snapshots[0].posts <= completed) snapshots.shift();
    // What lay between goes with the one behind it: younger than it is.
    if (snapshots.length > MAX_SNAPSHOTS) snapshots.splice(1, 1);
    // More than was counted (posted in another way, or before): which is the oldest is not known.
    if (outstanding === 0 || completed < 0 || cut) return undefined;
    return snapshots[0]?.at;
  }
}
