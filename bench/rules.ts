/**
 * What 1,000 rules cost the agent at 100,000 events a second, as a share of one core: the CPU time that remembering
 * 100,000 events of a mixed second takes. Beside it, in turns in the same run, json-rules-engine with the same
 * conditions on single events (it has no windows, counts or entities: it is given less to do). Also what a question costs,
 * and the worst that rules can ask for: as many patterns to search the commonest event with as are let in.
 */
import { Engine, type RuleProperties } from 'json-rules-engine';
import { EVENT_TYPES } from '../src/events/catalogue.js';
import type { Event } from '../src/events/event.js';
import { StateGraph } from '../src/graph/state-graph.js';
import { compileGlob } from '../src/rules/glob.js';
import { rulesOfTexts } from '../src/rules/load.js';
import { matchRules } from '../src/rules/match.js';
import { RuleMemory } from '../src/rules/memory.js';
import type { EventTest, FieldTest, Rule } from '../src/rules/model.js';
import type { RuleSet } from '../src/rules/rule-set.js';
import { MAX_SEARCHES } from '../src/rules/search-budget.js';
import { SCENES, type WhyAnswer } from '../src/scene/answer.js';
import { Dice } from './lib/graph-tell.js';
import { progress, report } from './lib/report.js';
import { median, quantile, rounded } from './lib/stats.js';

const RULES = 1_000;
const EVENTS = 100_000;
const ROUNDS = 15;
/** The other engine takes seconds for as many. */
const PEER_EVENTS = 200;
const BAR_PERCENT = 20;
const T0 = 1_750_000_000_000;

const dice = new Dice(11);

/** One of the tests that real rules are made of, none twice. */
function testOf(n: number): EventTest {
  const within = `${1 + (n % 30)}m`;
  switch (n % 10) {
    case 0:
    case 1:
      return {
        type: 'error.xid',
        about: 'cause',
        where: { code: n },
        within: '24h',
        recurs: { times: 3, apart: '3m' },
      };
    case 2:
      return {
        type: 'error.hw',
        about: 'node',
        entity: `block:nvme${n}*`,
        where: { class: ['nvme', 'aer'] },
        within,
      };
    case 3:
      return { type: 'storage.latency', where: { value: { min: 10 * n } }, within, count: { min: 3 } };
    case 4:
      return {
        type: 'storage.use',
        where: { 'writes.p99Ms': { min: n } },
        within,
        value: { how: 'max', min: n },
      };
    case 5:
      return {
        type: 'transport.timeout',
        where: { backoff: { min: 2 + (n % 7) }, remote: `10.${n % 250}.*` },
        within,
      };
    case 6:
      return { type: ['wait.tcp', 'wait.disk'], where: { op: 'connect', comm: `worker${n}*` }, within };
    case 7:
      return { type: 'wait.futex', entity: `futex:${n}/*`, within, count: { min: 5 } };
    case 8:
      return {
        type: 'gpu.use',
        where: { temperatureC: { min: 60 + n / 25 } },
        within,
        ratePerSecond: { above: 0.5 },
      };
    default:
      return {
        type: 'rdma.retry',
        where: { device: `mlx5_${n % 64}`, timeouts: { min: 1 + (n % 9) } },
        within,
      };
  }
}

function ruleOf(n: number, event: EventTest): Rule {
  return {
    name: `rule-${n}`,
    title: `Rule ${n}`,
    scene: SCENES[n % SCENES.length] ?? 'GpuError',
    priority: n % 101,
    when: { event },
    rootCause: '{cause.id}',
    steps: [{ text: 'Look.', run: ['dmesg'] }],
  };
}

function setOf(rules: readonly Rule[]): RuleSet {
  // JSON is YAML, and several files keep each within its bound.
  const files = Array.from({ length: 10 }, (_, at) => rules.filter((_rule, n) => n % 10 === at));
  const set = rulesOfTexts(
    files.map((some, at) => ({
      file: `${at}.yaml`,
      text: JSON.stringify({ apiVersion: 'xctl/v1', rules: some }),
    })),
  );
  const [bad] = set.state.refused;
  if (bad !== undefined) throw new Error(bad.errors.join('\n'));
  return set;
}

const WAIT = { start: 1, since: T0, runMs: 5, threads: 8, syscall: 'read' };
const IO = { count: 9, sizeBytes: 4096, p50Ms: 1 };

