/**
 * The same fault told by several sources counts once. The kernel log and NVML both tell of an Xid, a second or
 * more apart and in either order, and neither has an id for it. So: the n-th that one source tells of a GPU and
 * code is the n-th that another one tells, if their times are near. What one source tells twice happened twice.
 * Where one misses some, there were as many as the source says that heard most.
 *
 * Time is that of the events, which each source tells in order; sources may lag behind each other.
 */

/** `line`: an Xid in the kernel log. `lost`: the other line about a GPU off the bus. */
export type XidSource = 'line' | 'lost' | 'nvml';

export interface OnceOptions {
  /** Two sources may be so far apart about the same fault. */
  readonly windowMs?: number;
  /** What is older than this behind the newest is forgotten: as far as one source may lag behind another. */
  readonly keepMs?: number;
}

const WINDOW_MS = 5_000;
const KEEP_MS = 60_000;
/** Of one GPU and code; beyond, the two oldest become one. */
const MAX_GROUPS = 64;
const MAX_KEYS = 1_024;

export interface Told {
  readonly source: XidSource;
  readonly gpu: string;
  readonly code: number;
  /** Event time, ms. */
  readonly ts: number;
  /** Faults in this one event: those that a limit held back come with the next. */
  readonly count?: number;
  /** When the first of several was, at the earliest: the event before of this kind. */
  readonly sinceTs?: number;
}

/** Faults of about the same time. */
interface Group {
  from: number;
  readonly to: number;
  /** How many of them each source has told. */
  readonly told: Record<XidSource, number>;
  /** How many there were: the most that one source told. */
  total: number;
}

export class Once {
  readonly #windowMs: number;
  readonly #keepMs: number;
  readonly #keys = new Map<string, Group[]>();

  constructor({ windowMs = WINDOW_MS, keepMs = KEEP_MS }: OnceOptions = {}) {
    this.#windowMs = windowMs;
    this.#keepMs = Math.max(windowMs, keepMs);
  }

  /** How many of these faults nobody has told of yet: 0 when another source was first. */
  tell({ source, gpu, code, ts, count = 1, sinceTs = ts }: Told): number {
    const key = `${gpu} ${code}`;
    const groups = this.#keys.get(key) ?? this.#add(key);
    let left = count > 0 ? Math.floor(count) : 0;
    for (const group of groups) {
      if (left === 0) break;
      if (group.to < sinceTs - this.#windowMs || group.from > ts + this.#windowMs) continue;
      const known = Math.min(left, group.total - group.told[source]);
      group.told[source] += known;
      left -= known;
    }
    if (left > 0) this.#insert(groups, source, ts, left);
    return left;
  }

  /** How much is remembered, for tests of its bounds. */
  get size(): number {
    let size = 0;
    for (const groups of this.#keys.values()) size += groups.length;
    return size;
  }

  #insert(groups: Group[], source: XidSource, ts: number, count: number): void {
    const last = groups.at(-1);
    const told = { line: 0, lost: 0, nvml: 0, [source]: count };
    let at = groups.length;
    while (at > 0 && (groups[at - 1]?.to ?? 0) > ts) at--;
    groups.splice(at, 0, { from: ts, to: ts, told, total: count });
    const newest = Math.max(ts, last?.to ?? ts);
    while (groups[0] !== undefined && groups[0].to < newest - this.#keepMs) groups.shift();
    if (groups.length > MAX_GROUPS) joinOldest(groups);
  }

  #add(key: string): Group[] {
    const [oldest] = this.#keys.keys();
    if (this.#keys.size >= MAX_KEYS && oldest !== undefined) this.#keys.delete(oldest);
    const groups: Group[] = [];
    this.#keys.set(key, groups);
    return groups;
  }
}

function joinOldest(groups: Group[]): void {
  const [first, second] = groups;
  if (first === undefined || second === undefined) return;
  for (const source of ['line', 'lost', 'nvml'] as const) second.told[source] += first.told[source];
  second.total += first.total;
  second.from = Math.min(first.from, second.from);
  groups.shift();
}
