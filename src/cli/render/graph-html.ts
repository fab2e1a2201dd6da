/**
 * `xctl graph -o html`: one file that asks for nothing else and runs nothing: no script, no font, no picture from
 * elsewhere, and a policy that forbids them should a name ever slip through. The drawing is SVG in the page; below it
 * stands every node with its attributes and edges, linked to one another.
 */
import type { GraphNode } from '../../api/contract.js';
import { dateTime } from './format.js';
import { labelOf, outEdges, sinceText } from './graph.js';
import { layoutOf, type Place } from './graph-layout.js';
import type { PickedEdge, PickedGraph } from './graph-pick.js';
import { cut } from './width.js';

/** More is no picture any more; the list below has them. */
const MAX_DRAWN_NODES = 300;
const MAX_DRAWN_EDGES = 1_500;
/** A browser copes with this many sections. */
const MAX_LISTED = 5_000;

const BOX = { width: 250, height: 46, gapX: 110, gapY: 18, margin: 20 } as const;
const LABEL_COLUMNS = 32;

const STYLE = `
:root { color-scheme: light dark; --line: #667; --paper: #fff; --ink: #111; --box: #f2f4f8; --bad: #c00; }
@media (prefers-color-scheme: dark) { :root { --line: #99a; --paper: #16181c; --ink: #eee; --box: #24272e; --bad: #ff6b6b; } }
body { font: 14px/1.45 system-ui, sans-serif; margin: 1.5rem; background: var(--paper); color: var(--ink); }
h1 { font-size: 1.3rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
pre { background: var(--box); padding: 1rem; overflow-x: auto; }
.drawing { overflow: auto; border: 1px solid var(--line); }
svg text { font: 12px ui-monospace, monospace; fill: var(--ink); } svg .kind { font-size: 10px; fill: var(--line); }
svg rect { fill: var(--box); stroke: var(--line); } svg .cause rect { stroke: var(--bad); stroke-width: 3; }
svg path { fill: none; stroke: var(--line); } svg .Consumes { stroke-dasharray: 3 4; } svg .BlockedBy { stroke-width: 2.5; }
svg .chain { stroke: var(--bad); }
section { border-top: 1px solid var(--line); padding: .6rem 0; } section:target { background: var(--box); }
table { border-collapse: collapse; } td, th { text-align: left; padding: 0 1rem 0 0; vertical-align: top; font-weight: normal; }
th { color: var(--line); } .word { color: var(--bad); font-weight: bold; } ul { margin: .2rem 0; padding-left: 1.2rem; }`;

/** @param answer what `why` says of it, as text */
export function renderHtml(view: PickedGraph, answer: string | undefined): string {
  const numbers = new Map(view.nodes.map(({ id }, at) => [id, at]));
  const page: Page = { view, numbers, causes: new Set(view.causes) };
  const more = view.leftOut === undefined ? '' : ` ${view.leftOut} nodes further away are left out.`;
  return [
    '<!DOCTYPE html>',
    '<html lang="en"><head><meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
    '<meta name="viewport" content="width=device-width">',
    `<title>xctl graph of ${html(view.node)}</title><style>${STYLE}</style></head><body>`,
    `<h1>${html(view.node)} at ${html(dateTime(view.ts))}</h1>`,
    `<p>${view.nodes.length} nodes, ${view.edges.length} edges.${more} A dotted line: uses; a thin one: waits on; a thick one: blocked by. What is red belongs to a cause.</p>`,
    ...(answer === undefined ? [] : [`<pre>${html(answer)}</pre>`]),
    ...drawing(page),
    '<h2>Nodes</h2>',
    ...list(page),
    '</body></html>\n',
  ].join('\n');
}

interface Page {
  readonly view: PickedGraph;
  /** Number of a node by its id: what links lead to. */
  readonly numbers: ReadonlyMap<string, number>;
  readonly causes: ReadonlySet<string>;
}

function drawing({ view, numbers, causes }: Page): readonly string[] {
  const { nodes, edges } = view;
  if (nodes.length > MAX_DRAWN_NODES || edges.length > MAX_DRAWN_EDGES) {
    return [
      `<p>Not drawn: more than ${MAX_DRAWN_NODES} nodes or ${MAX_DRAWN_EDGES} edges. <code>xctl graph --trouble</code> and <code>--pid PID</code> have fewer.</p>`,
    ];
  }
  const layout = layoutOf([...numbers.keys()], edges);
  const width = layout.columns * (BOX.width + BOX.gapX) - BOX.gapX + 2 * BOX.margin;
  const height = layout.rows * (BOX.height + BOX.gapY) - BOX.gapY + 2 * BOX.margin;
  const placeOf = (id: string): Place => layout.places.get(id) ?? { column: 0, row: 0 };
  return [
    `<div class="drawing"><svg xmlns="http://www.w3.org/2000/svg" width="${Math.max(width, BOX.width)}" height="${Math.max(height, BOX.height)}" role="group" aria-label="The graph; the list below says the same">`,
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8"/></marker></defs>',
    ...edges
      .filter(({ from, to }) => numbers.has(from) && numbers.has(to))
      .map((edge) => line(edge, placeOf(edge.from), placeOf(edge.to))),
    ...nodes.map((node) => box(node, numbers.get(node.id) ?? 0, placeOf(node.id), causes.has(node.id))),
    '</svg></div>',
  ];
}

