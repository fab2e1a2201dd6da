/**
 * A sentence without anything that names this site. It goes out word by word through a list of words that may (words.ts),
 * numbers with them; everything else becomes a token.
 */
import { isIP } from 'node:net';
import { looksLikeToken, tokensIn, type TokenTable } from './tokens.js';
import { isPlainWord, isUnit } from './words.js';

const MAX_TEXT = 1_000;
/** A smaller number in a sentence is a count far more often than somebody's pid. */
const SMALL_NUMBER = 100;

const NUMBER = /^[-+~<>]?\d{1,3}(?:,\d{3})+(?:\.\d+)?%?$|^[-+~<>]?\d{1,15}(?:\.\d{1,9})?%?$/;
const NUMBER_AND_UNIT = /^\d{1,15}(?:\.\d{1,9})?([A-Za-z%/]{1,8})$/;
const PID_WORDS = new Set(['pid', 'process', 'thread', 'tid', 'child', 'parent']);

interface Segment {
  readonly text: string;
  readonly isToken: boolean;
}

export class FreeText {
  readonly #tokens: TokenTable;
  /** Numbers of processes and threads, and their tokens. */
  readonly #pids: ReadonlyMap<string, string>;
  #names: readonly string[] | undefined;

  constructor(tokens: TokenTable, pids: ReadonlyMap<string, string>) {
    this.#tokens = tokens;
    this.#pids = pids;
  }

