import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { Places } from '../../src/probes/kmsg-places.js';
import { headOf, lineOf } from '../../src/probes/kmsg-record.js';
import { type Found, recognise } from '../../src/probes/kmsg-rules.js';
import { fc, runs } from '../lib/property.js';

interface Row {
  readonly text: string;
  readonly device?: string;
  readonly found: Partial<Found>;
}

/** A /sys and a /proc with one of everything. */
function machine(root: string): Places {
  const put = (path: string, text = ''): void => {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  };
  const disk = '../../devices/pci0000:00/0000:00:1f.2';
  put('sys/class/nvme/nvme0/nvme0c0n1/size');
  put('sys/class/nvme/nvme1/nvme1n1/size');
  put('sys/bus/scsi/devices/2:0:0:0/block/sdc/size');
  put('sys/bus/pci/devices/0000:3b:00.0/net/ens1np0/ifindex', '3\n');
  put('sys/bus/pci/devices/0000:5e:00.0/infiniband/mlx5_2/uevent');
  put('sys/bus/pci/devices/0000:5e:00.0/net/ibp94s0/ifindex', '4\n');
  put('sys/class/net/ens1np0/ifindex', '3\n');
  // Behind one port: a disk whose namespace is a head of its own, and an adapter of two kinds.
  const port = '../../devices/pci0000:00/0000:00:01.0';
  put(`sys/class/nvme/${port}/0000:01:00.0/nvme/nvme2/nvme2c2n1/size`);
  symlinkSync(`${port}/0000:01:00.0/nvme/nvme2`, join(root, 'sys/class/nvme/nvme2'));
  for (const [kind, name] of [
    ['net', 'ens2'],
    ['infiniband', 'mlx5_3'],
  ] as const) {
    mkdirSync(join(root, 'sys/class', kind), { recursive: true });
    symlinkSync(`${port}/0000:02:00.0/${kind}/${name}`, join(root, 'sys/class', kind, name));
  }
  mkdirSync(join(root, 'sys/class/block'), { recursive: true });
  mkdirSync(join(root, 'sys/dev/block'), { recursive: true });
  for (const [name, dev, path] of [
    ['sda', '8:0', `${disk}/ata3/host2/target2:0:0/2:0:0:0/block/sda`],
    ['sda1', '8:1', `${disk}/ata3/host2/target2:0:0/2:0:0:0/block/sda/sda1`],
    ['dm-0', '253:0', '../../devices/virtual/block/dm-0'],
    ['nvme0n1', '259:0', '../../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1'],
  ] as const) {
    put(join('sys/class/block', path, 'dev'), `${dev}\n`);
    symlinkSync(path, join(root, 'sys/class/block', name));
    symlinkSync(`../../class/block/${path}`, join(root, 'sys/dev/block', dev));
  }
  put(
    'proc/self/mountinfo',
    [
      '21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw',
      '22 21 8:1 /srv /mnt/bind rw - ext4 /dev/sda1 rw',
      '30 21 253:0 / /data\\040set rw,noatime shared:9 - xfs /dev/mapper/vg-data rw,attr2',
      '31 21 0:45 / /fast rw - btrfs /dev/nvme0n1 rw,ssd',
      '40 21 0:51 / /home rw shared:20 - nfs4 filer.example:/export rw,vers=4.2,proto=tcp,clientaddr=10.0.0.7,addr=10.0.0.9',
      'garbage',
      '',
    ].join('\n'),
  );
  return new Places({ sysDir: join(root, 'sys'), procDir: join(root, 'proc') });
}

const hw = (entity: string, kind: string, severity: string, more: object = {}) =>
  ({ type: 'error.hw', entity, class: kind, severity, ...more }) as Partial<Found>;
const kernel = (entity: string, kind: string, more: object = {}) =>
  ({ type: 'error.kernel', entity, class: kind, ...more }) as Partial<Found>;
const fs = (entity: string, kind: string, fsType: string) =>
  ({ type: 'error.fs', entity, class: kind, fsType }) as Partial<Found>;
const gpu = (entity: string, attrs: object, more: object = {}) =>
  ({ type: 'error.xid', entity, attrs, ...more }) as Partial<Found>;
const link = (entity: string, up: boolean, driver: string) =>
  ({ type: 'topo.link', entity, up, driver }) as Partial<Found>;

const NIC = '+pci:0000:3b:00.0';
const IB = '+pci:0000:5e:00.0';
const DIMM =
  'CPU_SrcID#0_MC#0_Chan#0_DIMM#0 (channel:0 slot:0 page:0x1a2b3c offset:0x0 grain:32 syndrome:0x0';

