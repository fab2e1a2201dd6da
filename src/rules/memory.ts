/**
 * What rules remember of events. An event is looked up by its type, and among the selectors of that type by what it is
 * about and what it says; only those that can want it are asked. Nothing goes over all rules or all events, ever: what a
 * condition comes to is read from its series when somebody asks.
 *
 * Time is the events' own. Bounded in series and in numbers kept; what gave way is counted.
 */
import type { Event } from '../events/event.js';
import { pidOf } from '../events/ids.js';
import type { Selector } from './selector.js';
import { Series, slotsOf } from './series.js';
import { TypeIndex } from './type-index.js';

export interface MemoryLimits {
  /** Entities a selector. */
  readonly maxEntities: number;
  /** Numbers in all series, 8 bytes each. */
  readonly maxSlots: number;
}

export const MEMORY_LIMITS: MemoryLimits = { maxEntities: 1_024, maxSlots: 2_000_000 };

export interface MemoryStats {
  readonly selectors: number;
  readonly series: number;
  readonly slots: number;
  /** Events that some selector took. */
  readonly taken: number;
  /** Series that gave way to another one, or had no room. */
  readonly evicted: number;
}

/** What one selector has seen. */
interface Store {
  readonly selector: Selector;
  readonly slots: number;
  readonly byEntity: Map<string, Series>;
  /** Processes by number: a name made of it would be garbage an event. */
  readonly byPid: Map<number, Series>;
  wide: Series | undefined;
  /** Number of the event that it was last tried on. */
  triedAt: number;
}

/** Of this many the one that was silent for longest gives way. */
const LOOK_AT = 8;

export class RuleMemory {
  readonly #limits: MemoryLimits;
  readonly #stores = new Map<string, Store>();
  readonly #types = new Map<string, TypeIndex<Store>>();
  readonly #customTypes = new Map<string, TypeIndex<Store>>();
  #now = 0;
  #events = 0;
  /** The process that the event at hand is about. */
  #about: number | undefined;
  #series = 0;
  #slots = 0;
  #taken = 0;
  #evicted = 0;
  /** Made once: a closure an event would be garbage an event. */
  readonly #try = (store: Store, event: Event): void => {
    const { selector } = store;
    // Found by two members of a list.
    if (store.triedAt === this.#events) return;
    store.triedAt = this.#events;
    if (selector.isDecided || selector.takes(event)) this.#take(store, event);
  };

  constructor(selectors: Iterable<Selector>, limits: Partial<MemoryLimits> = {}) {
    this.#limits = { ...MEMORY_LIMITS, ...limits };
    for (const selector of selectors) {
      const slots = slotsOf(selector.needs);
      const store: Store = {
        selector,
        slots,
        byEntity: new Map(),
        byPid: new Map(),
        wide: undefined,
        triedAt: -1,
      };
      this.#stores.set(selector.key, store);
      for (const type of selector.types) indexOf(this.#types, type).add(store);
      for (const type of selector.customTypes) indexOf(this.#customTypes, type).add(store);
    }
  }

  /** Time of the newest event, ms since the epoch. */
  get now(): number {
    return this.#now;
  }

  observe(event: Event): void {
    if (event.ts > this.#now) this.#now = event.ts;
    const index =
      event.type === 'custom' ? this.#customTypes.get(event.customType ?? '') : this.#types.get(event.type);
    if (index === undefined) return;
    this.#events++;
    this.#about = pidOf(event.entity);
    index.visit(event, this.#try);
  }

  /** Undefined: no such event was seen. */
  series(selector: string, entity: string): Series | undefined {
    const store = this.#stores.get(selector);
    const pid = pidOf(entity);
    return pid === undefined ? store?.byEntity.get(entity) : store?.byPid.get(pid);
  }

  wide(selector: string): Series | undefined {
    return this.#stores.get(selector)?.wide;
  }

  /** What an older set of rules has seen, where the same events are still asked about in the same way. */
  adopt(older: RuleMemory): void {
    this.#now = Math.max(this.#now, older.#now);
    this.#taken += older.#taken;
    this.#evicted += older.#evicted;
    for (const [key, store] of this.#stores) {
      const known = older.#stores.get(key);
      if (
        known === undefined ||
        JSON.stringify(known.selector.needs) !== JSON.stringify(store.selector.needs)
      )
        continue;
      if (store.selector.isWide) store.wide = known.wide;
      if (store.selector.isByEntity) {
        for (const [id, series] of known.byEntity) store.byEntity.set(id, series);
        for (const [pid, series] of known.byPid) store.byPid.set(pid, series);
      }
      const count = store.byEntity.size + store.byPid.size + (store.wide === undefined ? 0 : 1);
      this.#series += count;
      this.#slots += count * store.slots;
    }
  }

  stats(): MemoryStats {
    return {
      selectors: this.#stores.size,
      series: this.#series,
      slots: this.#slots,
      taken: this.#taken,
      evicted: this.#evicted,
    };
  }

  #take(store: Store, event: Event): void {
    this.#taken++;
    const { selector } = store;
    if (selector.isWide) {
      if (store.wide !== undefined) store.wide.add(event);
      else if (this.#hasRoom(store)) store.wide = this.#begin(store, event);
      else this.#evicted++;
    }
    if (!selector.isByEntity) return;
    const about = this.#about;
    if (about === undefined) this.#add(store, store.byEntity, event.entity, event);
    else this.#add(store, store.byPid, about, event);
    if (event.pid !== undefined && event.pid !== about) this.#add(store, store.byPid, event.pid, event);
  }

  #add<K>(store: Store, known: Map<K, Series>, id: K, event: Event): void {
    const series = known.get(id);
    if (series !== undefined) {
      series.add(event);
      return;
    }
    if (store.byEntity.size + store.byPid.size >= this.#limits.maxEntities || !this.#hasRoom(store)) {
      this.#evicted++;
      // Of its own kind: else one busy kind would push all others out.
      const oldest = silentForLongest(known);
      if (oldest === undefined) return;
      known.delete(oldest);
      this.#series--;
      this.#slots -= store.slots;
    }
    known.set(id, this.#begin(store, event));
  }

  #hasRoom(store: Store): boolean {
    return this.#slots + store.slots <= this.#limits.maxSlots;
  }

  #begin(store: Store, event: Event): Series {
    this.#series++;
    this.#slots += store.slots;
    const series = new Series(store.selector.needs, store.selector.traits);
    series.add(event);
    return series;
  }
}

function silentForLongest<K>(known: ReadonlyMap<K, Series>): K | undefined {
  let oldest: K | undefined;
  let oldestTs = Number.POSITIVE_INFINITY;
  let looked = 0;
  for (const [id, { ts }] of known) {
    if (ts < oldestTs) [oldest, oldestTs] = [id, ts];
    if (++looked === LOOK_AT) break;
  }
  return oldest;
}

function indexOf(types: Map<string, TypeIndex<Store>>, type: string): TypeIndex<Store> {
  const known = types.get(type);
  if (known !== undefined) return known;
  const index = new TypeIndex<Store>();
  types.set(type, index);
  return index;
}
