/** StorageIoError by the kernel log alone, and arrays that do without a member. */
import type { Holder } from '../../src/events/event.js';
import type { BlockDeviceAttrs, MountAttrs } from '../../src/events/storage.js';
import type { Story } from './build.js';
import { table } from './table.js';

const DM: BlockDeviceAttrs = { dev: '252:0', kind: 'dm', under: ['block:loop0'] };
const MIRROR: BlockDeviceAttrs = { dev: '9:0', kind: 'md', under: ['block:sda', 'block:sdb'], mayLose: 1 };
const MOUNT: MountAttrs = {
  dev: '252:0',
  fsType: 'xfs',
  mountPoint: '/data',
  under: ['block:dm-0'],
  readOnly: false,
};
const READ_ERROR = 'Buffer I/O error on dev dm-0, logical block 3, async page read';
const WRITE_ERROR = 'dm-0: writeback error on inode 131, offset 0, sector 112';
const SHUT_DOWN = 'XFS (dm-0): Log I/O Error (0x2) detected. Shutting down filesystem.';

function mapped(s: Story): Story {
  return s
    .say('storage.device', 'block:loop0', 1e9, { dev: '7:0', kind: 'loop', under: [] })
    .say('storage.device', 'block:dm-0', 1e9, DM);
}

function mirror(s: Story, more: Partial<BlockDeviceAttrs> = {}): Story {
  for (const [name, dev] of [
    ['sda', '8:0'],
    ['sdb', '8:16'],
  ] as const)
    s.say('storage.device', `block:${name}`, 1e9, { dev, kind: 'disk', under: [] });
  return s.say('storage.device', 'block:md0', 1e9, { ...MIRROR, ...more });
}

function users(s: Story, of: string, ...modes: readonly (readonly [number, Holder['mode']])[]): Story {
  const holders = modes.map(([pid, mode]) => ({ pid, start: pid * 1_000, comm: `p${pid}`, fd: 3, mode }));
  return s.say('storage.users', of, holders.length, { holders }, 'filesystem');
}

function log(s: Story, of: string, message: string, op?: 'read' | 'write'): Story {
  const attrs = { class: 'io-error', fsType: '', message, ...(op !== undefined && { op }) } as const;
  return s.say('error.fs', of, 1, attrs, 'kmsg');
}

/** A read of `pid` that a member failed. */
function failed(s: Story, member: string, pid: number): Story {
  const submitter = { pid, start: pid * 1_000, comm: `p${pid}` };
  const attrs = { op: 'read', sector: 8, sizeBytes: 4_096, ageMs: 1, submitter, status: 'MEDIUM' } as const;
  return s.say('storage.error', member, 4_096, attrs, 'block', pid);
}

function lost(s: Story): Story {
  const message = 'md/raid1:md0: Disk failure on sda, disabling device.';
  const attrs = { class: 'md', severity: 'uncorrected', message, about: ['block:md0'] } as const;
  return s
    .say('error.hw', 'block:sda', 1, attrs, 'kmsg')
    .say('storage.device', 'block:md0', 1e9, { ...MIRROR, failedMembers: 1, mayLose: 0 });
}

