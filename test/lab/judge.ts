/** Is an answer right? By the truth of whoever made the fault; a pure function of the two. */
import type { Scene, WhyAnswer } from '../../src/scene/answer.js';
import { chainFlaws } from '../e2e/lib/ask.js';
import { type Judgement, type Said, saidOf } from './result.js';
import type { Cause, NodeMatcher, Truth } from './scenario.js';

export function matches(matcher: NodeMatcher, node: string): boolean {
  if (typeof matcher === 'string') return matcher === node;
  if (matcher instanceof RegExp) return matcher.test(node);
  return matcher.some((one) => matches(one, node));
}

export function scenesOf({ scene }: Cause): readonly Scene[] {
  return typeof scene === 'string' ? [scene] : scene;
}

export function subScenesOf({ subScene }: Cause): readonly (string | null)[] {
  return typeof subScene === 'string' || subScene === null ? [subScene] : subScene;
}

export function judge(truth: Truth, answer: WhyAnswer): Judgement {
  const flaws = [...chainFlaws(answer)];
  const said = saidOf(answer);
  const others = (answer.alternatives ?? []).map(saidOf);
  if (truth.causes.length === 0) return judgeWell(truth, said, flaws);
  const first = truth.causes.find((cause) => namesSame(cause, said));
  const expected = truth.order === 'any' ? truth.causes : truth.causes.slice(0, 1);
  const best = expected.find((cause) => namesSame(cause, said)) ?? expected[0];
  flaws.push(...(best === undefined ? ['no such cause'] : flawsOf(best, said)));
  for (const cause of truth.causes) {
    if (cause === best) continue;
    if (!others.some((other) => namesSame(cause, other))) flaws.push(`nothing said of ${wordsOf(cause)}`);
  }
  return {
    right: flaws.length === 0,
    topRight: expected.some((cause) => namesSame(cause, said)),
    sceneRight: expected.some((cause) => sameScene(cause, said)),
    wrongCause: said.verdict === 'cause-found' && first === undefined,
    flaws,
  };
}

function judgeWell({ verdicts = ['healthy'] }: Truth, said: Said, flaws: string[]): Judgement {
  if (!verdicts.includes(said.verdict)) flaws.push(`${said.verdict} instead of ${verdicts.join(' or ')}`);
  const named = said.verdict === 'cause-found';
  return {
    right: flaws.length === 0,
    topRight: !named,
    sceneRight: verdicts.includes(said.verdict),
    wrongCause: named,
    flaws,
  };
}

/** The same cause, whatever it is called: its scene and its node; or, where nobody can know it, that nobody is named. */
function namesSame(cause: Cause, said: Said): boolean {
  if (said.scene === null || !scenesOf(cause).includes(said.scene)) return false;
  if (cause.root === undefined) return said.verdict === 'symptom-only' && said.root === null;
  return said.verdict === 'cause-found' && said.root !== null && matches(cause.root, said.root);
}

function sameScene(cause: Cause, said: Said): boolean {
  return (
    said.scene !== null && scenesOf(cause).includes(said.scene) && subScenesOf(cause).includes(said.subScene)
  );
}

function flawsOf(cause: Cause, said: Said): string[] {
  const flaws: string[] = [];
  if (!namesSame(cause, said)) flaws.push(`${shortOf(said)} instead of ${wordsOf(cause)}`);
  else if (!sameScene(cause, said))
    flaws.push(`sub-scene ${said.subScene} instead of ${subScenesOf(cause).join(' or ')}`);
  let at = 0;
  for (const step of cause.via ?? []) {
    const found = said.nodes.findIndex((node, index) => index >= at && matches(step, node));
    if (found < 0) flaws.push(`the chain does not pass ${patternText(step)}: ${said.nodes.join(' → ')}`);
    else at = found + 1;
  }
  return flaws;
}

function wordsOf(cause: Cause): string {
  const root = cause.root === undefined ? 'nobody to name' : patternText(cause.root);
  return `${scenesOf(cause).join('|')}/${subScenesOf(cause).join('|')} at ${root}`;
}

export function shortOf({ verdict, scene, subScene, root, confidence }: Said): string {
  return `${verdict} ${scene ?? '-'}/${subScene ?? '-'} at ${root ?? '-'} (${confidence})`;
}

function patternText(matcher: NodeMatcher): string {
  if (typeof matcher === 'string') return matcher;
  return matcher instanceof RegExp ? String(matcher) : matcher.map(patternText).join(' or ');
}
