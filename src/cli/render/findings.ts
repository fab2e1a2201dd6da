/** `xctl why` without a pid: what is wrong on this node, worst first, one short block each. */
import type { Findings } from '../../scene/answer.js';
import type { Style } from '../terminal.js';
import { dateTime } from './format.js';
import { verdictLine } from './verdict.js';
import { causeLines, nameOf } from './why.js';
import { hang, wrap } from './width.js';

export function renderFindings({ node, ts, findings }: Findings, style: Style): string {
  const at = `${node} at ${dateTime(ts)}`;
  if (findings.length === 0) {
    const nothing = `Nothing is wrong on ${at}, as far as the probes can see; xctl doctor says what they cannot.`;
    return `${wrap(nothing, style.width).join('\n')}\n`;
  }
  const inner = { ...style, width: style.width - 3 };
  const blocks = findings.map((answer, index) => {
    const lines = [
      verdictLine(answer, inner),
      ...wrap(`${nameOf(answer)}: ${answer.summary}`, inner.width),
      ...causeLines(answer, inner),
      ...hang('more:  ', '       ', `xctl why ${answer.target.pid}`, inner.width),
    ];
    return lines.map((line, row) => `${row === 0 ? `${index + 1}.`.padEnd(3) : '   '}${line}\n`).join('');
  });
  const count = findings.length === 1 ? '1 finding' : `${findings.length} findings, worst first`;
  return `${at}: ${count}\n\n${blocks.join('\n')}`;
}
