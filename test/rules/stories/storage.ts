/** StorageSlow and StorageIoError. */
import type { Holder } from '../../../src/events/event.js';
import type { BlockUseAttrs, IoSummary, MountAttrs, RequestAttrs } from '../../../src/events/storage.js';
import { type Story, flow, stuck as unacked } from '../../scene/build.js';
import { type RuleStories, told } from './story.js';

const QUIET: BlockUseAttrs = {
  inFlight: 0,
  stalledMs: 0,
  reads: { count: 0, sizeBytes: 0 },
  writes: { count: 0, sizeBytes: 0 },
  windowMs: 1_000,
  oldest: [],
};
const MOUNT: MountAttrs = {
  dev: '252:0',
  fsType: 'ext4',
  mountPoint: '/data',
  under: ['block:dm-0'],
  readOnly: false,
};
const NFS: MountAttrs = {
  dev: '0:45',
  fsType: 'nfs4',
  mountPoint: '/mnt',
  under: [],
  server: '10.0.0.5',
  readOnly: false,
};
const READ_ERROR = 'Buffer I/O error on dev dm-0, logical block 3, async page read';

/** A disk with a partition, and a dm device on that. */
function stack(s: Story): Story {
  return s
    .seen(10, { comm: 'trainer' })
    .say('storage.device', 'block:sda', 1e9, { dev: '8:0', kind: 'disk', under: [] })
    .say('storage.device', 'block:sda1', 1e9, { dev: '8:1', kind: 'partition', under: ['block:sda'] })
    .say('storage.device', 'block:dm-0', 1e9, { dev: '252:0', kind: 'dm', under: ['block:sda1'] });
}

function request(ageMs: number, pid?: number): RequestAttrs {
  const submitter = pid === undefined ? {} : { pid, start: pid * 1_000, comm: `p${pid}` };
  return { op: 'read', sector: 4_660, sizeBytes: 4_096, ageMs, submitter };
}

function stuck(s: Story, ageMs: number): Story {
  return s.say('storage.use', 'block:sda', ageMs, {
    ...QUIET,
    inFlight: 1,
    stalledMs: ageMs,
    oldest: [request(ageMs)],
    reads: { count: 0, sizeBytes: 0, baselineMs: 3 },
  });
}

/** Six seconds of short waits on a disk whose reads take so long. */
function often(s: Story, reads: Partial<IoSummary>): Story {
  stack(s);
  for (let i = 0; i < 6; i++) {
    s.disk(10, 'sda', { forMs: 200 }).pass([]).later(1_000);
    const all = { count: 5, sizeBytes: 20_480, p50Ms: 180, p99Ms: 220, baselineMs: 3, ...reads };
    s.say('storage.use', 'block:sda', 0, { ...QUIET, reads: all });
  }
  return s.disk(10, 'sda', { forMs: 100 });
}

function failed(s: Story, status: string): Story {
  return s.say('storage.error', 'block:sda', 4_096, { ...request(1, 10), status }, 'block', 10);
}

function users(s: Story, of: string, ...modes: readonly (readonly [number, Holder['mode']])[]): Story {
  const holders = modes.map(([pid, mode]) => ({ pid, start: pid * 1_000, comm: `p${pid}`, fd: 3, mode }));
  return s.say('storage.users', of, holders.length, { holders }, 'filesystem');
}

function mounted(s: Story): Story {
  return stack(s).say('storage.mount', 'fs:/data', 0, MOUNT, 'filesystem').sleeps(10);
}

function readOnly(s: Story, mode: Holder['mode'] = 'w'): Story {
  mounted(s).say('storage.readonly', 'fs:/data', 0, { ...MOUNT, readOnly: true }, 'filesystem');
  return users(s, 'fs:/data', [10, mode]);
}

function space(s: Story, free: { readonly freeBytes: number; readonly freeInodes: number }): Story {
  const attrs = { sizeBytes: 1024 ** 3, inodes: 65_536, ...free };
  return mounted(s).say('storage.space', 'fs:/data', 100, attrs, 'filesystem');
}

function sharedMemory(s: Story, freeBytes: number): Story {
  const attrs = { dev: '0:23', fsType: 'tmpfs', mountPoint: '/dev/shm', under: [], readOnly: false };
  const full = { sizeBytes: 64 * 1024 ** 2, freeBytes, inodes: 9_000, freeInodes: 8_000 };
  s.seen(10, { comm: 'trainer' }).say('storage.mount', 'fs:/dev/shm', 0, attrs, 'filesystem').sleeps(10);
  return s.say('storage.space', 'fs:/dev/shm', freeBytes === 0 ? 100 : 98, full, 'filesystem');
}

