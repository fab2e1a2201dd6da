/**
 * Probe `block` on real devices: who asked for a slow request, what fails, what is stuck, what comes and goes.
 * Slow and stuck disks are throttled loop devices on the machine and null_blk, dm and scsi_debug in guests.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import t from 'tap';
import type { EventOf } from '../../src/events/event.js';
import { blockId } from '../../src/events/ids.js';
import { BlockProbe } from '../../src/probes/block.js';
import { cgroupSkip, makeCgroup } from '../lib/cgroup.js';
import { type Disk, type StuckableDisk, sectorsOf } from '../lib/disks/disk.js';
import { dmDisk } from '../lib/disks/dm.js';
import { without } from '../lib/disks/features.js';
import { detachLoop, loopDisk } from '../lib/disks/loop.js';
import { mirror } from '../lib/disks/md.js';
import { nullDisk } from '../lib/disks/null-blk.js';
import { scsiDisk } from '../lib/disks/scsi.js';
import { throttledDisk } from '../lib/disks/throttle.js';
import { type Proc, start } from '../lib/proc.js';
import type { Scope } from '../lib/scope.js';
import { until } from '../lib/until.js';
import { type Rig, startProbe } from './lib/rig.js';

type BlockRig = Rig<BlockProbe>;

const run = promisify(execFile);

// Why there is no such device here, if so.
const NO_IO_V2 = cgroupSkip('blkio', 2);
const NO_THROTTLE = (await without('throttle')) ?? false;
const NO_LOOP = (await without('loop')) ?? false;
const NO_NULL_BLK = (await without('null_blk')) ?? false;
const NO_SCSI_DEBUG = (await without('scsi_debug')) ?? false;
const NO_LOOP_DM = (await without('loop', 'null_blk', 'dm')) ?? false;
const NO_LOOP_MD = (await without('loop', 'md')) ?? false;

const probe = (t: Scope, slowMs = 100): Promise<BlockRig> =>
  startProbe(t, (context) => new BlockProbe(context, { slowMs }));

const on = (disk: Disk) => (event: { readonly entity: string }) => event.entity === blockId(disk.name);

/** Reads blocks of 4 KiB past the cache. */
function reader(scope: Scope, disk: Disk, count: number, wrap: readonly string[] = []): Promise<Proc> {
  const words = [`if=${disk.path}`, 'of=/dev/null', 'bs=4k', `count=${count}`, 'iflag=direct'];
  return start(scope, 'dd', words, { wrap });
}

function writer(scope: Scope, disk: Disk, count: number, wrap: readonly string[] = []): Promise<Proc> {
  const words = ['if=/dev/zero', `of=${disk.path}`, 'bs=4k', `count=${count}`, 'oflag=direct'];
  return start(scope, 'dd', words, { wrap });
}

/** The latest event about the disk that passes. */
function use(rig: BlockRig, disk: Disk, pass: (event: EventOf<'storage.use'>) => boolean) {
  return until(() => rig.all('storage.use', on(disk)).findLast(pass), {
    timeoutMs: 15_000,
    what: `storage.use of ${disk.name}`,
  });
}

const NO_SLOW = NO_THROTTLE !== false && NO_SCSI_DEBUG;

/** A disk that is slow from `slow()` on for all that is started behind `wrap`: throttled here, scsi_debug in guests. */
async function slowDisk(scope: Scope): Promise<StuckableDisk & { slow(): void }> {
  if (NO_THROTTLE !== false) {
    const disk = await scsiDisk(scope);
    // What it was given at 20 s it gives back then.
    const stall = async (): Promise<void> => disk.delay(20_000);
    return { ...disk, wrap: [], slow: () => disk.delay(300), stall, release: async () => {} };
  }
  const disk = await throttledDisk(scope);
  // Programs are read from the disk that is throttled: started once before.
  await (await reader(scope, disk, 1, disk.wrap)).exited;
  return { ...disk, slow: () => disk.throttle(16 * 1024) };
}

/** Why requests in flight are not known one by one here (before 5.17), if so. */
function withoutQueues(rig: BlockRig): string | undefined {
  const { attached, reason } = rig.kernel.programs.find(({ slot }) => slot === 'inflight') ?? {};
  return attached === true ? undefined : `inflight is off: ${reason}`;
}

/** Requests in flight, as the kernel counts them. */
function inFlight({ name }: Disk): number {
  const [reads = 0, writes = 0] = readFileSync(`/sys/block/${name}/inflight`, 'utf8')
    .trim()
    .split(/ +/)
    .map(Number);
  return reads + writes;
}