/** Lines as kernels print them, and what each means. */
const FAULTS: readonly Row[] = [
  {
    text: 'I/O error, dev sda, sector 245759752 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2',
    found: hw('block:sda', 'scsi', 'uncorrected'),
  },
  {
    text: 'blk_update_request: I/O error, dev nvme0n1, sector 2048 op 0x1:(WRITE) flags 0x800 phys_seg 1 prio class 0',
    found: hw('block:nvme0n1', 'nvme', 'uncorrected'),
  },
  {
    text: 'critical medium error, dev sda, sector 4656 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2',
    found: hw('block:sda', 'scsi', 'uncorrected'),
  },
  {
    text: 'timeout error, dev nvme0n1, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2',
    found: hw('block:nvme0n1', 'nvme', 'warning'),
  },
  {
    text: 'nvme0n1: Read(0x2) @ LBA 2048, 8 blocks, Unrecovered Read Error (sct 0x2 / sc 0x81) DNR ',
    found: hw('block:nvme0n1', 'nvme', 'uncorrected'),
  },
  {
    text: 'nvme nvme0: I/O 5 QID 1 timeout, aborting',
    device: '+nvme:nvme0',
    found: hw('block:nvme0n1', 'nvme', 'warning'),
  },
  {
    text: 'nvme nvme1: I/O 258 (I/O Cmd) QID 4 timeout, reset controller',
    device: 'c240:1',
    found: hw('block:nvme1n1', 'nvme', 'warning'),
  },
  {
    text: 'nvme nvme1: I/O tag 770 (b302) opcode 0x2 (I/O Cmd) QID 4 timeout, aborting req_op:READ(0) size:4096',
    device: 'c240:1',
    found: hw('block:nvme1n1', 'nvme', 'warning'),
  },
  {
    text: 'nvme nvme0: controller is down; will reset: CSTS=0xffffffff, PCI_STATUS=0x10',
    device: 'c240:0',
    found: hw('block:nvme0n1', 'nvme', 'uncorrected'),
  },
  {
    text: 'nvme nvme9: Disabling device after reset failure: -19',
    device: 'c240:9',
    found: hw('dev:nvme9', 'nvme', 'fatal'),
  },
  {
    text: 'nvme nvme0: Removing after probe failure status: -19',
    device: 'c240:0',
    found: hw('block:nvme0n1', 'nvme', 'fatal'),
  },
  {
    text: 'sd 2:0:0:0: [sdc] tag#12 Sense Key : Medium Error [current] ',
    device: '+scsi:2:0:0:0',
    found: hw('block:sdc', 'scsi', 'uncorrected'),
  },
  {
    text: 'sd 2:0:0:0: [sdc] tag#0 Sense Key : 0x3 [current] ',
    device: '+scsi:2:0:0:0',
    found: hw('block:sdc', 'scsi', 'uncorrected'),
  },
  {
    text: 'sd 2:0:0:0: [sdc] tag#1 Sense Key : Recovered Error [current] ',
    device: '+scsi:2:0:0:0',
    found: hw('block:sdc', 'scsi', 'corrected'),
  },
  {
    text: 'sd 2:0:0:0: Device offlined - not ready after error recovery',
    device: '+scsi:2:0:0:0',
    found: hw('block:sdc', 'scsi', 'fatal'),
  },
  {
    text: 'sd 2:0:0:0: [sdc] tag#5 timing out command, waited 180s',
    device: '+scsi:2:0:0:0',
    found: hw('block:sdc', 'scsi', 'warning'),
  },
  {
    text: 'ata3.00: exception Emask 0x0 SAct 0x10000 SErr 0x0 action 0x6 frozen',
    found: hw('block:sda', 'ata', 'uncorrected'),
  },
  { text: 'ata3.00: failed command: READ FPDMA QUEUED', found: hw('block:sda', 'ata', 'uncorrected') },
  { text: 'ata3.00: error: { UNC }', found: hw('block:sda', 'ata', 'uncorrected') },
  { text: 'ata3.00: disable device', found: hw('block:sda', 'ata', 'fatal') },
  { text: 'ata7.00: disabled', found: hw('dev:ata7', 'ata', 'fatal') },
  {
    text: 'md/raid1:md0: Disk failure on sda1, disabling device.\nmd/raid1:md0: Operation continuing on 1 devices.',
    found: hw('block:sda1', 'md', 'uncorrected', { about: ['block:md0'] }),
  },
  {
    text: 'md/raid:md127: Disk failure on nvme3n1p1, disabling device.',
    found: hw('block:nvme3n1p1', 'md', 'uncorrected', { about: ['block:md127'] }),
  },
  {
    text: 'md/raid0md0: Disk failure on nvme0n1p1 detected, failing array.',
    found: hw('block:nvme0n1p1', 'md', 'fatal', { about: ['block:md0'] }),
  },
  {
    text: 'md/raid:md127: Cannot continue operation (2/3 failed).',
    found: hw('block:md127', 'md', 'fatal'),
  },
  {
    text: 'md/raid1:md0: read error corrected (8 sectors at 4656 on sda1)',
    found: hw('block:sda1', 'md', 'corrected', { about: ['block:md0'] }),
  },
  {
    text: 'md/raid1:md0: sda1: unrecoverable I/O read error for block 4656',
    found: { ...fs('block:md0', 'io-error', ''), op: 'read' } as Partial<Found>,
  },
  {
    text: 'device-mapper: multipath: 253:0: Failing path 8:0.',
    found: hw('block:sda', 'other', 'uncorrected', { about: ['block:dm-0'] }),
  },
  {
    text: 'device-mapper: thin: 253:0: switching pool to out-of-data-space (queue IO) mode',
    found: hw('block:dm-0', 'other', 'fatal'),
  },
  {
    text: 'device-mapper: verity: 8:1: data block 12 is corrupted',
    found: hw('block:sda1', 'other', 'uncorrected'),
  },

  { text: 'EXT4-fs (sda1): Remounting filesystem read-only', found: fs('fs:/', 'read-only', 'ext4') },
  { text: 'EXT4-fs (sdz9): shut down requested (2)', found: fs('block:sdz9', 'shutdown', 'ext4') },
  {
    text: 'EXT4-fs error (device sda1): ext4_lookup:1785: inode #2: comm ls: deleted inode referenced: 12',
    found: fs('fs:/', 'error', 'ext4'),
  },
  {
    text: 'EXT4-fs error (device sda1) in ext4_reserve_inode_write:5824: IO failure',
    found: fs('fs:/', 'error', 'ext4'),
  },
  { text: 'EXT4-fs (sda1): I/O error while writing superblock', found: fs('fs:/', 'io-error', 'ext4') },
  {
    text: 'EXT4-fs warning (device sda1): ext4_end_bio:343: I/O error 10 writing to inode 12 starting block 34304)',
    found: { ...fs('fs:/', 'io-error', 'ext4'), op: 'write' } as Partial<Found>,
  },
  { text: 'Aborting journal on device sda1-8.', found: fs('fs:/', 'error', 'ext4') },
  {
    text: 'JBD2: Detected IO errors while flushing file data on sda1-8',
    found: fs('fs:/', 'io-error', 'ext4'),
  },
  {
    text: 'XFS (dm-0): Corruption of in-memory data detected.  Shutting down filesystem',
    found: fs('fs:/data set', 'shutdown', 'xfs'),
  },
  {
    text: 'XFS (dm-0): Corruption of in-memory data (0x8) detected at xfs_trans_cancel+0x1a/0x30 [xfs] (fs/xfs/xfs_trans.c:1098).  Shutting down filesystem.',
    found: fs('fs:/data set', 'shutdown', 'xfs'),
  },
  {
    text: 'XFS (dm-0): Log I/O Error (0x2) detected at xlog_ioend_work+0x8e/0x90 [xfs] (fs/xfs/xfs_log.c:1378).  Shutting down filesystem.',
    found: fs('fs:/data set', 'shutdown', 'xfs'),
  },
  {
    text: 'XFS (dm-0): User initiated shutdown received. Shutting down filesystem',
    found: fs('fs:/data set', 'shutdown', 'xfs'),
  },
  {
    text: 'XFS (dm-0): metadata I/O error in "xfs_imap_to_bp+0x50/0x70 [xfs]" at daddr 0x40 len 32 error 5',
    found: fs('fs:/data set', 'io-error', 'xfs'),
  },
  {
    text: 'XFS (dm-0): Metadata corruption detected at xfs_agf_verify+0x3c/0x40 [xfs], xfs_agf block 0x1 ',
    found: fs('fs:/data set', 'error', 'xfs'),
  },
  {
    text: 'BTRFS info (device nvme0n1): forced readonly',
    found: fs('fs:/fast', 'read-only', 'btrfs'),
  },
  {
    text: 'BTRFS info (device nvme0n1: state E): forced readonly',
    found: fs('fs:/fast', 'read-only', 'btrfs'),
  },
  {
    text: 'BTRFS error (device nvme0n1): bdev /dev/nvme0n1 errs: wr 1, rd 0, flush 0, corrupt 0, gen 0',
    found: fs('fs:/fast', 'io-error', 'btrfs'),
  },
  {
    text: 'BTRFS: error (device nvme0n1: state A) in btrfs_commit_transaction:2418: errno=-5 IO failure (Error while writing out transaction)',
    found: fs('fs:/fast', 'error', 'btrfs'),
  },
  {
    text: 'Buffer I/O error on dev sda1, logical block 8388607, lost async page write',
    found: { ...fs('fs:/', 'io-error', 'ext4'), op: 'write' } as Partial<Found>,
  },
  {
    text: 'Buffer I/O error on dev dm-7, logical block 0, async page read',
    found: { ...fs('block:dm-7', 'io-error', ''), op: 'read' } as Partial<Found>,
  },
  {
    text: 'dm-0: writeback error on inode 131, offset 0, sector 112',
    found: { ...fs('fs:/data set', 'io-error', 'xfs'), op: 'write' } as Partial<Found>,
  },
  {
    text: 'nfs: server filer.example not responding, still trying',
    found: { type: 'storage.server', entity: 'peer:10.0.0.9', server: 'filer.example', responding: false },
  },
  {
    text: 'nfs: server 10.0.0.3 not responding, timed out',
    found: { type: 'storage.server', entity: 'peer:10.0.0.3', server: '10.0.0.3', responding: false },
  },
  {
    text: 'lockd: server filer.example OK',
    found: { type: 'storage.server', entity: 'peer:10.0.0.9', server: 'filer.example', responding: true },
  },

  {
    text: 'INFO: task python3:4242 blocked for more than 122 seconds.',
    found: kernel('pid:4242', 'hung-task', { pid: 4242, comm: 'python3', seconds: 122 }),
  },
  {
    text: 'INFO: task dd:456 blocked in I/O wait for more than 122 seconds.',
    found: kernel('pid:456', 'hung-task', { pid: 456, comm: 'dd', seconds: 122 }),
  },
  {
    text: 'INFO: task a:1 blocked\u001b[:77 blocked for more than 5 seconds.',
    found: kernel('pid:77', 'hung-task', { pid: 77, comm: 'a:1 blocked\\x1b[' }),
  },
  {
    text: 'watchdog: BUG: soft lockup - CPU#3 stuck for 26s! [kworker/3:1:187]',
    found: kernel('cpu:3', 'soft-lockup', { pid: 187, comm: 'kworker/3:1', seconds: 26 }),
  },
  { text: 'NMI watchdog: Watchdog detected hard LOCKUP on cpu 12', found: kernel('cpu:12', 'hard-lockup') },
  {
    text: 'watchdog: CPU3: Watchdog detected hard LOCKUP on cpu 3',
    found: kernel('cpu:3', 'hard-lockup'),
  },
  {
    text: 'rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:',
    found: kernel('node', 'rcu-stall'),
  },
  { text: 'rcu: INFO: rcu_sched self-detected stall on CPU', found: kernel('node', 'rcu-stall') },
  {
    text: 'rcu: \t3-....: (5249 ticks this GP) idle=e06/1/0x4000000000000000 softirq=1/1 fqs=2624',
    found: kernel('cpu:3', 'rcu-stall'),
  },
  {
    text: 'Memory cgroup out of memory: Killed process 25303 (python3) total-vm:276108kB, anon-rss:32512kB, file-rss:5304kB, shmem-rss:0kB, UID:0 pgtables:120kB oom_score_adj:0',
    found: kernel('pid:25303', 'oom', { pid: 25303, comm: 'python3' }),
  },
  {
    text: 'Out of memory: Killed process 7 (a) (b) total-vm:1kB, anon-rss:1kB',
    found: kernel('pid:7', 'oom', { comm: 'a) (b' }),
  },
  {
    text: 'BUG: unable to handle page fault for address: ffffbf1c01ba2fa8',
    found: kernel('node', 'bug'),
  },
  { text: 'BUG: kernel NULL pointer dereference, address: 0000000000000008', found: kernel('node', 'bug') },
  { text: 'kernel BUG at mm/slub.c:305!', found: kernel('node', 'bug') },
  { text: 'Kernel panic - not syncing: Fatal exception', found: kernel('node', 'bug') },
  { text: 'Oops: 0002 [#1] PREEMPT SMP NOPTI', found: kernel('node', 'bug') },
  { text: 'Oops: Oops: 0002 [#1] SMP NOPTI', found: kernel('node', 'bug') },
  {
    text: 'Oops: general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#1] SMP NOPTI',
    found: kernel('node', 'bug'),
  },
  { text: 'invalid opcode: 0000 [#1] PREEMPT SMP NOPTI', found: kernel('node', 'bug') },
  { text: 'Internal error: Oops: 0000000096000004 [#1] SMP', found: kernel('node', 'bug') },

  {
    text: 'mce: [Hardware Error]: CPU 4: Machine Check Exception: 5 Bank 0: b200000000070005',
    found: hw('cpu:4', 'mce', 'uncorrected'),
  },
  { text: 'mce: [Hardware Error]: Machine check events logged', found: hw('node', 'mce', 'warning') },
  { text: '[Hardware Error]: Corrected error, no action required.', found: hw('node', 'mce', 'corrected') },
  { text: '[Hardware Error]: System Fatal error.', found: hw('node', 'mce', 'fatal') },
  { text: '{1}[Hardware Error]: event severity: recoverable', found: hw('node', 'mce', 'uncorrected') },
  {
    text: 'Memory failure: 0x1f8a2b: recovery action for dirty LRU page: Recovered',
    found: hw('node', 'mce', 'uncorrected', { about: [] }),
  },
  {
    text: 'Memory failure: 0x1f8a2b: Sending SIGBUS to python3:4242 due to hardware memory corruption',
    found: hw('node', 'mce', 'uncorrected', { about: ['pid:4242'] }),
  },
  {
    text: 'Memory failure: 0x1f8a2b: forcibly killing a:7 b:4242 because of failure to unmap corrupted page',
    found: hw('node', 'mce', 'uncorrected', { about: ['pid:4242'] }),
  },
  {
    text: 'MCE: Killing python3:4242 due to hardware memory corruption fault at 7f21c0000000',
    found: hw('node', 'mce', 'uncorrected', { about: ['pid:4242'] }),
  },
  {
    text: `EDAC MC0: 1 CE memory read error on ${DIMM} -  err_code:0x0101:0x0090 socket:0)`,
    found: hw('edac:mc0', 'edac', 'corrected'),
  },
  {
    text: `EDAC MC1: 1 UE memory scrubbing error on ${DIMM})`,
    found: hw('edac:mc1', 'edac', 'uncorrected'),
  },
  {
    text: 'nvme 0000:3b:00.0: PCIe Bus Error: severity=Corrected, type=Physical Layer, (Receiver ID)',
    device: NIC,
    found: hw('pci:0000:3b:00.0', 'aer', 'corrected'),
  },
  {
    text: 'pcieport 0000:00:05.0: PCIe Bus Error: severity=Correctable, type=Data Link Layer, (Receiver ID)',
    device: '+pci:0000:00:05.0',
    found: hw('pci:0000:00:05.0', 'aer', 'corrected'),
  },
  {
    text: 'pcieport 0000:00:01.0: AER: PCIe Bus Error: severity=Uncorrected (Non-Fatal), type=Transaction Layer, (Requester ID)',
    device: '+pci:0000:00:01.0',
    found: hw('pci:0000:00:01.0', 'aer', 'uncorrected'),
  },
  {
    text: 'pcieport 0000:00:01.0: PCIe Bus Error: severity=Uncorrectable (Fatal), type=Inaccessible, (Unregistered Agent ID)',
    device: '+pci:0000:00:01.0',
    found: hw('pci:0000:00:01.0', 'aer', 'fatal'),
  },
  {
    text: 'pcieport 0000:00:01.0: DPC: containment event, status:0x1f01 source:0x0000',
    device: '+pci:0000:00:01.0',
    found: hw('pci:0000:00:01.0', 'aer', 'fatal', { about: ['block:nvme2n1', 'net:ens2', 'rdma:mlx5_3/1'] }),
  },
  {
    text: 'pcieport 0000:80:03.1: pciehp: Slot(5): Link Down',
    device: '+pci:0000:80:03.1',
    found: hw('pci:0000:80:03.1', 'other', 'fatal'),
  },
  {
    text: 'CPU7: Core temperature is above threshold, cpu clock is throttled (total events = 1)',
    found: hw('cpu:7', 'thermal', 'warning'),
  },
  {
    text: 'mce: CPU0: Package temperature above threshold, cpu clock throttled (total events = 252658)',
    found: hw('cpu:0', 'thermal', 'warning'),
  },
  {
    text: 'thermal thermal_zone0: critical temperature reached, shutting down',
    device: '+thermal:thermal_zone0',
    found: hw('node', 'thermal', 'fatal'),
  },
  {
    text: 'mlx5_core 0000:5e:00.0: temp_warn:193:(pid 0): High temperature on sensors with bit set 0x1 0x0',
    device: IB,
    found: hw('rdma:mlx5_2/1', 'thermal', 'warning'),
  },
  {
    text: "mlx5_core 0000:3b:00.0: poll_health:825:(pid 0): device's health compromised - reached miss count",
    device: NIC,
    found: hw('net:ens1np0', 'other', 'uncorrected'),
  },
  {
    text: 'NETDEV WATCHDOG: ens1np0 (mlx5_core): transmit queue 3 timed out',
    found: hw('net:ens1np0', 'other', 'uncorrected'),
  },
  {
    text: 'mlx5_core 0000:3b:00.0 ens1np0: NETDEV WATCHDOG: CPU: 4: transmit queue 3 timed out 15000 ms',
    device: NIC,
    found: hw('net:ens1np0', 'other', 'uncorrected'),
  },

  {
    text: 'mlx5_core 0000:3b:00.0 ens1np0: Link down',
    device: NIC,
    found: link('net:ens1np0', false, 'mlx5_core'),
  },
  {
    text: 'mlx5_core 0000:3b:00.0 ens1np0: Link up',
    device: NIC,
    found: link('net:ens1np0', true, 'mlx5_core'),
  },
  {
    text: 'ice 0000:3b:00.0 ens1np0: NIC Link is up 25 Gbps Full Duplex, Requested FEC: RS-FEC',
    device: NIC,
    found: link('net:ens1np0', true, 'ice'),
  },
  {
    text: 'igb 0000:3b:00.0 ens1np0: igb: ens1np0 NIC Link is Down',
    device: NIC,
    found: link('net:ens1np0', false, 'igb'),
  },
  {
    text: 'mlx5_core 0000:3b:00.0 eth0: Link down',
    device: NIC,
    found: link('pci:0000:3b:00.0', false, 'mlx5_core'),
  },
  { text: 'e1000: eth0 NIC Link is Down', found: link('net:eth0', false, 'e1000') },
  {
    text: 'NVRM: Xid (PCI:0000:3b:00): 79, pid=77, name=python3, GPU has fallen off the bus.',
    found: gpu('gpu:0000:3b:00.0', { code: 79, toldBy: 'line', comm: 'python3' }, { pid: 77 }),
  },
  {
    text: 'NVRM: Xid (1:0): 79, GPU has fallen off the bus.',
    found: gpu('gpu:0000:01:00.0', { code: 79, toldBy: 'line' }),
  },
  {
    text: 'NVRM: Xid (PCI:0000:3B:00 GPU-I:03): 149, NETIR_LINK_EVT Fatal XC0 i0 Link 08 (0x004505c6 0x00000000)',
    found: gpu('gpu:0000:3b:00.0', {
      code: 149,
      gi: 3,
      nvlink: { unit: 'NETIR_LINK_EVT', link: 8, reason: 4 },
    }),
  },
  {
    text: 'NVRM: GPU 0000:18:00.0: GPU has fallen off the bus.',
    found: gpu('gpu:0000:18:00.0', { code: 79, toldBy: 'lost' }),
  },
  {
    text: 'nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 28006, Non-fatal, Link 46 MC TS crumbstore MCTO (First)',
    found: {
      type: 'error.sxid',
      entity: 'nvswitch:3',
      attrs: { code: 28006, pci: '0000:c1:00.0', severity: 'non-fatal', link: 46 },
    } as Partial<Found>,
  },
  {
    text: 'mlx5_core 0000:5e:00.0: Port module event: module 0, Cable unplugged',
    device: IB,
    found: link('rdma:mlx5_2/1', false, 'mlx5_core'),
  },
  {
    text: 'mlx5_core 0000:5e:00.0: Port module event[error]: module 0, Cable error, High Temperature',
    device: IB,
    found: link('rdma:mlx5_2/1', false, 'mlx5_core'),
  },
];

