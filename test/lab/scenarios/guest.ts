/**
 * What this machine's kernel cannot make and a guest's can: file servers, device mapper, mirrors, SCSI disks with bad sectors.
 * Played by test/lab/guest.ts in a QEMU guest of `make test-vm`; wherever else the kernel has it, too.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FAILS, mountXfs, SOUND } from '../../e2e/lib/bio-faults.js';
import { mountExt4 } from '../../e2e/lib/faults.js';
import { type DmDisk, dmDisk } from '../../lib/disks/dm.js';
import { type Feature, without } from '../../lib/disks/features.js';
import { loopDisk } from '../../lib/disks/loop.js';
import { mirror } from '../../lib/disks/md.js';
import { nullDisk } from '../../lib/disks/null-blk.js';
import { scsiDisk } from '../../lib/disks/scsi.js';
import { createNfs, type Nfs, nfsMissing } from '../../lib/nfs.js';
import { type Proc, startWorkload } from '../../lib/proc.js';
import type { Scope } from '../../lib/scope.js';
import { until } from '../../lib/until.js';
import type { Dice } from '../dice.js';
import { type Cause, type NodeMatcher, type Scenario, suite } from '../scenario.js';

/** Times the patience of an emulated machine. */
const JUDGED_AFTER_MS = 4_000;
const LINEAR = '0 {size} linear {on} 0';
const FAILS_WRITES = `${FAILS} 1 error_writes`;
const MIB = 1 << 20;

function needs(...features: readonly Feature[]): () => Promise<string | undefined> {
  return () => without(...features);
}

function slow(subScene: Cause['subScene'], root: NodeMatcher, via: readonly NodeMatcher[] = []): Cause {
  return { scene: 'StorageSlow', subScene, root, via };
}

function ioError(subScene: Cause['subScene'], root: NodeMatcher): Cause {
  return { scene: 'StorageIoError', subScene, root };
}

type Args = Readonly<Record<string, string | number>>;

async function uses(scope: Scope, dice: Dice, args: Args): Promise<Proc> {
  const proc = await startWorkload(scope, 'storage', { pace_ms: dice.between(5, 20), ...args });
  await proc.ready('step');
  return proc;
}

interface ServerCase {
  readonly name: string;
  readonly mode: 'read' | 'stat' | 'loader';
  readonly inject: (nfs: Nfs) => Promise<void>;
  readonly undo: (nfs: Nfs) => Promise<void>;
  readonly proves: readonly string[];
}

function onServer({ name, mode, inject, undo, proves }: ServerCase): Scenario {
  return {
    name,
    kind: 'fault',
    severity: 'stands',
    missing: nfsMissing,
    // There is one server in the kernel, in one network namespace at a time.
    alone: true,
    judgedAfterMs: JUDGED_AFTER_MS,
    proves,
    prepare: async (scope, dice) => {
      // Without a cache of attributes every stat asks the server.
      const nfs = await createNfs(scope, { options: 'noac' });
      writeFileSync(join(nfs.exported, 'data'), Buffer.alloc(MIB));
      const proc = await uses(scope, dice, { mode, path: join(nfs.mountPoint, 'data') });
      // What waits for a server cannot end.
      scope.teardown(() => undo(nfs));
      const truth = await proc.ready();
      const via = mode === 'loader' ? [`pipe:${truth.text('pipe')}`, `pid:${truth.number('worker')}`] : [];
      return {
        asked: [proc.pid],
        inject: () => inject(nfs),
        truth: () => ({ causes: [slow('Nfs', `peer:${nfs.server}`, via)] }),
      };
    },
  };
}

const silence = (nfs: Nfs): Promise<void> => nfs.silence();
const speak = (nfs: Nfs): Promise<void> => nfs.speak();

const SERVERS: readonly Scenario[] = [
  onServer({
    name: 'nfs-silent',
    mode: 'read',
    inject: silence,
    undo: speak,
    proves: ['byterobust/fs-mount', 'byterobust/hdfs-error'],
  }),
  onServer({ name: 'nfs-silent-stat', mode: 'stat', inject: silence, undo: speak, proves: [] }),
  onServer({
    name: 'nfs-silent-behind-worker',
    mode: 'loader',
    inject: silence,
    undo: speak,
    proves: ['byterobust/job-hang'],
  }),
  onServer({
    name: 'nfs-server-ended',
    mode: 'stat',
    inject: (nfs) => nfs.halt(),
    undo: (nfs) => nfs.resume(),
    proves: ['byterobust/external-service'],
  }),
];

interface Ground {
  readonly asked: Proc;
  readonly inject: () => Promise<unknown>;
  readonly cause: Cause;
}

interface DiskCase {
  readonly name: string;
  readonly features: readonly Feature[];
  readonly severity?: Scenario['severity'];
  readonly proves?: readonly string[];
  readonly alone?: true;
  readonly prepare: (scope: Scope, dice: Dice) => Promise<Ground>;
}