function box(node: GraphNode, number: number, place: Place, cause: boolean): string {
  const { x, y } = corner(place);
  const name = html(cut(labelOf(node), LABEL_COLUMNS, '…'));
  return (
    `<a href="#n${number}"><g${cause ? ' class="cause"' : ''}><title>${html(labelOf(node))}</title>` +
    `<rect x="${x}" y="${y}" width="${BOX.width}" height="${BOX.height}" rx="5"/>` +
    `<text x="${x + 10}" y="${y + 19}">${name}</text>` +
    `<text class="kind" x="${x + 10}" y="${y + 36}">${cause ? 'CAUSE, ' : ''}${html(node.type)}</text></g></a>`
  );
}

/** From the right side of one box to the left side of the other; round them where it leads back. */
function line({ kind, onChain }: PickedEdge, from: Place, to: Place): string {
  const start = corner(from);
  const end = corner(to);
  const half = BOX.height / 2;
  const x1 = start.x + BOX.width;
  const y1 = start.y + half;
  const x2 = end.x;
  const y2 = end.y + half;
  const bend = to.column > from.column ? (x2 - x1) / 2 : BOX.gapX * 0.6;
  const style = `${html(kind)}${onChain === true ? ' chain' : ''}`;
  return `<path class="${style}" marker-end="url(#tip)" d="M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}"/>`;
}

function corner({ column, row }: Place): { readonly x: number; readonly y: number } {
  return {
    x: BOX.margin + column * (BOX.width + BOX.gapX),
    y: BOX.margin + row * (BOX.height + BOX.gapY),
  };
}

function list(page: Page): readonly string[] {
  const { view, causes } = page;
  const ordered = [...view.nodes].sort((a, b) => Number(causes.has(b.id)) - Number(causes.has(a.id)));
  const out = outEdges(view);
  const into = new Map<string, PickedEdge[]>();
  for (const edge of view.edges) {
    const known = into.get(edge.to);
    if (known === undefined) into.set(edge.to, [edge]);
    else known.push(edge);
  }
  const left = ordered.length - MAX_LISTED;
  return [
    ...ordered
      .slice(0, MAX_LISTED)
      .map((node) => entry(node, out.get(node.id) ?? [], into.get(node.id) ?? [], page)),
    ...(left > 0 ? [`<p>${left} more nodes are left out.</p>`] : []),
  ];
}

function entry(node: GraphNode, out: readonly PickedEdge[], into: readonly PickedEdge[], page: Page): string {
  const word = page.causes.has(node.id) ? ' <span class="word">CAUSE</span>' : '';
  const attrs = Object.entries(node.attrs)
    .filter(([, value]) => value !== null && value !== '')
    .map(([key, value]) => `<tr><th>${html(key)}</th><td>${html(String(value))}</td></tr>`);
  const edges = [
    ...out.map(
      (edge) => `<li>${VERB[edge.kind]} ${link(edge.to, page)}${html(sinceText(edge, page.view.ts))}</li>`,
    ),
    ...into.map(
      (edge) =>
        `<li>${link(edge.from, page)} ${VERB[edge.kind]} it${html(sinceText(edge, page.view.ts))}</li>`,
    ),
  ];
  return (
    `<section id="n${page.numbers.get(node.id) ?? 0}"><h3>${html(node.id)} (${html(node.type)})${word}</h3>` +
    (attrs.length > 0 ? `<table>${attrs.join('')}</table>` : '') +
    (edges.length > 0 ? `<ul>${edges.join('')}</ul>` : '') +
    '</section>'
  );
}

const VERB: Readonly<Record<PickedEdge['kind'], string>> = {
  WaitsOn: 'waits on',
  BlockedBy: 'blocked by',
  Consumes: 'uses',
};

function link(id: string, { numbers }: Page): string {
  const number = numbers.get(id);
  return number === undefined ? html(id) : `<a href="#n${number}">${html(id)}</a>`;
}

/** Names stand in the page as text only, and never in a tag; whatever is not plain ASCII becomes a code. */
function html(text: string): string {
  return text.replace(/[&<>"'`]|[^\n -~]/gu, (sign) => `&#${sign.codePointAt(0) ?? 63};`);
}
