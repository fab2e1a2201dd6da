/** md: mirrors. */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import type { Scope } from '../scope.js';
import { appeared, type Disk, disk, run } from './disk.js';

export interface MdDisk extends Disk {
  /** As if the member had failed. */
  fail(member: Disk): Promise<void>;
}

/** A mirror. Needs `md` and the program mdadm. */
export async function mirror(scope: Scope, members: readonly Disk[]): Promise<MdDisk> {
  const path = await freeMd();
  const paths = members.map((member) => member.path);
  const create = [
    ...['--create', path, '--run', '--level=1', '--metadata=1.2', '--assume-clean', '--force'],
    ...[`--raid-devices=${members.length}`, ...paths],
  ];
  // A guest has no udev to wait for.
  await run('mdadm', create, { env: { ...process.env, MDADM_NO_UDEV: '1' } });
  scope.teardown(() => run('mdadm', ['--stop', path]).catch(() => undefined));
  await appeared(path);
  return {
    ...disk(basename(path)),
    fail: async (member) => {
      await run('mdadm', ['--manage', path, '--fail', member.path]);
    },
  };
}

async function freeMd(): Promise<string> {
  for (let i = 100; i < 127; i++) if (!existsSync(`/sys/block/md${i}`)) return `/dev/md${i}`;
  throw new Error('no md device is free');
}
