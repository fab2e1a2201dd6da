/**
 * TOML by smol-toml, which says where a text is no TOML but not where its values stand. So the places come from a second
 * pass over text that is known to be valid: it reads keys and passes over values.
 */
import { parse, TomlError } from 'smol-toml';
import { messageOf } from '../util/errors.js';
import type { Path } from './schema-check.js';
import { MAX_DEPTH, Offsets, type Source, SourceError } from './source.js';

/** @throws SourceError */
export function readToml(text: string): Source {
  let value: unknown;
  try {
    value = parse(text, { maxDepth: MAX_DEPTH, unsafeKeyBehaviour: 'throw' });
  } catch (error) {
    // Whatever a hostile text makes a parser throw is a bad file and no more.
    if (!(error instanceof TomlError)) throw new SourceError(messageOf(error), 0, { cause: error });
    const [reason = ''] = error.message.replace(/^Invalid TOML document: /, '').split('\n');
    throw new SourceError(`not TOML: ${reason}`, offsetAt(text, error.line, error.column), { cause: error });
  }
  if (text.trim() === '') throw new SourceError('is empty', 0);
  const places = new TomlPlaces(text);
  return { value, offsetOf: (path) => places.offsets.find(path) };
}

function offsetAt(text: string, line: number, column: number): number {
  let offset = 0;
  for (let at = 1; at < line; at++) offset = text.indexOf('\n', offset) + 1;
  return offset + Math.max(0, column - 1);
}

const SPACE = /[ \t]*/y;
/** White space, line ends and comments: what may stand between the members of a list. */
const BETWEEN = /(?:[ \t\r\n]+|#[^\n]*)*/y;
const BARE_KEY = /[A-Za-z0-9_-]+/y;
const BASIC = /"(?:[^"\\\n]|\\.)*"/y;
const LITERAL = /'[^'\n]*'/y;
const LONG_BASIC = /"""(?:[^"\\]|\\[\s\S]|"{1,2}(?!"))*"{3,5}/y;
const LONG_LITERAL = /'''(?:[^']|'{1,2}(?!'))*'{3,5}/y;
const PLAIN = /[^,\]}\n#]*/y;

/** Where each key and each member of a list begins. */
export class TomlPlaces {
  readonly offsets = new Offsets();
  readonly #text: string;
  /** Tables so far in each `[[list]]`, by its path. */
  readonly #tables = new Map<string, number>();
  #at = 0;

  /** @param text that smol-toml takes */
  constructor(text: string) {
    this.#text = text;
    let table: Path = [];
    for (this.#skip(BETWEEN); this.#at < text.length; this.#skip(BETWEEN)) {
      const start = this.#at;
      if (text[this.#at] === '[') table = this.#header();
      else this.#pair(table);
      // Not of the text that was promised: better no places than no end.
      if (this.#at === start) return;
    }
  }

  #header(): Path {
    const start = this.#at;
    const isList = this.#text.startsWith('[[', start);
    this.#at += isList ? 2 : 1;
    const keys = this.#keys();
    this.#at += isList ? 2 : 1;
    const path = this.#within([], isList ? keys.slice(0, -1) : keys);
    for (let length = 1; length <= path.length; length++) this.#mention(path.slice(0, length), start);
    const last = keys.at(-1);
    if (!isList || last === undefined) return path;
    const list = [...path, last];
    const index = this.#tables.get(list.join('\0')) ?? 0;
    this.#tables.set(list.join('\0'), index + 1);
    this.#mention(list, start);
    this.offsets.set([...list, index], start);
    return [...list, index];
  }

  /** Where keys lead to: in a list of tables to the last of them. */
  #within(table: Path, keys: readonly string[]): Path {
    let path = table;
    for (const key of keys) {
      path = [...path, key];
      const tables = this.#tables.get(path.join('\0'));
      if (tables !== undefined) path = [...path, tables - 1];
    }
    return path;
  }

  #pair(table: Path): void {
    const start = this.#at;
    let path = table;
    for (const key of this.#keys()) {
      path = [...path, key];
      this.#mention(path, start);
    }
    this.#skip(SPACE);
    this.#at++;
    this.#skip(SPACE);
    this.#value(path);
  }

  /** `[a.b]` and `a.b = 1` speak of `a` too. */
  #mention(path: Path, start: number): void {
    if (!this.offsets.has(path)) this.offsets.set(path, start);
  }

  #keys(): readonly string[] {
    const keys: string[] = [];
    do {
      if (keys.length > 0) this.#at++;
      this.#skip(SPACE);
      keys.push(this.#key());
      this.#skip(SPACE);
    } while (this.#text[this.#at] === '.');
    return keys;
  }

  #key(): string {
    switch (this.#text[this.#at]) {
      case '"':
        return unquote(this.#take(BASIC));
      case "'":
        return this.#take(LITERAL).slice(1, -1);
      default:
        return this.#take(BARE_KEY);
    }
  }

  #value(path: Path): void {
    const rest = this.#text.slice(this.#at, this.#at + 3);
    if (rest === '"""') this.#take(LONG_BASIC);
    else if (rest === "'''") this.#take(LONG_LITERAL);
    else if (rest.startsWith('"')) this.#take(BASIC);
    else if (rest.startsWith("'")) this.#take(LITERAL);
    else if (rest.startsWith('[')) this.#members(']', (at) => this.#member(path, at));
    else if (rest.startsWith('{')) this.#members('}', () => this.#pair(path));
    else this.#take(PLAIN);
  }

  #member(list: Path, at: number): void {
    this.offsets.set([...list, at], this.#at);
    this.#value([...list, at]);
  }

  #members(end: string, one: (at: number) => void): void {
    this.#at++;
    for (let at = 0; ; at++) {
      this.#skip(BETWEEN);
      const start = this.#at;
      if (this.#text[start] === end || start >= this.#text.length) break;
      one(at);
      this.#skip(BETWEEN);
      if (this.#text[this.#at] === ',') this.#at++;
      if (this.#at === start) return;
    }
    this.#at++;
  }

  #skip(what: RegExp): void {
    this.#take(what);
  }

  #take(what: RegExp): string {
    what.lastIndex = this.#at;
    const [found = ''] = what.exec(this.#text) ?? [];
    this.#at += found.length;
    return found;
  }
}

/** Of a key with escapes only its place is wanted, and a rule has none such. */
function unquote(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' ? value : text;
  } catch {
    return text;
  }
}
