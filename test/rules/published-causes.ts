/**
 * What others have published about why large trainings stop, row by row, with what this project says of it: scene,
 * rules, and the scenarios of the fault lab that prove it. docs/published-causes.md is written from this.
 */

export interface PublishedCause {
  /** As in the source. */
  readonly cause: string;
  /** As printed there. */
  readonly count: string;
  /** Names in `Scenario.proves` of the lab whose scenarios stand for it. */
  readonly keys: readonly string[];
  /** `Scene` or `Scene/SubScene`; none: it is in no scene. */
  readonly scenes: readonly string[];
  readonly rules: readonly string[];
  /** What is not seen, or why nothing in the lab stands for it. */
  readonly note?: string;
}

export interface PublishedTable {
  readonly title: string;
  readonly text: string;
  readonly countHead: string;
  readonly rows: readonly PublishedCause[];
}

const CRASHES = ['ProcessCrash/ExitCode', 'ProcessCrash/Signal'];
const OUTSIDE = 'how it ends is told (SIGTERM, SIGKILL); that it was planned is known to the scheduler alone';

const LLAMA3: readonly PublishedCause[] = [
  {
    cause: 'Faulty GPU',
    count: '148',
    keys: ['llama3/faulty-gpu'],
    scenes: ['GpuError/OffBus', 'GpuError'],
    rules: [
      'gpu-off-bus',
      'gpu-off-bus-with-pcie-errors',
      'gpu-wants-reset',
      'gpu-xid-again',
      'gpu-other-xid',
    ],
  },
  {
    cause: 'GPU HBM3 memory',
    count: '72',
    keys: ['llama3/gpu-hbm3-memory'],
    scenes: ['GpuError/Ecc'],
    rules: [
      'gpu-memory-uncorrectable',
      'gpu-memory-error-contained',
      'gpu-row-remap-pending',
      'gpu-row-remap-failed',
    ],
  },
  {
    cause: 'Software bug',
    count: '54',
    keys: ['llama3/software-bug'],
    scenes: [...CRASHES, 'ProcessBlocked/Deadlock', 'GpuError'],
    rules: [
      'exit-program-error',
      'crash-invalid-memory-access',
      'deadlock-of-locks',
      'deadlock-of-pipes',
      'gpu-program-fault',
    ],
    note: 'that a process ended or hangs, and where; which line is wrong its own log says',
  },
  {
    cause: 'Network switch/cable',
    count: '35',
    keys: ['llama3/network-switch-cable'],
    scenes: ['NetworkStall/PathDown', 'NetworkDrop', 'NetworkDrop/PortDown', 'NetworkDrop/LinkFlapping'],
    rules: [
      'tcp-path-down',
      'tcp-packet-loss',
      'net-link-flaps',
      'rdma-path-down',
      'rdma-port-down',
      'rdma-link-flapping',
    ],
    note: 'that the path is gone, from which port to whom; which switch on the way no node can see',
  },
  {
    cause: 'Host maintenance',
    count: '32',
    keys: [],
    scenes: ['ProcessCrash/Signal'],
    rules: ['asked-to-end', 'job-ended-from-outside'],
    note: `not seen on one node: ${OUTSIDE}`,
  },
  {
    cause: 'GPU SRAM memory',
    count: '19',
    keys: ['llama3/gpu-sram-memory'],
    scenes: ['GpuError/Ecc'],
    rules: ['gpu-sram-uncorrectable', 'gpu-memory-error-contained', 'gpu-memory-error-uncontained'],
  },
  {
    cause: 'GPU system processor',
    count: '17',
    keys: ['llama3/gpu-system-processor'],
    scenes: ['GpuError'],
    rules: ['gpu-system-processor'],
  },
  {
    cause: 'NIC',
    count: '7',
    keys: ['llama3/nic'],
    scenes: ['NetworkStall/PathDown', 'NetworkDrop/PortDown', 'NetworkDrop/DeviceFatal'],
    rules: ['tcp-path-down-since-link-fell', 'rdma-port-down', 'rdma-device-fatal'],
  },
  {
    cause: 'NCCL watchdog timeouts',
    count: '7',
    keys: ['llama3/nccl-watchdog-timeouts'],
    scenes: ['ProcessBlocked', 'NetworkStall', 'ProcessCrash/Signal'],
    rules: ['nccl-rank-behind', 'nccl-rank-elsewhere-behind', 'ranks-aborted-together', 'tcp-peer-slow'],
    note: 'never a cause here: who is waited for is',
  },
  {
    cause: 'Silent data corruption',
    count: '6',
    keys: [],
    scenes: [],
    rules: [],
    note: 'not seen on one node: nothing fails, waits or is counted; ranks have to compare what they computed',
  },
  {
    cause: 'GPU thermal interface + sensor',
    count: '6',
    keys: ['llama3/gpu-thermal'],
    scenes: ['GpuError/Thermal'],
    rules: ['gpu-thermal'],
  },
  {
    cause: 'SSD',
    count: '3',
    keys: ['llama3/ssd'],
    scenes: ['StorageIoError', 'StorageIoError/DeviceGone', 'StorageSlow/Device'],
    rules: [
      'disk-media-error',
      'disk-request-failed',
      'disk-fails-again-and-again',
      'disk-gone',
      'disk-request-stuck',
    ],
  },
  {
    cause: 'Power supply',
    count: '3',
    keys: ['llama3/power-supply'],
    scenes: ['GpuError'],
    rules: ['gpu-power-brake', 'gpu-power-cable'],
    note: 'that of a GPU, and a power brake, are seen; a node without power says nothing',
  },
  {
    cause: 'Server chassis',
    count: '2',
    keys: [],
    scenes: [],
    rules: [],
    note: 'not seen on one node as such; what it does to GPUs and links is told as theirs',
  },
  {
    cause: 'IO expansion board',
    count: '2',
    keys: [],
    scenes: ['GpuError/OffBus', 'NetworkDrop/DeviceFatal'],
    rules: ['gpu-off-bus-with-pcie-errors', 'rdma-device-fatal'],
    note: 'as errors of PCIe above what fell off; recordings only',
  },
  {
    cause: 'Dependency',
    count: '2',
    keys: ['byterobust/external-service'],
    scenes: ['NetworkStall/Refused', 'NetworkStall/PathDown', 'StorageSlow/Nfs'],
    rules: ['tcp-connection-refused', 'tcp-connect-unanswered', 'file-server-silent'],
    note: 'that the service does not answer; why not is to be asked there',
  },
  {
    cause: 'CPU',
    count: '2',
    keys: [],
    scenes: ['ProcessBlocked/KernelLockup', 'ProcessCrash/Signal'],
    rules: ['kernel-lockup', 'crash-bad-instruction'],
    note: 'machine checks are evidence beside a crash; a CPU that computes wrongly is not seen',
  },
  {
    cause: 'System memory',
    count: '2',
    keys: [],
    scenes: ['ProcessCrash/MemoryFailure'],
    rules: ['memory-failed-in-hardware'],
    note: 'recordings only: memory that fails cannot be had',
  },
];

