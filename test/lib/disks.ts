/**
 * Block devices for tests, and what goes wrong with them: slow, stuck, failing, gone.
 *
 * What there is depends on the kernel. Loop devices are everywhere; a machine with version 1 of the blkio
 * controller can make one slow or stuck (`throttledDisk`); Debian's kernels in guests have null_blk, device
 * mapper, md and scsi_debug as modules. `without(...)` says which of it is missing here, for `t.skip`.
 *
 * All names start with OWN_PREFIX or lie in a directory that does (see owner.ts): whoever makes a disk first
 * removes what a killed test left behind.
 */
import { execFile } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { isOrphan, OWN_PREFIX } from './owner.js';
import type { Scope } from './scope.js';
import { until } from './until.js';

const run = promisify(execFile);

const MIB = 1024 * 1024;
const BLKIO = '/sys/fs/cgroup/blkio';
const NULLB = '/sys/kernel/config/nullb';

let made = 0;
const nextName = (): string => `${OWN_PREFIX}${made++}`;

export interface Disk {
  /** Name in /sys/block: `loop0`. */
  readonly name: string;
  /** Device file. */
  readonly path: string;
  /** `7:0` */
  readonly dev: string;
}

export interface StuckableDisk extends Disk {
  /** Put before a command (`StartOptions.wrap`) whose requests are to feel it. */
  readonly wrap: readonly string[];
  /**
   * Requests get nowhere from now on. Those of a mapped device wait before it counts them: their threads
   * are stuck, while its own counters say that it has nothing to do.
   */
  stall(): Promise<void>;
  /** They do again. */
  release(): Promise<void>;
}

export type Feature =
  | 'loop'
  | 'throttle'
  | 'null_blk'
  | 'dm'
  | 'dm-delay'
  | 'dm-flakey'
  | 'md'
  | 'scsi_debug';

const MODULES: Readonly<Record<Exclude<Feature, 'throttle'>, string>> = {
  loop: 'loop',
  null_blk: 'null_blk',
  dm: 'dm_mod',
  'dm-delay': 'dm_delay',
  'dm-flakey': 'dm_flakey',
  md: 'raid1',
  scsi_debug: 'scsi_debug',
};

