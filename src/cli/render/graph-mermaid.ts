/**
 * `xctl graph -o mermaid`, for pages that draw such text. Nodes are numbered, and names stand in quotes with all but
 * plain characters written as Mermaid's `#code;`: its grammar has no other escape, and a name could end the quotes,
 * begin a directive or bring HTML along.
 */
import type { GraphEdge } from '../../api/contract.js';
import { labelOf, sinceText } from './graph.js';
import type { PickedGraph } from './graph-pick.js';

const ARROW: Readonly<Record<GraphEdge['kind'], string>> = {
  Consumes: '-.->',
  WaitsOn: '-->',
  BlockedBy: '==>',
};

/** What Mermaid draws unless its page says otherwise (maxEdges). */
const MAX_EDGES = 500;

export function renderMermaid(view: PickedGraph): string {
  const causes = new Set(view.causes);
  const numbers = new Map(view.nodes.map(({ id }, at) => [id, `n${at}`]));
  const nodes = view.nodes.map((node, at) => {
    const cause = causes.has(node.id);
    return `  n${at}["${cause ? 'CAUSE: ' : ''}${escaped(labelOf(node))}"]${cause ? ':::cause' : ''}`;
  });
  const edges = view.edges.flatMap((edge) => {
    const from = numbers.get(edge.from);
    const to = numbers.get(edge.to);
    if (from === undefined || to === undefined) return [];
    return [`  ${from} ${ARROW[edge.kind]}|"${escaped(`${edge.kind}${sinceText(edge, view.ts)}`)}"| ${to}`];
  });
  const note = `  %% ${edges.length} edges: a page draws ${MAX_EDGES} unless its maxEdges says more; xctl graph --trouble has fewer`;
  const lines = [
    'flowchart LR',
    ...(edges.length > MAX_EDGES ? [note] : []),
    ...nodes,
    ...edges,
    '  classDef cause stroke:red,stroke-width:3px',
  ];
  return `${lines.join('\n')}\n`;
}

function escaped(text: string): string {
  // Mermaid looks for `style…:…#…;` to spare colours, and would take the `;` of one of our codes for theirs.
  const unsafe = /style|classDef/.test(text) ? /[^A-Za-z0-9 ._/@=,-]/gu : /[^A-Za-z0-9 ._/@=,:-]/gu;
  return text.replace(unsafe, (sign) => `#${sign.codePointAt(0) ?? 63};`);
}
