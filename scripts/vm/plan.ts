/** What runs inside a guest: which programs, what each proves, how long it may take under emulation. */

export interface Step {
  readonly name: string;
  /** Source that is bundled on the host. */
  readonly source: string;
  /** Objects in dist/bpf whose work it proves. */
  readonly proves: readonly string[];
  /** Only the subtests that match, a line for each level of them; the others lean on the speed of hardware, or cost minutes under emulation. */
  readonly grep?: string;
  readonly timeoutSeconds: number;
  /** It has a second guest beside it, that does what it is told over the network (test/vm/peer.ts). */
  readonly two?: true;
}

/** Every guest loads every object first; the table's rungs come from here. */
export const ATTACH: Step = {
  name: 'attach',
  source: 'test/vm/attach.ts',
  proves: [],
  timeoutSeconds: 240,
};

/** What the second of two guests runs, until the first has ended. */
export const PEER: Step = {
  name: 'peer',
  source: 'test/vm/peer.ts',
  proves: [],
  timeoutSeconds: 3_600,
};

const HOOKS: Step = {
  name: 'hooks',
  source: 'test/vm/hooks.test.ts',
  proves: ['tcp'],
  timeoutSeconds: 120,
};

const TCP: Step = {
  name: 'tcp-owner',
  source: 'test/probes/tcp-owner.test.ts',
  proves: ['tcp', 'tcp_late'],
  grep: '/^(connections made before|a FIN belongs|where senders)/',
  timeoutSeconds: 300,
};

const PROCESS: Step = {
  name: 'process',
  source: 'test/probes/process.test.ts',
  proves: ['process'],
  // Not the one that asks for a thousand processes in four seconds.
  grep: '/^(?!short processes)/',
  timeoutSeconds: 240,
};

const WAITS: Step = {
  name: 'waits',
  source: 'test/e2e/waits.test.ts',
  proves: ['waits'],
  timeoutSeconds: 300,
};

/** Version 2 of the freezer among them: the machine may have only the first. */
const BLOCKED: Step = {
  name: 'blocked',
  source: 'test/e2e/blocked.test.ts',
  proves: ['waits'],
  grep: '/^(deadlocks|a stopped process|a frozen process)/',
  timeoutSeconds: 300,
};

const BLOCK: Step = {
  name: 'block',
  source: 'test/probes/block.test.ts',
  proves: ['block'],
  timeoutSeconds: 400,
};

const FILES: Step = {
  name: 'filesystem',
  source: 'test/probes/filesystem.test.ts',
  proves: ['files'],
  timeoutSeconds: 300,
};

const NFS: Step = {
  name: 'nfs',
  source: 'test/probes/nfs.test.ts',
  proves: ['files', 'waits'],
  timeoutSeconds: 400,
};

const HOST: Step = {
  name: 'host',
  source: 'test/probes/host.test.ts',
  proves: ['host'],
  timeoutSeconds: 300,
};

const CPU: Step = {
  name: 'host-cpu',
  source: 'test/probes/host-cpu.test.ts',
  proves: ['waits'],
  timeoutSeconds: 180,
};

const OOM: Step = {
  name: 'host-oom',
  source: 'test/probes/host-oom.test.ts',
  proves: ['process'],
  timeoutSeconds: 180,
};

/** What the kernel itself writes to its log when disks, filesystems and memory fail for real. */
const KMSG: Step = {
  name: 'kmsg-faults',
  source: 'test/probes/kmsg-faults.test.ts',
  proves: [],
  timeoutSeconds: 300,
};

/** null_blk, device mapper, SCSI, NFS, CPU and memory: the real agent's answer to each fault. */
const FAULTS: Step = {
  name: 'faults',
  source: 'test/e2e/faults.test.ts',
  proves: ['block', 'files', 'waits', 'host', 'process'],
  timeoutSeconds: 600,
};

/** D-state threads over every stack of devices. */
const STUCK: Step = {
  name: 'stuck',
  source: 'test/e2e/stuck.test.ts',
  proves: ['block', 'waits'],
  timeoutSeconds: 600,
};

/** md on members that fail for real, and what no request tells of. */
const MIRROR: Step = {
  name: 'mirror',
  source: 'test/e2e/mirror.test.ts',
  proves: ['block', 'waits'],
  timeoutSeconds: 400,
};

const BIO: Step = {
  name: 'bio-errors',
  source: 'test/e2e/bio-errors.test.ts',
  proves: [],
  timeoutSeconds: 180,
};