t.test('slow requests belong to who asked for them, several at once', { skip: NO_SLOW }, async (t) => {
  const disk = await slowDisk(t);
  const rig = await probe(t);
  disk.slow();
  const readers = [await reader(t, disk, 4, disk.wrap), await reader(t, disk, 4, disk.wrap)];
  const write = await writer(t, disk, 4, disk.wrap);
  for (const { pid } of [...readers, write]) {
    const slow = await rig.event('storage.latency', (e) => on(disk)(e) && e.pid === pid);
    t.equal(slow.attrs.op, pid === write.pid ? 'write' : 'read');
    t.equal(slow.attrs.submitter.comm, 'dd');
    t.equal(slow.attrs.submitter.pid, pid);
    t.ok((slow.attrs.submitter.start ?? 0) > 0);
    if (disk.wrap.length > 0) t.match(slow.attrs.submitter.cgroup, /xctl-/);
    t.equal(slow.attrs.submitter.writeback, undefined);
    t.equal(slow.attrs.sizeBytes, 4096);
    t.ok(slow.value >= 100);
  }
  const pids = new Set([...readers, write].map(({ pid }) => pid));
  t.ok(
    rig.all('storage.latency', on(disk)).every((e) => e.pid !== undefined && pids.has(e.pid)),
    'nobody else is accused',
  );
});

t.test(
  'buffered writeback belongs to a cgroup, never to the kernel thread that does it',
  { skip: NO_THROTTLE },
  async (t) => {
    const disk = await throttledDisk(t);
    const rig = await probe(t, 20);
    await (await reader(t, disk, 1, disk.wrap)).exited;
    disk.throttle(1024 * 1024);
    const dd = await start(t, 'dd', ['if=/dev/zero', `of=${disk.path}`, 'bs=1M', 'count=4', 'conv=nocreat'], {
      wrap: disk.wrap,
    });
    await dd.exited;
    const done = await start(t, 'sync', []);
    await done.exited;
    const whole = await use(rig, disk, (e) => e.attrs.writes.count > 0).catch(() => undefined);
    rig.probe.pass(true);
    const written = whole ?? (await use(rig, disk, (e) => e.attrs.writes.count > 0));
    t.ok(written.attrs.writes.sizeBytes > 0);
    for (const { attrs, pid } of rig.all('storage.latency', on(disk))) {
      const who = pid === undefined ? undefined : readComm(pid);
      t.notMatch(who ?? '', /^(kworker|loop)/, 'no kernel thread is accused');
      if (pid === undefined && attrs.op === 'write') t.equal(attrs.submitter.writeback, true);
    }
  },
);

t.test('what a file system writes back for a process', { skip: NO_NULL_BLK || NO_IO_V2 }, async (t) => {
  const disk = await nullDisk(t, { completionMs: 60, keeps: true });
  await run('mkfs.ext4', ['-q', '-O', '^has_journal', disk.path]);
  const dir = t.testdir({ mnt: {} });
  await run('mount', [disk.path, `${dir}/mnt`]);
  t.teardown(() => run('umount', [`${dir}/mnt`]));
  // Both controllers make pages belong to who dirtied them.
  await makeCgroup(t, 'memory', 'unused');
  const group = await makeCgroup(t, 'blkio', 'writer');
  const rig = await probe(t, 30);
  const dd = await start(t, 'dd', ['if=/dev/zero', `of=${dir}/mnt/file`, 'bs=1M', 'count=4'], {
    wrap: group.wrap,
  });
  await dd.exited;
  const sync = await start(t, 'sync', ['--file-system', `${dir}/mnt`]);
  const mine = (e: EventOf<'storage.latency'>): boolean =>
    on(disk)(e) && e.attrs.op === 'write' && e.attrs.submitter.cgroup?.endsWith(group.path.slice(1)) === true;
  const { attrs, pid } = await rig.event('storage.latency', mine, 30_000);
  t.equal(attrs.submitter.writeback, true);
  t.equal(pid, undefined, 'neither the flusher, nor who called sync, nor who dirtied the pages');
  t.equal(attrs.submitter.pid, undefined);
  await sync.exited;
});

function readComm(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return ''; // a process, and gone
  }
}

