/**
 * Where the nodes of a drawing go: in columns from left to right, each node to the right of what leads to it, and within
 * a column near the nodes that it is joined to. The usual way (Sugiyama) without its finer points: a chain is drawn as a
 * line, and a graph of a few hundred nodes so that it can be read.
 */

export interface Place {
  readonly column: number;
  readonly row: number;
}

export interface Layout {
  readonly places: ReadonlyMap<string, Place>;
  readonly columns: number;
  readonly rows: number;
}

/** Passes over the columns; more change next to nothing. */
const SWEEPS = 4;

type Links = ReadonlyMap<string, readonly string[]>;

export function layoutOf(
  nodes: readonly string[],
  edges: readonly { readonly from: string; readonly to: string }[],
): Layout {
  const forward = withoutCycles(nodes, linksOf(nodes, edges, 'from', 'to'));
  const backward = reversed(forward);
  const columns = columnsOf(nodes, forward, backward);
  const lists: string[][] = [];
  for (const node of nodes) {
    const column = columns.get(node) ?? 0;
    let list = lists[column];
    if (list === undefined) {
      list = [];
      lists[column] = list;
    }
    list.push(node);
  }
  const rows = new Map<string, number>();
  const number = (list: readonly string[]): void => {
    for (const [at, node] of list.entries()) rows.set(node, at);
  };
  for (const list of lists) number(list);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const near = sweep % 2 === 0 ? backward : forward;
    for (const list of sweep % 2 === 0 ? lists : [...lists].reverse()) {
      const wish = new Map(
        list.map((node) => [node, middle(near.get(node) ?? [], rows, rows.get(node) ?? 0)]),
      );
      list.sort((a, b) => (wish.get(a) ?? 0) - (wish.get(b) ?? 0));
      number(list);
    }
  }
  const places = new Map(
    nodes.map((node) => [node, { column: columns.get(node) ?? 0, row: rows.get(node) ?? 0 }]),
  );
  return { places, columns: lists.length, rows: Math.max(0, ...lists.map((list) => list.length)) };
}

function linksOf(
  nodes: readonly string[],
  edges: readonly { readonly from: string; readonly to: string }[],
  near: 'from' | 'to',
  far: 'from' | 'to',
): Links {
  const sets = new Map(nodes.map((node) => [node, new Set<string>()]));
  for (const edge of edges) if (sets.has(edge[far])) sets.get(edge[near])?.add(edge[far]);
  return new Map([...sets].map(([node, set]) => [node, [...set]]));
}

function reversed(links: Links): Links {
  const back = new Map<string, string[]>([...links.keys()].map((node) => [node, []]));
  for (const [node, list] of links) for (const to of list) back.get(to)?.push(node);
  return back;
}

/** Links that lead back to where they come from are left out: they are drawn, and place nothing. */
function withoutCycles(nodes: readonly string[], links: Links): Links {
  const kept = new Map<string, string[]>(nodes.map((node) => [node, []]));
  const done = new Set<string>();
  for (const start of nodes) {
    if (done.has(start)) continue;
    const open = new Set([start]);
    const stack = [{ node: start, at: 0 }];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const to = links.get(top.node)?.[top.at++];
      if (to === undefined) {
        open.delete(top.node);
        done.add(top.node);
        stack.pop();
      } else if (!open.has(to)) {
        kept.get(top.node)?.push(to);
        if (done.has(to)) continue;
        open.add(to);
        stack.push({ node: to, at: 0 });
      }
    }
  }
  return kept;
}

/** One to the right of the rightmost that leads to it. */
function columnsOf(nodes: readonly string[], forward: Links, backward: Links): ReadonlyMap<string, number> {
  const columns = new Map<string, number>();
  const missing = new Map(nodes.map((node) => [node, backward.get(node)?.length ?? 0]));
  const ready = nodes.filter((node) => missing.get(node) === 0);
  for (const node of ready) {
    const column = columns.get(node) ?? 0;
    columns.set(node, column);
    for (const to of forward.get(node) ?? []) {
      columns.set(to, Math.max(columns.get(to) ?? 0, column + 1));
      const left = (missing.get(to) ?? 1) - 1;
      missing.set(to, left);
      if (left === 0) ready.push(to);
    }
  }
  return columns;
}

function middle(near: readonly string[], rows: ReadonlyMap<string, number>, own: number): number {
  if (near.length === 0) return own;
  return near.reduce((sum, node) => sum + (rows.get(node) ?? 0), 0) / near.length;
}
