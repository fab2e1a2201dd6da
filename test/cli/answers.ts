/** Answers as an agent gives them, one of each kind. */
import type {
  DoctorReport,
  GraphView,
  ProcessList,
  ProcessRow,
  VersionInfo,
} from '../../src/api/contract.js';
import type { Event } from '../../src/events/event.js';
import type { Findings, WhyAnswer } from '../../src/scene/answer.js';

export const HEAD = { apiVersion: 'xctl/v1', node: 'gpu-07', ts: '2026-11-23T01:02:03.456Z' } as const;

const FLOW = 'flow:10.0.0.1:4000-10.0.0.2:29500';

export const WHY: WhyAnswer = {
  ...HEAD,
  target: { pid: 4242, startTime: '2026-11-23T00:02:03.456Z', comm: 'python3', state: 'running' },
  verdict: 'cause-found',
  scene: 'NetworkStall',
  subScene: 'PeerSilent',
  confidence: 0.94,
  summary: 'no ACK from 10.0.0.2:29500 for 12.4 s: 5 timeouts in a row, 12,345 bytes unacked',
  rootCause: { node: FLOW, type: 'flow', summary: 'no ACK from 10.0.0.2:29500 for 12.4 s' },
  chain: [
    {
      from: 'pid:4242',
      edge: 'WaitsOn',
      to: 'pipe:81234',
      sinceMs: 12400,
      evidence: ['e1'],
      tid: 4243,
      note: 'thread 4243 (loader) reads from an empty pipe',
    },
    { from: 'pipe:81234', edge: 'BlockedBy', to: 'pid:4250', sinceMs: 12400, evidence: [] },
    {
      from: 'pid:4250',
      edge: 'WaitsOn',
      to: FLOW,
      sinceMs: 13400,
      evidence: ['e2', 'e3'],
      note: 'sends to a full socket',
    },
  ],
  evidence: [
    {
      id: 'e1',
      ts: '2026-11-23T01:02:03.456Z',
      probe: 'waits',
      type: 'wait.pipe',
      entity: 'pipe:81234',
      value: 12400,
      unit: 'ms',
    },
    {
      id: 'e2',
      ts: '2026-11-22T23:59:02.400Z',
      probe: 'tcp',
      type: 'transport.timeout',
      entity: FLOW,
      value: 5,
      unit: 'timeouts in a row',
    },
    {
      id: 'e3',
      ts: '2026-11-23T01:02:02.456Z',
      probe: 'tcp',
      type: 'transport.state',
      entity: FLOW,
      value: 12345,
      unit: 'bytes',
      detail: 'nothing was acked',
    },
  ],
  recommendations: [
    'See whether 10.0.0.2 is up: ping 10.0.0.2',
    'Look at the drops of the switch port between the two hosts; a firewall that drops without a reset looks the same',
  ],
};

export const HEALTHY: WhyAnswer = {
  ...HEAD,
  target: { pid: 77, startTime: '2026-11-23T01:02:01.000Z', comm: 'nginx', state: 'running' },
  verdict: 'healthy',
  scene: null,
  subScene: null,
  confidence: 0.9,
  summary: 'makes progress: 31 % of a core',
  rootCause: null,
  chain: [],
  evidence: [],
  recommendations: [],
};

export const UNKNOWN: WhyAnswer = {
  ...HEALTHY,
  verdict: 'unknown',
  confidence: 0,
  summary: 'waits on a futex that nobody is known to hold',
  chain: [{ from: 'pid:77', edge: 'WaitsOn', to: 'futex:77/0x7f01', sinceMs: 65_000, evidence: [], tid: 77 }],
  recommendations: ['To know more: run the agent with CAP_SYS_PTRACE'],
};

export const SYMPTOM: WhyAnswer = {
  ...HEALTHY,
  verdict: 'symptom-only',
  scene: 'NetworkStall',
  subScene: null,
  confidence: 0.6,
  summary: 'waits for data from 10.0.0.2:29500, which answers keepalives',
};

