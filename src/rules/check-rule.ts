/**
 * What a schema cannot say of a rule: that names mean something, that bounds leave room, that texts can be filled in,
 * that its first command only reads, and that it does not hold for everything.
 */
import { attributeFault, isCatalogueType } from '../events/catalogue.js';
import { ATTRIBUTES } from '../graph/attributes.js';
import { PROBE_NAMES } from '../events/event.js';
import { NODE_TYPES } from './chain.js';
import { isBounds, isOwnName, listOf } from './field-test.js';
import { patternFault } from './glob.js';
import type { Condition, EventSelector, EventTest, FieldTests, NodeTest, OneOrMore, Rule } from './model.js';
import type { Flaw, Path } from './schema-check.js';
import { namesIn, parseTemplate } from './template.js';
import { durationMs, MAX_WINDOW_MS } from './units.js';

const MAX_CONDITIONS = 64;
const TYPES: ReadonlySet<string> = new Set(NODE_TYPES);
const PROBES: ReadonlySet<string> = new Set(PROBE_NAMES);

/** The fields that a placeholder may name after its scope. */
const FIELDS: Readonly<Record<'target' | 'cause' | 'node' | 'event', ReadonlySet<string>>> = {
  target: new Set(['id', 'name', 'type', 'pid', 'comm', 'state']),
  cause: new Set(['id', 'name', 'type', 'summary', 'ailment']),
  node: new Set(['id', 'name', 'type']),
  event: new Set(['id', 'name', 'entity', 'count', 'value']),
};
const ALONE: ReadonlySet<string> = new Set(['node', 'scene']);

/** @param path of the rule in its file */
export function checkRule(rule: Rule, path: Path): readonly Flaw[] {
  const check = new RuleCheck();
  if (rule.when !== undefined) check.condition(rule.when, [...path, 'when'], false);
  for (const [at, selector] of (rule.evidence ?? []).entries())
    check.selector(selector, [...path, 'evidence', at]);
  check.text(rule.rootCause, [...path, 'rootCause']);
  for (const [at, step] of rule.steps.entries()) {
    check.text(step.text, [...path, 'steps', at, 'text']);
    for (const [word, text] of (step.run ?? []).entries())
      check.text(text, [...path, 'steps', at, 'run', word]);
  }
  const first = rule.steps.findIndex(({ run }) => run !== undefined);
  const risk = rule.steps[first]?.risk ?? 'read-only';
  if (risk !== 'read-only')
    check.flaw([...path, 'steps', first, 'risk'], 'the first command must be read-only: look before you act');
  for (const [at, probe] of (rule.applies?.probes ?? []).entries())
    if (!PROBES.has(probe))
      check.flaw(
        [...path, 'applies', 'probes', at],
        `no probe ${probe}; there are ${PROBE_NAMES.join(', ')}`,
      );
  return check.flaws;
}

class RuleCheck {
  readonly flaws: Flaw[] = [];
  /** Names given by `as`, and what they name. */
  readonly #names = new Map<string, 'node' | 'event'>();
  #conditions = 0;

  flaw(path: Path, message: string): void {
    this.flaws.push({ path, message });
  }

  /** @param isDenied inside a `not`: what it names is not there when it holds */
  condition(condition: Condition, path: Path, isDenied: boolean): void {
    if (++this.#conditions === MAX_CONDITIONS + 1)
      this.flaw(path, `a rule has at most ${MAX_CONDITIONS} conditions`);
    if ('all' in condition)
      for (const [at, one] of condition.all.entries()) this.condition(one, [...path, 'all', at], isDenied);
    else if ('any' in condition)
      for (const [at, one] of condition.any.entries()) this.condition(one, [...path, 'any', at], isDenied);
    else if ('not' in condition) this.condition(condition.not, [...path, 'not'], true);
    else if ('node' in condition) this.#node(condition.node, [...path, 'node'], isDenied);
    else if ('event' in condition) this.#event(condition.event, [...path, 'event'], isDenied);
    else if ('edge' in condition) {
      const { from, to, note } = condition.edge;
      if (from !== undefined) this.#node(from, [...path, 'edge', 'from'], isDenied);
      if (to !== undefined) this.#node(to, [...path, 'edge', 'to'], isDenied);
      this.#patterns(note, [...path, 'edge', 'note']);
    } else if ('finding' in condition) {
      const { causeType, cause, ailment, comm } = condition.finding;
      this.#types(causeType, [...path, 'finding', 'causeType']);
      this.#patterns(cause, [...path, 'finding', 'cause']);
      this.#patterns(ailment, [...path, 'finding', 'ailment']);
      this.#patterns(comm, [...path, 'finding', 'comm']);
    }
  }

  selector({ type, entity, where, within }: EventSelector, path: Path): void {
    const known: Parameters<typeof attributeFault>[0][] = [];
    for (const name of listOf(type)) {
      if (name.startsWith('custom:')) continue;
      if (isCatalogueType(name)) known.push(name);
      else
        this.flaw(
          [...path, 'type'],
          `no event type ${name} in the catalogue; what a --probe program writes is custom:${name}`,
        );
    }
    this.#patterns(entity, [...path, 'entity']);
    this.#fields(where, [...path, 'where']);
    for (const field of Object.keys(where ?? {})) {
      this.#ownNames(field, [...path, 'where', field]);
      for (const name of known) this.#attribute(name, field, [...path, 'where', field]);
    }
    if (within !== undefined && durationMs(within) > MAX_WINDOW_MS)
      this.flaw([...path, 'within'], 'nothing is remembered for longer than 7d');
  }

  text(text: string, path: Path): void {
    const parsed = parseTemplate(text);
    if (!parsed.ok) this.flaw(path, parsed.message);
    else for (const name of namesIn(parsed.template)) this.#placeholder(name, path);
  }

  #event(test: EventTest, path: Path, isDenied: boolean): void {
    this.selector(test, path);
    const { value, recurs, as } = test;
    if (value !== undefined) {
      if ([value.min, value.max, value.above, value.below].every((bound) => bound === undefined))
        this.flaw([...path, 'value'], 'has no bound; give min, max, above or below');
      const { of } = value;
      if (of !== undefined) this.#ownNames(of, [...path, 'value', 'of']);
      if (of !== undefined)
        for (const name of listOf(test.type))
          if (isCatalogueType(name)) this.#attribute(name, of, [...path, 'value', 'of']);
    }
    if (recurs?.apart !== undefined && durationMs(recurs.apart) >= durationMs(test.within ?? '10m'))
      this.flaw([...path, 'recurs', 'apart'], 'is as long as the window: it could come only once');
    this.#name(as, 'event', [...path, 'as'], isDenied);
  }

