/**
 * Device numbers as node ids: block devices by /sys, and filesystems that have only a number of their own
 * (NFS, overlay, tmpfs) by what is mounted. Numbers are given again, so none is remembered here.
 */
import { blockOf } from './filesystem-under.js';
import { devText, Mounts } from './mounts.js';

export { majorOf, minorOf } from './filesystem-under.js';

export class Devices {
  readonly mounts: Mounts;

  /** @param mounts those that a probe keeps up to date, or where /proc is */
  constructor(mounts: Mounts | string = '/proc', sysDir = '/sys') {
    this.mounts = typeof mounts === 'string' ? new Mounts(mounts, sysDir) : mounts;
  }

  /**
   * `block:nvme0n1`, `fs:/data` or, when neither knows it, `dev:0:45`.
   * @param pid who waits for it: it may be mounted where only that process sees it
   * @param tid its thread that waits, while it does
   */
  nodeOf(dev: number, pid?: number, tid?: number): string {
    const block = blockOf(dev, this.mounts.sysDir);
    return block ?? this.mounts.byDev(dev, pid, tid)?.id ?? `dev:${devText(dev)}`;
  }
}