/** What looks like a fault and is none, or cannot be told from one that somebody made up. */
const NO_FAULTS: readonly { readonly text: string; readonly device?: string }[] = [
  { text: 'operation not supported error, dev sda, sector 0 op 0x9:(WRITE_ZEROES) flags 0x800' },
  { text: 'I/O error, dev sda' },
  { text: 'oh I/O error, dev sda, sector 1 op 0x0:(READ)' },
  { text: 'I/O error, dev ../../etc, sector 1 op 0x0:(READ)' },
  { text: 'nvme nvme0: 12/0/0 default/read/poll queues', device: 'c240:0' },
  { text: 'nvme nvme0: Shutdown timeout set to 10 seconds', device: 'c240:0' },
  { text: 'nvme nvme0: I/O 5 QID 1 timeout, aborting' },
  { text: 'nvme nvme0: Abort status: 0x0', device: 'c240:0' },
  { text: 'sd 0:0:0:0: [sda] tag#0 Sense Key : Illegal Request [current] ', device: '+scsi:0:0:0:0' },
  { text: 'sd 0:0:0:0: [sda] tag#0 Sense Key : Not Ready [current] ', device: '+scsi:0:0:0:0' },
  { text: 'sd 0:0:0:0: [sda] Write cache: enabled, read cache: enabled', device: '+scsi:0:0:0:0' },
  { text: 'ata3: SATA link down (SStatus 0 SControl 300)' },
  { text: 'ata3: SATA link up 6.0 Gbps (SStatus 133 SControl 300)' },
  { text: 'md/raid1:md0: active with 2 out of 2 mirrors' },
  { text: 'md/raid1:md0: redirecting sector 4656 to other mirror: sdb1' },
  { text: 'device-mapper: multipath: 253:0: Reinstating path 8:0.' },
  { text: 'device-mapper: multipath: 253:0: Failing path 99:99.' },
  { text: 'device-mapper: thin: 253:0: switching pool to write mode' },
  { text: 'dm-0: writeback error on inode 131, offset 0, sector 112 and more' },
  { text: 'EXT4-fs (sda1): mounted filesystem with ordered data mode. Opts: (null)' },
  { text: 'EXT4-fs (sda1): re-mounted. Opts: errors=remount-ro' },
  { text: 'EXT4-fs (sda1): recovery complete' },
  { text: 'EXT4-fs warning (device sda1): ext4_dirblock_csum_verify:377: inode #2: run e2fsck -D' },
  { text: 'XFS (dm-0): Mounting V5 Filesystem' },
  { text: 'XFS (dm-0): Ending clean mount' },
  { text: 'XFS (dm-0): Unmounting Filesystem' },
  { text: 'BTRFS info (device nvme0n1): disk space caching is enabled' },
  { text: 'BTRFS warning (device nvme0n1): block group 1 has wrong amount of free space' },
  { text: 'nfs: server filer.example OKAY' },
  { text: 'nfs: server not responding, still trying' },
  { text: 'INFO: task python3:4242 is blocked on a mutex likely owned by task dd:7.' },
  { text: 'INFO: lockdep is turned off.' },
  { text: 'rcu: Hierarchical RCU implementation.' },
  { text: 'rcu: \tRCU event tracing is enabled.' },
  { text: 'python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0' },
  { text: 'traps: python3[77] general protection fault ip:7f00 sp:7ffe error:0 in libc.so.6[7f0000+1000]' },
  { text: 'mce: CPU0: Thermal monitoring enabled (TM1)' },
  { text: 'mce: Using 32 MCE banks' },
  { text: 'EDAC MC0: Giving out device to module skx_edac controller Skylake Socket#0 IMC#0' },
  { text: 'EDAC MC: Ver: 3.0.0' },
  { text: 'CPU0: Core temperature/speed normal' },
  { text: 'pcieport 0000:00:01.0: AER: enabled with IRQ 24', device: '+pci:0000:00:01.0' },
  { text: 'nvme 0000:3b:00.0: PCIe Bus Error: severity=Corrected, type=Physical Layer' },
  { text: 'eth0: renamed from veth12' },
  { text: 'IPv6: ADDRCONF(NETDEV_CHANGE): eth0: link becomes ready' },
  { text: 'mlx5_core 0000:3b:00.0 ens1np0: Link down' },
  { text: 'bond0: (slave eth0): link status definitely down, disabling slave' },
  { text: 'NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.183.01' },
  { text: 'NVRM: GPU at PCI:0000:3b:00: GPU-c24840ec-8de1-83d5-b126-08000173ae32' },
  { text: 'NVRM: Xid (PCI:0000:3b:00): 7' },
  { text: 'nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 28006, Data {0x00000000, 0x00000001}' },
  { text: 'mlx5_core 0000:5e:00.0: Port module event: module 0, Cable plugged', device: IB },
];

