/** What a device is, out of a made-up /sys; /proc/diskstats by example and by property. */
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { BlockDevices } from '../../src/probes/block-devices.js';
import { MAX_DEVICES, parseDiskStats } from '../../src/probes/diskstats.js';
import { fc } from '../lib/property.js';

const MOUNTS = [
  '22 1 254:0 / / rw - ext4 /dev/vda rw',
  '30 22 8:1 / /data\\040sets rw - ext4 /dev/sda1 rw',
  '31 22 8:2 / /data rw - xfs /dev/sdb rw',
].join('\n');

/** Name, level, members, of which missing, how many more may fail. */
const ARRAYS = [
  ['md1', 'raid1', 2, 0, 1],
  ['md2', 'raid1', 3, 1, 1],
  ['md3', 'raid1', 2, 1, 0],
  ['md4', 'raid6', 6, 1, 1],
  ['md5', 'raid5', 4, 2, 0],
  ['md6', 'raid10', 4, 0, 1],
  ['md7', 'raid0', 2, 0, undefined],
  ['md8', 'linear', 2, 0, undefined],
  ['md9', 'raid1', 'reshape', 0, undefined],
] as const;

/** `/sys/class/block/NAME` is a link to the device's directory, a partition's in its disk's. */
function fakeSys(t: Test): BlockDevices {
  const dir = t.testdir({
    proc: { self: { mountinfo: MOUNTS } },
    sys: {
      class: { block: {} },
      devices: {
        sda: {
          dev: '8:0\n',
          size: '2048\n',
          mq: {},
          device: { model: 'FAKE \u001b[31mDISK   \n' },
          sda1: { dev: '8:1\n', size: '1024\n', partition: '1\n' },
        },
        'dm-0': { dev: '253:0\n', size: '1024\n', dm: { name: 'x\n' }, slaves: { sda1: {}, sdb: {} } },
        md127: { dev: '9:127\n', size: '4096\n', md: { degraded: '1\n' }, slaves: { sda: {} } },
        ...Object.fromEntries(
          ARRAYS.map(([name, level, disks, degraded]) => [
            name,
            {
              dev: `9:${name.slice(2)}\n`,
              size: '4096\n',
              md: { level: `${level}\n`, raid_disks: `${disks}\n`, degraded: `${degraded}\n` },
            },
          ]),
        ),
        'dm-1': {
          dev: '253:1\n',
          size: '1024\n',
          dm: { name: 'm\n', uuid: 'mpath-36001\n' },
          slaves: { sda: {}, sdb: {} },
        },
        loop0: { dev: '7:0\n', size: '64\n', mq: {}, loop: { backing_file: '/data sets/a file\n' } },
        loop1: { dev: '7:1\n', size: '0\n', mq: {} },
        'cciss!c0d0': { dev: '104:0\n', size: '8\n', mq: {}, device: {} },
      },
    },
  });
  const sys = join(dir, 'sys');
  const link = (name: string, to: string): void =>
    symlinkSync(join('../../devices', to), join(sys, 'class/block', name));
  for (const name of ['sda', 'dm-0', 'dm-1', 'md127', 'loop0', 'loop1', 'cciss!c0d0']) link(name, name);
  for (const [name] of ARRAYS) link(name, name);
  link('sda1', 'sda/sda1');
  link('gone', 'gone');
  mkdirSync(join(sys, 'class/block/odd'));
  return new BlockDevices(sys, join(dir, 'proc'));
}

t.test('disks, partitions, mapped devices, arrays, loops', async (t) => {
  const devices = fakeSys(t);
  const sda = devices.describe('sda');
  t.match(sda, { attrs: { dev: '8:0', kind: 'disk', under: [] }, sizeBytes: 1048576, requests: true });
  t.equal(sda?.attrs.model, 'FAKE \\x1b[31mDISK');
  t.match(devices.describe('sda1'), { attrs: { kind: 'partition', under: ['block:sda'] }, disk: 'sda' });
  t.match(devices.describe('dm-0'), {
    attrs: { kind: 'dm', under: ['block:sda1', 'block:sdb'] },
    requests: false,
  });
  t.match(devices.describe('md127'), { attrs: { kind: 'md', under: ['block:sda'], failedMembers: 1 } });
  t.match(devices.describe('loop0'), { attrs: { kind: 'loop', under: ['fs:/data sets'] } });
  t.match(devices.describe('loop1'), { attrs: { kind: 'loop', under: [] }, sizeBytes: 0 });
  t.match(devices.describe('cciss!c0d0'), { attrs: { kind: 'disk', dev: '104:0' } });
});

t.test('how many members may fail before its users see it', async (t) => {
  const devices = fakeSys(t);
  for (const [name, level, , , mayLose] of ARRAYS)
    t.equal(devices.describe(name)?.attrs.mayLose, mayLose, `${name}, ${level}`);
  t.equal(devices.describe('dm-1')?.attrs.mayLose, 1, 'the other path');
  t.equal(devices.describe('dm-0')?.attrs.mayLose, undefined, 'a linear mapping');
  t.equal(devices.describe('sda')?.attrs.mayLose, undefined);
});

t.test('a device that is not there, or is only half there', async (t) => {
  const devices = fakeSys(t);
  t.equal(devices.describe('gone'), undefined);
  t.equal(devices.describe('odd'), undefined, 'no number: going, or not yet come');
  t.equal(devices.sizeBytes('gone'), 0);
});

const LINE =
  ' 254       0 vda 998095 87384 89089730 1446690 76342 230541 62165096 171631 3 128992 1639150 140377 39 56105448 20687 2835 141';

t.test('diskstats', async (t) => {
  t.same(parseDiskStats(`${LINE}\n`), [
    {
      name: 'vda',
      major: 254,
      minor: 0,
      reads: 998095,
      readBytes: 89089730 * 512,
      readMs: 1446690,
      writes: 76342,
      writtenBytes: 62165096 * 512,
      writeMs: 171631,
      others: 140377 + 2835,
      inFlight: 3,
    },
  ]);
  const old = ' 104 1 cciss/c0d0p1 1 0 8 0 0 0 0 0 0 0 0';
  t.match(parseDiskStats(old), [{ name: 'cciss!c0d0p1', reads: 1, others: 0 }], 'before 4.18, and a slash');
  t.same(
    parseDiskStats(`${LINE.slice(0, 40)}\n\n8 0 sda x x x x x x x x x x x\n`),
    [],
    'cut, and no numbers',
  );
  t.equal(parseDiskStats(`${LINE}\n`.repeat(MAX_DEVICES + 5)).length, MAX_DEVICES);
});

t.test('whatever diskstats holds, no number is none', async () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 200 })), (lines) =>
      parseDiskStats(lines.join('\n')).every((stats) =>
        Object.values(stats).every((value) => typeof value === 'string' || Number.isSafeInteger(value)),
      ),
    ),
  );
});
