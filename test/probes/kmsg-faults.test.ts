/** Real faults, in the kernel's own words: the lines are right when the kernel that runs here prints them. */
import { execFile } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import t from 'tap';
import type { Event, EventOf, EventType } from '../../src/events/event.js';
import { BootClock } from '../../src/kernel/clock.js';
import { KmsgProbe } from '../../src/probes/kmsg.js';
import type { ProbeContext } from '../../src/probes/probe.js';
import { createLog } from '../../src/util/log.js';
import { cgroupSkip, makeCgroup } from '../lib/cgroup.js';
import type { Disk } from '../lib/disks/disk.js';
import { dmDisk } from '../lib/disks/dm.js';
import { type Feature, without } from '../lib/disks/features.js';
import { loopDisk } from '../lib/disks/loop.js';
import { mirror } from '../lib/disks/md.js';
import { scsiDisk } from '../lib/disks/scsi.js';
import { start } from '../lib/proc.js';
import type { Scope } from '../lib/scope.js';
import { until } from '../lib/until.js';

const run = promisify(execFile);

interface Running {
  readonly probe: KmsgProbe;
  event<T extends EventType>(type: T, pass: (event: EventOf<T>) => boolean): Promise<EventOf<T>>;
}

async function running(scope: Scope): Promise<Running> {
  const events: Event[] = [];
  const context: ProbeContext = {
    kernel: { load: () => Promise.reject(new Error('needs no program')) },
    poller: { on: () => undefined, drainAll: () => 0 },
    clock: BootClock.now(),
    sink: (event) => void events.push(event),
    log: createLog('error'),
    signal: new AbortController().signal,
  };
  const probe = new KmsgProbe(context);
  scope.teardown(() => probe.stop());
  await probe.start();
  // What the log says of devices that had this one's name before is not meant.
  events.length = 0;
  return {
    probe,
    event: (type, pass) =>
      until(
        () => {
          probe.pass();
          return events.filter((e): e is Event & EventOf<typeof type> => e.type === type).find(pass);
        },
        { timeoutMs: 15_000, what: `${type} from the kernel's log`, everyMs: 20 },
      ),
  };
}

function unreadable(): string | false {
  try {
    closeSync(openSync('/dev/kmsg', 'r'));
    return false;
  } catch (error) {
    return error instanceof Error ? error.message : 'no /dev/kmsg';
  }
}

const skip = unreadable();

async function lacking(...features: readonly Feature[]): Promise<string | false> {
  return skip || ((await without(...features)) ?? false);
}

t.test('a process that the OOM killer took', { skip: skip || cgroupSkip('memory') }, async (t) => {
  const { event } = await running(t);
  const group = await makeCgroup(t, 'memory', 'kmsg');
  group.limitMemory(24 << 20);
  const askedAt = Date.now();
  const hog = await start(t, '/usr/bin/python3', ['-c', 'a = bytearray(256 << 20)'], { wrap: group.wrap });
  const kill = await event('error.kernel', ({ pid }) => pid === hog.pid);
  t.match(kill, { entity: `pid:${hog.pid}`, attrs: { class: 'oom' } });
  t.match(kill.attrs.comm, /^python3/);
  t.ok(
    kill.ts > askedAt - 100 && kill.ts <= Date.now() + 1,
    `at its time: ${kill.ts - askedAt} ms after the start`,
  );
});

/** A filesystem on a disk, mounted where a test may write. */
async function mounted(
  scope: Scope & { testdir(): string },
  fsType: 'ext4' | 'xfs',
  disk: Disk,
  options: string,
): Promise<string> {
  // The variables make mkfs.xfs take less than 300 MiB.
  const env = { ...process.env, TEST_DIR: '/', TEST_DEV: '/', QA_CHECK_FS: '1' };
  await run(`mkfs.${fsType}`, ['-q', fsType === 'ext4' ? '-F' : '-f', disk.path], { env });
  const at = `${scope.testdir()}/mounted here`;
  mkdirSync(at);
  await run('mount', ['-t', fsType, '-o', options, disk.path, at]);
  scope.teardown(() => run('umount', ['--lazy', at]));
  return at;
}

function noProgram(...names: readonly string[]): string | false {
  const missing = names.find((name) => !existsSync(`/usr/sbin/${name}`) && !existsSync(`/sbin/${name}`));
  return missing === undefined ? false : `no program ${missing}`;
}

