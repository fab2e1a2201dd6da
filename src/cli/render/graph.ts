/** `xctl graph`: every node with what goes out of it; `-o dot` for Graphviz. */
import type { GraphEdge, GraphNode, GraphView } from '../../api/contract.js';
import type { Style } from '../terminal.js';
import { age } from './format.js';
import { paint } from './paint.js';

export function renderGraph(view: GraphView, style: Style): string {
  const out = new Map<string, GraphEdge[]>();
  for (const edge of view.edges) {
    const edges = out.get(edge.from);
    if (edges === undefined) out.set(edge.from, [edge]);
    else edges.push(edge);
  }
  const lines = view.nodes.flatMap((node) => [
    `${paint(style, 'bold', node.id)}${attrsText(node)}`,
    ...(out.get(node.id) ?? []).map((edge) => `  ${edge.kind} ${edge.to}${sinceText(edge, view.ts)}`),
  ]);
  return `${[...lines, `nodes: ${view.nodes.length}, edges: ${view.edges.length}, on ${view.node}`].join('\n')}\n`;
}

export function renderDot(view: GraphView): string {
  const nodes = view.nodes.map((node) => `  ${quote(node.id)} [label=${quote(labelOf(node))}];`);
  const edges = view.edges.map(
    (edge) => `  ${quote(edge.from)} -> ${quote(edge.to)} [label=${quote(edge.kind)}${LINE[edge.kind]}];`,
  );
  return `${['digraph xctl {', '  rankdir=LR;', '  node [shape=box];', ...nodes, ...edges, '}'].join('\n')}\n`;
}

const LINE: Readonly<Record<GraphEdge['kind'], string>> = {
  Consumes: ', style=dotted',
  WaitsOn: '',
  BlockedBy: ', style=bold',
};

function labelOf(node: GraphNode): string {
  const comm = node.attrs.comm;
  return typeof comm === 'string' && comm !== '' ? `${node.id} ${comm}` : node.id;
}

function attrsText(node: GraphNode): string {
  return Object.entries(node.attrs)
    .filter(([, value]) => value !== null && value !== '')
    .map(([key, value]) => ` ${key}=${value}`)
    .join('');
}

function sinceText(edge: GraphEdge, now: string): string {
  const since = age(edge.since, now);
  return since === undefined ? '' : ` for ${since}`;
}

function quote(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
