/** One command line, from words to exit code. Knows nothing of the process it runs in, so tests call it. */
import { DEFAULT_SOCKET } from '../api/paths.js';
import { messageOf, UsageError } from '../util/errors.js';
import { printable } from '../util/text.js';
import { COMMANDS } from './commands/index.js';
import type { Context } from './core/command.js';
import { CommandLineError, type ParsedLine, parseLine } from './core/parse.js';
import { EXIT, type ExitCode, exitCodeOf } from './exit.js';
import type { Keyboard, ScreenOutput } from './screen.js';
import { createTerminal, type Streams, type Terminal } from './terminal.js';

export interface World extends Streams {
  readonly stdout: ScreenOutput;
  /** Left out where nobody can type. */
  readonly stdin?: Keyboard;
  /** Aborts at Ctrl-C. */
  readonly signal: AbortSignal;
  /** What must be undone before a signal or an error ends the process; returns the way to take it back. */
  readonly beforeEnd?: (undo: () => void) => () => void;
  /** Stops the process; `then` when somebody has said `fg`. */
  readonly stop?: (then: () => void) => void;
}

const DEFAULT_TIMEOUT_S = 10;
const COMPLETE = '__complete';

export async function run(argv: readonly string[], world: World): Promise<ExitCode> {
  let terminal = createTerminal(world, false);
  let prefix = 'xctl';
  let verbose = argv.includes('--verbose');
  try {
    if (argv[0] === COMPLETE) {
      await offerCompletion(argv, world, terminal);
      return EXIT.answered;
    }
    if (argv[0] === '--version') {
      const { packageVersion } = await import('../util/version.js');
      await terminal.print(`xctl ${packageVersion()}\n`);
      return EXIT.answered;
    }
    const line = await parseLine(argv, COMMANDS, terminal.style.width);
    if (line.kind === 'help') {
      await terminal.print(line.text);
      return EXIT.answered;
    }
    prefix = `xctl ${line.command.name}`;
    verbose = line.globals.verbose;
    terminal = createTerminal(world, line.globals['no-color']);
    await line.command.run(line.raw, contextOf(line, terminal, world));
    return world.signal.aborted ? EXIT.interrupted : EXIT.answered;
  } catch (error) {
    if (world.signal.aborted) return EXIT.interrupted;
    const named = error instanceof CommandLineError && error.command !== undefined;
    terminal.complain(`${named ? `xctl ${error.command}` : prefix}: ${printable(messageOf(error))}`);
    if (verbose) terminal.complain(stackOf(error));
    return exitCodeOf(error);
  }
}

function contextOf(
  { globals }: Extract<ParsedLine, { readonly kind: 'run' }>,
  terminal: Terminal,
  world: World,
): Context {
  const { env, signal } = world;
  return {
    terminal,
    output: globals.output ?? 'text',
    signal,
    env,
    openScreen: async () => {
      const { openScreen } = await import('./screen.js');
      return openScreen(world);
    },
    client: async (own) => {
      const { AgentClient } = await import('../api/client.js');
      return new AgentClient({
        socketPath: globals.socket ?? socketOf(env),
        timeoutMs: (globals.timeout ?? DEFAULT_TIMEOUT_S) * 1000,
        signal: own ?? signal,
      });
    },
  };
}

function socketOf(env: World['env']): string {
  const path = env.XCTL_SOCKET ?? DEFAULT_SOCKET;
  if (path === '') throw new UsageError('XCTL_SOCKET is empty; unset it, or set it to the path of a socket');
  return path;
}

async function offerCompletion(argv: readonly string[], world: World, terminal: Terminal): Promise<void> {
  const { offer } = await import('./commands/completion.js');
  await offer(
    argv.slice(argv[1] === '--' ? 2 : 1),
    COMMANDS,
    { terminal },
    world.env.XCTL_SOCKET || DEFAULT_SOCKET,
  );
}

/** The stack with its causes; control characters shown, lines kept. */
function stackOf(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const cause =
    error instanceof Error && error.cause !== undefined ? `\ncaused by: ${stackOf(error.cause)}` : '';
  const shown = stack
    .split('\n')
    .map((line) => printable(line))
    .join('\n');
  return `${shown}${cause}`;
}
