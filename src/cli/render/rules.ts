/** What `xctl rules` prints. */
import type { RefusedFile, Rule, RuleSetState } from '../../rules/model.js';
import type { RuleTest } from '../../rules/rule-tests.js';
import type { CompiledRule } from '../../rules/rule-set.js';
import type { Style } from '../terminal.js';
import { paint } from './paint.js';
import { numbered, rows, section } from './section.js';
import { table } from './table.js';
import { wrap } from './width.js';

export interface RuleRow {
  readonly name: string;
  readonly title: string;
  readonly scene: readonly string[];
  readonly subScene: readonly string[];
  readonly priority: number;
  readonly source: string;
}

export function ruleRow({ rule, source }: CompiledRule): RuleRow {
  const { name, title, scene, subScene, priority } = rule;
  const listed = (one: string | readonly string[] | undefined): readonly string[] =>
    one === undefined ? [] : typeof one === 'string' ? [one] : one;
  return { name, title, scene: listed(scene), subScene: listed(subScene), priority, source };
}

export function renderRuleList(
  { rules, state }: { readonly rules: readonly RuleRow[]; readonly state: RuleSetState },
  style: Style,
): string {
  const lines = table(
    rules,
    [
      { head: 'RULE', cell: ({ name }) => name },
      { head: 'PRIORITY', cell: ({ priority }) => `${priority}`, align: 'right' },
      {
        head: 'SCENE',
        cell: ({ scene, subScene }) =>
          `${scene.join(',')}${subScene.length === 0 ? '' : `/${subScene.join(',')}`}`,
        shrinkTo: 20,
      },
      { head: 'TITLE', cell: ({ title }) => title, shrinkTo: 20 },
    ],
    style,
  );
  return `${lines}${countLine(state)}\n${refusedLines(state.refused, style)}`;
}

export function renderLint(state: RuleSetState, style: Style): string {
  return `${refusedLines(state.refused, style)}${countLine(state)}\n`;
}

function countLine({ rules, files, refused }: RuleSetState): string {
  return `${rules} rules in ${files.length} files${refused.length === 0 ? '' : `, ${refused.length} files refused`}`;
}

function refusedLines(refused: readonly RefusedFile[], style: Style): string {
  return refused
    .flatMap(({ errors }) => errors)
    .map((error) => `${paint(style, 'red', 'refused')} ${error}\n`)
    .join('');
}

/** The rule as a person reads it; `-o yaml` prints it as it is written. */
export function renderRule(rule: Rule & { readonly source: string }, style: Style): string {
  const { name, title, scene, subScene, priority, source, rootCause, steps, references = [] } = rule;
  const scenes = [scene].flat().join(', ');
  const lines = [
    paint(style, 'bold', name),
    ...wrap(title, style.width),
    '',
    ...rows(
      [
        ['scene', subScene === undefined ? scenes : `${scenes} / ${[subScene].flat().join(', ')}`],
        ['priority', `${priority}`],
        ['written in', source],
        ['cause', rootCause],
        ['when', rule.when === undefined ? 'always within its scene' : JSON.stringify(rule.when)],
        ...(rule.applies === undefined ? [] : [['applies', JSON.stringify(rule.applies)] as const]),
      ],
      style,
    ),
    ...section(
      'What to do',
      numbered(
        steps.map(({ text, run, risk = 'read-only' }) =>
          [
            ...(risk === 'read-only' ? [] : [`[${risk}]`]),
            text,
            ...(run === undefined ? [] : [`$ ${run.join(' ')}`]),
          ].join(' '),
        ),
        style,
      ),
      style,
    ),
    ...section('Written up in', numbered(references, style), style),
  ];
  return `${lines.join('\n')}\n`;
}

export function renderRuleTests(
  { tests, refused }: { readonly tests: readonly RuleTest[]; readonly refused: readonly RefusedFile[] },
  style: Style,
): string {
  const width = Math.max(0, ...tests.map(({ rule }) => rule.length));
  const lines = tests.flatMap(({ rule, hits, misses, failures, notes }) => {
    const word = failures.length === 0 ? paint(style, 'green', 'ok  ') : paint(style, 'red', 'FAIL');
    return [
      `${word} ${rule.padEnd(width)}  ${hits} hit, ${misses} miss`,
      ...failures.map((failure) => `       ${failure}`),
      ...notes.map((note) => paint(style, 'dim', `       ${note}`)),
    ];
  });
  const failed = tests.filter(({ failures }) => failures.length > 0).length;
  const sum = `${tests.length - failed} of ${tests.length} rules pass`;
  return `${[...lines, sum].join('\n')}\n${refusedLines(refused, style)}`;
}
