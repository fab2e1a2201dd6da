/** Rules made ready: conditions compiled, texts parsed, selectors shared, sorted by the scene that they are asked for. */
import type { Scene } from '../scene/answer.js';
import { listOf } from './field-test.js';
import { compileCondition } from './evaluate.js';
import { compileRelated } from './evaluate-event.js';
import type { Evaluate, Held, Look } from './held.js';
import type { Subject } from './chain.js';
import type { EventSelector, Risk, Rule, RuleSetState } from './model.js';
import type { PlacedRule } from './parse.js';
import { Selector, selectorKey } from './selector.js';
import { parseTemplate, type Template } from './template.js';

export interface CompiledStep {
  readonly text: Template;
  readonly run: readonly Template[] | null;
  readonly risk: Risk;
}

export interface CompiledRule {
  readonly rule: Rule;
  /** `gpu.yaml:12` */
  readonly source: string;
  readonly subScenes: ReadonlySet<string> | undefined;
  readonly when: Evaluate | undefined;
  readonly rootCause: Template;
  readonly steps: readonly CompiledStep[];
  readonly related: readonly ((subject: Subject, look: Look) => Held)[];
}

export class RuleSet {
  readonly state: RuleSetState;
  readonly rules: readonly CompiledRule[];
  readonly byName: ReadonlyMap<string, CompiledRule>;
  readonly #byScene = new Map<Scene, CompiledRule[]>();
  readonly #selectors = new Map<string, Selector>();

  constructor(placed: readonly PlacedRule[], state: Omit<RuleSetState, 'rules'>) {
    this.rules = placed.map((one) => this.#compile(one)).sort(byRank);
    this.state = { ...state, rules: this.rules.length };
    this.byName = new Map(this.rules.map((one) => [one.rule.name, one]));
    for (const one of this.rules) {
      for (const scene of new Set(listOf(one.rule.scene))) {
        const known = this.#byScene.get(scene);
        if (known === undefined) this.#byScene.set(scene, [one]);
        else known.push(one);
      }
    }
  }

  get selectors(): Iterable<Selector> {
    return this.#selectors.values();
  }

  /** Highest priority first. */
  forScene(scene: Scene): readonly CompiledRule[] {
    return this.#byScene.get(scene) ?? [];
  }

  #compile({ rule, place }: PlacedRule): CompiledRule {
    const { subScene, when, rootCause, steps, evidence = [] } = rule;
    return {
      rule,
      source: `${place.file}:${place.line}`,
      subScenes: subScene === undefined ? undefined : new Set(listOf(subScene)),
      when: when === undefined ? undefined : compileCondition(when, (test) => this.#selector(test)),
      rootCause: templateOf(rootCause),
      steps: steps.map(({ text, run, risk }) => ({
        text: templateOf(text),
        run: run === undefined ? null : run.map(templateOf),
        risk: risk ?? 'read-only',
      })),
      related: evidence.map((given) => compileRelated(given, this.#selector(given))),
    };
  }

  #selector(given: EventSelector): Selector {
    const key = selectorKey(given);
    const known = this.#selectors.get(key);
    if (known !== undefined) return known;
    const selector = new Selector(given);
    this.#selectors.set(key, selector);
    return selector;
  }
}

/** Highest priority first; then the one that asks for more; then by name, so that it is always the same one. */
function byRank(a: CompiledRule, b: CompiledRule): number {
  if (a.rule.priority !== b.rule.priority) return b.rule.priority - a.rule.priority;
  const asks = ({ rule }: CompiledRule): number =>
    (rule.subScene === undefined ? 0 : 1) + (rule.when === undefined ? 0 : 2);
  return asks(b) - asks(a) || (a.rule.name < b.rule.name ? -1 : 1);
}

/** Checked when the rule was (check-rule.ts). */
function templateOf(text: string): Template {
  const parsed = parseTemplate(text);
  return parsed.ok ? parsed.template : [text];
}
