/**
 * A rank whose main thread waits on a condition while a helper polls the connections to the other ranks, with a time-out
 * so short that the helper never waits for long: gloo's and MPI's loops are made so. The condition has no owner and the
 * helper looks as if it got on; what there is to know is what keeps the other ranks.
 *
 * A server's event loop looks the same, and a stuck client is nothing to it. So: only between processes of one job, only
 * for a fault of the other one's own, and only if that was there when the main thread began to wait. Where all of them
 * stand still and nothing shows why, that is said, and nobody is picked.
 */
import { pollId } from '../events/ids.js';
import type { GraphNode, ProcessNode, ResourceNode, Thread } from '../graph/model.js';
import { hangsOnOthers } from '../graph/waits.js';
import { CONFIDENCE, DISCOUNT } from './confidence.js';
import { type Fault, type Link, type Outcome, waitedMs, waitFact } from './finding.js';
import { holdersOf, isKin, MAX_HOLDERS, PROGRESS_CPU_SHARE, STUCK_MS } from './links.js';
import type { Step, Walk } from './walk.js';
import { duration, waitNote, who } from './words.js';

/** A rank goes on for a moment with what it has in hand, and a fault is seen a moment after it began. */
const TOGETHER_MS = 3_000;
/** Between two steps ranks wait for each other all the time. */
const STILL_MS = 5_000;
/** Found on a condition in this share of the samples: a slow job keeps it waiting, step by step. */
const KEPT_SHARE = 0.6;
/** Of a CPU. A wait with a time-out begins anew each time; who uses no more than this in between gets nothing. */
const IDLE_CPU_SHARE = 0.01;
/** What a helper that runs has polled last is what it will poll again. */
const POLLED_MS = 3_000;
/** Told by name. */
const NAMED = 4;

type FaultOutcome = Extract<Outcome, { kind: 'fault' }>;
type SymptomOutcome = Extract<Outcome, { kind: 'symptom' }>;

/** Another rank, and the links from the main thread to it. */
interface Peer {
  readonly process: ProcessNode;
  /** The helper. */
  readonly thread: Thread;
  readonly links: readonly Link[];
}

export function pollPeers(
  walk: Walk,
  main: Thread,
  siblings: readonly Thread[],
  path: readonly Step[],
): FaultOutcome | SymptomOutcome | undefined {
  if (main.process.job === undefined || !(hangs(main) || main.hangShare >= KEPT_SHARE)) return undefined;
  // Ranks are connected each to each: what another one sees of a third, the first sees itself.
  if (path.some(({ process }) => isKin(main.process, process))) return undefined;
  const peers = siblings.flatMap((thread) => peersOf(walk, main, thread));
  const asked = new Set<ProcessNode>();
  for (const { process, thread, links } of peers) {
    if (asked.has(process) || walk.exhausted) continue;
    asked.add(process);
    const end = walk.process(process, [...path, { process: main.process, thread }]);
    if (end.kind !== 'fault' || !explains(end.fault, main)) continue;
    const confidence = end.fault.confidence * DISCOUNT.oneOfSeveral * DISCOUNT.sibling;
    return { ...end, fault: { ...end.fault, confidence }, links: [...links, ...end.links] };
  }
  return allStill(main, [...asked], peers[0]?.links ?? []);
}

function peersOf(walk: Walk, main: Thread, thread: Thread): readonly Peer[] {
  const set = pollSetOf(walk, thread);
  if (set === undefined) return [];
  const since = hangs(main) ? main.wait.attrs.since : thread.wait.attrs.since;
  const verb = hangs(main) ? 'waits' : 'waits again and again';
  const first: Link = {
    from: main.process,
    edge: 'WaitsOn',
    to: set,
    since,
    facts: hangs(main) ? [waitFact(main), waitFact(thread)] : [waitFact(thread)],
    tid: main.tid,
    note: `its main thread ${verb} for thread ${thread.tid} (${thread.wait.attrs.comm}), which polls its connections`,
  };
  return set.members.flatMap(({ entity, fd }) => {
    const node = walk.graph.nodes.get(entity);
    if (node?.type !== 'flow') return [];
    const note = `fd ${fd}, one of ${set.members.length}`;
    const member: Link = { from: set, edge: 'WaitsOn', to: node, since, facts: [], note };
    return othersOf(node, main.process).map((process) => ({
      process,
      thread,
      links: [first, member, { ...member, ...heldBy(node, process) }],
    }));
  });
}

/** What it polls, or has polled a moment ago: a helper that looks a hundred times a second is found between two looks, too. */
function pollSetOf(walk: Walk, { wait, tid, process }: Thread): ResourceNode | undefined {
  if (wait.type !== 'wait.poll' && wait.type !== 'wait.run') return undefined;
  const set = walk.graph.nodes.get(pollId(process.pid, tid));
  if (set?.type !== 'poll-set' || walk.now - set.lastTs > POLLED_MS) return undefined;
  return set;
}

function othersOf(node: GraphNode, own: ProcessNode): readonly ProcessNode[] {
  const holders = holdersOf(node);
  if (holders.length > MAX_HOLDERS) return [];
  return holders.filter((holder) => holder !== own && isKin(own, holder));
}

function heldBy(from: GraphNode, to: ProcessNode): Pick<Link, 'from' | 'edge' | 'to' | 'note'> {
  return { from, edge: 'BlockedBy', to, note: `the other end is ${who(to)}, of the same job` };
}

/** On a condition, for so long that it is no step of its work. */
function hangs(main: Thread): boolean {
  return hangsOnOthers(main) && waitedMs(main) >= STUCK_MS;
}

function explains({ strength, subScene, began }: Fault, main: Thread): boolean {
  if (strength !== 'hard' || subScene === 'Deadlock') return false;
  return !hangs(main) || began <= main.wait.attrs.since + TOGETHER_MS;
}

function allStill(
  main: Thread,
  peers: readonly ProcessNode[],
  links: readonly Link[],
): SymptomOutcome | undefined {
  const forMs = hangs(main) ? waitedMs(main) : 0;
  if (forMs < STILL_MS || peers.length === 0 || !peers.every(standsStill)) return undefined;
  const names = peers.slice(0, NAMED).map(who).join(', ');
  const more = peers.length > NAMED ? ` and ${peers.length - NAMED} more` : '';
  return {
    kind: 'symptom',
    scene: 'ProcessBlocked',
    subScene: 'WaitsOnPeer',
    summary: () =>
      `${waitNote(main)} for ${duration(forMs)}, and so do the other ranks of its job on this node: ${names}${more}; none of them shows why`,
    needs: `which of them has not come to the collective that the others are in: their stacks tell (py-spy dump --pid ${main.process.pid})`,
    confidence: CONFIDENCE.oneOfThem,
    links: links.slice(0, 1),
  };
}

/** Neither computes nor gets anywhere. */
function standsStill(process: ProcessNode): boolean {
  const main = process.threads.get(process.pid);
  if (main === undefined) return false;
  const { type } = main.wait;
  const looks = type === 'wait.poll' || type === 'wait.pipe' || type === 'wait.unix';
  return (
    (looks && process.cpuShare < IDLE_CPU_SHARE) ||
    (waitedMs(main) >= STUCK_MS && process.cpuShare < PROGRESS_CPU_SHARE)
  );
}
