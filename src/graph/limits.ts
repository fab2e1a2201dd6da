/** How much the graph may hold, and what it says of itself. */

export interface GraphLimits {
  readonly maxNodes: number;
  readonly maxEdges: number;
  /** Exited processes kept in the compact store. */
  readonly maxExited: number;
  /** How long what is over stays queryable, ms of event time. */
  readonly keepMs: number;
}

export const DEFAULT_LIMITS: GraphLimits = {
  maxNodes: 200_000,
  maxEdges: 2_000_000,
  maxExited: 400_000,
  keepMs: 600_000,
};

export interface GraphStats {
  readonly nodes: Readonly<Record<string, number>>;
  readonly edges: Readonly<Record<string, number>>;
  readonly exited: number;
  /** Aged out as it should be. */
  readonly expired: number;
  /** Refused or dropped early because a limit was reached. */
  readonly evicted: Readonly<Record<'nodes' | 'edges' | 'exited', number>>;
  /** Events about an older process that had the same pid. */
  readonly stale: number;
}
