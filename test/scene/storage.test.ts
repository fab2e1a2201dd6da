/** StorageSlow and StorageIoError: the deepest device with a fault of its own, or the server, or the filesystem. */
import type { BlockUseAttrs, MountAttrs, RequestAttrs } from '../../src/events/storage.js';
import { flow, type Story, stuck as unacked } from './build.js';
import { table } from './table.js';

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

function request(ageMs: number, pid?: number): RequestAttrs {
  const submitter = pid === undefined ? {} : { pid, start: pid * 1_000, comm: `p${pid}` };
  return { op: 'read', sector: 4_660, sizeBytes: 4_096, ageMs, submitter };
}

/** How full /data is, per cent; 100: nothing is left. */
function space(s: Story, percent: number): Story {
  const freeBytes = percent >= 100 ? 0 : 1024 ** 3 * (1 - percent / 100);
  const attrs = { sizeBytes: 1024 ** 3, freeBytes, inodes: 1_000, freeInodes: 10 };
  return s.say('storage.space', 'fs:/data', percent, attrs, 'filesystem');
}

/** 10 wrote to /data, and has just aborted. */
function aborted(s: Story): Story {
  return stack(s.seen(10))
    .say('storage.mount', 'fs:/data', 0, MOUNT, 'filesystem')
    .later(5_000)
    .exited(10, { signal: 'SIGABRT', wrote: ['252:0'] });
}

const FULL = {
  verdict: 'cause-found',
  scene: 'StorageIoError/DiskFull',
  root: 'fs:/data',
  chain: ['pid:10', 'fs:/data', 'error:full/fs:/data'],
  confidence: 0.74,
  summary: /^killed by SIGABRT: fs:\/data is full/,
} as const;

/** A disk with a partition, and a dm device on that. */
function stack(s: Story): Story {
  return s
    .say('storage.device', 'block:sda', 1e9, { dev: '8:0', kind: 'disk', under: [] })
    .say('storage.device', 'block:sda1', 1e9, { dev: '8:1', kind: 'partition', under: ['block:sda'] })
    .say('storage.device', 'block:dm-0', 1e9, { dev: '252:0', kind: 'dm', under: ['block:sda1'] });
}

function stuck(s: Story, device: string, ageMs: number, pid?: number): Story {
  return s.say('storage.use', device, ageMs, {
    ...QUIET,
    inFlight: 1,
    stalledMs: ageMs,
    oldest: [request(ageMs, pid)],
    reads: { count: 0, sizeBytes: 0, baselineMs: 3 },
  });
}

const ROOT_LATENCY = 'error:latency/block:sda';