const GPU_USERS: Step = {
  name: 'gpu-users',
  source: 'test/probes/gpu-users.test.ts',
  proves: ['gpu_files'],
  timeoutSeconds: 180,
};

/** Uprobes without links for many places (6.6). */
const GPU_TRACE: Step = {
  name: 'gpu-trace',
  source: 'test/probes/gpu-trace.test.ts',
  proves: ['gpu_trace'],
  grep: '/^(init: |every function|a thread that spins)/',
  timeoutSeconds: 300,
};

const GPU_SPLITS: Step = {
  name: 'gpu-trace-splits',
  source: 'test/probes/gpu-trace-splits.test.ts',
  proves: ['gpu_trace'],
  grep: '/^(split: two colors, keys the other way round$|ranks elsewhere|shrink)/',
  timeoutSeconds: 240,
};

/** Soft-RoCE on both ends of a wire. */
const RDMA: Step = {
  name: 'rdma',
  source: 'test/probes/rdma.test.ts',
  proves: ['rdma', 'rdma_cm', 'rdma_rxe'],
  timeoutSeconds: 300,
};

const RDMA_FAULTS: Step = {
  name: 'rdma-faults',
  source: 'test/e2e/rdma.test.ts',
  proves: ['rdma', 'rdma_rxe'],
  // One of each kind; all of them take two minutes and a half.
  grep: '/^RDMA$/\n/^(blackhole, retried|port down|peer killed|peer stopped)/',
  timeoutSeconds: 400,
};

const RDMA_TWO: Step = {
  name: 'rdma-two',
  source: 'test/vm/rdma-two.test.ts',
  proves: ['rdma', 'rdma_rxe'],
  timeoutSeconds: 300,
  two: true,
};

/** The real agent, a real stall, and `xctl why`. */
const DEMO: Step = {
  name: 'demo',
  source: 'scripts/demo.ts',
  proves: ['tcp', 'waits', 'process'],
  timeoutSeconds: 180,
};

const AGENT: Step = {
  name: 'agent',
  source: 'test/vm/agent.test.ts',
  proves: ['process'],
  timeoutSeconds: 120,
};

/** Without socket and task storage (5.11) neither `tcp` nor `waits` can be: what is left must work and say so. */
const OLD: readonly Step[] = [ATTACH, PROCESS, BLOCK, HOST, AGENT];

const FIRST: readonly Step[] = [ATTACH, HOOKS, TCP, PROCESS, WAITS, BLOCKED, DEMO];
const WHOLE: readonly Step[] = [
  ...FIRST,
  BLOCK,
  FILES,
  NFS,
  HOST,
  CPU,
  OOM,
  KMSG,
  FAULTS,
  STUCK,
  MIRROR,
  BIO,
  GPU_USERS,
  GPU_TRACE,
  GPU_SPLITS,
  RDMA,
  RDMA_FAULTS,
];
/** The fault lab's scenarios that want such a kernel; what they came to is in lab.jsonl (`make lab VM=yes`). */
const LAB: Step = {
  name: 'lab',
  source: 'test/lab/guest.ts',
  proves: [],
  timeoutSeconds: 3_600,
};

/** Not of a plan yet: by their source alone (`TESTS=test/e2e/rdma.test.ts`). */
const BY_SOURCE: readonly Step[] = [RDMA_TWO, LAB];
/** Without what no kernel version decides. */
const NEWER: readonly Step[] = [...FIRST, BLOCK, FILES, HOST, CPU, OOM];

/** Series → steps, in this order, in one guest. */
export const PLANS: Readonly<Record<string, readonly Step[]>> = {
  '6.1': WHOLE,
  '6.12': NEWER,
  '5.10': OLD,
};

/** Test files named by the caller, whole, instead of the plan. */
export function stepsFor(series: string, tests: readonly string[]): readonly Step[] {
  if (tests.length === 0) return PLANS[series] ?? [];
  return tests.map((source) => {
    const known = BY_SOURCE.find((step) => step.source === source);
    return {
      name: source
        .replace(/^test\//, '')
        .replace(/(\.test)?\.ts$/, '')
        .replaceAll('/', '-'),
      source,
      proves: [],
      timeoutSeconds: Math.max(900, known?.timeoutSeconds ?? 0),
      ...(known?.two === true && { two: true as const }),
    };
  });
}
