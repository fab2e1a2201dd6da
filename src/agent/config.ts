/** What xctl-agent is asked to do: flags first, then `--config FILE`, then defaults. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import yargs from 'yargs';
import { DEFAULT_SOCKET } from '../api/paths.js';
import { messageOf, UsageError } from '../util/errors.js';
import type { LogLevel } from '../util/log.js';
import { printable } from '../util/text.js';
import { readConfigFile } from './config-file.js';
import { splitCommand } from './split-command.js';

/**
 * Built into the agent, in the order they start: flows and waits name processes, filesystems name devices.
 * Other programs come in by `--probe`.
 */
export const BUILTIN_PROBES = [
  'process',
  'block',
  'filesystem',
  'tcp',
  'waits',
  'host',
  'rdma',
  'gpu',
  'kmsg',
] as const;
/** Those that put something into the workload's own path: off unless they are asked for. */
const ASKED_FOR = ['gpu-trace', 'rdma-trace'] as const;
/** The first hear what the others find when they start. */
const ALL_PROBES = [...ASKED_FOR, ...BUILTIN_PROBES] as const;
export type BuiltinProbe = (typeof ALL_PROBES)[number];

export interface AgentConfig {
  /** Absolute path of the API's unix socket. */
  readonly socket: string;
  /** Absent: nothing listens on the network. */
  readonly metrics?: MetricsListen;
  readonly rules?: string;
  /** Absent: libnvidia-ml.so.1 where the system finds it. */
  readonly nvml?: string;
  readonly probes: readonly BuiltinProbe[];
  /** Programs that print events, as argument vectors. */
  readonly subprocesses: readonly (readonly string[])[];
  readonly record?: string;
  readonly logLevel: LogLevel;
}

export interface MetricsListen {
  /** 0: any free one; the log says which. */
  readonly port: number;
  /** Absent: every address of the host. Who gives a port wants to be scraped, mostly from another host, and what is served names no process, path, address or command. */
  readonly address?: string;
}

export type Invocation =
  | { readonly run: AgentConfig }
  /** `--help`, `--version`: to stdout, and that is all. */
  | { readonly print: string };

const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];
/** sockaddr_un.sun_path, with its NUL. */
const MAX_SOCKET_BYTES = 107;
const TRY_HELP = 'try xctl-agent --help';

const SETTINGS = {
  socket: `unix socket of the API that xctl talks to (default ${DEFAULT_SOCKET})`,
  'metrics-port': 'serve /metrics, /healthz and /readyz on this TCP port; without it nothing listens',
  'metrics-address': 'address for --metrics-port (default: all)',
  rules: "directory of rule files (default: the package's own)",
  probes: `built-in probes to run, comma-separated, or "none" (default ${BUILTIN_PROBES.join(',')})`,
  nvml: 'path of libnvidia-ml.so.1, where the system does not find it',
  probe: 'a program that prints events as JSON lines, run without a shell; may be given again',
  record: 'write every event to this new file, for xctl why --replay',
  'gpu-trace': 'look at NCCL and CUDA calls too, by uprobes (docs/gpu-trace.md)',
  'rdma-trace': 'look at what is posted to queue pairs too, by uprobes (docs/rdma.md)',
  'log-level': `${LOG_LEVELS.join(', ')} (default info)`,
} as const;
type Setting = keyof typeof SETTINGS;
const KNOWN_FLAGS = `flags are ${[...Object.keys(SETTINGS), 'config', 'version', 'help'].map((name) => `--${name}`).join(' ')}`;

/**
 * @param argv without node and script
 * @param version printed by `--version`
 * @throws UsageError in one line that says what to write instead
 */
export function parseCommandLine(argv: readonly string[], version: string): Invocation {
  const valued = argv.find((word) => SWITCH_WITH_VALUE.test(word));
  // The parser would take any word for a yes or a no.
  if (valued !== undefined)
    throw new UsageError(`--${valued.slice(2).split('=', 1)[0]} takes no value; ${TRY_HELP}`);
  const parser = flagParser(argv);
  const flags = parseFlags(parser);
  if (flags.get('help') === true) return { print: `${helpOf(parser)}\n` };
  if (flags.get('version') === true) return { print: `xctl-agent ${version}\n` };
  const path = single(flags.get('config'), '--config');
  return { run: configOf(flags, path === undefined ? new Map() : settingsOf(path)) };
}