/** What a second of a busy node is made of: waits mostly, then flows and devices, rarely an error. */
function eventOf(at: number): Event {
  const pid = 1_000 + dice.roll(4_000);
  const ts = T0 + at / 100;
  const n = dice.roll(300);
  const of = (type: Event['type'], entity: string, value: number, attrs: object, whose?: number): Event =>
    // The types' own attributes, as far as any rule reads them.
    ({
      ts,
      type,
      entity,
      value,
      attrs,
      probe: 'waits',
      ...(whose !== undefined && { pid: whose }),
    }) as unknown as Event;
  const kind = dice.roll(100);
  if (kind < 30) return of('wait.futex', `futex:${pid}/0x10`, n, { ...WAIT, tid: pid, comm: 'python3' }, pid);
  if (kind < 55)
    return of(
      'wait.tcp',
      `flow:10.0.0.1:${pid}-10.0.0.2:29500`,
      n,
      { ...WAIT, tid: pid, comm: 'python3', op: 'read' },
      pid,
    );
  if (kind < 65) return of('wait.sleep', `pid:${pid}`, n, { ...WAIT, tid: pid, comm: 'nccl' }, pid);
  if (kind < 75)
    return of('transport.state', `flow:10.0.0.1:${pid}-10.${n % 250}.0.2:29500`, n, {
      backoff: 0,
      remote: '10.0.0.2',
    });
  if (kind < 80)
    return of('transport.timeout', `flow:10.0.0.1:${pid}-10.${n % 250}.0.2:29500`, n % 7, {
      backoff: n % 7,
      remote: `10.${n % 250}.0.2`,
    });
  if (kind < 88)
    return of('storage.use', `block:nvme${n % 8}n1`, n, {
      reads: IO,
      writes: { ...IO, p99Ms: n },
      inFlight: 3,
    });
  if (kind < 92) return of('storage.latency', `block:nvme${n % 8}n1`, 4 * n, { op: 'read', ageMs: 4 * n });
  if (kind < 96) return of('gpu.use', `gpu:${n % 8}`, n % 100, { temperatureC: 40 + (n % 50), throttle: [] });
  if (kind < 98)
    return of('rdma.retry', `qp:mlx5_${n % 8}/${n}`, n % 12, { device: `mlx5_${n % 8}`, timeouts: n % 12 });
  if (kind < 99) return of('error.hw', `block:nvme${n}n1`, 1, { class: 'nvme', severity: 'warning' });
  return of('error.xid', `gpu:${n % 8}`, 1, { code: n });
}

