/** What probe `gpu-trace` may cost the node: a price a class of functions, and what is given up first. */
import type { TraceClass } from './gpu-trace-functions.js';
import { type CallsOf, UprobeBudget } from './uprobe-budget.js';

/**
 * One call, entry and return together where both are looked at, ns: measured by bench/gpu-trace.ts. The trap is nearly
 * all of it, so that it differs from one machine to the next by the cost of a trap.
 */
export const COST_NS: Readonly<Record<TraceClass, number>> = {
  comm: 4_000,
  ask: 2_000,
  enqueue: 1_000,
  sync: 2_000,
};
/** More where the first instruction is stepped through (uprobe-entry.ts). */
export const STEP_NS = 12_000;

/** Of one core, for the whole node. */
export const BUDGET_SHARE = 0.005;
export const CLASSES: readonly TraceClass[] = ['comm', 'ask', 'enqueue', 'sync'];
/** In this order they are given up; making and ending communicators never is, being rare. */
const DISPENSABLE: readonly TraceClass[] = ['ask', 'enqueue', 'sync'];

export type Calls = CallsOf<TraceClass>;

export class TraceBudget extends UprobeBudget<TraceClass> {
  #stepped: ReadonlySet<TraceClass> = new Set();

  constructor(share = BUDGET_SHARE, windowMs?: number) {
    super(CLASSES, DISPENSABLE, { share, windowMs });
  }

  override price(name: TraceClass): number {
    return COST_NS[name] + (this.#stepped.has(name) ? STEP_NS : 0);
  }

  /** @param stepped classes that are dear */
  override note(
    ts: number,
    calls: Calls,
    stepped: ReadonlySet<TraceClass> = new Set(),
  ): TraceClass | undefined {
    this.#stepped = stepped;
    return super.note(ts, calls);
  }
}
