/**
 * From argv to a command and its raw arguments. The only file that knows yargs, which cuts the line into
 * words and writes the help; what a word may be is decided by core/args.ts, so that every refusal is one
 * line that says what to type instead.
 */
import yargs from 'yargs';
import { UsageError } from '../../util/errors.js';
import { printable } from '../../util/text.js';
import { EXIT_HELP } from '../exit.js';
import type { Arg, ArgTable, Raw } from './args.js';
import { type Command, GLOBAL_OPTIONS, type GlobalValues, parseTable } from './command.js';
import { nearest } from './suggest.js';

export type ParsedLine =
  | { readonly kind: 'help'; readonly text: string }
  | {
      readonly kind: 'run';
      readonly command: Command;
      readonly raw: Readonly<Record<string, Raw>>;
      readonly globals: GlobalValues;
    };

/** Names the command in front of the message: `xctl why: …`. */
export class CommandLineError extends UsageError {
  readonly command: string | undefined;

  constructor(message: string, command: string | undefined, options?: ErrorOptions) {
    super(message, options);
    this.command = command;
  }
}

type Words = Readonly<Record<string, unknown>> & { readonly _: readonly (string | number)[] };

/**
 * Thrown by a command's yargs handler, which is how a line that names a command comes back. After a
 * handler that returns, yargs writes the help that nobody asked for: 10 ms of every start.
 */
class Chosen extends Error {
  readonly command: Command;
  readonly words: Words;

  constructor(command: Command, words: Words) {
    super(command.name);
    this.command = command;
    this.words = words;
  }
}

/** @throws CommandLineError */
export async function parseLine(
  argv: readonly string[],
  commands: readonly Command[],
  columns: number,
): Promise<ParsedLine> {
  let help = '';
  const parser = configure(columns);
  declare(parser, GLOBAL_OPTIONS);
  for (const command of commands) {
    parser.command(
      [command.name, ...Object.keys(command.positionals).map((name) => `[${name}]`)].join(' '),
      command.describe,
      (its) => {
        for (const [name, arg] of Object.entries(command.positionals)) {
          its.positional(name, { type: 'string', describe: arg.describe });
        }
        declare(its, command.options);
        for (const line of command.examples) its.example(line, '');
      },
      (words) => {
        throw new Chosen(command, words);
      },
    );
  }
  const line = unglue(argv, [GLOBAL_OPTIONS, ...commands.map((command) => command.options)]);
  try {
    const words: Words = await parser.parseAsync(
      line,
      {},
      (_error: unknown, _words: unknown, output: string) => {
        help = output;
      },
    );
    if (help === '') throw noCommand(words, commands);
    return { kind: 'help', text: `${help}\n` };
  } catch (error) {
    if (error instanceof Chosen) return check(error.words, error.command);
    if (error instanceof UsageError) throw error;
    // yargs itself stumbles over flags like --constructor.
    throw new CommandLineError('these arguments make no sense together; see xctl --help', undefined, {
      cause: error,
    });
  }
}

function configure(columns: number): ReturnType<typeof yargs> {
  return yargs()
    .scriptName('xctl')
    .usage('Usage: xctl <command>\n\nWhy is this process stuck, slow or dead?')
    .epilogue(EXIT_HELP)
    .detectLocale(false)
    .wrap(columns)
    .help()
    .alias('help', 'h')
    .version(false)
    .exitProcess(false)
    .fail(false)
    .parserConfiguration({
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'duplicate-arguments-array': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
    });
}

function declare(parser: ReturnType<typeof yargs>, table: ArgTable): void {
  for (const [name, arg] of Object.entries(table)) {
    parser.option(name, {
      describe: arg.describe,
      type: arg.kind === 'flag' ? 'boolean' : 'string',
      ...(arg.short !== undefined && { alias: arg.short }),
      ...(arg.kind === 'value' && { requiresArg: false }),
    });
  }
}

