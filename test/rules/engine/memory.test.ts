import t from 'tap';
import type { Event } from '../../../src/events/event.js';
import { compileGlob, fitsAll } from '../../../src/rules/glob.js';
import { RuleMemory } from '../../../src/rules/memory.js';
import type { EventTest, FieldTest } from '../../../src/rules/model.js';
import { Selector } from '../../../src/rules/selector.js';
import { kernelFits } from '../../../src/rules/units.js';
import { TomlPlaces } from '../../../src/rules/source-toml.js';
import { parse, stringify } from 'smol-toml';
import { fc, runs } from '../../lib/property.js';

const T0 = 1_750_000_000_000;

function custom(
  ts: number,
  entity: string,
  value: number,
  attrs: Readonly<Record<string, unknown>> = {},
): Event {
  return { ts, type: 'custom', customType: 'compute.step', entity, value, attrs, probe: 'subprocess' };
}

function selector(test: Omit<EventTest, 'type'>): Selector {
  const given = { type: 'custom:compute.step', ...test };
  const made = new Selector(given);
  made.want(given);
  return made;
}

t.test('a pattern fits what the same regular expression fits', async () => {
  const letters = fc.array(fc.constantFrom('a', 'b', '*'), { maxLength: 10 }).map((list) => list.join(''));
  const text = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 14 }).map((list) => list.join(''));
  fc.assert(
    fc.property(letters, text, (pattern, given) => {
      const expected = new RegExp(`^${pattern.replaceAll('*', '[^]*')}$`).test(given);
      return compileGlob(pattern).matches(given) === expected;
    }),
    { numRuns: runs(2_000) },
  );
});

t.test('a pattern that would stall a regular expression does not stall', async (t) => {
  const { matches } = compileGlob('*a*a*a*a*a*a*a*b');
  const given = 'a'.repeat(4_000);
  for (let times = 0; times < 2_000; times++) t.equal(matches(given) && times, false);
  t.equal(fitsAll('**'), true);
  t.equal(fitsAll('*a'), false);
  t.equal(compileGlob('a\\*').matches('a*'), true);
  t.equal(compileGlob('a\\*').matches('ab'), false);
});

t.test('counts are those of the window, whatever the order of times', async () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 40_000 }), { maxLength: 60 }), (ages) => {
      const counted = selector({ within: '20s', count: { min: 100 } });
      const memory = new RuleMemory([counted]);
      for (const age of ages) memory.observe(custom(T0 - age, 'gpu:0', 0));
      const from = T0 - 20_000;
      const expected = ages.filter((age) => T0 - age > from).length;
      return (memory.series(counted.key, 'gpu:0')?.times.since(from) ?? 0) === expected;
    }),
  );
});

t.test('numbers over a window are right to 1/32 of it', async () => {
  const sample = fc.record({
    age: fc.integer({ min: 0, max: 60_000 }),
    value: fc.integer({ min: -9, max: 9 }),
  });
  fc.assert(
    fc.property(fc.array(sample, { maxLength: 50 }), (samples) => {
      const summed = selector({ within: '32s', value: { how: 'sum', min: 0 } });
      const memory = new RuleMemory([summed]);
      const inTime = [...samples].sort((a, b) => b.age - a.age);
      for (const { age, value } of inTime) memory.observe(custom(T0 - age, 'gpu:0', value));
      const gauge = memory.series(summed.key, 'gpu:0')?.gauges[0];
      const within = (ms: number) => inTime.filter(({ age }) => age < ms).map(({ value }) => value);
      // The slices that lie in the window whole; T0 is the beginning of one.
      const values = within(31_000 + 1);
      const sum = values.length === 0 ? undefined : values.reduce((all, one) => all + one, 0);
      const read = gauge?.read('sum', T0);
      const max = gauge?.read('max', T0);
      return read === sum && max === (values.length === 0 ? undefined : Math.max(...values));
    }),
  );
});

