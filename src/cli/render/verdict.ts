/** The first words of an answer: how it stands, in a mark, in words, and only then in colour. */
import type { Finding, Verdict } from '../../scene/answer.js';
import { assertNever } from '../../util/errors.js';
import type { Style } from '../terminal.js';
import { sureness } from './format.js';
import { type Paint, paint } from './paint.js';
import { hang, widthOf } from './width.js';

/** `✗ CAUSE FOUND  NetworkStall/PeerUnreachable, 94 % sure`; on two lines where one has no room for it. */
export function verdictLines(finding: Finding, style: Style): readonly string[] {
  const { mark, words, color } = headOf(finding.verdict, style);
  const scene = sceneOf(finding);
  const sure = finding.verdict === 'unknown' ? '' : sureness(finding.confidence);
  const rest = [scene, sure].filter((part) => part !== '').join(', ');
  const head = paint(style, color, paint(style, 'bold', `${mark} ${words}`));
  if (rest === '') return [head];
  return widthOf(`${mark} ${words}  ${rest}`) <= style.width
    ? [`${head}  ${rest}`]
    : [head, ...hang('  ', '  ', rest, style.width)];
}

export function sceneOf({ scene, subScene }: Finding): string {
  if (scene === null) return '';
  return subScene === null ? scene : `${scene}/${subScene}`;
}

function headOf(
  verdict: Verdict,
  style: Style,
): { readonly mark: string; readonly words: string; readonly color: Paint } {
  switch (verdict) {
    case 'cause-found':
      return { mark: style.unicode ? '✗' : 'x', words: 'CAUSE FOUND', color: 'red' };
    case 'symptom-only':
      return { mark: '!', words: 'SYMPTOM ONLY', color: 'yellow' };
    case 'healthy':
      return { mark: style.unicode ? '✓' : '+', words: 'HEALTHY', color: 'green' };
    case 'unknown':
      return { mark: '?', words: 'UNKNOWN', color: 'yellow' };
    default:
      return assertNever(verdict);
  }
}
