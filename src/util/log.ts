/**
 * Structured log: one JSON object a line on stderr, `{"ts":…,"level":…,"msg":…,…}`.
 * JSON escapes control characters, so a hostile process name cannot reach a terminal through it.
 */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(msg: string, fields?: LogFields): void;
  info(msg: string, fields?: LogFields): void;
  warn(msg: string, fields?: LogFields): void;
  error(msg: string, fields?: LogFields): void;
  /** The same log with fields added to every line, e.g. `{ component: 'loader' }`. */
  child(fields: LogFields): Log;
}

const ORDER: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** @param write receives whole lines; stderr unless a test wants them. */
export function createLog(
  level: LogLevel,
  write: (line: string) => void = (line) => void process.stderr.write(line),
  base: LogFields = {},
): Log {
  const emit = (at: LogLevel, msg: string, fields: LogFields | undefined): void => {
    if (ORDER[at] < ORDER[level]) return;
    write(`${JSON.stringify({ ts: new Date().toISOString(), level: at, msg, ...base, ...fields })}\n`);
  };
  return {
    debug: (msg, fields) => emit('debug', msg, fields),
    info: (msg, fields) => emit('info', msg, fields),
    warn: (msg, fields) => emit('warn', msg, fields),
    error: (msg, fields) => emit('error', msg, fields),
    child: (fields) => createLog(level, write, { ...base, ...fields }),
  };
}