export const EXITED: WhyAnswer = {
  ...HEALTHY,
  target: { pid: 99, startTime: '2026-11-23T01:00:00.000Z', comm: 'train', state: 'exited', tid: 101 },
  verdict: 'cause-found',
  scene: 'ProcessCrash',
  subScene: 'HostOom',
  confidence: 0.99,
  summary: 'killed by the OOM killer, 12.0 s ago',
  rootCause: { node: 'cgroup:/kubepods/pod1', type: 'cgroup', summary: 'at its memory limit of 2 GiB' },
};

export const DEADLOCK: WhyAnswer = {
  ...HEALTHY,
  verdict: 'cause-found',
  scene: 'ProcessBlocked',
  subScene: 'Deadlock',
  confidence: 0.97,
  summary: 'threads 78 and 79 wait for each other',
  rootCause: { node: 'lock:77/0x10', type: 'lock', summary: 'threads 78 and 79 wait for each other' },
  chain: [
    { from: 'pid:77', edge: 'WaitsOn', to: 'lock:77/0x10', sinceMs: 5000, evidence: [], tid: 78 },
    { from: 'pid:77', edge: 'WaitsOn', to: 'lock:77/0x20', sinceMs: 5000, evidence: [], tid: 79 },
    { from: 'lock:77/0x10', edge: 'BlockedBy', to: 'pid:77', sinceMs: 5000, evidence: [] },
  ],
  alternatives: [
    {
      verdict: 'cause-found',
      scene: 'NetworkDrop',
      subScene: null,
      confidence: 0.4,
      summary: 'retransmits to 10.0.0.9',
      rootCause: null,
      chain: [],
      evidence: [],
      recommendations: [],
    },
  ],
};

/** A thing is the cause: the last link says what is wrong with it. */
export const DISK: WhyAnswer = {
  ...HEALTHY,
  verdict: 'cause-found',
  scene: 'StorageSlow',
  subScene: 'Device',
  confidence: 0.93,
  summary: 'read latency p99 4.2 s, baseline 3 ms; 3 more processes wait on it',
  rootCause: {
    node: 'block:nvme0n1',
    type: 'block-device',
    summary: 'read latency p99 4.2 s, baseline 3 ms',
  },
  chain: [
    {
      from: 'pid:77',
      edge: 'WaitsOn',
      to: 'fs:/data',
      sinceMs: 3_000,
      evidence: ['e1'],
      tid: 77,
      note: 'is in uninterruptible sleep (D) on a device',
    },
    {
      from: 'fs:/data',
      edge: 'Consumes',
      to: 'block:nvme0n1',
      sinceMs: 3_723_000,
      evidence: [],
      note: 'lies on it',
    },
    {
      from: 'block:nvme0n1',
      edge: 'BlockedBy',
      to: 'error:latency/block:nvme0n1',
      sinceMs: 7_000,
      evidence: ['e2'],
      note: 'latency',
    },
  ],
  evidence: [
    {
      id: 'e1',
      ts: '2026-11-23T01:02:03.400Z',
      probe: 'waits',
      type: 'wait.disk',
      entity: 'fs:/data',
      value: 3000,
      unit: 'ms',
    },
    {
      id: 'e2',
      ts: '2026-11-23T01:01:57.000Z',
      probe: 'block',
      type: 'storage.latency',
      entity: 'block:nvme0n1',
      value: 4200,
      unit: 'ms',
    },
  ],
  recommendations: ['smartctl -a /dev/nvme0n1'],
  identifiedBy: [
    'the chain ends at block:nvme0n1, which has a fault of its own',
    'it has had the CPU it wanted',
  ],
};

/** Deeper than there is room for its indentation. */
export const LONG: WhyAnswer = {
  ...HEALTHY,
  verdict: 'cause-found',
  scene: 'ProcessBlocked',
  subScene: 'Stopped',
  confidence: 0.8,
  summary: '90 (sh) is stopped',
  rootCause: { node: 'pid:90', type: 'process', summary: '90 (sh) is stopped' },
  chain: Array.from({ length: 26 }, (_, at) =>
    at % 2 === 0
      ? {
          from: `pid:${77 + at / 2}`,
          edge: 'WaitsOn' as const,
          to: `pipe:${at}`,
          sinceMs: 100_000_000 + at,
          evidence: [`e${at}`],
          note: 'reads from an empty pipe',
        }
      : {
          from: `pipe:${at - 1}`,
          edge: 'BlockedBy' as const,
          to: `pid:${77 + (at + 1) / 2}`,
          sinceMs: at,
          evidence: [],
        },
  ),
};

