/**
 * Which rules hold for an answer. Only those of its scene are asked, and each reads what is remembered of the few nodes
 * on the chain: it costs the same after a million events as after ten.
 */
import type { Fact } from '../graph/model.js';
import type { StateGraph } from '../graph/state-graph.js';
import type { Evidence, WhyAnswer } from '../scene/answer.js';
import { evidenceOf } from '../scene/evidence.js';
import { nameOfId, type Subject, subjectsOf } from './chain.js';
import { scopeOf } from './evaluate.js';
import type { Binding, Held, HeldPart, Look } from './held.js';
import type { RuleMemory } from './memory.js';
import type { HeldCondition, HitStep, RuleHit, Surroundings } from './model.js';
import type { CompiledRule, RuleSet } from './rule-set.js';
import { fillText, fillWord, type Lookup } from './template.js';
import { kernelFits } from './units.js';

export interface MatchInput {
  readonly memory: RuleMemory;
  /** Absent: conditions on attributes do not hold. */
  readonly graph?: StateGraph;
  readonly surroundings?: Surroundings;
}

/** Rules that hold: those of the answer's own finding first, then of its alternatives; by priority. */
export function matchRules(rules: RuleSet, answer: WhyAnswer, input: MatchInput): readonly RuleHit[] {
  const citations = new Citations();
  return subjectsOf(answer, input.graph).flatMap((subject) => hitsOf(rules, subject, input, citations));
}

function hitsOf(
  rules: RuleSet,
  subject: Subject,
  input: MatchInput,
  citations: Citations,
): readonly RuleHit[] {
  const { scene } = subject.finding;
  if (scene === null) return [];
  const known = new Map<string, Held | undefined>();
  const look: Look = {
    memory: input.memory,
    now: Math.max(input.memory.now, input.graph?.now ?? 0),
    rule: (name) => {
      const its = rules.byName.get(name);
      // No circles: the loader refuses them.
      if (!known.has(name)) known.set(name, its === undefined ? undefined : holds(its, subject, look));
      return known.get(name);
    },
  };
  const hits: RuleHit[] = [];
  for (const one of rules.forScene(scene)) {
    const applies = applicability(one, input.surroundings ?? {});
    if (!applies.possible) continue;
    const held = look.rule(one.rule.name);
    if (held !== undefined) hits.push(hitOf(one, subject, held, look, applies.unchecked, citations));
  }
  return hits;
}

const NOTHING: Held = { parts: [], bindings: [] };

function holds({ rule, subScenes, when }: CompiledRule, subject: Subject, look: Look): Held | undefined {
  const { scene, subScene } = subject.finding;
  if (scene === null || !(typeof rule.scene === 'string' ? rule.scene === scene : rule.scene.includes(scene)))
    return undefined;
  if (subScenes !== undefined && !subScenes.has(subScene ?? '')) return undefined;
  return when === undefined ? NOTHING : when(subject, look);
}

/** What is not known is no reason against a rule, and is said. */
function applicability(
  { rule: { applies } }: CompiledRule,
  { kernel, gpu, rdma, probes }: Surroundings,
): { readonly possible: boolean; readonly unchecked: readonly string[] } {
  const unchecked: string[] = [];
  const ask = <T>(
    wanted: T | undefined,
    is: ((wanted: T) => boolean) | undefined,
    words: string,
  ): boolean => {
    if (wanted === undefined) return true;
    if (is !== undefined) return is(wanted);
    unchecked.push(words);
    return true;
  };
  const possible = [
    ask(
      applies?.kernel,
      kernel === undefined ? undefined : (range) => kernelFits(range, kernel),
      `kernel ${applies?.kernel}`,
    ),
    ask(
      applies?.gpu,
      gpu === undefined ? undefined : (wanted) => wanted === gpu,
      applies?.gpu === false ? 'no GPU' : 'a GPU',
    ),
    ask(
      applies?.rdma,
      rdma === undefined ? undefined : (wanted) => wanted === rdma,
      applies?.rdma === false ? 'no RDMA' : 'RDMA',
    ),
    ask(
      applies?.probes,
      probes === undefined ? undefined : (wanted) => wanted.every((name) => probes.has(name)),
      `probes ${applies?.probes?.join(', ')}`,
    ),
  ];
  return { possible: possible.every((one) => one), unchecked };
}

