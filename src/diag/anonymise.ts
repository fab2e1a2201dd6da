/**
 * An answer without anything that names this site: what a model gets to see.
 *
 * Free text (summaries, notes, lines of the kernel log) goes out word by word through a list of words that
 * may (words.ts), numbers with them; everything else becomes a token. A list of what is secret would always
 * be too short: whatever nobody thought of, the name of a project, a command line, an instruction that
 * somebody hid in a process name, would pass. This way round it cannot.
 */
import { isIP } from 'node:net';
import { isCatalogueType } from '../events/catalogue.js';
import { pidOf } from '../events/ids.js';
import { PROBE_NAMES } from '../events/event.js';
import { type Evidence, type Finding, SCENES, SUB_SCENES, type WhyAnswer } from '../scene/answer.js';
import { kindOfPrefix, looksLikeToken, tokensIn, TokenTable } from './tokens.js';
import { isPlainWord, isUnit } from './words.js';

export interface AnonymousLink {
  readonly from: string;
  readonly edge: string;
  readonly to: string;
  readonly forMs: number;
  readonly note?: string;
  readonly evidence: readonly string[];
}

export interface AnonymousEvidence {
  readonly id: string;
  readonly agoMs: number;
  readonly probe: string;
  readonly type: string;
  readonly of: string;
  readonly value: number | string;
  readonly unit: string;
  readonly detail?: string;
}

export interface AnonymousFinding {
  readonly verdict: string;
  readonly scene: string | null;
  readonly subScene: string | null;
  readonly confidence: number;
  readonly summary: string;
  readonly cause: { readonly node: string; readonly type: string; readonly summary: string } | null;
}

export interface AnonymousAnswer extends AnonymousFinding {
  readonly target: { readonly node: string; readonly state: string };
  readonly chain: readonly AnonymousLink[];
  readonly evidence: readonly AnonymousEvidence[];
  readonly advice: readonly string[];
  readonly alternatives: readonly AnonymousFinding[];
}

/** A prompt is no place for thousands of facts; what is cut is said (AnonymousAnswer is built from the first). */
export const MAX_EVIDENCE = 120;
const MAX_LINKS = 60;
const MAX_TEXT = 1_000;
const MAX_ADVICE = 8;
/** A smaller number in a sentence is a count far more often than somebody's pid. */
const SMALL_NUMBER = 100;

const EVIDENCE_ID = /^e\d{1,4}$/;

const KNOWN_SUB_SCENES: ReadonlySet<string> = new Set(Object.values(SUB_SCENES).flat());
const EDGES = ['Consumes', 'WaitsOn', 'BlockedBy'] as const;
const NUMBER = /^[-+~<>]?\d{1,3}(?:,\d{3})+(?:\.\d+)?%?$|^[-+~<>]?\d{1,15}(?:\.\d{1,9})?%?$/;
const NUMBER_AND_UNIT = /^\d{1,15}(?:\.\d{1,9})?([A-Za-z%/]{1,8})$/;
/** Nodes whose name says what they are without its kind. */
const NAMED: ReadonlySet<string> = new Set(['block', 'fs', 'net', 'cgroup', 'rdma']);
const PID_WORDS = new Set(['pid', 'process', 'thread', 'tid', 'child', 'parent']);

interface Segment {
  readonly text: string;
  readonly isToken: boolean;
}

export class Anonymiser {
  readonly tokens = new TokenTable();
  /** Numbers of processes and threads. */
  readonly #pids = new Map<string, string>();
  #names: readonly string[] | undefined;

  /** Learns every name that the answer's structure gives away, so that its sentences can be searched for them. */
  constructor(answer: WhyAnswer) {
    const { target } = answer;
    this.id(`pid:${target.pid}`, target.comm);
    this.#name(target.comm);
    if (target.tid !== undefined) this.#thread(target.tid);
    this.#name(answer.node);
    for (const finding of [answer, ...(answer.alternatives ?? [])]) this.#learn(finding);
  }

