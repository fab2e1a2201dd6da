/**
 * What /proc says of one process. Every answer may be about another process that got the same pid
 * meanwhile: `startedAt` after the reads tells. Files that wait for the process's memory lock
 * (environ, cmdline) are read asynchronously, since a stuck process can hold it for ever; the
 * others never wait.
 */
import { opendirSync, readFileSync, readlinkSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';

/** USER_HZ: /proc/PID/stat counts in these on every architecture that has BPF. */
const TICK_NS = 10_000_000;

/** Descriptors looked at: devices are opened early and get low numbers. */
const MAX_DESCRIPTORS = 1024;

export type Device = 'gpu' | 'rdma';

/** Whether `pid` is still the process that started at `startNs` (CLOCK_BOOTTIME). */
export function isSame(pid: number, startNs: number): boolean {
  return startTicks(pid) === Math.floor(startNs / TICK_NS);
}

/** Start of a process in clock ticks since boot; undefined when it is gone. */
export function startTicks(pid: number): number | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  // The name is in parentheses and may hold any character, parentheses included.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields?.[19]);
  return Number.isInteger(ticks) ? ticks : undefined;
}

/** The process's name; undefined when it is gone. */
export function commOf(pid: number): string | undefined {
  return readText(`/proc/${pid}/comm`)?.trimEnd();
}

/** /proc/PID/cgroup; undefined when the process is gone. */
export function readCgroup(pid: number): string | undefined {
  return readText(`/proc/${pid}/cgroup`);
}

/** The process that a thread belongs to; undefined when it is gone. */
export function processOfThread(tid: number): number | undefined {
  const tgid = /^Tgid:\t(\d+)$/m.exec(readText(`/proc/${tid}/status`) ?? '')?.[1];
  return tgid === undefined ? undefined : Number(tgid);
}

/** Whether it has a GPU or an RDMA device open, among its first descriptors. */
export function deviceOf(pid: number): Device | undefined {
  try {
    const directory = opendirSync(`/proc/${pid}/fd`, { bufferSize: 256 });
    try {
      for (let seen = 0; seen < MAX_DESCRIPTORS; seen++) {
        const entry = directory.readSync();
        if (entry === null) return undefined;
        const device = deviceKind(linkOf(`/proc/${pid}/fd/${entry.name}`));
        if (device !== undefined) return device;
      }
    } finally {
      directory.closeSync();
    }
  } catch {
    // Gone, or not ours to look at.
  }
  return undefined;
}

/** `/dev/nvidia0` → gpu, `/dev/infiniband/uverbs0` → rdma. */
export function deviceKind(path: string): Device | undefined {
  if (/^\/dev\/nvidia(?:\d|ctl$|-uvm$|-caps\/)/.test(path)) return 'gpu';
  if (/^\/dev\/infiniband\/uverbs\d/.test(path)) return 'rdma';
  return undefined;
}

/** The command line's words; undefined when the process is gone, empty for a zombie. */
export async function readCmdline(pid: number): Promise<string[] | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/cmdline`, 'utf8');
    return text === '' ? [] : text.replace(/\0$/, '').split('\0');
  } catch {
    return undefined;
  }
}

/**
 * Reads /proc/PID/environ into `into`, which the caller overwrites. What does not fit is not read.
 * @returns the part of `into` that was written; undefined when the process is gone.
 */
export async function readEnviron(pid: number, into: Buffer): Promise<Buffer | undefined> {
  try {
    const file = await open(`/proc/${pid}/environ`, 'r');
    try {
      let used = 0;
      while (used < into.length) {
        const { bytesRead } = await file.read(into, used, into.length - used, null);
        if (bytesRead === 0) break;
        used += bytesRead;
      }
      return into.subarray(0, used);
    } finally {
      await file.close();
    }
  } catch {
    into.fill(0);
    return undefined;
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