t.test(
  'a filesystem that went read-only',
  { skip: (await lacking('loop')) || noProgram('mkfs.ext4') },
  async (t) => {
    const disk = await loopDisk(t);
    const at = await mounted(t, 'ext4', disk, 'errors=remount-ro');
    const { event } = await running(t);
    writeFileSync(`/sys/fs/ext4/${disk.name}/trigger_fs_error`, 'xctl test');
    const error = await event(
      'error.fs',
      ({ attrs }) => attrs.class === 'error' && attrs.message.includes(disk.name),
    );
    t.match(error, { entity: `fs:${at}`, attrs: { fsType: 'ext4', message: /EXT4-fs error .*xctl test/ } });
    const readOnly = await event(
      'error.fs',
      ({ attrs }) => attrs.class === 'read-only' && attrs.message.includes(disk.name),
    );
    t.match(readOnly, { entity: `fs:${at}`, attrs: { fsType: 'ext4' } });
    const [, mountOptions = '', superOptions = ''] =
      readFileSync('/proc/self/mountinfo', 'utf8')
        .split('\n')
        .map((line) => / ([^ ]*) (?:[^-]* )?- ext4 (\/dev\/[^ ]* [^ ]*)$/.exec(line))
        .find((match) => match?.[2]?.startsWith(`${disk.path} `)) ?? [];
    t.comment(`the mount table says: ${mountOptions} - ${superOptions}`);
  },
);

t.test(
  'a filesystem that was shut down',
  { skip: (await lacking('loop')) || noProgram('mkfs.xfs', 'xfs_io') },
  async (t) => {
    const disk = await loopDisk(t, { sizeMiB: 32 });
    const at = await mounted(t, 'xfs', disk, 'rw');
    const { event } = await running(t);
    await run('xfs_io', ['-x', '-c', 'shutdown', at]);
    const shutdown = await event('error.fs', ({ attrs }) => attrs.message.includes(`(${disk.name})`));
    t.match(shutdown, { entity: `fs:${at}`, attrs: { class: 'shutdown', fsType: 'xfs' } });
  },
);

/** Whether a read there succeeds. */
function readAt(path: string, sector: number): boolean {
  const fd = openSync(path, 'r');
  try {
    readSync(fd, Buffer.alloc(4096), 0, 4096, sector * 512);
    return true;
  } catch {
    return false;
  } finally {
    closeSync(fd);
  }
}

t.test('a device whose reads fail', { skip: await lacking('dm', 'loop') }, async (t) => {
  const disk = await dmDisk(t, '0 {size} error', await loopDisk(t));
  const { event } = await running(t);
  t.notOk(readAt(disk.path, 0));
  const error = await event('error.fs', ({ entity }) => entity === `block:${disk.name}`);
  t.match(error, { attrs: { class: 'io-error', fsType: '' } });
});

t.test('a disk with a bad sector', { skip: await lacking('scsi_debug') }, async (t) => {
  // Nobody loads it by itself where no udev is.
  await run('modprobe', ['sd_mod']);
  const disk = await scsiDisk(t);
  const { event } = await running(t);
  t.notOk(readAt(disk.path, disk.badSector));
  const sense = await event(
    'error.hw',
    ({ entity, attrs }) => entity === `block:${disk.name}` && attrs.message.includes('Sense Key'),
  );
  t.match(sense, { attrs: { class: 'scsi', severity: 'uncorrected', message: /Medium Error/ } });
  await event(
    'error.hw',
    ({ entity, attrs }) =>
      entity === `block:${disk.name}` && attrs.message.includes('critical medium error, dev'),
  );
});

t.test('a mirror that lost a member', { skip: await lacking('md', 'loop') }, async (t) => {
  const members = [await loopDisk(t), await loopDisk(t)];
  const [first] = members;
  const md = await mirror(t, members);
  const { event } = await running(t);
  if (first !== undefined) await md.fail(first);
  const failed = await event('error.hw', ({ attrs }) => attrs.class === 'md');
  t.match(failed, {
    entity: `block:${first?.name}`,
    attrs: { severity: 'uncorrected', about: [`block:${md.name}`] },
  });
});

const HUNG_TASK = '/proc/sys/kernel/hung_task_timeout_secs';
const noDetector = existsSync(HUNG_TASK) ? false : 'no hung task detector in this kernel';

t.test(
  'a task that hangs on a stuck device',
  { skip: (await lacking('dm', 'loop')) || noDetector },
  async (t) => {
    const before = readFileSync(HUNG_TASK, 'utf8');
    t.teardown(() => writeFileSync(HUNG_TASK, before));
    writeFileSync(HUNG_TASK, '1');
    const disk = await dmDisk(t, '0 {size} linear {on} 0', await loopDisk(t));
    const { event } = await running(t);
    await disk.stall();
    // Neither reads (killable) nor direct I/O (wakes up in between) count as hung: fsync does.
    const writer = await start(t, 'dd', [
      'if=/dev/zero',
      `of=${disk.path}`,
      'bs=4096',
      'count=1',
      'conv=fsync,notrunc',
    ]);
    // Undone before the writer is: until then it cannot even be killed.
    t.teardown(() => disk.release());
    const hung = await event('error.kernel', ({ pid }) => pid === writer.pid);
    t.match(hung, { entity: `pid:${writer.pid}`, attrs: { class: 'hung-task', comm: 'dd' } });
    t.ok((hung.attrs.seconds ?? 0) >= 1);
    await disk.release();
  },
);
