/**
 * Faults of storage and host, each with who suffers, how it is made, and what `xctl why` must say of it. Shared by
 * the tests (is the answer right, and let go?) and the benchmark (how soon is it right?).
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import type { WhyAnswer } from '../../../src/scene/answer.js';
import { type Controller, cgroupSkip, makeCgroup } from '../../lib/cgroup.js';
import type { Disk } from '../../lib/disks/disk.js';
import { dmDisk } from '../../lib/disks/dm.js';
import { without } from '../../lib/disks/features.js';
import { loopDisk } from '../../lib/disks/loop.js';
import { scsiDisk } from '../../lib/disks/scsi.js';
import { throttledDisk } from '../../lib/disks/throttle.js';
import { createNfs, nfsMissing } from '../../lib/nfs.js';
import { OWN_PREFIX } from '../../lib/owner.js';
import { type Proc, startWorkload } from '../../lib/proc.js';
import type { Scope } from '../../lib/scope.js';
import { until } from '../../lib/until.js';
import { brief } from './ask.js';

const run = promisify(execFile);

export interface Fault {
  readonly name: string;
  /** From the fault to a right answer, seconds. */
  readonly askedS: number;
  /** Before it can be made a second time. */
  readonly restMs?: number;
  /** What this machine lacks for it; undefined: nothing. */
  readonly missing: () => Promise<string | undefined>;
  readonly prepare: (scope: Scope) => Promise<Victim>;
}

export interface Victim {
  /** Who is asked about. */
  readonly pid: number;
  /** Makes the fault; when it returns, the fault is there. */
  readonly inject: () => Promise<void>;
  readonly right: (answer: WhyAnswer) => boolean;
  /** Ends the fault; absent where it cannot be ended. */
  readonly heal?: () => Promise<void>;
}

/** Seen on 6.1; on 6.18 such a read fails. */
function givesZeros(): string | undefined {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  if (major > 6 || (major === 6 && minor >= 18)) return undefined;
  return 'before Linux 6.18 the loop driver gives zeros for what its file has lost';
}

const nothing = async (): Promise<undefined> => undefined;
const HUNG_TASK = '/proc/sys/kernel/hung_task_timeout_secs';

