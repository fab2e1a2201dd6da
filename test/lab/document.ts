/** docs/accuracy.md holds the figures as they were last measured, with what was wrong; the words around them stay. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../lib/root.js';
import type { LabResult } from './result.js';
import { score } from './score.js';
import type { SoakResult } from './soak.js';
import { complaints, table } from './table.js';

const BEGIN = '<!-- measured by `make lab UPDATE=yes` -->';
const END = '<!-- end -->';

export const SOAK_FILE = join(ROOT, 'build', 'lab', 'soak.json');

/** @throws Error when the page has no place for them */
export function updateAccuracy(path: string, results: readonly LabResult[]): void {
  const text = readFileSync(path, 'utf8');
  const from = text.indexOf(BEGIN);
  const to = text.indexOf(END);
  if (from < 0 || to < from) throw new Error(`${path} has no ${BEGIN} … ${END}`);
  const places = [...new Set(results.map(({ where }) => where))].sort();
  const flaws = complaints(results);
  const lines = [
    BEGIN,
    '',
    `Played on: ${places.join(', ')}.`,
    '',
    ...table(score(results)),
    '',
    ...soakLines(),
    ...(flaws.length === 0 ? [] : ['Not right, or not played:', '', ...flaws.map((flaw) => `- ${flaw}`), '']),
    END,
  ];
  writeFileSync(path, text.slice(0, from) + lines.join('\n') + text.slice(to + END.length));
}

function soakLines(): readonly string[] {
  if (!existsSync(SOAK_FILE)) return [];
  const { minutes, answers, lists, alarms, elsewhere } = JSON.parse(
    readFileSync(SOAK_FILE, 'utf8'),
  ) as SoakResult;
  return [
    `${minutes} minutes of healthy and decoy load (\`make lab SOAK=${minutes}\`): ${alarms.length} false alarms in ` +
      `${answers} answers and ${lists} lists of findings. In those lists ${elsewhere} more entries were of processes that are not asked about: the faults that the decoys consist of, and whatever else this machine runs.`,
    '',
  ];
}
