/** Who has files open on devices, from the iterator `users` of bpf/files.bpf.c. */
import type { Holder } from '../events/event.js';
import { XctlFileUserLayout, XctlHdrLayout } from '../kernel/abi.generated.js';
import { readComm } from '../kernel/abi-read.js';
import type { LoadedObject } from '../kernel/program.js';
import { devsOfBlock } from './filesystem-under.js';
import type { Filesystem, Mounts } from './mounts.js';
import { forEachRecord, u64 } from './records.js';

const FMODE_READ = 1;
const FMODE_WRITE = 2;
/** Holders told of at most; the number is that of all. */
const MAX_HOLDERS = 256;
const MAX_DEVS = 1_000;

const U = XctlFileUserLayout;

export interface Users {
  readonly holders: readonly Holder[];
  readonly count: number;
}

export class FileUsers {
  readonly #object: LoadedObject;
  readonly #mounts: Mounts;
  #generation = 0n;

  constructor(object: LoadedObject, mounts: Mounts) {
    this.#object = object;
    this.#mounts = mounts;
  }

  /**
   * undefined: nothing of that name is known, or this kernel cannot tell.
   * @param removed the number of a device that sysfs does not know any more
   */
  of(entity: string, removed?: number): Users | undefined {
    const iterator = this.#object.iterator('users');
    const devs = this.#devs(entity);
    if (removed !== undefined) devs.add(removed);
    if (iterator === undefined || devs.size === 0) return undefined;
    this.#want(devs);
    return merge(iterator.read().bytes);
  }

  /** Every device number under which a file of it may be open. */
  #devs(entity: string): Set<number> {
    const found = new Set<number>();
    const all = this.#mounts.all();
    const add = (fs: Filesystem): void => {
      if (found.has(fs.dev)) return;
      found.add(fs.dev);
      // What is open on an overlay is a file of the overlay, and what it writes is here.
      for (const above of all) if (above.under.includes(fs.id)) add(above);
    };
    const fs = this.#mounts.byId(entity);
    if (fs !== undefined) add(fs);
    if (entity.startsWith('block:')) {
      const names = new Set([entity]);
      for (const dev of devsOfBlock(entity.slice('block:'.length), this.#mounts.sysDir)) {
        const mounted = all.find((one) => one.dev === dev);
        if (mounted !== undefined) add(mounted);
        found.add(dev);
      }
      // btrfs numbers itself: only its list of devices names them.
      for (const one of all) if (one.under.some((under) => names.has(under))) add(one);
    }
    return found;
  }

  #want(devs: ReadonlySet<number>): void {
    const map = this.#object.map('xctl_wanted_devs');
    const key = Buffer.alloc(4);
    const value = Buffer.alloc(8);
    for (const old of map.keys()) map.delete(old);
    value.writeBigUInt64LE(++this.#generation);
    for (const dev of [...devs].slice(0, MAX_DEVS)) {
      key.writeUInt32LE(dev);
      map.update(key, value);
    }
  }
}

/** One holder a process, with the sum of the modes of its files. */
function merge(bytes: Buffer): Users {
  const found = new Map<number, { readonly holder: Omit<Holder, 'mode'>; mode: number }>();
  forEachRecord(bytes, (view, at) => {
    const pid = view.getUint32(at + XctlHdrLayout.pid, true);
    const mode = view.getUint32(at + U.mode, true);
    const known = found.get(pid);
    if (known !== undefined) {
      known.mode |= mode;
      return;
    }
    const holder = {
      pid,
      start: u64(view, at + U.startNs),
      comm: readComm(view, at + U.comm),
      fd: view.getInt32(at + U.fd, true),
    };
    found.set(pid, { holder, mode });
  });
  const all = [...found.values()].map(({ holder, mode }) => ({ ...holder, mode: modeText(mode) }));
  // Writers first: they are hit when nothing can be written any more.
  all.sort((a, b) => Number(b.mode !== 'r') - Number(a.mode !== 'r') || a.pid - b.pid);
  return { holders: all.slice(0, MAX_HOLDERS), count: all.length };
}

function modeText(mode: number): Holder['mode'] {
  if ((mode & FMODE_WRITE) === 0) return 'r';
  return (mode & FMODE_READ) === 0 ? 'w' : 'rw';
}
