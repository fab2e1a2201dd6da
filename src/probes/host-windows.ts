/**
 * From counters of limited groups to what happened in the last seconds.
 *
 * The kernel part tells a group when its counters have moved; what they moved by is taken over a
 * window of at least a second, so that a question right after a pass is not answered with "nothing
 * in the last 80 ms". Counters that were there before the agent are no events of now. A group that
 * has calmed down is told once more, with zeros.
 */
import type { EventOf } from '../events/event.js';
import type { MemoryLimitAttrs, ThrottleAttrs } from '../events/host.js';
import { cgroupId } from '../events/ids.js';
import { printable } from '../util/text.js';
import type { CpuCounts, CpuGroup, LimitedGroup, MemoryCounts, MemoryGroup } from './host-records.js';

const WINDOW_MS = 1_000;
/** From this share of its limit on a group is told although nothing was refused to it; as in groups.bpf.h. */
const NEAR = 0.95;
/** The kernel part repeats a full group after a second. */
const NEAR_FOR_MS = 1_500;
const GROUPS_MAX = 4_096;

interface Sample<Counts> {
  readonly ts: number;
  readonly counts: Counts;
}

interface State<G extends LimitedGroup> {
  group: G;
  /** When the kernel part last spoke of it. */
  toldTs: number;
  readonly path: string;
  /** Start of the window, at least a second old, and the one before it. */
  base: Sample<G['counts']>;
  older: Sample<G['counts']>;
  /** It was told to the graph with something in it. */
  active: boolean;
}

export type LimitEvent = EventOf<'compute.throttle'> | EventOf<'compute.memory'>;

/** The path of a group from the root of its hierarchy; undefined when nobody knows any more. */
export type PathOf = (group: LimitedGroup) => string | undefined;

export class LimitWindows {
  readonly #pathOf: PathOf;
  readonly #cpu = new Map<string, State<CpuGroup>>();
  readonly #memory = new Map<string, State<MemoryGroup>>();
  #lastTs: number | undefined;

  constructor(pathOf: PathOf) {
    this.#pathOf = pathOf;
  }

