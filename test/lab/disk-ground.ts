/** What the storage scenarios stand on beside test/lib/disks: filesystems that fill up, freeze or fail, and the end of a disk. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { unmount } from '../e2e/lib/faults.js';
import type { Disk } from '../lib/disks/disk.js';
import { OWN_PREFIX } from '../lib/owner.js';
import type { Scope } from '../lib/scope.js';
import { until } from '../lib/until.js';

const run = promisify(execFile);

const UNMOUNT_MS = 10_000;

/** An empty directory that goes with the scope. */
export function directory(scope: Scope): string {
  const at = mkdtempSync(join(tmpdir(), OWN_PREFIX));
  scope.teardown(() => rmSync(at, { recursive: true, force: true }));
  return at;
}

/** A filesystem in memory with room for so much and so many. */
export async function mountTmpfs(scope: Scope, sizeMiB: number, inodes = 0): Promise<string> {
  const at = directory(scope);
  await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m,nr_inodes=${inodes}`, 'xctl-lab', at]);
  scope.teardown(() => until(() => unmount(at), { timeoutMs: UNMOUNT_MS, what: `${at} to be unmounted` }));
  return at;
}

/** Until nothing more fits. */
export function fill(path: string): void {
  for (const sizeBytes of [1 << 20, 1 << 12]) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(sizeBytes, 'x'), { flag: 'a' });
    } catch {
      // It is full for pieces of this size.
    }
  }
}

/** Until there is no room for one more name. */
export function fillInodes(dir: string): void {
  try {
    for (let i = 0; ; i++) writeFileSync(join(dir, `empty-${i}`), '');
  } catch {
    // It has no inode left.
  }
}

/** A loop device's file ends there from now on: what lies behind it can be read no more, as of a disk that is dying. */
export function cutOff({ name }: Disk, sizeBytes: number): void {
  truncateSync(readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8').trim(), sizeBytes);
}

/** Nothing is written any more until it thaws, as while a snapshot is taken. */
export async function freezeFs(scope: Scope, at: string): Promise<void> {
  // What is frozen cannot be unmounted, nor can a writer on it be killed.
  scope.teardown(() => run('fsfreeze', ['--unfreeze', at]).catch(() => undefined));
  await run('fsfreeze', ['--freeze', at]);
}

/** XFS gives up at once, as after an error in its own log. */
export async function shutDownXfs(at: string): Promise<void> {
  await run('xfs_io', ['-x', '-c', 'shutdown', at]);
}