/** `-ojson` as kubectl takes it; yargs would read five flags. */
function unglue(argv: readonly string[], tables: readonly ArgTable[]): string[] {
  const shorts = new Set(
    tables
      .flatMap((table) => Object.values(table))
      .map((arg) => (arg.kind === 'value' ? arg.short : undefined)),
  );
  return argv.flatMap((word) => {
    const isGlued = /^-[a-z][^=-]/.test(word) && shorts.has(word[1]);
    return isGlued ? [word.slice(0, 2), word.slice(2)] : [word];
  });
}

function noCommand(words: Words, commands: readonly Command[]): CommandLineError {
  const typed = words._[0];
  const names = commands.map((command) => command.name);
  if (typed === undefined) {
    const unknown = Object.keys(words).find((key) => !isKnown(key, GLOBAL_OPTIONS));
    if (unknown !== undefined) return unknownFlag(unknown, GLOBAL_OPTIONS, undefined);
    return new CommandLineError(`type a command: ${names.join(', ')}; e.g. xctl why 4242`, undefined);
  }
  const text = String(typed);
  const near = nearest(text, names);
  const instead = /^\d+$/.test(text)
    ? `type xctl why ${text}`
    : near === undefined
      ? `there are ${names.join(', ')}`
      : `did you mean xctl ${near}?`;
  return new CommandLineError(`no command ${printable(JSON.stringify(text), 60)}; ${instead}`, undefined);
}

function check(words: Words, command: Command): ParsedLine {
  const { name, positionals, options } = command;
  const known: ArgTable = { ...GLOBAL_OPTIONS, ...options };
  const unknown = Object.keys(words).find((key) => !isKnown(key, known) && !Object.hasOwn(positionals, key));
  if (unknown !== undefined) throw unknownFlag(unknown, known, name);
  const raw: Record<string, Raw> = {};
  for (const key of Object.keys(known)) raw[key] = rawOf(words[key]);
  // What stands behind `--` is for us to put into its place.
  const loose = words._.slice(1).map(String);
  for (const key of Object.keys(positionals)) raw[key] = rawOf(words[key]) ?? loose.shift();
  const extra = loose[0];
  if (extra !== undefined) {
    const takes = Object.keys(positionals).map((key) => key.toUpperCase());
    throw new CommandLineError(
      `${printable(JSON.stringify(extra), 60)} is one argument too many; it takes ${takes.join(' and ') || 'none'}, e.g. ${command.examples[0] ?? `xctl ${name}`}`,
      name,
    );
  }
  try {
    const globals = parseTable(GLOBAL_OPTIONS, raw, (key) => `--${key}`);
    checkOutput(globals, command);
    return { kind: 'run', command, raw, globals };
  } catch (error) {
    throw error instanceof UsageError ? new CommandLineError(error.message, name, { cause: error }) : error;
  }
}

function checkOutput({ output }: GlobalValues, command: Command): void {
  if (output === undefined || command.outputs.includes(output)) return;
  throw new UsageError(`-o ${output} is not for ${command.name}; it takes ${command.outputs.join(', ')}`);
}

function rawOf(word: unknown): Raw {
  return typeof word === 'string' || typeof word === 'boolean' || word === undefined ? word : String(word);
}

function isKnown(key: string, table: ArgTable): boolean {
  if (key === '_' || key === '$0' || key === 'help' || key === 'h') return true;
  return Object.hasOwn(table, key) || Object.values(table).some((arg) => arg.short === key);
}

function unknownFlag(key: string, table: ArgTable, command: string | undefined): CommandLineError {
  const shorts = Object.values<Arg<unknown>>(table).flatMap((arg) =>
    arg.short === undefined ? [] : [arg.short],
  );
  const typed = printable(key.length === 1 ? `-${key}` : `--${key}`, 60);
  const near = key.length === 1 ? undefined : nearest(key, Object.keys(table));
  const all = [...Object.keys(table).map((name) => `--${name}`), ...shorts.map((short) => `-${short}`)];
  return new CommandLineError(
    `no flag ${typed}; ${near === undefined ? `there are ${all.join(' ')}` : `did you mean --${near}?`}`,
    command,
  );
}
