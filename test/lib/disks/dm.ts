/** Device mapper: devices by their table, slow, stuck, failing at will. */
import { existsSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { isOrphan } from '../owner.js';
import type { Scope } from '../scope.js';
import { appeared, type Disk, disk, nextName, run, type StuckableDisk, sectorsOf } from './disk.js';

export interface DmDisk extends StuckableDisk {
  /** Another table in place of this one. */
  reload(table: string): Promise<void>;
  /** Takes it away from under its users; what they have outstanding fails. */
  removeByForce(): Promise<void>;
}

/**
 * A device by its table; `{on}` in it becomes a device's path, `{size}` its sectors:
 * `0 {size} linear {on} 0`, `0 {size} delay {on} 0 5000` (ms; not counted as in flight since 5.19), `0 {size} error`,
 * `0 {size} flakey {on} 0 0 60` (fails all of it). Needs `dm`, and the target's own module.
 */
export async function dmDisk(scope: Scope, table: string, on?: Disk): Promise<DmDisk> {
  await sweepDm();
  const name = nextName();
  const full = (text: string): string =>
    text
      .replaceAll('{on}', on?.path ?? '')
      .replaceAll('{size}', String(on === undefined ? 0 : sectorsOf(on)));
  await run('dmsetup', ['create', name, '--noudevsync', '--table', full(table)]);
  scope.teardown(() => removeDm(name));
  const { stdout } = await run('dmsetup', ['info', '-c', '--noheadings', '-o', 'major,minor', name]);
  const [major, minor] = stdout.trim().split(':');
  const kernelName = basename(readlinkSync(`/sys/dev/block/${major}:${minor}`));
  // Without udev in a guest the node in /dev/mapper is dmsetup's; the one in /dev is the kernel's.
  const path = `/dev/${kernelName}`;
  await appeared(path);
  const suspend = async (): Promise<void> => {
    await run('dmsetup', ['suspend', '--noflush', '--nolockfs', '--noudevsync', name]);
  };
  const resume = async (): Promise<void> => {
    await run('dmsetup', ['resume', '--noudevsync', name]);
  };
  return {
    ...disk(kernelName, path),
    wrap: [],
    stall: suspend,
    release: resume,
    reload: async (next) => {
      await run('dmsetup', ['load', name, '--table', full(next)]);
      await suspend();
      await resume();
    },
    removeByForce: async () => {
      await run('dmsetup', ['remove', '--force', '--noudevsync', name]).catch(() => undefined);
    },
  };
}

async function removeDm(name: string): Promise<void> {
  // A suspended device cannot be removed, and one that is held can only be made to fail.
  await run('dmsetup', ['resume', '--noudevsync', name]).catch(() => undefined);
  await run('dmsetup', ['remove', '--noudevsync', '--retry', name]).catch(async () => {
    await run('dmsetup', ['remove', '--force', '--noudevsync', name]).catch(() => undefined);
  });
}

/** Removes what dead creators left. */
export async function sweepDm(): Promise<void> {
  if (!existsSync('/dev/mapper/control')) return;
  const { stdout } = await run('dmsetup', ['ls']).catch(() => ({ stdout: '' }));
  for (const line of stdout.split('\n')) {
    const [name = ''] = line.split('\t');
    if (isOrphan(name)) await removeDm(name);
  }
}
