/** null_blk: devices whose requests take a given time. */
import { existsSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isOrphan } from '../owner.js';
import type { Scope } from '../scope.js';
import { appeared, type Disk, disk, list, nextName } from './disk.js';
import { sweepDm } from './dm.js';

const NULLB = '/sys/kernel/config/nullb';

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
  await sweepDm();
  for (const name of list(NULLB)) {
    if (isOrphan(name)) removeNull(join(NULLB, name));
  }
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
