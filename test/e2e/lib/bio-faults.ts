/**
 * Faults that no request tells of: a mapped device fails what it is given (dm-flakey), and nothing below it does.
 * Only the kernel log knows. Beside faults.ts, for the same tests and the same benchmark.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { WhyAnswer } from '../../../src/scene/answer.js';
import type { Disk } from '../../lib/disks/disk.js';
import { type DmDisk, dmDisk } from '../../lib/disks/dm.js';
import { without } from '../../lib/disks/features.js';
import { loopDisk } from '../../lib/disks/loop.js';
import { OWN_PREFIX } from '../../lib/owner.js';
import { startWorkload } from '../../lib/proc.js';
import type { Scope } from '../../lib/scope.js';
import { until } from '../../lib/until.js';
import type { Fault, Victim } from './faults.js';
import { mountExt4, unmount } from './faults.js';

const run = promisify(execFile);

/** Up for a minute and down for none; and the other way round. */
export const SOUND = '0 {size} flakey {on} 0 60 0';
export const FAILS = '0 {size} flakey {on} 0 0 60';
/** Ten lines in five seconds is all that the kernel says of such. */
const REST_MS = 5_000;
const FAILS_WRITES = `${FAILS} 1 error_writes`;

export const BIO_FAULTS: readonly Fault[] = [
  {
    name: 'reads that fail on a mapped device itself',
    askedS: 1,
    restMs: REST_MS,
    missing: () => without('loop', 'dm', 'dm-flakey'),
    prepare: async (scope) => {
      const disk = await dmDisk(scope, SOUND, await loopDisk(scope));
      // Through the page cache: of direct reads nobody is told but who makes them.
      const args = { mode: 'read', path: disk.path, direct: 0, pace_ms: 5 };
      const victim = await startWorkload(scope, 'storage', args);
      await victim.ready('step');
      return {
        pid: victim.pid,
        inject: async () => {
          await disk.reload(FAILS);
          await victim.ready('error');
        },
        right: ioErrorOf(`block:${disk.name}`),
      };
    },
  },
  {
    name: 'writes that fail below ext4',
    askedS: 1,
    restMs: REST_MS,
    missing: () => without('loop', 'dm', 'dm-flakey'),
    prepare: async (scope) => {
      const disk = await dmDisk(scope, SOUND, await loopDisk(scope, { sizeMiB: 32 }));
      return writerOn(scope, disk, await mountExt4(scope, disk));
    },
  },
  {
    name: 'writes that fail below XFS',
    askedS: 1,
    restMs: REST_MS,
    missing: () => without('loop', 'dm', 'dm-flakey'),
    prepare: async (scope) => {
      const disk = await dmDisk(scope, SOUND, await loopDisk(scope, { sizeMiB: 32 }));
      return writerOn(scope, disk, await mountXfs(scope, disk));
    },
  },
];

async function writerOn(scope: Scope, disk: DmDisk, at: string): Promise<Victim> {
  const args = { mode: 'write', path: join(at, 'log'), pace_ms: 50 };
  const victim = await startWorkload(scope, 'storage', args);
  await victim.ready('step');
  return {
    pid: victim.pid,
    inject: async () => {
      await disk.reload(FAILS_WRITES);
      await victim.ready('error');
    },
    right: ioErrorOf(`fs:${at}`, `block:${disk.name}`),
  };
}

/**
 * Whether it is called a failed write, read-only or shut down, and of the filesystem or the device below it, depends on
 * which line the kernel has come to.
 */
function ioErrorOf(...roots: readonly string[]): (answer: WhyAnswer) => boolean {
  return (answer) => answer.scene === 'StorageIoError' && roots.includes(answer.rootCause?.node ?? '');
}

export async function mountXfs(scope: Scope, disk: Disk): Promise<string> {
  const at = mkdtempSync(join(tmpdir(), OWN_PREFIX));
  scope.teardown(() => rmSync(at, { recursive: true, force: true }));
  // The variables make mkfs.xfs take less than 300 MiB.
  const env = { ...process.env, TEST_DIR: '/', TEST_DEV: '/', QA_CHECK_FS: '1' };
  await run('mkfs.xfs', ['-q', '-f', '-K', disk.path], { env });
  await run('modprobe', ['xfs']).catch(() => undefined);
  await run('mount', ['-t', 'xfs', disk.path, at]);
  scope.teardown(() => until(() => unmount(at), { timeoutMs: 10_000, what: `${at} to be unmounted` }));
  return at;
}
