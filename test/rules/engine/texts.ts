/** Rule files for tests: the smallest that is sound, and what to put in its place. */
import { dump } from 'js-yaml';
import type { Story } from '../../scene/build.js';
import { rulesOfTexts } from '../../../src/rules/load.js';
import { matchRules } from '../../../src/rules/match.js';
import { RuleMemory } from '../../../src/rules/memory.js';
import type { Condition, Rule, RuleHit, Surroundings } from '../../../src/rules/model.js';
import type { RuleSet } from '../../../src/rules/rule-set.js';

export const RULE: Rule = {
  name: 'path-down',
  title: 'A path is down',
  scene: 'NetworkStall',
  subScene: 'PathDown',
  priority: 50,
  rootCause: '{cause.id} is stuck',
  steps: [{ text: 'Look.', run: ['ss', '-tin'] }],
};

/** A file with these rules, as YAML; anything may stand in them. */
export function yamlOf(...rules: readonly object[]): string {
  return dump({ apiVersion: 'xctl/v1', rules }, { noRefs: true });
}

/** @throws Error with what is wrong with them */
export function ruleSet(...rules: readonly Partial<Rule>[]): RuleSet {
  const set = rulesOfTexts([
    { file: 'a.yaml', text: yamlOf(...rules.map((rule) => ({ ...RULE, ...rule }))) },
  ]);
  const [bad] = set.state.refused;
  if (bad !== undefined) throw new Error(bad.errors.join('\n'));
  return set;
}

/** What is wrong with these rules, each a file of its own: `0.yaml`, `1.yaml`, … */
export function errorsOf(...texts: readonly string[]): readonly string[] {
  const { state } = rulesOfTexts(texts.map((text, at) => ({ file: `${at}.yaml`, text })));
  return state.refused.flatMap(({ errors }) => errors);
}

/** The hits of these rules for what a story says of a process. */
export function hitsOf(
  story: Story,
  pid: number,
  rules: RuleSet,
  surroundings: Surroundings = {},
): readonly RuleHit[] {
  const memory = new RuleMemory(rules.selectors);
  for (const event of story.events) memory.observe(event);
  const answer = story.why(pid);
  if (answer === undefined) throw new Error(`no process ${pid}`);
  return matchRules(rules, answer, { memory, graph: story.graph, surroundings });
}

/** Whether a rule with this condition, for any scene, holds for what a story says. */
export function holds(story: Story, pid: number, when: Condition, more: Partial<Rule> = {}): boolean {
  const { subScene: _none, ...rule } = RULE;
  const answer = story.why(pid);
  const set = rulesOfTexts([
    { file: 'a.yaml', text: yamlOf({ ...rule, scene: answer?.scene ?? rule.scene, when, ...more }) },
  ]);
  const [bad] = set.state.refused;
  if (bad !== undefined) throw new Error(bad.errors.join('\n'));
  return hitsOf(story, pid, set).length > 0;
}
