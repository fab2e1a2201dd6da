/** One rule file: from its text to its rules, or to what is wrong with it, line by line. */
import { printable } from '../util/text.js';
import { SUB_SCENES } from '../scene/answer.js';
import { checkRule } from './check-rule.js';
import { listOf } from './field-test.js';
import type { Condition, Place, Rule, RuleDocument } from './model.js';
import { RULE_SCHEMA } from './schema.js';
import { checkSchema, type Flaw, type Path } from './schema-check.js';
import { lineColumn, type Source, SourceError, tooMuch } from './source.js';
import { readToml } from './source-toml.js';
import { readYaml } from './source-yaml.js';
import { truthOf } from './truth.js';

export interface PlacedRule {
  readonly rule: Rule;
  /** Of it in its file. */
  readonly path: Path;
  readonly place: Place;
}

export interface ParsedFile {
  readonly file: string;
  readonly rules: readonly PlacedRule[];
  /** `gpu.yaml:12:5: …`; with any of them the file is refused. */
  readonly errors: readonly string[];
  /** The same line for what is found later. */
  readonly errorAt: (path: Path, message: string) => string;
}

/** @param file its name, which also says how to read it */
export function parseRuleFile(file: string, text: string): ParsedFile {
  const name = printable(file, 200);
  const at = (offset: number, message: string): string => {
    const { line, column } = lineColumn(text, offset);
    return `${name}:${line}:${column}: ${printable(message, 500)}`;
  };
  let source: Source;
  try {
    source = file.endsWith('.toml') ? readToml(text) : readYaml(text);
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    return { file, rules: [], errors: [at(error.offset, error.message)], errorAt: () => '' };
  }
  const errorAt = (path: Path, message: string): string =>
    at(source.offsetOf(path), path.length === 0 ? message : `${pathText(path)}: ${message}`);
  const flaw = tooMuch(source.value);
  const flaws = flaw === undefined ? checkSchema(RULE_SCHEMA, source.value) : [flaw];
  if (flaws.length > 0)
    return { file, rules: [], errors: flaws.map(({ path, message }) => errorAt(path, message)), errorAt };
  // The schema vouches for it; TypeScript cannot follow.
  const document = source.value as RuleDocument;
  const rules = document.rules.map((rule, index): PlacedRule => {
    const path = ['rules', index];
    return { rule, path, place: { file, ...lineColumn(text, source.offsetOf(path)) } };
  });
  const errors = rules.flatMap(({ rule, path }) => [...checkRule(rule, path), ...checkSense(rule, path)]);
  return { file, rules, errors: errors.map(({ path, message }) => errorAt(path, message)), errorAt };
}

/** Rules that would hold for everything, or for nothing. */
function checkSense(rule: Rule, path: Path): readonly Flaw[] {
  const { name, scene, subScene, when } = rule;
  const flaws: Flaw[] = [];
  const known = new Set(listOf(scene).flatMap((one) => SUB_SCENES[one]));
  const wanted = subScene === undefined ? [] : listOf(subScene);
  for (const one of [...wanted, ...subScenesIn(when)])
    if (!known.has(one))
      flaws.push({
        path,
        message: `${name}: no sub-scene ${one} of ${listOf(scene).join(', ')}; there are ${[...known].join(', ') || 'none'}`,
      });
  if (when === undefined) {
    if (subScene === undefined)
      flaws.push({
        path,
        message: `${name} holds for every finding of ${listOf(scene).join(', ')}; give it a subScene or a when`,
      });
    return flaws;
  }
  const truth = truthOf(when, () => 'depends');
  if (truth === 'always')
    flaws.push({ path: [...path, 'when'], message: `${name} holds always: its when leaves nothing out` });
  if (truth === 'never')
    flaws.push({ path: [...path, 'when'], message: `${name} can never hold: its when leaves nothing` });
  return flaws;
}

function subScenesIn(condition: Condition | undefined): readonly string[] {
  if (condition === undefined) return [];
  if ('all' in condition) return condition.all.flatMap(subScenesIn);
  if ('any' in condition) return condition.any.flatMap(subScenesIn);
  if ('not' in condition) return subScenesIn(condition.not);
  if (!('finding' in condition) || condition.finding.subScene === undefined) return [];
  return listOf(condition.finding.subScene);
}

/** `rules[3].when.all[0].event`. */
function pathText(path: Path): string {
  return path
    .map((step, at) => (typeof step === 'number' ? `[${step}]` : `${at === 0 ? '' : '.'}${step}`))
    .join('');
}
