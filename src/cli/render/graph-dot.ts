/** `xctl graph -o dot`, for Graphviz. */
import type { GraphEdge } from '../../api/contract.js';
import { labelOf } from './graph.js';
import type { PickedGraph } from './graph-pick.js';

export function renderDot(view: PickedGraph): string {
  const causes = new Set(view.causes);
  const nodes = view.nodes.map((node) => {
    const cause = causes.has(node.id);
    const label = cause ? `CAUSE: ${labelOf(node)}` : labelOf(node);
    return `  ${quote(node.id)} [label=${quote(label)}${cause ? ', color=red, penwidth=3' : ''}];`;
  });
  const edges = view.edges.map(({ from, to, kind, onChain }) => {
    const weight = onChain === true ? ', color=red' : '';
    return `  ${quote(from)} -> ${quote(to)} [label=${quote(kind)}${LINE[kind]}${weight}];`;
  });
  return `${['digraph xctl {', '  rankdir=LR;', '  node [shape=box];', ...nodes, ...edges, '}'].join('\n')}\n`;
}

const LINE: Readonly<Record<GraphEdge['kind'], string>> = {
  Consumes: ', style=dotted',
  WaitsOn: '',
  BlockedBy: ', style=bold',
};

function quote(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
