/**
 * An answer without anything that names this site: what a model gets to see.
 *
 * Ids become tokens; free text (summaries, notes, lines of the kernel log) goes out word by word (free-text.ts). A list of
 * what is secret would always be too short: whatever nobody thought of, the name of a project, a command line, an
 * instruction that somebody hid in a process name, would pass. This way round it cannot.
 */
import { isCatalogueType } from '../events/catalogue.js';
import { pidOf } from '../events/ids.js';
import { PROBE_NAMES } from '../events/event.js';
import { type Evidence, type Finding, SCENES, SUB_SCENES, type WhyAnswer } from '../scene/answer.js';
import { endpointOf, FreeText } from './free-text.js';
import { kindOfPrefix, TokenTable } from './tokens.js';
import { isPlainWord } from './words.js';

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
const MAX_ADVICE = 8;

const EVIDENCE_ID = /^e\d{1,4}$/;

const KNOWN_SUB_SCENES: ReadonlySet<string> = new Set(Object.values(SUB_SCENES).flat());
const EDGES = ['Consumes', 'WaitsOn', 'BlockedBy'] as const;
/** Nodes whose name says what they are without its kind. */
const NAMED: ReadonlySet<string> = new Set(['block', 'fs', 'net', 'cgroup', 'rdma']);

export class Anonymiser {
  readonly tokens = new TokenTable();
  /** Numbers of processes and threads. */
  readonly #pids = new Map<string, string>();
  readonly #text = new FreeText(this.tokens, this.#pids);

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
    if (prefix === 'peer' && rest !== '') return this.#text.host(rest, id);
    const shown = pid === undefined ? (NAMED.has(prefix) && rest !== '' ? rest : id) : processText(pid, comm);
    const token = this.tokens.give(kindOfPrefix(prefix), id, { id, shown });
    this.#text.forget();
    if (pid !== undefined) this.#pids.set(String(pid), token);
    else if (prefix === 'flow') this.#endpoints(rest);
    else this.#parts(prefix, rest, token);
    return token;
  }

  /** Free text with nothing in it but known words, plain numbers and tokens. */
  text(text: string): string {
    return this.#text.text(text);
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
    this.#text.forget();
  }

  /** `10.0.0.1:4000-10.0.0.2:29500`, `[fd00::1]:4000-[fd00::2]:29500`. */
  #endpoints(rest: string): void {
    for (const end of rest.split('-')) {
      const { address, port } = endpointOf(end) ?? {};
      if (address === undefined) continue;
      this.#text.host(address);
      if (port !== undefined) this.#text.port(port);
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
}

function processText(pid: number, comm: string | undefined): string {
  return comm === undefined || comm === '' ? `process ${pid}` : `process ${pid} (${comm})`;
}
