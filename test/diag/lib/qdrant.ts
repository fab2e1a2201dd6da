/**
 * A stand-in for Qdrant that keeps to its REST API (v1.10 and later) for what the adapter uses, and refuses what the real one
 * refuses: points whose id is neither a number nor a UUID, vectors of another length, unknown fields in a request,
 * collections that are not there or are there already, a missing key. Similarity is worked out as Qdrant does it.
 */
import type { ServerResponse } from 'node:http';
import { isRecord } from '../../../src/events/guards.js';
import type { Scope } from '../../lib/scope.js';
import { type Asked, type LoopbackServer, sendJson, serveLoopback } from './server.js';

interface Point {
  readonly id: string | number;
  readonly vector: readonly number[];
  payload: Record<string, unknown>;
}

interface Collection {
  readonly size: number;
  readonly distance: string;
  readonly points: Map<string, Point>;
}

export interface QdrantStandIn {
  readonly server: LoopbackServer;
  readonly collections: Map<string, Collection>;
}

class Refused extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export async function serveQdrant(scope: Scope, key?: string): Promise<QdrantStandIn> {
  const collections = new Map<string, Collection>();
  const server = await serveLoopback(scope, (asked, response) => {
    try {
      if (key !== undefined && asked.headers['api-key'] !== key) {
        response.writeHead(401, { 'content-type': 'text/plain' });
        response.end('Must provide an API key or an Authorization bearer token');
        return;
      }
      ok(response, answer(asked, collections));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      sendJson(response, { status: { error: error.message }, time: 0.0001 }, error.status);
    }
  });
  return { server, collections };
}

function ok(response: ServerResponse, result: unknown): void {
  sendJson(response, { result, status: 'ok', time: 0.0001 });
}

function answer({ method, path, body }: Asked, collections: Map<string, Collection>): unknown {
  const [, name = '', rest = ''] = /^\/collections\/([^/?]+)(.*)$/.exec(path) ?? [];
  if (name === '') throw new Refused(404, 'Not found');
  const found = collections.get(name);
  switch (`${method} ${rest}`) {
    case 'PUT ':
      return create(name, parse(body, ['vectors']), collections);
    case 'GET ': {
      const { size, distance, points } = there(name, found);
      return {
        status: 'green',
        optimizer_status: 'ok',
        points_count: points.size,
        config: { params: { vectors: { size, distance }, shard_number: 1 } },
      };
    }
    case 'PUT /points?wait=true':
      return upsert(there(name, found), parse(body, ['points']));
    case 'POST /points/query':
      return query(there(name, found), parse(body, ['query', 'limit', 'with_payload']));
    default:
      throw new Refused(404, `no ${method} ${path}`);
  }
}

function there(name: string, found: Collection | undefined): Collection {
  if (found === undefined) throw new Refused(404, `Not found: Collection \`${name}\` doesn't exist!`);
  return found;
}

function parse(body: string, known: readonly string[]): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(body);
  if (!isRecord(value)) throw new Refused(400, 'Format error in JSON body: expected a map');
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined)
    throw new Refused(400, `Format error in JSON body: unknown field \`${unknown}\``);
  return value;
}

function create(
  name: string,
  { vectors }: Readonly<Record<string, unknown>>,
  collections: Map<string, Collection>,
): true {
  if (collections.has(name)) throw new Refused(409, `Wrong input: Collection \`${name}\` already exists!`);
  if (!isRecord(vectors) || typeof vectors.size !== 'number' || vectors.distance !== 'Cosine') {
    throw new Refused(400, 'Format error in JSON body: vectors');
  }
  collections.set(name, { size: vectors.size, distance: vectors.distance, points: new Map() });
  return true;
}

function upsert(collection: Collection, { points }: Readonly<Record<string, unknown>>): unknown {
  if (!Array.isArray(points)) throw new Refused(400, 'Format error in JSON body: missing field `points`');
  for (const point of points as readonly unknown[]) {
    if (!isRecord(point)) throw new Refused(400, 'Format error in JSON body: point');
    const { id, payload = {} } = point;
    if (
      !(typeof id === 'string' && UUID.test(id)) &&
      !(typeof id === 'number' && Number.isInteger(id) && id >= 0)
    ) {
      throw new Refused(
        400,
        `value ${String(id)} is not a valid point ID, valid values are either an unsigned integer or a UUID`,
      );
    }
    const vector = vectorOf(point.vector, collection);
    collection.points.set(String(id), { id, vector, payload: isRecord(payload) ? { ...payload } : {} });
  }
  return { operation_id: 0, status: 'completed' };
}

function query(
  collection: Collection,
  { query: asked, limit, with_payload }: Readonly<Record<string, unknown>>,
): unknown {
  const wanted = vectorOf(asked, collection);
  const points = [...collection.points.values()]
    .map(({ id, vector, payload }) => ({
      id,
      version: 0,
      score: cosine(wanted, vector),
      ...(with_payload === true && { payload }),
    }))
    .sort((a, b) => b.score - a.score)
    .slice(0, typeof limit === 'number' ? limit : 10);
  return { points };
}

function vectorOf(value: unknown, { size }: Collection): readonly number[] {
  const isVector = (list: unknown): list is readonly number[] =>
    Array.isArray(list) && list.every((item) => typeof item === 'number');
  if (!isVector(value)) throw new Refused(400, 'Format error in JSON body: vector');
  if (value.length !== size) {
    throw new Refused(400, `Wrong input: Vector dimension error: expected dim: ${size}, got ${value.length}`);
  }
  return value;
}

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);
  const size = (vector: readonly number[]): number => Math.hypot(...vector);
  return size(a) * size(b) === 0 ? 0 : dot / (size(a) * size(b));
}
