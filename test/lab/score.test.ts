/** Figures from results: counted by hand here, and by property where hands would tire. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { GraphEdge, GraphView } from '../../src/api/contract.js';
import { API_VERSION } from '../../src/scene/answer.js';
import { OWN_PREFIX } from '../lib/owner.js';
import { judgeBaseline, reverseSearch } from './baseline.js';
import { Dice } from './dice.js';
import { type LabResult, mergeResults, type Played, readResults, writeResults } from './result.js';
import { score } from './score.js';
import { complaints, table } from './table.js';
import { fc } from '../lib/property.js';

function played(name: string, more: Partial<Played> = {}): Played {
  return {
    scenario: name,
    seed: 1,
    where: 'node',
    kind: 'fault',
    severity: 'stands',
    proves: [],
    outcome: 'played',
    scenes: ['ProcessBlocked'],
    subScenes: ['Stopped'],
    judged: {
      verdict: 'cause-found',
      scene: 'ProcessBlocked',
      subScene: 'Stopped',
      root: 'pid:2',
      confidence: 0.97,
      summary: 'stopped',
      nodes: [],
    },
    alternatives: [],
    judgement: { right: true, topRight: true, sceneRight: true, wrongCause: false, flaws: [] },
    delayMs: 1_000,
    judgedAfterMs: 8_000,
    wrongOnTheWay: [],
    alarms: [],
    baseline: { root: 'pid:2', right: true },
    rules: { kind: 'hit', names: ['stopped'] },
    ...more,
  };
}

const WRONG = { right: false, topRight: false, sceneRight: false, wrongCause: true, flaws: ['wrong'] };

t.test('precision, recall and the rest, counted by hand', async (t) => {
  const judged = played('').judged;
  const results: LabResult[] = [
    played('a'),
    played('b', { delayMs: 3_000, baseline: { root: 'pid:9', right: false } }),
    // Called a network fault, surely.
    played('c', {
      judged: { ...judged, scene: 'NetworkStall', confidence: 0.9 },
      judgement: WRONG,
      delayMs: null,
      baseline: { root: 'pid:9', right: false },
      rules: { kind: 'none' },
    }),
    // Nothing was wrong, and nothing was said, but for an alarm before.
    played('d', {
      kind: 'healthy',
      scenes: [],
      subScenes: [],
      judged: { ...judged, verdict: 'healthy', scene: null, confidence: 0.9 },
      alarms: [{ ...judged, pid: 1, when: 'before' }],
      rules: { kind: 'none' },
    }),
    {
      ...{ scenario: 'e', seed: 1, where: 'node', kind: 'fault', severity: 'stands', proves: [] },
      outcome: 'skipped',
      reason: 'no such device',
    },
  ];
  const figures = score(results);
  t.match(figures, {
    played: 4,
    skipped: 1,
    topCause: { of: 4, right: 3 },
    baselineTopCause: { of: 4, right: 2 },
    falseAlarms: 1,
    wrongButSure: 1,
    rules: { of: 3, right: 2, absent: 0 },
  });
  const blocked = figures.scenes.find(({ scene }) => scene === 'ProcessBlocked');
  t.match(blocked, {
    faults: 3,
    precision: { of: 2, right: 2 },
    recall: { of: 3, right: 2 },
    medianDelayMs: 2_000,
  });
  t.match(
    figures.scenes.find(({ scene }) => scene === 'NetworkStall'),
    {
      faults: 0,
      precision: { of: 1, right: 0 },
      medianDelayMs: null,
    },
  );
  t.match(
    figures.calibration.map(({ from, answers, right }) => [from, answers, right]),
    [
      [0.9, 2, 1],
      [0.95, 2, 2],
    ],
  );
  const text = table(figures).join('\n');
  t.match(text, /top-1 root cause.*75 % \(3 of 4\)/);
  t.match(text, /25\.0 points/);
  const said = complaints(results);
  t.equal(said.length, 3, said.join('\n'));
});

t.test('nothing played gives a table, and no division by nothing', async (t) => {
  t.notMatch(table(score([])).join('\n'), /NaN|Infinity|undefined/);
});

t.test('what is played again replaces what was there, and the rest stays', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), OWN_PREFIX));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'deeper', 'results.jsonl');
  writeResults(path, [played('a'), played('b')]);
  const again = played('a', { delayMs: 42 });
  const merged = mergeResults(readResults(path), [again, played('a', { seed: 2 })]);
  t.equal(merged.length, 3);
  t.same(
    merged.find(({ scenario, seed }) => scenario === 'a' && seed === 1),
    again,
  );
  t.same(readResults(join(dir, 'none')), []);
});

function view(edges: readonly (readonly [string, string])[], nodes: readonly string[] = []): GraphView {
  const made = edges.map(
    ([from, to], at): GraphEdge => ({
      kind: 'WaitsOn',
      from,
      to,
      since: new Date(at).toISOString(),
    }),
  );
  const attrs = { state: 'running' };
  return {
    apiVersion: API_VERSION,
    node: 'n',
    ts: '',
    nodes: nodes.map((id) => ({ id, type: 'process', attrs })),
    edges: made,
  };
}

t.test(
  'the reverse search goes to the deepest node, along the longest wait, round circles, and past nobody',
  async (t) => {
    t.equal(reverseSearch(view([], ['pid:1']), 1), null);
    t.equal(reverseSearch(view([]), 1), 'pid:1', 'what has ended is its own cause');
    t.equal(
      reverseSearch(
        view([
          ['pid:1', 'pipe:1'],
          ['pid:1', 'poll:1'],
          ['poll:1', 'pipe:2'],
          ['pipe:2', 'pid:3'],
        ]),
        1,
      ),
      'pid:3',
    );
    t.equal(
      reverseSearch(
        view([
          ['pid:1', 'pipe:1'],
          ['pid:1', 'pipe:2'],
        ]),
        1,
      ),
      'pipe:1',
      'of two as deep the older one',
    );
    t.equal(
      reverseSearch(
        view([
          ['pid:1', 'lock:1'],
          ['lock:1', 'pid:2'],
          ['pid:2', 'lock:2'],
          ['lock:2', 'pid:1'],
        ]),
        1,
      ),
      'lock:2',
    );
    t.match(judgeBaseline({ causes: [] }, null), { right: true });
    t.match(judgeBaseline({ causes: [] }, 'pid:2'), { right: false });
    const symptom = { causes: [{ scene: 'NetworkStall', subScene: 'PeerSlow', leadsTo: 'flow:x' }] } as const;
    t.match(judgeBaseline(symptom, 'flow:x'), { right: true });
  },
);

t.test('the reverse search ends on any graph, and at a node that can be reached', async () => {
  const node = fc.integer({ min: 1, max: 8 }).map((n) => `pid:${n}`);
  fc.assert(
    fc.property(fc.array(fc.tuple(node, node), { maxLength: 40 }), (edges) => {
      const found = reverseSearch(view(edges, ['pid:1']), 1);
      const reached = new Set(['pid:1']);
      for (let grew = true; grew; ) {
        const size = reached.size;
        for (const [from, to] of edges) if (reached.has(from)) reached.add(to);
        grew = reached.size > size;
      }
      return found === null || reached.has(found);
    }),
  );
});

t.test('the same seed and name throw the same, another seed does not', async (t) => {
  const throws = (seed: number, name: string): readonly number[] => {
    const dice = new Dice(seed, name);
    return Array.from({ length: 20 }, () => dice.between(1, 6));
  };
  t.same(throws(1, 'a'), throws(1, 'a'));
  t.strictNotSame(throws(1, 'a'), throws(2, 'a'));
  t.strictNotSame(throws(1, 'a'), throws(1, 'b'));
  fc.assert(
    fc.property(
      fc.integer(),
      fc.string(),
      fc.integer({ min: -5, max: 5 }),
      fc.nat(9),
      (seed, name, low, span) => {
        const thrown = new Dice(seed, name).between(low, low + span);
        return Number.isInteger(thrown) && thrown >= low && thrown <= low + span;
      },
    ),
  );
  t.throws(() => new Dice(1, 'a').pick([]), RangeError);
});
