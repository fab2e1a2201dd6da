/**
 * Nothing that came from outside reaches a terminal raw. Done once, in front of every renderer.
 *
 * Where the locale is not UTF-8, a terminal reads each byte by itself, and the bytes 0x80 to 0x9f, of which UTF-8 makes
 * harmless letters, are control characters to it: there, nothing but ASCII is printed.
 */
import { printable } from '../../util/text.js';
import type { Style } from '../terminal.js';

/** Signs that answers use of themselves, and their spelling in ASCII. */
const SPELLED: Readonly<Record<string, string>> = {
  '…': '...',
  '→': '->',
  '≥': '>=',
  '≤': '<=',
  µ: 'u',
  '×': 'x',
  '–': '-',
};

/** `value` with every string in it made printable. */
export function clean<T>(value: T, style: Pick<Style, 'unicode'>): T;
export function clean(value: unknown, style: Pick<Style, 'unicode'>): unknown {
  if (typeof value === 'string') return cleanText(value, style);
  if (Array.isArray(value)) return value.map((item: unknown) => clean(item, style));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [cleanText(key, style), clean(item, style)]),
  );
}

export function cleanText(text: string, { unicode }: Pick<Style, 'unicode'>): string {
  const shown = printable(text);
  return unicode ? shown : ascii(shown);
}

/** For a terminal that does not read UTF-8. */
export function ascii(text: string): string {
  return text.replace(
    /[\u0080-\u{10ffff}]/gu,
    (sign) => SPELLED[sign] ?? `\\u{${(sign.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