function onDisk({ name, features, severity = 'stands', proves, alone, prepare }: DiskCase): Scenario {
  return {
    name,
    kind: 'fault',
    severity,
    missing: needs(...features),
    judgedAfterMs: JUDGED_AFTER_MS,
    ...(alone && { alone }),
    ...(proves !== undefined && { proves }),
    prepare: async (scope, dice) => {
      const { asked, inject, cause } = await prepare(scope, dice);
      return {
        asked: [asked.pid],
        inject: async () => {
          await inject();
        },
        truth: () => ({ causes: [cause] }),
      };
    },
  };
}

/** Held back: nothing on it gets on, and nobody who waits can end before it is let go. */
async function heldBack(scope: Scope, dice: Dice, upper: DmDisk, lower: DmDisk, args: Args): Promise<Ground> {
  const asked = await uses(scope, dice, { path: upper.path, ...args });
  scope.teardown(lower.release);
  return { asked, inject: lower.stall, cause: slow('Suspended', `block:${lower.name}`) };
}

/** Its writes fail below a filesystem: which of its words the kernel has come to is its business. */
async function failsBelow(scope: Scope, dice: Dice, disk: DmDisk, at: string): Promise<Ground> {
  const asked = await uses(scope, dice, { mode: 'write', path: join(at, 'log'), pace_ms: 50 });
  return {
    asked,
    inject: async () => {
      await disk.reload(FAILS_WRITES);
      await asked.ready('error');
    },
    cause: ioError([null, 'ReadOnly', 'ShutDown'], [`fs:${at}`, `block:${disk.name}`]),
  };
}

const DISKS: readonly Scenario[] = [
  onDisk({
    name: 'slow-dm-delay-behind-worker',
    features: ['loop', 'dm', 'dm-delay'],
    severity: 'slows',
    proves: ['byterobust/mfu-decline'],
    prepare: async (scope, dice) => {
      const disk = await dmDisk(scope, '0 {size} delay {on} 0 0', await loopDisk(scope));
      const asked = await uses(scope, dice, { mode: 'loader', path: disk.path });
      const worker = (await asked.ready()).number('worker');
      const delayMs = dice.between(1_500, 2_500);
      return {
        asked,
        inject: () => disk.reload(`0 {size} delay {on} 0 ${delayMs}`),
        cause: slow('Device', `block:${disk.name}`, [`pid:${worker}`]),
      };
    },
  }),
  onDisk({
    name: 'suspended-dm',
    features: ['loop', 'dm'],
    prepare: async (scope, dice) => {
      const disk = await dmDisk(scope, LINEAR, await loopDisk(scope));
      return heldBack(scope, dice, disk, disk, { mode: dice.pick(['read', 'mmap']) });
    },
  }),
  onDisk({
    name: 'suspended-dm-below-ext4',
    features: ['loop', 'dm'],
    prepare: async (scope, dice) => {
      const lower = await dmDisk(scope, LINEAR, await loopDisk(scope, { sizeMiB: 32 }));
      const upper = await dmDisk(scope, LINEAR, lower);
      const at = await mountExt4(scope, upper);
      return heldBack(scope, dice, upper, lower, { mode: 'write', path: join(at, 'log') });
    },
  }),
  onDisk({
    name: 'failed-reads-dm-flakey',
    features: ['loop', 'dm', 'dm-flakey'],
    prepare: async (scope, dice) => {
      const disk = await dmDisk(scope, SOUND, await loopDisk(scope));
      const asked = await uses(scope, dice, { mode: 'read', path: disk.path, direct: 0 });
      return {
        asked,
        inject: async () => {
          await disk.reload(FAILS);
          await asked.ready('error');
        },
        cause: ioError(null, `block:${disk.name}`),
      };
    },
  }),
  onDisk({
    name: 'failed-writes-below-ext4',
    features: ['loop', 'dm', 'dm-flakey'],
    prepare: async (scope, dice) => {
      const disk = await dmDisk(scope, SOUND, await loopDisk(scope, { sizeMiB: 32 }));
      return failsBelow(scope, dice, disk, await mountExt4(scope, disk));
    },
  }),
  onDisk({
    name: 'failed-writes-below-xfs',
    features: ['loop', 'dm', 'dm-flakey'],
    prepare: async (scope, dice) => {
      const disk = await dmDisk(scope, SOUND, await loopDisk(scope, { sizeMiB: 32 }));
      return failsBelow(scope, dice, disk, await mountXfs(scope, disk));
    },
  }),
  onDisk({
    name: 'bad-sector',
    features: ['scsi_debug'],
    // There is one disk of that driver.
    alone: true,
    proves: ['llama3/ssd', 'byterobust/disk-fault'],
    prepare: async (scope, dice) => {
      const disk = await scsiDisk(scope);
      const args = { mode: 'read', path: disk.path, block: 512, later: disk.badSector * 512 };
      const asked = await uses(scope, dice, args);
      return {
        asked,
        inject: async () => {
          asked.kill('SIGUSR1');
          await asked.ready('error');
        },
        cause: ioError(null, `block:${disk.name}`),
      };
    },
  }),
  onDisk({
    name: 'bad-sector-below-dm-exits',
    features: ['scsi_debug', 'dm'],
    severity: 'ends',
    alone: true,
    prepare: async (scope, dice) => {
      const below = await scsiDisk(scope);
      const disk = await dmDisk(scope, LINEAR, below);
      const later = below.badSector * 512;
      const args = { mode: 'read', path: disk.path, block: 512, later, on_error: 'exit' };
      const asked = await uses(scope, dice, args);
      return {
        asked,
        inject: async () => {
          asked.kill('SIGUSR1');
          await asked.exited;
        },
        cause: ioError(null, `block:${below.name}`),
      };
    },
  }),
  onDisk({
    name: 'unplugged-disk',
    features: ['scsi_debug'],
    alone: true,
    proves: ['llama3/ssd'],
    prepare: async (scope, dice) => {
      const disk = await scsiDisk(scope, { opts: 0 });
      // A disk that is gone has no size: a read past the page cache ends there, without an error.
      const asked = await uses(scope, dice, { mode: 'write', path: disk.path });
      return {
        asked,
        inject: async () => {
          disk.unplug();
          await asked.ready('error');
        },
        cause: ioError(['DeviceGone', null], `block:${disk.name}`),
      };
    },
  }),
  {
    name: 'slow-null-blk',
    kind: 'fault',
    severity: 'slows',
    missing: needs('null_blk'),
    // It cannot be changed while it is there.
    startsBroken: true,
    judgedAfterMs: JUDGED_AFTER_MS,
    prepare: async (scope, dice) => {
      const disk = await nullDisk(scope, { completionMs: dice.between(2_500, 4_000) });
      const reader = await startWorkload(scope, 'storage', { mode: 'read', path: disk.path });
      await reader.ready();
      return {
        asked: [reader.pid],
        inject: async () => undefined,
        truth: () => ({ causes: [slow('Device', `block:${disk.name}`)] }),
      };
    },
  },
];