t.test('a disk that was stuck before the probe came, and gets on again', { skip: NO_SLOW }, async (t) => {
  const disk = await slowDisk(t);
  await disk.stall();
  const stuck = await reader(t, disk, 1, disk.wrap);
  await until(() => inFlight(disk) > 0, { timeoutMs: 5000, what: 'a request in flight' });
  const rig = await probe(t);
  const off = withoutQueues(rig);
  const seen = await use(
    rig,
    disk,
    (e) => e.attrs.stalledMs >= 1000 && (off !== undefined || e.attrs.oldest.length > 0),
  );
  t.equal(seen.attrs.inFlight, 1);
  if (off !== undefined) {
    t.match(off, /bpf_loop/, 'what is missing has a name');
    return;
  }
  t.equal(seen.attrs.oldest[0]?.op, 'read');
  t.ok(seen.value >= seen.attrs.stalledMs, 'it is older than the probe');
  t.equal(seen.attrs.oldest[0]?.submitter.pid, undefined, 'asked before the probe came: of nobody known');
  if (disk.wrap.length > 0) t.match(seen.attrs.oldest[0]?.submitter.cgroup, /xctl-/);
  t.ok((seen.attrs.queueDepth ?? 0) > 0);

  const later = await reader(t, disk, 1, disk.wrap);
  const both = await use(rig, disk, (e) => e.attrs.oldest.length === 2);
  t.equal(both.attrs.oldest[1]?.submitter.pid, later.pid);
  t.ok((both.attrs.oldest[0]?.ageMs ?? 0) > (both.attrs.oldest[1]?.ageMs ?? 0), 'oldest first');

  await disk.release();
  await Promise.all([stuck.exited, later.exited]);
  const well = await use(rig, disk, (e) => e.ts > both.ts && e.attrs.inFlight === 0);
  t.equal(well.value, 0, 'an event says that it is well');
  t.equal(well.attrs.stalledMs, 0);
  t.same(well.attrs.oldest, []);
});

t.test('latencies: p50 and p99 of what completed, on a full pass', { skip: NO_LOOP }, async (t) => {
  const disk = await loopDisk(t);
  const rig = await probe(t);
  t.match(rig.probe.checks()[0]?.detail, /submit by .*, complete by /);
  await (await reader(t, disk, 200)).exited;
  rig.probe.pass(true);
  const { attrs } = await use(rig, disk, (e) => e.attrs.reads.count >= 200);
  t.ok(attrs.reads.sizeBytes >= 200 * 4096);
  t.ok((attrs.reads.p50Ms ?? 0) > 0);
  t.ok((attrs.reads.p99Ms ?? 0) >= (attrs.reads.p50Ms ?? 0));
  t.ok((attrs.reads.p99Ms ?? 0) < 1000);
  t.equal(attrs.writes.p99Ms, undefined, 'nothing was written');
  t.equal(attrs.writes.count, 0);
});

