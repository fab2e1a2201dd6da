/**
 * The part of the graph that somebody asked for: what one process hangs on and who hangs on it, or what is wrong. What
 * `why` says of it is marked in it: the links of the chains, and the causes at their ends.
 */
import type { GraphEdge, GraphNode, GraphView } from '../../api/contract.js';
import type { ChainLink, Finding, Findings, WhyAnswer } from '../../scene/answer.js';

export interface PickedEdge extends GraphEdge {
  /** It is a link of an answer's chain. */
  readonly onChain?: true;
}

export interface PickedGraph extends GraphView {
  readonly edges: readonly PickedEdge[];
  /** Ids of the nodes that answers name as causes. */
  readonly causes?: readonly string[];
  /** Nodes that belong to it, too, and had to be left out. */
  readonly leftOut?: number;
}

/** A process that everybody waits for is no picture any more beyond this. */
const MAX_NODES = 2_000;

/** What the process of `answer` waits for, to the end, and whoever waits for it. */
export function pickProcess(view: GraphView, answer: WhyAnswer): PickedGraph {
  const start = `pid:${answer.target.pid}`;
  const ahead = reach(start, neighbours(view.edges, 'from', 'to'));
  const behind = reach(start, neighbours(view.edges, 'to', 'from'));
  const wanted = new Set([start, ...findingNodes([answer, ...(answer.alternatives ?? [])])]);
  for (const id of [...ahead, ...behind]) if (wanted.size < MAX_NODES) wanted.add(id);
  const leftOut = new Set([...ahead, ...behind].filter((id) => !wanted.has(id))).size;
  return pick(view, wanted, [answer, ...(answer.alternatives ?? [])], leftOut);
}

/** The chains of all findings, and nothing beside them. */
export function pickTrouble(view: GraphView, { findings }: Findings): PickedGraph {
  const told = findings.flatMap((answer) => [answer, ...(answer.alternatives ?? [])]);
  return pick(view, new Set(findingNodes(told)), told, 0);
}

function pick(
  view: GraphView,
  wanted: ReadonlySet<string>,
  told: readonly Finding[],
  leftOut: number,
): PickedGraph {
  const links = new Map<string, ChainLink>();
  for (const { chain } of told) for (const link of chain) links.set(keyOf(link.edge, link), link);
  const nodes: GraphNode[] = view.nodes.filter(({ id }) => wanted.has(id));
  const known = new Set(nodes.map(({ id }) => id));
  // What ails a cause has no node in the graph, and a crashed process may be gone from it.
  for (const id of wanted) if (!known.has(id)) nodes.push({ id, type: typeOf(id), attrs: {} });
  const edges: PickedEdge[] = [];
  const drawn = new Set<string>();
  for (const edge of view.edges) {
    if (!wanted.has(edge.from) || !wanted.has(edge.to)) continue;
    const key = keyOf(edge.kind, edge);
    drawn.add(key);
    // Several threads of a process may wait on one thing: each is an edge of its own.
    edges.push(links.has(key) ? { ...edge, onChain: true } : edge);
  }
  const nowMs = Date.parse(view.ts);
  for (const [key, { edge: kind, from, to, sinceMs }] of links) {
    if (drawn.has(key)) continue;
    const since = new Date(nowMs - sinceMs);
    edges.push({
      kind,
      from,
      to,
      since: Number.isNaN(since.getTime()) ? view.ts : since.toISOString(),
      onChain: true,
    });
  }
  const causes = [...new Set(told.flatMap(({ rootCause }) => (rootCause === null ? [] : [rootCause.node])))];
  return { ...view, nodes, edges, causes, ...(leftOut > 0 && { leftOut }) };
}

function findingNodes(told: readonly Finding[]): readonly string[] {
  return told.flatMap(({ chain, rootCause }) => [
    ...chain.flatMap(({ from, to }) => [from, to]),
    ...(rootCause === null ? [] : [rootCause.node]),
  ]);
}

function keyOf(kind: string, { from, to }: { readonly from: string; readonly to: string }): string {
  return `${kind}\0${from}\0${to}`;
}

function typeOf(id: string): string {
  return id.slice(0, Math.max(0, id.indexOf(':'))) || 'thing';
}

function neighbours(
  edges: readonly GraphEdge[],
  near: 'from' | 'to',
  far: 'from' | 'to',
): ReadonlyMap<string, readonly string[]> {
  const map = new Map<string, string[]>();
  for (const edge of edges) {
    const known = map.get(edge[near]);
    if (known === undefined) map.set(edge[near], [edge[far]]);
    else known.push(edge[far]);
  }
  return map;
}

/** Nearest first. */
function reach(start: string, next: ReadonlyMap<string, readonly string[]>): ReadonlySet<string> {
  const seen = new Set([start]);
  for (const id of seen) for (const to of next.get(id) ?? []) seen.add(to);
  return seen;
}
