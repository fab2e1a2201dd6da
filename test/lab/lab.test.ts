/** The lab itself, end to end: a fault, a decoy and a load that is well are played and judged. */
import { existsSync } from 'node:fs';
import t from 'tap';
import type { Scope } from '../lib/scope.js';
import { until } from '../lib/until.js';
import { runSuites } from './run.js';
import { isPlayed, score } from './score.js';
import { type Scenario, suite } from './scenario.js';
import { SUITES } from './suites.js';
import { type Relay, relay, signal, stopped, type Via, well } from './lib.js';

const ROOT = process.getuid?.() === 0 ? false : 'the lab needs root';

const stoppedWorker: Omit<Scenario, 'name' | 'prepare'> = {
  kind: 'fault',
  severity: 'stands',
  judgedAfterMs: 4_000,
};

/** Everybody who was started: each must be gone in the end. */
const started: number[] = [];

async function chain(scope: Scope, via: Via): Promise<Relay> {
  const top = await relay(scope, { via: [via] });
  started.push(...top.pids);
  return top;
}

/** The same fault under a true label and under a false one; a load that is well under a true one; one that cannot be made. */
const SMALL = suite({
  name: 'small',
  scenarios: [
    {
      ...stoppedWorker,
      name: 'stopped',
      prepare: async (scope) => {
        const top = await chain(scope, 'pipe');
        return {
          asked: [top.pid],
          inject: signal(top.leaf, 'SIGSTOP'),
          truth: () => ({ causes: [stopped(top.leaf)] }),
        };
      },
    },
    {
      ...stoppedWorker,
      name: 'mislabelled',
      prepare: async (scope) => {
        const top = await chain(scope, 'pipe');
        return { asked: [top.pid], inject: signal(top.leaf, 'SIGSTOP'), truth: well };
      },
    },
    {
      name: 'well',
      kind: 'healthy',
      severity: 'none',
      judgedAfterMs: 2_000,
      prepare: async (scope) => {
        const top = await chain(scope, 'unix');
        return { asked: [top.pid], inject: async () => undefined, truth: well };
      },
    },
    {
      name: 'lacking',
      kind: 'fault',
      severity: 'ends',
      missing: async () => 'no such machine',
      prepare: async () => {
        throw new Error('not reached');
      },
    },
    {
      name: 'falls-over',
      kind: 'fault',
      severity: 'ends',
      prepare: async () => {
        throw new Error('it fell over');
      },
    },
  ],
});

t.test('played, judged, and told of', { skip: ROOT }, async (t) => {
  const told: string[] = [];
  const results = await runSuites([SMALL], {
    seed: 3,
    where: 'test',
    tell: ({ scenario, outcome }) => told.push(`${outcome} ${scenario}`),
  });
  t.same(
    told.sort(),
    [
      'broken small/falls-over',
      'played small/mislabelled',
      'played small/stopped',
      'played small/well',
      'skipped small/lacking',
    ],
    'each is told once',
  );
  const by = new Map(results.map((one) => [one.scenario, one]));
  const right = by.get('small/stopped');
  t.match(
    right,
    { judgement: { right: true }, alarms: [], scenes: ['ProcessBlocked'] },
    JSON.stringify(right),
  );
  t.match(by.get('small/mislabelled'), { judgement: { right: false, wrongCause: true }, delayMs: null });
  t.match(by.get('small/well'), { judgement: { right: true }, scenes: [] });
  t.match(by.get('small/falls-over'), { reason: 'it fell over' });
  t.match(by.get('small/lacking'), { reason: 'no such machine' });
  const figures = score(results);
  t.match(figures, { played: 3, falseAlarms: 1, wrongButSure: 1, topCause: { of: 3, right: 2 } });
  t.equal(started.length, 6);
  await until(() => !started.some((pid) => existsSync(`/proc/${pid}`)), {
    timeoutMs: 10_000,
    what: 'all to be gone',
  });
  t.equal(
    results.filter(isPlayed).every(({ seed, where }) => seed === 3 && where === 'test'),
    true,
  );
});

t.test('every scenario has a name of its own, and every kind and scene is among them', async (t) => {
  const names = SUITES.flatMap(({ name, scenarios }) => scenarios.map((one) => `${name}/${one.name}`));
  t.equal(new Set(names).size, names.length);
  t.ok(names.length >= 80, `${names.length} scenarios`);
  for (const name of names) t.match(name, /^[a-z0-9-]+\/[a-z0-9-]+$/);
  const kinds = new Set(SUITES.flatMap(({ scenarios }) => scenarios.map(({ kind }) => kind)));
  t.same([...kinds].sort(), ['decoy', 'double', 'fault', 'healthy']);
});
