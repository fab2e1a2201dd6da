/** scsi_debug: a disk with bad sectors, that can be pulled out. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Scope } from '../scope.js';
import { until } from '../until.js';
import { appeared, type Disk, disk, run } from './disk.js';
import { sweepDm } from './dm.js';

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
  await sweepDm();
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
