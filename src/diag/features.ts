/**
 * How an incident looks, without a single name in it: scene, what ails the cause, the kinds of node and edge on
 * the chain, the kinds of evidence, the plain words of the summary. Two incidents are alike as far as they
 * have these in common. The case library compares the features themselves; a vector database gets them hashed
 * into a vector of fixed length.
 *
 * Hashed here, and not by a model's `/embeddings`: it works without an endpoint and with every one, the same
 * incident has the same vector on every node and in every version of everything, nothing is sent out to get it,
 * and why two cases are alike can be said. What it cannot do is see that two different words mean the same.
 */
import { createHash } from 'node:crypto';
import type { ChainLink, WhyAnswer } from '../scene/answer.js';
import { kindOfPrefix } from './tokens.js';
import { isPlainWord } from './words.js';

/** A feature and how much it says. */
export type Features = ReadonlyMap<string, number>;

const WEIGHT = {
  scene: 3,
  subScene: 3,
  ailment: 3,
  cause: 2,
  verdict: 1,
  link: 1,
  evidence: 1,
  word: 0.3,
} as const;

/** Of a feature's name as cases keep it: `scene:StorageSlow`, `link:process WaitsOn pipe`. */
export const FEATURE = /^(scene|subScene|ailment|cause|verdict|link|evidence|word):([A-Za-z0-9_./ -]{1,80})$/;
export const MAX_FEATURES = 200;

/** Words that every sentence has. */
const EMPTY_WORDS = new Set(
  'a an and are as at be been but by do does for from had has have in is it its no not of on one or out than that the then there this to was were what when which while who with'.split(
    ' ',
  ),
);

export function featuresOf(answer: WhyAnswer): Features {
  const features = new Map<string, number>();
  const add = (kind: keyof typeof WEIGHT, what: string): void => {
    const name = `${kind}:${what}`;
    if (features.size < MAX_FEATURES && FEATURE.test(name)) features.set(name, WEIGHT[kind]);
  };
  add('verdict', answer.verdict);
  if (answer.scene !== null) add('scene', answer.scene);
  if (answer.scene !== null && answer.subScene !== null)
    add('subScene', `${answer.scene}/${answer.subScene}`);
  if (answer.rootCause !== null) add('cause', answer.rootCause.type);
  for (const link of answer.chain) {
    const ails = ailmentOf(link);
    if (ails !== undefined) add('ailment', ails);
    else add('link', `${kindOf(link.from)} ${link.edge} ${kindOf(link.to)}`);
  }
  for (const { type } of answer.evidence) add('evidence', type);
  for (const word of wordsOf(answer.summary)) add('word', word);
  return features;
}

/** Feature names back to features; what is none is left out. */
export function featuresFrom(names: readonly string[]): Features {
  const features = new Map<string, number>();
  for (const name of names.slice(0, MAX_FEATURES)) {
    const kind = FEATURE.exec(name)?.[1];
    if (kind !== undefined && Object.hasOwn(WEIGHT, kind))
      features.set(name, WEIGHT[kind as keyof typeof WEIGHT]);
  }
  return features;
}

/** Cosine of the angle between them: 1 where they are the same, 0 where they have nothing in common. */
export function likeness(a: Features, b: Features): number {
  const dot = [...a].reduce((sum, [name, weight]) => sum + weight * (b.get(name) ?? 0), 0);
  const lengths = length(a.values()) * length(b.values());
  return lengths === 0 ? 0 : Math.min(1, dot / lengths);
}

export const VECTOR_SIZE = 256;

/** Features hashed into a vector of length 1: feature hashing with signs, so that collisions cancel out on average. */
export function vectorOf(features: Features): readonly number[] {
  const vector = new Array<number>(VECTOR_SIZE).fill(0);
  for (const [name, weight] of features) {
    const hash = createHash('sha256').update(name).digest();
    const at = hash.readUInt16LE(0) % VECTOR_SIZE;
    vector[at] = (vector[at] ?? 0) + ((hash[2] ?? 0) & 1 ? weight : -weight);
  }
  const size = length(vector);
  return size === 0 ? vector : vector.map((value) => Math.round((value / size) * 1e6) / 1e6);
}

/** Of the last link of a chain: `latency` in `error:latency/block:sda`. */
function ailmentOf({ to }: ChainLink): string | undefined {
  return /^error:([a-z0-9-]{1,40})\//.exec(to)?.[1];
}

function kindOf(id: string): string {
  return kindOfPrefix(/^([a-z]{1,16}):/.exec(id)?.[1] ?? '');
}

function wordsOf(summary: string): ReadonlySet<string> {
  const words = summary.toLowerCase().match(/[a-z][a-z']*/g) ?? [];
  return new Set(words.filter((word) => word.length > 1 && !EMPTY_WORDS.has(word) && isPlainWord(word)));
}

function length(values: Iterable<number>): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
}