  /** Free text with nothing in it but known words, plain numbers and tokens. */
  text(text: string): string {
    const cut = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)} …` : text;
    let before = '';
    let out = '';
    for (const { text: part, isToken } of this.#segments(cut)) {
      out += isToken ? part : this.#behind(before, part);
      before = isToken ? part : '';
    }
    return out;
  }

  /** A name was learned: sentences are searched for it from here on. */
  forget(): void {
    this.#names = undefined;
  }

  /** The token of an address, as a node and as a part of a flow. */
  host(address: string, id?: string): string {
    this.forget();
    return this.#tokens.give('host', address, { id: id ?? `peer:${address}`, shown: address });
  }

  /** `text` cut at every name that is known. */
  #segments(text: string): readonly Segment[] {
    this.#names ??= this.#tokens.names().filter((name) => name.length > 1);
    let segments: Segment[] = [{ text, isToken: false }];
    for (const name of this.#names) {
      if (!text.includes(name)) continue;
      const token = this.#tokens.find(name) ?? '';
      segments = segments.flatMap((segment) =>
        segment.isToken ? [segment] : splitAt(segment.text, name, token),
      );
    }
    return segments;
  }

  /** Text behind a token: a port behind an address, a name in brackets behind a process. */
  #behind(token: string, text: string): string {
    const [port, number] = /^:(\d{1,5})(?!\w)/.exec(text) ?? [];
    if (token.startsWith('host-') && port !== undefined && number !== undefined) {
      return `:${this.port(number)}${this.#plain(text.slice(port.length))}`;
    }
    const [named, name] = /^ \(([^()]{1,64})\)/.exec(text) ?? [];
    if (/^(?:process|thread)-/.test(token) && named !== undefined && name !== undefined) {
      return ` (${this.#tokens.give('name', name)})${this.#plain(text.slice(named.length))}`;
    }
    return this.#plain(text);
  }

  port(number: string): string {
    return this.#tokens.give('port', `port ${number}`, { shown: number });
  }

  /** Text without known names: each word for itself. */
  #plain(text: string): string {
    let out = '';
    let from = 0;
    // `4242 (python3)` is how processes and threads are written: what is in the brackets is a name, also if it is a word.
    for (const match of text.matchAll(/(?<![\w.,])(\d{1,7}) \(([^()]{1,64})\)/g)) {
      const [all, number = '', name = ''] = match;
      out += `${this.#words(text.slice(from, match.index))}${this.#numberToken(number)} (${this.#tokens.give('name', name)})`;
      from = match.index + all.length;
    }
    return out + this.#words(text.slice(from));
  }

  #words(text: string): string {
    const words = text.split(/(\s+)/);
    return words
      .map((word, at) => (at % 2 === 1 ? ' ' : this.#word(word, words[at - 2], words[at + 2])))
      .join('');
  }

  #word(word: string, before = '', after = ''): string {
    const [, v6 = '', rest = ''] = /^(\[[^\]]{2,64}\](?::\d{1,5})?)([.,:;!?…)]{0,4})$/u.exec(word) ?? [];
    if (v6 !== '' && endpointOf(v6) !== undefined) return `${this.#core(v6, before, after)}${rest}`;
    const [, opening = '', core = '', closing = ''] =
      /^([("'`[{<]{0,8})(.*?)([)"'`\]}>.,:;!?…]{0,8})$/su.exec(word) ?? [];
    if (core === '') return /^[("'[\])}.,:;!?…-]*$/u.test(word) ? word : '';
    return `${opening}${this.#core(core, before, closing === '' ? after : '')}${closing}`;
  }

  #core(core: string, before: string, after: string): string {
    if (looksLikeToken(core)) return this.#tokens.give('name', core);
    if (NUMBER.test(core)) return this.#number(core, before, after);
    if (isUnit(core) && NUMBER.test(before.replace(/^\W+/, ''))) return core;
    const unit = NUMBER_AND_UNIT.exec(core)?.[1];
    if (unit !== undefined && isUnit(unit)) return core;
    if (isPlainWord(core)) return core;
    const end = endpointOf(core);
    if (end !== undefined) {
      const host = this.host(end.address);
      if (end.port === undefined) return host;
      return `${host}:${this.port(end.port)}`;
    }
    if (/^[-=+*→–—|/]{1,3}$/u.test(core)) return core;
    if (this.#isCompound(core)) return core;
    return this.#tokens.give(core.includes('/') ? 'path' : 'name', core);
  }

  #number(core: string, before: string, after: string): string {
    const [, sign = '', digits = ''] = /^([-+~<>]?)(\d{1,15})$/.exec(core) ?? [];
    if (digits === '') return core;
    const isNamed = PID_WORDS.has(before.toLowerCase().replace(/\W/g, ''));
    const isCount = isUnit(after);
    const pid = this.#pids.get(digits);
    if (pid !== undefined && (isNamed || (Number(digits) >= SMALL_NUMBER && !isCount))) return sign + pid;
    if (isNamed || before.toLowerCase() === 'port') return sign + this.#numberToken(digits);
    // Long and without a unit: an inode, a pid, a user; the sizes of our own sentences have commas.
    return digits.length >= 4 && !isCount ? sign + this.#numberToken(digits) : core;
  }

  /** `read/write`, `un-acked`, `RETRY_EXC_ERR`, `xid-79`, `host's`: made of plain words and small numbers only. */
  #isCompound(core: string): boolean {
    const parts = core.split(/[-/_=.:]|'s$/).filter((part) => part !== '');
    return (
      parts.length > 1 &&
      parts.length <= 6 &&
      // One stroke between two words; more of them, or one behind something else, is a path.
      /^[^/]*(?:[A-Za-z]\/[^/]*)?$/.test(core) &&
      // `ip=10.0.0.2`, `pid=0::be:0` and `pid=77` are made of such parts as well, and so is `process-1/disk-2`.
      !/\d[.:]|[.:]\d|::/.test(core) &&
      !(parts.some((part) => PID_WORDS.has(part.toLowerCase())) && /\d/.test(core)) &&
      tokensIn(core).length === 0 &&
      parts.some((part) => isPlainWord(part)) &&
      parts.every((part) => isPlainWord(part) || (/^\d{1,3}$/.test(part) && !this.#pids.has(part)))
    );
  }

  #numberToken(number: string): string {
    return this.#pids.get(number) ?? this.#tokens.give('number', `number ${number}`, { shown: number });
  }
}

/** `10.0.0.2:29500`, `[fd00::2]:29500`, `10.0.0.2`, `fd00::2`; undefined for anything else. */
export function endpointOf(
  text: string,
): { readonly address: string; readonly port: string | undefined } | undefined {
  const [, bracketed, port] = /^\[([0-9a-fA-F:.%\w]{2,64})\](?::(\d{1,5}))?$/.exec(text) ?? [];
  if (bracketed !== undefined && isIP(bracketed) === 6) return { address: bracketed, port };
  const [, v4, v4port] = /^(\d{1,3}(?:\.\d{1,3}){3})(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (v4 !== undefined && isIP(v4) === 4) return { address: v4, port: v4port };
  return isIP(text) === 6 ? { address: text, port: undefined } : undefined;
}

/** `name` cut out of `text` wherever it stands for itself and is not a part of a longer word. */
function splitAt(text: string, name: string, token: string): Segment[] {
  const segments: Segment[] = [];
  let from = 0;
  for (let at = text.indexOf(name); at !== -1; at = text.indexOf(name, at + 1)) {
    if (at < from || isWordPart(text[at - 1], name[0]) || isWordPart(text[at + name.length], name.at(-1)))
      continue;
    segments.push({ text: text.slice(from, at), isToken: false }, { text: token, isToken: true });
    from = at + name.length;
  }
  segments.push({ text: text.slice(from), isToken: false });
  return segments;
}

/** Whether a letter or digit beside one of the name's makes it part of a longer word. */
function isWordPart(beside: string | undefined, edge: string | undefined): boolean {
  const isWord = /[\p{L}\p{N}_]/u;
  return beside !== undefined && edge !== undefined && isWord.test(beside) && isWord.test(edge);
}