  #node({ type, id, attrs, as }: NodeTest, path: Path, isDenied: boolean): void {
    this.#types(type, [...path, 'type']);
    this.#patterns(id, [...path, 'id']);
    this.#fields(attrs, [...path, 'attrs']);
    const types = type === undefined ? NODE_TYPES : listOf(type);
    const known = new Set(types.flatMap((one) => ATTRIBUTES[one] ?? []));
    for (const name of Object.keys(attrs ?? {}))
      if (!known.has(name) && known.size > 0)
        this.flaw([...path, 'attrs', name], `no attribute ${name}; there are ${[...known].join(', ')}`);
    this.#name(as, 'node', [...path, 'as'], isDenied);
  }

  #name(as: string | undefined, kind: 'node' | 'event', path: Path, isDenied: boolean): void {
    if (as === undefined) return;
    if (isDenied) this.flaw(path, 'what stands under not has no name: it is not there when the rule holds');
    else if (TYPES.has(as) || as === 'target' || as === 'cause' || ALONE.has(as))
      this.flaw(path, `${as} means something already; take another name`);
    else if (this.#names.has(as)) this.flaw(path, `${as} is named twice`);
    else this.#names.set(as, kind);
  }

  #attribute(type: Parameters<typeof attributeFault>[0], field: string, path: Path): void {
    if (field === 'value') return;
    const fault = attributeFault(type, field.split('.'));
    if (fault === undefined) return;
    const instead =
      fault.known.length === 0 ? 'it has no parts' : `there are value, ${fault.known.join(', ')}`;
    this.flaw(path, `${type} has no ${fault.name}; ${instead}`);
  }

  #ownNames(field: string, path: Path): void {
    for (const name of field.split('.'))
      if (!isOwnName(name)) this.flaw(path, `${name} is no name of an attribute`);
  }

  #types(types: OneOrMore<string> | undefined, path: Path): void {
    if (types === undefined) return;
    for (const type of listOf(types))
      if (!TYPES.has(type)) this.flaw(path, `no node type ${type}; there are ${NODE_TYPES.join(', ')}`);
  }

  #patterns(patterns: OneOrMore<string> | undefined, path: Path): void {
    if (patterns === undefined) return;
    for (const pattern of listOf(patterns)) {
      const fault = patternFault(pattern);
      if (fault !== undefined) this.flaw(path, `the pattern ${fault}`);
    }
  }

  #fields(tests: FieldTests | undefined, path: Path): void {
    for (const [name, test] of Object.entries(tests ?? {})) {
      const scalars = isBounds(test) ? listOf(test.not ?? []) : listOf(test);
      this.#patterns(
        scalars.filter((one): one is string => typeof one === 'string'),
        [...path, name],
      );
    }
  }

  #placeholder(name: string, path: Path): void {
    const [scope = '', field, attribute, ...more] = name.split('.');
    if (field === undefined) {
      if (!ALONE.has(scope)) this.flaw(path, `{${name}} names nothing; say what of it, e.g. {${scope}.id}`);
      return;
    }
    const named = this.#names.get(scope);
    const kind =
      scope === 'target' || scope === 'cause' ? scope : (named ?? (TYPES.has(scope) ? 'node' : undefined));
    if (kind === undefined) {
      this.flaw(
        path,
        `{${name}}: no ${scope}; there are target, cause, types of nodes, and what a condition names by as`,
      );
      return;
    }
    const isAttribute = field === 'attr' && kind !== 'event' && attribute !== undefined && more.length === 0;
    if (!isAttribute && (attribute !== undefined || !FIELDS[kind].has(field)))
      this.flaw(
        path,
        `{${name}}: ${scope} has ${[...FIELDS[kind]].join(', ')}${kind === 'event' ? '' : ', attr.NAME'}`,
      );
  }
}
