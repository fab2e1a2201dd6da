/** A process that was made to stand still: stopped, traced, frozen. */
import type { ProcessNode, Thread } from '../graph/model.js';
import { CONFIDENCE } from './confidence.js';
import type { Fault } from './finding.js';
import { waitFact } from './finding.js';
import { duration } from './words.js';

/** Stops act on the whole process, so that its main thread (or any, where that one has ended) tells. */
export function haltFault(process: ProcessNode, now: number): Fault | undefined {
  const thread: Thread | undefined =
    process.threads.get(process.pid) ?? process.threads.values().next().value;
  if (thread === undefined) return undefined;
  const { wait } = thread;
  const forMs = now - wait.attrs.since;
  const base = {
    node: process,
    scene: 'ProcessBlocked' as const,
    began: wait.attrs.since,
    facts: [waitFact(thread)],
    strength: 'hard' as const,
  };
  switch (wait.type) {
    case 'wait.stopped':
      return {
        ...base,
        subScene: 'Stopped',
        summary: `stopped by a signal (SIGSTOP, SIGTSTP) for ${duration(forMs)}`,
        confidence: CONFIDENCE.stopped,
        recommendations: [`If nobody means it to stand still: kill -CONT ${process.pid}`],
      };
    case 'wait.traced':
      return {
        ...base,
        subScene: 'Stopped',
        summary: `held by a tracer (pid ${wait.attrs.tracerPid}) for ${duration(forMs)}`,
        confidence: CONFIDENCE.traced,
        recommendations: [`End or detach the debugger: pid ${wait.attrs.tracerPid}`],
      };
    case 'wait.frozen':
      return {
        ...base,
        subScene: 'Stopped',
        summary: `frozen by its cgroup for ${duration(forMs)}`,
        confidence: CONFIDENCE.frozen,
        recommendations: [
          `Thaw the cgroup${process.cgroup === undefined ? '' : ` ${process.cgroup}`} if nobody means it to be frozen`,
        ],
      };
    default:
      return undefined;
  }
}