t.test(
  'devices: partitions, and a loop device on its filesystem; they come and go',
  { skip: NO_LOOP },
  async (t) => {
    const rig = await probe(t);
    const disk = await loopDisk(t, { partitions: 2 });
    const part = (n: number) => (e: { readonly entity: string }) => e.entity === blockId(`${disk.name}p${n}`);
    for (const n of [1, 2]) {
      const { attrs, value } = await rig.event('storage.device', part(n));
      t.equal(attrs.kind, 'partition');
      t.same(attrs.under, [blockId(disk.name)]);
      t.ok(value > 0);
    }
    const whole = await rig.event('storage.device', (e) => on(disk)(e) && e.value > 0);
    t.equal(whole.attrs.kind, 'loop');
    t.equal(whole.attrs.dev, disk.dev);
    t.match(whole.attrs.under[0], /^fs:\//);
    await detachLoop(disk.path);
    await rig.event('storage.device', (e) => part(1)(e) && e.attrs.gone === true);
  },
);

t.test('the oldest request is as old as null_blk makes it, within 10 %', { skip: NO_NULL_BLK }, async (t) => {
  const completionMs = 4000;
  const disk = await nullDisk(t, { completionMs });
  const rig = await probe(t);
  const dd = await reader(t, disk, 2);
  const slow = await rig.event('storage.latency', on(disk), 20_000);
  t.equal(slow.pid, dd.pid);
  t.ok(Math.abs(slow.value - completionMs) <= completionMs / 10, `took ${slow.value} ms`);
  // Looked at as late as can be.
  let oldestMs = 0;
  while (dd.running) {
    rig.probe.pass(true);
    const latest = rig.all('storage.use', on(disk)).at(-1);
    oldestMs = Math.max(oldestMs, latest?.value ?? 0);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const off = withoutQueues(rig);
  if (off === undefined)
    t.ok(Math.abs(oldestMs - completionMs) <= completionMs / 10, `oldest ${oldestMs} ms`);
  else t.match(off, /bpf_loop/, 'what is missing has a name');
  const { attrs } = await use(rig, disk, (e) => e.attrs.reads.p99Ms !== undefined);
  t.ok(Math.abs((attrs.reads.p99Ms ?? 0) - completionMs) <= completionMs / 4, 'p99 is right to a slot');
});

t.test('a medium error names the disk, the sector and who read it', { skip: NO_SCSI_DEBUG }, async (t) => {
  const disk = await scsiDisk(t);
  const rig = await probe(t);
  const dd = await start(t, 'dd', [
    ...[`if=${disk.path}`, 'of=/dev/null', 'bs=4k', 'count=1', 'iflag=direct'],
    `skip=${Math.floor(disk.badSector / 8)}`,
  ]);
  const error = await rig.event('storage.error', on(disk));
  t.equal(error.attrs.status, 'MEDIUM');
  t.equal(error.pid, dd.pid);
  t.ok(Math.abs(error.attrs.sector - disk.badSector) < 8, `sector ${error.attrs.sector}`);
  t.not((await dd.exited).code, 0);
});

t.test('a disk that is pulled out while it has requests', { skip: NO_SCSI_DEBUG }, async (t) => {
  const disk = await scsiDisk(t);
  const rig = await probe(t);
  disk.delay(3000);
  const dd = await reader(t, disk, 1);
  await until(() => inFlight(disk) > 0, { timeoutMs: 10_000, what: 'a request in flight' });
  disk.unplug();
  await rig.event('storage.device', (e) => on(disk)(e) && e.attrs.gone === true, 20_000);
  await dd.exited;
  t.ok(rig.probe.pass(true), 'the probe goes on');
  t.ok(rig.probe.checks().every(({ status }) => status !== 'failed'));
});

t.test(
  'device mapper: what is underneath, requests that do not come back, another table, suspended, removed by force',
  { skip: NO_LOOP_DM },
  async (t) => {
    const below = await nullDisk(t, { completionMs: 4000, sizeMiB: 16 });
    const rig = await probe(t);
    const dm = await dmDisk(t, '0 {size} linear {on} 0', below);
    const device = await rig.event('storage.device', on(dm));
    t.equal(device.attrs.kind, 'dm');
    t.same(device.attrs.under, [blockId(below.name)]);

    const stuck = await reader(t, dm, 1);
    const seen = await use(rig, dm, (e) => e.attrs.stalledMs >= 1000);
    t.ok(seen.attrs.inFlight >= 1);
    t.same(seen.attrs.oldest, [], 'it has no requests of its own');
    t.equal(seen.attrs.reads.p99Ms, undefined);
    const cause = await use(rig, below, (e) => e.attrs.stalledMs >= 1000);
    if (withoutQueues(rig) === undefined)
      t.equal(cause.attrs.oldest[0]?.submitter.pid, stuck.pid, 'its request is with the disk underneath');
    t.equal((await stuck.exited).code, 0);
    await use(rig, dm, (e) => e.ts > seen.ts && e.attrs.stalledMs === 0);

    const other = await loopDisk(t);
    await dm.reload(`0 ${sectorsOf(below)} linear ${other.path} 0`);
    await rig.event(
      'storage.device',
      (e) => on(dm)(e) && e.attrs.under.includes(blockId(other.name)),
      20_000,
    );

    await dm.stall();
    await rig.event('storage.device', (e) => on(dm)(e) && e.attrs.suspended === true, 20_000);
    await dm.release();
    await until(() => rig.all('storage.device', on(dm)).at(-1)?.attrs.suspended === undefined, {
      timeoutMs: 20_000,
      what: 'the device to be resumed',
    });

    await dm.removeByForce();
    await rig.event('storage.device', (e) => on(dm)(e) && e.attrs.gone === true, 20_000);
  },
);

t.test('a mirror over two disks, one of which fails', { skip: NO_LOOP_MD }, async (t) => {
  const [a, b] = [await loopDisk(t), await loopDisk(t)];
  const md = await mirror(t, [a, b]);
  const rig = await probe(t);
  const whole = await rig.event('storage.device', on(md));
  t.equal(whole.attrs.kind, 'md');
  t.same(whole.attrs.under, [blockId(a.name), blockId(b.name)].sort());
  t.equal(whole.attrs.failedMembers, undefined);
  await md.fail(b);
  await rig.event('storage.device', (e) => on(md)(e) && e.attrs.failedMembers === 1, 20_000);
});
