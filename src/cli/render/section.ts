/** The parts that answers are laid out with: headed sections, numbered steps, and rows of a label and its text. */
import type { Style } from '../terminal.js';
import { paint } from './paint.js';
import { hang, padEnd, widthOf } from './width.js';

export type Row = readonly [label: string, text: string];

const INDENT = '  ';

/** A heading with a blank line in front; nothing at all when there is nothing under it. */
export function section(title: string, lines: readonly string[], style: Style): readonly string[] {
  return lines.length === 0 ? [] : ['', paint(style, 'bold', title), ...lines];
}

export function numbered(items: readonly string[], style: Style): readonly string[] {
  const digits = String(items.length).length;
  return items.flatMap((item, at) => {
    const mark = `${INDENT}${String(at + 1).padStart(digits)}. `;
    return hang(mark, ' '.repeat(mark.length), item, style.width);
  });
}

/** `cause    flow:…`: labels in a column of their own, which the eye finds again in the next answer. */
export function rows(list: readonly Row[], style: Style): readonly string[] {
  const labelWidth = Math.max(0, ...list.map(([label]) => widthOf(label)));
  return list.flatMap(([label, text]) => {
    const first = `${INDENT}${padEnd(label, labelWidth)}  `;
    const [head = '', ...rest] = hang(first, ' '.repeat(widthOf(first)), text, style.width);
    return [`${INDENT}${paint(style, 'dim', label)}${head.slice(INDENT.length + label.length)}`, ...rest];
  });
}