table([
  {
    name: 'a mapped device fails reads, and one process has it open',
    tell: (s) =>
      users(log(mapped(s.seen(10)).sleeps(10), 'block:dm-0', READ_ERROR, 'read'), 'block:dm-0', [10, 'r']),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'StorageIoError',
      root: 'block:dm-0',
      chain: ['pid:10', 'block:dm-0', 'error:io-error/block:dm-0'],
      confidence: 0.8,
      summary: /^a read on block:dm-0 failed .* ago, by the kernel log: "Buffer I\/O error on dev dm-0/,
    },
  },
  {
    name: 'two have it open: whose read it was is not said',
    tell: (s) =>
      users(
        log(mapped(s.seen(10).seen(11)).sleeps(10), 'block:dm-0', READ_ERROR, 'read'),
        'block:dm-0',
        [10, 'r'],
        [11, 'rw'],
      ),
    ask: 10,
    expect: {
      verdict: 'symptom-only',
      scene: 'StorageIoError',
      chain: ['pid:10', 'block:dm-0'],
      summary: /whether it was its own is not known: 1 other process has it, or files on it, open, too$/,
    },
  },
  {
    name: 'what failed before a process was there is not its own',
    tell: (s) =>
      users(
        log(mapped(s.seen(9)), 'block:dm-0', READ_ERROR, 'read')
          .later(1_000)
          .forked(10)
          .sleeps(10),
        'block:dm-0',
        [10, 'r'],
      ),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'a lost write is nothing to who only reads',
    tell: (s) =>
      users(
        log(
          mapped(s.seen(10).seen(11)).say('storage.mount', 'fs:/data', 0, MOUNT, 'filesystem').sleeps(10),
          'fs:/data',
          WRITE_ERROR,
          'write',
        ),
        'fs:/data',
        [10, 'r'],
        [11, 'w'],
      ),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'a lost write is the only writer’s, though others read',
    tell: (s) =>
      users(
        log(
          mapped(s.seen(10).seen(11)).say('storage.mount', 'fs:/data', 0, MOUNT, 'filesystem').sleeps(11),
          'fs:/data',
          WRITE_ERROR,
          'write',
        ),
        'fs:/data',
        [10, 'r'],
        [11, 'w'],
      ),
    ask: 11,
    expect: {
      verdict: 'cause-found',
      scene: 'StorageIoError',
      root: 'fs:/data',
      chain: ['pid:11', 'fs:/data', 'error:io-error/fs:/data'],
    },
  },
  {
    name: 'the log is let go',
    tell: (s) =>
      users(log(mapped(s.seen(10)), 'block:dm-0', READ_ERROR, 'read'), 'block:dm-0', [10, 'r'])
        .later(61_000)
        .sleeps(10),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'the name was given out anew: the log told of another device',
    tell: (s) =>
      users(
        log(mapped(s.seen(10)), 'block:dm-0', READ_ERROR, 'read')
          .say('storage.device', 'block:dm-0', 0, { ...DM, gone: true })
          .say('storage.device', 'block:dm-0', 1e9, DM),
        'block:dm-0',
        [10, 'r'],
      ).sleeps(10),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'it gave up a moment later',
    tell: (s) =>
      users(log(mapped(s.seen(10)), 'block:dm-0', READ_ERROR, 'read'), 'block:dm-0', [10, 'r'])
        .later(1_500)
        .exited(10, { code: 5 }),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'StorageIoError',
      root: 'block:dm-0',
      summary: /^exited with code 5: a read on block:dm-0 failed/,
    },
  },
  {
    name: 'a filesystem that was shut down is no use to readers, either',
    tell: (s) => {
      mapped(s.seen(10)).say('storage.mount', 'fs:/data', 0, MOUNT, 'filesystem').sleeps(10);
      s.say('error.fs', 'fs:/data', 1, { class: 'shutdown', fsType: 'xfs', message: SHUT_DOWN }, 'kmsg');
      users(s, 'fs:/data', [10, 'r']);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'StorageIoError/ShutDown',
      root: 'fs:/data',
      chain: ['pid:10', 'fs:/data', 'error:shut-down/fs:/data'],
    },
  },
  {
    name: 'the log tells of the filesystem, and a disk below has failed a request: that one',
    tell: (s) => {
      mapped(s.seen(10)).say('storage.mount', 'fs:/data', 0, MOUNT, 'filesystem').sleeps(10);
      const attrs = {
        op: 'write',
        sector: 8,
        sizeBytes: 4_096,
        ageMs: 1,
        submitter: {},
        status: 'IOERR',
      } as const;
      s.say('storage.error', 'block:loop0', 4_096, attrs).later(10);
      users(log(s, 'fs:/data', WRITE_ERROR, 'write'), 'fs:/data', [10, 'w']);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'StorageIoError',
      root: 'block:loop0',
      chain: ['pid:10', 'fs:/data', 'block:dm-0', 'block:loop0', 'error:io-error/block:loop0'],
    },
  },
  {
    name: 'a failed read below a mirror is not its reader’s trouble',
    tell: (s) =>
      failed(mirror(s.seen(10)), 'block:sda', 10)
        .later(200)
        .sleeps(10),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'nor is that the mirror lost the member then, and is used on',
    tell: (s) =>
      users(lost(failed(mirror(s.seen(10)), 'block:sda', 10)), 'block:md0', [10, 'rw'])
        .later(200)
        .sleeps(10),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'a wait on a mirror that lost a member is not explained by that',
    tell: (s) => lost(failed(mirror(s.seen(10)), 'block:sda', 11)).disk(10, 'md0', { forMs: 1_200 }),
    ask: 10,
    expect: { verdict: 'symptom-only', scene: 'StorageSlow/Device', chain: ['pid:10', 'block:md0'] },
  },
  {
    name: 'the last member’s failures are its readers’',
    tell: (s) =>
      failed(lost(mirror(s.seen(10))).later(100), 'block:sdb', 10)
        .later(200)
        .sleeps(10),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'StorageIoError', root: 'block:sdb' },
  },
  {
    name: 'without a second member, failures are seen above: striped',
    tell: (s) =>
      failed(
        s
          .seen(10)
          .say('storage.device', 'block:sda', 1e9, { dev: '8:0', kind: 'disk', under: [] })
          .say('storage.device', 'block:md0', 1e9, { dev: '9:0', kind: 'md', under: ['block:sda'] }),
        'block:sda',
        10,
      )
        .later(200)
        .sleeps(10),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'StorageIoError', root: 'block:sda' },
  },
]);