/** A value and the words that name its place in a message. */
interface Given {
  readonly value: unknown;
  readonly where: string;
}

function configOf(flags: ReadonlyMap<string, unknown>, file: ReadonlyMap<Setting, Given>): AgentConfig {
  const given = (name: Setting): Given | undefined => {
    const value = flags.get(name);
    return value === undefined ? file.get(name) : { value, where: `--${name}` };
  };
  const text = (name: Setting): string | undefined => {
    const it = given(name);
    return it === undefined ? undefined : single(it.value, it.where);
  };
  const socket = resolve(text('socket') ?? DEFAULT_SOCKET);
  if (Buffer.byteLength(socket) > MAX_SOCKET_BYTES) {
    throw new UsageError(
      `--socket: the path is over ${MAX_SOCKET_BYTES} bytes, which the kernel refuses; name a shorter one`,
    );
  }
  const port = given('metrics-port');
  const address = text('metrics-address');
  if (address !== undefined && port === undefined) {
    throw new UsageError('--metrics-address says where, not whether to listen; give --metrics-port too');
  }
  const rules = text('rules');
  if (rules !== undefined) requireDirectory(rules);
  const record = text('record');
  const nvml = text('nvml');
  return {
    socket,
    ...(port !== undefined && { metrics: { port: portOf(port), ...(address !== undefined && { address }) } }),
    ...(rules !== undefined && { rules: resolve(rules) }),
    ...(nvml !== undefined && { nvml }),
    probes: ASKED_FOR.reduce<readonly BuiltinProbe[]>(
      (probes, name) => withAskedFor(probes, name, given(name)),
      probesOf(given('probes')),
    ),
    subprocesses: commandsOf(given('probe')),
    ...(record !== undefined && { record: resolve(record) }),
    logLevel: levelOf(text('log-level') ?? 'info'),
  };
}

function flagParser(argv: readonly string[]) {
  const options = Object.fromEntries(
    Object.entries(SETTINGS).map(([name, describe]) => [
      name,
      isSwitch(name)
        ? ({ type: 'boolean', describe } as const)
        : ({ type: 'string', requiresArg: true, describe } as const),
    ]),
  );
  return (
    yargs([...argv])
      .scriptName('xctl-agent')
      .usage('$0 [options]\n\nWatches this node and answers xctl.')
      // Before the options of these names: yargs would keep its own otherwise.
      .help(false)
      .version(false)
      .options(options)
      .option('config', {
        type: 'string',
        requiresArg: true,
        describe: 'YAML file with the same names; flags win',
      })
      .option('version', { type: 'boolean', describe: 'print the version' })
      .option('help', { type: 'boolean', describe: 'print this' })
      .strict()
      .wrap(100)
      .exitProcess(false)
      .fail(false)
      .parserConfiguration({
        'boolean-negation': false,
        'camel-case-expansion': false,
        'dot-notation': false,
        'parse-numbers': false,
        'parse-positional-numbers': false,
      })
  );
}

const SWITCH_WITH_VALUE = /^--(?:gpu|rdma)-trace=/;

function isSwitch(name: string): boolean {
  return ASKED_FOR.some((known) => known === name);
}

function parseFlags(parser: ReturnType<typeof flagParser>): ReadonlyMap<string, unknown> {
  try {
    const flags = new Map<string, unknown>(Object.entries(parser.parseSync()));
    const words = flags.get('_');
    if (Array.isArray(words) && words.length > 0) throw new Error(`Unknown argument: ${words.join(' ')}`);
    return flags;
  } catch (error) {
    const message = messageOf(error).replaceAll('\n', ' ');
    const flag = /^Not enough arguments following: (\S+)$/.exec(message)?.[1];
    if (flag !== undefined) throw new UsageError(`--${printable(flag, 64)} needs a value; ${TRY_HELP}`);
    throw new UsageError(`${printable(message, 200)}; ${KNOWN_FLAGS}`, { cause: error });
  }
}

