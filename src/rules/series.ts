/**
 * What is remembered of the events that one selector takes about one entity: the last of them, the times of as many as
 * somebody counts, and sums by slices of a window. All of it has a size that the rules fix beforehand.
 */
import type { Event } from '../events/event.js';
import type { Fact } from '../graph/model.js';
import type { Statistic } from './model.js';
import { eventReader, type ReadEvent } from './event-read.js';

/** Over which window a number is summed up; `of` undefined: the event's own. */
export interface GaugeNeed {
  readonly of: readonly string[] | undefined;
  readonly windowMs: number;
}

export interface BurstNeed {
  readonly apartMs: number;
  readonly times: number;
}

/** What the conditions that share a selector want of it. */
export interface Needs {
  /** Times that are kept. */
  readonly times: number;
  readonly gauges: readonly GaugeNeed[];
  readonly bursts: readonly BurstNeed[];
}

const SLICES = 32;
/** Fields of a slice: its number since the epoch, then what was in it. */
const FIELDS = 7;
const [NUMBER, COUNT, SUM, MIN, MAX, FIRST, LAST] = [0, 1, 2, 3, 4, 5, 6];

/** Numbers that a series holds: what a bound on memory counts. */
export function slotsOf({ times, gauges, bursts }: Needs): number {
  return (
    times + gauges.length * (SLICES + 1) * FIELDS + bursts.reduce((sum, burst) => sum + burst.times, 0) + 8
  );
}

/** What of a selector's events is worth looking for: most types have neither, and it is looked for in each event. */
export interface Traits {
  /** An event of it may stand for several (`suppressed`), or have its source's own words (`message`). */
  readonly suppressed: boolean;
  readonly message: boolean;
}

const NO_GAUGES: readonly Gauge[] = [];
const NO_BURSTS: readonly Burst[] = [];

export class Series {
  readonly times: TimeRing;
  readonly gauges: readonly Gauge[];
  readonly bursts: readonly Burst[];
  readonly #traits: Traits;
  // The last event, by its parts: an object an event would be garbage an event.
  #ts = Number.NEGATIVE_INFINITY;
  #type = '';
  #probe = '';
  #entity = '';
  #value = 0;
  #detail: string | undefined;

  constructor(needs: Needs, traits: Traits) {
    this.times = new TimeRing(needs.times);
    // Most selectors have none, and a series is made for each process that one of its events is about.
    this.gauges = needs.gauges.length === 0 ? NO_GAUGES : needs.gauges.map((need) => new Gauge(need));
    this.bursts = needs.bursts.length === 0 ? NO_BURSTS : needs.bursts.map((need) => new Burst(need));
    this.#traits = traits;
  }

  /** Event time of the last one. */
  get ts(): number {
    return this.#ts;
  }

