/**
 * Storage of this machine: disks that are slow, stuck or dying (loop devices), filesystems that are full, read-only, shut
 * down or frozen, and who waits for them over a pipe. What needs device mapper, SCSI or a file server is the guest's
 * (guest.ts).
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mountXfs } from '../../e2e/lib/bio-faults.js';
import { mountExt4 } from '../../e2e/lib/faults.js';
import { without } from '../../lib/disks/features.js';
import { loopDisk } from '../../lib/disks/loop.js';
import { type ThrottledDisk, throttledDisk } from '../../lib/disks/throttle.js';
import { type Proc, startWorkload } from '../../lib/proc.js';
import type { Scope } from '../../lib/scope.js';
import type { Dice } from '../dice.js';
import { cutOff, directory, fill, fillInodes, freezeFs, mountTmpfs, shutDownXfs } from '../disk-ground.js';
import { type Cause, type NodeMatcher, type Prepared, type Scenario, suite } from '../scenario.js';

const MIB = 1 << 20;
/** Tells whether it still does its work: 65,536 bytes a request, so that a rate is felt. */
const BLOCK = 65_536;

const needsLoop = () => without('loop');
const needsThrottle = () => without('throttle');
const needsXfs = async () =>
  existsSync('/usr/sbin/mkfs.xfs') ? without('loop') : 'no mkfs.xfs (package xfsprogs)';

/** What gets no answer from a device, or a late one. */
function slow(device: NodeMatcher, via: readonly NodeMatcher[] = []): Cause {
  return { scene: 'StorageSlow', subScene: 'Device', root: device, via };
}

function ioError(subScene: string | null, ...roots: readonly string[]): Cause {
  return { scene: 'StorageIoError', subScene, root: roots };
}

interface Slowed {
  readonly disk: ThrottledDisk;
  readonly proc: Proc;
  readonly via: readonly string[];
}

/** A reader in the way that `mode` says, on a disk that can be made slow; of `loader` the trainer is asked about. */
async function onSlowable(scope: Scope, dice: Dice, mode: 'read' | 'mmap' | 'loader'): Promise<Slowed> {
  const disk = await throttledDisk(scope);
  const args = { mode, path: disk.path, block: BLOCK, pace_ms: dice.between(2, 20) };
  const proc = await startWorkload(scope, 'storage', args, { wrap: disk.wrap });
  const truth = await proc.ready();
  await proc.ready('step');
  // What is stuck cannot end.
  scope.teardown(disk.release);
  const via = mode === 'loader' ? [`pipe:${truth.text('pipe')}`, `pid:${truth.number('worker')}`] : [];
  return { disk, proc, via };
}

/** Slow: between 0.4 and 1.1 s for each of its requests. Stuck: hours. */
function slowable(
  name: string,
  mode: 'read' | 'mmap' | 'loader',
  how: 'slow' | 'stuck',
  proves?: readonly string[],
): Scenario {
  return {
    name,
    kind: 'fault',
    severity: how === 'slow' ? 'slows' : 'stands',
    missing: needsThrottle,
    ...(proves !== undefined && { proves }),
    prepare: async (scope, dice) => {
      const { disk, proc, via } = await onSlowable(scope, dice, mode);
      const bytesPerSecond = dice.between(60_000, 150_000);
      return {
        asked: [proc.pid],
        inject: async () => (how === 'slow' ? disk.throttle(bytesPerSecond) : disk.stall()),
        truth: () => ({ causes: [slow(`block:${disk.name}`, via)] }),
      };
    },
  };
}

/** `gives-up`: ends seconds after the first failure, as a program does that has retried; `exits`: on the spot. */
type End = 'goes-on' | 'gives-up' | 'exits';

interface Ground {
  /** Where it writes. */
  readonly at: string;
  /** Of the fault, in the order in which the kernel may come to tell of it. */
  readonly roots: readonly string[];
  readonly subScene: string | null;
  readonly break: () => Promise<void>;
}

