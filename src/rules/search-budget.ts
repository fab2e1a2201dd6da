/**
 * How many patterns an event may have to be searched with, at worst. A pattern with a star before its end cannot be looked
 * up: it is held against every event that its selector's handle leaves over. A thousand of them on the commonest type of
 * event would take whole CPUs, so there is a bound for each type, and what goes over it is not loaded.
 *
 * Counted the way an event is looked up (type-index.ts): of selectors found by different values of one attribute an event
 * meets those of one value; those that have no handle it meets all.
 */
import { listOf, isBounds } from './field-test.js';
import { isSearched } from './glob.js';
import type { Condition, EventSelector, FieldTest, OneOrMore, Rule, Scalar } from './model.js';
import type { Path } from './schema-check.js';
import { handleOf, selectorKey } from './selector.js';

/** Waits, flows and devices: up to 100,000 events a second, of which this is less than a fifth of a core (bench/rules.ts). */
export const MAX_SEARCHES = 20;
/** Errors and changes of the machine itself, which are few, and are often known by words in a message alone. */
export const MAX_RARE_SEARCHES = 512;
const RARE = /^(?:error|topo)\./;

export interface TooMany {
  readonly type: string;
  readonly most: number;
  /** Of the first pattern of the selector that is one too many. */
  readonly path: Path;
}

interface Placed {
  readonly rule: Rule;
  /** Of it in its file. */
  readonly path: Path;
}

export class SearchBudget {
  readonly #types = new Map<string, TypeBudget>();
  readonly #seen = new Set<string>();
  /** What takes back the file at hand, last first. */
  #undos: (() => void)[] = [];

  /** Undefined: there is room for all that a file's rules search for; else none of it counts. */
  add(rules: readonly Placed[]): TooMany | undefined {
    this.#undos = [];
    for (const { rule, path } of rules) {
      const excess = this.#addRule(rule, path);
      if (excess === undefined) continue;
      for (let undo = this.#undos.pop(); undo !== undefined; undo = this.#undos.pop()) undo();
      return excess;
    }
    return undefined;
  }

  /** The most patterns that an event of a type may have to be searched with. */
  worst(type: string): number {
    return this.#types.get(type)?.worst ?? 0;
  }

  #addRule(rule: Rule, path: Path): TooMany | undefined {
    for (const { given, at } of selectorsOf(rule, path)) {
      const searched = searchesOf(given);
      const [first] = searched;
      const key = selectorKey(given);
      // Conditions that mean the same events share one selector.
      if (first === undefined || this.#seen.has(key)) continue;
      this.#seen.add(key);
      this.#undos.push(() => this.#seen.delete(key));
      for (const type of new Set(listOf(given.type))) {
        const known = this.#types.get(type);
        const budget = known ?? new TypeBudget();
        if (known === undefined) this.#types.set(type, budget);
        budget.add(given, searched.length, this.#undos);
        const most = RARE.test(type) ? MAX_RARE_SEARCHES : MAX_SEARCHES;
        if (budget.worst > most) return { type, most, path: [...at, ...first] };
      }
    }
    return undefined;
  }
}

/** Of one type of event. */
class TypeBudget {
  /** Searches for an event that meets all that one event can meet. */
  worst = 0;
  /** By what an event has one of (an id, an attribute's value, its beginning of some length): what each of them costs. */
  readonly #groups = new Map<string, Group>();

  add(given: EventSelector, searches: number, undos: (() => void)[]): void {
    const { worst } = this;
    undos.push(() => {
      this.worst = worst;
    });
    const handle = handleOf(given);
    switch (handle.kind) {
      case 'entity':
        this.#put('', handle.ids, searches, undos);
        break;
      case 'equal':
        this.#put(`= ${handle.path.join('.')}`, handle.values, searches, undos);
        break;
      case 'prefix':
        for (const prefix of new Set(handle.prefixes))
          this.#put(`* ${prefix.length} ${handle.path?.join('.') ?? ''}`, [prefix], searches, undos);
        break;
      case 'least':
      case 'none':
        this.worst += searches;
        break;
    }
  }

  #put(name: string, values: readonly Scalar[], searches: number, undos: (() => void)[]): void {
    const known = this.#groups.get(name);
    const group = known ?? { most: 0, by: new Map<Scalar, number>() };
    if (known === undefined) this.#groups.set(name, group);
    for (const value of new Set(values)) {
      const { most } = group;
      const before = group.by.get(value) ?? 0;
      const sum = before + searches;
      undos.push(() => {
        group.most = most;
        group.by.set(value, before);
      });
      group.by.set(value, sum);
      this.worst += Math.max(0, sum - group.most);
      group.most = Math.max(group.most, sum);
    }
  }
}

interface Group {
  most: number;
  readonly by: Map<Scalar, number>;
}

/** Where its searched patterns stand. */
function searchesOf({ entity, where = {} }: EventSelector): readonly Path[] {
  return [
    ...pathsOf(entity ?? [], ['entity']),
    ...Object.entries(where).flatMap(([name, test]) => pathsOf(patternsOf(test), ['where', name])),
  ];
}

function patternsOf(test: FieldTest): OneOrMore<Scalar> {
  return isBounds(test) ? (test.not ?? []) : test;
}

function pathsOf(values: OneOrMore<Scalar>, path: Path): readonly Path[] {
  return listOf(values).flatMap((value) => (typeof value === 'string' && isSearched(value) ? [path] : []));
}

interface PlacedSelector {
  readonly given: EventSelector;
  readonly at: Path;
}

function selectorsOf({ when, evidence = [] }: Rule, path: Path): readonly PlacedSelector[] {
  const related = evidence.map((given, at) => ({ given, at: [...path, 'evidence', at] }));
  return [...(when === undefined ? [] : selectorsIn(when, [...path, 'when'])), ...related];
}

function selectorsIn(condition: Condition, path: Path): readonly PlacedSelector[] {
  if ('all' in condition) return condition.all.flatMap((one, at) => selectorsIn(one, [...path, 'all', at]));
  if ('any' in condition) return condition.any.flatMap((one, at) => selectorsIn(one, [...path, 'any', at]));
  if ('not' in condition) return selectorsIn(condition.not, [...path, 'not']);
  return 'event' in condition ? [{ given: condition.event, at: [...path, 'event'] }] : [];
}
