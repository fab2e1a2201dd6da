/**
 * What our answers are held against: the plain reverse search. From the process asked about along every edge of the same
 * graph, at the same moment, to the deepest node; of several as deep, the one that its waiter has waited for longest. It
 * knows no scenes, no thresholds and no faults, as tools do that call the end of the longest path the root cause.
 *
 * Where it has nothing to go by it is given the benefit of the doubt: a living process without an edge is taken as well,
 * one that has ended as its own cause.
 */
import type { GraphEdge, GraphView } from '../../src/api/contract.js';
import { matches } from './judge.js';
import type { BaselineSaid } from './result.js';
import type { Truth } from './scenario.js';

/** Node ids carry the pid; the start time follows only where two processes had it. */
export function reverseSearch(view: GraphView, pid: number): string | null {
  const start = `pid:${pid}`;
  const out = new Map<string, GraphEdge[]>();
  for (const edge of view.edges) {
    const known = out.get(edge.from);
    if (known === undefined) out.set(edge.from, [edge]);
    else known.push(edge);
  }
  if (!out.has(start)) {
    const node = view.nodes.find(({ id }) => id === start);
    return node === undefined || node.attrs.state === 'exited' ? start : null;
  }
  let best = { node: start, depth: 0, since: '' };
  const seen = new Set([start]);
  const visit = (node: string, depth: number, since: string): void => {
    if (depth > best.depth || (depth === best.depth && since < best.since)) best = { node, depth, since };
    for (const edge of out.get(node) ?? []) {
      if (seen.has(edge.to)) continue;
      seen.add(edge.to);
      visit(edge.to, depth + 1, edge.since);
    }
  };
  visit(start, 0, '');
  return best.depth === 0 ? null : best.node;
}

/** By the same measure as ours: the first root cause. */
export function judgeBaseline(truth: Truth, root: string | null): BaselineSaid {
  const expected = truth.order === 'any' ? truth.causes : truth.causes.slice(0, 1);
  const right =
    truth.causes.length === 0
      ? root === null
      : expected.some((cause) => {
          const wanted = cause.root ?? cause.leadsTo;
          return wanted === undefined ? root === null : root !== null && matches(wanted, root);
        });
  return { root, right };
}
