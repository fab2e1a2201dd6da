/** Names and starts of the processes that NVML gives by pid alone. Only reads of /proc that never wait. */
import type { GpuProcess } from '../events/gpu.js';
import { printable } from '../util/text.js';
import { commOf, startTicks } from './proc.js';

/** A pid can be another process's after a while. */
const KEEP_MS = 5_000;
const MAX_NAMES = 4_096;

interface Named {
  readonly name: Pick<GpuProcess, 'startTicks' | 'comm'>;
  readonly at: number;
}

export class ProcessNames {
  readonly #named = new Map<number, Named>();

  of(pid: number): Pick<GpuProcess, 'startTicks' | 'comm'> {
    const now = performance.now();
    const known = this.#named.get(pid);
    if (known !== undefined && now - known.at < KEEP_MS) return known.name;
    if (this.#named.size >= MAX_NAMES) this.#named.clear();
    const ticks = startTicks(pid);
    const comm = commOf(pid);
    const name = {
      ...(ticks !== undefined && { startTicks: ticks }),
      ...(comm !== undefined && { comm: printable(comm, 64) }),
    };
    this.#named.set(pid, { name, at: now });
    return name;
  }
}
