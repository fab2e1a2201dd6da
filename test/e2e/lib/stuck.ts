/**
 * Threads in uninterruptible sleep, each with the one device or server that does not answer: raw devices, partitions,
 * device mapper over both, filesystems on top, a file server. Shared by the tests and the benchmark.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Disk } from '../../lib/disks/disk.js';
import { dmDisk } from '../../lib/disks/dm.js';
import { without } from '../../lib/disks/features.js';
import { loopDisk } from '../../lib/disks/loop.js';
import { nullDisk } from '../../lib/disks/null-blk.js';
import { scsiDisk } from '../../lib/disks/scsi.js';
import { throttledDisk } from '../../lib/disks/throttle.js';
import { createNfs, nfsMissing } from '../../lib/nfs.js';
import { type Proc, startWorkload } from '../../lib/proc.js';
import type { Scope } from '../../lib/scope.js';
import { until } from '../../lib/until.js';
import { mountExt4 } from './faults.js';

export interface StuckCase {
  readonly name: string;
  readonly missing: () => Promise<string | undefined>;
  readonly prepare: (scope: Scope) => Promise<Stuck>;
}

export interface Stuck {
  readonly pid: number;
  /** Node id of what does not answer. */
  readonly culprit: string;
  readonly stick: () => Promise<void>;
  readonly release: () => Promise<void>;
}

const LINEAR = '0 {size} linear {on} 0';
/** Long enough for every question; a request cannot be called back. */
const SLOW_REQUEST_MS = 4_000;

const nothing = async (): Promise<void> => undefined;

export const STUCK: readonly StuckCase[] = [
  {
    name: 'loop device, read',
    missing: () => without('throttle'),
    prepare: async (scope) => {
      const disk = await throttledDisk(scope);
      const reader = await startWorkload(
        scope,
        'storage',
        { path: disk.path, block: 65_536 },
        { wrap: disk.wrap },
      );
      await reader.ready('step');
      return { pid: reader.pid, culprit: `block:${disk.name}`, stick: disk.stall, release: disk.release };
    },
  },
  {
    name: 'loop device, page faults',
    missing: () => without('throttle'),
    prepare: async (scope) => {
      const disk = await throttledDisk(scope);
      const reader = await startWorkload(
        scope,
        'storage',
        { mode: 'mmap', path: disk.path },
        { wrap: disk.wrap },
      );
      await reader.ready('step');
      return { pid: reader.pid, culprit: `block:${disk.name}`, stick: disk.stall, release: disk.release };
    },
  },
  {
    name: 'null_blk, read',
    missing: () => without('null_blk'),
    prepare: async (scope) => {
      const disk = await nullDisk(scope, { completionMs: SLOW_REQUEST_MS });
      return requestOn(scope, disk, disk.path);
    },
  },
  {
    name: 'dm linear on null_blk, read',
    missing: () => without('null_blk', 'dm'),
    prepare: async (scope) => {
      const disk = await nullDisk(scope, { completionMs: SLOW_REQUEST_MS });
      const upper = await dmDisk(scope, LINEAR, disk);
      return requestOn(scope, disk, upper.path);
    },
  },
  {
    name: 'partition of a SCSI disk, read',
    missing: () => without('scsi_debug'),
    prepare: async (scope) => {
      const disk = await scsiDisk(scope, { opts: 0, num_parts: 2 });
      return slowScsi(scope, disk, `${disk.path}1`, disk.delay);
    },
  },
  {
    name: 'dm linear on a partition of a SCSI disk, read',
    missing: () => without('scsi_debug', 'dm'),
    prepare: async (scope) => {
      const disk = await scsiDisk(scope, { opts: 0, num_parts: 2 });
      const part: Disk = { name: `${disk.name}2`, path: `${disk.path}2`, dev: '' };
      const upper = await dmDisk(scope, LINEAR, part);
      return slowScsi(scope, disk, upper.path, disk.delay);
    },
  },
  {
    name: 'suspended dm on a partition, read',
    missing: () => without('loop', 'dm'),
    prepare: async (scope) => {
      const disk = await loopDisk(scope, { partitions: 2 });
      const part: Disk = { name: `${disk.name}p1`, path: `${disk.path}p1`, dev: '' };
      const upper = await dmDisk(scope, LINEAR, part);
      return reading(scope, 'read', upper.path, `block:${upper.name}`, upper.stall, upper.release);
    },
  },
  {
    name: 'ext4 on dm on a suspended dm, write and fsync',
    missing: () => without('loop', 'dm'),
    prepare: async (scope) => {
      const disk = await loopDisk(scope, { sizeMiB: 48 });
      const lower = await dmDisk(scope, LINEAR, disk);
      const upper = await dmDisk(scope, LINEAR, lower);
      const at = await mountExt4(scope, upper);
      return reading(scope, 'write', join(at, 'log'), `block:${lower.name}`, lower.stall, lower.release);
    },
  },
  {
    name: 'ext4 on a suspended dm, page faults',
    missing: () => without('loop', 'dm'),
    prepare: async (scope) => {
      const disk = await loopDisk(scope, { sizeMiB: 48 });
      const dm = await dmDisk(scope, LINEAR, disk);
      const at = await mountExt4(scope, dm);
      writeFileSync(join(at, 'data'), Buffer.alloc(8 << 20, 'x'));
      return reading(scope, 'mmap', join(at, 'data'), `block:${dm.name}`, dm.stall, dm.release);
    },
  },
  {
    name: 'file server, read',
    missing: nfsMissing,
    prepare: (scope) => onServer(scope, 'read'),
  },
  {
    name: 'file server, stat',
    missing: nfsMissing,
    prepare: (scope) => onServer(scope, 'stat'),
  },
];

/** The device itself takes its time with every request. */
async function requestOn(scope: Scope, disk: Disk, path: string): Promise<Stuck> {
  const reader = await startWorkload(scope, 'storage', { path });
  await reader.ready();
  return { pid: reader.pid, culprit: `block:${disk.name}`, stick: nothing, release: nothing };
}

async function slowScsi(scope: Scope, disk: Disk, path: string, delay: (ms: number) => void): Promise<Stuck> {
  // It cannot be changed while there is a request.
  const set = async (): Promise<void> => {
    const tried = (): true => {
      delay(SLOW_REQUEST_MS);
      return true;
    };
    await until(tried, { timeoutMs: 10_000, what: 'a moment without a request', everyMs: 1 });
  };
  // A request ends by itself, and with it a killed reader.
  return reading(scope, 'read', path, `block:${disk.name}`, set, nothing);
}

async function reading(
  scope: Scope,
  mode: string,
  path: string,
  culprit: string,
  stick: () => Promise<void>,
  release: () => Promise<void>,
): Promise<Stuck> {
  const reader: Proc = await startWorkload(scope, 'storage', { mode, path, pace_ms: 5 });
  await reader.ready('step');
  // What is stuck cannot end, nor can what lies below it be removed.
  scope.teardown(release);
  return { pid: reader.pid, culprit, stick, release };
}

async function onServer(scope: Scope, mode: string): Promise<Stuck> {
  // Without a cache of attributes every stat asks the server.
  const nfs = await createNfs(scope, { options: 'noac' });
  writeFileSync(join(nfs.exported, 'data'), Buffer.alloc(1 << 20));
  const path = join(nfs.mountPoint, 'data');
  return reading(scope, mode, path, `peer:${nfs.server}`, nfs.silence, nfs.speak);
}
