/**
 * The only patterns there are: text in which `*` stands for any run of characters, compared from the first to the last
 * character. Each stretch between two stars is looked for once, from left to right, so that no pattern and no text can
 * make a comparison slow: there is no going back.
 */

export const MAX_PATTERN_LENGTH = 128;
export const MAX_STARS = 8;
/** Of what is compared: a line of the kernel log is shorter. */
const MAX_TEXT_LENGTH = 4_096;

export interface Glob {
  /** No star in it: this text and no other. */
  readonly literal: string | undefined;
  /** What stands before its first star. */
  readonly prefix: string;
  readonly matches: (text: string) => boolean;
}

/** `\*` and `\\` stand for themselves. */
export function compileGlob(pattern: string): Glob {
  const parts = splitAtStars(pattern);
  const [first = '', ...others] = parts;
  const last = others.pop();
  if (last === undefined) return { literal: first, prefix: first, matches: (text) => text === first };
  const least = parts.reduce((sum, part) => sum + part.length, 0);
  return {
    literal: undefined,
    prefix: first,
    matches: (whole) => {
      const text = whole.length > MAX_TEXT_LENGTH ? whole.slice(0, MAX_TEXT_LENGTH) : whole;
      if (text.length < least || !text.startsWith(first) || !text.endsWith(last)) return false;
      const end = text.length - last.length;
      let at = first.length;
      for (const part of others) {
        const found = text.indexOf(part, at);
        if (found === -1 || found + part.length > end) return false;
        at = found + part.length;
      }
      return at <= end;
    },
  };
}

/** Whether the pattern fits any text at all. */
export function fitsAll(pattern: string): boolean {
  const parts = splitAtStars(pattern);
  return parts.length > 1 && parts.every((part) => part === '');
}

/** Whether it has a star before its last character: such a text cannot be looked up by how it begins. */
export function isSearched(pattern: string): boolean {
  const parts = splitAtStars(pattern);
  return parts.length > 2 || (parts.length === 2 && parts[1] !== '');
}

/** What is wrong with a pattern, undefined: nothing. */
export function patternFault(pattern: string): string | undefined {
  if (pattern.length > MAX_PATTERN_LENGTH) return `is over ${MAX_PATTERN_LENGTH} characters`;
  if (splitAtStars(pattern).length - 1 > MAX_STARS) return `has more than ${MAX_STARS} stars`;
  return undefined;
}

function splitAtStars(pattern: string): readonly string[] {
  const parts: string[] = [];
  let part = '';
  for (let at = 0; at < pattern.length; at++) {
    const c = pattern[at] ?? '';
    const next = pattern[at + 1];
    if (c === '\\' && (next === '*' || next === '\\')) {
      part += next;
      at++;
    } else if (c === '*') {
      parts.push(part);
      part = '';
    } else {
      part += c;
    }
  }
  return [...parts, part];
}
