/**
 * The two-way table between real names and the tokens that stand for them outside of this node:
 * `pid:4242` ↔ `process-1`, `10.0.0.2` ↔ `host-1`. A token means the same thing everywhere in one
 * question and nothing at all in the next one.
 */

/** Kinds of token by the prefix of a node id. What is not listed is a `thing`. */
const KIND_OF_PREFIX = {
  pid: 'process',
  flow: 'flow',
  peer: 'host',
  pipe: 'pipe',
  unix: 'socket',
  lock: 'lock',
  futex: 'futex',
  poll: 'pollset',
  file: 'file',
  dev: 'device',
  net: 'link',
  block: 'disk',
  fs: 'filesystem',
  cgroup: 'cgroup',
  gpu: 'gpu',
  nvswitch: 'nvswitch',
  comm: 'communicator',
  rdma: 'rdmaport',
  qp: 'queuepair',
} as const;

const OTHER_KINDS = ['thread', 'port', 'path', 'name', 'number', 'thing'] as const;

export type TokenKind = (typeof KIND_OF_PREFIX)[keyof typeof KIND_OF_PREFIX] | (typeof OTHER_KINDS)[number];

const KINDS: readonly TokenKind[] = [...new Set([...Object.values(KIND_OF_PREFIX), ...OTHER_KINDS])];
const TOKEN = new RegExp(`^(?:${KINDS.join('|')})-\\d{1,6}$`, 'i');
const TOKENS_IN_TEXT = new RegExp(`(?<![A-Za-z0-9_-])(?:${KINDS.join('|')})-\\d{1,6}(?![A-Za-z0-9_])`, 'gi');

export function kindOfPrefix(prefix: string): TokenKind {
  return Object.hasOwn(KIND_OF_PREFIX, prefix)
    ? KIND_OF_PREFIX[prefix as keyof typeof KIND_OF_PREFIX]
    : 'thing';
}

/** Whether a word looks like one of ours, whoever wrote it. */
export function looksLikeToken(word: string): boolean {
  return TOKEN.test(word);
}

/** Every word of `text` that looks like a token, in order, as written. */
export function tokensIn(text: string): readonly string[] {
  return text.match(TOKENS_IN_TEXT) ?? [];
}

interface Meaning {
  /** The node id, where the token stands for a node. */
  readonly id: string | undefined;
  /** What people read. */
  readonly shown: string;
}

export class TokenTable {
  readonly #counts = new Map<TokenKind, number>();
  readonly #byReal = new Map<string, string>();
  readonly #meanings = new Map<string, Meaning>();

  /** The token of a real name; made on first sight. The same text has one token, whatever it is met as next. */
  give(kind: TokenKind, real: string, meaning: Partial<Meaning> = {}): string {
    const known = this.#byReal.get(real);
    if (known !== undefined) return known;
    const serial = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, serial);
    const token = `${kind}-${serial}`;
    this.#byReal.set(real, token);
    this.#meanings.set(token, { id: meaning.id, shown: meaning.shown ?? real });
    return token;
  }

  /** From here on `real` is replaced by `token`, too. */
  alias(real: string, token: string): void {
    if (!this.#byReal.has(real)) this.#byReal.set(real, token);
  }

  find(real: string): string | undefined {
    return this.#byReal.get(real);
  }

  /** Real names that have a token, longest first: a path is replaced before its parts are. */
  names(): readonly string[] {
    return [...this.#byReal.keys()].sort((a, b) => b.length - a.length || (a < b ? -1 : 1));
  }

  has(token: string): boolean {
    return this.#meanings.has(token.toLowerCase());
  }

  /** The node that a token stands for. */
  nodeOf(token: string): string | undefined {
    return this.#meanings.get(token.toLowerCase())?.id;
  }

  /** `text` with every token of this table put back into words. */
  restore(text: string): string {
    return text.replace(TOKENS_IN_TEXT, (token) => this.#meanings.get(token.toLowerCase())?.shown ?? token);
  }
}
