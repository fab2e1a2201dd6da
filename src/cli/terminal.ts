/** What the CLI writes to, and what it may use there. */
import { ascii } from './render/clean.js';

export interface Output {
  write(text: string): boolean;
  readonly isTTY?: boolean;
  readonly columns?: number;
  once(event: 'drain', listener: () => void): unknown;
}

export interface Terminal {
  /** Resolves when the reader has room again. */
  print(text: string): Promise<void>;
  complain(line: string): void;
  readonly style: Style;
}

export interface Style {
  /** Columns to wrap prose at. */
  readonly width: number;
  /** Columns to cut the rows of a table at: none when a program reads them. */
  readonly tableWidth: number;
  readonly color: boolean;
  /** Tree lines and marks beyond ASCII. */
  readonly unicode: boolean;
}

export interface Streams {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const DEFAULT_COLUMNS = 80;
/** Prose is hard to read beyond this, and below the other there is nothing left to wrap. */
const MAX_PROSE_COLUMNS = 110;
const MIN_COLUMNS = 24;

export function createTerminal(streams: Streams, noColor: boolean): Terminal {
  const { stdout, env } = streams;
  const style = styleOf(stdout, env, noColor);
  return {
    print: (text) => {
      if (stdout.write(text)) return Promise.resolve();
      return new Promise((resolve) => stdout.once('drain', resolve));
    },
    complain: (line) => void streams.stderr.write(`${style.unicode ? line : ascii(line)}\n`),
    style,
  };
}

function styleOf(stdout: Output, env: Streams['env'], noColor: boolean): Style {
  const isTty = stdout.isTTY === true;
  const columns = Math.max(MIN_COLUMNS, (isTty ? stdout.columns : undefined) || DEFAULT_COLUMNS);
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || '';
  return {
    width: Math.min(columns, MAX_PROSE_COLUMNS),
    tableWidth: isTty ? columns : Number.POSITIVE_INFINITY,
    color: isTty && !noColor && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb',
    unicode: /utf-?8/i.test(locale),
  };
}
