/** /proc/locks: who holds the file locks that somebody waits for (fs/locks.c, lock_get_status). */
import { readFileSync } from 'node:fs';

export interface HeldLock {
  readonly pid: number;
  readonly major: number;
  readonly minor: number;
  readonly inode: number;
}

/** Held ones only; a line with `->` is a waiter, a pid of -1 an open file description lock. */
export function parseLocks(text: string): readonly HeldLock[] {
  const held: HeldLock[] = [];
  for (const line of text.split('\n')) {
    // "1: FLOCK  ADVISORY  WRITE 4242 fe:00:5678 0 EOF"
    const match = /^\d+: +(?:POSIX|FLOCK|OFDLCK) +\S+ +\S+ +(\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) /.exec(line);
    if (match === null) continue;
    const [, pid, major, minor, inode] = match;
    held.push({
      pid: Number(pid),
      major: Number.parseInt(major ?? '', 16),
      minor: Number.parseInt(minor ?? '', 16),
      inode: Number(inode),
    });
  }
  return held;
}

export function readLocks(procDir = '/proc'): readonly HeldLock[] {
  try {
    return parseLocks(readFileSync(`${procDir}/locks`, 'utf8'));
  } catch {
    return []; // the wait is still reported, its holder unknown
  }
}
