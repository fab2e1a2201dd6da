/** One thread's wait, followed: the table from the kind of wait to who must act for it to end. */
import type { EventOf } from '../events/event.js';
import type { FlowNode, ProcessNode, Thread } from '../graph/model.js';
import { reverseFlowId } from '../graph/transport.js';
import { CONFIDENCE } from './confidence.js';
import { diskFault, submittedTo } from './disk.js';
import type { Fault, Link, Outcome } from './finding.js';
import { waitedMs, waitFact } from './finding.js';
import { flowFault, lossFault } from './flow.js';
import { followHolders } from './holders.js';
import { hungWait } from './log.js';
import { extend, holdersOf, moving, STUCK_MS, target, waitLink } from './links.js';
import { followPoll } from './poll.js';
import type { Step, Walk } from './walk.js';
import { remoteOf, waitNote } from './words.js';

export function followWait(walk: Walk, thread: Thread, path: readonly Step[]): Outcome {
  const { wait } = thread;
  switch (wait.type) {
    case 'wait.run':
      return { kind: 'running', links: [] };
    case 'wait.sleep':
      return { kind: 'by-design', what: waitNote(thread), links: [] };
    case 'wait.accept':
      return { kind: 'by-design', what: 'waits for connections', links: [] };
    case 'wait.stopped':
    case 'wait.traced':
    case 'wait.frozen':
      // haltFault has judged the process; a single stopped thread explains nothing more.
      return { kind: 'by-design', what: waitNote(thread), links: [] };
    case 'wait.futex':
      return nobodyKnown(thread, 'who signals it: a condition or semaphore has no owner');
    case 'wait.lock':
    case 'wait.join':
      return followOwner(walk, thread, wait, path);
    case 'wait.pipe':
    case 'wait.unix':
    case 'wait.file_lock':
      return moving(thread) ?? followHolders(walk, thread, path);
    case 'wait.tcp':
      return followTcp(walk, thread, wait, path);
    case 'wait.poll':
      return followPoll(walk, thread, wait, path);
    case 'wait.child':
      return followChildren(walk, thread, path);
    case 'wait.disk':
      return diskFault(walk, thread);
    case 'wait.other':
      // A page fault has no file, but its request has a submitter.
      if (wait.attrs.ioWait === true && submittedTo(walk, thread) !== undefined)
        return diskFault(walk, thread);
      return idleOrHung(walk, thread);
    case 'wait.device':
      return idleOrHung(walk, thread);
  }
}

function idleOrHung(walk: Walk, thread: Thread): Outcome {
  return moving(thread) ?? hungWait(walk, thread) ?? nobodyKnown(thread, 'who ends this kind of wait');
}

function nobodyKnown(thread: Thread, needs: string): Outcome {
  const node = thread.edges[0]?.to;
  return {
    kind: 'unknown',
    summary: () => waitNote(thread),
    needs,
    links: node === undefined ? [] : [waitLink(thread, node)],
  };
}

/** A lock with a checked owner, a join: the one thread that must act is known. */
function followOwner(
  walk: Walk,
  thread: Thread,
  wait: EventOf<'wait.lock'> | EventOf<'wait.join'>,
  path: readonly Step[],
): Outcome {
  const node = target(walk, wait);
  if (node === undefined) return nobodyKnown(thread, 'the lock itself: it is not in the graph');
  const own = waitLink(thread, node);
  const owner = walk.graph.threadsByTid.get(wait.attrs.ownerTid);
  // A thread joins those of its own process: a tid elsewhere has been given out anew.
  if (owner === undefined || (wait.type === 'wait.join' && owner.process !== thread.process)) {
    return {
      kind: 'unknown',
      summary: () => waitNote(thread),
      needs: `thread ${wait.attrs.ownerTid}: it was not sampled`,
      links: [own],
    };
  }
  const links: readonly Link[] =
    wait.type === 'wait.join'
      ? [own]
      : [
          own,
          {
            from: node,
            edge: 'BlockedBy',
            to: owner.process,
            since: wait.attrs.since,
            facts: [],
            tid: owner.tid,
            note: `held by thread ${owner.tid} (${owner.wait.attrs.comm})`,
          },
        ];
  const end = walk.process(owner.process, path, owner);
  const soft = (confidence: number): Fault => ({
    node: owner.process,
    scene: 'ProcessBlocked',
    subScene: wait.type === 'wait.join' ? 'Join' : 'LockHeld',
    summary: `thread ${owner.tid} (${owner.wait.attrs.comm}) ${wait.type === 'wait.join' ? 'does not end' : 'holds the lock'}: it ${waitNote(owner).replace(/^thread \d+ \(.*?\) /, '')}`,
    confidence,
    began: wait.attrs.since,
    facts: [waitFact(owner)],
    recommendations: [`Take the stack of thread ${owner.tid}: it decides when this goes on`],
    strength: 'soft',
  });
  return extend(links, end, (kind) =>
    waitedMs(thread) < STUCK_MS
      ? undefined
      : soft(kind === 'by-design' ? CONFIDENCE.lockHeld : CONFIDENCE.lockHeld * 0.85),
  );
}