  answer(answer: WhyAnswer): AnonymousAnswer {
    const now = Date.parse(answer.ts);
    return {
      target: {
        node: this.id(`pid:${answer.target.pid}`),
        state: answer.target.state === 'exited' ? 'exited' : 'running',
      },
      ...this.#finding(answer),
      chain: answer.chain.slice(0, MAX_LINKS).map((link) => ({
        from: this.id(link.from),
        edge: EDGES.find((edge) => edge === link.edge) ?? '',
        to: this.id(link.to),
        forMs: link.sinceMs,
        ...(link.note !== undefined && { note: this.text(link.note) }),
        evidence: link.evidence.filter((id) => EVIDENCE_ID.test(id)),
      })),
      evidence: answer.evidence
        .filter(({ id }) => EVIDENCE_ID.test(id))
        .slice(0, MAX_EVIDENCE)
        .map((proof) => this.#evidence(proof, now)),
      advice: answer.recommendations.slice(0, MAX_ADVICE).map((advice) => this.text(advice)),
      alternatives: (answer.alternatives ?? []).slice(0, 3).map((other) => this.#finding(other)),
    };
  }

  /** The token of a node id; `error:latency/block:sda` keeps what ails: `error:latency/disk-1`. */
  id(id: string, comm?: string): string {
    const error = /^error:([a-z0-9-]{1,32})\/(.+)$/s.exec(id);
    if (error !== null && !error[2]?.startsWith('error:'))
      return `error:${this.#ailment(error[1] ?? '')}/${this.id(error[2] ?? '')}`;
    const known = this.tokens.find(id);
    if (known !== undefined) return known;
    const colon = id.indexOf(':');
    const [prefix, rest] = colon === -1 ? ['', id] : [id.slice(0, colon), id.slice(colon + 1)];
    const pid = pidOf(id);
    // An address has one token, as a node and as a part of a flow.
    if (prefix === 'peer' && rest !== '') return this.#host(rest, id);
    const shown = pid === undefined ? (NAMED.has(prefix) && rest !== '' ? rest : id) : processText(pid, comm);
    const token = this.tokens.give(kindOfPrefix(prefix), id, { id, shown });
    this.#names = undefined;
    if (pid !== undefined) this.#pids.set(String(pid), token);
    else if (prefix === 'flow') this.#endpoints(rest);
    else this.#parts(prefix, rest, token);
    return token;
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

  restore(text: string): string {
    return this.tokens.restore(text);
  }

  #finding(finding: Finding): AnonymousFinding {
    const { rootCause } = finding;
    return {
      verdict: this.text(finding.verdict),
      scene: SCENES.find((scene) => scene === finding.scene) ?? null,
      subScene: this.#subScene(finding.subScene),
      confidence: finding.confidence,
      summary: this.text(finding.summary),
      cause:
        rootCause === null
          ? null
          : {
              node: this.id(rootCause.node),
              type: this.text(rootCause.type),
              summary: this.text(rootCause.summary),
            },
    };
  }

  #subScene(subScene: string | null): string | null {
    return subScene === null || KNOWN_SUB_SCENES.has(subScene)
      ? subScene
      : this.tokens.give('name', subScene);
  }

  #evidence(proof: Evidence, now: number): AnonymousEvidence {
    const at = Date.parse(proof.ts);
    return {
      id: proof.id,
      agoMs: Number.isFinite(now - at) ? Math.max(0, Math.round(now - at)) : 0,
      probe: PROBE_NAMES.find((name) => name === proof.probe) ?? this.text(proof.probe),
      type: this.#eventType(proof.type),
      of: this.id(proof.entity),
      value: proof.unit === 'pid' ? this.id(`pid:${proof.value}`) : proof.value,
      unit: this.text(proof.unit),
      ...(proof.detail !== undefined && { detail: this.text(proof.detail) }),
    };
  }

