/** What every answer must be, whatever it says. */
import type { Finding, WhyAnswer } from '../../src/scene/answer.js';
import { SCENES, SUB_SCENES } from '../../src/scene/answer.js';

/** Each a sentence; none for a well-formed answer. */
export function flaws(answer: WhyAnswer): readonly string[] {
  const { alternatives = [] } = answer;
  const self = `pid:${answer.target.pid}`;
  const found = [...flawsOf(answer, self)];
  const check = (good: boolean, flaw: string): void => void (good || found.push(flaw));
  check(answer.apiVersion === 'xctl/v1', 'apiVersion');
  check(isTime(answer.ts), `ts ${answer.ts}`);
  check(isTime(answer.target.startTime), `startTime ${answer.target.startTime}`);
  check(alternatives.length === 0 || answer.verdict === 'cause-found', 'alternatives to no cause');
  check(!('alternatives' in answer) || alternatives.length > 0, 'alternatives is empty');
  for (const other of alternatives) {
    found.push(...flawsOf(other, self).map((flaw) => `alternative: ${flaw}`));
    check(other.verdict === 'cause-found', 'an alternative is no cause');
    check(other.rootCause?.node !== answer.rootCause?.node, 'an alternative has the same root');
  }
  const order = alternatives.map(({ confidence }) => confidence);
  check(
    order.every((confidence, i) => i === 0 || confidence <= (order[i - 1] ?? 0)),
    'alternatives not best first',
  );
  return found;
}

function flawsOf(finding: Finding, self: string): string[] {
  const found: string[] = [];
  const check = (good: boolean, flaw: string): void => void (good || found.push(flaw));
  const { verdict, scene, subScene, confidence, rootCause, chain, evidence, summary } = finding;

  check(confidence >= 0 && confidence <= 1, `confidence ${confidence}`);
  check((verdict === 'cause-found') === (rootCause !== null), `${verdict} and rootCause`);
  const named = verdict === 'cause-found' || verdict === 'symptom-only';
  check(named === (scene !== null), `${verdict} and scene ${scene}`);
  check(scene === null || SCENES.includes(scene), `scene ${scene}`);
  check(scene !== null || subScene === null, 'a sub-scene of nothing');
  if (scene !== null && subScene !== null)
    check(SUB_SCENES[scene].includes(subScene), `sub-scene ${scene}/${subScene}`);
  for (const text of [summary, ...finding.recommendations, ...chain.map(({ note }) => note ?? '-')]) {
    check(text.length > 0 && !/undefined|NaN|\[object/.test(text), `text ${JSON.stringify(text)}`);
  }

  const ids = evidence.map(({ id }) => id);
  check(new Set(ids).size === ids.length, 'two facts with one id');
  for (const { evidence: used } of chain) {
    for (const id of used) check(ids.includes(id), `no evidence ${id}`);
  }
  for (const fact of evidence) {
    check(isTime(fact.ts), `evidence ts ${fact.ts}`);
    check(Number.isFinite(fact.value), `evidence value ${fact.value}`);
  }

  const [first] = chain;
  check(first === undefined || first.from === self, `chain starts at ${first?.from}`);
  for (const [i, link] of chain.entries()) {
    const next = chain[i + 1];
    check(next === undefined || next.from === link.to, `chain breaks after ${link.to}: ${next?.from}`);
    check(link.sinceMs >= 0, `sinceMs ${link.sinceMs}`);
  }
  if (rootCause !== null) {
    const last = chain.at(-1);
    // A closed window is told with its reader behind it; a deadlock's cause is anywhere on the cycle.
    const touched =
      subScene === 'Deadlock'
        ? chain.some(({ from, to }) => from === rootCause.node || to === rootCause.node)
        : last === undefined
          ? rootCause.node === self
          : last.to === rootCause.node ||
            // What ails it comes last.
            (last.from === rootCause.node && last.to.startsWith('error:')) ||
            (subScene === 'ZeroWindow' && last.from === rootCause.node);
    check(touched, `the chain ends at ${last?.to}, not at ${rootCause.node}`);
  }
  return found;
}

function isTime(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text);
}