/** Somebody appends to a file, as a checkpoint or a log is written, until that fails. */
async function writerOn(scope: Scope, dice: Dice, ground: Ground, end: End): Promise<Prepared> {
  const { at, roots, subScene } = ground;
  const writer = await startWorkload(scope, 'storage', {
    mode: 'write',
    path: join(at, 'log'),
    pace_ms: dice.between(10, 60),
    on_error: end === 'exits' ? 'exit' : 'go',
  });
  await writer.ready('step');
  const triesMs = dice.between(2_000, 4_000);
  return {
    asked: [writer.pid],
    inject: async () => {
      await ground.break();
      await writer.ready('error');
      if (end === 'goes-on') return;
      if (end === 'gives-up') {
        await sleep(triesMs);
        await writer.stop('SIGABRT');
      }
      await writer.exited;
    },
    truth: () => ({ causes: [ioError(subScene, ...roots)] }),
  };
}

interface WriteFault {
  readonly name: string;
  readonly end?: End;
  readonly missing: () => Promise<string | undefined>;
  readonly proves?: readonly string[];
  readonly ground: (scope: Scope, dice: Dice) => Promise<Ground>;
}

function failedWrites({ name, end = 'goes-on', missing, proves, ground }: WriteFault): Scenario {
  return {
    name,
    kind: 'fault',
    severity: end === 'goes-on' ? 'stands' : 'ends',
    missing,
    ...(proves !== undefined && { proves }),
    prepare: async (scope, dice) => writerOn(scope, dice, await ground(scope, dice), end),
  };
}

async function fullExt4(scope: Scope, dice: Dice): Promise<Ground> {
  const at = await mountExt4(scope, await loopDisk(scope, { sizeMiB: dice.between(8, 24) }));
  const filler = join(at, 'filler');
  return { at, roots: [`fs:${at}`], subScene: 'DiskFull', break: async () => fill(filler) };
}

async function fullTmpfs(scope: Scope, dice: Dice): Promise<Ground> {
  const at = await mountTmpfs(scope, dice.between(8, 32));
  return { at, roots: [`fs:${at}`], subScene: 'DiskFull', break: async () => fill(join(at, 'filler')) };
}

async function readOnlyExt4(scope: Scope): Promise<Ground> {
  const disk = await loopDisk(scope, { sizeMiB: 16 });
  const at = await mountExt4(scope, disk);
  const trigger = `/sys/fs/ext4/${disk.name}/trigger_fs_error`;
  return { at, roots: [`fs:${at}`], subScene: 'ReadOnly', break: async () => writeFileSync(trigger, 'lab') };
}

async function shutDown(scope: Scope): Promise<Ground> {
  const at = await mountXfs(scope, await loopDisk(scope, { sizeMiB: 32 }));
  return { at, roots: [`fs:${at}`], subScene: 'ShutDown', break: () => shutDownXfs(at) };
}

/** Reads all over a disk of which the second half dies. */
function dyingDisk(name: string, mode: 'read' | 'mmap', end: End, proves?: readonly string[]): Scenario {
  return {
    name,
    kind: 'fault',
    severity: end === 'exits' ? 'ends' : 'slows',
    missing: needsLoop,
    ...(proves !== undefined && { proves }),
    prepare: async (scope, dice) => {
      // Past the page cache of its file: else what is not there any more reads as zeros.
      const disk = await loopDisk(scope, { directIo: true });
      const on_error = end === 'exits' ? 'exit' : 'go';
      const args = { mode, path: disk.path, pace_ms: dice.between(2, 10), on_error };
      const reader = await startWorkload(scope, 'storage', args);
      await reader.ready('step');
      return {
        asked: [reader.pid],
        inject: async () => {
          cutOff(disk, 8 * MIB);
          await (end === 'exits' ? reader.exited : reader.ready('error'));
        },
        truth: () => ({ causes: [ioError(null, `block:${disk.name}`)] }),
      };
    },
  };
}

