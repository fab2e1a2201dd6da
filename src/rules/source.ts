/** A rule file's text as a value in which every part still knows its line: YAML and TOML alike. */
import { XctlError } from '../util/errors.js';
import type { Flaw, Path } from './schema-check.js';

export interface Source {
  readonly value: unknown;
  /** Offset of the part at this path; of the nearest one around it where it has none of its own. */
  readonly offsetOf: (path: Path) => number;
}

/** The text is no YAML, no TOML, or too much of it. */
export class SourceError extends XctlError {
  override readonly name = 'SourceError';
  readonly offset: number;

  constructor(message: string, offset: number, options?: ErrorOptions) {
    super(message, options);
    this.offset = offset;
  }
}

export const MAX_DEPTH = 24;
/** Aliases written out. */
const MAX_VALUES = 50_000;

/** Offsets by path. A path is joined by a character that no key of a rule has; others only name a place. */
export class Offsets {
  readonly #byPath = new Map<string, number>();

  set(path: Path, offset: number): void {
    this.#byPath.set(path.join('\0'), offset);
  }

  find(path: Path): number {
    for (let length = path.length; length >= 0; length--) {
      const offset = this.#byPath.get(path.slice(0, length).join('\0'));
      if (offset !== undefined) return offset;
    }
    return 0;
  }

  has(path: Path): boolean {
    return this.#byPath.has(path.join('\0'));
  }
}

/** An alias within aliases, or one that is part of itself, would be more than there is memory for. */
export function tooMuch(value: unknown): Flaw | undefined {
  let values = 0;
  const walk = (part: unknown, path: Path): Flaw | undefined => {
    if (++values > MAX_VALUES)
      return { path, message: `holds over ${MAX_VALUES} values with its aliases written out` };
    if (path.length > MAX_DEPTH) return { path, message: `is nested deeper than ${MAX_DEPTH} levels` };
    if (typeof part !== 'object' || part === null) return undefined;
    for (const [key, item] of Object.entries(part)) {
      const flaw = walk(item, [...path, Array.isArray(part) ? Number(key) : key]);
      if (flaw !== undefined) return flaw;
    }
    return undefined;
  };
  return walk(value, []);
}

export interface LineColumn {
  readonly line: number;
  readonly column: number;
}

/** Both from 1 on, as editors count. */
export function lineColumn(text: string, offset: number): LineColumn {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: [...before.slice(lineStart)].length + 1 };
}
