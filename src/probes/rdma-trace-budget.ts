/** What probe `rdma-trace` may cost the node, and what a post costs: measured on this machine, or known from another. */
import { UprobeBudget } from './uprobe-budget.js';

export type VerbsClass = 'post';

/** One post with one work request of one piece, ns: bench/rdma-trace.ts. Holds where it could not be measured here. */
export const POST_NS = 1_500;
/** More where the first instruction is stepped through (uprobe-entry.ts). */
export const STEP_NS = 12_000;
/** Of one core, for the whole node. */
export const BUDGET_SHARE = 0.02;

export class VerbsBudget extends UprobeBudget<VerbsClass> {
  /** Of one post, measured here, ns. */
  measuredNs: number | undefined;
  stepped = false;

  constructor(share = BUDGET_SHARE, windowMs?: number) {
    super(['post'], ['post'], { share, windowMs });
  }

  override price(): number {
    return (this.measuredNs ?? POST_NS) + (this.stepped ? STEP_NS : 0);
  }
}
