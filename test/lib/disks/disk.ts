/**
 * What all block devices of tests have in common. All names start with OWN_PREFIX or lie in a directory that does
 * (see owner.ts): whoever makes a disk first removes what a killed test left behind.
 */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { OWN_PREFIX } from '../owner.js';
import { until } from '../until.js';

export const run = promisify(execFile);

export const MIB = 1024 * 1024;

let made = 0;
export const nextName = (): string => `${OWN_PREFIX}${made++}`;

export interface Disk {
  /** Name in /sys/block: `loop0`. */
  readonly name: string;
  /** Device file. */
  readonly path: string;
  /** `7:0` */
  readonly dev: string;
}

export interface StuckableDisk extends Disk {
  /** Put before a command (`StartOptions.wrap`) whose requests are to feel it. */
  readonly wrap: readonly string[];
  /**
   * Requests get nowhere from now on. Those of a mapped device wait before it counts them: their threads
   * are stuck, while its own counters say that it has nothing to do.
   */
  stall(): Promise<void>;
  /** They do again. */
  release(): Promise<void>;
}

/** `7:0` of a name in /sys/class/block. */
export function devOf(name: string): string {
  return readFileSync(`/sys/class/block/${name}/dev`, 'utf8').trim();
}

export function disk(name: string, path = `/dev/${name}`): Disk {
  return { name, path, dev: devOf(name) };
}

export function sectorsOf({ name }: Disk): number {
  return Number(readFileSync(`/sys/class/block/${name}/size`, 'utf8'));
}

export async function appeared(path: string): Promise<void> {
  await until(() => existsSync(path), { timeoutMs: 10_000, what: path });
}

export function list(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return []; // not there: nothing of it was made
  }
}
