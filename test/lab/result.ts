/** What one played scenario gives: plain JSON, one line each, so that guests and machines can be put together. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Scene, Verdict, WhyAnswer } from '../../src/scene/answer.js';
import type { Kind, Severity } from './scenario.js';

/** The part of an answer, or of an alternative, that is judged. */
export interface Said {
  readonly verdict: Verdict;
  readonly scene: Scene | null;
  readonly subScene: string | null;
  readonly root: string | null;
  readonly confidence: number;
  readonly summary: string;
  /** Nodes of the chain, from the target on. */
  readonly nodes: readonly string[];
}

export interface Judgement {
  /** All of it: scene, sub-scene, root cause, chain; of two faults, both. */
  readonly right: boolean;
  /** The first root cause is a true one; without a cause: none is named. */
  readonly topRight: boolean;
  readonly sceneRight: boolean;
  /** It names a cause, and that is none of the true ones. */
  readonly wrongCause: boolean;
  /** What is not as it should be. */
  readonly flaws: readonly string[];
}

export interface BaselineSaid {
  readonly root: string | null;
  readonly right: boolean;
}

/** A cause named of a process with which nothing is wrong (yet). */
export interface Alarm extends Said {
  readonly pid: number;
  readonly when: 'before' | 'judged' | 'soak';
}

/** Rules that explain the judged answer; `absent`: this agent has no rules. */
export type RulesSaid =
  | { readonly kind: 'hit'; readonly names: readonly string[] }
  | { readonly kind: 'none' }
  | { readonly kind: 'absent' };

interface Common {
  /** `suite/name`. */
  readonly scenario: string;
  readonly seed: number;
  /** `node`, or the guest's kernel. */
  readonly where: string;
  readonly kind: Kind;
  readonly severity: Severity;
  readonly proves: readonly string[];
}

export interface Played extends Common {
  readonly outcome: 'played';
  /** Scenes of the true causes; empty: nothing is wrong. */
  readonly scenes: readonly Scene[];
  readonly subScenes: readonly (string | null)[];
  readonly judged: Said;
  readonly alternatives: readonly Said[];
  readonly judgement: Judgement;
  /** From the fault to the first right answer; null: none by then. */
  readonly delayMs: number | null;
  readonly judgedAfterMs: number;
  /** Causes that were named before the judged answer and are none. */
  readonly wrongOnTheWay: readonly Said[];
  readonly alarms: readonly Alarm[];
  readonly baseline: BaselineSaid;
  readonly rules: RulesSaid;
}

export interface NotPlayed extends Common {
  /**
   * `skipped`: the machine lacks something. `disturbed`: the machine itself held the process up, by its own accounts,
   * each time. `broken`: the scenario could not be made.
   */
  readonly outcome: 'skipped' | 'disturbed' | 'broken';
  readonly reason: string;
}

export type LabResult = Played | NotPlayed;

export function saidOf(answer: Omit<WhyAnswer, 'target' | 'apiVersion' | 'node' | 'ts'>): Said {
  const [first] = answer.chain;
  return {
    verdict: answer.verdict,
    scene: answer.scene,
    subScene: answer.subScene,
    root: answer.rootCause?.node ?? null,
    confidence: answer.confidence,
    summary: answer.summary,
    nodes: first === undefined ? [] : [first.from, ...answer.chain.map((link) => link.to)],
  };
}

const keyOf = ({ where, seed, scenario }: LabResult): string => `${where} ${seed} ${scenario}`;

export function readResults(path: string): readonly LabResult[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as LabResult);
}

/** What was played again replaces what was there; the rest stays, so that a lab can be played in parts. */
export function mergeResults(known: readonly LabResult[], fresh: readonly LabResult[]): readonly LabResult[] {
  const byKey = new Map([...known, ...fresh].map((one) => [keyOf(one), one]));
  return [...byKey.values()].sort((a, b) => keyOf(a).localeCompare(keyOf(b)));
}

export function writeResults(path: string, results: readonly LabResult[]): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, results.map((one) => `${JSON.stringify(one)}\n`).join(''));
}
