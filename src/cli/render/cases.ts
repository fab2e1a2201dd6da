/** `xctl cases list` and `show` in text. */
import type { Case } from '../../diag/case.js';
import type { RefusedCase } from '../../diag/cases.js';
import type { Style } from '../terminal.js';
import { dateTime } from './format.js';
import { numbered, rows, section } from './section.js';
import { table } from './table.js';
import { hang, wrap } from './width.js';

export interface CaseList {
  readonly directory: string;
  readonly cases: readonly Case[];
  readonly refused: readonly RefusedCase[];
}

export function renderCases({ directory, cases, refused }: CaseList, style: Style): string {
  const list =
    cases.length === 0
      ? `No cases in ${directory}; xctl cases add makes one from an answer.\n`
      : table(
          cases,
          [
            { head: 'NAME', cell: ({ name }) => name },
            { head: 'SCENE', cell: sceneText },
            { head: 'CLOSED', cell: ({ closed }) => closed.slice(0, 10) },
            { head: 'TITLE', cell: ({ title }) => title, shrinkTo: 20 },
          ],
          style,
        );
  const bad = refused.flatMap(({ file, reason }) => hang('  ', '    ', `${file}: ${reason}`, style.width));
  return list + [...section('Refused', bad, style), ''].join('\n');
}

export function renderCase(its: Case, style: Style): string {
  const lines = [
    ...wrap(`${its.name}: ${its.title}`, style.width),
    '',
    ...rows(
      [
        ['scene', sceneText(its)],
        ['closed', dateTime(its.closed)],
        ['cause', its.cause],
      ],
      style,
    ),
    ...section('What helped', numbered(its.steps, style), style),
    ...section(
      'How it looked',
      wrap(its.looked.join(', '), style.width - 2).map((line) => `  ${line}`),
      style,
    ),
  ];
  return `${lines.join('\n')}\n`;
}

function sceneText({ scene, subScene }: Case): string {
  if (scene === null) return '-';
  return subScene === null ? scene : `${scene}/${subScene}`;
}
