/**
 * The mount namespaces that processes live in, found by looking at /proc/PID/ns/mnt.
 *
 * A node has thousands of processes and few namespaces, and a process seldom moves: a pass looks at those it
 * has not looked at twice (a container is made by a process that moves once, early) and at a part of the rest.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Passes in which every process is looked at once more. */
const ROUND = 6;
const LOOKS_WHEN_NEW = 2;
/** Kept apart from it nothing is bounded: every container has a namespace of its own. */
const MAX_NAMESPACES = 2048;

interface Known {
  ns: number;
  looks: number;
}

export class MountNamespaces {
  readonly #procDir: string;
  readonly #processes = new Map<number, Known>();
  #round = 0;

  constructor(procDir: string) {
    this.#procDir = procDir;
  }

  /** Namespace → a process in it that lived just now. */
  scan(): ReadonlyMap<number, number> {
    const living = this.#pids();
    this.#round = (this.#round + 1) % ROUND;
    const found = new Map<number, number>();
    for (const pid of living) {
      const ns = this.#look(pid);
      if (ns !== undefined && !found.has(ns) && found.size < MAX_NAMESPACES) found.set(ns, pid);
    }
    if (this.#processes.size > living.length) this.#forget(new Set(living));
    return found;
  }

  /** Inode of the namespace of a process; undefined when it is gone. */
  of(pid: number | 'self'): number | undefined {
    try {
      const link = readlinkSync(`${this.#procDir}/${pid}/ns/mnt`);
      const inode = Number(link.slice('mnt:['.length, -1));
      return Number.isInteger(inode) && inode > 0 ? inode : undefined;
    } catch {
      return undefined; // gone, a kernel thread's last moments, or hidden from us
    }
  }

  #look(pid: number): number | undefined {
    const known = this.#processes.get(pid);
    if (known !== undefined && known.looks >= LOOKS_WHEN_NEW && pid % ROUND !== this.#round) return known.ns;
    const ns = this.of(pid);
    if (ns === undefined) {
      this.#processes.delete(pid);
      return undefined;
    }
    if (known === undefined) this.#processes.set(pid, { ns, looks: 1 });
    else {
      known.ns = ns;
      known.looks++;
    }
    return ns;
  }

  #pids(): readonly number[] {
    try {
      const pids: number[] = [];
      for (const name of readdirSync(this.#procDir)) {
        const first = name.charCodeAt(0);
        if (first >= 48 && first <= 57) pids.push(Number(name));
      }
      return pids;
    } catch {
      return [];
    }
  }

  #forget(living: ReadonlySet<number>): void {
    for (const pid of this.#processes.keys()) if (!living.has(pid)) this.#processes.delete(pid);
  }
}

/** The mounts that a process sees, as bytes; undefined when it is gone. */
export function readMountinfo(procDir: string, pid: number | 'self'): Buffer | undefined {
  try {
    return readFileSync(`${procDir}/${pid}/mountinfo`);
  } catch {
    return undefined;
  }
}
