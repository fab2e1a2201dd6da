/**
 * What the machine itself does to a process while it is asked about, by the kernel's own accounts and not the agent's. A
 * lab on two shared CPUs is sometimes right in saying that a process was starved: such a play is played again.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** Waited for a CPU for this share of the time: what the agent calls starved begins a little above. */
const STARVED_SHARE = 0.3;
const SHORT_PERCENT = 50;

export class CpuAccount {
  readonly #pid: number;
  #at: number;
  #delayNs: ReadonlyMap<string, number>;

  constructor(pid: number) {
    this.#pid = pid;
    this.#at = performance.now();
    this.#delayNs = delaysOf(pid);
  }

  /** The share of the time since the last look in which threads of it were runnable without a CPU, all added up. */
  look(): number {
    const before = this.#delayNs;
    const elapsedMs = performance.now() - this.#at;
    this.#delayNs = delaysOf(this.#pid);
    this.#at = performance.now();
    let sumNs = 0;
    for (const [tid, ns] of this.#delayNs) sumNs += ns - (before.get(tid) ?? ns);
    return elapsedMs <= 0 ? 0 : sumNs / 1e6 / elapsedMs;
  }
}

/** Whether a process that the account is of was held up, or, where it is of somebody else, the whole machine is short. */
export function isHeldUp(share: number): boolean {
  return share >= STARVED_SHARE || cpuPressure() >= SHORT_PERCENT;
}

/** Somebody waited for a CPU in so much of the last ten seconds, per cent; 0 where the kernel does not count it. */
function cpuPressure(): number {
  try {
    return Number(/^some avg10=([\d.]+)/.exec(readFileSync('/proc/pressure/cpu', 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Nanoseconds that each thread was runnable without a CPU: the second field of schedstat. */
function delaysOf(pid: number): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  try {
    for (const tid of readdirSync(`/proc/${pid}/task`)) {
      found.set(tid, Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ')[1]));
    }
  } catch {
    // It has ended, or a thread of it.
  }
  return found;
}
