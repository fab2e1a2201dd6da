/** `xctl why` without a pid: what is wrong on this node, worst first, one block each that says what to do next. */
import type { Findings, WhyAnswer } from '../../scene/answer.js';
import type { Style } from '../terminal.js';
import { dateTime } from './format.js';
import { type Row, rows } from './section.js';
import { verdictLines } from './verdict.js';
import { causeRows, nameOf, summaryLines } from './why.js';
import { wrap } from './width.js';

export function renderFindings({ node, ts, findings }: Findings, style: Style): string {
  const at = `${node} at ${dateTime(ts)}`;
  if (findings.length === 0) {
    const nothing = `Nothing is wrong on ${at}, as far as the probes can see; xctl doctor says what they cannot.`;
    return `${wrap(nothing, style.width).join('\n')}\n`;
  }
  const digits = String(findings.length).length;
  const margin = ' '.repeat(digits + 2);
  const inner = { ...style, width: style.width - margin.length };
  const blocks = findings.map((answer, index) => {
    const mark = `${String(index + 1).padStart(digits)}. `;
    return block(answer, inner)
      .map((line, row) => `${row === 0 ? mark : margin}${line}\n`)
      .join('');
  });
  const sum = findings.length === 1 ? '1 finding' : `${findings.length} findings, worst first`;
  return `${wrap(`${at}: ${sum}`, style.width).join('\n')}\n\n${blocks.join('\n')}`;
}

function block(answer: WhyAnswer, style: Style): readonly string[] {
  const [step, ...further] = answer.recommendations;
  const more = further.length === 0 ? '' : ` (1 of ${further.length + 1})`;
  const facts: readonly Row[] = [
    ...causeRows(answer, answer),
    ['process', nameOf(answer)],
    ...(step === undefined ? [] : [['do', `${step}${more}`] as const]),
    ['more', `xctl why ${answer.target.pid}`],
  ];
  return [...verdictLines(answer, style), ...summaryLines(answer, style), ...rows(facts, style)];
}