/** CPU time, ms: what else ran on this machine is not in it. */
function spent(act: () => void): number {
  const before = process.cpuUsage();
  act();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

function remember(
  set: RuleSet,
  events: readonly Event[],
): { readonly ms: number; readonly memory: RuleMemory } {
  const memory = new RuleMemory(set.selectors);
  const ms = spent(() => {
    for (const event of events) memory.observe(event);
  });
  return { ms, memory };
}

/** The same conditions for the other engine: what an event is and says; the type first, which it can stop at. */
function peerRule(n: number, { type, entity, where = {} }: EventTest): RuleProperties {
  const types = typeof type === 'string' ? [type] : [...type];
  const fields = Object.entries(where).flatMap(([fact, test]) => peerTests(fact, test));
  return {
    name: `rule-${n}`,
    conditions: {
      all: [
        { fact: 'type', operator: 'in', value: types, priority: 10 },
        ...(typeof entity === 'string' ? [{ fact: 'entity', operator: 'glob', value: entity }] : []),
        ...fields,
      ],
    },
    event: { type: `rule-${n}` },
  };
}

function peerTests(fact: string, test: FieldTest): { fact: string; operator: string; value: unknown }[] {
  if (Array.isArray(test)) return [{ fact, operator: 'in', value: test }];
  if (typeof test === 'object') {
    const { min } = { min: undefined, ...test };
    return min === undefined ? [] : [{ fact, operator: 'greaterThanInclusive', value: min }];
  }
  if (typeof test === 'string' && test.includes('*')) return [{ fact, operator: 'glob', value: test }];
  return [{ fact, operator: 'equal', value: test }];
}

function factsOf(event: Event): Record<string, unknown> {
  const { type, entity, value, attrs } = event;
  const nested = type === 'storage.use' ? { 'writes.p99Ms': event.attrs.writes.p99Ms } : {};
  return { ...attrs, ...nested, type, entity, value };
}

async function peerSpent(engine: Engine, events: readonly Event[]): Promise<number> {
  const before = process.cpuUsage();
  for (const event of events) await engine.run(factsOf(event));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

const tests = Array.from({ length: RULES }, (_, n) => testOf(n));
const set = setOf(tests.map((test, n) => ruleOf(n, test)));
const worst = setOf(
  Array.from({ length: MAX_SEARCHES }, (_, n) =>
    ruleOf(n, { type: 'wait.futex', where: { comm: `*${n}*py` } }),
  ),
);
const events = Array.from({ length: EVENTS }, (_, at) => eventOf(at));
if (events.some(({ type }) => !EVENT_TYPES.includes(type))) throw new Error('an event of no known type');

const engine = new Engine([], { allowUndefinedFacts: true });
const globs = new Map<string, (text: string) => boolean>();
engine.addOperator<unknown, string>('glob', (text, pattern) => {
  const matches = globs.get(pattern) ?? compileGlob(pattern).matches;
  globs.set(pattern, matches);
  return typeof text === 'string' && matches(text);
});
for (const [n, test] of tests.entries()) engine.addRule(peerRule(n, test));

// Once for the compiler.
remember(set, events);
remember(worst, events.slice(0, EVENTS / 10));
await peerSpent(engine, events.slice(0, 20));

const own: number[] = [];
const peer: number[] = [];
const patterns: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  globalThis.gc?.();
  own.push(remember(set, events).ms);
  globalThis.gc?.();
  const some = events.slice(round * PEER_EVENTS, (round + 1) * PEER_EVENTS);
  peer.push((await peerSpent(engine, some)) * (EVENTS / PEER_EVENTS));
  globalThis.gc?.();
  patterns.push(remember(worst, events.slice(0, EVENTS / 10)).ms * 10);
  progress(
    `round ${round + 1}: ${rounded((own.at(-1) ?? 0) / 10)} % of a core; json-rules-engine ${rounded((peer.at(-1) ?? 0) / 10)} %`,
  );
}

const percent = (msOfASecond: number): number => rounded(msOfASecond / 10);
const { memory } = remember(set, events);
report({
  name: `${RULES} rules at ${EVENTS} events a second`,
  asked: `<= ${BAR_PERCENT} % of a core`,
  measured: percent(median(own)),
  unit: '% of a core',
  ok: percent(median(own)) <= BAR_PERCENT,
  rounds: ROUNDS,
  p95: percent(quantile(own, 0.95)),
  jsonRulesEngine: percent(median(peer)),
  times: rounded(median(peer) / median(own)),
  ...memory.stats(),
});
report({
  name: `the worst: ${MAX_SEARCHES} patterns to search the commonest event with, and no more are let in`,
  asked: `<= ${BAR_PERCENT} % of a core`,
  measured: percent(median(patterns)),
  unit: '% of a core',
  ok: percent(median(patterns)) <= BAR_PERCENT,
});

const answer: WhyAnswer = {
  apiVersion: 'xctl/v1',
  node: 'bench',
  ts: new Date(T0).toISOString(),
  target: { pid: 1_000, startTime: new Date(T0 - 1e6).toISOString(), comm: 'python3', state: 'running' },
  verdict: 'cause-found',
  scene: 'GpuError',
  subScene: null,
  confidence: 0.9,
  summary: '',
  rootCause: { node: 'gpu:3', type: 'gpu', summary: '' },
  chain: [{ from: 'pid:1000', edge: 'Consumes', to: 'gpu:3', sinceMs: 1_000, evidence: [] }],
  evidence: [],
  recommendations: [],
};
const graph = new StateGraph();
// As bench/graph-why.ts: an agent that was asked a few times before.
for (let times = 0; times < 200; times++) matchRules(set, answer, { memory, graph });
// What the rounds above left behind is not a question's garbage.
globalThis.gc?.();
const asked = Array.from({ length: 500 }, () => {
  const began = performance.now();
  matchRules(set, answer, { memory, graph });
  return performance.now() - began;
});
report({
  name: `one question to ${RULES} rules (p99)`,
  asked: '<= 5 ms',
  measured: rounded(quantile(asked, 0.99)),
  unit: 'ms',
  ok: quantile(asked, 0.99) <= 5,
  median: rounded(median(asked)),
  max: rounded(Math.max(...asked)),
});
