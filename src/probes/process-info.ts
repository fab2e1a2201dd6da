/** A closer look at a process that lives: its cgroup, container and pod, and the job it is of. */
import { existsSync } from 'node:fs';
import type { JobAttrs, ProcessAttrs } from '../events/event.js';
import { placementOf } from './cgroup.js';
import { jobOf, jobVariables } from './job.js';
import { deviceOf, isSame, readCgroup, readEnviron } from './proc.js';
import type { LiveProcess } from './process-table.js';

/** An environment may be 2 MB long; the variables of a job are set by its launcher, and come early. */
const ENVIRON_BYTES = 256 * 1024;

/**
 * The file waits for the memory lock of the process, which a stuck one may never give back, and each
 * wait holds one of libuv's four threads.
 */
const MAX_ENVIRON_READS = 2;

export class ProcessInfo {
  #environReads = 0;
  #hasDevices: boolean | undefined;

  /** Looks for devices anew: a driver may have been loaded since. */
  refresh(): void {
    this.#hasDevices = undefined;
  }

  /** @returns undefined when the process is gone, or the pid is another's by now. */
  async look(process: LiveProcess): Promise<ProcessAttrs | undefined> {
    const { pid, start, comm, ppid } = process;
    const cgroup = readCgroup(pid);
    if (cgroup === undefined) return undefined;
    const placement = placementOf(cgroup);
    const job = await this.#job(process);
    // After all reads: the same process at the end was the same all the time.
    if (!isSame(pid, start)) return undefined;
    return {
      start,
      comm,
      ...(ppid !== 0 && { ppid }),
      ...(placement !== undefined && { cgroup: placement.path }),
      ...(placement?.containerId !== undefined && { containerId: placement.containerId }),
      ...(placement?.podUid !== undefined && { podUid: placement.podUid }),
      ...(job !== undefined && { job }),
    };
  }

  async #job(process: LiveProcess): Promise<JobAttrs | undefined> {
    this.#hasDevices ??= existsSync('/dev/nvidiactl') || existsSync('/dev/infiniband');
    const device = this.#hasDevices ? deviceOf(process.pid) : undefined;
    const because = device ?? (process.under === undefined ? undefined : 'launcher');
    if (because === undefined) return undefined;
    return jobOf(because, process.under, await this.#variables(process.pid));
  }

  async #variables(pid: number): Promise<ReadonlyMap<string, string>> {
    if (this.#environReads >= MAX_ENVIRON_READS) return new Map();
    this.#environReads++;
    const buffer = Buffer.alloc(ENVIRON_BYTES);
    try {
      const environ = await readEnviron(pid, buffer);
      return environ === undefined ? new Map() : jobVariables(environ);
    } finally {
      buffer.fill(0);
      this.#environReads--;
    }
  }
}