  /** The last event. */
  get fact(): Fact {
    return {
      ts: this.#ts,
      type: this.#type,
      probe: this.#probe,
      entity: this.#entity,
      value: this.#value,
      ...(this.#detail !== undefined && { detail: this.#detail }),
    };
  }

  add(event: Event): void {
    // Late ones are counted and are not the last.
    if (event.ts >= this.#ts) this.#remember(event);
    const weight = this.#traits.suppressed ? weightOf(event) : 1;
    for (let left = Math.min(weight, this.times.size); left > 0; left--) this.times.add(event.ts);
    for (let at = 0; at < this.gauges.length; at++) this.gauges[at]?.add(event);
    for (let at = 0; at < this.bursts.length; at++) this.bursts[at]?.add(event.ts);
  }

  #remember(event: Event): void {
    this.#ts = event.ts;
    this.#type = event.type === 'custom' ? (event.customType ?? event.type) : event.type;
    this.#probe = event.probe;
    this.#entity = event.entity;
    this.#value = event.value;
    if (this.#traits.message) this.#detail = messageOf(event);
  }
}

/** An event that stands for several, which a limit held back, counts as so many. */
function weightOf({ attrs }: Event): number {
  if (!('suppressed' in attrs)) return 1;
  const { suppressed } = attrs;
  return typeof suppressed === 'number' && suppressed > 0 ? 1 + Math.floor(suppressed) : 1;
}

function messageOf({ attrs }: Event): string | undefined {
  return 'message' in attrs && typeof attrs.message === 'string' ? attrs.message : undefined;
}

/** The latest times, as many as fit. It grows up to its size: of most things there is one event. */
export class TimeRing {
  readonly size: number;
  readonly #times: number[] = [];
  #next = 0;

  constructor(size: number) {
    this.size = size;
  }

  add(ts: number): void {
    this.#times[this.#next] = ts;
    this.#next = this.#next + 1 === this.size ? 0 : this.#next + 1;
  }

  /** Later than `from`. */
  since(from: number): number {
    let count = 0;
    for (let at = 0; at < this.#times.length; at++) if ((this.#times[at] ?? 0) > from) count++;
    return count;
  }
}

/** A number over a window that moves by slices of 1/32 of it. */
export class Gauge {
  readonly need: GaugeNeed;
  readonly #read: ReadEvent | undefined;
  readonly #sliceMs: number;
  readonly #slices = new Float64Array((SLICES + 1) * FIELDS);

  constructor(need: GaugeNeed) {
    this.need = need;
    this.#read = need.of === undefined ? undefined : eventReader(need.of);
    this.#sliceMs = need.windowMs / SLICES;
  }

  add(event: Event): void {
    const value = this.#read === undefined ? event.value : numberOf(this.#read(event));
    if (value === undefined) return;
    const number = Math.floor(event.ts / this.#sliceMs);
    const base = (number % (SLICES + 1)) * FIELDS;
    const slices = this.#slices;
    const known = slices[base + NUMBER] ?? 0;
    if (known > number) return;
    if (known < number) {
      slices.fill(0, base, base + FIELDS);
      slices[base + NUMBER] = number;
      slices[base + MIN] = value;
      slices[base + MAX] = value;
      slices[base + FIRST] = value;
    }
    slices[base + COUNT] = (slices[base + COUNT] ?? 0) + 1;
    slices[base + SUM] = (slices[base + SUM] ?? 0) + value;
    slices[base + MIN] = Math.min(slices[base + MIN] ?? value, value);
    slices[base + MAX] = Math.max(slices[base + MAX] ?? value, value);
    slices[base + LAST] = value;
  }

  /** How many events the window holds. */
  count(now: number): number {
    let count = 0;
    this.#each(now, (base) => {
      count += this.#slices[base + COUNT] ?? 0;
    });
    return count;
  }

  /** Undefined: no event in the window. */
  read(how: Statistic, now: number): number | undefined {
    let [count, sum, min, max] = [0, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    let [firstNumber, lastNumber, first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0];
    this.#each(now, (base) => {
      const at = (field: number): number => this.#slices[base + field] ?? 0;
      count += at(COUNT);
      sum += at(SUM);
      min = Math.min(min, at(MIN));
      max = Math.max(max, at(MAX));
      if (at(NUMBER) < firstNumber) [firstNumber, first] = [at(NUMBER), at(FIRST)];
      if (at(NUMBER) > lastNumber) [lastNumber, last] = [at(NUMBER), at(LAST)];
    });
    if (count === 0) return undefined;
    switch (how) {
      case 'last':
        return last;
      case 'min':
        return min;
      case 'max':
        return max;
      case 'mean':
        return sum / count;
      case 'sum':
        return sum;
      case 'growth':
        return last - first;
    }
  }

  #each(now: number, slice: (base: number) => void): void {
    const oldest = Math.floor((now - this.need.windowMs) / this.#sliceMs) + 1;
    for (let base = 0; base < this.#slices.length; base += FIELDS) {
      if ((this.#slices[base + COUNT] ?? 0) > 0 && (this.#slices[base + NUMBER] ?? 0) >= oldest) slice(base);
    }
  }
}

/** How often it began: a new time when none came for a while. */
export class Burst {
  readonly need: BurstNeed;
  readonly #starts: TimeRing;
  #lastTs = Number.NEGATIVE_INFINITY;

  constructor(need: BurstNeed) {
    this.need = need;
    this.#starts = new TimeRing(need.times);
  }

  add(ts: number): void {
    if (ts - this.#lastTs >= this.need.apartMs) this.#starts.add(ts);
    if (ts > this.#lastTs) this.#lastTs = ts;
  }

  since(from: number): number {
    return this.#starts.since(from);
  }
}

function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (!Array.isArray(value)) return undefined;
  const numbers = value.filter((one): one is number => typeof one === 'number');
  return numbers.length === 0 ? undefined : Math.max(...numbers);
}
