/**
 * Whose numbers are these? The agent and the kernel speak of pids as the host counts them; someone
 * who asks from inside a container counts its own. pid 7 there is another process than pid 7 here.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { NoProcessError } from '../util/errors.js';

/** Inode of the pid namespace of a process; 0 when it cannot be read. */
export function pidNamespaceOf(pid: number | 'self', procDir = '/proc'): number {
  try {
    return Number(/^pid:\[(\d+)\]$/.exec(readlinkSync(`${procDir}/${pid}/ns/pid`))?.[1] ?? 0);
  } catch {
    return 0; // it has ended, or is not ours to look at
  }
}

/** PROC_PID_INIT_INO (include/linux/proc_ns.h): the inode of the first pid namespace, on every kernel. */
export const INIT_PID_NS = 0xeffffffc;

/**
 * The host's pid of what the asker calls `pid`.
 * @param askerNs inode of the asker's pid namespace; 0 when unknown, taken for ours.
 * @throws NoProcessError when that namespace has no such process.
 */
export function hostPid(pid: number, askerNs: number, procDir = '/proc'): number {
  if (askerNs === 0 || askerNs === pidNamespaceOf('self', procDir)) return pid;
  for (const name of readdirSync(procDir)) {
    if (!/^\d+$/.test(name)) continue;
    if (innermostPid(`${procDir}/${name}/status`) !== pid) continue;
    if (pidNamespaceOf(Number(name), procDir) === askerNs) return Number(name);
  }
  throw new NoProcessError(
    `no process ${pid} in your pid namespace (a container's); ask with the host's pid on the host`,
  );
}

/** The last number of `NSpid:`, which is the pid in the namespace the process lives in (Linux 4.1). */
function innermostPid(statusPath: string): number | undefined {
  try {
    const line = /^NSpid:\s*(.+)$/m.exec(readFileSync(statusPath, 'utf8'))?.[1];
    const last = line?.trim().split(/\s+/).at(-1);
    return last === undefined ? undefined : Number(last);
  } catch {
    return undefined; // it has just ended
  }
}
