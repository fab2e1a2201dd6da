/**
 * ext4 that has stopped writing without a trace in the mount table.
 *
 * Until 6.11 an error made the superblock read-only, which mountinfo shows; since 6.15 it shows `emergency_ro`. In
 * between (and in 6.1.176, which has the change) the filesystem only refuses to write. Then its count of
 * errors in sysfs is the fact: with `errors=remount-ro` it does not survive one.
 */
import { readFileSync } from 'node:fs';
import type { Filesystem } from './mounts.js';

/** Looked at in one pass at most; each costs some 20 us. */
const A_PASS = 8;

export class Ext4Errors {
  readonly #procDir: string;
  readonly #sysDir: string;
  /** By s_dev. */
  readonly #known = new Map<number, { fs: Filesystem; errors: number | undefined; stopped: boolean }>();
  #turn = 0;

  constructor(procDir = '/proc', sysDir = '/sys') {
    this.#procDir = procDir;
    this.#sysDir = sysDir;
  }

  found(fs: Filesystem): void {
    if (fs.fsType !== 'ext4' || fs.readOnly) {
      this.gone(fs);
      return;
    }
    const known = this.#known.get(fs.dev);
    if (known !== undefined) known.fs = fs;
    else this.#known.set(fs.dev, { fs, errors: this.#errors(fs), stopped: false });
  }

  gone(fs: Filesystem): void {
    this.#known.delete(fs.dev);
  }

  /** Those that have stopped since the last look. */
  look(): readonly Filesystem[] {
    const stopped: Filesystem[] = [];
    const all = [...this.#known.values()];
    for (let i = 0; i < Math.min(A_PASS, all.length); i++) {
      const one = all[this.#turn++ % all.length];
      if (one === undefined || one.stopped) continue;
      const errors = this.#errors(one.fs);
      const before = one.errors;
      one.errors = errors;
      if (errors === undefined || before === undefined || errors <= before) continue;
      if (!this.#stopsOnError(one.fs)) continue;
      one.stopped = true;
      stopped.push(one.fs);
    }
    return stopped;
  }

  #errors(fs: Filesystem): number | undefined {
    const text = this.#read(`${this.#sysDir}/fs/ext4/${nameOf(fs)}/errors_count`);
    return text === undefined ? undefined : Number(text);
  }

  /** By all its options: mountinfo leaves out those that are the filesystem's own defaults. */
  #stopsOnError(fs: Filesystem): boolean {
    const options = this.#read(`${this.#procDir}/fs/ext4/${nameOf(fs)}/options`);
    return options?.split('\n').includes('errors=remount-ro') ?? false;
  }

  #read(path: string): string | undefined {
    try {
      return readFileSync(path, 'utf8').trim();
    } catch {
      return undefined; // unmounted, or a kernel without it
    }
  }
}

function nameOf(fs: Filesystem): string {
  return fs.under[0]?.slice('block:'.length) ?? '';
}