function helpOf(parser: ReturnType<typeof flagParser>): string {
  let help = '';
  parser.showHelp((text) => {
    help = text;
  });
  return help;
}

function settingsOf(path: string): ReadonlyMap<Setting, Given> {
  const file = readConfigFile(path);
  const settings = new Map<Setting, Given>();
  for (const [key, value] of file.values) {
    const where = `${file.where(key)}: ${printable(key, 64)}`;
    if (!isSetting(key))
      throw new UsageError(`${where} is no setting; known are ${Object.keys(SETTINGS).join(', ')}`);
    // `record:` with nothing behind it is a setting left open, not one of value null.
    if (value === null) throw new UsageError(`${where} has no value; give one or remove the line`);
    settings.set(key, { value, where });
  }
  return settings;
}

function isSetting(key: string): key is Setting {
  return Object.hasOwn(SETTINGS, key);
}

function single(value: unknown, where: string): string | undefined {
  if (value === undefined) return undefined;
  if (Array.isArray(value)) throw new UsageError(`${where} takes one value; give it once`);
  if (typeof value !== 'string') throw new UsageError(`${where} must be text; put it in quotes`);
  if (value === '') throw new UsageError(`${where} needs a value; ${TRY_HELP}`);
  return value;
}

function portOf({ value, where }: Given): number {
  const port = typeof value === 'string' && /^\d{1,5}$/.test(value) ? Number(value) : value;
  if (typeof port === 'number' && Number.isInteger(port) && port >= 0 && port <= 65535) return port;
  throw new UsageError(`${where} must be one port from 0 to 65535, e.g. 9469, not ${shown(value)}`);
}

function probesOf(given: Given | undefined): readonly BuiltinProbe[] {
  if (given === undefined) return BUILTIN_PROBES;
  const { value, where } = given;
  const names = typeof value === 'string' ? value.split(',').map((name) => name.trim()) : value;
  if (!Array.isArray(names))
    throw new UsageError(`${where} must be a list such as tcp,waits, not ${shown(value)}`);
  if (names.length === 1 && names[0] === 'none') return [];
  for (const name of names) {
    if (ALL_PROBES.some((known) => known === name)) continue;
    throw new UsageError(
      `${where}: no probe ${shown(name)}; known are ${[...BUILTIN_PROBES, ...ASKED_FOR].join(', ')}, or none`,
    );
  }
  return ALL_PROBES.filter((probe) => names.includes(probe));
}

/** `--gpu-trace` adds the probe of that name, `gpu-trace: false` in a file takes nothing away. */
function withAskedFor(
  probes: readonly BuiltinProbe[],
  name: BuiltinProbe,
  given: Given | undefined,
): readonly BuiltinProbe[] {
  if (given === undefined || given.value === false) return probes;
  if (given.value !== true)
    throw new UsageError(`${given.where} is on or off; write it alone, or true or false in a file`);
  return ALL_PROBES.filter((probe) => probe === name || probes.includes(probe));
}

function commandsOf(given: Given | undefined): readonly (readonly string[])[] {
  if (given === undefined) return [];
  const commands: readonly unknown[] = Array.isArray(given.value) ? given.value : [given.value];
  return commands.map((command) => {
    if (typeof command !== 'string')
      throw new UsageError(`${given.where}: ${shown(command)} is no command; put it in quotes`);
    try {
      return splitCommand(command);
    } catch (error) {
      throw new UsageError(`${given.where}: ${messageOf(error)}`, { cause: error });
    }
  });
}

function levelOf(name: string): LogLevel {
  const level = LOG_LEVELS.find((known) => known === name);
  if (level === undefined)
    throw new UsageError(`--log-level must be one of ${LOG_LEVELS.join(', ')}, not ${shown(name)}`);
  return level;
}

function requireDirectory(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return;
  throw new UsageError(`--rules: ${printable(path, 200)} is no directory; name one that holds rule files`);
}

/** For a message: short, on one line, harmless. */
function shown(value: unknown): string {
  return printable(JSON.stringify(value) ?? String(value), 80);
}
