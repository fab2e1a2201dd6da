/** Device numbers as node ids: block devices by /sys, mounts of anonymous devices (NFS, overlay) by mountinfo. */
import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { blockId } from '../events/ids.js';

/** Kernel dev_t: major << 20 | minor. */
export function majorOf(dev: number): number {
  return dev >>> 20;
}

export function minorOf(dev: number): number {
  return dev & 0xfffff;
}

/** Caches names: a device number is looked up once. */
export class Devices {
  readonly #procDir: string;
  readonly #sysDir: string;
  readonly #names = new Map<number, string>();

  constructor(procDir = '/proc', sysDir = '/sys') {
    this.#procDir = procDir;
    this.#sysDir = sysDir;
  }

  /** `block:nvme0n1`, `fs:/data` or, when neither knows it, `dev:8:1`. */
  nodeOf(dev: number): string {
    const known = this.#names.get(dev);
    if (known !== undefined) return known;
    const name = this.#block(dev) ?? this.#mount(dev);
    // A mount may come later under the same number: only what was found is kept.
    if (name !== undefined) this.#names.set(dev, name);
    return name ?? `dev:${majorOf(dev)}:${minorOf(dev)}`;
  }

  #block(dev: number): string | undefined {
    if (majorOf(dev) === 0) return undefined;
    try {
      return blockId(basename(readlinkSync(`${this.#sysDir}/dev/block/${majorOf(dev)}:${minorOf(dev)}`)));
    } catch {
      return undefined; // not a block device: the caller has a name for that
    }
  }

  #mount(dev: number): string | undefined {
    let text: string;
    try {
      text = readFileSync(`${this.#procDir}/self/mountinfo`, 'utf8');
    } catch {
      return undefined; // no /proc: the number has to do
    }
    const wanted = `${majorOf(dev)}:${minorOf(dev)}`;
    for (const line of text.split('\n')) {
      const fields = line.split(' ');
      if (fields[2] === wanted && fields[4] !== undefined) return `fs:${fields[4]}`;
    }
    return undefined;
  }
}