export const FAULTS: readonly Fault[] = [
  {
    name: 'process death',
    askedS: 1,
    missing: nothing,
    prepare: async (scope) => {
      const victim = await startWorkload(scope, 'storage', { mode: 'hold', path: '/dev/null' });
      await victim.ready();
      return {
        pid: victim.pid,
        inject: async () => process.kill(victim.pid, 'SIGKILL') && undefined,
        right: is('ProcessCrash', 'Signal', `pid:${victim.pid}`),
      };
    },
  },
  {
    name: 'OOM kill',
    askedS: 1,
    missing: lacks('memory'),
    prepare: async (scope) => {
      const group = await makeCgroup(scope, 'memory', 'oom');
      group.limitMemory(48 << 20);
      // Slow enough for a question before it happens, also on an emulated machine.
      const args = { mib: 256, step_ms: 150 };
      const victim = await startWorkload(scope, 'memory_hog', args, { wrap: group.wrap });
      await victim.ready('start');
      return {
        pid: victim.pid,
        inject: async () => {
          await victim.exited;
        },
        right: (answer) =>
          is('ProcessCrash', 'HostOom', `pid:${victim.pid}`)(answer) &&
          answer.summary.includes(basename(group.dir)) &&
          answer.summary.includes('48 MiB'),
      };
    },
  },
  {
    name: 'read-only remount',
    askedS: 1,
    missing: () => without('loop'),
    prepare: async (scope) => {
      const disk = await loopDisk(scope, { sizeMiB: 32 });
      const at = await mountExt4(scope, disk);
      const victim = await startWorkload(scope, 'storage', {
        mode: 'write',
        path: join(at, 'log'),
        pace_ms: 50,
      });
      await victim.ready('step');
      const trigger = `/sys/fs/ext4/${disk.name}/trigger_fs_error`;
      return {
        pid: victim.pid,
        // The kernel's own way: an error of the filesystem that is mounted errors=remount-ro.
        inject: async () => writeFileSync(trigger, 'test'),
        right: is('StorageIoError', 'ReadOnly', `fs:${at}`),
      };
    },
  },
  {
    name: 'disk error',
    askedS: 1,
    missing: () => without('scsi_debug'),
    prepare: async (scope) => {
      const disk = await scsiDisk(scope);
      const victim = await startWorkload(scope, 'storage', {
        mode: 'read',
        path: disk.path,
        pace_ms: 5,
        block: 512,
        later: disk.badSector * 512,
      });
      await victim.ready('step');
      return {
        pid: victim.pid,
        inject: async () => {
          process.kill(victim.pid, 'SIGUSR1');
          await victim.ready('error');
        },
        right: is('StorageIoError', null, `block:${disk.name}`),
      };
    },
  },
  {
    name: 'disk error of a loop device',
    askedS: 1,
    missing: async () => (await without('loop')) ?? givesZeros(),
    prepare: async (scope) => {
      const disk = await loopDisk(scope);
      const backing = readFileSync(`/sys/block/${disk.name}/loop/backing_file`, 'utf8').trim();
      const victim = await startWorkload(scope, 'storage', { mode: 'read', path: disk.path, pace_ms: 5 });
      await victim.ready('step');
      return {
        pid: victim.pid,
        inject: async () => {
          // Of what is not there any more the driver can read nothing.
          truncateSync(backing, 0);
          await victim.ready('error');
        },
        right: is('StorageIoError', null, `block:${disk.name}`),
      };
    },
  },
  {
    name: 'disk error below device mapper',
    askedS: 1,
    missing: () => without('scsi_debug', 'dm'),
    prepare: async (scope) => {
      const below = await scsiDisk(scope);
      const disk = await dmDisk(scope, '0 {size} linear {on} 0', below);
      const later = below.badSector * 512;
      const args = { mode: 'read', path: disk.path, pace_ms: 5, block: 512, later, on_error: 'exit' };
      const victim = await startWorkload(scope, 'storage', args);
      await victim.ready('step');
      return {
        pid: victim.pid,
        inject: async () => {
          process.kill(victim.pid, 'SIGUSR1');
          await victim.exited;
        },
        right: (answer) =>
          is('StorageIoError', null, `block:${below.name}`)(answer) &&
          answer.summary.startsWith('exited with code 3'),
      };
    },
  },
  {
    name: 'slow disk',
    askedS: 5,
    missing: () => without('throttle'),
    prepare: async (scope) => {
      const disk = await throttledDisk(scope);
      const victim = await startWorkload(
        scope,
        'storage',
        { mode: 'loader', path: disk.path, block: 65_536, pace_ms: 5 },
        { wrap: disk.wrap },
      );
      return slowLoader(victim, disk, async (on) => disk.throttle(on ? 100_000 : 0));
    },
  },
  {
    name: 'slow disk by dm-delay',
    askedS: 5,
    missing: () => without('loop', 'dm', 'dm-delay'),
    prepare: async (scope) => {
      const below = await loopDisk(scope);
      const disk = await dmDisk(scope, '0 {size} delay {on} 0 0', below);
      const victim = await startWorkload(scope, 'storage', { mode: 'loader', path: disk.path, pace_ms: 5 });
      return slowLoader(victim, disk, (on) => disk.reload(`0 {size} delay {on} 0 ${on ? 2_000 : 0}`));
    },
  },
  {
    name: 'hung task',
    askedS: 5,
    missing: async () =>
      existsSync(HUNG_TASK) ? without('loop', 'dm') : 'no hung task detector in this kernel',
    prepare: async (scope) => {
      const disk = await dmDisk(scope, '0 {size} linear {on} 0', await loopDisk(scope));
      set(scope, HUNG_TASK, '1');
      // The kernel tells of so many, and then of none.
      set(scope, '/proc/sys/kernel/hung_task_warnings', '10');
      // Reads are killable, and so never called hung: a write-back is waited for.
      const victim = await startWorkload(scope, 'storage', { mode: 'write', path: disk.path, pace_ms: 20 });
      // Undone before the victim is: until then it cannot even be killed.
      scope.teardown(() => disk.release());
      await victim.ready('step');
      return {
        pid: victim.pid,
        inject: () => disk.stall(),
        right: (answer) =>
          is('StorageSlow', 'Suspended', `block:${disk.name}`)(answer) &&
          answer.evidence.some(
            ({ probe, type, entity, detail }) =>
              probe === 'kmsg' &&
              type === 'error.kernel' &&
              entity === `pid:${victim.pid}` &&
              detail?.startsWith(`INFO: task storage:${victim.pid} blocked`) === true,
          ),
        heal: () => disk.release(),
      };
    },
  },
  {
    name: 'stopped file server',
    askedS: 5,
    missing: nfsMissing,
    prepare: async (scope) => {
      const nfs = await createNfs(scope);
      writeFileSync(join(nfs.exported, 'data'), Buffer.alloc(1 << 20));
      const path = join(nfs.mountPoint, 'data');
      const victim = await startWorkload(scope, 'storage', { mode: 'read', path, pace_ms: 10 });
      await victim.ready('step');
      return {
        pid: victim.pid,
        inject: () => nfs.silence(),
        right: (answer) => answer.scene === 'StorageSlow' && answer.rootCause?.node === `peer:${nfs.server}`,
        heal: () => nfs.speak(),
      };
    },
  },
  {
    name: 'CPU starvation',
    askedS: 5,
    missing: nothing,
    prepare: async (scope) => {
      const victim = await startWorkload(scope, 'cpu_hog', { cpu: 0, nice: 19 });
      await victim.ready();
      let rival: Proc | undefined;
      return {
        pid: victim.pid,
        inject: async () => {
          rival = await startWorkload(scope, 'cpu_hog', { cpu: 0 });
          await rival.ready();
        },
        right: (answer) =>
          answer.subScene === 'CpuStarved' &&
          rival !== undefined &&
          answer.rootCause?.node === `pid:${rival.pid}`,
        heal: async () => {
          await rival?.stop();
        },
      };
    },
  },
  {
    name: 'cgroup CPU throttling',
    askedS: 5,
    missing: lacks('cpu'),
    prepare: async (scope) => {
      const group = await makeCgroup(scope, 'cpu', 'throttled');
      const victim = await startWorkload(scope, 'cpu_hog', {}, { wrap: group.wrap });
      await victim.ready();
      return {
        pid: victim.pid,
        inject: async () => group.limitCpu(10, 100),
        right: (answer) =>
          answer.subScene === 'CpuThrottled' && answer.rootCause?.node.endsWith(basename(group.dir)) === true,
        heal: async () => group.limitCpu(1_000, 100),
      };
    },
  },
];

