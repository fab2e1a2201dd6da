/** A poll set is a set: only a member with evidence of its own is followed, never a guess. */
import type { EventOf } from '../events/event.js';
import type { Thread } from '../graph/model.js';
import { DISCOUNT } from './confidence.js';
import type { Outcome } from './finding.js';
import { waitedMs, waitFact } from './finding.js';
import { holdersOf, MAX_HOLDERS, moving, waitLink } from './links.js';
import { flowFault } from './flow.js';
import { crashFault } from './crash.js';
import { haltFault } from './halt.js';
import type { Step, Walk } from './walk.js';
import { duration } from './words.js';

export function followPoll(
  walk: Walk,
  thread: Thread,
  wait: EventOf<'wait.poll'>,
  _path: readonly Step[],
): Outcome {
  const set = walk.graph.nodes.get(wait.entity);
  if (set === undefined) return { kind: 'by-design', what: 'waits for events', links: [] };
  const own = waitLink(thread, set);
  for (const member of wait.attrs.members) {
    const node = walk.graph.nodes.get(member.entity);
    if (node === undefined) continue;
    const toMember = {
      from: set,
      edge: 'WaitsOn' as const,
      to: node,
      since: wait.attrs.since,
      facts: [waitFact(thread)],
      note: `fd ${member.fd}, one of ${wait.attrs.nfds}`,
    };
    const flaw = node.type === 'flow' ? flowFault(node, walk.now) : undefined;
    if (flaw !== undefined && flaw.subScene !== 'ZeroWindow') {
      return {
        kind: 'fault',
        fault: { ...flaw, confidence: flaw.confidence * DISCOUNT.sibling },
        links: [own, toMember],
      };
    }
    const holders = holdersOf(node);
    if (holders.length > MAX_HOLDERS) continue;
    for (const holder of holders) {
      if (holder === thread.process) continue;
      const fault = haltFault(holder, walk.now) ?? crashFault(holder);
      if (fault === undefined) continue;
      const held = {
        from: node,
        edge: 'BlockedBy' as const,
        to: holder,
        since: fault.began,
        facts: [],
        note: 'the other end',
      };
      return {
        kind: 'fault',
        fault: { ...fault, confidence: fault.confidence * DISCOUNT.oneOfSeveral },
        links: [own, toMember, held],
      };
    }
  }
  const short = moving(thread);
  if (short !== undefined) return short;
  return {
    kind: 'by-design',
    what: `has polled ${wait.attrs.nfds} descriptors for ${duration(waitedMs(thread))}: it waits for one of them, none shows a fault`,
    links: [own],
  };
}
