/** `xctl graph`: every node with what goes out of it. The other forms are in graph-*.ts. */
import type { GraphNode } from '../../api/contract.js';
import type { Style } from '../terminal.js';
import { age } from './format.js';
import type { PickedEdge, PickedGraph } from './graph-pick.js';
import { paint } from './paint.js';

export function renderGraph(view: PickedGraph, style: Style): string {
  if (view.nodes.length === 0 && view.causes !== undefined)
    return `Nothing is wrong on ${view.node}, as far as the probes can see.\n`;
  const out = outEdges(view);
  const causes = new Set(view.causes);
  const mark = paint(style, 'red', style.unicode ? '  ◀ CAUSE' : '  <- CAUSE');
  const lines = view.nodes.flatMap((node) => [
    `${paint(style, 'bold', node.id)}${attrsText(node)}${causes.has(node.id) ? mark : ''}`,
    ...(out.get(node.id) ?? []).map((edge) => `  ${edge.kind} ${edge.to}${sinceText(edge, view.ts)}`),
  ]);
  const more = view.leftOut === undefined ? '' : ` (${view.leftOut} nodes further away left out)`;
  return `${[...lines, `nodes: ${view.nodes.length}, edges: ${view.edges.length}, on ${view.node}${more}`].join('\n')}\n`;
}

export function outEdges({ edges }: PickedGraph): ReadonlyMap<string, readonly PickedEdge[]> {
  const out = new Map<string, PickedEdge[]>();
  for (const edge of edges) {
    const known = out.get(edge.from);
    if (known === undefined) out.set(edge.from, [edge]);
    else known.push(edge);
  }
  return out;
}

/** A node's id, with the program's name where it has one. */
export function labelOf({ id, attrs }: GraphNode): string {
  return typeof attrs.comm === 'string' && attrs.comm !== '' ? `${id} ${attrs.comm}` : id;
}

/** `for 12.4 s`, with a blank in front; empty where the times make no sense. */
export function sinceText(edge: PickedEdge, now: string): string {
  const since = age(edge.since, now);
  return since === undefined ? '' : ` for ${since}`;
}

function attrsText(node: GraphNode): string {
  return Object.entries(node.attrs)
    .filter(([, value]) => value !== null && value !== '')
    .map(([key, value]) => ` ${key}=${value}`)
    .join('');
}
