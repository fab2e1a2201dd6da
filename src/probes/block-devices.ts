/**
 * What a block device is and what it lies on, from /sys/class/block. Only files that the kernel answers from
 * memory are read: no device is opened or asked, since it may be dead.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { blockId, fsId } from '../events/ids.js';
import type { BlockDeviceAttrs, BlockKind } from '../events/storage.js';
import { printable } from '../util/text.js';

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
    const attrs: BlockDeviceAttrs = {
      dev,
      kind,
      under: disk === undefined ? this.#under(dir, kind) : [blockId(disk)],
      ...(model !== undefined && model !== '' && { model: printable(model, MODEL_CHARS) }),
      ...(degraded > 0 && { failedMembers: degraded }),
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
      const mount = file === undefined ? undefined : this.#mountOf(file);
      return mount === undefined ? [] : [fsId(mount)];
    }
    return list(`${dir}/slaves`).slice(0, MAX_UNDER).map(blockId).sort();
  }

  /** The mount that holds a path, by name alone: the path itself may be on something that hangs. */
  #mountOf(path: string): string | undefined {
    let best: string | undefined;
    for (const line of (read(`${this.#procDir}/self/mountinfo`) ?? '').split('\n')) {
      const point = unescaped(line.split(' ')[4] ?? '');
      if (point === '' || (best !== undefined && point.length < best.length)) continue;
      // The last mount on a path hides those before it.
      if (path === point || path.startsWith(point === '/' ? '/' : `${point}/`)) best = point;
    }
    return best;
  }
}

function kindOf(dir: string, name: string): BlockKind {
  if (existsSync(`${dir}/partition`)) return 'partition';
  if (existsSync(`${dir}/dm`)) return 'dm';
  if (existsSync(`${dir}/md`)) return 'md';
  if (existsSync(`${dir}/loop`) || /^loop\d+$/.test(name)) return 'loop';
  return existsSync(`${dir}/device`) || existsSync(`${dir}/mq`) ? 'disk' : 'other';
}

/** A partition's directory lies in its disk's. */
function diskOf(dir: string): string | undefined {
  try {
    return basename(dirname(readlinkSync(dir)));
  } catch {
    return undefined; // gone meanwhile
  }
}

/** As the kernel writes blanks in mountinfo: `\040`. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
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