/** The kernel log tells of a failed read on a device without requests of its own. */
function logged(s: Story): Story {
  mounted(s.seen(11)).say(
    'error.fs',
    'block:dm-0',
    1,
    { class: 'io-error', fsType: '', message: READ_ERROR, op: 'read' },
    'kmsg',
  );
  return s;
}

function nfs(s: Story): Story {
  return s.seen(10, { comm: 'trainer' }).say('storage.mount', 'fs:/mnt', 0, NFS, 'filesystem');
}

function unanswered(s: Story): Story {
  const attrs = { server: '10.0.0.5', outstanding: 3, retransmits: 0, operations: 100 };
  return s
    .say('storage.rpc', 'fs:/mnt', 12_000, attrs, 'filesystem')
    .wait('wait.disk', 10, 'fs:/mnt', { dev: '0:45' }, { forMs: 12_000 });
}

/** TCP to the server gets no ACK, either. */
function cutOff(s: Story): Story {
  const to = flow(7, { remote: '10.0.0.5', rport: 2_049, owner: { kernel: true } });
  return s.transport('transport.timeout', unacked(to, s.now - 10_000), 5);
}

function suspended(s: Story): Story {
  return stack(s)
    .say('storage.device', 'block:dm-0', 1e9, {
      dev: '252:0',
      kind: 'dm',
      under: ['block:sda1'],
      suspended: true,
    })
    .disk(10, 'dm-0');
}

/** A thread waits for long in what lies on a device that has nothing to do. */
function frozen(s: Story): Story {
  const mount = { ...MOUNT, dev: '7:0', under: ['block:loop0'] };
  return s
    .seen(10, { comm: 'trainer' })
    .say('storage.device', 'block:loop0', 1e9, { dev: '7:0', kind: 'loop', under: [] })
    .say('storage.mount', 'fs:/data', 0, mount, 'filesystem')
    .disk(10, 'loop0');
}

function gone(s: Story): Story {
  const attrs = { dev: '8:0', kind: 'disk', under: [], gone: true } as const;
  return stack(s).disk(10, 'dm-0').say('storage.device', 'block:sda', 0, attrs);
}

