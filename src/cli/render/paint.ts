/** Colour as a second channel: whatever it says is also in the words. */
import type { Style } from '../terminal.js';

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
export type Paint = keyof typeof CODES;

export function paint(style: Style, color: Paint, text: string): string {
  return style.color && text !== '' ? `\u001b[${CODES[color]}m${text}\u001b[0m` : text;
}
