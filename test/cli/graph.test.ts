/** The forms of the graph: what is picked, how it is laid out, and that no name gets out of its quotes. */
import t from 'tap';
import type { GraphView } from '../../src/api/contract.js';
import { clean } from '../../src/cli/render/clean.js';
import { renderDot } from '../../src/cli/render/graph-dot.js';
import { renderHtml } from '../../src/cli/render/graph-html.js';
import { layoutOf } from '../../src/cli/render/graph-layout.js';
import { renderMermaid } from '../../src/cli/render/graph-mermaid.js';
import { pickProcess, pickTrouble } from '../../src/cli/render/graph-pick.js';
import { FINDINGS, HEAD, TANGLE, WHY } from './answers.js';
import { RAW, runCli, serve } from './helpers.js';
import { fc } from '../lib/property.js';

const NAMES = [
  '</title><script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onload='x",
  '&lt;script&gt;&#60;',
  'a"]\n  click n0 call x()',
  'end\n%%{init: {"securityLevel": "loose"}}%%',
  'style n0:x#34;',
  '`**bold**`',
  '\\"; } digraph evil { "',
  '\\',
  'x\\',
  '\u001b[2J\u009b31m\u202e',
  '<!--',
  ']]>',
  '-->|"x"| n9',
  '数据#;',
  '\ud800',
  '',
];

/** A graph of two nodes and an edge in which every text is `name`. */
function named(name: string): GraphView {
  return {
    ...HEAD,
    node: name,
    nodes: [
      { id: `pid:${name}`, type: name, attrs: { comm: name, x: name } },
      { id: `b${name}`, type: 'pipe', attrs: {} },
    ],
    edges: [{ kind: 'WaitsOn', from: `pid:${name}`, to: `b${name}`, since: name }],
  };
}

