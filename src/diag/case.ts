/**
 * A case: an incident that was closed, as its engineer wrote it down, with how it looked. `looked` is
 * made of features (features.ts) and holds no name of a host, a process or a path, so that a case from one
 * node is found on another and can be given away. What the engineer typed is kept as it was typed.
 */
import { isRecord } from '../events/guards.js';
import { SCENES, type WhyAnswer } from '../scene/answer.js';
import { UsageError, XctlError } from '../util/errors.js';
import { printable } from '../util/text.js';
import { FEATURE, type Features, featuresOf, featuresFrom, likeness, MAX_FEATURES } from './features.js';

export interface Case {
  readonly apiVersion: 'xctl/v1';
  readonly kind: 'Case';
  /** Lower-case words with dashes; also the file's name. */
  readonly name: string;
  readonly title: string;
  /** RFC 3339. */
  readonly closed: string;
  readonly scene: string | null;
  readonly subScene: string | null;
  /** What it really was, in the words of whoever closed it. */
  readonly cause: string;
  /** What helped, in order. */
  readonly steps: readonly string[];
  /** Names of features. */
  readonly looked: readonly string[];
}

/** The file or the record is no case; `message` says which part is wrong. */
export class CaseError extends XctlError {
  override readonly name = 'CaseError';
}

export interface NewCase {
  readonly name: string;
  readonly title: string | undefined;
  readonly cause: string;
  readonly steps: readonly string[];
}

export const CASE_NAME = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;
const MAX_TITLE = 200;
const MAX_PROSE = 4_000;
const MAX_STEPS = 30;
const SUB_SCENE = /^[A-Za-z]{1,40}$/;

/** From this on a case is told of: scene, cause and most of the way there are the same. */
export const HIT = 0.8;

/** @throws UsageError nothing is wrong in the answer, or the words do not make a case */
export function makeCase(answer: WhyAnswer, words: NewCase): Case {
  if (answer.verdict === 'healthy') {
    throw new UsageError(
      'this answer says that nothing is wrong, which makes no case; take one from the incident',
    );
  }
  const made = {
    apiVersion: 'xctl/v1',
    kind: 'Case',
    name: words.name,
    title:
      words.title ??
      `${answer.scene ?? answer.verdict}${answer.subScene === null ? '' : `/${answer.subScene}`}`,
    closed: answer.ts,
    scene: answer.scene,
    subScene: answer.subScene,
    cause: words.cause,
    steps: words.steps,
    looked: [...featuresOf(answer).keys()].sort(),
  };
  try {
    return parseCase(made);
  } catch (error) {
    if (error instanceof CaseError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

/** @throws CaseError */
export function parseCase(value: unknown): Case {
  if (!isRecord(value)) throw new CaseError('a case is a mapping');
  if (value.apiVersion !== 'xctl/v1') throw new CaseError('apiVersion must be xctl/v1');
  if (value.kind !== 'Case') throw new CaseError('kind must be Case');
  const unknown = Object.keys(value).find((key) => !KEYS.has(key));
  if (unknown !== undefined)
    throw new CaseError(`${JSON.stringify(printable(unknown, 40))} is no part of a case`);
  const { name, scene, subScene, steps, looked } = value;
  if (typeof name !== 'string' || !CASE_NAME.test(name)) {
    throw new CaseError(
      'name must be lower-case letters, digits and dashes, 64 at most, e.g. nfs-server-hung',
    );
  }
  if (scene !== null && !SCENES.some((known) => known === scene)) {
    throw new CaseError(`scene must be null or one of ${SCENES.join(', ')}`);
  }
  if (subScene !== null && (typeof subScene !== 'string' || !SUB_SCENE.test(subScene))) {
    throw new CaseError('subScene must be null or a word');
  }
  if (!Array.isArray(steps) || steps.length > MAX_STEPS) {
    throw new CaseError(`steps must be a list of at most ${MAX_STEPS} sentences`);
  }
  if (
    !Array.isArray(looked) ||
    looked.length === 0 ||
    looked.length > MAX_FEATURES ||
    !looked.every(
      (feature: unknown): feature is string => typeof feature === 'string' && FEATURE.test(feature),
    )
  ) {
    throw new CaseError('looked must be the features that xctl cases add wrote');
  }
  return {
    apiVersion: 'xctl/v1',
    kind: 'Case',
    name,
    title: prose(value.title, 'title', MAX_TITLE),
    closed: closedAt(value.closed),
    scene: scene === null ? null : String(scene),
    subScene,
    cause: prose(value.cause, 'cause', MAX_PROSE),
    steps: steps.map((step: unknown, at) => prose(step, `step ${at + 1}`, MAX_PROSE)),
    looked,
  };
}

const KEYS: ReadonlySet<string> = new Set([
  'apiVersion',
  'kind',
  'name',
  'title',
  'closed',
  'scene',
  'subScene',
  'cause',
  'steps',
  'looked',
]);

function prose(value: unknown, what: string, maxLength: number): string {
  if (typeof value === 'string' && value.trim() !== '' && value.length <= maxLength) return value.trim();
  throw new CaseError(`${what} must be text of at most ${maxLength} characters`);
}

function closedAt(value: unknown): string {
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]{8,15}Z$/.test(value)) return value;
  throw new CaseError('closed must be a time like 2026-11-23T01:02:03Z');
}

/** A case that looks like the incident. */
export interface CaseHit {
  readonly name: string;
  readonly title: string;
  /** A file's path, or `qdrant collection/name`. */
  readonly source: string;
  readonly closed: string;
  /** 0 to 1. */
  readonly likeness: number;
  readonly cause: string;
  readonly steps: readonly string[];
  /** What it looked like that this one does not, and the other way round. */
  readonly onlyThere: readonly string[];
  readonly onlyHere: readonly string[];
}

const MAX_HITS = 3;
const MAX_DIFFERENCES = 8;

/** Those of `cases` that look like it, the most alike first. The scene must be the same: a likely cause elsewhere is none here. */
export function hitsAmong(
  answer: WhyAnswer,
  cases: readonly { readonly case: Case; readonly source: string }[],
): readonly CaseHit[] {
  const here = featuresOf(answer);
  return cases
    .filter(({ case: its }) => its.scene === answer.scene && its.subScene === answer.subScene)
    .map(({ case: its, source }) => hitOf(here, its, source))
    .filter((hit) => hit.likeness >= HIT)
    .sort((a, b) => b.likeness - a.likeness || (a.closed < b.closed ? 1 : -1))
    .slice(0, MAX_HITS);
}

function hitOf(here: Features, its: Case, source: string): CaseHit {
  const there = featuresFrom(its.looked);
  return {
    name: its.name,
    title: its.title,
    source,
    closed: its.closed,
    likeness: Math.round(likeness(here, there) * 100) / 100,
    cause: its.cause,
    steps: its.steps,
    onlyThere: without(there, here),
    onlyHere: without(here, there),
  };
}

function without(these: Features, those: Features): readonly string[] {
  return [...these.keys()]
    .filter((name) => !those.has(name) && !name.startsWith('word:'))
    .sort()
    .slice(0, MAX_DIFFERENCES);
}
