/** Commands are data: what they are called, what they take, what they do. Only parse.ts knows yargs. */
import type { AgentClient } from '../../api/client.js';
import type { Screen } from '../screen.js';
import type { Terminal } from '../terminal.js';
import { type Arg, type ArgTable, choice, flag, type Raw, seconds, text, type ValuesOf } from './args.js';

export const GLOBAL_OPTIONS = {
  output: choice(['text', 'json', 'yaml', 'dot', 'mermaid', 'html'], 'What to print', 'o'),
  socket: text("The agent's socket (XCTL_SOCKET; /run/xctl/agent.sock)", '/run/xctl/agent.sock', 'file'),
  timeout: seconds('Seconds to wait for the agent (10)', 10),
  'no-color': flag('Do not colour (also: NO_COLOR, TERM=dumb, output not a terminal)'),
  verbose: flag('Show the stack of an error'),
} as const satisfies ArgTable;

export type GlobalValues = ValuesOf<typeof GLOBAL_OPTIONS>;
export type Output = NonNullable<GlobalValues['output']>;

/** What a command is given besides its arguments. */
export interface Context {
  readonly terminal: Terminal;
  readonly output: Output;
  /** @param signal gives up what this client asks; Ctrl-C unless said */
  readonly client: (signal?: AbortSignal) => Promise<AgentClient>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A terminal that somebody looks at and types at; undefined where output or input is something else. */
  readonly openScreen: () => Promise<Screen | undefined>;
  /** Aborts at Ctrl-C. */
  readonly signal: AbortSignal;
}

export interface CommandSpec<P extends ArgTable, O extends ArgTable> {
  readonly name: string;
  readonly describe: string;
  /** Command lines for the help. */
  readonly examples: readonly string[];
  /** Left out: text, json and yaml. */
  readonly outputs?: readonly Output[];
  /** All optional, in order; a missing one is undefined. */
  readonly positionals: P;
  readonly options: O;
  readonly run: (args: ValuesOf<P> & ValuesOf<O>, context: Context) => Promise<void>;
}

/** A command whose argument types have been checked and forgotten, so that a table can hold it. */
export interface Command {
  readonly name: string;
  readonly describe: string;
  readonly examples: readonly string[];
  readonly outputs: readonly Output[];
  readonly positionals: ArgTable;
  readonly options: ArgTable;
  /** @throws UsageError */
  readonly run: (raw: Readonly<Record<string, Raw>>, context: Context) => Promise<void>;
}

export function createCommand<P extends ArgTable, O extends ArgTable>(spec: CommandSpec<P, O>): Command {
  return {
    ...spec,
    outputs: spec.outputs ?? ['text', 'json', 'yaml'],
    run: (raw, context) =>
      spec.run(
        {
          ...parseTable(spec.positionals, raw, (key) => key.toUpperCase()),
          ...parseTable(spec.options, raw, (key) => `--${key}`),
        },
        context,
      ),
  };
}

/** @throws UsageError */
export function parseTable<A extends ArgTable>(
  table: A,
  raw: Readonly<Record<string, Raw>>,
  nameOf: (key: string) => string,
): ValuesOf<A> {
  const entries = Object.entries<Arg<unknown>>(table);
  // The keys and value types are the table's own, which TypeScript cannot follow through entries.
  return Object.fromEntries(
    entries.map(([key, arg]) => [key, arg.parse(raw[key], nameOf(key))]),
  ) as ValuesOf<A>;
}
