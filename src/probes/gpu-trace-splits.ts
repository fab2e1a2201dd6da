/**
 * Which rank of how many a process is in a communicator that `ncclCommSplit` made. It is no argument and no result of
 * that call, but follows from what all ranks of the parent said in it: those who named the same color are together,
 * in the order of their keys, and where keys are equal in the order of their ranks in the parent (NCCL's manual).
 *
 * So it is known once all of them were heard: all ranks of the parent are on this node, and each one's call has
 * returned without an error. Anything less leaves it unknown. Splits of a parent are told apart by counting them,
 * which all of its ranks do alike, since each of them takes part in each.
 */

export interface Place {
  readonly rank: number;
  readonly nranks: number;
}

/** What one rank of the parent said. */
export interface SplitCall {
  /** Of the parent: the same for all of its ranks. */
  readonly parentId: string;
  /** Which one of the parent's splits, from 1. */
  readonly ordinal: number;
  /** Whose part in the parent; of placeKey(). */
  readonly caller: string;
  /** In the parent, as far as the kernel knows. */
  readonly callerPlace: Partial<Place>;
  readonly color: number;
  readonly key: number;
  /** What it got; undefined: none, or one that it gets later. */
  readonly child: { readonly id: string; readonly place: string } | undefined;
}

/** NCCL_SPLIT_NOCOLOR */
const NO_COLOR = -1;
/** Calls of splits that not all have been heard of; a split over several nodes never is complete. */
const MAX_CALLS = 4_096;

/** By caller. */
type Split = Map<string, SplitCall>;

/** A process's part in a communicator; with its id, since addresses are given out anew. */
export function placeKey(pid: number, start: number, handle: string, id: string): string {
  return `${pid}/${start}/${handle}/${id}`;
}

export class SplitRanks {
  /** By parent and ordinal: those that not all have been heard of. */
  readonly #open = new Map<string, Map<number, Split>>();
  readonly #places = new Map<string, Place>();
  /** Splits that contradict themselves: whatever else is said of them, they are not believed. */
  readonly #refuted = new Set<string>();
  /** Places whose communicator was not there at the last look. */
  #missing = new Set<string>();
  #calls = 0;
  #dropped = 0;

  /** Calls that made room for others. */
  get dropped(): number {
    return this.#dropped;
  }

  placeOf(place: string): Place | undefined {
    return this.#places.get(place);
  }

  /** A rank's call has returned. */
  note(call: SplitCall): void {
    const { parentId, ordinal, caller } = call;
    if (this.#refuted.has(nameOf(parentId, ordinal))) return;
    const splits = this.#open.get(parentId) ?? new Map<number, Split>();
    const split = splits.get(ordinal) ?? new Map<string, SplitCall>();
    this.#open.set(parentId, splits.set(ordinal, split));
    if (split.has(caller)) {
      this.#refute(parentId, ordinal, split);
      return;
    }
    split.set(caller, call);
    this.#calls++;
    this.#settle([parentId]);
    this.#bound();
  }

  /** Which rank of its parent a caller is has come out after its call, since the program has asked. */
  learn(parentId: string, caller: string, place: Partial<Place>): void {
    if (!isPlace(place)) return;
    let news = false;
    for (const split of this.#open.get(parentId)?.values() ?? []) {
      const call = split.get(caller);
      if (call === undefined || isPlace(call.callerPlace)) continue;
      split.set(caller, { ...call, callerPlace: place });
      news = true;
    }
    if (news) this.#settle([parentId]);
  }

  /** @param alive parts in communicators that are still there; a look may miss one */
  keep(alive: ReadonlySet<string>): void {
    const missing = new Set<string>();
    for (const place of this.#places.keys()) {
      if (alive.has(place)) continue;
      if (this.#missing.has(place)) this.#places.delete(place);
      else missing.add(place);
    }
    this.#missing = missing;
  }

  /** Splits of these parents, and of what comes out of them. */
  #settle(parents: string[]): void {
    for (let parentId = parents.pop(); parentId !== undefined; parentId = parents.pop()) {
      for (const [ordinal, split] of this.#open.get(parentId) ?? []) {
        this.#placeCallers(split);
        const outcome = outcomeOf(split);
        if (outcome === 'incomplete') continue;
        if (outcome === 'absurd') {
          this.#refute(parentId, ordinal, split);
          continue;
        }
        this.#drop(parentId, ordinal, split);
        for (const [{ child }, place] of outcome) {
          if (child === undefined) continue;
          this.#places.set(child.place, place);
          parents.push(child.id);
        }
      }
    }
  }

  /** Of a split of a split; kept with the call, since the parent may be gone before the last one is heard. */
  #placeCallers(split: Split): void {
    for (const [caller, call] of split) {
      const place = isPlace(call.callerPlace) ? undefined : this.#places.get(caller);
      if (place !== undefined) split.set(caller, { ...call, callerPlace: place });
    }
  }

  #refute(parentId: string, ordinal: number, split: Split): void {
    this.#drop(parentId, ordinal, split);
    if (this.#refuted.size >= MAX_CALLS) this.#refuted.clear();
    this.#refuted.add(nameOf(parentId, ordinal));
  }

  #drop(parentId: string, ordinal: number, split: Split): void {
    this.#calls -= split.size;
    const splits = this.#open.get(parentId);
    splits?.delete(ordinal);
    if (splits?.size === 0) this.#open.delete(parentId);
  }

  #bound(): void {
    for (const [parentId, splits] of this.#open) {
      for (const [ordinal, split] of splits) {
        if (this.#calls <= MAX_CALLS) return;
        this.#dropped += split.size;
        this.#drop(parentId, ordinal, split);
      }
    }
  }
}

function nameOf(parentId: string, ordinal: number): string {
  return `${parentId}/${ordinal}`;
}

type Outcome = 'incomplete' | 'absurd' | ReadonlyMap<SplitCall, Place>;

function outcomeOf(split: Split): Outcome {
  const ranks = new Map<number, SplitCall>();
  let size: number | undefined;
  for (const call of split.values()) {
    const place = call.callerPlace;
    if (!isPlace(place)) continue;
    size ??= place.nranks;
    const fits = place.rank >= 0 && place.rank < size && place.nranks === size && !ranks.has(place.rank);
    if (!fits || (call.color === NO_COLOR && call.child !== undefined)) return 'absurd';
    ranks.set(place.rank, call);
  }
  if (size === undefined || ranks.size < size) return 'incomplete';
  // All ranks were heard, and somebody else was, too.
  if (split.size > size) return 'absurd';
  return placesOf([...ranks].sort(([a], [b]) => a - b).map(([, call]) => call));
}

/** @param calls of all ranks of the parent, in their order there */
function placesOf(calls: readonly SplitCall[]): ReadonlyMap<SplitCall, Place> {
  const colors = new Map<number, SplitCall[]>();
  for (const call of calls) {
    if (call.color === NO_COLOR) continue;
    const group = colors.get(call.color) ?? [];
    colors.set(call.color, group);
    group.push(call);
  }
  const found = new Map<SplitCall, Place>();
  for (const group of colors.values()) {
    // A stable sort: equal keys stay in the order of the parent.
    const ordered = [...group].sort((a, b) => a.key - b.key);
    for (const [rank, call] of ordered.entries()) found.set(call, { rank, nranks: group.length });
  }
  return found;
}

function isPlace(place: Partial<Place>): place is Place {
  return place.rank !== undefined && place.nranks !== undefined;
}
