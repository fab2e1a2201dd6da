/**
 * A command line to its words, without a shell: quotes and backslashes group characters, and that
 * is all. `$`, `|`, `;`, `*`, `~` and the like are plain characters.
 */
import { UsageError } from '../util/errors.js';

/**
 * `a 'b c' "d \"e\"" f\ g` → `a`, `b c`, `d "e"`, `f g`.
 * Inside double quotes a backslash quotes `"` and `\`; inside single quotes it is itself.
 * @throws UsageError for an open quote, a backslash at the end, a NUL or no word at all
 */
export function splitCommand(command: string): readonly string[] {
  const words: string[] = [];
  // undefined: between words. '' is a word too: `''`.
  let word: string | undefined;
  let quote: '"' | "'" | undefined;
  for (let i = 0; i < command.length; i++) {
    const c = command.charAt(i);
    if (c === '\0') throw new UsageError('a command cannot hold a NUL byte');
    if (quote !== undefined) {
      if (c === quote) quote = undefined;
      else if (c === '\\' && quote === '"' && isEscapable(command.charAt(i + 1))) word += command.charAt(++i);
      else word += c;
    } else if (c === "'" || c === '"') {
      quote = c;
      word ??= '';
    } else if (c === '\\') {
      if (i + 1 === command.length)
        throw new UsageError('the command ends in a backslash; write \\\\ for a plain one');
      word = (word ?? '') + command.charAt(++i);
    } else if (/\s/.test(c)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? '') + c;
    }
  }
  if (quote !== undefined)
    throw new UsageError(`the command has an open ${quote}; close it, or write \\${quote}`);
  if (word !== undefined) words.push(word);
  if (words.length === 0 || words[0] === '') {
    throw new UsageError(
      "the command is empty; name a program, e.g. --probe '/usr/local/bin/gpu-events --jsonl'",
    );
  }
  return words;
}

function isEscapable(c: string): boolean {
  return c === '"' || c === '\\';
}
