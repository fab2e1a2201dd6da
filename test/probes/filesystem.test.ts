import { execFile } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { Devices } from '../../src/probes/devices.js';
import { Ext4Errors } from '../../src/probes/filesystem-errors.js';
import { FilesystemProbe } from '../../src/probes/filesystem.js';
import {
  type AskSpace,
  levelOf,
  type Space,
  SpaceWatch,
  type StatfsNumbers,
  spaceOf,
} from '../../src/probes/filesystem-space.js';
import { SeenWaits } from '../../src/probes/filesystem-waits.js';
import { parseMountinfo } from '../../src/probes/mountinfo.js';
import { devText, type Filesystem, Mounts } from '../../src/probes/mounts.js';
import { startTicks, start } from '../lib/proc.js';
import { FlowTable } from '../../src/probes/flow-table.js';
import { WaitsProbe } from '../../src/probes/waits.js';
import { until } from '../lib/until.js';
import { mountExt4, mounted } from './lib/mount.js';
import { type Rig, startProbe } from './lib/rig.js';

const run = promisify(execFile);
// In a guest it is a module.
await run('modprobe', ['-a', 'loop', 'ext4']).catch(() => undefined);
const NO_LOOP = existsSync('/dev/loop-control') ? false : 'no loop devices';
const of = (entity: string) => (event: { readonly entity: string }) => event.entity === entity;

async function tmpfs(dir: string, options: string): Promise<string> {
  const at = join(dir, `t${readdirSync(dir).length}`);
  mkdirSync(at);
  await run('mount', ['-t', 'tmpfs', '-o', options, 'xctl', at]);
  return at;
}

function probe(t: Tap, mounts = new Mounts()): Promise<Rig<FilesystemProbe>> {
  return startProbe(t, (context) => new FilesystemProbe(context, mounts));
}
type Tap = Parameters<typeof startProbe>[0];

/** Fills a file system until it takes no more. */
function fill(at: string): void {
  const fd = openSync(join(at, 'filler'), 'w');
  try {
    for (let size = 1 << 20; size >= 1 << 10; ) {
      try {
        writeFileSync(fd, Buffer.alloc(size));
      } catch {
        size >>= 1;
      }
    }
  } finally {
    closeSync(fd);
  }
}

const FS: Filesystem = {
  id: 'fs:/x',
  dev: 8 << 20,
  fsType: 'ext4',
  mountPoint: '/x',
  under: [],
  readOnly: false,
  ns: 1,
  path: '/x',
  remote: false,
};
t.test('what is mounted is told at the start, and what comes and goes within a pass', async (t) => {
  const dir = await mounted(t);
  const rig = await probe(t);
  const root = rig.all('storage.mount', of('fs:/'))[0];
  t.ok(root, 'the root');
  t.notOk(rig.all('storage.mount', (e) => e.attrs.fsType === 'proc')[0], 'no interfaces of the kernel');
  const at = await tmpfs(dir, 'size=1m');
  const found = await rig.event('storage.mount', of(`fs:${at}`), 5_000);
  t.match(found.attrs, { fsType: 'tmpfs', mountPoint: at, readOnly: false, under: [], gone: undefined });
  await run('umount', [at]);
  const gone = await rig.event(
    'storage.mount',
    (e) => e.entity === `fs:${at}` && e.attrs.gone === true,
    5_000,
  );
  t.ok(gone.ts >= found.ts);
  t.equal(rig.probe.checks()[0]?.status, 'ok');
});

t.test('a read-only remount is told by the next pass, with who has files open', async (t) => {
  const dir = await mounted(t);
  const at = await tmpfs(dir, 'size=1m');
  const rig = await probe(t);
  writeFileSync(join(at, 'open'), 'x');
  const reader = await start(t, 'sh', ['-c', `exec 3<${at}/open; echo ready; exec sleep 1000`]);
  await reader.line(/ready/);
  const idle = await start(t, 'sleep', ['1000'], { cwd: '/' });
  await run('mount', ['-o', 'remount,ro', at]);
  const before = performance.now();
  rig.probe.pass(true);
  t.comment(`pass: ${(performance.now() - before).toFixed(1)} ms`);
  const [event] = rig.all('storage.readonly');
  t.equal(event?.entity, `fs:${at}`);
  t.equal(event?.attrs.readOnly, true);
  const [users] = rig.all('storage.users', of(`fs:${at}`));
  t.match(users?.attrs.holders, [{ pid: reader.pid, comm: 'sleep', mode: 'r' }]);
  t.equal(users?.attrs.holders.length, 1);
  t.notOk(users?.attrs.holders.some(({ pid }) => pid === idle.pid));
  t.equal(Math.floor((users?.attrs.holders[0]?.start ?? 0) / 1e7), Number(startTicks(reader.pid)));
  rig.probe.pass(true);
  t.equal(rig.all('storage.readonly').length, 1, 'once');
});

