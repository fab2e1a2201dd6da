/** How wide text is on a terminal, and how it is cut, padded and wrapped. Text here holds no colour. */

/** Columns: 2 for East Asian wide characters and emoji, 0 for combining marks, 1 for the rest. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += columnsOf(character.codePointAt(0) ?? 0);
  return width;
}

export function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)));
}

export function padStart(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - widthOf(text))) + text;
}

/** Cut to `width` columns, with `mark` where something is missing. */
export function cut(text: string, width: number, mark: string): string {
  if (text.length <= width / 2 || widthOf(text) <= width) return text;
  let room = width - widthOf(mark);
  let kept = '';
  for (const character of text) {
    room -= columnsOf(character.codePointAt(0) ?? 0);
    if (room < 0) break;
    kept += character;
  }
  return kept + mark;
}

/** Where a line may break: not between a number and its unit. */
const BREAK = / (?!(?<=\d )(?:(?:ms|s|min|h|[KMGT]iB)\b|%))/;

/** Lines of at most `width` columns; a word longer than that stands alone and is not broken: ids get copied. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  let used = 0;
  for (const word of text.split(BREAK)) {
    const size = widthOf(word);
    if (used > 0 && used + 1 + size > width) {
      lines.push(line);
      line = '';
      used = 0;
    }
    line = used === 0 ? word : `${line} ${word}`;
    used += (used === 0 ? 0 : 1) + size;
  }
  lines.push(line);
  return lines;
}

/** `text` wrapped behind `first`, further lines behind `rest`; both take the columns of `first`. */
export function hang(first: string, rest: string, text: string, width: number): readonly string[] {
  return wrap(text, Math.max(20, width - widthOf(first))).map((line, at) => (at === 0 ? first : rest) + line);
}

function columnsOf(code: number): number {
  if (code < 0x300) return 1;
  if (
    code <= 0x36f ||
    (code >= 0x1ab0 && code <= 0x1aff) ||
    (code >= 0x1dc0 && code <= 0x1dff) ||
    (code >= 0x200b && code <= 0x200f) ||
    (code >= 0x20d0 && code <= 0x20ff) ||
    (code >= 0xfe00 && code <= 0xfe0f) ||
    (code >= 0xfe20 && code <= 0xfe2f) ||
    code === 0xfeff
  ) {
    return 0;
  }
  return isWide(code) ? 2 : 1;
}

// The wide blocks of Unicode's EastAsianWidth.txt, joined where only rare signs lie between.
function isWide(code: number): boolean {
  return (
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0xa4cf && code !== 0x303f) ||
    (code >= 0xa960 && code <= 0xa97f) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0xffe0 && code <= 0xffe6) ||
    (code >= 0x1f300 && code <= 0x1f64f) ||
    (code >= 0x1f680 && code <= 0x1f6ff) ||
    (code >= 0x1f900 && code <= 0x1faff) ||
    (code >= 0x20000 && code <= 0x3fffd)
  );
}