t.test('one of many rules is found without looking at the others', async (t) => {
  const tried: string[] = [];
  class Watched extends Selector {
    override takes(event: Event): boolean {
      tried.push(this.key);
      return super.takes(event);
    }
  }
  const make = (test: Omit<EventTest, 'type'>): Selector => {
    const given = { type: 'custom:compute.step', ...test };
    const made = new Watched(given);
    made.want(given);
    return made;
  };
  const selectors = Array.from({ length: 100 }, (_, n) => [
    make({ where: { code: n, more: { has: false } } }),
    make({ entity: `gpu:${n}`, where: { more: { has: false } } }),
    make({
      entity: `k${String.fromCharCode(97 + (n % 26))}${String.fromCharCode(97 + Math.floor(n / 26))}:*`,
    }),
    make({ where: { heat: { min: n }, more: { has: false } } }),
    make({ where: { tags: [`t${n}`, `u${n}`], more: { has: false } } }),
  ]).flat();
  const memory = new RuleMemory(selectors);
  memory.observe(custom(T0, 'gpu:7', 0, { code: 3, heat: 1.5, tags: ['t9', 'u9'] }));
  t.same(tried.length, 1 + 1 + 2 + 1, 'code 3, gpu:7, heat of at least 0 and 1, t9 or u9 once');
  t.equal(memory.stats().taken, 5);
  memory.observe({ ...custom(T0, 'gpu:7', 0), customType: 'compute.other' });
  t.equal(tried.length, 5);
});

t.test('what an index decides by itself is what the tests would have said', async () => {
  const value = fc.oneof(
    fc.integer({ min: -3, max: 3 }),
    fc.constantFrom('a', 'b', true, null),
    fc.constant([1, 'a']),
  );
  const field = fc.oneof(
    fc.constantFrom<FieldTest>('a', 1, true, 'a*', [1, 'b'], { has: true }, { not: 'a' }),
    fc.record({ min: fc.integer({ min: -2, max: 2 }) }),
    fc.record({ min: fc.integer({ min: -2, max: 2 }), max: fc.integer({ min: -2, max: 2 }) }),
    fc.record({ above: fc.integer({ min: -2, max: 2 }) }),
  );
  const test = fc.record(
    {
      entity: fc.constantFrom('gpu:0', 'gpu:*', '*:0', ['gpu:0', 'gpu:1'], ['gpu:1', 'qp:*']),
      where: fc.dictionary(fc.constantFrom('x', 'y', 'value'), field, { minKeys: 1, maxKeys: 2 }),
    },
    { requiredKeys: [] },
  );
  const event = fc
    .tuple(
      fc.constantFrom('gpu:0', 'gpu:1', 'qp:0'),
      fc.integer({ min: -3, max: 3 }),
      fc.record({ x: value, y: value }),
    )
    .map(([entity, number, attrs]) => custom(T0, entity, number, attrs));
  fc.assert(
    fc.property(fc.array(test, { minLength: 1, maxLength: 6 }), event, (tests, one) => {
      const selectors = [
        ...new Map(tests.map((given) => selector(given)).map((made) => [made.key, made])).values(),
      ];
      const memory = new RuleMemory(selectors);
      memory.observe(one);
      return selectors.every(
        (made) => made.takes(one) === (memory.series(made.key, one.entity) !== undefined),
      );
    }),
    { numRuns: runs(3_000) },
  );
});

t.test('it is bounded, and says what gave way', async (t) => {
  const counted = selector({ count: { min: 2 } });
  const memory = new RuleMemory([counted], { maxEntities: 10 });
  for (let n = 0; n < 1_000; n++) memory.observe(custom(T0 + n, `gpu:${n}`, 0));
  t.match(memory.stats(), { series: 10, evicted: 990, taken: 1_000 });
  t.ok(memory.series(counted.key, 'gpu:999'), 'the newest is there');
  const small = new RuleMemory([counted], { maxSlots: 200 });
  for (let n = 0; n < 1_000; n++) small.observe(custom(T0 + n, `gpu:${n}`, 0));
  t.ok(small.stats().slots <= 200, `${small.stats().slots} slots`);
  t.equal(small.stats().evicted + small.stats().series, 1_000);
});

