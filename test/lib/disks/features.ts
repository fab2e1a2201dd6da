/**
 * What there is to make disks of depends on the kernel. Loop devices are everywhere; a machine with version 1 of
 * the blkio controller can make one slow or stuck (throttle.ts); Debian's kernels in guests have null_blk, device
 * mapper, md and scsi_debug as modules.
 */
import { existsSync } from 'node:fs';
import { run } from './disk.js';
import { withoutThrottle } from './throttle.js';

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
