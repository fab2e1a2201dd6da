/**
 * Which events a condition is about. Conditions that mean the same events share one selector, however many rules they
 * stand in, so that an event is tested and remembered once.
 */
import { attributeFault, isCatalogueType } from '../events/catalogue.js';
import type { Event } from '../events/event.js';
import { compileGlob, type Glob } from './glob.js';
import { compileFields, compileText, isBounds, listOf, type Test } from './field-test.js';
import { eventReader, type ReadEvent } from './event-read.js';
import type { EventSelector, EventTest, FieldTest, Scalar } from './model.js';
import type { BurstNeed, GaugeNeed, Needs, Traits } from './series.js';
import { durationMs } from './units.js';

export const DEFAULT_WINDOW = '10m';
export const DEFAULT_APART = '1m';
const CUSTOM = 'custom:';
/** So that a hit can say "7 times", not just "at least 3". */
export const TOLD_TIMES = 64;

/** Something about events that can be looked up by its value. */
export type Handle =
  | { readonly kind: 'entity'; readonly ids: readonly string[] }
  | { readonly kind: 'equal'; readonly path: readonly string[]; readonly values: readonly Scalar[] }
  /** Of the attribute at `path`; undefined: of what the event is about. */
  | {
      readonly kind: 'prefix';
      readonly path: readonly string[] | undefined;
      readonly prefixes: readonly string[];
    }
  | { readonly kind: 'least'; readonly path: readonly string[]; readonly bound: number }
  | { readonly kind: 'none' };

export class Selector {
  /** Same text, same events. */
  readonly key: string;
  readonly types: readonly string[];
  readonly customTypes: readonly string[];
  /** By what an index finds it. */
  readonly handle: Handle;
  readonly traits: Traits;
  /** What its handle finds is what it takes: there is nothing more to test. */
  readonly isDecided: boolean;
  /** Some condition is about anything on the machine; about single nodes. */
  isWide = false;
  isByEntity = false;
  readonly #entity: Test<string> | undefined;
  readonly #fields: readonly { readonly read: ReadEvent; readonly test: Test }[];
  #times = 1;
  readonly #gauges = new Map<string, GaugeNeed>();
  readonly #bursts = new Map<number, BurstNeed>();

