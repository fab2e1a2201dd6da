/** What people see of `xctl diag`. The texts are in golden/; UPDATE_GOLDEN=1 writes them anew, for somebody to read. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { clean } from '../../src/cli/render/clean.js';
import { renderCase, renderCases } from '../../src/cli/render/cases.js';
import { renderAsked, renderDiagnosis, renderKnown } from '../../src/cli/render/diag.js';
import { widthOf } from '../../src/cli/render/width.js';
import type { Style } from '../../src/cli/terminal.js';
import { makeCase } from '../../src/diag/case.js';
import { diagnose } from '../../src/diag/diagnose.js';
import type { Diagnosis } from '../../src/diag/diagnosis.js';
import { HIT, inputOf, NO_HELPERS } from '../diag/fixtures.js';
import { ROOT } from '../lib/root.js';
import { DEADLOCK, HEALTHY, WHY } from './answers.js';

const WIDE: Style = { width: 80, tableWidth: Number.POSITIVE_INFINITY, color: false, unicode: true };
const NARROW: Style = { width: 50, tableWidth: 60, color: false, unicode: false };
const GOLDEN = join(ROOT, 'test', 'cli', 'golden');

const MADE = makeCase(WHY, {
  name: 'uplink-lost',
  title: 'Switch lost its uplink',
  cause: 'the switch in rack 7 had lost its uplink; the hosts below it were up and could not reach anybody',
  steps: ['Replace the cable', 'Restart the job'],
});
const SECOND: Diagnosis['rules'][number] = {
  ...HIT,
  rule: 'peer-silent',
  finding: 1,
  rootCause: 'its retransmits go nowhere',
};

const byRule = await diagnose(inputOf(DEADLOCK, [{ ...HIT, scene: 'ProcessBlocked' }, SECOND]), NO_HELPERS);
const byCase = await diagnose(inputOf({ ...WHY, chain: WHY.chain.slice(0, 2) }), {
  ...NO_HELPERS,
  remoteCases: {
    name: 'xctl-cases at qdrant:6333',
    near: async () => ({ cases: [{ case: MADE, source: 'qdrant xctl-cases/uplink-lost' }], refused: [] }),
  },
});
const byModel = await diagnose(inputOf(WHY), {
  ...NO_HELPERS,
  model: {
    name: 'm at models:8000',
    timeoutMs: 20_000,
    ask: async () =>
      JSON.stringify({
        cause: { text: 'host-2 or the way to it is down', evidence: ['e2', 'e3'] },
        claims: [
          { text: 'process-1 only waits for what process-2 reads from there', evidence: ['e1'] },
          { text: 'a firewall that was changed would look the same', evidence: [] },
          { text: 'sudo reboot -f', evidence: [] },
        ],
        checks: ['See whether others on host-2 answer.'],
      }),
  },
});
const LIST = {
  directory: '/etc/xctl/cases',
  cases: [MADE],
  refused: [{ file: '/etc/xctl/cases/a.yaml', reason: 'kind must be Case' }],
};

const TEXTS: Readonly<Record<string, string>> = {
  'diag-rule': renderDiagnosis(byRule, WIDE),
  'diag-rule-narrow-ascii': renderDiagnosis(clean(byRule, NARROW), NARROW),
  'diag-case': renderKnown(byCase, WIDE) + renderAsked(byCase, WIDE),
  'diag-model': renderDiagnosis(byModel, WIDE),
  'diag-healthy': renderDiagnosis(await diagnose(inputOf(HEALTHY), NO_HELPERS), WIDE),
  cases: renderCases(LIST, WIDE),
  case: renderCase(MADE, WIDE),
};

t.test('golden texts', (t) => {
  for (const [name, text] of Object.entries(TEXTS)) {
    const file = join(GOLDEN, `${name}.txt`);
    if (process.env.UPDATE_GOLDEN === '1') {
      mkdirSync(GOLDEN, { recursive: true });
      writeFileSync(file, text);
    }
    t.equal(text, readFileSync(file, 'utf8'), name);
  }
  t.end();
});

t.test('no line is wider than the terminal, unless it is one word or a command to copy', (t) => {
  for (const [name, text] of Object.entries(TEXTS)) {
    const { width } = name.includes('narrow') ? NARROW : WIDE;
    for (const line of text.split('\n')) {
      const isWhole = line.trim().startsWith('$ ') || line.trim().split(' ').length <= 2;
      t.ok(isWhole || widthOf(line) <= width, `${name}: ${line}`);
    }
  }
  t.end();
});
