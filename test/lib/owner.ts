/**
 * Names of things that could outlive a killed process: `xctl-<pid>-<start>-…`, pid and start time of the
 * creator. Whoever makes such a thing first removes those whose creator is dead.
 */
import { startTicks } from './proc.js';

/** Start of a name that belongs to this process. */
export const OWN_PREFIX = `xctl-${process.pid}-${startTicks(process.pid) ?? 0}-`;

/** Whether the name says that a process made it which lives no more. */
export function isOrphan(name: string): boolean {
  const [, pid, ticks] = /^xctl-(\d+)-(\d+)-/.exec(name) ?? [];
  return pid !== undefined && startTicks(Number(pid)) !== ticks;
}