t.test('lines of the kernel, and what they mean', async (t) => {
  const places = machine(t.testdir());
  for (const { text, device, found } of FAULTS) {
    const line = device === undefined ? { text } : { text, device };
    t.match(recognise(line, places) ?? 'nothing', found, text);
  }
});

t.test('lines that are no faults', async (t) => {
  const places = machine(t.testdir());
  for (const line of NO_FAULTS) t.equal(recognise(line, places), undefined, line.text);
});

t.test('nobody makes up a fault with names of his choice', async (t) => {
  const places = machine(t.testdir());
  // Lines that the kernel begins with a process name: 15 bytes of somebody's choice, and more of it later on.
  for (const { text } of FAULTS) {
    for (let cut = 1; cut <= Math.min(15, text.length); cut++) {
      const [comm, rest] = [text.slice(0, cut), text.slice(cut)];
      for (const line of [
        `${comm}[77]: segfault at 0 ip 00007f21c0a1 sp 00007ffc21 error 4 in ${rest}[7f21c0000000+1000]`,
        `${comm}[77]: segfault at 0 ip 00007f21c0a1 sp 00007ffc21 error 4 in ${rest}[7f21c+1] likely on CPU 1 (core 1, socket 0)`,
        `${comm}: page allocation failure: order:0, mode:0xcc0(GFP_KERNEL), nodemask=(null),cpuset=${rest},mems_allowed=0`,
        `${comm} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0`,
        `${comm} (77): drop_caches: 3`,
      ])
        if (recognise({ text: line }, places) !== undefined) t.fail(line);
    }
  }
  t.pass();
});