t.test('ext4 that has met an error: read-only within a pass', { skip: NO_LOOP }, async (t) => {
  const dir = await mounted(t);
  const at = join(dir, 'ext4');
  mkdirSync(at);
  const device = await mountExt4(t, join(dir, 'image'), at, { sizeMib: 16, mount: 'errors=remount-ro' });
  const rig = await probe(t);
  t.same(rig.all('storage.mount', of(`fs:${at}`))[0]?.attrs.under, [`block:${basename(device)}`]);
  const writer = await start(t, 'sh', ['-c', `exec 3>${at}/log; echo ready; exec sleep 1000`]);
  await writer.line(/ready/);
  writeFileSync(`/sys/fs/ext4/${basename(device)}/trigger_fs_error`, 'test');
  const event = await rig.event('storage.readonly', of(`fs:${at}`), 3_000);
  t.equal(event.attrs.readOnly, true);
  t.match((await rig.event('storage.users', of(`fs:${at}`))).attrs.holders, [{ pid: writer.pid, mode: 'w' }]);
  // The same by the device: what is on it is found by its number.
  rig.probe.trouble(`block:${basename(device)}`);
  const byDevice = rig.all('storage.users', of(`block:${basename(device)}`))[0];
  t.match(byDevice?.attrs.holders, [{ pid: writer.pid }]);
  rig.probe.trouble(`block:${basename(device)}`);
  t.equal(rig.all('storage.users', of(`block:${basename(device)}`)).length, 1, 'not twice at once');
});

t.test('ext4 that stopped without a trace in the mount table: by its count of errors', async (t) => {
  const dir = t.testdir({
    sys: { fs: { ext4: { sda: { errors_count: '3\n' }, sdb: { errors_count: '0\n' } } } },
    proc: {
      fs: {
        ext4: { sda: { options: 'rw\nerrors=remount-ro\n' }, sdb: { options: 'rw\nerrors=continue\n' } },
      },
    },
  });
  const errors = new Ext4Errors(join(dir, 'proc'), join(dir, 'sys'));
  errors.found({ ...FS, dev: 1, under: ['block:sda'] });
  errors.found({ ...FS, dev: 2, under: ['block:sdb'] });
  errors.found({ ...FS, dev: 3, under: ['block:gone'] });
  t.same(errors.look(), [], 'old errors are none');
  for (const name of ['sda', 'sdb']) writeFileSync(join(dir, 'sys/fs/ext4', name, 'errors_count'), '4\n');
  t.match(errors.look(), [{ dev: 1 }]);
  t.same(errors.look(), [], 'once');
});

t.test('who has a block device itself open', { skip: NO_LOOP }, async (t) => {
  const dir = await mounted(t);
  await run('truncate', ['-s', '1M', join(dir, 'image')]);
  const device = (await run('losetup', ['--find', '--show', join(dir, 'image')])).stdout.trim();
  t.teardown(() => run('losetup', ['--detach', device]));
  const rig = await probe(t);
  const holder = await start(t, 'sh', ['-c', `exec 3<>${device}; echo ready; exec sleep 1000`]);
  await holder.line(/ready/);
  rig.probe.trouble(`block:${basename(device)}`);
  t.match(rig.all('storage.users')[0]?.attrs.holders, [{ pid: holder.pid, mode: 'rw' }]);
  rig.probe.trouble('block:../../etc');
  rig.probe.trouble('fs:/nowhere');
  t.equal(rig.all('storage.users').length, 1, 'what is not known has no users');
  const second = await start(t, 'sh', ['-c', `exec 3<${device}; echo ready; exec sleep 1000`]);
  await second.line(/ready/);
  const latest = (): readonly number[] =>
    rig
      .all('storage.users')
      .at(-1)
      ?.attrs.holders.map(({ pid }) => pid) ?? [];
  // As `why` does.
  await until(() => rig.probe.pass(true) && latest().includes(second.pid), {
    timeoutMs: 2_000,
    what: 'who has opened it since the trouble began',
  });
  t.ok(latest().includes(holder.pid));
  // As after a removal: nothing under /sys says the number of that name.
  const { rdev } = statSync(device);
  const dev = `${rdev >> 8}:${rdev & 0xff}`;
  const removed = { dev, kind: 'disk', under: [], gone: true } as const;
  rig.probe.device('block:xctl-removed', removed);
  const its = of('block:xctl-removed');
  t.same(
    rig
      .all('storage.users', its)[0]
      ?.attrs.holders.map(({ pid }) => pid)
      .sort(),
    [holder.pid, second.pid].sort(),
  );
  rig.probe.device('block:xctl-removed-loop', { ...removed, kind: 'loop' });
  t.same(rig.all('storage.users', of('block:xctl-removed-loop')), []);
  rig.probe.device('block:xctl-removed', { dev, kind: 'disk', under: [] });
  const told = rig.all('storage.users', its).length;
  rig.probe.pass(true);
  t.equal(rig.all('storage.users', its).length, told, 'it is back: nothing to look for');
});

