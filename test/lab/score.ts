/** From results to figures: how often we are right, scene by scene, and how much to believe a confidence. */
import { median, quantile } from '../../bench/lib/stats.js';
import { SCENES, type Scene } from '../../src/scene/answer.js';
import type { LabResult, Played, Said } from './result.js';
import type { Kind } from './scenario.js';

export interface Share {
  readonly of: number;
  readonly right: number;
}

export interface SceneScore {
  readonly scene: Scene;
  /** Played with this as the (first) true scene. */
  readonly faults: number;
  /** Of the answers that named this scene, those that were to. */
  readonly precision: Share;
  /** Of the faults with this scene, those that were given it. */
  readonly recall: Share;
  readonly topCause: Share;
  readonly baselineTopCause: Share;
  readonly medianDelayMs: number | null;
  readonly p95DelayMs: number | null;
}

export interface CalibrationRow {
  /** Answers with a confidence from here up to, not including, the next row's. */
  readonly from: number;
  readonly answers: number;
  readonly meanConfidence: number;
  readonly right: number;
}

export interface Score {
  readonly played: number;
  readonly skipped: number;
  readonly disturbed: number;
  readonly broken: number;
  readonly seeds: readonly number[];
  readonly scenes: readonly SceneScore[];
  /** Over everything, decoys and healthy loads included. */
  readonly topCause: Share;
  readonly baselineTopCause: Share;
  /** Scene, sub-scene, chain and the second of two faults included. */
  readonly whole: Share;
  readonly byKind: readonly { readonly kind: Kind; readonly topCause: Share; readonly baseline: Share }[];
  /** A cause named of who has none; before a fault or instead of nothing. */
  readonly falseAlarms: number;
  /** Judged answers, and those on the way to them, that name a wrong cause with this confidence and more. */
  readonly wrongButSure: number;
  readonly wrongButSureOnTheWay: number;
  readonly rules: Share & { readonly absent: number };
  readonly calibration: readonly CalibrationRow[];
}

export const SURE = 0.8;
const KINDS: readonly Kind[] = ['fault', 'double', 'decoy', 'healthy'];
const CALIBRATION_FROM = [0, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95] as const;

export function isPlayed(result: LabResult): result is Played {
  return result.outcome === 'played';
}

export function score(results: readonly LabResult[]): Score {
  const played = results.filter(isPlayed);
  const count = (outcome: LabResult['outcome']): number =>
    results.filter((one) => one.outcome === outcome).length;
  const faults = played.filter(({ scenes }) => scenes.length > 0);
  const ruled = faults.filter(({ rules }) => rules.kind !== 'absent');
  return {
    played: played.length,
    skipped: count('skipped'),
    disturbed: count('disturbed'),
    broken: count('broken'),
    seeds: [...new Set(played.map(({ seed }) => seed))].sort((a, b) => a - b),
    scenes: SCENES.map((scene) => sceneScore(scene, played)),
    topCause: share(played, ({ judgement }) => judgement.topRight),
    baselineTopCause: share(played, ({ baseline }) => baseline.right),
    whole: share(played, ({ judgement }) => judgement.right),
    byKind: KINDS.map((kind) => {
      const these = played.filter((one) => one.kind === kind);
      return {
        kind,
        topCause: share(these, ({ judgement }) => judgement.topRight),
        baseline: share(these, ({ baseline }) => baseline.right),
      };
    }),
    falseAlarms: played.reduce((sum, { alarms }) => sum + alarms.length, 0),
    wrongButSure: played.filter(({ judgement, judged }) => judgement.wrongCause && isSure(judged)).length,
    wrongButSureOnTheWay: played.reduce((sum, one) => sum + one.wrongOnTheWay.filter(isSure).length, 0),
    rules: {
      ...share(ruled, ({ rules }) => rules.kind === 'hit'),
      absent: faults.length - ruled.length,
    },
    calibration: calibrate(played),
  };
}

function isSure({ confidence }: Said): boolean {
  return confidence >= SURE;
}

function share<T>(list: readonly T[], isRight: (one: T) => boolean): Share {
  return { of: list.length, right: list.filter(isRight).length };
}

function sceneScore(scene: Scene, played: readonly Played[]): SceneScore {
  const faults = played.filter(({ scenes }) => scenes[0] === scene);
  const named = played.filter(({ judged }) => judged.scene === scene);
  const delays = faults.flatMap(({ delayMs }) => (delayMs === null ? [] : [delayMs]));
  return {
    scene,
    faults: faults.length,
    precision: share(named, ({ scenes, judgement }) => scenes.includes(scene) || judgement.sceneRight),
    recall: share(faults, ({ judged, judgement }) => judged.scene === scene || judgement.sceneRight),
    topCause: share(faults, ({ judgement }) => judgement.topRight),
    baselineTopCause: share(faults, ({ baseline }) => baseline.right),
    medianDelayMs: delays.length === 0 ? null : median(delays),
    p95DelayMs: delays.length === 0 ? null : quantile(delays, 0.95),
  };
}

/** Answers that claim something; `unknown` claims nothing. */
function calibrate(played: readonly Played[]): readonly CalibrationRow[] {
  const answers = played.filter(({ judged }) => judged.verdict !== 'unknown');
  return CALIBRATION_FROM.flatMap((from, index) => {
    const below = CALIBRATION_FROM[index + 1] ?? Number.POSITIVE_INFINITY;
    const these = answers.filter(({ judged }) => judged.confidence >= from && judged.confidence < below);
    if (these.length === 0) return [];
    const sum = these.reduce((total, { judged }) => total + judged.confidence, 0);
    return [
      {
        from,
        answers: these.length,
        meanConfidence: sum / these.length,
        right: these.filter(({ judgement }) => judgement.topRight).length,
      },
    ];
  });
}
