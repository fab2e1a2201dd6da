/** What must hold of a graph after every event. */
import type { GraphNode } from '../../src/graph/model.js';
import type { StateGraph } from '../../src/graph/state-graph.js';

/** Each a sentence; none for a sound graph. Costs O(nodes + edges). */
export function unsound(graph: StateGraph): readonly string[] {
  const found: string[] = [];
  const check = (good: boolean, flaw: () => string): void => {
    if (!good) found.push(flaw());
  };
  const present = (node: GraphNode): boolean => graph.nodes.get(node.id) === node;
  const edges = { Consumes: 0, WaitsOn: 0, BlockedBy: 0 };
  const types = new Map<string, number>();
  let threads = 0;

  for (const [id, node] of graph.nodes) {
    check(node.id === id, () => `${node.id} is kept as ${id}`);
    types.set(node.type, (types.get(node.type) ?? 0) + 1);
    for (const [i, edge] of node.out.entries()) {
      edges[edge.kind]++;
      const name = `${edge.from.id} ${edge.kind} ${edge.to.id}`;
      check(edge.from === node, () => `${name} leaves ${id}`);
      check(edge.outAt === i, () => `${name}: outAt ${edge.outAt}, is at ${i}`);
      check(edge.to.in[edge.inAt] === edge, () => `${name}: inAt ${edge.inAt} is another`);
      check(present(edge.to), () => `${name} leads out of the graph`);
    }
    for (const [i, edge] of node.in.entries()) {
      const name = `${edge.from.id} ${edge.kind} ${edge.to.id}`;
      check(edge.to === node && edge.inAt === i, () => `${name}: inAt ${edge.inAt}, is at ${i} of ${id}`);
      check(edge.from.out[edge.outAt] === edge, () => `${name}: outAt ${edge.outAt} is another`);
      check(present(edge.from), () => `${name} comes from outside the graph`);
    }
    if (node.type !== 'process') continue;
    check(node.exit === undefined || node.out.length === 0, () => `${id} has ended and has edges`);
    for (const [tid, thread] of node.threads) {
      threads++;
      check(thread.tid === tid && thread.process === node, () => `thread ${tid} of ${id} is another's`);
      check(graph.threadsByTid.get(tid) === thread, () => `thread ${tid} of ${id} is not found by its tid`);
    }
    for (const child of node.children ?? []) {
      check(child.ppid === node.pid, () => `${child.id} is no child of ${id}`);
    }
  }

  const { limits } = graph;
  const same = (a: unknown, b: unknown, what: string): void =>
    check(JSON.stringify(a) === JSON.stringify(b), () => `${what}: ${JSON.stringify([a, b])}`);
  same(edges, graph.edges.counts, 'edges counted');
  same(edges.Consumes + edges.WaitsOn + edges.BlockedBy, graph.edges.total, 'edges in all');
  const counted = [...graph.nodeCounts].filter(([, count]) => count !== 0);
  same(sorted(types), sorted(new Map(counted)), 'nodes by type');
  same(threads, graph.threadsByTid.size, 'threads');
  check(graph.nodes.size <= limits.maxNodes, () => `${graph.nodes.size} nodes`);
  check(graph.edges.total <= limits.maxEdges, () => `${graph.edges.total} edges`);
  check(graph.exited.size <= limits.maxExited, () => `${graph.exited.size} exited`);
  return found;
}

/** Everything that a question could see, as text: equal for equal graphs. */
export function picture(graph: StateGraph): string {
  const nodes = [...graph.nodes.values()].map((node) => ({
    ...node,
    out: node.out.map((edge) => [edge.kind, edge.to.id, edge.since, edge.tid, edge.event]),
    in: node.in.length,
    ...(node.type === 'process' && {
      threads: [...node.threads.values()].map(({ tid, wait, seenTs, recentShare }) => [
        tid,
        wait,
        seenTs,
        recentShare,
      ]),
      children: [...(node.children ?? [])].map(({ id }) => id),
      usedAtExit: node.usedAtExit?.map(({ id }) => id),
      wroteAtExit: node.wroteAtExit?.map(({ id }) => id),
    }),
  }));
  return JSON.stringify({ now: graph.now, passTs: graph.passTs, stats: graph.stats(), nodes });
}

function sorted(counts: ReadonlyMap<string, number>): readonly (readonly [string, number])[] {
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
}
