/** What people see. The texts are in golden/; UPDATE_GOLDEN=1 writes them anew, for somebody to read. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { clean } from '../../src/cli/render/clean.js';
import { toJson, toJsonLine, toYaml } from '../../src/cli/render/data.js';
import { renderDoctor } from '../../src/cli/render/doctor.js';
import { renderEvent } from '../../src/cli/render/events.js';
import { renderFindings } from '../../src/cli/render/findings.js';
import { quantity } from '../../src/cli/render/format.js';
import { renderGraph } from '../../src/cli/render/graph.js';
import { renderDot } from '../../src/cli/render/graph-dot.js';
import { renderHtml } from '../../src/cli/render/graph-html.js';
import { renderMermaid } from '../../src/cli/render/graph-mermaid.js';
import { pickProcess, pickTrouble } from '../../src/cli/render/graph-pick.js';
import { renderPs } from '../../src/cli/render/ps.js';
import { renderWhy } from '../../src/cli/render/why.js';
import { renderTop } from '../../src/cli/render/top.js';
import { cut, widthOf, wrap } from '../../src/cli/render/width.js';
import type { Style } from '../../src/cli/terminal.js';
import type { WhyAnswer } from '../../src/scene/answer.js';
import { ROOT } from '../lib/root.js';
import * as answers from './answers.js';
import { RAW } from './helpers.js';
import { fc } from '../lib/property.js';

const WIDE: Style = { width: 80, tableWidth: Number.POSITIVE_INFINITY, color: false, unicode: true };
const NARROW: Style = { width: 50, tableWidth: 60, color: false, unicode: false };
const COLOR: Style = { ...WIDE, color: true };

const GOLDEN = join(ROOT, 'test', 'cli', 'golden');
const ESC = '\u001b';

function plain(text: string): string {
  return text.replaceAll(new RegExp(`${ESC}\\[\\d+m`, 'g'), '');
}

function topText(): string {
  const state = { ps: answers.PS, findings: answers.FINDINGS, order: 'trouble', offset: 0 } as const;
  const { lines } = renderTop({ ...state, problem: undefined }, WIDE, { columns: 80, rows: 12 });
  return `${lines.join('\n')}\n`;
}

const TEXTS: Readonly<Record<string, string>> = {
  'why-cause': renderWhy(answers.WHY, WIDE),
  'why-cause-narrow-ascii': renderWhy(answers.WHY, NARROW),
  'why-healthy': renderWhy(answers.HEALTHY, WIDE),
  'why-unknown': renderWhy(answers.UNKNOWN, WIDE),
  'why-symptom': renderWhy(answers.SYMPTOM, WIDE),
  'why-exited': renderWhy(answers.EXITED, WIDE),
  'why-deadlock': renderWhy(answers.DEADLOCK, WIDE),
  'why-disk': renderWhy(answers.DISK, WIDE),
  'why-long': renderWhy(answers.LONG, WIDE),
  'why-long-narrow-ascii': renderWhy(answers.LONG, NARROW),
  'findings-narrow-ascii': renderFindings(answers.FINDINGS, NARROW),
  findings: renderFindings(answers.FINDINGS, WIDE),
  'findings-none': renderFindings({ ...answers.FINDINGS, findings: [] }, WIDE),
  ps: renderPs(answers.PS, WIDE),
  'ps-narrow': renderPs(answers.PS, NARROW),
  doctor: renderDoctor(answers.DOCTOR, WIDE),
  graph: renderGraph(answers.GRAPH, WIDE),
  'graph-pid': renderGraph(pickProcess(answers.TANGLE, answers.WHY), WIDE),
  'graph-trouble': renderGraph(pickTrouble(answers.TANGLE, answers.FINDINGS), WIDE),
  'graph-trouble-none': renderGraph(pickTrouble(answers.TANGLE, { ...answers.FINDINGS, findings: [] }), WIDE),
  top: topText(),
  'graph-dot': renderDot(answers.GRAPH),
  'graph-trouble-dot': renderDot(pickTrouble(answers.TANGLE, answers.FINDINGS)),
  'graph-mermaid': renderMermaid(answers.GRAPH),
  'graph-trouble-mermaid': renderMermaid(pickTrouble(answers.TANGLE, answers.FINDINGS)),
  'graph-html': renderHtml(answers.GRAPH, undefined),
  'graph-pid-html': renderHtml(pickProcess(answers.TANGLE, answers.WHY), renderWhy(answers.WHY, WIDE)),
};

t.test('golden texts', async (t) => {
  for (const [name, text] of Object.entries(TEXTS)) {
    const file = join(GOLDEN, `${name}.txt`);
    if (process.env.UPDATE_GOLDEN === '1') {
      mkdirSync(GOLDEN, { recursive: true });
      writeFileSync(file, text);
    }
    t.equal(text, readFileSync(file, 'utf8'), name);
  }
});

t.test('an event and a gap', async (t) => {
  const event = answers.onTheWire(answers.exitEvent(5)) as Parameters<typeof renderEvent>[0];
  t.equal(
    renderEvent(event, WIDE),
    '01:02:03.456 process.exit             pid:5 value=137 start=1 comm=sh signal=SIGKILL\n',
  );
  t.equal(renderEvent({ dropped: 5 }, WIDE), '! 5 events dropped here: this reader was too slow\n');
});

t.test('colour only repeats what the words say', async (t) => {
  for (const answer of [
    answers.WHY,
    answers.HEALTHY,
    answers.UNKNOWN,
    answers.SYMPTOM,
    answers.EXITED,
    answers.DEADLOCK,
  ]) {
    const colored = renderWhy(answer, COLOR);
    t.ok(colored.includes(ESC));
    t.equal(plain(colored), renderWhy(answer, WIDE));
  }
  t.equal(plain(renderDoctor(answers.DOCTOR, COLOR)), renderDoctor(answers.DOCTOR, WIDE));
});

t.test('no hostile string reaches the terminal', async (t) => {
  const hostile = fc.string({ unit: 'binary', maxLength: 30 });
  const scripted = (text: string): WhyAnswer => ({
    ...answers.WHY,
    node: text,
    summary: text,
    target: { ...answers.WHY.target, comm: text, startTime: text },
    rootCause: { node: text, type: text, summary: text },
    chain: answers.WHY.chain.map((link) => ({ ...link, to: text, note: text })),
    evidence: answers.WHY.evidence.map((proof) => ({ ...proof, entity: text, detail: text, ts: text })),
    recommendations: [text],
  });
  fc.assert(
    fc.property(hostile, (text) => {
      const answer = scripted(text);
      const shown = renderWhy(clean(answer, WIDE), WIDE);
      const json = toJson(answer);
      const line = toJsonLine({ [text]: text });
      return (
        !RAW.test(shown) &&
        !RAW.test(json) &&
        !RAW.test(line) &&
        JSON.stringify(JSON.parse(json)) === JSON.stringify(answer)
      );
    }),
    { examples: [['\u001b[2J'], ['\u009b31m'], ['\u202eevil'], ['a\nb'], ['\u2028']] },
  );
  t.notMatch(await toYaml({ comm: 'x\u001b[2J\u009b\u202e' }), RAW);
  t.notMatch(await toYaml({ comm: 'x\u202e' }), RAW);
});

t.test('where the locale is not UTF-8 nothing but ASCII is printed', async (t) => {
  // Its second byte is CSI to a terminal that reads bytes.
  const answer = {
    ...answers.WHY,
    summary: '\u06db31m 数 → µ…',
    target: { ...answers.WHY.target, comm: 'p\u00f6st' },
  };
  const ascii = { ...NARROW, color: false };
  const notAscii = /[^\n -~]/;
  t.notMatch(renderWhy(clean(answer, ascii), ascii), notAscii);
  t.match(renderWhy(clean(answer, ascii), ascii), /\\u\{6db\}31m \\u\{6570\} -> u\.\.\./);
  t.match(renderWhy(clean(answer, WIDE), WIDE), /数 → µ…/);
  t.notMatch(toJson(answer, false), notAscii);
  t.same(JSON.parse(toJson(answer, false)), JSON.parse(JSON.stringify(answer)));
  t.notMatch(await toYaml(answer, false), notAscii);
});

t.test('no line is wider than the screen, unless a name is', async () => {
  const word = fc.stringMatching(/^[a-z]{1,9}$/);
  const text = fc.array(word, { minLength: 1, maxLength: 20 }).map((words) => words.join(' '));
  const link = fc.record({
    from: fc.nat({ max: 30 }),
    to: fc.nat({ max: 30 }),
    note: text,
    sinceMs: fc.nat(),
  });
  fc.assert(
    fc.property(
      fc.integer({ min: 40, max: 110 }),
      text,
      fc.array(link),
      fc.boolean(),
      (width, says, links, unicode) => {
        const answer: WhyAnswer = {
          ...answers.WHY,
          node: 'n',
          summary: says,
          rootCause: { node: 'pid:3', type: 'process', summary: says },
          chain: [
            { from: 'pid:4242', edge: 'WaitsOn', to: 'pid:0', sinceMs: 1, evidence: [] },
            ...links.map(({ from, to, note, sinceMs }) => ({
              from: `pid:${from}`,
              edge: 'WaitsOn' as const,
              to: `pid:${to}`,
              note,
              sinceMs,
              evidence: ['e1'],
            })),
          ],
          evidence: answers.WHY.evidence.map((proof) => ({ ...proof, entity: 'pid:1', detail: says })),
          recommendations: [says],
          identifiedBy: [says],
        };
        const style: Style = { width, tableWidth: width, color: false, unicode };
        const shown = [
          renderWhy(answer, style),
          renderFindings({ ...answers.FINDINGS, findings: [answer] }, style),
        ];
        const tooWide = shown
          .join('')
          .split('\n')
          .filter((line) => widthOf(line) > width);
        if (tooWide.length > 0) throw new Error(tooWide.join('\n'));
      },
    ),
  );
});

t.test('quantities', async (t) => {
  t.equal(quantity(12400, 'ms'), '12.4 s');
  t.equal(quantity(0, 'bytes'), '0 bytes');
  t.equal(quantity(1234567.891, ''), '1,234,567.891');
  t.equal(quantity(-1234, 'segments'), '-1,234 segments');
  t.equal(quantity(5 * 2 ** 30, 'bytes'), '5,368,709,120 bytes (5.0 GiB)');
});

t.test('widths', async (t) => {
  t.equal(widthOf('ab'), 2);
  t.equal(widthOf('数据'), 4);
  t.equal(widthOf('e\u0301'), 1);
  t.equal(cut('abcdef', 4, '…'), 'abc…');
  t.equal(cut('数据库', 4, '~'), '数~');
  t.same(wrap('stuck for 12.4 s now', 15), ['stuck for', '12.4 s now'], 'a number stays with its unit');
  t.same(
    wrap('flow:10.0.0.1:4000-10.0.0.2:29500', 10),
    ['flow:10.0.0.1:4000-10.0.0.2:29500'],
    'ids stay whole',
  );
  t.same(wrap('aaaaaaaaa h', 10), ['aaaaaaaaa', 'h'], 'a unit is one only behind a number');
  fc.assert(
    fc.property(
      fc.array(fc.stringMatching(/^[a-z]{1,9}$/), { minLength: 1 }),
      fc.integer({ min: 10, max: 40 }),
      (words, width) => {
        const lines = wrap(words.join(' '), width);
        return lines.every((line) => widthOf(line) <= width) && lines.join(' ') === words.join(' ');
      },
    ),
  );
});
