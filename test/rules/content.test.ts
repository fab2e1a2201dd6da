/**
 * The rules that come with the package: each holds first for the incident that it is for, and not for the one that
 * only looks like it; every scene and sub-scene has one; what they tell can be filled in.
 */
import t from 'tap';
import { packageRules } from '../../src/rules/directory.js';
import { loadRules } from '../../src/rules/load.js';
import { matchRules } from '../../src/rules/match.js';
import { RuleMemory } from '../../src/rules/memory.js';
import type { Rule, RuleHit } from '../../src/rules/model.js';
import { SCENES, SUB_SCENES } from '../../src/scene/answer.js';
import { storyOf } from './recordings.js';
import { RULE_STORIES } from './stories/all.js';
import type { Told } from './stories/story.js';

const RULES = await loadRules(packageRules() ?? 'rules');

function hitsOf(told: Told): readonly RuleHit[] {
  const story = storyOf(told);
  const memory = new RuleMemory(RULES.selectors);
  for (const event of story.events) memory.observe(event);
  const answer = story.why(told.ask);
  if (answer === undefined) throw new Error(`no answer for ${told.ask}`);
  return matchRules(RULES, answer, { memory, graph: story.graph }).filter(({ finding }) => finding === 0);
}

function isFor({ scene, subScene }: Rule, wanted: string, sub: string): boolean {
  const scenes = typeof scene === 'string' ? [scene] : scene;
  const subs = typeof subScene === 'string' ? [subScene] : (subScene ?? []);
  return scenes.some((one) => one === wanted) && subs.includes(sub);
}

t.test('they are sound', async (t) => {
  t.same(RULES.state.refused, []);
  t.ok(RULES.rules.length >= 40, `${RULES.rules.length} rules`);
});

t.test('each has an incident that it is for and one that only looks like it', async (t) => {
  t.same(RULE_STORIES.map(({ rule }) => rule).sort(), RULES.rules.map(({ rule }) => rule.name).sort());
});

t.test('every scene and sub-scene has one', async (t) => {
  const rules = RULES.rules.map(({ rule }) => rule);
  for (const scene of SCENES) {
    t.ok(RULES.forScene(scene).length > 0, scene);
    for (const sub of SUB_SCENES[scene])
      t.ok(
        rules.some((rule) => isFor(rule, scene, sub)),
        `${scene}/${sub}`,
      );
  }
});

for (const { rule, hit, miss } of RULE_STORIES) {
  t.test(rule, async (t) => {
    const [first] = hitsOf(hit);
    t.equal(first?.rule, rule, 'it is told first');
    t.notMatch(first?.rootCause, /\(unknown\)/, 'its cause has no gaps');
    for (const step of first?.steps ?? []) {
      t.notMatch(step.text, /\(unknown\)/, 'nor have its steps');
      // Graphs of stories know no more than the incident needs; where a command names what is there it is filled in.
      if (step.run !== null) t.notMatch(step.run.join(' '), /[{}]/);
    }
    t.ok(
      hitsOf(miss).every((other) => other.rule !== rule),
      'it is not told of what only looks like it',
    );
  });
}

t.test('whatever has a scene has a rule', async (t) => {
  const answered = RULE_STORIES.flatMap(({ hit, miss }) => [hit, miss]).filter(({ scene }) =>
    /^[A-Z]/.test(scene),
  );
  for (const told of answered) t.ok(hitsOf(told).length > 0, told.scene);
});
