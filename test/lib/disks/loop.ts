/** Loop devices over files of random bytes. */
import { randomFillSync } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { isOrphan, OWN_PREFIX } from '../owner.js';
import type { Scope } from '../scope.js';
import { appeared, type Disk, disk, list, MIB, run } from './disk.js';
import { sweepDm } from './dm.js';

export interface LoopOptions {
  readonly sizeMiB?: number;
  /** Past the page cache of the file below: only then a throttled file makes a slow device. */
  readonly directIo?: boolean;
  /** Where the file is made; the temporary directory unless said. */
  readonly dir?: string;
  /** Number of equal partitions. */
  readonly partitions?: number;
}

/** A loop device over a file of random bytes. */
export async function loopDisk(scope: Scope, options: LoopOptions = {}): Promise<Disk> {
  const { sizeMiB = 16, directIo = false, dir = tmpdir(), partitions = 0 } = options;
  await sweepDm();
  await sweepLoops();
  const home = mkdtempSync(join(dir, OWN_PREFIX));
  scope.teardown(() => rmSync(home, { recursive: true, force: true }));
  const file = join(home, 'disk');
  writeRandom(file, sizeMiB);
  const words = ['--find', '--show', ...(directIo ? ['--direct-io=on'] : [])];
  // Without it the driver allows none.
  if (partitions > 0) words.push('--partscan');
  const { stdout } = await run('losetup', [...words, file]);
  const path = stdout.trim();
  scope.teardown(() => detachLoop(path));
  const name = basename(path);
  await appeared(path);
  const each = Math.floor((sizeMiB * MIB) / 512 / partitions);
  for (let i = 0; i < partitions; i++) {
    // By hand and not by a table: a kernel may know no kind of table.
    await run('addpart', [path, String(i + 1), String(i * each), String(each)]);
    await appeared(`${path}p${i + 1}`);
  }
  return disk(name);
}

function writeRandom(file: string, sizeMiB: number): void {
  const fd = openSync(file, 'w', 0o600);
  try {
    ftruncateSync(fd, sizeMiB * MIB);
    const chunk = randomFillSync(Buffer.alloc(MIB));
    for (let i = 0; i < sizeMiB; i++) writeSync(fd, chunk);
    // Unwritten, it would be in memory only, and reads past the cache would wait for it.
    fdatasyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Detaches; a device that is still open goes with its last user. */
export async function detachLoop(path: string): Promise<void> {
  await run('losetup', ['--detach', path]).catch(() => undefined);
}

/** Removes what dead creators left. */
async function sweepLoops(): Promise<void> {
  for (const name of list('/sys/block')) {
    const backing = join('/sys/block', name, 'loop/backing_file');
    if (!existsSync(backing)) continue;
    const file = readFileSync(backing, 'utf8')
      .trim()
      .replace(/ \(deleted\)$/, '');
    if (!isOrphan(basename(dirname(file)))) continue;
    await detachLoop(`/dev/${name}`);
    removeHome(file);
  }
}

/** Not what else lies in the directory: others may have mounted something there. */
function removeHome(file: string): void {
  try {
    rmSync(file, { force: true });
    rmdirSync(dirname(file));
  } catch {
    // Another sweep was faster, or it is not empty: then it is somebody else's.
  }
}
