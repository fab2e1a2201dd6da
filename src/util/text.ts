/**
 * Hostile strings. Process names, command lines, cgroup paths, kernel log lines and what a
 * subprocess prints may hold escape sequences; nothing of theirs reaches a terminal as control.
 */

// C0, DEL, C1, line and paragraph separators, and the bidirectional overrides.
// biome-ignore lint/suspicious/noControlCharactersInRegex: removing them is what this file is for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** `text` with every control character shown as `\xNN` or `\uNNNN`, cut to `maxLength`. */
export function printable(text: string, maxLength = 4096): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength - 1)}…` : text;
  return cut.replace(CONTROL, (c) => {
    const code = c.charCodeAt(0);
    return code < 0x100
      ? `\\x${code.toString(16).padStart(2, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}
