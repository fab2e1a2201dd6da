/**
 * A thread that waits on the same thing again and again, never for long: a lossy flow, a slow disk, a
 * pipe whose other end is late for a reason of its own. One wait proves nothing; their share does.
 */
import type { Thread } from '../graph/model.js';
import { culpritOf, isStorage } from './disk.js';
import type { Link, Outcome } from './finding.js';
import { lossFault } from './flow.js';
import { holdersOf } from './links.js';
import type { Step, Walk } from './walk.js';
import { who } from './words.js';

/** Found on it in this share of the samples: it is slowed by it. */
const OFTEN_SHARE = 0.4;
/** What the samples of a share go back to, mostly. */
const OFTEN_MS = 10_000;

type FaultOutcome = Extract<Outcome, { kind: 'fault' }>;

export function oftenOn(walk: Walk, thread: Thread, path: readonly Step[]): Outcome | undefined {
  if (thread.recentShare < OFTEN_SHARE) return undefined;
  const node = walk.graph.nodes.get(thread.recentOn);
  if (node === undefined) return undefined;
  const own = (since: number, facts: Link['facts']): Link => ({
    from: thread.process,
    edge: 'WaitsOn',
    to: node,
    since,
    facts,
    tid: thread.tid,
    note: `waits on it in ${Math.round(thread.recentShare * 100)} % of the samples`,
  });
  if (node.type === 'flow') {
    if (node.trouble?.kind !== 'retransmit') return undefined;
    const fault = lossFault(node, walk.now);
    return fault === undefined ? undefined : { kind: 'fault', fault, links: [own(fault.began, fault.facts)] };
  }
  if (isStorage(node)) {
    const culprit = culpritOf(node, walk.now, walk.now - OFTEN_MS);
    if (culprit === undefined) return undefined;
    return {
      kind: 'fault',
      fault: culprit.fault,
      links: [own(culprit.fault.began, culprit.fault.facts), ...culprit.links],
    };
  }
  return node.type === 'pipe' || node.type === 'unix-socket' ? late(walk, thread, path, own) : undefined;
}

/** The one at the other end is late for a reason of its own: only its hard fault counts. */
function late(
  walk: Walk,
  thread: Thread,
  path: readonly Step[],
  own: (since: number, facts: Link['facts']) => Link,
): FaultOutcome | undefined {
  const node = walk.graph.nodes.get(thread.recentOn);
  if (node === undefined) return undefined;
  const others = holdersOf(node).filter((holder) => holder !== thread.process);
  const [only, more] = others;
  if (only === undefined || more !== undefined) return undefined;
  const end = walk.process(only, [...path, { process: thread.process, thread }]);
  if (end.kind !== 'fault' || end.fault.strength !== 'hard' || end.fault.subScene === 'Deadlock')
    return undefined;
  const held: Link = {
    from: node,
    edge: 'BlockedBy',
    to: only,
    since: end.fault.began,
    facts: [],
    note: `the other end is held by ${who(only)}`,
  };
  return { ...end, links: [own(end.fault.began, []), held, ...end.links] };
}
