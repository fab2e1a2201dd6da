/**
 * The case library of many nodes: a Qdrant collection, over its REST API, from the CLI only. What is asked
 * with is a vector of hashed features (features.ts): no name, no text. What comes back is checked like a file, and how
 * alike a case is we work out ourselves from its features: a server's score is only its way of choosing.
 */
import { createHash } from 'node:crypto';
import { isRecord } from '../events/guards.js';
import type { WhyAnswer } from '../scene/answer.js';
import { UsageError } from '../util/errors.js';
import { printable } from '../util/text.js';
import { type Case, CaseError, parseCase } from './case.js';
import type { RefusedCase, StoredCase } from './cases.js';
import { below, checkUrl, type Environment, keyFor } from './endpoint.js';
import { featuresFrom, featuresOf, VECTOR_SIZE, vectorOf } from './features.js';
import { RemoteError, requestJson } from './http.js';

export interface QdrantSettings {
  readonly url: URL;
  readonly collection: string;
  readonly key: string | undefined;
  readonly timeoutMs: number;
}

const DEFAULT_COLLECTION = 'xctl-cases';
const COLLECTION = /^[A-Za-z0-9_-]{1,64}$/;
/** Near in the hashed space: the exact comparison comes after. */
const CANDIDATES = 10;
const MAX_ANSWER_BYTES = 2 << 20;
const BATCH = 100;

/** `https://qdrant:6333`, or with a collection's name behind `/collections/`. Undefined: none is configured. @throws UsageError */
export function qdrantSettings(
  flag: string | undefined,
  env: Environment,
  timeoutMs: number,
): QdrantSettings | undefined {
  const text = flag ?? (env.XCTL_QDRANT_URL || undefined);
  if (text === undefined) return undefined;
  const example = 'http://127.0.0.1:6333';
  const whole = checkUrl(text, '--qdrant-url', example);
  const [, base = '', name] = /^(.*?)(?:\/collections\/([^/]*))?\/*$/.exec(whole.pathname) ?? [];
  const collection = name ?? DEFAULT_COLLECTION;
  if (!COLLECTION.test(collection)) {
    throw new UsageError(
      `--qdrant-url names no collection, e.g. --qdrant-url ${example}/collections/${DEFAULT_COLLECTION}`,
    );
  }
  const url = new URL(whole.origin + base);
  return { url, collection, key: keyFor(url, env, ['XCTL_QDRANT_KEY']), timeoutMs };
}

export class Qdrant {
  readonly #settings: QdrantSettings;
  readonly #signal: AbortSignal;

  constructor(settings: QdrantSettings, signal: AbortSignal) {
    this.#settings = settings;
    this.#signal = signal;
  }

  get name(): string {
    return `${this.#settings.collection} at ${this.#settings.url.host}`;
  }

  /** Cases that may look like it. @throws RemoteError */
  async near(answer: WhyAnswer): Promise<{
    readonly cases: readonly StoredCase[];
    readonly refused: readonly RefusedCase[];
  }> {
    const found = await this.#ask('POST', '/points/query', {
      query: vectorOf(featuresOf(answer)),
      limit: CANDIDATES,
      with_payload: true,
    });
    const points = isRecord(found) ? found.points : undefined;
    if (!Array.isArray(points)) throw new RemoteError('its answer to a query holds no points');
    const cases: StoredCase[] = [];
    const refused: RefusedCase[] = [];
    for (const point of points.slice(0, CANDIDATES)) {
      const { id, payload } = isRecord(point) ? point : {};
      try {
        const its = parseCase(payload);
        cases.push({ case: its, source: `qdrant ${this.#settings.collection}/${its.name}` });
      } catch (error) {
        if (!(error instanceof CaseError)) throw error;
        refused.push({ file: `point ${printable(String(id), 40)}`, reason: error.message });
      }
    }
    return { cases, refused };
  }

  /** Puts cases there, each over the one of its name; makes the collection if it is missing. @throws RemoteError */
  async put(cases: readonly Case[]): Promise<void> {
    await this.#ensure();
    for (let at = 0; at < cases.length; at += BATCH) {
      const points = cases.slice(at, at + BATCH).map((its) => ({
        id: pointId(its.name),
        vector: vectorOf(featuresFrom(its.looked)),
        payload: its,
      }));
      await this.#ask('PUT', '/points?wait=true', { points });
    }
  }

  async #ensure(): Promise<void> {
    try {
      const { size, distance } = vectorsOf(await this.#ask('GET', ''));
      if (size === VECTOR_SIZE && distance === 'Cosine') return;
      throw new RemoteError(
        `the collection ${this.#settings.collection} is not one of ours: it holds vectors of ${printable(String(size), 20)}, we need ${VECTOR_SIZE} with Cosine; name another`,
      );
    } catch (error) {
      if (!(error instanceof RemoteError) || error.status !== 404) throw error;
    }
    await this.#ask('PUT', '', { vectors: { size: VECTOR_SIZE, distance: 'Cosine' } });
  }

  async #ask(method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown): Promise<unknown> {
    const { url, collection, key, timeoutMs } = this.#settings;
    const answer = await requestJson({
      method,
      url: below(url, `/collections/${collection}${path}`),
      ...(key !== undefined && { headers: { 'api-key': key } }),
      ...(body !== undefined && { body }),
      timeoutMs,
      maxBytes: MAX_ANSWER_BYTES,
      signal: this.#signal,
    });
    if (!isRecord(answer) || !('result' in answer))
      throw new RemoteError('its answer is none of Qdrant: it has no result');
    return answer.result;
  }
}

function vectorsOf(collection: unknown): { readonly size?: unknown; readonly distance?: unknown } {
  const config = isRecord(collection) ? collection.config : undefined;
  const params = isRecord(config) ? config.params : undefined;
  const vectors = isRecord(params) ? params.vectors : undefined;
  return isRecord(vectors) ? vectors : {};
}

/** Qdrant takes numbers and UUIDs only; of a name it is always the same one. */
function pointId(name: string): string {
  const hex = createHash('sha256').update(`xctl case ${name}`).digest('hex');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}