/** The tags of a page with the names of their attributes, in order: what a name must not change. */
function skeleton(page: string): string {
  const tags = page.match(/<[^>]*>/g) ?? [];
  return tags.map((tag) => tag.replace(/="[^"]*"/g, '=""')).join('');
}

const hostile = fc.oneof(fc.constantFrom(...NAMES), fc.string({ unit: 'binary', maxLength: 30 }));

t.test('html: a name adds no tag, no attribute and no reference', async (t) => {
  const picked = (name: string) => ({ ...clean(named(name), { unicode: true }), causes: [`b${name}`] });
  const plain = skeleton(renderHtml(picked('plain'), 'plain'));
  t.match(plain, /<svg/);
  fc.assert(
    fc.property(hostile, (name) => {
      const view = clean(named(name), { unicode: true });
      const page = renderHtml({ ...view, causes: [view.nodes[1]?.id ?? ''] }, view.node);
      return skeleton(page) === (name === '' ? skeletonOfEmpty() : plain) && !/[^\n -~]/.test(page);
    }),
    { examples: NAMES.map((name) => [name]) },
  );
});

/** An empty attribute is not listed. */
function skeletonOfEmpty(): string {
  const view = named('');
  return skeleton(renderHtml({ ...view, causes: ['b'] }, ''));
}

t.test('html asks for nothing else and runs nothing', async (t) => {
  const page = renderHtml(pickTrouble(TANGLE, FINDINGS), 'the answer');
  t.notMatch(page, /<script|<link|<iframe|<object|<embed|<form|@import|\bon\w+=|javascript:/i);
  const references = [...page.matchAll(/(?:href|src|url)\s*[=(]\s*["']?([^"')\s>]*)/g)].map(([, to]) => to);
  t.ok(references.length > 0);
  t.same(
    references.filter((to) => to?.startsWith('#') !== true),
    [],
    'references lead into the page only',
  );
  t.match(page, /default-src 'none'/);
  for (const [, id] of page.matchAll(/href="#(n\d+)"/g)) t.ok(page.includes(`id="${id}"`), `${id} is there`);
});

t.test('html of a graph that is too large is a list', async (t) => {
  const nodes = Array.from({ length: 301 }, (_, at) => ({ id: `pid:${at}`, type: 'process', attrs: {} }));
  const page = renderHtml({ ...HEAD, nodes, edges: [] }, undefined);
  t.notMatch(page, /<svg/);
  t.match(page, /Not drawn/);
  t.match(page, /id="n300"/);
});

t.test('mermaid: a name is plain characters and codes', async () => {
  fc.assert(
    fc.property(hostile, (name) => {
      const lines = renderMermaid(clean(named(name), { unicode: true })).split('\n');
      const text = '"[A-Za-z0-9 ._/@=,:#;-]*"';
      return (
        lines.length === 6 &&
        new RegExp(String.raw`^  n0\[${text}\]$`).test(lines[1] ?? '') &&
        new RegExp(String.raw`^  n1\[${text}\]$`).test(lines[2] ?? '') &&
        new RegExp(String.raw`^  n0 -->\|${text}\| n1$`).test(lines[3] ?? '') &&
        !lines.slice(1, 4).some((line) => /(?:style|classDef).*:\S*#.*;/.test(line))
      );
    }),
    { examples: NAMES.map((name) => [name]) },
  );
});

t.test('dot: a name stays in its quotes', async () => {
  fc.assert(
    fc.property(hostile, (name) => {
      const dot = renderDot(clean(named(name), { unicode: true }));
      const bare = dot.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
      return (
        bare ===
        'digraph xctl {\n  rankdir=LR;\n  node [shape=box];\n  "" [label=""];\n  "" [label=""];\n  "" -> "" [label=""];\n}\n'
      );
    }),
    { examples: NAMES.map((name) => [name]) },
  );
});

t.test('layout: every node has a place of its own, to the right of what leads to it', async () => {
  const node = fc.integer({ min: 0, max: 15 }).map(String);
  fc.assert(
    fc.property(
      fc.uniqueArray(node, { minLength: 1 }),
      fc.array(fc.record({ from: node, to: node })),
      (nodes, edges) => {
        const { places, columns, rows } = layoutOf(nodes, edges);
        const taken = new Set([...places.values()].map(({ column, row }) => `${column} ${row}`));
        const inside = [...places.values()].every(({ column, row }) => column < columns && row < rows);
        return places.size === nodes.length && taken.size === nodes.length && inside;
      },
    ),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(node, node)), (pairs) => {
      const edges = pairs.filter(([a, b]) => Number(a) < Number(b)).map(([from, to]) => ({ from, to }));
      const nodes = [...new Set(edges.flatMap(({ from, to }) => [from, to]))];
      const { places } = layoutOf(nodes, edges);
      const column = (id: string): number => places.get(id)?.column ?? -1;
      return edges.every(({ from, to }) => column(from) < column(to));
    }),
  );
});

t.test('what is picked', async (t) => {
  const around = pickProcess(TANGLE, WHY);
  t.same(
    around.nodes.map(({ id }) => id),
    ['pid:4242', 'pipe:81234', 'pid:4250', 'flow:10.0.0.1:4000-10.0.0.2:29500', 'pid:1'],
    'what it waits for and who waits for it, and no stranger',
  );
  t.same(around.causes, ['flow:10.0.0.1:4000-10.0.0.2:29500']);
  t.equal(around.edges.filter(({ onChain }) => onChain).length, 4, 'each thread on the chain');
  const trouble = pickTrouble(TANGLE, FINDINGS);
  t.notOk(trouble.nodes.some(({ id }) => id === 'pid:1' || id === 'pipe:7'));
  t.ok(
    trouble.nodes.some(({ id }) => id === 'error:latency/block:nvme0n1'),
    'what is in no graph but in a chain',
  );
  t.ok(
    trouble.nodes.some(({ id }) => id === 'cgroup:/kubepods/pod1'),
    'a cause without a chain',
  );
  const wide: GraphView = {
    ...TANGLE,
    edges: Array.from({ length: 3_000 }, (_, at) => ({
      kind: 'WaitsOn' as const,
      from: `pid:${10_000 + at}`,
      to: 'pid:4242',
      since: HEAD.ts,
    })),
  };
  const cut = pickProcess(wide, WHY);
  t.equal(cut.nodes.length, 2_000);
  t.equal((cut.leftOut ?? 0) + cut.nodes.length, 3_000 + 4, 'what is left out is counted');
});

t.test('from the command line', async (t) => {
  const { path, backend } = await serve(t);
  backend.answers.graph = TANGLE;
  const graph = (...words: string[]) => runCli(['graph', ...words, '--socket', path]);
  const json = JSON.parse((await graph('--pid', '4242', '-o', 'json')).stdout);
  t.match(json, { apiVersion: 'xctl/v1', causes: ['flow:10.0.0.1:4000-10.0.0.2:29500'] });
  t.match((await graph('--trouble')).stdout, /◀ CAUSE/);
  t.match((await graph('--trouble', '-o', 'mermaid')).stdout, /^flowchart LR\n/);
  const html = await graph('--pid', '4242', '-o', 'html');
  t.match(html.stdout, /^<!DOCTYPE html>\n[\s\S]*CAUSE FOUND[\s\S]*<svg/);
  t.notMatch(html.stdout, RAW);
  t.match(await graph('--pid', '1'), { code: 4, stdout: '', stderr: 'xctl graph: no process 1\n' });
});
