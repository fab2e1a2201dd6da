/**
 * `xctl why PID` for a tired person: the cause first, then the way there with since when and for how long, then the
 * proof, then what to do. What comes later may be cut off by a small screen, and the first lines still say what is wrong.
 */
import type { ChainLink, Evidence, Finding, WhyAnswer } from '../../scene/answer.js';
import { duration } from '../../scene/words.js';
import type { Style } from '../terminal.js';
import { chainTree } from './chain.js';
import { age, clock, dateTime, quantity, sinceTime } from './format.js';
import { paint } from './paint.js';
import { numbered, type Row, rows, section } from './section.js';
import { verdictLines } from './verdict.js';
import { hang, padEnd, wrap } from './width.js';

export function renderWhy(answer: WhyAnswer, style: Style): string {
  const others = answer.alternatives ?? [];
  const lines = [
    ...causeBlock(answer, answer, style),
    ...detailSections(answer, answer, style),
    ...section(
      'How the scene is known',
      (answer.identifiedBy ?? []).flatMap((line) => hang('  - ', '    ', line, style.width)),
      style,
    ),
    ...others.flatMap((other, at) => [
      '',
      paint(style, 'bold', `ANOTHER CAUSE (${at + 2} of ${others.length + 1})`),
      ...causeBlock(other, answer, style),
      ...detailSections(other, answer, style),
    ]),
  ];
  return `${lines.join('\n')}\n`;
}

/** `python3 (pid 4242)`. */
export function nameOf({ target }: Pick<WhyAnswer, 'target'>): string {
  return target.comm === '' ? `pid ${target.pid}` : `${target.comm} (pid ${target.pid})`;
}

/** What is wrong, where, since when, and with whom. @param finding the answer itself, or one of its alternatives */
export function causeBlock(finding: Finding, answer: WhyAnswer, style: Style): readonly string[] {
  const facts: Row[] = [...causeRows(finding, answer)];
  if (finding === answer)
    facts.push(['process', targetText(answer)], ['seen', `on ${answer.node} at ${dateTime(answer.ts)}`]);
  return [
    ...verdictLines(finding, style),
    ...summaryLines(finding, style),
    ...(facts.length > 0 ? ['', ...rows(facts, style)] : []),
  ];
}

/** The answer in one sentence, below its verdict. */
export function summaryLines({ summary }: Finding, style: Style): readonly string[] {
  return wrap(summary, style.width - 2).map((line) => `  ${paint(style, 'bold', line)}`);
}

/** The cause's node, its own words where the summary does not say them already, and since when. */
export function causeRows(
  { rootCause, summary, chain }: Finding,
  { ts }: Pick<WhyAnswer, 'ts'>,
): readonly Row[] {
  if (rootCause === null) return [];
  const says = summary.includes(rootCause.summary) ? '' : `: ${rootCause.summary}`;
  const last = lastLink(chain, rootCause.node);
  const since =
    last === undefined ? '' : `, since ${sinceTime(ts, last.sinceMs)} (${duration(last.sinceMs)})`;
  return [['cause', `${rootCause.node} (${rootCause.type})${says}${since}`]];
}

/** What the answer stands on: chain, evidence, what to do. */
function detailSections(finding: Finding, answer: WhyAnswer, style: Style): readonly string[] {
  return [
    ...chainSection(finding, answer, style),
    ...evidenceSection(finding, answer, style),
    ...adviceSection(finding, answer, style),
  ];
}

export function chainSection(finding: Finding, { target, ts }: WhyAnswer, style: Style): readonly string[] {
  if (finding.chain.length === 0) return [];
  const root = `pid:${target.pid}`;
  const rootLabel = `${root} ${target.comm}`.trimEnd();
  const cause = finding.rootCause?.node ?? null;
  return section('Chain', chainTree(finding.chain, { root, rootLabel, cause, ts }, style), style);
}

export function evidenceSection({ evidence }: Finding, { ts }: WhyAnswer, style: Style): readonly string[] {
  const idWidth = Math.max(0, ...evidence.map(({ id }) => id.length));
  return section(
    'Evidence',
    evidence.flatMap((proof) => evidenceLines(proof, idWidth, ts, style)),
    style,
  );
}

export function adviceSection(
  { recommendations }: Finding,
  _answer: WhyAnswer,
  style: Style,
): readonly string[] {
  return section('What to do', numbered(recommendations, style), style);
}

function evidenceLines(proof: Evidence, idWidth: number, today: string, style: Style): readonly string[] {
  const first = `  ${padEnd(proof.id, idWidth)}  `;
  const detail = proof.detail === undefined ? '' : `: ${proof.detail}`;
  const fact = `${clock(proof.ts, today)} ${proof.type} ${proof.entity} = ${quantity(proof.value, proof.unit)}${detail} (probe ${proof.probe})`;
  return hang(first, ' '.repeat(first.length), fact, style.width);
}

function targetText(answer: WhyAnswer): string {
  const { target, ts } = answer;
  const running = age(target.startTime, ts);
  const started = `started ${dateTime(target.startTime)}${running === undefined ? '' : ` (${running} ago)`}`;
  const state = target.state === 'exited' ? `exited; ${started}` : started;
  const thread = target.tid === undefined ? '' : `; asked about by its thread ${target.tid}`;
  return `${nameOf(answer)}, ${state}${thread}`;
}

/** The step that ends in the cause, or says what is wrong with it. */
function lastLink(chain: readonly ChainLink[], node: string): ChainLink | undefined {
  return chain.findLast(({ from, to }) => to === node || (from === node && to.startsWith('error:')));
}
