/** A pipe, socket or file lock: who has the other end, and what each of them does. */
import type { ProcessNode, Thread } from '../graph/model.js';
import { CONFIDENCE, DISCOUNT } from './confidence.js';
import { crashFault } from './crash.js';
import type { Fault, Link, Outcome } from './finding.js';
import { waitedMs, waitFact } from './finding.js';
import { extend, holdersOf, MAX_HOLDERS, PROGRESS_CPU_SHARE, waitLink } from './links.js';
import { spinShare } from './nccl.js';
import type { Step, Walk } from './walk.js';
import { waitNote, who } from './words.js';

type FaultOutcome = Extract<Outcome, { kind: 'fault' }>;

/** A peer that is active, but has let somebody wait for this long, does not serve them. */
const NEGLECTED_MS = 5_000;

/**
 * @param fallback what is wrong with the object itself (a closed window), for when its holder shows
 *   no fault of its own.
 */
export function followHolders(walk: Walk, thread: Thread, path: readonly Step[], fallback?: Fault): Outcome {
  const node = walk.graph.nodes.get(thread.wait.entity);
  if (node === undefined) {
    return { kind: 'unknown', summary: () => waitNote(thread), needs: 'the object it waits on', links: [] };
  }
  const own = waitLink(thread, node);
  const all = holdersOf(node);
  const others = all.filter((holder) => holder !== thread.process);
  const holders = others.length > 0 ? others : all;
  const [only] = holders;
  if (only === undefined) {
    if (fallback !== undefined) return { kind: 'fault', fault: fallback, links: [own] };
    return {
      kind: 'unknown',
      summary: () => waitNote(thread),
      needs: 'who holds the other end: nobody on this node is known to',
      links: [own],
    };
  }
  if (only === thread.process && holders.length === 1) return selfHeld(walk, thread, own, path);
  if (holders.length === 1) return oneHolder(walk, thread, own, only, path, fallback);
  return severalHolders(walk, thread, own, holders, path, fallback);
}

function oneHolder(
  walk: Walk,
  thread: Thread,
  own: Link,
  holder: ProcessNode,
  path: readonly Step[],
  fallback: Fault | undefined,
): Outcome {
  const links = [own, heldBy(own, holder)];
  const end = walk.process(holder, path);
  if (fallback !== undefined && (end.kind !== 'fault' || end.fault.strength === 'soft')) {
    return { kind: 'fault', fault: withReader(fallback, holder), links };
  }
  return extend(links, end, (kind) => peerFault(holder, thread, kind));
}

/**
 * The holders are a set: only one with evidence of its own is picked out of it. Unless it does not matter which of them is
 * meant: forked workers keep the ends of others open, and wait for one another; where the waits of all lead to one node,
 * that is the cause, whoever should have acted.
 */
function severalHolders(
  walk: Walk,
  thread: Thread,
  own: Link,
  holders: readonly ProcessNode[],
  path: readonly Step[],
  fallback: Fault | undefined,
): Outcome {
  if (holders.length <= MAX_HOLDERS) {
    const ends: FaultOutcome[] = [];
    for (const holder of holders) {
      if (walk.exhausted) break;
      const end = extend([own, heldBy(own, holder)], walk.process(holder, path), (kind) =>
        peerFault(holder, thread, kind),
      );
      if (end.kind === 'fault' && isOwn(end.fault)) ends.push(end);
    }
    const all = walk.exhausted ? undefined : allTheSame(ends, holders.length);
    if (all !== undefined && fallback === undefined) return all;
    const hard = ends.find(({ fault }) => fault.strength === 'hard');
    if (hard !== undefined) {
      const confidence = hard.fault.confidence * (all === undefined ? DISCOUNT.oneOfSeveral : 1);
      return { ...hard, fault: { ...hard.fault, confidence } };
    }
  }
  if (fallback !== undefined) return { kind: 'fault', fault: fallback, links: [own] };
  return {
    kind: 'symptom',
    scene: 'ProcessBlocked',
    subScene: 'WaitsOnPeer',
    summary: () => oneOf(thread, holders),
    needs: 'which of them should act',
    confidence: CONFIDENCE.oneOfThem,
    links: [own],
  };
}

/** A cycle that may lead through this very set is not proven: one of locks and joins alone does not. */
function isOwn({ subScene, confidence }: Fault): boolean {
  return subScene !== 'Deadlock' || confidence >= CONFIDENCE.deadlockLocks;
}

/** The shortest way to the one node that the waits of all holders end at. */
function allTheSame(ends: readonly FaultOutcome[], holders: number): FaultOutcome | undefined {
  const [first] = ends;
  if (first === undefined || ends.length < holders) return undefined;
  if (ends.some(({ fault }) => fault.node !== first.fault.node)) return undefined;
  return ends.reduce((best, end) => (end.links.length < best.links.length ? end : best), first);
}

