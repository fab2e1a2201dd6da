/** Edges: an equal one is found before another is added, removing costs O(1) by swapping with the last. */
import type { Edge, EdgeKind, Fact, GraphNode } from './model.js';

/** How many edges of each kind there are. */
export interface EdgeCounts {
  Consumes: number;
  WaitsOn: number;
  BlockedBy: number;
}

export class EdgeSet {
  readonly counts: EdgeCounts = { Consumes: 0, WaitsOn: 0, BlockedBy: 0 };

  get total(): number {
    return this.counts.Consumes + this.counts.WaitsOn + this.counts.BlockedBy;
  }

  add(kind: EdgeKind, from: GraphNode, to: GraphNode, since: number, event: Fact, tid?: number): Edge {
    const edge: Edge = { kind, from, to, since, event, tid, outAt: from.out.length, inAt: to.in.length };
    from.out.push(edge);
    to.in.push(edge);
    this.counts[kind]++;
    return edge;
  }

  /** The same edge again keeps its `since`: O(out-degree of `from`). undefined: there is none yet. */
  refresh(kind: EdgeKind, from: GraphNode, to: GraphNode, event: Fact, tid?: number): Edge | undefined {
    for (const edge of from.out) {
      if (edge.to === to && edge.kind === kind && edge.tid === tid) {
        edge.event = event;
        return edge;
      }
    }
    return undefined;
  }

  remove(edge: Edge): void {
    if (edge.from.out[edge.outAt] !== edge) return;
    const lastOut = edge.from.out.pop();
    if (lastOut !== undefined && lastOut !== edge) {
      edge.from.out[edge.outAt] = lastOut;
      lastOut.outAt = edge.outAt;
    }
    const lastIn = edge.to.in.pop();
    if (lastIn !== undefined && lastIn !== edge) {
      edge.to.in[edge.inAt] = lastIn;
      lastIn.inAt = edge.inAt;
    }
    this.counts[edge.kind]--;
  }

  /** Every edge of one kind that leaves `node`. */
  removeOut(node: GraphNode, kind: EdgeKind): void {
    for (let i = node.out.length - 1; i >= 0; i--) {
      const edge = node.out[i];
      if (edge !== undefined && edge.kind === kind) this.remove(edge);
    }
  }

  removeAll(node: GraphNode): void {
    for (let edge = node.out.at(-1); edge !== undefined; edge = node.out.at(-1)) this.remove(edge);
    for (let edge = node.in.at(-1); edge !== undefined; edge = node.in.at(-1)) this.remove(edge);
  }
}