const BYTEROBUST: readonly PublishedCause[] = [
  {
    cause: 'CUDA error',
    count: '19,968 (36.1 %)',
    keys: ['byterobust/cuda-error'],
    scenes: ['GpuError', 'GpuError/Ecc', 'GpuError/Nvlink', 'ProcessCrash/ExitCode'],
    rules: [
      'gpu-program-fault',
      'gpu-program-fault-crash',
      'gpu-fault-only-on-this-one',
      'gpu-nvlink',
      'gpu-other-xid',
    ],
    note: 'one word for many causes: the code of the driver decides between program and hardware',
  },
  {
    cause: 'CPU overload',
    count: '6,095 (11.0 %)',
    keys: ['byterobust/cpu-overload'],
    scenes: ['ProcessBlocked/CpuStarved', 'ProcessBlocked/CpuThrottled'],
    rules: ['cpu-taken-by-another', 'cpu-oversubscribed', 'cpu-limit'],
  },
  {
    cause: 'CPU OOM',
    count: '5,567 (10.1 %)',
    keys: ['byterobust/cpu-oom'],
    scenes: ['ProcessCrash/HostOom', 'ProcessBlocked/MemoryLimit', 'ProcessBlocked/MemoryPressure'],
    rules: ['oom-in-cgroup', 'oom-of-node', 'oom-again-and-again', 'memory-limit', 'worker-died'],
  },
  {
    cause: 'Insufficient disk',
    count: '2,755 (5.0 %)',
    keys: ['byterobust/insufficient-disk'],
    scenes: ['StorageIoError/DiskFull'],
    rules: ['filesystem-full', 'filesystem-without-inodes', 'shared-memory-full'],
  },
  {
    cause: 'InfiniBand error',
    count: '1,599 (2.9 %)',
    keys: ['byterobust/infiniband-error'],
    scenes: [
      'NetworkStall/PathDown',
      'NetworkStall/QpError',
      'NetworkDrop/PortDown',
      'NetworkDrop/LinkFlapping',
      'NetworkDrop',
    ],
    rules: [
      'rdma-path-down',
      'rdma-retries-exceeded',
      'rdma-request-error',
      'rdma-port-down',
      'rdma-link-flapping',
      'rdma-packet-loss',
    ],
  },
  {
    cause: 'FS mount',
    count: '1,176 (2.1 %)',
    keys: ['byterobust/fs-mount'],
    scenes: ['StorageIoError/ReadOnly', 'StorageIoError/ShutDown', 'StorageSlow/Nfs'],
    rules: ['filesystem-read-only', 'filesystem-shut-down', 'file-server-unreachable'],
    note: 'a mount that was never made is told as how the program ends (exit code)',
  },
  {
    cause: 'HDFS error',
    count: '1,104 (2.0 %)',
    keys: ['byterobust/hdfs-error'],
    scenes: ['StorageSlow/Nfs', 'NetworkStall/PathDown', 'NetworkStall/PeerSlow'],
    rules: ['file-server-silent', 'file-server-unreachable', 'tcp-path-down', 'tcp-peer-slow'],
    note: 'a client in user space is seen by its connections, a mount by its server',
  },
  {
    cause: 'Container error',
    count: '781 (1.4 %)',
    keys: ['byterobust/container-error'],
    scenes: ['ProcessBlocked/Stopped', 'ProcessBlocked/CpuThrottled', 'ProcessCrash'],
    rules: ['frozen-by-cgroup', 'cpu-limit', 'exit-command-not-run', 'shared-memory-full'],
    note: 'what a container does to its processes; that an image cannot be pulled is not seen',
  },
  {
    cause: 'OS kernel panic',
    count: '203 (0.4 %)',
    keys: [],
    scenes: ['ProcessBlocked/KernelLockup', 'ProcessBlocked/HungTask'],
    rules: ['kernel-lockup', 'hung-task'],
    note: 'not seen on one node: who panics says nothing more. Lockups and hung tasks before it are seen',
  },
  {
    cause: 'GPU memory error',
    count: '188 (0.3 %)',
    keys: ['byterobust/gpu-memory-error'],
    scenes: ['GpuError/Ecc'],
    rules: ['gpu-memory-uncorrectable', 'gpu-memory-error-uncontained', 'gpu-row-remap-failed'],
  },
  {
    cause: 'External service',
    count: '128 (0.2 %)',
    keys: ['byterobust/external-service'],
    scenes: ['NetworkStall/Refused', 'NetworkStall/PathDown', 'StorageSlow/Nfs'],
    rules: ['tcp-connection-refused', 'tcp-connect-unanswered', 'file-server-silent'],
  },
  {
    cause: 'GPU unavailable',
    count: '76 (0.1 %)',
    keys: ['byterobust/gpu-unavailable'],
    scenes: ['GpuError/OffBus', 'GpuError'],
    rules: ['gpu-off-bus', 'gpu-unavailable', 'gpu-wants-reset', 'gpu-driver-taken-away'],
  },
  {
    cause: 'Disk fault',
    count: '47 (0.1 %)',
    keys: ['byterobust/disk-fault', 'llama3/ssd'],
    scenes: ['StorageIoError', 'StorageIoError/DeviceGone'],
    rules: ['disk-media-error', 'disk-path-lost', 'disk-request-failed', 'disk-gone'],
  },
  {
    cause: 'Job hang (implicit)',
    count: '5,506 (9.9 %)',
    keys: ['byterobust/job-hang'],
    scenes: ['ProcessBlocked', 'NetworkStall', 'StorageSlow', 'GpuUtilLow'],
    rules: [
      'waits-on-idle-process',
      'stopped-by-signal',
      'deadlock-of-locks',
      'lock-held',
      'nccl-rank-behind',
      'tcp-path-down',
    ],
    note: 'a symptom: the chain from the process that hangs ends in its cause',
  },
  {
    cause: 'MFU decline (implicit)',
    count: '442 (0.8 %)',
    keys: ['byterobust/mfu-decline'],
    scenes: ['GpuError/Thermal', 'GpuUtilLow', 'StorageSlow/Device', 'NetworkDrop'],
    rules: [
      'gpu-thermal',
      'gpu-power-brake',
      'gpu-idle-for-its-loader',
      'gpu-idle-host-bound',
      'disk-slower-than-usual',
    ],
    note: 'of the node itself; that one rank is slower than its peers needs a look at all of them',
  },
  {
    cause: 'NaN value (implicit)',
    count: '148 (0.3 %)',
    keys: [],
    scenes: [],
    rules: [],
    note: 'not seen on one node: numbers of a model are nothing that the kernel or the driver knows',
  },
  {
    cause: 'Manual code/data change',
    count: '9,582 (17.3 %)',
    keys: [],
    scenes: ['ProcessCrash/Signal'],
    rules: ['asked-to-end', 'job-ended-from-outside'],
    note: `no fault; ${OUTSIDE}`,
  },
];

