/** A filesystem that lets nothing through, and device names that are given to something else. */
import type { BlockDeviceAttrs, MountAttrs } from '../../src/events/storage.js';
import type { Story } from './build.js';
import { table } from './table.js';

const MOUNT: MountAttrs = {
  dev: '7:0',
  fsType: 'ext4',
  mountPoint: '/data',
  under: ['block:loop0'],
  readOnly: false,
};

function loop(s: Story, more: Partial<BlockDeviceAttrs> = {}): Story {
  return s.say('storage.device', 'block:loop0', 1e9, { dev: '7:0', kind: 'loop', under: [], ...more });
}

function failed(s: Story): Story {
  return s.say('storage.error', 'block:loop0', 4_096, {
    op: 'read',
    sector: 8,
    sizeBytes: 4_096,
    ageMs: 1,
    status: 'IOERR',
    submitter: {},
  });
}

table([
  {
    name: 'nothing is in flight below it: the filesystem is frozen',
    tell: (s) => loop(s.seen(10)).say('storage.mount', 'fs:/data', 0, MOUNT).disk(10, 'loop0'),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'StorageSlow/Suspended',
      root: 'fs:/data',
      chain: ['pid:10', 'block:loop0', 'fs:/data', 'error:latency/fs:/data'],
      confidence: 0.75,
      summary: /it is frozen, as for a snapshot/,
    },
  },
  {
    name: 'a mapped device holds back what it has not counted',
    tell: (s) =>
      loop(s.seen(10), { kind: 'dm' }).say('storage.mount', 'fs:/data', 0, MOUNT).disk(10, 'loop0'),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'StorageSlow/Device', root: 'block:loop0' },
  },
  {
    name: 'a failed request counts while the device is the same',
    tell: (s) => failed(loop(s.seen(10), { diskSeq: 7 })).disk(10, 'loop0', { forMs: 3_000 }),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'StorageIoError', root: 'block:loop0' },
  },
  {
    name: 'its name was given to another file: what the one before it failed is forgotten',
    tell: (s) =>
      loop(failed(loop(s.seen(10), { diskSeq: 7 })), { diskSeq: 8 }).disk(10, 'loop0', { forMs: 3_000 }),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'StorageSlow/Device', root: 'block:loop0' },
  },
  {
    name: 'stopped, and its filesystem is full: it meets that as soon as it goes on',
    tell: (s) =>
      loop(s.seen(10))
        .say('storage.mount', 'fs:/data', 0, MOUNT)
        .say('storage.space', 'fs:/data', 100, {
          sizeBytes: 1e9,
          freeBytes: 0,
          inodes: 1_000,
          freeInodes: 500,
        })
        .say('storage.users', 'fs:/data', 1, {
          holders: [{ pid: 10, start: 10_000, comm: 'p10', fd: 3, mode: 'w' }],
        })
        .stopped(10),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessBlocked/Stopped',
      root: 'pid:10',
      alternatives: ['fs:/data'],
    },
  },
]);
