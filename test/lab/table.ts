/** The figures as text: one table for the terminal and the page, and what was wrong, answer by answer. */
import { shortOf } from './judge.js';
import type { LabResult } from './result.js';
import { isPlayed, type Score, SURE, type Share } from './score.js';

export function table(score: Score): readonly string[] {
  return [
    ...grid(
      ['scene', 'faults', 'precision', 'recall', 'top-1 cause', 'reverse search', 'median delay', 'p95'],
      score.scenes.map((one) => [
        one.scene,
        String(one.faults),
        percent(one.precision),
        percent(one.recall),
        percent(one.topCause),
        percent(one.baselineTopCause),
        seconds(one.medianDelayMs),
        seconds(one.p95DelayMs),
      ]),
    ),
    '',
    ...grid(
      ['kind', 'played', 'top-1 cause', 'reverse search'],
      [
        ...score.byKind.map(({ kind, topCause, baseline }) => [
          kind,
          String(topCause.of),
          percent(topCause),
          percent(baseline),
        ]),
        ['all', String(score.played), percent(score.topCause), percent(score.baselineTopCause)],
      ],
    ),
    '',
    ...grid(
      ['what', 'asked', 'measured'],
      [
        ['top-1 root cause, everything included', '>= 95 %', withCount(score.topCause)],
        ['gain over the plain reverse search', '>= 20 points', `${gain(score)} points`],
        [`a wrong cause with confidence >= ${SURE}`, '0', String(score.wrongButSure)],
        ['… on the way to the judged answer', '', String(score.wrongButSureOnTheWay)],
        ['false alarms', '0', String(score.falseAlarms)],
        ['scene, sub-scene, chain and second fault right as well', '', withCount(score.whole)],
        [
          'faults explained by a rule, without a model',
          '>= 90 %',
          score.rules.of === 0 ? 'not asked' : withCount(score.rules),
        ],
      ],
    ),
    '',
    ...grid(
      ['confidence from', 'answers', 'mean confidence', 'right'],
      score.calibration.map((row) => [
        row.from.toFixed(2),
        String(row.answers),
        row.meanConfidence.toFixed(2),
        percent({ of: row.answers, right: row.right }),
      ]),
    ),
    '',
    `${score.played} played (seeds ${score.seeds.join(', ') || 'none'}), ${score.skipped} skipped, ` +
      `${score.disturbed} disturbed by the machine, ${score.broken} broken`,
  ];
}

/** One line for each answer that is not right, false alarm, and scenario that was not played. */
export function complaints(results: readonly LabResult[]): readonly string[] {
  return results.flatMap((one) => {
    const name = `${one.scenario} (seed ${one.seed}, ${one.where})`;
    if (!isPlayed(one)) return [`${one.outcome}: ${name}: ${one.reason}`];
    const lines: string[] = [];
    if (!one.judgement.right) lines.push(`wrong: ${name}: ${one.judgement.flaws.join('; ')}`);
    for (const alarm of one.alarms) lines.push(`false alarm (${alarm.when}): ${name}: ${shortOf(alarm)}`);
    const onTheWay = one.wrongOnTheWay.filter(({ confidence }) => confidence >= SURE).map(shortOf);
    for (const said of new Set(onTheWay)) lines.push(`wrong on the way: ${name}: ${said}`);
    return lines;
  });
}

function grid(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const widths = head.map((cell, at) => Math.max(cell.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const padded = (cells: readonly string[]): string =>
    line(cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)));
  return [padded(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(padded)];
}

export function percent({ of, right }: Share): string {
  return of === 0 ? '–' : `${((right / of) * 100).toFixed(of >= 200 ? 1 : 0)} %`;
}

function withCount(share: Share): string {
  return share.of === 0 ? '–' : `${percent(share)} (${share.right} of ${share.of})`;
}

function gain({ topCause, baselineTopCause, played }: Score): string {
  if (played === 0) return '–';
  return (((topCause.right - baselineTopCause.right) / played) * 100).toFixed(1);
}

function seconds(ms: number | null): string {
  return ms === null ? '–' : `${(ms / 1_000).toFixed(1)} s`;
}
