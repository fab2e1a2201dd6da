/** docs/published-causes.md names nothing that is not there. UPDATE_DOCS=1 writes its tables anew. */
import { readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { packageRules } from '../../src/rules/directory.js';
import { loadRules } from '../../src/rules/load.js';
import { SCENES, SUB_SCENES } from '../../src/scene/answer.js';
import { GUEST } from '../lab/scenarios/guest.js';
import { RDMA } from '../lab/scenarios/rdma.js';
import { SUITES } from '../lab/suites.js';
import { PUBLISHED, tableText } from './published-causes.js';

const DOCUMENT = 'docs/published-causes.md';
const [BEGIN, END] = ['<!-- tables: begin -->', '<!-- tables: end -->'];

/** Scenarios by what they prove. */
function proofs(): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const { name: suite, scenarios } of [...SUITES, GUEST, RDMA]) {
    for (const { name, proves = [] } of scenarios) {
      for (const key of proves) found.set(key, [...(found.get(key) ?? []), `${suite}/${name}`]);
    }
  }
  return found;
}

function document(): string {
  const tables = PUBLISHED.map(
    (table) => `## ${table.title}\n\n${table.text}\n\n${tableText(table, proofs())}\n`,
  );
  const [before = '', rest = ''] = readFileSync(DOCUMENT, 'utf8').split(BEGIN, 2);
  return `${before}${BEGIN}\n\n${tables.join('\n')}\n${END}${rest.split(END, 2)[1] ?? ''}`;
}

const ROWS = PUBLISHED.flatMap(({ rows }) => rows);

t.test('scenes are scenes', async (t) => {
  for (const { cause, scenes } of ROWS) {
    for (const name of scenes) {
      const [scene, sub] = name.split('/', 2);
      const known = SCENES.find((one) => one === scene);
      const fits = known !== undefined && (sub === undefined || SUB_SCENES[known].includes(sub));
      t.ok(fits, `${cause}: ${name}`);
    }
  }
});

t.test('rules are rules', async (t) => {
  const { byName } = await loadRules(packageRules() ?? 'rules');
  for (const { cause, rules } of ROWS) for (const rule of rules) t.ok(byName.has(rule), `${cause}: ${rule}`);
});

t.test('whatever no scenario stands for says why', async (t) => {
  const known = proofs();
  for (const { cause, keys, scenes, note } of ROWS) {
    t.ok(keys.some((key) => known.has(key)) || note !== undefined, cause);
    t.ok(scenes.length > 0 || note !== undefined, `${cause}: no scene`);
  }
});

t.test('what the lab proves is in a row', async (t) => {
  const rows = new Set(ROWS.flatMap(({ keys }) => keys));
  for (const key of proofs().keys()) t.ok(rows.has(key), key);
});

t.test('the document says the same', async (t) => {
  const text = document();
  if (process.env.UPDATE_DOCS === '1') writeFileSync(DOCUMENT, text);
  t.equal(readFileSync(DOCUMENT, 'utf8'), text, 'UPDATE_DOCS=1 writes it');
});