const FAULTS: readonly Scenario[] = [
  slowable('slow-disk', 'read', 'slow'),
  slowable('slow-disk-behind-worker', 'loader', 'slow', ['byterobust/mfu-decline']),
  slowable('stuck-disk', 'read', 'stuck'),
  slowable('stuck-disk-behind-worker', 'loader', 'stuck', ['byterobust/job-hang']),
  slowable('stuck-disk-page-faults', 'mmap', 'stuck'),
  dyingDisk('disk-error', 'read', 'goes-on', ['llama3/ssd', 'byterobust/disk-fault']),
  dyingDisk('disk-error-exits', 'read', 'exits'),
  dyingDisk('disk-error-bus-error', 'mmap', 'exits'),
  failedWrites({
    name: 'full-ext4',
    missing: needsLoop,
    proves: ['byterobust/insufficient-disk'],
    ground: fullExt4,
  }),
  failedWrites({ name: 'full-ext4-exits', end: 'exits', missing: needsLoop, ground: fullExt4 }),
  failedWrites({ name: 'read-only-ext4-exits', end: 'exits', missing: needsLoop, ground: readOnlyExt4 }),
  failedWrites({ name: 'full-ext4-gives-up', end: 'gives-up', missing: needsLoop, ground: fullExt4 }),
  failedWrites({ name: 'full-tmpfs', missing: async () => undefined, ground: fullTmpfs }),
  failedWrites({
    name: 'read-only-ext4',
    missing: needsLoop,
    proves: ['byterobust/fs-mount'],
    ground: readOnlyExt4,
  }),
  failedWrites({
    name: 'read-only-ext4-gives-up',
    end: 'gives-up',
    missing: needsLoop,
    ground: readOnlyExt4,
  }),
  failedWrites({ name: 'shut-down-xfs', missing: needsXfs, ground: shutDown }),
  {
    name: 'no-inodes',
    kind: 'fault',
    severity: 'stands',
    missing: async () => undefined,
    proves: ['byterobust/insufficient-disk'],
    prepare: async (scope, dice) => {
      const at = await mountTmpfs(scope, 16, dice.between(50, 400));
      // It has one file open and would make others: of these no failure can be told apart from not trying.
      const writer = await startWorkload(scope, 'storage', { mode: 'hold', path: join(at, 'log') });
      await writer.ready();
      return {
        asked: [writer.pid],
        inject: async () => fillInodes(at),
        truth: () => ({ causes: [ioError('DiskFull', `fs:${at}`)] }),
      };
    },
  },
  {
    name: 'frozen-filesystem',
    kind: 'fault',
    severity: 'stands',
    missing: needsLoop,
    prepare: async (scope, dice) => {
      const disk = await loopDisk(scope, { sizeMiB: 16 });
      const at = await mountExt4(scope, disk);
      const path = join(at, 'log');
      const writer = await startWorkload(scope, 'storage', {
        mode: 'write',
        path,
        pace_ms: dice.between(5, 30),
      });
      await writer.ready('step');
      return {
        asked: [writer.pid],
        inject: () => freezeFs(scope, at),
        truth: () => ({
          causes: [{ scene: 'StorageSlow', subScene: 'Suspended', root: `fs:${at}` }],
        }),
      };
    },
  },
];

