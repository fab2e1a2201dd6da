/** Slow and stuck disks, on a machine with version 1 of the blkio controller. */
import { existsSync, mkdirSync, readlinkSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { isOrphan } from '../owner.js';
import type { Scope } from '../scope.js';
import { until } from '../until.js';
import { devOf, list, nextName, type StuckableDisk } from './disk.js';
import { type LoopOptions, loopDisk } from './loop.js';

const BLKIO = '/sys/fs/cgroup/blkio';

/** Why no disk can be throttled here. */
export function withoutThrottle(): string | undefined {
  if (!existsSync(join(BLKIO, 'blkio.throttle.read_bps_device')))
    return 'no version 1 of the blkio controller with throttling';
  return wholeDiskOf(tmpdir()) === undefined ? `${tmpdir()} is not on a block device of its own` : undefined;
}

/** `254:0` of the disk that holds `path`; undefined on tmpfs, overlay and the like. */
function wholeDiskOf(path: string): string | undefined {
  const { dev } = statSync(path);
  // As glibc's makedev() packs it.
  const major = Math.floor(dev / 256) % 4096;
  const minor = (dev % 256) + Math.floor(dev / 2 ** 20) * 256;
  const node = `/sys/dev/block/${major}:${minor}`;
  if (!existsSync(node)) return undefined;
  // A partition's directory lies in its disk's.
  const at = existsSync(join(node, 'partition'))
    ? basename(dirname(readlinkSync(node)))
    : basename(readlinkSync(node));
  return devOf(at);
}

export interface ThrottledDisk extends StuckableDisk {
  /** What commands behind `wrap` get; 0: as fast as it goes. */
  throttle(bytesPerSecond: number): void;
}

/**
 * A loop device whose file is read and written at a given rate by all that is started behind `wrap`: the
 * loop driver works for the cgroup of whoever asked it. Its requests then wait with the device, as behind a
 * slow disk; the disk that the file is on is not slow. Programs behind `wrap` are read from that disk at the
 * same rate: start each once before it is throttled.
 */
export async function throttledDisk(scope: Scope, options: LoopOptions = {}): Promise<ThrottledDisk> {
  const loop = await loopDisk(scope, { ...options, directIo: true });
  sweepGroups();
  const group = join(BLKIO, nextName());
  mkdirSync(group);
  const below = wholeDiskOf(options.dir ?? tmpdir());
  const throttle = (bytesPerSecond: number): void => {
    for (const file of ['read_bps_device', 'write_bps_device'])
      writeFileSync(join(group, `blkio.throttle.${file}`), `${below} ${bytesPerSecond}\n`);
  };
  scope.teardown(async () => {
    throttle(0);
    await until(() => removeGroup(group), { timeoutMs: 10_000, what: `the end of all in ${group}` });
  });
  return {
    ...loop,
    wrap: ['/bin/sh', '-c', `echo $$ > ${join(group, 'cgroup.procs')} && exec "$@"`, 'sh'],
    throttle,
    stall: async () => throttle(1),
    release: async () => throttle(0),
  };
}

function removeGroup(group: string): boolean {
  if (!existsSync(group)) return true;
  try {
    rmdirSync(group);
    return true;
  } catch {
    return false;
  }
}

function sweepGroups(): void {
  for (const name of list(BLKIO)) {
    if (isOrphan(name)) removeGroup(join(BLKIO, name));
  }
}