  /**
   * @param told by the pass at `ts`
   * @param bootOffsetMs epoch of the clock that processes' start times are of
   */
  pass(told: ReadonlyMap<string, LimitedGroup>, ts: number, bootOffsetMs: number): LimitEvent[] {
    for (const [key, group] of told) {
      const isNew = this.#isNew(group, bootOffsetMs);
      if (group.kind === 'cpu') this.#tell(this.#cpu, key, group, ts, isNew ? NO_CPU : group.counts);
      else this.#tell(this.#memory, key, group, ts, isNew ? NO_MEMORY : group.counts);
    }
    this.#lastTs = ts;
    const events: LimitEvent[] = [];
    for (const state of this.#cpu.values()) push(events, throttleEvent(state, ts));
    for (const state of this.#memory.values()) push(events, memoryEvent(state, ts));
    return events;
  }

  /** Made since the last pass, as all of its processes were: what its counters say is of now. */
  #isNew(group: LimitedGroup, bootOffsetMs: number): boolean {
    const last = this.#lastTs;
    return (
      last !== undefined &&
      group.members.every((member) => member.start / 1e6 + bootOffsetMs > last - WINDOW_MS)
    );
  }

  #tell<G extends LimitedGroup>(
    states: Map<string, State<G>>,
    key: string,
    group: G,
    ts: number,
    before: G['counts'],
  ): void {
    const known = states.get(key);
    if (known !== undefined) {
      known.group = group;
      known.toldTs = ts;
      // Those that are told last are kept longest.
      states.delete(key);
      states.set(key, known);
      return;
    }
    const base = { ts: this.#lastTs ?? ts, counts: before };
    const path = printable(this.#pathOf(group) ?? group.name);
    states.set(key, { group, toldTs: ts, path, base, older: base, active: false });
    if (states.size <= GROUPS_MAX) return;
    const [oldest] = states.keys();
    if (oldest !== undefined) states.delete(oldest);
  }
}

const NO_CPU: CpuCounts = { periods: 0, throttledPeriods: 0, throttledMs: 0 };
const NO_MEMORY: MemoryCounts = { highEvents: 0, maxEvents: 0, oomEvents: 0, oomKills: 0 };

function push(events: LimitEvent[], event: LimitEvent | undefined): void {
  if (event !== undefined) events.push(event);
}

/** The start of the present window; moves on once it is long enough. */
function windowOf<G extends LimitedGroup>(state: State<G>, ts: number): Sample<G['counts']> {
  if (ts - state.base.ts < WINDOW_MS) return state.older;
  const { base } = state;
  state.older = base;
  state.base = { ts, counts: state.group.counts };
  return base;
}

/** Whether it is to be told: something happened, or for the last time that nothing did. */
function turn(state: State<LimitedGroup>, happened: boolean, windowMs: number): boolean {
  if (happened) {
    state.active = true;
    return true;
  }
  if (!state.active || windowMs < WINDOW_MS) return false;
  state.active = false;
  return true;
}

function throttleEvent(state: State<CpuGroup>, ts: number): EventOf<'compute.throttle'> | undefined {
  const { group } = state;
  const from = windowOf(state, ts);
  const windowMs = ts - from.ts;
  const throttledMs = Math.max(0, group.counts.throttledMs - from.counts.throttledMs);
  const throttledPeriods = Math.max(0, group.counts.throttledPeriods - from.counts.throttledPeriods);
  if (!turn(state, throttledMs > 0 || throttledPeriods > 0, windowMs)) return undefined;
  const attrs: ThrottleAttrs = {
    quotaMs: group.quotaMs,
    periodMs: group.periodMs,
    periods: Math.max(0, group.counts.periods - from.counts.periods),
    throttledPeriods,
    throttledMs,
    windowMs,
    members: group.members,
  };
  const entity = cgroupId(state.path);
  return { ts, type: 'compute.throttle', entity, value: throttledMs, probe: 'host', attrs };
}

function memoryEvent(state: State<MemoryGroup>, ts: number): EventOf<'compute.memory'> | undefined {
  const { group } = state;
  const from = windowOf(state, ts);
  const windowMs = ts - from.ts;
  const counts = minus(group.counts, from.counts);
  const near = isNear(group) && ts - state.toldTs < NEAR_FOR_MS;
  const happened = counts.highEvents + counts.maxEvents + counts.oomEvents + counts.oomKills > 0;
  if (!turn(state, happened || near, windowMs)) return undefined;
  // Full when it was told last, and not told since: it has gone.
  const gone = !near && isNear(group);
  const usageBytes = gone ? 0 : group.usageBytes;
  const attrs: MemoryLimitAttrs = {
    usageBytes,
    ...(group.limitBytes !== undefined && { limitBytes: group.limitBytes }),
    ...(group.highBytes !== undefined && { highBytes: group.highBytes }),
    ...counts,
    windowMs,
    members: gone ? [] : group.members,
  };
  const entity = cgroupId(state.path);
  return { ts, type: 'compute.memory', entity, value: usageBytes, probe: 'host', attrs };
}

function minus(now: MemoryCounts, then: MemoryCounts): MemoryCounts {
  return {
    highEvents: Math.max(0, now.highEvents - then.highEvents),
    maxEvents: Math.max(0, now.maxEvents - then.maxEvents),
    oomEvents: Math.max(0, now.oomEvents - then.oomEvents),
    oomKills: Math.max(0, now.oomKills - then.oomKills),
  };
}

function isNear(group: MemoryGroup): boolean {
  const limit = Math.min(group.limitBytes ?? Infinity, group.highBytes ?? Infinity);
  return group.usageBytes >= limit * NEAR;
}