t.test('no line makes it throw, and none takes long', async (t) => {
  const places = machine(t.testdir());
  const pieces = fc.constantFrom(
    ...FAULTS.flatMap(({ text }) => text.split(/(?<=[ :(])/)),
    ' ',
    ':',
    'a',
    '0',
    '[',
    '\n',
  );
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 1024 }),
    fc.array(pieces, { maxLength: 200 }).map((parts) => parts.join('').slice(0, 1024)),
    fc
      .tuple(fc.constantFrom(...FAULTS.map(({ text }) => text)), pieces, fc.nat(80))
      .map(([text, piece, at]) => `${text.slice(0, at)}${piece.repeat(1024)}`.slice(0, 1024)),
  );
  let worstMs = 0;
  fc.assert(
    fc.property(hostile, fc.boolean(), (text, device) => {
      const line = device ? { text, device: NIC } : { text };
      let leastMs = Number.POSITIVE_INFINITY;
      // What else the machine does may take its time once or twice, a pattern takes it every time.
      for (let i = 0; i < 5 && leastMs > 1; i++) {
        const started = performance.now();
        recognise(line, places);
        leastMs = Math.min(leastMs, performance.now() - started);
      }
      worstMs = Math.max(worstMs, leastMs);
    }),
    { numRuns: runs(3_000) },
  );
  // A pattern that goes back over what it has read takes seconds for 1 KB.
  t.ok(worstMs < 25, `${worstMs.toFixed(2)} ms for the slowest`);
});