  constructor(given: EventSelector) {
    const { type, entity, where } = given;
    const types = listOf(type);
    this.key = selectorKey(given);
    this.types = types.filter((name) => !name.startsWith(CUSTOM));
    this.customTypes = types
      .filter((name) => name.startsWith(CUSTOM))
      .map((name) => name.slice(CUSTOM.length));
    this.#entity = entity === undefined ? undefined : compileText(entity);
    this.#fields = (where === undefined ? [] : compileFields(where)).map(({ path, test }) => ({
      read: eventReader(path),
      test,
    }));
    this.traits = traitsOf(this);
    this.handle = handleOf(given);
    this.isDecided = isDecided(given, this.handle);
  }

  get needs(): Needs {
    return { times: this.#times, gauges: [...this.#gauges.values()], bursts: [...this.#bursts.values()] };
  }

  takes(event: Event): boolean {
    if (this.#entity !== undefined && !this.#entity(event.entity)) return false;
    for (const { read, test } of this.#fields) if (!test(read(event))) return false;
    return true;
  }

  /** What one more condition wants to know of these events. */
  want(test: EventTest): void {
    if (test.about === 'node') this.isWide = true;
    else this.isByEntity = true;
    const windowMs = durationMs(test.within ?? DEFAULT_WINDOW);
    const { count, value, ratePerSecond, recurs } = test;
    const bounds = [count?.min, count?.max, count?.above, count?.below].map((bound) => (bound ?? 0) + 1);
    const isTold = count !== undefined || test.as !== undefined;
    this.#times = Math.max(this.#times, ...bounds, isTold ? TOLD_TIMES : 1);
    if (value !== undefined) this.#gauge({ of: value.of?.split('.'), windowMs });
    if (ratePerSecond !== undefined) this.#gauge({ of: undefined, windowMs });
    if (recurs !== undefined) {
      const apartMs = durationMs(recurs.apart ?? DEFAULT_APART);
      const times = Math.max(recurs.times, TOLD_TIMES, this.#bursts.get(apartMs)?.times ?? 0);
      this.#bursts.set(apartMs, { apartMs, times });
    }
  }

  #gauge(need: GaugeNeed): void {
    this.#gauges.set(gaugeKey(need), need);
  }
}

function isDecided({ entity, where = {} }: EventSelector, { kind }: Handle): boolean {
  const [only, ...more] = Object.values(where);
  if (kind === 'entity') return only === undefined;
  if (only === undefined || more.length > 0 || entity !== undefined) return false;
  return kind === 'equal' || (kind === 'least' && isBounds(only) && Object.keys(only).join() === 'min');
}

function traitsOf({ types, customTypes }: Pick<Selector, 'types' | 'customTypes'>): Traits {
  const has = (name: string): boolean =>
    customTypes.length > 0 ||
    types.some((type) => isCatalogueType(type) && attributeFault(type, [name]) === undefined);
  return { suppressed: has('suppressed'), message: has('message') };
}

export function gaugeKey({ of, windowMs }: GaugeNeed): string {
  return `${of?.join('.') ?? ''} ${windowMs}`;
}

/** The parts that decide which events are meant; not how many, how long ago, or about whom. */
export function selectorKey({ type, entity, where }: EventSelector): string {
  const fields = Object.entries(where ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([[...listOf(type)].sort(), entity === undefined ? [] : listOf(entity), fields]);
}

/** The sharpest that there is: an entity, a value, the beginning of an entity or of a value, a bound. */
export function handleOf({ entity, where = {} }: EventSelector): Handle {
  const globs = entity === undefined ? [] : listOf(entity).map(compileGlob);
  const ids = globs.flatMap(({ literal }) => literal ?? []);
  if (globs.length > 0 && ids.length === globs.length) return { kind: 'entity', ids };
  for (const [path, test] of Object.entries(where)) {
    const values = equalTo(test);
    if (values !== undefined) return { kind: 'equal', path: path.split('.'), values };
  }
  const prefixes = prefixesOf(globs);
  if (prefixes !== undefined) return { kind: 'prefix', path: undefined, prefixes };
  for (const [path, test] of Object.entries(where)) {
    const beginnings = isBounds(test) ? undefined : beginningsOf(listOf(test));
    if (beginnings !== undefined) return { kind: 'prefix', path: path.split('.'), prefixes: beginnings };
  }
  for (const [path, test] of Object.entries(where)) {
    const bound = leastOf(test);
    if (bound !== undefined) return { kind: 'least', path: path.split('.'), bound };
  }
  return { kind: 'none' };
}

function equalTo(test: FieldTest): readonly Scalar[] | undefined {
  if (isBounds(test)) return undefined;
  const values = listOf(test);
  const literals = values.flatMap((value) =>
    typeof value === 'string' ? (compileGlob(value).literal ?? []) : value,
  );
  return literals.length === values.length ? literals : undefined;
}

function beginningsOf(values: readonly Scalar[]): readonly string[] | undefined {
  const patterns = values.filter((value): value is string => typeof value === 'string');
  return patterns.length < values.length ? undefined : prefixesOf(patterns.map(compileGlob));
}

/** Undefined: one of them may begin with anything. */
function prefixesOf(globs: readonly Glob[]): readonly string[] | undefined {
  const prefixes = globs.map(({ prefix }) => prefix);
  return prefixes.length > 0 && prefixes.every((prefix) => prefix !== '') ? prefixes : undefined;
}

function leastOf(test: FieldTest): number | undefined {
  return isBounds(test) ? (test.min ?? test.above) : undefined;
}
