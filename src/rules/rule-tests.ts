/** `rules/tests/RULE/{hit,miss}-PID.jsonl`: each rule against recordings in which it must hold, and must not. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, messageOf, UsageError } from '../util/errors.js';
import { replayDiagnosis } from './replay.js';
import type { RuleSet } from './rule-set.js';

export interface RuleTest {
  readonly rule: string;
  readonly hits: number;
  readonly misses: number;
  /** What went wrong, a line each; empty: passed. */
  readonly failures: readonly string[];
  /** What is no failure but worth a look. */
  readonly notes: readonly string[];
}

/** Whether there is such a directory at all: the package leaves it out. */
export async function hasRecordings(directory: string): Promise<boolean> {
  const found = await stat(directory).catch(() => undefined);
  return found?.isDirectory() === true;
}

const RECORDING = /^(hit|miss)-([1-9]\d{0,6})(?:-[a-z0-9-]+)?\.jsonl$/;

/**
 * One rule after the other, in the order of their names.
 * @param directory holds a folder for each rule
 * @param only undefined: all of them
 */
export async function* testRules(
  rules: RuleSet,
  directory: string,
  only: string | undefined,
): AsyncGenerator<RuleTest, void, undefined> {
  const names = [...rules.byName.keys()].filter((name) => only === undefined || name === only).sort();
  for (const name of names) yield testRule(rules, name, join(directory, name));
  if (only !== undefined) return;
  for (const folder of await foldersIn(directory)) {
    if (rules.byName.has(folder)) continue;
    yield {
      rule: folder,
      hits: 0,
      misses: 0,
      failures: ['there are recordings, and no such rule'],
      notes: [],
    };
  }
}

async function testRule(rules: RuleSet, rule: string, folder: string): Promise<RuleTest> {
  const failures: string[] = [];
  const notes: string[] = [];
  const counts = { hit: 0, miss: 0 };
  for (const file of (await filesIn(folder)).sort()) {
    const [, kind, pid] = RECORDING.exec(file) ?? [];
    if (kind !== 'hit' && kind !== 'miss') {
      failures.push(`${file}: is not named hit-PID.jsonl or miss-PID.jsonl`);
      continue;
    }
    counts[kind]++;
    const outcome = await play(rules, rule, join(folder, file), Number(pid));
    if (outcome.failure !== undefined) failures.push(`${file}: ${outcome.failure}`);
    else if (kind === 'hit' && !outcome.holds) failures.push(`${file}: does not hold (${outcome.told})`);
    else if (kind === 'miss' && outcome.holds) failures.push(`${file}: holds, and must not`);
    else if (kind === 'hit' && outcome.behind !== undefined)
      notes.push(`${file}: told after ${outcome.behind}`);
  }
  if (counts.hit === 0) failures.push('has no recording hit-PID.jsonl');
  if (counts.miss === 0) failures.push('has no recording miss-PID.jsonl');
  return { rule, hits: counts.hit, misses: counts.miss, failures, notes };
}

interface Played {
  readonly holds: boolean;
  /** The rule that is told first, where it is another one. */
  readonly behind?: string;
  /** What the answer is, for whoever looks for the reason. */
  readonly told: string;
  readonly failure?: string;
}

async function play(rules: RuleSet, rule: string, path: string, pid: number): Promise<Played> {
  try {
    const { input, summary } = await replayDiagnosis(path, pid, rules);
    const bad = Object.values(summary.rejected).reduce((sum, count) => sum + (count ?? 0), 0);
    if (bad > 0 || summary.truncated)
      return { holds: false, told: '', failure: `${bad} lines are no events` };
    if (input === undefined) return { holds: false, told: '', failure: `knows no process ${pid}` };
    const { answer, hits } = input;
    const scene = answer.subScene === null ? answer.scene : `${answer.scene}/${answer.subScene}`;
    const told = `the answer is ${answer.verdict} ${scene ?? ''}: ${answer.summary}`;
    const first = hits[0];
    return {
      holds: hits.some((hit) => hit.rule === rule),
      told,
      ...(first !== undefined && first.rule !== rule && { behind: first.rule }),
    };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return { holds: false, told: '', failure: error.message };
  }
}

async function filesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw new UsageError(`cannot read ${folder} (${errnoOf(error) ?? messageOf(error)})`, { cause: error });
  }
}

async function foldersIn(directory: string): Promise<readonly string[]> {
  const entries = await filesIn(directory);
  return entries.filter((name) => /^[a-z0-9-]+$/.test(name)).sort();
}