t.test(
  'a thread held in a path walk waits for the device that the walk has come to',
  { skip: NO_LOOP },
  async (t) => {
    const dir = await mounted(t);
    const at = join(dir, 'ext4');
    mkdirSync(at);
    const device = await mountExt4(t, join(dir, 'image'), at, { sizeMib: 16 });
    const rig = await startProbe(t, (c) => new WaitsProbe(c, new FlowTable(), new Devices(new Mounts())));
    t.teardown(() => run('fsfreeze', ['-u', at]).catch(() => undefined));
    await run('fsfreeze', ['-f', at]);
    const opener = await start(t, 'touch', [join(at, 'new')]);
    const wait = await until(
      () => {
        rig.probe.pass(true);
        // While it starts it may wait for where its own program comes from: in a guest that is the host.
        return rig.all('wait.disk', (e) => e.pid === opener.pid && e.entity.startsWith('block:'))[0];
      },
      { timeoutMs: 10_000, what: 'a disk wait', everyMs: 50 },
    );
    t.equal(wait.entity, `block:${basename(device)}`);
    t.equal(wait.attrs.syscall, 'openat');
    const seen = new SeenWaits('/proc');
    seen.saw(7, opener.pid, opener.pid, performance.now() - 5_000);
    seen.saw(8, process.pid, process.pid);
    t.ok((seen.heldMs(7) ?? 0) >= 5_000, 'it is still the same wait');
    t.equal(seen.heldMs(8), undefined, 'who runs is not held');
    await run('fsfreeze', ['-u', at]);
    t.equal((await opener.exited).code, 0);
    t.equal(seen.heldMs(7), undefined, 'it has ended');
  },
);

t.test('full: blocks of a tmpfs, and room again', async (t) => {
  const dir = await mounted(t);
  const at = await tmpfs(dir, 'size=4m');
  const rig = await probe(t);
  fill(at);
  const full = await rig.event('storage.space', (e) => e.entity === `fs:${at}` && e.value === 100, 15_000);
  t.equal(full.attrs.freeBytes, 0);
  t.equal(full.attrs.sizeBytes, 4 << 20);
  t.ok(await rig.event('storage.users', of(`fs:${at}`)));
  unlinkSync(join(at, 'filler'));
  const room = await rig.event('storage.space', (e) => e.entity === `fs:${at}` && e.value < 50, 15_000);
  t.ok(room.attrs.freeBytes > 0);
});

t.test('full: inodes', async (t) => {
  const dir = await mounted(t);
  const at = await tmpfs(dir, 'size=4m,nr_inodes=64');
  for (let i = 0; statfsSync(at).ffree > 0; i++) writeFileSync(join(at, String(i)), '');
  const rig = await probe(t);
  const full = await rig.event('storage.space', of(`fs:${at}`), 15_000);
  t.equal(full.value, 100);
  t.match(full.attrs, { inodes: 64, freeInodes: 0 });
});

t.test('full: another mount namespace', async (t) => {
  const dir = await mounted(t);
  mkdirSync(join(dir, 'in'));
  const at = join(dir, 'in');
  const script = `mount -t tmpfs -o size=1m inner ${at} && head -c 2m /dev/zero >${at}/x; echo ready; exec sleep 1000`;
  const inner = await start(t, 'sh', ['-c', script], {
    wrap: ['unshare', '--mount', '--propagation', 'private'],
  });
  await inner.line(/ready/);
  const rig = await probe(t);
  const mount = await rig.event('storage.mount', (e) => e.attrs.mountPoint === at);
  t.match(mount.entity, /@mnt:\d+$/);
  const full = await rig.event('storage.space', of(mount.entity), 15_000);
  t.equal(full.value, 100);
});