function record(text: string): ReturnType<typeof lineOf> | undefined {
  const bytes = Buffer.from(text, 'latin1');
  const head = headOf(bytes, bytes.length);
  return head === undefined ? undefined : lineOf(bytes, head, bytes.length);
}

t.test('records', async (t) => {
  const text = '3,1721,98123456,-,caller=T77;a\\x0ab; c\\\\xe4\\xc3\\xa4\n SUBSYSTEM=block\n DEVICE=b8:0\n';
  const bytes = Buffer.from(text);
  t.match(headOf(bytes, bytes.length), { facility: 0, level: 3, seq: 1721, timeUs: 98123456 });
  t.match(record('14,5,6,-;x\n'), { text: 'x' });
  t.equal(headOf(Buffer.from('14,5,6,-;x\n'), 11)?.facility, 1);
  t.strictSame(record('4,1,2,c;a\\x0ab; c\\xc3\\xa4\n SUBSYSTEM=block\n DEVICE=b8:0\n'), {
    text: 'a\nb; cä',
    device: 'b8:0',
  });
  t.strictSame(record('4,1,2,-;DEVICE=b8:0\n'), { text: 'DEVICE=b8:0' }, 'only the dictionary names devices');
  t.strictSame(record('4,1,2,-;a\\x0a DEVICE=b8:0\n'), { text: 'a\n DEVICE=b8:0' });
  for (const bad of [
    '',
    ';',
    '3,1,2',
    '3,1,2,-',
    'x,1,2,-;a',
    '3,,2,-;a',
    '-3,1,2,-;a',
    `${'9'.repeat(40)},1,2,-;a`,
  ])
    t.equal(record(bad), undefined, bad);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2048 }), (raw) => {
      const buffer = Buffer.from(raw);
      const head = headOf(buffer, buffer.length);
      if (head !== undefined) assert.ok(lineOf(buffer, head, buffer.length).text.length <= 1024);
    }),
  );
});