  /** What a `--probe` program calls its events is its own matter. */
  #eventType(type: string): string {
    return isCatalogueType(type) ? type : this.tokens.give('name', type);
  }

  #ailment(what: string): string {
    const isPlain = what.split('-').every((word) => isPlainWord(word) || /^\d{1,4}$/.test(word));
    return isPlain ? what : this.tokens.give('name', what);
  }

  #learn({ chain, evidence, rootCause }: Finding): void {
    for (const { from, to, tid } of chain) {
      this.id(from);
      this.id(to);
      if (tid !== undefined) this.#thread(tid);
    }
    for (const { entity } of evidence) this.id(entity);
    if (rootCause !== null) this.id(rootCause.node);
  }

  #thread(tid: number): void {
    const text = String(tid);
    if (this.#pids.has(text)) return;
    this.#pids.set(text, this.tokens.give('thread', `thread ${text}`));
  }

  #name(name: string): void {
    if (name === '') return;
    this.tokens.give('name', name);
    this.#names = undefined;
  }

  #host(address: string, id?: string): string {
    this.#names = undefined;
    return this.tokens.give('host', address, { id: id ?? `peer:${address}`, shown: address });
  }

  /** `10.0.0.1:4000-10.0.0.2:29500`, `[fd00::1]:4000-[fd00::2]:29500`. */
  #endpoints(rest: string): void {
    for (const end of rest.split('-')) {
      const { address, port } = endpointOf(end) ?? {};
      if (address === undefined) continue;
      this.#host(address);
      if (port !== undefined) this.#port(port);
    }
  }

  /** The name in an id means the same thing when a sentence uses it alone: `nvme0n1`, `/data`. */
  #parts(prefix: string, rest: string, token: string): void {
    // Numbers, and what is made of numbers (`pipe:81234`, `file:8:1/77`), are never told without their kind.
    if (rest.length < 2 || /^[\d:/]+$/.test(rest)) return;
    this.tokens.alias(rest, token);
    const ns = rest.indexOf('@mnt:');
    if (prefix === 'fs' && ns > 1) this.tokens.alias(rest.slice(0, ns), token);
    if (prefix === 'rdma' || prefix === 'qp') {
      const device = rest.split('/')[0] ?? '';
      if (device.length > 1) this.tokens.give('name', device);
    }
    const owner = /^(\d+)\//.exec(rest)?.[1];
    if (owner !== undefined && ['lock', 'futex', 'poll', 'comm'].includes(prefix)) this.id(`pid:${owner}`);
  }

  /** `text` cut at every name that is known. */
  #segments(text: string): readonly Segment[] {
    this.#names ??= this.tokens.names().filter((name) => name.length > 1);
    let segments: Segment[] = [{ text, isToken: false }];
    for (const name of this.#names) {
      if (!text.includes(name)) continue;
      const token = this.tokens.find(name) ?? '';
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
      return `:${this.#port(number)}${this.#plain(text.slice(port.length))}`;
    }
    const [named, name] = /^ \(([^()]{1,64})\)/.exec(text) ?? [];
    if (/^(?:process|thread)-/.test(token) && named !== undefined && name !== undefined) {
      return ` (${this.tokens.give('name', name)})${this.#plain(text.slice(named.length))}`;
    }
    return this.#plain(text);
  }

  #port(number: string): string {
    return this.tokens.give('port', `port ${number}`, { shown: number });
  }

  /** Text without known names: each word for itself. */
  #plain(text: string): string {
    let out = '';
    let from = 0;
    // `4242 (python3)` is how processes and threads are written: what is in the brackets is a name, also if it is a word.
    for (const match of text.matchAll(/(?<![\w.,])(\d{1,7}) \(([^()]{1,64})\)/g)) {
      const [all, number = '', name = ''] = match;
      out += `${this.#words(text.slice(from, match.index))}${this.#numberToken(number)} (${this.tokens.give('name', name)})`;
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
    if (looksLikeToken(core)) return this.tokens.give('name', core);
    if (NUMBER.test(core)) return this.#number(core, before, after);
    if (isUnit(core) && NUMBER.test(before.replace(/^\W+/, ''))) return core;
    const unit = NUMBER_AND_UNIT.exec(core)?.[1];
    if (unit !== undefined && isUnit(unit)) return core;
    if (isPlainWord(core)) return core;
    const end = endpointOf(core);
    if (end !== undefined) {
      const host = this.#host(end.address);
      if (end.port === undefined) return host;
      return `${host}:${this.#port(end.port)}`;
    }
    if (/^[-=+*→–—|/]{1,3}$/u.test(core)) return core;
    if (this.#isCompound(core)) return core;
    return this.tokens.give(core.includes('/') ? 'path' : 'name', core);
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
    return this.#pids.get(number) ?? this.tokens.give('number', `number ${number}`, { shown: number });
  }
}

function processText(pid: number, comm: string | undefined): string {
  return comm === undefined || comm === '' ? `process ${pid}` : `process ${pid} (${comm})`;
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