/** Why one of these cannot be had here, to skip by; undefined when all can. Loads modules. */
export async function without(...features: readonly Feature[]): Promise<string | undefined> {
  for (const feature of features) {
    const reason = feature === 'throttle' ? withoutThrottle() : await withoutModule(feature);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

async function withoutModule(feature: Exclude<Feature, 'throttle'>): Promise<string | undefined> {
  const module = MODULES[feature];
  if (feature === 'loop' && existsSync('/dev/loop-control')) return undefined;
  // scsi_debug makes a device as soon as it is loaded: that is for `scsiDisk` to do.
  const words = feature === 'scsi_debug' ? ['--dry-run', module] : [module];
  if (feature === 'null_blk') words.push('nr_devices=0');
  if (feature === 'loop') words.push('max_part=8');
  try {
    await run('modprobe', words);
  } catch {
    return `no module ${module} for this kernel`;
  }
  if (feature === 'null_blk')
    await run('mount', ['-t', 'configfs', 'none', '/sys/kernel/config']).catch(() => undefined);
  return undefined;
}

function withoutThrottle(): string | undefined {
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

/** `7:0` of a name in /sys/class/block. */
function devOf(name: string): string {
  return readFileSync(`/sys/class/block/${name}/dev`, 'utf8').trim();
}

function disk(name: string, path = `/dev/${name}`): Disk {
  return { name, path, dev: devOf(name) };
}

// ---- loop ------------------------------------------------------------------

export interface LoopOptions {
  readonly sizeMiB?: number;
  /** Past the page cache of the file below: only then a throttled file makes a slow device. */
  readonly directIo?: boolean;
  /** Where the file is made; the temporary directory unless said. */
  readonly dir?: string;
  /** Number of equal partitions. */
  readonly partitions?: number;
}

/** A loop device over a file of random bytes. */
export async function loopDisk(scope: Scope, options: LoopOptions = {}): Promise<Disk> {
  const { sizeMiB = 16, directIo = false, dir = tmpdir(), partitions = 0 } = options;
  await sweepDisks();
  const home = mkdtempSync(join(dir, OWN_PREFIX));
  scope.teardown(() => rmSync(home, { recursive: true, force: true }));
  const file = join(home, 'disk');
  writeRandom(file, sizeMiB);
  const words = ['--find', '--show', ...(directIo ? ['--direct-io=on'] : [])];
  // Without it the driver allows none.
  if (partitions > 0) words.push('--partscan');
  const { stdout } = await run('losetup', [...words, file]);
  const path = stdout.trim();
  scope.teardown(() => detachLoop(path));
  const name = basename(path);
  await appeared(path);
  const each = Math.floor((sizeMiB * MIB) / 512 / partitions);
  for (let i = 0; i < partitions; i++) {
    // By hand and not by a table: a kernel may know no kind of table.
    await run('addpart', [path, String(i + 1), String(i * each), String(each)]);
    await appeared(`${path}p${i + 1}`);
  }
  return disk(name);
}

function writeRandom(file: string, sizeMiB: number): void {
  const fd = openSync(file, 'w', 0o600);
  try {
    ftruncateSync(fd, sizeMiB * MIB);
    const chunk = randomFillSync(Buffer.alloc(MIB));
    for (let i = 0; i < sizeMiB; i++) writeSync(fd, chunk);
    // Unwritten, it would be in memory only, and reads past the cache would wait for it.
    fdatasyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Detaches; a device that is still open goes with its last user. */
export async function detachLoop(path: string): Promise<void> {
  await run('losetup', ['--detach', path]).catch(() => undefined);
}

// ---- slow and stuck, on a machine with blkio v1 ------------------------------

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

// ---- null_blk ----------------------------------------------------------------

export interface NullOptions {
  /** Each request takes this long. */
  readonly completionMs: number;
  readonly queueDepth?: number;
  readonly sizeMiB?: number;
  /** What is written can be read again. */
  readonly keeps?: boolean;
}

/** A device whose requests take a given time, and that keeps nothing unless asked to. Needs `null_blk`. */
export async function nullDisk(scope: Scope, options: NullOptions): Promise<Disk> {
  await sweepDisks();
  const before = new Set(readdirSync('/sys/block'));
  const dir = join(NULLB, nextName());
  mkdirSync(dir);
  scope.teardown(() => removeNull(dir));
  const set = (file: string, value: number): void => writeFileSync(join(dir, file), String(value));
  set('size', options.sizeMiB ?? 256);
  set('irqmode', 2);
  set('completion_nsec', Math.round(options.completionMs * 1e6));
  set('hw_queue_depth', options.queueDepth ?? 64);
  set('submit_queues', 1);
  if (options.keeps === true) set('memory_backed', 1);
  set('power', 1);
  const name = readdirSync('/sys/block').find((one) => !before.has(one) && /null|xctl/.test(one));
  if (name === undefined) throw new Error('null_blk made no device');
  await appeared(`/dev/${name}`);
  return disk(name);
}

function removeNull(dir: string): void {
  if (!existsSync(dir)) return;
  writeFileSync(join(dir, 'power'), '0');
  rmdirSync(dir);
}

// ---- device mapper -----------------------------------------------------------

export interface DmDisk extends StuckableDisk {
  /** Another table in place of this one. */
  reload(table: string): Promise<void>;
  /** Takes it away from under its users; what they have outstanding fails. */
  removeByForce(): Promise<void>;
}

/**
 * A device by its table; `{on}` in it becomes a device's path, `{size}` its sectors:
 * `0 {size} linear {on} 0`, `0 {size} delay {on} 0 5000` (ms; not counted as in flight since 5.19), `0 {size} error`,
 * `0 {size} flakey {on} 0 0 60 1 error_reads`. Needs `dm`, and the target's own module.
 */
export async function dmDisk(scope: Scope, table: string, on?: Disk): Promise<DmDisk> {
  await sweepDisks();
  const name = nextName();
  const full = (text: string): string =>
    text
      .replaceAll('{on}', on?.path ?? '')
      .replaceAll('{size}', String(on === undefined ? 0 : sectorsOf(on)));
  await run('dmsetup', ['create', name, '--noudevsync', '--table', full(table)]);
  scope.teardown(() => removeDm(name));
  const { stdout } = await run('dmsetup', ['info', '-c', '--noheadings', '-o', 'major,minor', name]);
  const [major, minor] = stdout.trim().split(':');
  const kernelName = basename(readlinkSync(`/sys/dev/block/${major}:${minor}`));
  // Without udev in a guest the node in /dev/mapper is dmsetup's; the one in /dev is the kernel's.
  const path = `/dev/${kernelName}`;
  await appeared(path);
  const suspend = async (): Promise<void> => {
    await run('dmsetup', ['suspend', '--noflush', '--nolockfs', '--noudevsync', name]);
  };
  const resume = async (): Promise<void> => {
    await run('dmsetup', ['resume', '--noudevsync', name]);
  };
  return {
    ...disk(kernelName, path),
    wrap: [],
    stall: suspend,
    release: resume,
    reload: async (next) => {
      await run('dmsetup', ['load', name, '--table', full(next)]);
      await suspend();
      await resume();
    },
    removeByForce: async () => {
      await run('dmsetup', ['remove', '--force', '--noudevsync', name]).catch(() => undefined);
    },
  };
}

export function sectorsOf({ name }: Disk): number {
  return Number(readFileSync(`/sys/class/block/${name}/size`, 'utf8'));
}

async function removeDm(name: string): Promise<void> {
  // A suspended device cannot be removed, and one that is held can only be made to fail.
  await run('dmsetup', ['resume', '--noudevsync', name]).catch(() => undefined);
  await run('dmsetup', ['remove', '--noudevsync', '--retry', name]).catch(async () => {
    await run('dmsetup', ['remove', '--force', '--noudevsync', name]).catch(() => undefined);
  });
}

// ---- scsi_debug --------------------------------------------------------------

export interface ScsiDisk extends Disk {
  /** Sector whose read fails with a medium error, when asked for by `opts=2`. */
  readonly badSector: number;
  /** How long requests take from now on; to be set while there are none. */
  delay(ms: number): void;
  /** As if it were pulled out. */
  unplug(): void;
}

/** The one scsi_debug disk, with `opts=2`: reads of sector 0x1234 fail with a medium error. Needs `scsi_debug`. */
export async function scsiDisk(
  scope: Scope,
  parameters: Readonly<Record<string, string | number>> = {},
): Promise<ScsiDisk> {
  await sweepDisks();
  await run('modprobe', ['-r', 'scsi_debug']).catch(() => undefined);
  // Nobody loads drivers on demand in a guest.
  await run('modprobe', ['sd_mod']);
  const words = Object.entries({ dev_size_mb: 32, opts: 2, ndelay: 20_000, ...parameters });
  await run('modprobe', ['scsi_debug', ...words.map(([key, value]) => `${key}=${value}`)]);
  scope.teardown(() => run('modprobe', ['-r', 'scsi_debug']).catch(() => undefined));
  const name = await until(scsiName, { timeoutMs: 10_000, what: 'the disk of scsi_debug' });
  await appeared(`/dev/${name}`);
  return {
    ...disk(name),
    badSector: 0x1234,
    delay: (ms) => {
      // Nanoseconds must be less than a second; jiffies, 250 of them in Debian's kernels, may be any number.
      const [file, value] = ms < 1_000 ? ['ndelay', ms * 1e6] : ['delay', ms / 4];
      writeFileSync(`/sys/bus/pseudo/drivers/scsi_debug/${file}`, String(Math.round(value)));
    },
    unplug: () => writeFileSync(`/sys/block/${name}/device/delete`, '1'),
  };
}

function scsiName(): string | undefined {
  return readdirSync('/sys/block').find((name) => {
    const model = `/sys/block/${name}/device/model`;
    return existsSync(model) && readFileSync(model, 'utf8').trim() === 'scsi_debug';
  });
}

// ---- md ----------------------------------------------------------------------

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

// ---- clean-up ----------------------------------------------------------------

async function appeared(path: string): Promise<void> {
  await until(() => existsSync(path), { timeoutMs: 10_000, what: path });
}

/** Removes what dead creators left: mapped devices first, then what is below them. */
export async function sweepDisks(): Promise<void> {
  await sweepDm();
  for (const name of list(NULLB)) {
    if (isOrphan(name)) removeNull(join(NULLB, name));
  }
  for (const name of list('/sys/block')) {
    const backing = join('/sys/block', name, 'loop/backing_file');
    if (!existsSync(backing)) continue;
    const file = readFileSync(backing, 'utf8')
      .trim()
      .replace(/ \(deleted\)$/, '');
    if (!isOrphan(basename(dirname(file)))) continue;
    await detachLoop(`/dev/${name}`);
    removeHome(file);
  }
  for (const name of list(BLKIO)) {
    if (isOrphan(name)) removeGroup(join(BLKIO, name));
  }
}

/** Not what else lies in the directory: others may have mounted something there. */
function removeHome(file: string): void {
  try {
    rmSync(file, { force: true });
    rmdirSync(dirname(file));
  } catch {
    // Another sweep was faster, or it is not empty: then it is somebody else's.
  }
}

async function sweepDm(): Promise<void> {
  if (!existsSync('/dev/mapper/control')) return;
  const { stdout } = await run('dmsetup', ['ls']).catch(() => ({ stdout: '' }));
  for (const line of stdout.split('\n')) {
    const [name = ''] = line.split('\t');
    if (isOrphan(name)) await removeDm(name);
  }
}

function list(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return []; // not there: nothing of it was made
  }
}