table([
  {
    name: 'a stuck request on the disk below dm and partition',
    tell: (s) => stuck(stack(s.seen(10)), 'block:sda', 4_200).disk(10, 'dm-0'),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'StorageSlow/Device',
      root: 'block:sda',
      chain: ['pid:10', 'block:dm-0', 'block:sda1', 'block:sda', ROOT_LATENCY],
      summary: /read of 4 KiB on block:sda has not been answered for 4\.2 s; 1 in flight, baseline 3 ms/,
    },
  },
  {
    name: 'a dm device that delays by itself: nothing is wrong below it',
    tell: (s) =>
      stack(s.seen(10))
        .say('storage.use', 'block:dm-0', 3_000, { ...QUIET, inFlight: 2, stalledMs: 3_000 })
        .disk(10, 'dm-0'),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'StorageSlow/Device',
      root: 'block:dm-0',
      chain: ['pid:10', 'block:dm-0', 'error:latency/block:dm-0'],
      summary: /none of 2 requests with block:dm-0/,
    },
  },
  {
    name: 'trainer ← pipe ← worker ← slow disk, in one answer',
    tell: (s) =>
      stuck(stack(s.seen(1, { comm: 'trainer' }).seen(2, { comm: 'worker' })), 'block:sda', 3_000)
        .reads(1, 77)
        .disk(2, 'sda')
        .holders('pipe:77', 1, 2),
    ask: 1,
    expect: {
      verdict: 'cause-found',
      scene: 'StorageSlow/Device',
      root: 'block:sda',
      chain: ['pid:1', 'pipe:77', 'pid:2', 'block:sda', ROOT_LATENCY],
    },
  },
  {
    name: 'slow, never stuck: found on it again and again',
    tell: (s) => {
      stack(s.seen(10));
      for (let i = 0; i < 6; i++) {
        s.disk(10, 'sda', { forMs: 200 }).pass([]).later(1_000);
        s.say('storage.use', 'block:sda', 0, {
          ...QUIET,
          reads: { count: 5, sizeBytes: 20_480, p50Ms: 180, p99Ms: 220, baselineMs: 3 },
        });
      }
      s.disk(10, 'sda', { forMs: 100 });
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'StorageSlow/Device',
      root: 'block:sda',
      chain: ['pid:10', 'block:sda', ROOT_LATENCY],
      summary: /read latency p99 220 ms, baseline 3 ms/,
    },
  },
  {
    name: 'slow again and again, and asked while the next request has no answer yet',
    tell: (s) => {
      stack(s.seen(10));
      for (let i = 0; i < 6; i++) {
        s.disk(10, 'sda', { forMs: 1_800 }).pass([]).later(200);
        s.say('storage.use', 'block:sda', 0, {
          ...QUIET,
          reads: { count: 1, sizeBytes: 4_096, p50Ms: 2_000, p99Ms: 2_000, baselineMs: 1_900, ofMeans: true },
        });
        s.disk(10, 'sda', { forMs: 0 }).pass([]).later(600);
      }
      s.say('storage.use', 'block:sda', 0, { ...QUIET, inFlight: 1, stalledMs: 600 });
      s.disk(10, 'sda', { forMs: 600 });
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'StorageSlow/Device',
      root: 'block:sda',
      chain: ['pid:10', 'block:sda', ROOT_LATENCY],
      summary: /read latency mean 2\.0 s/,
    },
  },
  {
    name: 'as slow as ever is no finding',
    tell: (s) => {
      stack(s.seen(10));
      for (let i = 0; i < 6; i++) {
        s.disk(10, 'sda', { forMs: 20 }).pass([]).later(1_000);
        s.say('storage.use', 'block:sda', 0, {
          ...QUIET,
          reads: { count: 50, sizeBytes: 20_480, p50Ms: 8, p99Ms: 120, baselineMs: 110 },
        });
      }
      s.disk(10, 'sda', { forMs: 20 });
    },
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'a page fault: no file is known, but the request has a submitter',
    tell: (s) =>
      stuck(stack(s.seen(10)), 'block:sda', 2_000, 10).wait(
        'wait.other',
        10,
        'pid:10',
        { what: 'block I/O (a page fault or a file without a descriptor)', ioWait: true },
        { forMs: 2_000 },
      ),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'StorageSlow/Device', root: 'block:sda' },
  },
  {
    name: 'somebody else’s slow request is no reason of a page fault',
    tell: (s) =>
      stuck(stack(s.seen(10).seen(11)), 'block:sda', 2_000, 11).wait(
        'wait.other',
        10,
        'pid:10',
        { what: 'block I/O (a page fault or a file without a descriptor)', ioWait: true },
        { forMs: 2_000 },
      ),
    ask: 10,
    expect: { verdict: 'unknown' },
  },
  {
    name: 'its own read failed, and it sleeps',
    tell: (s) =>
      stack(s.seen(10))
        .say('storage.error', 'block:sda', 4_096, { ...request(1, 10), status: 'MEDIUM' }, 'block', 10)
        .later(500)
        .sleeps(10),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'StorageIoError',
      root: 'block:sda',
      chain: ['pid:10', 'block:sda', 'error:io-error/block:sda'],
      summary: /its read of 4 KiB at sector 4660 of block:sda failed \(MEDIUM\), 500 ms ago/,
    },
  },
  {
    name: 'an error is let go',
    tell: (s) =>
      stack(s.seen(10))
        .say('storage.error', 'block:sda', 4_096, { ...request(1, 10), status: 'MEDIUM' }, 'block', 10)
        .later(61_000)
        .sleeps(10),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'it ended on the failure',
    tell: (s) =>
      stack(s.seen(10))
        .say('storage.error', 'block:sda', 4_096, { ...request(1, 10), status: 'IOERR' }, 'block', 10)
        .later(20)
        .exited(10, { code: 1 })
        .later(100),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'StorageIoError',
      root: 'block:sda',
      summary: /^exited with code 1: its read/,
    },
  },
  {
    name: 'the device went away',
    tell: (s) =>
      stack(s.seen(10))
        .disk(10, 'dm-0')
        .say('storage.device', 'block:sda', 0, { dev: '8:0', kind: 'disk', under: [], gone: true }),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'StorageIoError/DeviceGone', root: 'block:sda' },
  },
  {
    name: 'the device went away without a failed request, and is still open',
    tell: (s) =>
      stack(s.seen(10))
        .sleeps(10, { forMs: 20 })
        .pass([])
        .say('storage.device', 'block:sda', 0, { dev: '8:0', kind: 'disk', under: [], gone: true })
        .say('storage.users', 'block:sda', 1, {
          holders: [{ pid: 10, start: 10_000, comm: 'p10', fd: 3, mode: 'w' }],
        })
        .later(120_000),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'StorageIoError/DeviceGone',
      root: 'block:sda',
      summary: /was removed/,
    },
  },
  {
    name: 'the device went away, and was closed for it',
    tell: (s) =>
      stack(s.seen(10))
        .sleeps(10, { forMs: 20 })
        .pass([])
        .say('storage.device', 'block:sda', 0, { dev: '8:0', kind: 'disk', under: [], gone: true })
        .say('storage.users', 'block:sda', 1, {
          holders: [{ pid: 10, start: 10_000, comm: 'p10', fd: 3, mode: 'w' }],
        })
        .later(15_000)
        .say('storage.users', 'block:sda', 0, { holders: [] })
        .later(1_000),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'a filesystem turned read-only under a writer',
    tell: (s) =>
      stack(s.seen(10))
        .say('storage.mount', 'fs:/data', 0, MOUNT, 'filesystem')
        .sleeps(10)
        .say('storage.readonly', 'fs:/data', 0, { ...MOUNT, readOnly: true }, 'filesystem')
        .say(
          'storage.users',
          'fs:/data',
          1,
          { holders: [{ pid: 10, start: 10_000, comm: 'p10', fd: 3, mode: 'w' }] },
          'filesystem',
        ),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'StorageIoError/ReadOnly',
      root: 'fs:/data',
      chain: ['pid:10', 'fs:/data', 'error:read-only/fs:/data'],
    },
  },
  {
    name: 'read-only by the kernel log alone, which knows the device and not the mount',
    tell: (s) =>
      stack(s.seen(10))
        .say('storage.mount', 'fs:/data', 0, MOUNT, 'filesystem')
        .sleeps(10)
        .say(
          'error.fs',
          'block:dm-0',
          1,
          { class: 'read-only', fsType: 'ext4', message: 'EXT4-fs (dm-0): Remounting filesystem read-only' },
          'kmsg',
        )
        .say(
          'storage.users',
          'fs:/data',
          1,
          { holders: [{ pid: 10, start: 10_000, comm: 'p10', fd: 3, mode: 'w' }] },
          'filesystem',
        ),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'StorageIoError/ReadOnly', root: 'fs:/data' },
  },
  {
    name: 'mounted anew, what was wrong with it is forgotten',
    tell: (s) =>
      stack(s.seen(10))
        .say('storage.mount', 'fs:/data', 0, MOUNT, 'filesystem')
        .say('storage.readonly', 'fs:/data', 0, { ...MOUNT, readOnly: true }, 'filesystem')
        .say('storage.mount', 'fs:/data', 0, { ...MOUNT, gone: true }, 'filesystem')
        .say('storage.mount', 'fs:/data', 0, MOUNT, 'filesystem')
        .say(
          'storage.users',
          'fs:/data',
          1,
          { holders: [{ pid: 10, start: 10_000, comm: 'p10', fd: 3, mode: 'w' }] },
          'filesystem',
        )
        .sleeps(10),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'a suspended device below, though the one on top is where requests wait',
    tell: (s) =>
      stack(s.seen(10))
        .say('storage.device', 'block:dm-1', 1e9, { dev: '252:1', kind: 'dm', under: ['block:dm-0'] })
        .say('storage.use', 'block:dm-1', 3_000, { ...QUIET, inFlight: 2, stalledMs: 3_000 })
        .say('storage.device', 'block:dm-0', 1e9, {
          dev: '252:0',
          kind: 'dm',
          under: ['block:sda1'],
          suspended: true,
        })
        .disk(10, 'dm-1'),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'StorageSlow/Suspended', root: 'block:dm-0' },
  },
  {
    name: 'a failure from before the wait does not explain it',
    tell: (s) =>
      stuck(
        stack(s.seen(10).seen(11))
          .say('storage.error', 'block:sda', 4_096, { ...request(1, 11), status: 'MEDIUM' }, 'block', 11)
          .later(20_000),
        'block:sda',
        4_000,
      ).disk(10, 'sda', { forMs: 4_000 }),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'StorageSlow/Device', root: 'block:sda' },
  },
  {
    name: 'a reader does not mind',
    tell: (s) =>
      stack(s.seen(10))
        .say('storage.mount', 'fs:/data', 0, MOUNT, 'filesystem')
        .sleeps(10)
        .say('storage.readonly', 'fs:/data', 0, { ...MOUNT, readOnly: true }, 'filesystem')
        .say(
          'storage.users',
          'fs:/data',
          1,
          { holders: [{ pid: 10, start: 10_000, comm: 'p10', fd: 3, mode: 'r' }] },
          'filesystem',
        ),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'full, and the writer gave up',
    tell: (s) =>
      stack(s.seen(10))
        .say('storage.mount', 'fs:/data', 0, MOUNT, 'filesystem')
        .say(
          'storage.space',
          'fs:/data',
          100,
          { sizeBytes: 1024 ** 3, freeBytes: 0, inodes: 1_000, freeInodes: 10 },
          'filesystem',
        )
        .say(
          'storage.users',
          'fs:/data',
          1,
          { holders: [{ pid: 10, start: 10_000, comm: 'p10', fd: 3, mode: 'rw' }] },
          'filesystem',
        )
        .later(100)
        .exited(10, { code: 28 }),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'StorageIoError/DiskFull',
      root: 'fs:/data',
      summary: /^exited with code 28: fs:\/data is full: 0 B of 1 GiB are free/,
    },
  },
  {
    name: 'it aborted, and where it wrote to is found full a moment later',
    tell: (s) => space(aborted(s).later(50), 100),
    ask: 10,
    expect: FULL,
  },
  {
    name: '… and was known to be full, though nobody had looked whose files are there',
    tell: (s) =>
      space(stack(s.seen(10)).say('storage.mount', 'fs:/data', 0, MOUNT, 'filesystem'), 100)
        .later(1_000)
        .exited(10, { signal: 'SIGABRT', wrote: ['252:0'] }),
    ask: 10,
    expect: FULL,
  },
  {
    name: '… and room has been made since',
    tell: (s) => space(space(aborted(s).later(50), 100).later(30_000), 40),
    ask: 10,
    expect: FULL,
  },
  {
    name: '… and has room',
    tell: (s) => space(aborted(s).later(50), 40),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessCrash/Signal', root: 'pid:10', confidence: 0.97 },
  },
  {
    name: '… and nobody has looked yet: less sure',
    tell: (s) => aborted(space(stack(s.seen(10)), 40)),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessCrash/Signal', root: 'pid:10', confidence: 0.75 },
  },
  {
    name: '… and is full only long after: of that it did not end',
    tell: (s) => space(space(aborted(s).later(50), 99).later(8_000), 100),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessCrash/Signal', root: 'pid:10', confidence: 0.97 },
  },
  {
    name: '… and was full once, long before',
    tell: (s) => {
      stack(s.seen(10)).say('storage.mount', 'fs:/data', 0, MOUNT, 'filesystem');
      space(
        space(space(s, 100).later(1_000), 40)
          .later(60_000)
          .exited(10, { code: 1, wrote: ['252:0'] })
          .later(50),
        40,
      );
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessCrash/ExitCode', root: 'pid:10', confidence: 0.95 },
  },
  {
    name: 'a killed one was ended by somebody else, full or not',
    tell: (s) =>
      space(stack(s.seen(10)).say('storage.mount', 'fs:/data', 0, MOUNT, 'filesystem'), 100).exited(10, {
        signal: 'SIGKILL',
        wrote: ['252:0'],
      }),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessCrash/Signal', root: 'pid:10', confidence: 0.97 },
  },
  {
    name: 'it wrote to an overlay, whose upper directory is on what is full',
    tell: (s) => {
      const on = {
        dev: '0:50',
        fsType: 'overlay',
        mountPoint: '/run/c',
        under: ['fs:/data'],
        readOnly: false,
      };
      stack(s.seen(10))
        .say('storage.mount', 'fs:/data', 0, MOUNT, 'filesystem')
        .say('storage.mount', 'fs:/run/c', 0, on, 'filesystem')
        .exited(10, { signal: 'SIGABRT', wrote: ['0:50'] });
      space(s.later(50), 100);
    },
    ask: 10,
    expect: FULL,
  },
  {
    name: 'it ended of a read-only filesystem before anybody had looked who uses that',
    tell: (s) =>
      aborted(s)
        .later(300)
        .say('storage.readonly', 'fs:/data', 0, { ...MOUNT, readOnly: true }, 'filesystem'),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'StorageIoError/ReadOnly', root: 'fs:/data', confidence: 0.79 },
  },
  {
    name: 'the number is of what is mounted there now, not of what was',
    tell: (s) => {
      stack(s.seen(10)).say('storage.mount', 'fs:/data', 0, MOUNT, 'filesystem');
      space(s, 100).say('storage.mount', 'fs:/data', 0, { ...MOUNT, gone: true }, 'filesystem');
      s.exited(10, { code: 1, wrote: ['252:0'] });
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessCrash/ExitCode', root: 'pid:10', confidence: 0.95 },
  },
  {
    name: 'a filesystem that is being frozen writes back first: its device has had work, and none of this wait',
    tell: (s) =>
      s
        .seen(10)
        .say('storage.device', 'block:loop0', 1e9, { dev: '7:0', kind: 'loop', under: [] })
        .say('storage.mount', 'fs:/data', 0, { ...MOUNT, dev: '7:0', under: ['block:loop0'] }, 'filesystem')
        .say('storage.use', 'block:loop0', 0, { ...QUIET, writes: { count: 9, sizeBytes: 36_864, p99Ms: 2 } })
        .wait('wait.disk', 10, 'fs:/data', { dev: '7:0' }, { forMs: 1_800 }),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'StorageSlow/Device', root: 'fs:/data', confidence: 0.72 },
  },
  {
    name: 'a file server that has not answered yet, before the counters of the mount say so',
    tell: (s) =>
      s
        .seen(10)
        .say(
          'storage.mount',
          'fs:/mnt',
          0,
          { dev: '0:45', fsType: 'nfs4', mountPoint: '/mnt', under: [], server: '10.0.0.5', readOnly: false },
          'filesystem',
        )
        .wait('wait.disk', 10, 'fs:/mnt', { dev: '0:45' }, { forMs: 2_100 }),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'StorageSlow/Nfs',
      root: 'peer:10.0.0.5',
      chain: ['pid:10', 'fs:/mnt', 'peer:10.0.0.5', 'error:not-responding/peer:10.0.0.5'],
      summary: /has not answered a request on fs:\/mnt for 2\.1 s/,
    },
  },
  {
    name: 'a file server that does not answer',
    tell: (s) =>
      s
        .seen(10)
        .say(
          'storage.mount',
          'fs:/mnt',
          0,
          { dev: '0:45', fsType: 'nfs4', mountPoint: '/mnt', under: [], server: '10.0.0.5', readOnly: false },
          'filesystem',
        )
        .say(
          'storage.rpc',
          'fs:/mnt',
          12_000,
          { server: '10.0.0.5', outstanding: 3, retransmits: 0, operations: 100 },
          'filesystem',
        )
        .wait('wait.disk', 10, 'fs:/mnt', { dev: '0:45' }, { forMs: 12_000 }),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'StorageSlow/Nfs',
      root: 'peer:10.0.0.5',
      chain: ['pid:10', 'fs:/mnt', 'peer:10.0.0.5', 'error:not-responding/peer:10.0.0.5'],
      summary: /3 requests of fs:\/mnt sent and unanswered/,
    },
  },
  {
    name: '… and whose TCP connection gets no ACK either: another ailment, and the same scene',
    tell: (s) => {
      const to = flow(7, { remote: '10.0.0.5', rport: 2_049, owner: { kernel: true } });
      s.seen(10)
        .say(
          'storage.mount',
          'fs:/mnt',
          0,
          { dev: '0:45', fsType: 'nfs4', mountPoint: '/mnt', under: [], server: '10.0.0.5', readOnly: false },
          'filesystem',
        )
        .transport('transport.timeout', unacked(to, s.now - 10_000), 5)
        .say(
          'storage.rpc',
          'fs:/mnt',
          12_000,
          { server: '10.0.0.5', outstanding: 3, retransmits: 0, operations: 100 },
          'filesystem',
        )
        .wait('wait.disk', 10, 'fs:/mnt', { dev: '0:45' }, { forMs: 12_000 });
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'StorageSlow/Nfs',
      root: 'peer:10.0.0.5',
      chain: ['pid:10', 'fs:/mnt', 'peer:10.0.0.5', 'error:unreachable/peer:10.0.0.5'],
      summary: /nor does it acknowledge TCP segments \(5 timeouts in a row\)$/,
    },
  },
  {
    name: 'a filesystem of which nobody knows what it lies on has no finer scene',
    tell: (s) =>
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
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'StorageSlow', root: 'fs:/fuse' },
  },
]);