const DETECTION: readonly PublishedCause[] = [
  {
    cause: 'NIC crash',
    count: '30 s',
    keys: ['llama3/nic'],
    scenes: ['NetworkDrop/DeviceFatal', 'NetworkDrop/PortDown', 'NetworkStall/PathDown'],
    rules: ['rdma-device-fatal', 'rdma-port-down', 'tcp-path-down-since-link-fell'],
  },
  {
    cause: 'Port flapping',
    count: '30 s',
    keys: ['byterobust/infiniband-error'],
    scenes: ['NetworkDrop/LinkFlapping', 'NetworkDrop'],
    rules: ['rdma-link-flapping', 'net-link-flaps'],
  },
  {
    cause: 'Switch down',
    count: '30 s × 2',
    keys: ['llama3/network-switch-cable'],
    scenes: ['NetworkStall/PathDown', 'NetworkDrop/PortDown'],
    rules: ['tcp-path-down', 'rdma-path-down', 'rdma-port-down'],
  },
  {
    cause: 'Driver hang',
    count: '10 s',
    keys: ['llama3/gpu-system-processor'],
    scenes: ['GpuError'],
    rules: ['gpu-driver-hangs', 'gpu-system-processor'],
  },
  {
    cause: 'High temperature',
    count: '10 s',
    keys: ['llama3/gpu-thermal'],
    scenes: ['GpuError/Thermal'],
    rules: ['gpu-thermal'],
  },
  {
    cause: 'GPU lost',
    count: '10 s',
    keys: ['llama3/faulty-gpu', 'byterobust/gpu-unavailable'],
    scenes: ['GpuError/OffBus'],
    rules: ['gpu-off-bus', 'gpu-off-bus-with-pcie-errors'],
  },
  {
    cause: 'OS kernel fault',
    count: '2 s',
    keys: [],
    scenes: ['ProcessBlocked/KernelLockup', 'ProcessBlocked/HungTask'],
    rules: ['kernel-lockup', 'hung-task'],
    note: 'recordings only; a kernel that panics takes the agent with it',
  },
];