function followTcp(walk: Walk, thread: Thread, wait: EventOf<'wait.tcp'>, path: readonly Step[]): Outcome {
  const node = target(walk, wait);
  if (node?.type !== 'flow') return nobodyKnown(thread, 'the flow: it is not in the graph');
  const own = waitLink(thread, node);
  const peers = holdersOf(node);
  const fault = flowFault(node, walk.now);
  if (fault?.subScene === 'ZeroWindow' && peers.length > 0) return followHolders(walk, thread, path, fault);
  if (fault !== undefined) return { kind: 'fault', fault, links: [own] };
  const reverse = otherEnd(walk, node, thread);
  if (reverse !== undefined) return reverse;
  const loss = waitedMs(thread) < STUCK_MS ? undefined : lossFault(node, walk.now, wait.attrs.since);
  if (loss !== undefined) return { kind: 'fault', fault: loss, links: [own] };
  const short = moving(thread);
  if (short !== undefined) return short;
  if (peers.length > 0) return followHolders(walk, thread, path);
  const remote = node.attrs === undefined ? 'its peer' : remoteOf(node.attrs);
  return {
    kind: 'symptom',
    scene: 'NetworkStall',
    subScene: 'PeerSlow',
    summary: () => `${waitNote(thread)} ${remote}; the path shows no fault from here (nothing is unacked)`,
    needs: `what the process behind ${remote} waits for: ask the agent there`,
    confidence: CONFIDENCE.waitsForRemotePeer,
    links: [own],
  };
}

/** Both ends are on this node, and what the other end sends does not arrive. */
function otherEnd(walk: Walk, flow: FlowNode, thread: Thread): Outcome | undefined {
  if (flow.attrs === undefined) return undefined;
  const reverse = walk.graph.nodes.get(reverseFlowId(flow.attrs));
  if (reverse?.type !== 'flow') return undefined;
  const fault =
    flowFault(reverse, walk.now) ??
    (waitedMs(thread) < STUCK_MS ? undefined : lossFault(reverse, walk.now, thread.wait.attrs.since));
  if (fault === undefined || fault.subScene === 'ZeroWindow') return undefined;
  const owner = reverse.in.find((edge) => edge.kind === 'Consumes')?.from;
  const links: Link[] = [waitLink(thread, flow)];
  if (owner !== undefined) {
    links.push({
      from: flow,
      edge: 'BlockedBy',
      to: owner,
      since: fault.began,
      facts: [],
      note: 'the other end is on this node',
    });
    links.push({
      from: owner,
      edge: 'Consumes',
      to: reverse,
      since: fault.began,
      facts: fault.facts,
      note: 'what it sends is not acked',
    });
  } else {
    links.push({
      from: flow,
      edge: 'BlockedBy',
      to: reverse,
      since: fault.began,
      facts: fault.facts,
      note: 'what the other end sends is not acked',
    });
  }
  return { kind: 'fault', fault, links };
}

function followChildren(walk: Walk, thread: Thread, path: readonly Step[]): Outcome {
  const children = thread.edges
    .map((edge) => edge.to)
    .filter((node): node is ProcessNode => node.type === 'process');
  const [only] = children;
  if (only === undefined) return nobodyKnown(thread, 'which child: none is known');
  let running = false;
  let first: Outcome | undefined;
  for (const child of children) {
    if (walk.exhausted) break;
    const end = walk.process(child, path);
    if (end.kind === 'fault' && end.fault.strength === 'hard') {
      return { ...end, links: [waitLink(thread, child), ...end.links] };
    }
    if (end.kind === 'running') running = true;
    first ??= extend([waitLink(thread, child)], end, () => undefined);
  }
  if (running) return { kind: 'running', links: [waitLink(thread, only)] };
  return first ?? nobodyKnown(thread, 'which child: none is known');
}
