/**
 * The whole of a terminal for a command that redraws it: its second screen, no cursor, keys as they are pressed. Whatever
 * ends the command (a key, a signal, an error), the terminal is left as it was found, and what stood on it is back.
 */
import type { Output } from './terminal.js';

export interface ScreenOutput extends Output {
  readonly rows?: number;
  on?(event: 'resize', listener: () => void): unknown;
  off?(event: 'resize', listener: () => void): unknown;
}

/** The part of process.stdin that is needed. */
export interface Keyboard {
  readonly isTTY?: boolean;
  setRawMode?(raw: boolean): unknown;
  on(event: 'data', listener: (typed: Buffer | string) => void): unknown;
  on(event: 'end' | 'error', listener: () => void): unknown;
  off(event: 'data', listener: (typed: Buffer | string) => void): unknown;
  off(event: 'end' | 'error', listener: () => void): unknown;
  resume(): unknown;
  pause(): unknown;
}

export interface ScreenWorld {
  readonly stdout: ScreenOutput;
  readonly stdin?: Keyboard;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly beforeEnd?: (undo: () => void) => () => void;
  readonly stop?: (then: () => void) => void;
}

export type Key =
  | 'up'
  | 'down'
  | 'page-up'
  | 'page-down'
  | 'home'
  | 'end'
  | 'quit'
  | 'stop'
  | 'redraw'
  | { readonly text: string };

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

export interface Screen {
  readonly size: () => Size;
  /** What is on the screen from now on; lines beyond its last row are left out. Each fits into its columns. */
  readonly draw: (lines: readonly string[]) => void;
  /** From now on, until `close`. */
  readonly open: (onKey: (key: Key) => void, onResize: () => void) => void;
  /** Gives the terminal to the shell until `fg`; then asks for a new picture. */
  readonly stop: () => void;
  readonly close: () => void;
}

const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
/** Clear to the end of the line; to the end of the screen. */
const CLEAR_LINE = '\u001b[K';
const CLEAR_REST = '\u001b[J';

const FALLBACK: Size = { columns: 80, rows: 24 };

/** undefined: no terminal, or one that cannot be redrawn. */
export function openScreen(world: ScreenWorld): Screen | undefined {
  const { stdin, stdout, env } = world;
  if (stdout.isTTY !== true || stdin?.isTTY !== true || stdin.setRawMode === undefined) return undefined;
  if (env.TERM === undefined || env.TERM === '' || env.TERM === 'dumb') return undefined;
  return new TerminalScreen(world, stdin);
}

class TerminalScreen implements Screen {
  readonly #world: ScreenWorld;
  readonly #stdin: Keyboard;
  #undo: (() => void) | undefined;
  #shown = false;
  #redraw = (): void => {};
  /** The terminal has not read what it was last sent; the newest lines wait. */
  #busy = false;
  #next: readonly string[] | undefined;

  constructor(world: ScreenWorld, stdin: Keyboard) {
    this.#world = world;
    this.#stdin = stdin;
  }

  readonly size = (): Size => {
    const { columns, rows } = this.#world.stdout;
    return { columns: columns || FALLBACK.columns, rows: rows || FALLBACK.rows };
  };

  readonly open = (onKey: (key: Key) => void, onResize: () => void): void => {
    const { stdout, beforeEnd } = this.#world;
    let isFirst = true;
    const onData = (typed: Buffer | string): void => {
      const text = String(typed);
      // Ctrl-D from before the keys came as they are pressed: the terminal kept it as a zero.
      const hasEnded = isFirst && text.includes('\u0000');
      isFirst = false;
      if (hasEnded) onKey('quit');
      else for (const key of keysOf(text)) onKey(key);
    };
    // A terminal that is gone types no `q` any more.
    const onGone = (): void => onKey('quit');
    this.#redraw = onResize;
    this.#show();
    this.#stdin.on('data', onData);
    this.#stdin.on('end', onGone);
    this.#stdin.on('error', onGone);
    stdout.on?.('resize', onResize);
    const forget = beforeEnd?.(() => this.#hide());
    this.#undo = () => {
      this.#stdin.off('data', onData);
      this.#stdin.off('end', onGone);
      this.#stdin.off('error', onGone);
      stdout.off?.('resize', onResize);
      forget?.();
    };
  };

  readonly draw = (lines: readonly string[]): void => {
    if (!this.#shown) return;
    if (this.#busy) {
      this.#next = lines;
      return;
    }
    const { stdout } = this.#world;
    const fitting = lines.slice(0, this.size().rows);
    const text = fitting.map((line) => `${line}${CLEAR_LINE}`).join('\r\n');
    if (stdout.write(`${HOME}${text}${fitting.length < this.size().rows ? CLEAR_REST : ''}`)) return;
    this.#busy = true;
    stdout.once('drain', () => {
      this.#busy = false;
      const next = this.#next;
      this.#next = undefined;
      if (next !== undefined) this.draw(next);
    });
  };

  readonly stop = (): void => {
    const { stop } = this.#world;
    if (stop === undefined) return;
    this.#hide();
    stop(() => {
      if (this.#undo === undefined) return;
      this.#show();
      this.#redraw();
    });
  };

  readonly close = (): void => {
    this.#undo?.();
    this.#undo = undefined;
    this.#hide();
  };

  #show(): void {
    if (this.#shown) return;
    this.#shown = true;
    this.#stdin.setRawMode?.(true);
    this.#stdin.resume();
    this.#world.stdout.write(ENTER);
  }

  #hide(): void {
    if (!this.#shown) return;
    this.#shown = false;
    this.#world.stdout.write(LEAVE);
    this.#stdin.setRawMode?.(false);
    this.#stdin.pause();
  }
}

const SEQUENCES: Readonly<Record<string, Key>> = {
  '\u001b[A': 'up',
  '\u001bOA': 'up',
  '\u001b[B': 'down',
  '\u001bOB': 'down',
  '\u001b[5~': 'page-up',
  '\u001b[6~': 'page-down',
  '\u001b[H': 'home',
  '\u001bOH': 'home',
  '\u001b[1~': 'home',
  '\u001b[F': 'end',
  '\u001bOF': 'end',
  '\u001b[4~': 'end',
};

const LETTERS: Readonly<Record<string, Key>> = {
  '\u0003': 'quit',
  '\u0004': 'quit',
  '\u000c': 'redraw',
  '\u001a': 'stop',
  q: 'quit',
  Q: 'quit',
  k: 'up',
  j: 'down',
  g: 'home',
  G: 'end',
  ' ': 'page-down',
};

/** What was typed, key by key: several may come at once. Sequences that nothing is known of are no keys. */
export function keysOf(typed: string): readonly Key[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is how keys are sent
  const parts = typed.match(/\u001b(?:\[[0-9;]*[ -/]*[@-~]|O[@-~])?|[^\u001b]/gu) ?? [];
  return parts.flatMap((part): readonly Key[] => {
    const key = SEQUENCES[part] ?? LETTERS[part];
    if (key !== undefined) return [key];
    return /^[a-zA-Z]$/.test(part) ? [{ text: part }] : [];
  });
}