export const PUBLISHED: readonly PublishedTable[] = [
  {
    title: 'Llama 3',
    text: 'The Llama 3 Herd of Models, Table 5: 419 unexpected interruptions in 54 days on 16,384 H100.',
    countHead: 'count',
    rows: LLAMA3,
  },
  {
    title: 'ByteRobust',
    text: 'ByteRobust (arXiv 2509.16293), Table 1: incidents of 778,135 jobs in three months.',
    countHead: 'count',
    rows: BYTEROBUST,
  },
  {
    title: 'ByteRobust, detection',
    text: 'The same, Table 3: how long its inspections took to detect what. Our own delays are in [accuracy.md](accuracy.md).',
    countHead: 'theirs',
    rows: DETECTION,
  },
];

/** @param proofs names of scenarios by what they prove */
export function tableText(
  { countHead, rows }: PublishedTable,
  proofs: ReadonlyMap<string, readonly string[]>,
): string {
  const lines = rows.map(({ cause, count, keys, scenes, rules, note }) => {
    const proven = [...new Set(keys.flatMap((key) => proofs.get(key) ?? []))].sort();
    const cells = [cause, count, codes(scenes), codes(rules), codes(proven), note ?? ''];
    return `| ${cells.map((cell) => (cell === '' ? '–' : cell)).join(' | ')} |`;
  });
  return [
    `| cause | ${countHead} | scene | rules | proven in the lab by | remark |`,
    '|---|---|---|---|---|---|',
    ...lines,
  ].join('\n');
}

function codes(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ');
}
