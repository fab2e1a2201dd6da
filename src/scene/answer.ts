/** What `xctl why PID -o json` prints: a contract that others script against. */

export const API_VERSION = 'xctl/v1';

export const SCENES = [
  'GpuOom',
  'GpuUtilLow',
  'GpuError',
  'NetworkStall',
  'NetworkDrop',
  'StorageIoError',
  'StorageSlow',
  'ProcessBlocked',
  'ProcessCrash',
] as const;
export type Scene = (typeof SCENES)[number];

/** The finer kinds of each; an answer may have none. A soft cause under an idle GPU keeps the name it has elsewhere. */
export const SUB_SCENES: Readonly<Record<Scene, readonly string[]>> = {
  GpuOom: [],
  GpuUtilLow: ['WaitsOnPeer', 'LockHeld', 'Join', 'NcclRankBehind', 'HostBound'],
  GpuError: ['OffBus', 'Ecc', 'Nvlink', 'Thermal'],
  NetworkStall: [
    ...['PathDown', 'ZeroWindow', 'PeerSlow', 'PeerEnded', 'QpError', 'Congestion'],
    ...['Refused', 'ConnectFails', 'NcclRemote', 'NcclInit'],
  ],
  NetworkDrop: ['PortDown', 'LinkFlapping', 'DeviceFatal'],
  StorageIoError: ['DeviceGone', 'ReadOnly', 'ShutDown', 'DiskFull'],
  StorageSlow: ['Device', 'Nfs', 'Suspended'],
  ProcessBlocked: [
    ...['Deadlock', 'CpuStarved', 'CpuThrottled', 'Stopped', 'WaitsOnPeer', 'LockHeld', 'Join'],
    ...['KernelLockup', 'HungTask', 'MemoryLimit', 'MemoryPressure', 'NcclRankBehind', 'GpuSync'],
  ],
  ProcessCrash: ['HostOom', 'Signal', 'ExitCode', 'MemoryFailure'],
};

export type Verdict = 'cause-found' | 'symptom-only' | 'healthy' | 'unknown';

export interface WhyAnswer {
  readonly apiVersion: typeof API_VERSION;
  readonly node: string;
  /** RFC 3339, as are all times here. */
  readonly ts: string;
  readonly target: Target;
  readonly verdict: Verdict;
  readonly scene: Scene | null;
  readonly subScene: string | null;
  /** 0 to 1. */
  readonly confidence: number;
  /** One sentence for a tired person; always present. */
  readonly summary: string;
  readonly rootCause: RootCause | null;
  /** From the target to the root cause. */
  readonly chain: readonly ChainLink[];
  readonly evidence: readonly Evidence[];
  readonly recommendations: readonly string[];
  /** How the scene was identified, in sentences: where the chain ends, what came first, what was ruled out. */
  readonly identifiedBy?: readonly string[];
  /** Further causes, each with its own chain, best first; absent when there is one or none. */
  readonly alternatives?: readonly Finding[];
}

/** One explanation of a target. */
export type Finding = Pick<
  WhyAnswer,
  | 'verdict'
  | 'scene'
  | 'subScene'
  | 'confidence'
  | 'summary'
  | 'rootCause'
  | 'chain'
  | 'evidence'
  | 'recommendations'
>;

export interface Target {
  readonly pid: number;
  readonly startTime: string;
  readonly comm: string;
  readonly state: 'running' | 'exited';
  /** The question named this thread; the answer is for its process. */
  readonly tid?: number;
}

export interface RootCause {
  readonly node: string;
  /** `process`, `flow`, `peer`, `lock`, `pipe`, `block-device`, … */
  readonly type: string;
  readonly summary: string;
}

export interface ChainLink {
  readonly from: string;
  readonly edge: 'Consumes' | 'WaitsOn' | 'BlockedBy';
  readonly to: string;
  readonly sinceMs: number;
  readonly evidence: readonly string[];
  /** The thread of `from` that waits, when `from` is a process. */
  readonly tid?: number;
  /** What the link says in words, e.g. "reads from a pipe". */
  readonly note?: string;
}

export interface Evidence {
  readonly id: string;
  readonly ts: string;
  readonly probe: string;
  readonly type: string;
  readonly entity: string;
  readonly value: number;
  readonly unit: string;
  /** The fact in words, e.g. "5 retransmits in a row, 12,345 bytes unacked". */
  readonly detail?: string;
}

/** `xctl why` without a pid: what is wrong on this node, worst first. */
export interface Findings {
  readonly apiVersion: typeof API_VERSION;
  readonly node: string;
  readonly ts: string;
  readonly findings: readonly WhyAnswer[];
}