function hitOf(
  { rule, source, rootCause, steps, related }: CompiledRule,
  subject: Subject,
  held: Held,
  look: Look,
  unchecked: readonly string[],
  citations: Citations,
): RuleHit {
  const evidence = new Map<string, Evidence>();
  const cite = (fact: Fact): string => {
    const { id, extra } = citations.cite(fact, subject);
    if (extra !== undefined) evidence.set(id, extra);
    return id;
  };
  const conditionOf = ({ text, value, ids, facts }: HeldPart): HeldCondition => ({
    text,
    value,
    evidence: [...new Set([...ids, ...facts.map(cite)])],
  });
  const conditions = held.parts.map(conditionOf);
  const more = related.flatMap((find) => find(subject, look).parts.flatMap(({ facts }) => facts.map(cite)));
  const lookup = lookupOf(subject, new Map(held.bindings));
  const { scene, subScene, confidence } = subject.finding;
  if (scene === null) throw new Error('a finding without a scene has no rules');
  return {
    rule: rule.name,
    title: rule.title,
    source,
    priority: rule.priority,
    finding: subject.index,
    scene,
    subScene,
    confidence,
    rootCause: fillText(rootCause, lookup),
    steps: steps.map(({ text, run, risk }): HitStep => {
      const words = run?.map((word) => fillWord(word, lookup)) ?? [];
      const filled = words.filter((word): word is string => word !== undefined);
      return {
        text: fillText(text, lookup),
        run: run === null || filled.length < words.length ? null : filled,
        risk,
      };
    }),
    conditions,
    evidence: [...evidence.values()],
    related: [...new Set(more)],
    references: rule.references ?? [],
    unchecked,
  };
}

/** Ids for facts that the answer does not have: `r1`, `r2`, …, the same fact the same id in all hits. */
class Citations {
  readonly #extra = new Map<string, Evidence>();

  cite(fact: Fact, { evidence }: Subject): { readonly id: string; readonly extra?: Evidence } {
    const told = evidenceOf(fact, '');
    const own = evidence.find(
      ({ type, entity, ts }) => type === told.type && entity === told.entity && ts === told.ts,
    );
    if (own !== undefined) return { id: own.id };
    const key = `${told.type}\0${told.entity}\0${told.ts}`;
    const known = this.#extra.get(key) ?? { ...told, id: `r${this.#extra.size + 1}` };
    this.#extra.set(key, known);
    return { id: known.id, extra: known };
  }
}

function lookupOf(subject: Subject, bindings: ReadonlyMap<string, Binding>): Lookup {
  const { answer, finding, target, cause, ailment } = subject;
  return (name) => {
    const [scope = '', field = '', attribute] = name.split('.');
    if (name === 'node') return answer.node;
    if (name === 'scene')
      return finding.subScene === null ? (finding.scene ?? '') : `${finding.scene}/${finding.subScene}`;
    const bound = bindings.get(scope);
    if (bound?.kind === 'event') return ofEvent(bound, field);
    if (scope === 'target') {
      if (field === 'pid') return answer.target.pid;
      if (field === 'comm') return answer.target.comm;
      if (field === 'state') return answer.target.state;
    }
    if (scope === 'cause') {
      if (field === 'summary') return finding.rootCause?.summary;
      if (field === 'ailment') return ailment;
      if (field === 'type') return finding.rootCause?.type ?? cause?.type;
    }
    const node = bound?.node ?? (scope === 'target' ? target : scopeOf(subject, scope));
    if (node === undefined) return undefined;
    if (field === 'id') return node.id;
    if (field === 'name') return nameOfId(node.id);
    if (field === 'type') return node.type;
    const value = attribute === undefined ? null : (node.attrs[attribute] ?? null);
    return value === null ? undefined : String(value);
  };
}

function ofEvent(
  { entity, count, value }: Extract<Binding, { kind: 'event' }>,
  field: string,
): string | number {
  switch (field) {
    case 'count':
      return count;
    case 'value':
      return Math.round(value * 1_000) / 1_000;
    case 'name':
      return nameOfId(entity);
    default:
      return entity;
  }
}