const DECOYS: readonly Scenario[] = [
  {
    name: 'full-filesystem-only-read',
    kind: 'decoy',
    severity: 'none',
    missing: needsLoop,
    prepare: async (scope, dice) => {
      const at = await mountExt4(scope, await loopDisk(scope, { sizeMiB: 8 }));
      const path = join(at, 'data');
      writeFileSync(path, Buffer.alloc(MIB, 'x'));
      const reader = await startWorkload(scope, 'storage', {
        mode: 'read',
        path,
        pace_ms: dice.between(5, 30),
      });
      await reader.ready('step');
      return {
        asked: [reader.pid],
        inject: async () => fill(join(at, 'filler')),
        truth: () => ({ causes: [] }),
      };
    },
  },
  {
    name: 'stuck-disk-of-somebody-else',
    kind: 'decoy',
    severity: 'none',
    missing: needsThrottle,
    prepare: async (scope, dice) => {
      const { disk, proc } = await onSlowable(scope, dice, 'read');
      const other = await loopDisk(scope);
      const reader = await startWorkload(scope, 'storage', {
        mode: 'loader',
        path: other.path,
        pace_ms: dice.between(5, 30),
      });
      await reader.ready('step');
      return {
        asked: [reader.pid, proc.pid],
        hit: [proc.pid],
        inject: () => disk.stall(),
        truth: () => ({ causes: [] }),
      };
    },
  },
  {
    name: 'failed-requests-of-somebody-else',
    kind: 'decoy',
    severity: 'none',
    missing: needsLoop,
    prepare: async (scope, dice) => {
      const disk = await loopDisk(scope, { directIo: true });
      const both = { mode: 'read', path: disk.path, pace_ms: dice.between(5, 20) };
      const other = await startWorkload(scope, 'storage', both);
      // Reads only what will still be there.
      const reader = await startWorkload(scope, 'storage', { ...both, later: 4 * MIB });
      await Promise.all([other.ready('step'), reader.ready('step')]);
      return {
        asked: [reader.pid, other.pid],
        hit: [other.pid],
        inject: async () => {
          cutOff(disk, 8 * MIB);
          await other.ready('error');
        },
        truth: () => ({ causes: [] }),
      };
    },
  },
  {
    name: 'slow-disk-but-stopped-worker',
    kind: 'decoy',
    severity: 'stands',
    missing: needsThrottle,
    prepare: async (scope, dice) => {
      const { disk, proc } = await onSlowable(scope, dice, 'read');
      const other = await loopDisk(scope);
      const trainer = await startWorkload(scope, 'storage', { mode: 'loader', path: other.path, pace_ms: 5 });
      const worker = (await trainer.ready()).number('worker');
      await trainer.ready('step');
      return {
        asked: [trainer.pid, proc.pid],
        inject: async () => {
          disk.throttle(dice.between(60_000, 150_000));
          process.kill(worker, 'SIGSTOP');
        },
        truth: () => ({
          causes: [{ scene: 'ProcessBlocked', subScene: 'Stopped', root: `pid:${worker}` }],
        }),
      };
    },
  },
  {
    name: 'nearly-full-tmpfs',
    kind: 'decoy',
    severity: 'none',
    missing: async () => undefined,
    prepare: async (scope, dice) => {
      // What is left lasts for longer than anybody plays this.
      const at = await mountTmpfs(scope, 128);
      const reader = await startWorkload(scope, 'storage', {
        mode: 'write',
        path: join(at, 'log'),
        pace_ms: dice.between(50, 100),
      });
      await reader.ready('step');
      return {
        asked: [reader.pid],
        inject: async () => writeFileSync(join(at, 'filler'), Buffer.alloc(118 * MIB, 'x')),
        truth: () => ({ causes: [] }),
      };
    },
  },
];

const HEALTHY: readonly Scenario[] = (['read', 'write', 'mmap', 'loader'] as const).map((mode) => ({
  name: `steady-${mode}`,
  kind: 'healthy',
  severity: 'none',
  missing: needsLoop,
  prepare: async (scope, dice) => {
    const disk = await loopDisk(scope);
    const path = mode === 'write' ? join(directory(scope), 'log') : disk.path;
    const proc = await startWorkload(scope, 'storage', { mode, path, pace_ms: dice.between(10, 100) });
    await proc.ready('step');
    return { asked: [proc.pid], inject: async () => undefined, truth: () => ({ causes: [] }) };
  },
}));

const DOUBLES: readonly Scenario[] = [
  {
    name: 'stopped-and-full',
    kind: 'double',
    severity: 'stands',
    missing: needsLoop,
    prepare: async (scope, dice) => {
      const { at, break: fillUp } = await fullExt4(scope, dice);
      const args = { mode: 'write', path: join(at, 'log'), pace_ms: dice.between(10, 60) };
      const writer = await startWorkload(scope, 'storage', args);
      await writer.ready('step');
      return {
        asked: [writer.pid],
        inject: async () => {
          await fillUp();
          await writer.ready('error');
          writer.kill('SIGSTOP');
        },
        truth: () => ({
          causes: [
            { scene: 'ProcessBlocked', subScene: 'Stopped', root: `pid:${writer.pid}` },
            ioError('DiskFull', `fs:${at}`),
          ],
          order: 'any',
        }),
      };
    },
  },
];

export const STORAGE = suite({
  name: 'storage',
  scenarios: [...FAULTS, ...DECOYS, ...HEALTHY, ...DOUBLES],
});
