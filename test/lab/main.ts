/**
 * `make lab`: plays the suites, tells each result as it comes, prints one table, and keeps the results in
 * build/lab/results, one file a place and seed, where guests put theirs as well. What is played again replaces what was
 * there, so that a lab can be played in parts.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../lib/root.js';
import { updateAccuracy } from './document.js';
import { type LabResult, mergeResults, readResults, writeResults } from './result.js';
import { runSuites } from './run.js';
import { isPlayed, score } from './score.js';
import { soak } from './soak.js';
import { SUITES } from './suites.js';
import { complaints, table } from './table.js';

const RESULTS = join(ROOT, 'build', 'lab', 'results');

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    jobs: { type: 'string', default: '4' },
    where: { type: 'string', default: 'node' },
    merge: { type: 'string', default: '' },
    soak: { type: 'string', default: '' },
    report: { type: 'boolean', default: false },
    fresh: { type: 'boolean', default: false },
    update: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
});

function words(text: string): readonly string[] {
  return text.split(/[\s,]+/).filter((word) => word !== '');
}

/** `network` is a suite, `network/path-down` a scenario, `network/path-` those that begin so. */
function isWanted(name: string): boolean {
  const only = words(values.only);
  return only.length === 0 || only.some((word) => name === word || name.startsWith(word));
}

function all(): readonly LabResult[] {
  mkdirSync(RESULTS, { recursive: true });
  return readdirSync(RESULTS)
    .filter((name) => name.endsWith('.jsonl'))
    .flatMap((name) => readResults(join(RESULTS, name)));
}

function keep(result: LabResult): void {
  const path = join(RESULTS, `${result.where}-seed${result.seed}.jsonl`);
  writeResults(path, mergeResults(readResults(path), [result]));
}

function tell(result: LabResult): void {
  keep(result);
  const delay = isPlayed(result) && result.delayMs !== null ? ` after ${result.delayMs} ms` : '';
  const [first] = complaints([result]);
  console.error(`  ${first ?? `right: ${result.scenario}${delay}`}`);
}

function show(results: readonly LabResult[]): void {
  console.log(table(score(results)).join('\n'));
  const flaws = complaints(results);
  if (flaws.length > 0) console.log(`\n${flaws.join('\n')}`);
}

async function main(): Promise<number> {
  const wanted = SUITES.flatMap(({ name, scenarios }) =>
    scenarios.map((one) => `${name}/${one.name}`),
  ).filter(isWanted);
  // A report is of what was played, by a guest too, whose scenarios are no suite of this machine.
  if (wanted.length === 0 && !values.report) {
    console.error(`lab: no scenario begins with ${values.only}; --list shows them`);
    return 2;
  }
  if (values.list) {
    console.log(wanted.join('\n'));
    return 0;
  }
  if (values.fresh) rmSync(RESULTS, { recursive: true, force: true });
  for (const path of words(values.merge)) for (const result of readResults(path)) keep(result);
  if (values.soak !== '') return (await soak(SUITES, Number(values.soak), isWanted)) ? 0 : 1;
  const played: LabResult[] = [];
  if (!values.report) {
    for (const seed of words(values.seeds).map(Number)) {
      const options = { seed, where: values.where, jobs: Number(values.jobs), wanted: isWanted, tell };
      played.push(...(await runSuites(SUITES, options)));
    }
  }
  const shown = values.report ? all() : played;
  show(shown);
  if (values.update) updateAccuracy(join(ROOT, 'docs', 'accuracy.md'), all());
  return shown.some(({ outcome }) => outcome === 'broken') ? 1 : 0;
}

process.exitCode = await main();