const DECOYS: readonly Scenario[] = [
  {
    name: 'mirror-lost-a-member',
    kind: 'decoy',
    severity: 'none',
    missing: needs('loop', 'md'),
    judgedAfterMs: JUDGED_AFTER_MS,
    prepare: async (scope, dice) => {
      const [one, other] = [await loopDisk(scope, { sizeMiB: 32 }), await loopDisk(scope, { sizeMiB: 32 })];
      const md = await mirror(scope, [one, other]);
      const reader = await uses(scope, dice, { mode: 'read', path: md.path });
      const degraded = (): boolean =>
        readFileSync(`/sys/block/${md.name}/md/degraded`, 'utf8').trim() === '1';
      return {
        asked: [reader.pid],
        inject: async () => {
          await md.fail(one);
          await until(degraded, { timeoutMs: 10_000, what: 'the mirror to be without one' });
        },
        truth: () => ({ causes: [] }),
      };
    },
  },
  {
    name: 'suspended-dm-of-somebody-else',
    kind: 'decoy',
    severity: 'none',
    missing: needs('loop', 'dm'),
    judgedAfterMs: JUDGED_AFTER_MS,
    prepare: async (scope, dice) => {
      const [theirs, own] = [await dmDisk(scope, LINEAR, await loopDisk(scope)), await loopDisk(scope)];
      const other = await uses(scope, dice, { mode: 'read', path: theirs.path });
      const reader = await uses(scope, dice, { mode: 'read', path: own.path });
      scope.teardown(theirs.release);
      return {
        asked: [reader.pid, other.pid],
        hit: [other.pid],
        inject: theirs.stall,
        truth: () => ({ causes: [] }),
      };
    },
  },
  {
    name: 'steady-on-a-file-server',
    kind: 'healthy',
    severity: 'none',
    missing: nfsMissing,
    alone: true,
    judgedAfterMs: JUDGED_AFTER_MS,
    prepare: async (scope, dice) => {
      const nfs = await createNfs(scope);
      writeFileSync(join(nfs.exported, 'data'), Buffer.alloc(MIB));
      const proc = await uses(scope, dice, { mode: 'read', path: join(nfs.mountPoint, 'data') });
      return { asked: [proc.pid], inject: async () => undefined, truth: () => ({ causes: [] }) };
    },
  },
];

export const GUEST = suite({ name: 'guest', scenarios: [...SERVERS, ...DISKS, ...DECOYS] });
