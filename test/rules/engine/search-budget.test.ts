/** Patterns that have to be searched for are bounded by the type of event, and what goes over it is refused by name. */
import t from 'tap';
import type { Event } from '../../../src/events/event.js';
import { isSearched } from '../../../src/rules/glob.js';
import { rulesOfTexts } from '../../../src/rules/load.js';
import { RuleMemory } from '../../../src/rules/memory.js';
import type { EventTest, FieldTest, Rule } from '../../../src/rules/model.js';
import { MAX_RARE_SEARCHES, MAX_SEARCHES, SearchBudget } from '../../../src/rules/search-budget.js';
import { Selector } from '../../../src/rules/selector.js';
import { errorsOf, RULE, yamlOf } from './texts.js';
import { fc, runs } from '../../lib/property.js';

function rules(count: number, test: (n: number) => EventTest, name = 'r'): readonly Rule[] {
  return Array.from({ length: count }, (_, n) => ({
    ...RULE,
    name: `${name}-${n}`,
    when: { event: test(n) },
  }));
}

/** JSON is YAML: each rule on a line of its own. */
function linesOf(all: readonly Rule[]): string {
  return `{"apiVersion": "xctl/v1", "rules": [\n${all.map((rule) => JSON.stringify(rule)).join(',\n')}]}`;
}

const waits = (n: number): EventTest => ({ type: 'wait.futex', where: { comm: `*${n}*py` } });

t.test('a thousand on the commonest event: refused, with the place of the first one too many', async (t) => {
  t.same(errorsOf(linesOf(rules(MAX_SEARCHES, waits))), []);
  const [line = '', ...more] = errorsOf(linesOf(rules(1_000, waits)));
  t.match(
    line,
    /^0\.yaml:22:\d+: rules\[20\]\.when\.event\.where\.comm: an event of type wait\.futex would have to be searched with over 20 patterns that have a star before their end; /,
  );
  t.same(more, []);
});

t.test('rare events bear more', async (t) => {
  const errors = (n: number): EventTest => ({ type: 'error.hw', where: { message: `*word${n}*` } });
  t.same(errorsOf(linesOf(rules(MAX_RARE_SEARCHES, errors))), []);
  t.match(errorsOf(linesOf(rules(MAX_RARE_SEARCHES + 1, errors))), [/type error\.hw .* over 512 patterns/]);
});

for (const [what, test] of [
  ['another exact value', (n) => ({ type: 'wait.futex', where: { tid: n, comm: '*py' } })],
  ['another id', (n) => ({ type: 'wait.futex', entity: `futex:${n}`, where: { comm: '*py' } })],
  ['another beginning', (n) => ({ type: 'wait.futex', entity: `futex:${n + 1_000}/*` })],
  [
    'another beginning, and a star after it',
    (n) => ({ type: 'wait.futex', where: { comm: `${n + 1_000}*py` } }),
  ],
  ['the same for each', () => ({ type: 'wait.futex', where: { comm: '*py' } })],
  ['no star', (n) => ({ type: 'wait.futex', where: { comm: `worker${n}` } })],
] as const satisfies readonly (readonly [string, (n: number) => EventTest])[])
  t.test(`a thousand are fine: ${what}`, async (t) => t.same(errorsOf(linesOf(rules(1_000, test))), []));

t.test('what an event meets all of counts, however it is found', async (t) => {
  for (const test of [
    (n: number): EventTest => ({ type: 'wait.futex', entity: 'futex:*', where: { comm: `*${n}*` } }),
    (n: number): EventTest => ({ type: 'wait.futex', where: { runMs: { min: n }, comm: `*${n}*` } }),
    (n: number): EventTest => ({ type: 'wait.futex', where: { comm: { not: `*${n}*` } } }),
    (n: number): EventTest => ({ type: ['wait.tcp', 'wait.futex'], where: { comm: [`*${n}`, 'a'] } }),
    (n: number): EventTest => ({ type: 'custom:compute.step', where: { comm: `*${n}*` } }),
  ])
    t.match(errorsOf(linesOf(rules(MAX_SEARCHES + 1, test))), [/over 20 patterns/]);
  const evidence = rules(MAX_SEARCHES + 1, () => ({ type: 'error.xid' })).map((rule, n) => ({
    ...rule,
    evidence: [waits(n)],
  }));
  t.match(errorsOf(linesOf(evidence)), [/rules\[20\]\.evidence\[0\]\.where\.comm: .* over 20 patterns/]);
});

t.test('the file that goes over it is refused alone, and takes none of the others’ room', async (t) => {
  const part = (name: string, count: number, from: number): string =>
    linesOf(rules(count, (n) => waits(from + n), name));
  const { state } = rulesOfTexts([
    { file: 'a.yaml', text: part('a', 12, 0) },
    { file: 'b.yaml', text: part('b', 9, 100) },
    { file: 'c.yaml', text: part('c', 8, 200) },
    { file: 'd.yaml', text: yamlOf({ ...RULE, name: 'd', when: { event: waits(0) } }) },
  ]);
  t.match(state, { files: ['a.yaml', 'c.yaml', 'd.yaml'], refused: [{ file: 'b.yaml' }] });
  t.equal(state.refused.length, 1);
});

t.test('no event is searched with more than was counted', async () => {
  const pattern = fc.constantFrom('a', 'a*', 'ab*', '*a', 'a*b', 'b*a*', 'b*');
  const test: fc.Arbitrary<FieldTest> = fc.oneof(
    pattern,
    fc.uniqueArray(pattern, { minLength: 2, maxLength: 3 }),
    fc.record({ not: pattern }),
    fc.record({ min: fc.integer({ min: 0, max: 2 }) }),
  );
  const given = fc
    .record(
      {
        entity: fc.constantFrom('gpu:0', 'gpu:*', '*:0', 'gpu:*0'),
        where: fc.dictionary(fc.constantFrom('x', 'y'), test, { minKeys: 1, maxKeys: 2 }),
      },
      { requiredKeys: [] },
    )
    .map((parts): EventTest => ({ type: 'custom:step', ...parts }));
  const value = fc.constantFrom('a', 'ab', 'ba', 'abab', 1, 2);
  fc.assert(
    fc.property(
      fc.array(given, { minLength: 1, maxLength: 8 }),
      fc.constantFrom('gpu:0', 'gpu:1', 'qp:0'),
      fc.record({ x: value, y: value }),
      (tests, entity, attrs) => {
        let searched = 0;
        class Watched extends Selector {
          override takes(event: Event): boolean {
            const found = JSON.stringify(tests.find((one) => new Selector(one).key === this.key));
            searched += patternsIn(JSON.parse(found)).filter(isSearched).length;
            return super.takes(event);
          }
        }
        const made = tests.map((one) => {
          const selector = new Watched(one);
          selector.want(one);
          return selector;
        });
        const memory = new RuleMemory(new Map(made.map((one) => [one.key, one])).values());
        memory.observe({
          ts: 1,
          type: 'custom',
          customType: 'step',
          entity,
          value: 0,
          attrs,
          probe: 'subprocess',
        });
        const budget = new SearchBudget();
        const rule = { ...RULE, when: { all: tests.map((event) => ({ event })) } };
        // What is refused is never searched for.
        return budget.add([{ rule, path: [] }]) !== undefined || searched <= budget.worst('custom:step');
      },
    ),
    { numRuns: runs(2_000) },
  );
});

/** Every text that stands in it, but the type. */
function patternsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return value === 'custom:step' ? [] : [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(patternsIn);
}
