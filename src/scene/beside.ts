/**
 * A second fault on one connection: nothing gets through it, and that is the answer; but the process at its other end is
 * made to stand still as well, and would not answer when the path is whole again. Told among the alternatives only: which
 * of the two came first explains the wait, and the walk has decided that.
 */
import type { Thread } from '../graph/model.js';
import type { Outcome } from './finding.js';
import { haltFault } from './halt.js';
import { heldBy } from './holders.js';
import { holdersOf, waitLink } from './links.js';
import type { Walk } from './walk.js';

type FaultOutcome = Extract<Outcome, { kind: 'fault' }>;

export function besideTheFlow(walk: Walk, thread: Thread): readonly FaultOutcome[] {
  const { wait } = thread;
  const node = wait.type === 'wait.tcp' ? walk.graph.nodes.get(wait.entity) : undefined;
  if (node?.type !== 'flow') return [];
  const [only, more] = holdersOf(node).filter((holder) => holder !== thread.process);
  // Of several, any of the others may answer.
  if (only === undefined || more !== undefined) return [];
  const fault = haltFault(only, walk.now);
  if (fault === undefined) return [];
  const own = waitLink(thread, node);
  return [{ kind: 'fault', fault, links: [own, { ...heldBy(own, only), since: fault.began }] }];
}
