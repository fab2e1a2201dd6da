/**
 * What a block device is and what it lies on, from /sys/class/block. Only files that the kernel answers from
 * memory are read: no device is opened or asked, since it may be dead.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { blockId, fsId } from '../events/ids.js';
import type { BlockDeviceAttrs, BlockKind } from '../events/storage.js';
import { printable } from '../util/text.js';
import { mountHolding, parseMountinfo } from './mountinfo.js';

export interface BlockDevice {
  readonly attrs: BlockDeviceAttrs;
  readonly sizeBytes: number;
  /** The disk that a partition is of. */
  readonly disk?: string;
  /** It has requests; else it hands bios on (dm, md, brd, nvme multipath). */
  readonly requests: boolean;
}

const SECTOR_BYTES = 512;
const MODEL_CHARS = 64;
const MAX_UNDER = 256;

export class BlockDevices {
  readonly #sysDir: string;
  readonly #procDir: string;

  constructor(sysDir = '/sys', procDir = '/proc') {
    this.#sysDir = sysDir;
    this.#procDir = procDir;
  }

  /** Directory of a whole disk; a file in it names the disk to the kernel (bpf/block/inflight.bpf.h). */
  pathOf(name: string): string {
    return `${this.#sysDir}/class/block/${name}`;
  }

  /** @returns undefined when it is not there (any more). */
  describe(name: string): BlockDevice | undefined {
    const dir = this.pathOf(name);
    const dev = read(`${dir}/dev`);
    if (dev === undefined) return undefined;
    const kind = kindOf(dir, name);
    const disk = kind === 'partition' ? diskOf(dir) : undefined;
    const model = read(`${dir}/device/model`);
    const degraded = kind === 'md' ? Number(read(`${dir}/md/degraded`) ?? 0) : 0;
    const mayLose = mayLoseOf(dir, kind, degraded);
    // Since 5.15.
    const diskSeq = read(`${dir}/diskseq`);
    const attrs: BlockDeviceAttrs = {
      dev,
      kind,
      under: disk === undefined ? this.#under(dir, kind) : [blockId(disk)],
      ...(model !== undefined && model !== '' && { model: printable(model, MODEL_CHARS) }),
      ...(degraded > 0 && { failedMembers: degraded }),
      ...(mayLose !== undefined && { mayLose }),
      ...(diskSeq !== undefined && { diskSeq: Number(diskSeq) }),
      ...(kind === 'dm' && read(`${dir}/dm/suspended`) === '1' && { suspended: true as const }),
    };
    return {
      attrs,
      sizeBytes: this.sizeBytes(name),
      ...(disk !== undefined && { disk }),
      requests: existsSync(`${dir}/mq`),
    };
  }

  /** 0 of a device that has nothing on it, or is not there. */
  sizeBytes(name: string): number {
    return Number(read(`${this.pathOf(name)}/size`) ?? 0) * SECTOR_BYTES;
  }

  #under(dir: string, kind: BlockKind): string[] {
    if (kind === 'loop') {
      const file = read(`${dir}/loop/backing_file`);
      if (file === undefined) return [];
      const mounts = parseMountinfo(read(`${this.#procDir}/self/mountinfo`) ?? '');
      const mount = mountHolding(mounts, file);
      return mount === undefined ? [] : [fsId(mount.mountPoint)];
    }
    return list(`${dir}/slaves`).slice(0, MAX_UNDER).map(blockId).sort();
  }
}

function kindOf(dir: string, name: string): BlockKind {
  if (existsSync(`${dir}/partition`)) return 'partition';
  if (existsSync(`${dir}/dm`)) return 'dm';
  if (existsSync(`${dir}/md`)) return 'md';
  if (existsSync(`${dir}/loop`) || /^loop\d+$/.test(name)) return 'loop';
  return existsSync(`${dir}/device`) || existsSync(`${dir}/mq`) ? 'disk' : 'other';
}

/** How many members more may fail; undefined where none may ever. Of level 10 the worst is assumed: two of a pair. */
function mayLoseOf(dir: string, kind: BlockKind, degraded: number): number | undefined {
  if (kind === 'dm')
    return read(`${dir}/dm/uuid`)?.startsWith('mpath-') === true
      ? Math.max(0, list(`${dir}/slaves`).length - 1)
      : undefined;
  if (kind !== 'md') return undefined;
  const level = read(`${dir}/md/level`);
  const whole =
    level === 'raid1'
      ? Number(read(`${dir}/md/raid_disks`)?.split(' ')[0] ?? 1) - 1
      : level === 'raid6'
        ? 2
        : level === 'raid4' || level === 'raid5' || level === 'raid10'
          ? 1
          : undefined;
  return whole === undefined || Number.isNaN(whole) ? undefined : Math.max(0, whole - degraded);
}

/** A partition's directory lies in its disk's. */
function diskOf(dir: string): string | undefined {
  try {
    return basename(dirname(readlinkSync(dir)));
  } catch {
    return undefined; // gone meanwhile
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined; // no such attribute, or the device went
  }
}

function list(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return []; // nothing is below it, or it went
  }
}