function oneOf(thread: Thread, holders: readonly ProcessNode[]): string {
  const names = holders.slice(0, 4).map(who).join(', ');
  const more = holders.length > 4 ? ', …' : '';
  return `${waitNote(thread)}; one of ${holders.length} processes holds the other end (${names}${more}), none shows a fault`;
}

/** The process itself holds the other end: another thread of it serves it, or nobody ever will. */
function selfHeld(walk: Walk, thread: Thread, own: Link, path: readonly Step[]): Outcome {
  const { process } = thread;
  const busy = [...process.threads.values()].some(
    (other) => other !== thread && other.wait.type === 'wait.run',
  );
  if (busy) return { kind: 'running', links: [own] };
  for (const other of process.threads.values()) {
    if (walk.exhausted) break;
    if (other === thread || path.some((step) => step.thread === other)) continue;
    const end = walk.thread(other, path);
    if (end.kind === 'fault' && end.fault.strength === 'hard') {
      return { ...end, links: [own, heldBy(own, process), ...end.links] };
    }
  }
  const dead = deadWorker(own, process);
  if (dead !== undefined) return dead;
  return {
    kind: 'unknown',
    summary: () => `${waitNote(thread)}; only the process itself holds the other end`,
    needs: 'which of its threads should act',
    links: [own],
  };
}

/**
 * Whoever had the other end has ended, and the process's own descriptor for it, never closed, hides that. A child that
 * crashed was it, most likely: what it had open is not known any more.
 */
function deadWorker(own: Link, process: ProcessNode): Outcome | undefined {
  let last: ProcessNode | undefined;
  for (const child of process.children ?? [])
    if (child.exit !== undefined && child.exit.ts > (last?.exit?.ts ?? 0)) last = child;
  const fault = last === undefined ? undefined : crashFault(last);
  if (last?.exit === undefined || fault === undefined) return undefined;
  const note = `nobody else has the other end open; its child ${who(last)} has died`;
  const link: Link = { from: own.to, edge: 'BlockedBy', to: last, since: last.exit.ts, facts: [], note };
  const summary = `${who(last)} has died (${fault.summary}); ${who(process)} waits on, since it has the other end open itself`;
  const confidence = fault.confidence * DISCOUNT.oneOfSeveral;
  const recommendations = [
    ...fault.recommendations,
    'Close the end of the pipe that the parent does not use: then its reads end when the worker does',
  ];
  return { kind: 'fault', fault: { ...fault, summary, confidence, recommendations }, links: [own, link] };
}

/** From what is waited on to one who has its other end open. */
export function heldBy(own: Link, holder: ProcessNode): Link {
  const queued = own.to.type === 'flow' && own.to.queued;
  const edge = own.to.out.find((candidate) => candidate.to === holder && candidate.kind === 'BlockedBy');
  return {
    from: own.to,
    edge: 'BlockedBy',
    to: holder,
    since: own.since,
    facts: edge === undefined ? [] : [edge.event],
    note: queued
      ? `${who(holder)} listens there, and has not accepted the connection yet`
      : `the other end is held by ${who(holder)}`,
  };
}

function idleNote(main: Thread | undefined): string {
  return main === undefined ? 'is idle' : waitNote(main);
}

/** Nothing is wrong with the holder, but it is the one who does not act. */
export function peerFault(
  holder: ProcessNode,
  waiter: Thread,
  kind: 'running' | 'by-design' | 'unknown',
): Fault | undefined {
  const main = holder.threads.get(holder.pid);
  const busy = holder.cpuShare - spinShare(holder, waiter.seenTs) >= PROGRESS_CPU_SHARE;
  // It goes from one short wait to the next: it may well be about to serve this one.
  if (kind === 'running' && !busy && waitedMs(waiter) < NEGLECTED_MS) return undefined;
  const doing = kind === 'running' ? (busy ? 'is busy on the CPU' : 'does other things') : idleNote(main);
  return {
    node: holder,
    scene: 'ProcessBlocked',
    subScene: 'WaitsOnPeer',
    summary: `${who(holder)} does not act: it ${doing}`,
    confidence:
      kind === 'running'
        ? CONFIDENCE.peerRuns
        : main?.wait.type === 'wait.sleep'
          ? CONFIDENCE.peerSleeps
          : CONFIDENCE.peerIdle,
    began: waiter.wait.attrs.since,
    facts: main === undefined ? [] : [waitFact(main)],
    recommendations: [
      `Look at what ${who(holder)} does: its stack tells (gdb -p ${holder.pid}, py-spy dump)`,
    ],
    strength: 'soft',
  };
}

function withReader(fault: Fault, holder: ProcessNode): Fault {
  return {
    ...fault,
    summary: `${fault.summary}; the reader is ${who(holder)}`,
    recommendations: [`xctl why ${holder.pid}`],
  };
}
