/** A walk that comes back to where it was: a cycle is a deadlock, and is the cause. */
import type { ProcessNode, Thread } from '../graph/model.js';
import { CONFIDENCE } from './confidence.js';
import type { Fault } from './finding.js';
import { waitFact } from './finding.js';
import type { Step } from './walk.js';
import { duration, who } from './words.js';

/**
 * @param thread known where a lock or a join led here; undefined where a pipe or socket led to the
 *   process as a whole. A cycle through processes as wholes counts only if each one's thread on it is
 *   the one that would serve the others.
 */
export function deadlockFault(
  process: ProcessNode,
  path: readonly Step[],
  thread: Thread | undefined,
  now: number,
): Fault | undefined {
  const at = path.findIndex(
    (step) => step.process === process && (thread === undefined || step.thread === thread),
  );
  if (at < 0) return undefined;
  // A step through a queue pair has no thread that is known to wait: no cycle is proven.
  if (path.slice(at).some((step) => step.thread === undefined)) return undefined;
  const walked = path.slice(at).flatMap((step) => (step.thread === undefined ? [] : [step.thread]));
  const cycle = canonical(walked);
  const first = cycle[0];
  if (first === undefined || cycle.some((member) => member.seenTs <= member.wait.attrs.since))
    return undefined;
  if (!walked.every((member, i) => isNamed(walked.at(i - 1)) || isOnlyWorker(member))) return undefined;
  const began = Math.max(...cycle.map((member) => member.wait.attrs.since));
  return {
    node: first.edges[0]?.to ?? process,
    scene: 'ProcessBlocked',
    subScene: 'Deadlock',
    summary: `deadlock for ${duration(now - began)}: ${describe(cycle)}`,
    confidence: confidenceOf(cycle),
    began,
    facts: cycle.map(waitFact),
    recommendations: advice(cycle),
    strength: 'hard',
  };
}

/** The same cycle from wherever it was entered: it begins at its smallest tid. */
function canonical(cycle: readonly Thread[]): readonly Thread[] {
  const start = cycle.reduce((best, thread, i) => (thread.tid < (cycle[best]?.tid ?? 0) ? i : best), 0);
  return [...cycle.slice(start), ...cycle.slice(0, start)];
}

function advice(cycle: readonly Thread[]): readonly string[] {
  const stacks =
    'No outside event can end this: take stacks of the threads named (gdb -p, py-spy dump), then restart';
  if (cycle.every((thread) => thread.wait.type === 'wait.lock'))
    return [stacks, 'Take the locks in one order everywhere'];
  return [stacks, 'Let one side write before it reads, or read with a timeout'];
}

/** A lock or a join names the thread that must act, not just its process. */
export function isNamed(waiter: Thread | undefined): boolean {
  return waiter?.wait.type === 'wait.lock' || waiter?.wait.type === 'wait.join';
}

/** Nobody else in the process could serve the other end: its other threads wait on it, or by design. */
export function isOnlyWorker(thread: Thread): boolean {
  for (const other of thread.process.threads.values()) {
    if (other === thread) continue;
    switch (other.wait.type) {
      case 'wait.futex':
      case 'wait.lock':
      case 'wait.join':
        continue;
      default:
        return false;
    }
  }
  return true;
}

function confidenceOf(cycle: readonly Thread[]): number {
  const types = new Set(cycle.map((thread) => thread.wait.type));
  if (types.has('wait.tcp') || types.has('wait.unix')) return CONFIDENCE.deadlockSockets;
  if ([...types].every((type) => type === 'wait.lock' || type === 'wait.join'))
    return CONFIDENCE.deadlockLocks;
  return CONFIDENCE.deadlockPipes;
}

function describe(cycle: readonly Thread[]): string {
  const names = cycle.map((thread) =>
    cycle.every((member) => member.process === thread.process)
      ? `thread ${thread.tid} (${thread.wait.attrs.comm})`
      : `${who(thread.process)}${thread.tid === thread.process.pid ? '' : ` thread ${thread.tid}`}`,
  );
  const steps = cycle.map((thread, i) => `${names[i]} waits for ${thread.wait.entity}`);
  return `${steps.join(', ')}, held by ${names[0]}`;
}
