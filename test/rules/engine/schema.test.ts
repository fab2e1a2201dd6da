import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import t from 'tap';
import type { Rule } from '../../../src/rules/model.js';
import { RULE_SCHEMA } from '../../../src/rules/schema.js';
import { checkSchema } from '../../../src/rules/schema-check.js';
import { ROOT } from '../../lib/root.js';
import { RULE } from './texts.js';
import { fc, runs } from '../../lib/property.js';

const FILE = join(ROOT, 'rules/schema.json');

t.test('the published schema is the one that is checked by', async (t) => {
  const text = `${JSON.stringify(RULE_SCHEMA, null, 2)}\n`;
  if (process.env.UPDATE_SCHEMA !== undefined) {
    mkdirSync(join(ROOT, 'rules'), { recursive: true });
    writeFileSync(FILE, text);
  }
  t.equal(readFileSync(FILE, 'utf8'), text, 'UPDATE_SCHEMA=1 writes it');
});

const FULL: Rule = {
  ...RULE,
  when: {
    all: [
      {
        any: [
          { not: { rule: 'other' } },
          { finding: { confidence: { min: 0.5 }, cause: ['flow:*', 'peer:*'] } },
        ],
      },
      {
        node: { on: 'cause', type: 'flow', attrs: { backoff: { min: 3 }, state: ['ESTABLISHED', 'CLOSE*'] } },
      },
      { edge: { kind: 'WaitsOn', to: { type: 'flow', as: 'itsFlow' }, sinceMs: { above: 100 } } },
      {
        event: {
          type: ['topo.link_down', 'custom:topo.link_lost'],
          about: 'node',
          entity: 'net:*',
          where: { driver: { not: ['a', 'b'] }, message: { has: true }, value: { max: 3 } },
          within: '24h',
          count: { min: 2 },
          ratePerSecond: { below: 3 },
          value: { of: 'flow.backoff', how: 'max', min: 1 },
          recurs: { times: 3, apart: '5m' },
          as: 'link',
        },
      },
    ],
  },
  evidence: [{ type: 'topo.link_up', about: 'node', within: '1h' }],
  applies: { kernel: '>=5.15 <6.9', gpu: false, rdma: true, probes: ['tcp'] },
  references: ['docs/reasoning.md'],
  steps: [
    { text: 'Look.', run: ['ss', '-tin'] },
    { text: 'Act.', risk: 'disruptive' },
  ],
};

const ajv = new Ajv2020({ allErrors: false, strict: true, allowUnionTypes: true });
const byAjv = ajv.compile(RULE_SCHEMA);

function agrees(document: unknown): boolean {
  return byAjv(document) === (checkSchema(RULE_SCHEMA, document).length === 0);
}

t.test('a full rule is sound, by ajv too', async (t) => {
  const document = { apiVersion: 'xctl/v1', rules: [FULL] };
  t.same(checkSchema(RULE_SCHEMA, document), []);
  t.ok(byAjv(document), JSON.stringify(byAjv.errors));
});

/** Every place in a document, by the keys that lead there. */
function placesIn(
  value: unknown,
  path: readonly (string | number)[] = [],
): readonly (readonly (string | number)[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  const inner = Object.entries(value).flatMap(([key, item]) =>
    placesIn(item, [...path, Array.isArray(value) ? Number(key) : key]),
  );
  return [path, ...inner];
}

function withChange(
  document: unknown,
  path: readonly (string | number)[],
  change: (old: unknown) => unknown,
): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return change(document);
  if (Array.isArray(document))
    return document.map((item: unknown, at) => (at === key ? withChange(item, rest, change) : item));
  if (typeof document !== 'object' || document === null) return document;
  return Object.fromEntries(
    Object.entries(document).map(([name, item]) => [
      name,
      name === key ? withChange(item, rest, change) : item,
    ]),
  );
}

const junk = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    '',
    'x',
    '10m',
    'NetworkStall',
    'a'.repeat(200),
    '🙂'.repeat(70),
    [],
    {},
    true,
  ),
  fc.constantFrom<unknown>(
    0,
    -1,
    1.5,
    101,
    1e9,
    [[]],
    [1],
    ['x'],
    { min: 1 },
    { min: 'a' },
    { min: 1, x: 2 },
    { not: [] },
  ),
  fc.constantFrom<unknown>(
    { all: [] },
    { node: {} },
    { event: { type: 'x' } },
    { rule: 'A' },
    { rule: 'a', not: {} },
  ),
);

t.test('it refuses what ajv refuses, and nothing else: a sound file with one thing exchanged', async () => {
  const document = { apiVersion: 'xctl/v1', rules: [FULL] };
  const places = placesIn(document);
  fc.assert(
    fc.property(fc.constantFrom(...places), junk, (path, other) =>
      agrees(withChange(document, path, () => other)),
    ),
    { numRuns: runs(3_000) },
  );
});

t.test('… or with something added, or one key left out', async () => {
  const document = { apiVersion: 'xctl/v1', rules: [FULL] };
  const places = placesIn(document);
  fc.assert(
    fc.property(
      fc.constantFrom(...places),
      fc.constantFrom('name', 'extra', 'min', 'as'),
      junk,
      (path, key, other) => {
        const added = withChange(document, path, (old) =>
          Array.isArray(old)
            ? [...old, other]
            : typeof old === 'object' && old !== null
              ? { ...old, [key]: other }
              : old,
        );
        const without = withChange(document, path, (old) =>
          typeof old === 'object' && old !== null && !Array.isArray(old)
            ? Object.fromEntries(Object.entries(old).slice(1))
            : old,
        );
        return agrees(added) && agrees(without);
      },
    ),
    { numRuns: runs(1_000) },
  );
});

t.test('NaN and infinity are no numbers', async (t) => {
  for (const priority of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const document = { apiVersion: 'xctl/v1', rules: [{ ...RULE, priority }] };
    t.match(checkSchema(RULE_SCHEMA, document), [
      { path: ['rules', 0, 'priority'], message: /whole number, not/ },
    ]);
  }
});