export const FINDINGS: Findings = { ...HEAD, findings: [WHY, DISK, EXITED] };

export const ROW: ProcessRow = {
  pid: 4242,
  ppid: 1,
  comm: 'python3',
  waitsFor: 'pipe:81234 (read)',
  sinceMs: 12400,
  threads: 12,
  job: 'slurm:77',
  rank: 0,
  container: '0123456789abcdef0123456789abcdef',
  state: 'running',
};

export const PS: ProcessList = {
  ...HEAD,
  processes: [
    ROW,
    {
      pid: 7,
      ppid: 2,
      comm: 'sh',
      waitsFor: 'running',
      sinceMs: null,
      threads: 1,
      job: null,
      rank: null,
      container: null,
      state: 'exited',
    },
  ],
};

export const GRAPH: GraphView = {
  ...HEAD,
  nodes: [
    { id: 'pid:4242', type: 'process', attrs: { comm: 'py"th\\on', uid: 0, cgroup: null } },
    { id: 'pipe:81234', type: 'pipe', attrs: {} },
  ],
  edges: [{ kind: 'WaitsOn', from: 'pid:4242', to: 'pipe:81234', since: '2026-11-23T01:01:51.056Z' }],
};

/** The graph that WHY is an answer of, with neighbours that have nothing to do with it. */
export const TANGLE: GraphView = {
  ...HEAD,
  nodes: [
    { id: 'pid:4242', type: 'process', attrs: { comm: 'python3', threads: 12 } },
    { id: 'pipe:81234', type: 'pipe', attrs: {} },
    { id: 'pid:4250', type: 'process', attrs: { comm: 'python3' } },
    { id: FLOW, type: 'flow', attrs: { trouble: 'timeout', unackedBytes: 12345 } },
    { id: 'pid:1', type: 'process', attrs: { comm: 'launcher' } },
    { id: 'pid:99', type: 'process', attrs: { comm: 'idle' } },
    { id: 'pipe:7', type: 'pipe', attrs: {} },
  ],
  edges: [
    { kind: 'WaitsOn', from: 'pid:4242', to: 'pipe:81234', since: '2026-11-23T01:01:51.056Z' },
    { kind: 'BlockedBy', from: 'pipe:81234', to: 'pid:4250', since: '2026-11-23T01:00:00.000Z' },
    { kind: 'WaitsOn', from: 'pid:4250', to: FLOW, since: '2026-11-23T01:01:50.056Z' },
    { kind: 'WaitsOn', from: 'pid:4250', to: FLOW, since: '2026-11-23T01:01:52.056Z' },
    { kind: 'WaitsOn', from: 'pid:1', to: 'pid:4242', since: '2026-11-23T01:00:00.000Z' },
    { kind: 'WaitsOn', from: 'pid:99', to: 'pipe:7', since: '2026-11-23T01:00:00.000Z' },
    { kind: 'WaitsOn', from: 'pid:4250', to: 'pipe:81234', since: '2026-11-23T01:00:00.000Z' },
  ],
};

export const DOCTOR: DoctorReport = {
  ...HEAD,
  checks: [
    { status: 'ok', name: 'kernel', detail: '6.18.0, BTF' },
    {
      status: 'degraded',
      name: 'program tcp/retransmit',
      detail: 'kprobe refused (EPERM), tracepoint used; the owner is known from the socket all the same',
    },
    { status: 'failed', name: 'probe rdma', detail: 'no /sys/class/infiniband' },
    { status: 'off', name: 'metrics', detail: '' },
  ],
};

export const VERSION: VersionInfo = { version: '0.1.0', node: 'v20.20.2', libbpf: '1.1.2', kernel: '6.18.0' };

export function exitEvent(pid: number, comm = 'sh'): Event {
  return {
    ts: 1795395723456.5,
    type: 'process.exit',
    entity: `pid:${pid}`,
    pid,
    value: 137,
    attrs: { start: 1, comm, signal: 'SIGKILL' },
    probe: 'process',
  };
}

/** JSON.stringify's view: what a reader of the wire gets. */
export function onTheWire(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
