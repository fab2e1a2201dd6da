/**
 * The selectors of one type of event, found by what an event is about and what it says: an id, the value of an attribute,
 * the beginning of either, a least value. What has no such handle is tried on every event of the type.
 */
import type { Event } from '../events/event.js';
import { eventReader, type ReadEvent } from './event-read.js';
import type { Scalar } from './model.js';
import type { Handle } from './selector.js';

/** What an index holds: it looks at the handle and at nothing else. */
export interface Indexed {
  readonly selector: { readonly handle: Handle };
}

export class TypeIndex<T extends Indexed> {
  readonly #rest: T[] = [];
  readonly #ids = new Map<string, T[]>();
  readonly #idPrefixes: Prefixes<T> = [];
  readonly #prefixes: Beginning<T>[] = [];
  readonly #equals: Equals<T>[] = [];
  readonly #least: Least<T>[] = [];

  add(store: T): void {
    const { handle } = store.selector;
    switch (handle.kind) {
      case 'entity':
        for (const id of handle.ids) put(this.#ids, id, store);
        break;
      case 'prefix': {
        const groups = handle.path === undefined ? this.#idPrefixes : this.#beginningOf(handle.path).groups;
        for (const prefix of new Set(handle.prefixes)) put(ofLength(groups, prefix.length), prefix, store);
        break;
      }
      case 'equal': {
        const path = handle.path.join('.');
        const known = this.#equals.find((one) => one.path === path);
        const group: Equals<T> = known ?? { path, read: eventReader(handle.path), by: new Map() };
        if (known === undefined) this.#equals.push(group);
        for (const value of new Set(handle.values)) put(group.by, value, store);
        break;
      }
      case 'least': {
        const path = handle.path.join('.');
        const known = this.#least.find((one) => one.path === path);
        const group: Least<T> = known ?? { path, read: eventReader(handle.path), sorted: [] };
        if (known === undefined) this.#least.push(group);
        group.sorted.push({ bound: handle.bound, store });
        group.sorted.sort((a, b) => a.bound - b.bound);
        break;
      }
      case 'none':
        this.#rest.push(store);
        break;
    }
  }

  visit(event: Event, take: Take<T>): void {
    all(this.#rest, event, take);
    if (this.#ids.size > 0) all(this.#ids.get(event.entity), event, take);
    beginsLike(this.#idPrefixes, event.entity, event, take);
    for (let at = 0; at < this.#prefixes.length; at++) {
      const beginning = this.#prefixes[at];
      const value = beginning?.read(event);
      if (typeof value === 'string') beginsLike(beginning?.groups, value, event, take);
      else if (Array.isArray(value))
        for (const one of value) if (typeof one === 'string') beginsLike(beginning?.groups, one, event, take);
    }
    for (let at = 0; at < this.#equals.length; at++) {
      const group = this.#equals[at];
      const value = group?.read(event);
      if (isScalar(value)) all(group?.by.get(value), event, take);
      else if (Array.isArray(value))
        for (const one of value) if (isScalar(one)) all(group?.by.get(one), event, take);
    }
    for (let at = 0; at < this.#least.length; at++) {
      const group = this.#least[at];
      const most = group === undefined ? Number.NaN : greatest(group.read(event));
      for (const { bound, store } of group?.sorted ?? []) {
        if (!(bound <= most)) break;
        take(store, event);
      }
    }
  }

  #beginningOf(path: readonly string[]): Beginning<T> {
    const name = path.join('.');
    const known = this.#prefixes.find((one) => one.path === name);
    if (known !== undefined) return known;
    const made: Beginning<T> = { path: name, read: eventReader(path), groups: [] };
    this.#prefixes.push(made);
    return made;
  }
}

export type Take<T> = (store: T, event: Event) => void;

function all<T>(stores: readonly T[] | undefined, event: Event, take: Take<T>): void {
  if (stores === undefined) return;
  for (let at = 0; at < stores.length; at++) {
    const store = stores[at];
    if (store !== undefined) take(store, event);
  }
}

/** By length: of each, one look. */
type Prefixes<T> = { readonly length: number; readonly by: Map<string, T[]> }[];

interface Beginning<T> {
  readonly path: string;
  readonly read: ReadEvent;
  readonly groups: Prefixes<T>;
}

function ofLength<T>(groups: Prefixes<T>, length: number): Map<string, T[]> {
  const known = groups.find((group) => group.length === length);
  if (known !== undefined) return known.by;
  const by = new Map<string, T[]>();
  groups.push({ length, by });
  return by;
}

function beginsLike<T>(groups: Prefixes<T> | undefined, text: string, event: Event, take: Take<T>): void {
  if (groups === undefined) return;
  for (let at = 0; at < groups.length; at++) {
    const group = groups[at];
    if (group === undefined || group.length > text.length) continue;
    all(group.by.get(text.slice(0, group.length)), event, take);
  }
}

interface Equals<T> {
  readonly path: string;
  readonly read: ReadEvent;
  readonly by: Map<Scalar, T[]>;
}

interface Least<T> {
  readonly path: string;
  readonly read: ReadEvent;
  /** By bound: the first that is too high is the last that is looked at. */
  readonly sorted: { readonly bound: number; readonly store: T }[];
}

function put<K, T>(map: Map<K, T[]>, key: K, store: T): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [store]);
  else known.push(store);
}

function greatest(value: unknown): number {
  if (typeof value === 'number') return value;
  let most = Number.NEGATIVE_INFINITY;
  if (Array.isArray(value)) for (const one of value) if (typeof one === 'number' && one > most) most = one;
  return most;
}

function isScalar(value: unknown): value is Scalar {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}