export const STORAGE_STORIES: readonly RuleStories[] = [
  {
    rule: 'disk-request-stuck',
    hit: told(10, 'StorageSlow/Device', (s) => stuck(stack(s), 4_200).disk(10, 'dm-0')),
    miss: told(10, 'StorageSlow/Device', (s) => often(s, {})),
  },
  {
    rule: 'disk-slower-than-usual',
    hit: told(10, 'StorageSlow/Device', (s) => often(s, {})),
    miss: told(10, 'healthy', (s) => often(s, { p99Ms: 120, baselineMs: 110 })),
  },
  {
    rule: 'disk-busy-with-others',
    hit: told(10, 'StorageSlow/Device', (s) => {
      stack(s.seen(30, { comm: 'rsync' }));
      const attrs = { cpuSome: 1, ioSome: 80, ioFull: 60, memorySome: 0, memoryFull: 0 };
      s.say('compute.pressure', 'node', 80, attrs, 'host');
      s.say('storage.use', 'block:sda', 3_000, {
        ...QUIET,
        inFlight: 60,
        queueDepth: 64,
        oldest: [request(3_000, 30)],
        reads: { count: 400, sizeBytes: 4e8, p50Ms: 900, p99Ms: 2_900, baselineMs: 3 },
      });
      s.disk(10, 'sda', { forMs: 2_500 });
    }),
    miss: told(10, 'StorageSlow/Device', (s) => stuck(stack(s), 4_200).disk(10, 'dm-0')),
  },
  {
    rule: 'storage-suspended',
    hit: told(10, 'StorageSlow/Suspended', suspended),
    miss: told(10, 'StorageSlow/Device', (s) => stuck(stack(s), 4_200).disk(10, 'dm-0')),
  },
  {
    rule: 'filesystem-frozen',
    hit: told(10, 'StorageSlow/Suspended', frozen),
    miss: told(10, 'StorageSlow/Suspended', suspended),
  },
  {
    rule: 'file-server-silent',
    hit: told(10, 'StorageSlow/Nfs', (s) => unanswered(nfs(s))),
    miss: told(10, 'StorageSlow/Nfs', (s) => unanswered(cutOff(nfs(s)))),
  },
  {
    rule: 'file-server-unreachable',
    hit: told(10, 'StorageSlow/Nfs', (s) => unanswered(cutOff(nfs(s)))),
    miss: told(10, 'StorageSlow/Nfs', (s) => unanswered(nfs(s))),
  },
  {
    rule: 'storage-below-unknown',
    hit: told(10, 'StorageSlow', (s) =>
      s
        .seen(10)
        .say(
          'storage.mount',
          'fs:/fuse',
          0,
          { dev: '0:60', fsType: 'fuse.sshfs', mountPoint: '/fuse', under: [], readOnly: false },
          'filesystem',
        )
        .wait('wait.disk', 10, 'fs:/fuse', { dev: '0:60' }, { forMs: 6_000 }),
    ),
    miss: told(10, 'StorageSlow/Nfs', (s) => unanswered(nfs(s))),
  },
  {
    rule: 'disk-media-error',
    hit: told(10, 'StorageIoError', (s) => failed(stack(s), 'MEDIUM').later(500).sleeps(10)),
    miss: told(10, 'StorageIoError', (s) => failed(stack(s), 'TRANSPORT').later(500).sleeps(10)),
  },
  {
    rule: 'disk-request-failed',
    hit: told(10, 'StorageIoError', (s) => failed(stack(s), 'IOERR').later(500).sleeps(10)),
    miss: told(10, 'healthy', (s) => failed(stack(s), 'IOERR').later(61_000).sleeps(10)),
  },
  {
    rule: 'disk-path-lost',
    hit: told(10, 'StorageIoError', (s) => failed(stack(s), 'TRANSPORT').later(500).sleeps(10)),
    miss: told(10, 'StorageIoError', (s) => failed(stack(s), 'MEDIUM').later(500).sleeps(10)),
  },
  {
    rule: 'disk-fails-again-and-again',
    hit: told(10, 'StorageIoError', (s) => {
      stack(s);
      for (let i = 0; i < 5; i++) failed(s.later(90_000), 'IOERR');
      s.later(500).sleeps(10);
    }),
    miss: told(10, 'StorageIoError', (s) => {
      stack(s);
      for (let i = 0; i < 5; i++) failed(s.later(200), 'IOERR');
      s.later(500).sleeps(10);
    }),
  },
  {
    rule: 'disk-gone',
    hit: told(10, 'StorageIoError/DeviceGone', gone),
    miss: told(10, 'StorageIoError', (s) => failed(stack(s), 'IOERR').later(500).sleeps(10)),
  },
  {
    rule: 'filesystem-read-only',
    hit: told(10, 'StorageIoError/ReadOnly', (s) => readOnly(s)),
    miss: told(10, 'healthy', (s) => readOnly(s, 'r')),
  },
  {
    rule: 'filesystem-shut-down',
    hit: told(10, 'StorageIoError/ShutDown', (s) => {
      const message = 'XFS (dm-0): Log I/O Error (0x2) detected. Shutting down filesystem.';
      mounted(s).say('error.fs', 'fs:/data', 1, { class: 'shutdown', fsType: 'xfs', message }, 'kmsg');
      users(s, 'fs:/data', [10, 'r']);
    }),
    miss: told(10, 'StorageIoError/ReadOnly', (s) => readOnly(s)),
  },
  {
    rule: 'filesystem-full',
    hit: told(10, 'StorageIoError/DiskFull', (s) => {
      users(space(s, { freeBytes: 0, freeInodes: 900 }), 'fs:/data', [10, 'rw']);
      s.later(100).exited(10, { code: 28 });
    }),
    miss: told(10, 'StorageIoError/DiskFull', (s) => {
      users(space(s, { freeBytes: 1024 ** 2, freeInodes: 0 }), 'fs:/data', [10, 'rw']).later(100);
    }),
  },
  {
    rule: 'filesystem-without-inodes',
    hit: told(10, 'StorageIoError/DiskFull', (s) => {
      users(space(s, { freeBytes: 1024 ** 2, freeInodes: 0 }), 'fs:/data', [10, 'rw']).later(100);
    }),
    miss: told(10, 'StorageIoError/DiskFull', (s) => {
      users(space(s, { freeBytes: 0, freeInodes: 900 }), 'fs:/data', [10, 'rw']).later(100);
    }),
  },
  {
    rule: 'shared-memory-full',
    hit: told(10, 'StorageIoError/DiskFull', (s) => users(sharedMemory(s, 0), 'fs:/dev/shm', [10, 'rw'])),
    miss: told(10, 'healthy', (s) => users(sharedMemory(s, 1024 ** 2), 'fs:/dev/shm', [10, 'rw'])),
  },
  {
    rule: 'storage-error-by-the-log',
    hit: told(10, 'StorageIoError', (s) => users(logged(s), 'block:dm-0', [10, 'r'])),
    miss: told(10, 'StorageIoError', (s) => users(logged(s), 'block:dm-0', [10, 'r'], [11, 'rw'])),
  },
  {
    rule: 'storage-error-of-somebody',
    hit: told(10, 'StorageIoError', (s) => users(logged(s), 'block:dm-0', [10, 'r'], [11, 'rw'])),
    miss: told(10, 'StorageIoError', (s) => users(logged(s), 'block:dm-0', [10, 'r'])),
  },
];