t.test('crossing levels, and hysteresis', async (t) => {
  const seen = [50, 89.9, 90, 94, 95.5, 94.5, 93.9, 89.5, 88.9, 99.2, 100, 99.5, 97.9, 10];
  let level = 0;
  const levels = seen.map((percent) => {
    level = levelOf(percent, level);
    return level;
  });
  t.same(levels, [0, 0, 90, 90, 95, 95, 90, 90, 0, 99, 100, 99, 95, 0]);
  const numbers = (blocks: bigint, bfree: bigint, bavail: bigint, files = 0n, ffree = 0n): StatfsNumbers => ({
    bsize: 4096n,
    blocks,
    bfree,
    bavail,
    files,
    ffree,
  });
  t.equal(spaceOf(numbers(0n, 0n, 0n)), undefined, 'without a size');
  t.equal(spaceOf(numbers(100n, 5n, 0n))?.percent, 100, 'what is kept for root is not there');
  t.equal(spaceOf(numbers(100n, 50n, 50n, 10n, 0n))?.percent, 100, 'inodes');
  t.equal(spaceOf(numbers(1_000_000n, 1n, 1n))?.percent, 99.99, 'full is when nothing is left');
});

const hundred = { bsize: 1n, blocks: 100n, bfree: 1n, bavail: 1n, files: 0n, ffree: 0n };

t.test(
  'a filesystem that does not answer is asked once, and holds up the others for two seconds',
  async (t) => {
    const told: [string, Space][] = [];
    const asked: string[] = [];
    const answers = new Map<string, (numbers: StatfsNumbers) => void>();
    const ask: AskSpace = (path) => {
      asked.push(path);
      if (path.endsWith('/ok')) return Promise.resolve(hundred);
      return new Promise((resolve) => answers.set(path, resolve));
    };
    let now = 0;
    const watch = new SpaceWatch(
      (fs, space) => told.push([fs.id, space]),
      (fs) => fs.path,
      ask,
      () => now,
    );
    const add = (name: string, dev: number): void =>
      watch.found({ ...FS, id: `fs:/${name}`, dev, path: `/${name}` });
    const tick = async (at: number): Promise<void> => {
      now = at;
      watch.tick();
      await new Promise((resolve) => setImmediate(resolve));
    };
    add('dead', 8 << 20);
    add('ok', 9 << 20);
    await tick(0);
    t.same(asked, ['/dead']);
    await tick(1_900);
    t.equal(asked.length, 1, 'one at a time');
    await tick(2_000);
    t.same(watch.hung, ['fs:/dead']);
    t.equal(asked[1], '/ok');
    t.equal(told.length, 1, 'the other one has told');
    for (const at of [10_000, 20_000, 30_000]) await tick(at);
    t.equal(asked.length, 5);
    t.equal(asked.filter((path) => path.endsWith('dead')).length, 1, 'never again while it has not answered');
    add('dead2', 10 << 20);
    await tick(100_000);
    t.notOk(watch.blind);
    await tick(103_000);
    t.same(watch.hung, ['fs:/dead', 'fs:/dead2']);
    t.ok(watch.blind, 'two hold two of the four threads: nothing more is asked');
    const before = asked.length;
    await tick(200_000);
    t.equal(asked.length, before);
    answers.get('/dead')?.(hundred);
    await tick(200_001);
    t.same(watch.hung, ['fs:/dead2']);
    t.equal(told.filter(([id]) => id === 'fs:/dead').length, 1, 'it is back');
  },
);

t.test(
  'one that a process wrote to which ended badly is asked at once, and told of however full it is',
  async (t) => {
    const told: string[] = [];
    const asked: string[] = [];
    let now = 0;
    const half = { ...hundred, bfree: 50n, bavail: 50n };
    const watch = new SpaceWatch(
      (fs, { percent }) => told.push(`${fs.id} ${percent}`),
      (fs) => fs.path,
      async (path) => {
        asked.push(path);
        return half;
      },
      () => now,
    );
    const settled = () => new Promise((resolve) => setImmediate(resolve));
    for (const n of [8, 9, 10]) watch.found({ ...FS, id: `fs:/${n}`, dev: n << 20, path: `/${n}` });
    watch.tick();
    await settled();
    t.same(told, [], 'half full is nothing to tell');
    now = 1_000;
    asked.length = 0;
    watch.hurry({ dev: 9 << 20 });
    await settled();
    t.same(told, ['fs:/9 50']);
    now = 1_050;
    for (let i = 0; i < 1_000; i++) watch.hurry({ dev: 9 << 20 });
    await settled();
    t.same(asked, ['/9'], 'not a thousand times');
    now = 2_000;
    watch.tick();
    await settled();
    t.same(told, ['fs:/9 50', 'fs:/9 50'], 'those that asked too soon are told a moment later');
    watch.hurry({ dev: 77 << 20 });
    t.equal(asked.length, 2, 'nobody knows it');
  },
);

