/** `xctl why PID` for a tired person: verdict, cause, then the way there, the proof, and what to do. */
import type { Evidence, Finding, WhyAnswer } from '../../scene/answer.js';
import type { Style } from '../terminal.js';
import { chainTree } from './chain.js';
import { age, clock, dateTime, quantity } from './format.js';
import { paint } from './paint.js';
import { verdictLine } from './verdict.js';
import { hang, wrap } from './width.js';

export function renderWhy(answer: WhyAnswer, style: Style): string {
  const lines = [
    verdictLine(answer, style),
    ...wrap(`${nameOf(answer)}: ${answer.summary}`, style.width),
    ...causeLines(answer, style),
    '',
    ...hang('', '', targetText(answer), style.width).map((line) => paint(style, 'dim', line)),
    ...details(answer, answer, style),
    ...(answer.alternatives ?? []).flatMap((other, at) => alternative(other, at, answer, style)),
  ];
  return `${lines.join('\n')}\n`;
}

/** `python3 (pid 4242)`. */
export function nameOf({ target }: WhyAnswer): string {
  return target.comm === '' ? `pid ${target.pid}` : `${target.comm} (pid ${target.pid})`;
}

/** The cause's node, and its own words where the summary does not say them already. */
export function causeLines({ rootCause, summary }: Finding, style: Style): readonly string[] {
  if (rootCause === null) return [];
  const says = summary.includes(rootCause.summary) ? '' : `: ${rootCause.summary}`;
  return hang('cause: ', '       ', `${rootCause.node} (${rootCause.type})${says}`, style.width);
}

function targetText({ target, node, ts }: WhyAnswer): string {
  const running = age(target.startTime, ts);
  const state =
    target.state === 'exited'
      ? `exited; started ${dateTime(target.startTime)}`
      : `running since ${dateTime(target.startTime)}${running === undefined ? '' : ` (${running})`}`;
  const thread = target.tid === undefined ? '' : `, asked about by its thread ${target.tid}`;
  return `pid ${target.pid} ${state}${thread}; seen on ${node} at ${dateTime(ts)}`;
}

function details(finding: Finding, answer: WhyAnswer, style: Style): readonly string[] {
  return [
    ...section('Chain', chainLines(finding, answer, style), style),
    ...section(
      'Evidence',
      finding.evidence.flatMap((proof) => evidenceLines(proof, answer.ts, style)),
      style,
    ),
    ...section(
      'What to do',
      finding.recommendations.flatMap((advice, at) => hang(`${at + 1}. `, '   ', advice, style.width)),
      style,
    ),
  ];
}

function chainLines(finding: Finding, { target }: WhyAnswer, style: Style): readonly string[] {
  if (finding.chain.length === 0) return [];
  const root = `pid:${target.pid}`;
  return chainTree(
    finding.chain,
    { root, rootLabel: `${root} ${target.comm}`.trimEnd(), cause: finding.rootCause?.node ?? null },
    style,
  );
}

function evidenceLines(proof: Evidence, today: string, style: Style): readonly string[] {
  const first = `${proof.id}  `;
  const detail = proof.detail === undefined ? '' : `: ${proof.detail}`;
  const fact = `${clock(proof.ts, today)} ${proof.type} ${proof.entity} = ${quantity(proof.value, proof.unit)}${detail} (probe ${proof.probe})`;
  return hang(first, ' '.repeat(first.length), fact, style.width);
}

function alternative(other: Finding, at: number, answer: WhyAnswer, style: Style): readonly string[] {
  return [
    '',
    paint(style, 'bold', `ALSO (${at + 2})`),
    verdictLine(other, style),
    ...wrap(other.summary, style.width),
    ...causeLines(other, style),
    ...details(other, answer, style),
  ];
}

function section(title: string, lines: readonly string[], style: Style): readonly string[] {
  return lines.length === 0 ? [] : ['', paint(style, 'bold', title), ...lines];
}