/** Put back when the test is over. */
function set(scope: Scope, path: string, value: string): void {
  const before = readFileSync(path, 'utf8');
  scope.teardown(() => writeFileSync(path, before));
  writeFileSync(path, value);
}

function lacks(controller: Controller): () => Promise<string | undefined> {
  return async () => {
    const reason = cgroupSkip(controller);
    return reason === false ? undefined : reason;
  };
}

function is(scene: string, subScene: string | null, root: string): (answer: WhyAnswer) => boolean {
  return (answer) => {
    const found = brief(answer);
    return found.scene === scene && found.subScene === subScene && found.root === root;
  };
}

/** trainer WaitsOn pipe ← worker WaitsOn device BlockedBy latency. */
async function slowLoader(trainer: Proc, disk: Disk, slow: (on: boolean) => Promise<void>): Promise<Victim> {
  const truth = await trainer.ready();
  await trainer.ready('step');
  const chain = [
    `pid:${trainer.pid}`,
    `pipe:${truth.text('pipe')}`,
    `pid:${truth.number('worker')}`,
    `block:${disk.name}`,
    `error:latency/block:${disk.name}`,
  ];
  return {
    pid: trainer.pid,
    inject: () => slow(true),
    right: (answer) =>
      answer.scene === 'StorageSlow' && JSON.stringify(brief(answer).nodes) === JSON.stringify(chain),
    heal: () => slow(false),
  };
}

/** A new ext4, mounted where it turns read-only on an error. */
export async function mountExt4(scope: Scope, disk: Disk): Promise<string> {
  const at = mkdtempSync(join(tmpdir(), OWN_PREFIX));
  scope.teardown(() => rmSync(at, { recursive: true, force: true }));
  await run('mkfs.ext4', ['-q', '-E', 'nodiscard', disk.path]);
  await run('mount', ['-t', 'ext4', '-o', 'errors=remount-ro', disk.path, at]);
  scope.teardown(() => until(() => unmount(at), { timeoutMs: 10_000, what: `${at} to be unmounted` }));
  return at;
}

export async function unmount(at: string): Promise<boolean> {
  if (!existsSync(at)) return true;
  return run('umount', [at]).then(
    () => true,
    () => false,
  );
}
