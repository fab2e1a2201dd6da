/** What the shell may offer next; computed from the command table, so that it cannot lag behind it. */
import type { Arg, ArgTable } from './args.js';
import { type Command, GLOBAL_OPTIONS } from './command.js';

export type Completion =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'files' }
  | { readonly kind: 'pids' };

/** @param words of the line after `xctl`; the last is the one being typed, perhaps empty */
export function complete(words: readonly string[], commands: readonly Command[]): Completion {
  const typed = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const command = commands.find(({ name }) => before.includes(name));
  const options: ArgTable = { ...GLOBAL_OPTIONS, ...command?.options };
  const pending = optionOf(before.at(-1), options);
  if (pending?.kind === 'value') return completionOf(pending, typed);
  if (typed.startsWith('-')) {
    const names = [...Object.keys(options), 'help'].map((name) => `--${name}`);
    return { kind: 'words', words: startingWith(typed, names) };
  }
  if (command === undefined)
    return {
      kind: 'words',
      words: startingWith(
        typed,
        commands.map(({ name }) => name),
      ),
    };
  const first = Object.values(command.positionals)[0];
  return first === undefined ? { kind: 'words', words: [] } : completionOf(first, typed);
}

function completionOf(arg: Arg<unknown>, typed: string): Completion {
  if (arg.completes === 'file') return { kind: 'files' };
  if (arg.completes === 'pid') return { kind: 'pids' };
  return { kind: 'words', words: startingWith(typed, arg.choices ?? []) };
}

function optionOf(word: string | undefined, options: ArgTable): Arg<unknown> | undefined {
  if (word?.startsWith('--') === true) return options[word.slice(2)];
  if (word?.startsWith('-') !== true) return undefined;
  return Object.values(options).find((arg) => arg.short === word.slice(1));
}

function startingWith(typed: string, words: readonly string[]): readonly string[] {
  return words.filter((word) => word.startsWith(typed));
}