t.test('an event that stands for several counts as so many', async (t) => {
  const counted = selector({ count: { min: 5 } });
  const memory = new RuleMemory([counted]);
  memory.observe(custom(T0, 'gpu:0', 0, { suppressed: 3 }));
  t.equal(memory.series(counted.key, 'gpu:0')?.times.since(0), 4);
  memory.observe(custom(T0, 'gpu:0', 0, { suppressed: 1e12 }));
  t.equal(memory.series(counted.key, 'gpu:0')?.times.since(0), 64, 'of a hostile number as many as are kept');
});

t.test('two memories over one set of rules know nothing of each other', async (t) => {
  const counted = selector({ where: { tags: ['a', 'b'] }, count: { min: 5 } });
  const memories = [new RuleMemory([counted]), new RuleMemory([counted])];
  for (let n = 0; n < 3; n++)
    for (const memory of memories) memory.observe(custom(T0 + n, 'gpu:0', 0, { tags: ['a', 'b'] }));
  t.same(
    memories.map((memory) => memory.series(counted.key, 'gpu:0')?.times.since(0)),
    [3, 3],
  );
});

t.test('another set of rules remembers what the old one has seen', async (t) => {
  const before = selector({ where: { code: 1 }, count: { min: 2 } });
  const old = new RuleMemory([before]);
  old.observe(custom(T0, 'gpu:0', 0, { code: 1 }));
  const same = selector({ where: { code: 1 }, count: { min: 2 } });
  const other = selector({ where: { code: 2 }, count: { min: 2 } });
  const young = new RuleMemory([same, other]);
  young.adopt(old);
  young.observe(custom(T0 + 1, 'gpu:0', 0, { code: 1 }));
  t.equal(young.series(same.key, 'gpu:0')?.times.since(0), 2);
  t.equal(young.now, T0 + 1);
  t.match(young.stats(), { series: 1 });
});

t.test('versions of kernels', async (t) => {
  for (const [range, release, fits] of [
    ['>=5.15', '6.1.0-18-amd64', true],
    ['>=5.15 <6.9', '6.10.2', false],
    ['=6.1', '6.1.170', true],
    ['>6.1', '6.1.170', false],
    ['<=5.9', '5.10.0', false],
    ['>=5.15', 'unreadable', false],
  ] as const)
    t.equal(kernelFits(range, release), fits, `${range} ${release}`);
});

t.test('TOML: every value has a place, and it is where its key stands', async () => {
  const key = fc.constantFrom('a', 'b-c', 'd_e', 'f g', '"', 'ü');
  const scalar = fc.oneof(
    fc.integer(),
    fc.boolean(),
    fc.string(),
    fc.constantFrom('# no comment', '"""', "it's ]"),
  );
  const { table } = fc.letrec((tie) => ({
    value: fc.oneof({ depthSize: 'small' }, scalar, fc.array(tie('value'), { maxLength: 3 }), tie('table')),
    table: fc.dictionary(key, tie('value'), { maxKeys: 4 }),
  }));
  fc.assert(
    fc.property(table, (value) => {
      const text = stringify(value as Record<string, unknown>);
      const { offsets } = new TomlPlaces(text);
      return pathsIn(parse(text)).every((path) => path.length === 0 || offsets.has(path));
    }),
    { numRuns: runs(500) },
  );
});

function pathsIn(
  value: unknown,
  path: readonly (string | number)[] = [],
): readonly (readonly (string | number)[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  const inner = Object.entries(value).flatMap(([key, item]) =>
    pathsIn(item, [...path, Array.isArray(value) ? Number(key) : key]),
  );
  return [path, ...inner];
}