t.test('one that does not answer is not asked again, whoever wants to know', async (t) => {
  const asked: string[] = [];
  let now = 0;
  const watch = new SpaceWatch(
    () => undefined,
    (fs) => fs.path,
    (path) => {
      asked.push(path);
      return new Promise(() => undefined);
    },
    () => now,
  );
  watch.found({ ...FS, path: '/dead' });
  for (now = 0; now < 60_000; now += 1_000) {
    watch.hurry(FS);
    watch.tick();
  }
  t.same(asked, ['/dead']);
});

t.test(
  'a question asks many at once, each at most once a second, and does not wait for a dead one',
  async (t) => {
    const asked: string[] = [];
    let now = 0;
    const half: StatfsNumbers = { bsize: 4096n, blocks: 100n, bfree: 50n, bavail: 50n, files: 0n, ffree: 0n };
    const watch = new SpaceWatch(
      () => undefined,
      (fs) => fs.path,
      (path) => {
        asked.push(path);
        return path === '/dead' ? new Promise(() => undefined) : Promise.resolve(half);
      },
      () => now,
    );
    const add = (name: string, dev: number): void =>
      watch.found({ ...FS, id: `fs:/${name}`, dev, path: `/${name}` });
    for (let n = 0; n < 100; n++) add(`${n}`, (8 + n) << 20);
    await watch.refresh();
    t.equal(asked.length, 64);
    await watch.refresh();
    t.equal(asked.length, 100, 'the rest; none of the others again');
    now = 1_000;
    await Promise.all([watch.refresh(), watch.refresh()]);
    t.equal(asked.length, 164, 'two questions at once are one');
    add('dead', 1 << 28);
    now = 2_000;
    let answered = false;
    const question = watch.refresh().then(() => {
      answered = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    t.notOk(answered);
    t.equal(asked.at(-1), '/dead');
    now = 4_000;
    watch.tick();
    await question;
    t.same(watch.hung, ['fs:/dead']);
    const last = watch.refresh();
    watch.stop();
    await last;
  },
);

t.test(
  'a process that ended badly says where it wrote to, and whether that is full is looked at',
  async (t) => {
    const dir = await mounted(t);
    const at = await tmpfs(dir, 'size=1m');
    const rig = await probe(t);
    await rig.event('storage.mount', of(`fs:${at}`), 5_000);
    writeFileSync(join(at, 'half'), Buffer.alloc(1 << 19));
    const [line] = parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8')).filter(
      (one) => one.mountPoint === at,
    );
    rig.probe.ended([devText(line?.dev ?? 0), 'nonsense', '999:1']);
    // Nobody else tells of one that is half full.
    const event = await rig.event('storage.space', of(`fs:${at}`), 5_000);
    t.equal(event.value, 50);
  },
);

t.test('network filesystems, what lies below them, and read-only ones are not asked', async (t) => {
  const asked: string[] = [];
  const ask: AskSpace = (path) => {
    asked.push(path);
    return Promise.resolve(hundred);
  };
  const watch = new SpaceWatch(
    () => undefined,
    (fs) => fs.path,
    ask,
  );
  const not: readonly Partial<Filesystem>[] = [
    { fsType: 'nfs4', dev: 45, remote: true },
    { fsType: 'fuse.sshfs', dev: 46, remote: true },
    { fsType: 'fuseblk', dev: 8 << 20, remote: true },
    { fsType: 'tmpfs', dev: 47, remote: true },
    { fsType: 'squashfs', dev: 7 << 20 },
    { fsType: 'ext4', dev: 9 << 20, readOnly: true },
    { fsType: 'overlay', dev: 48 },
    { fsType: 'proc', dev: 49 },
  ];
  for (const one of not) watch.found({ ...FS, ...one });
  watch.tick();
  t.same(asked, []);
  watch.found({ ...FS, dev: 50, fsType: 'tmpfs' });
  watch.tick();
  t.equal(asked.length, 1);
});

t.test('at rest it costs nearly nothing', async (t) => {
  const rig = await probe(t);
  for (let i = 0; i < 200; i++) rig.probe.pass(false);
  const { passes, spentMs } = rig.probe.stats;
  t.comment(`${((spentMs / passes) * 1000).toFixed(0)} us a pass`);
  t.ok(spentMs / passes < 3, `${spentMs / passes} ms a pass`);
  const before = rig.events.length;
  rig.probe.pass(false);
  t.equal(rig.events.length, before, 'and says nothing');
});
