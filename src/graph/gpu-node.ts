/** What the graph knows of one GPU: figures as NVML told them last, who uses it, and the faults that it had. */
import type {
  GpuDeviceAttrs,
  GpuHealthAttrs,
  GpuStateAttrs,
  GpuThrottle,
  GpuUseAttrs,
} from '../events/gpu.js';
import type { XidAttrs } from '../events/xid.js';
import type { Fact, NodeBase, ProcessNode, Reading } from './model.js';

export interface GpuNode extends NodeBase {
  readonly type: 'gpu';
  /** `0000:3b:00.0`; what joins the kernel log's word to NVML's. */
  pci: string | undefined;
  device: Reading<GpuDeviceAttrs> | undefined;
  use: Reading<GpuUseAttrs> | undefined;
  /** Event time since which no look has seen it work; undefined: it does, or nothing tells (MIG). */
  idleSinceTs: number | undefined;
  /** Since when, and how much of it, is in use without a pause; undefined: it is not full. */
  full: Reading<GpuUseAttrs> | undefined;
  /** The last time that it was full, also when it is not any more. */
  lastFull: Reading<GpuUseAttrs> | undefined;
  health: Reading<GpuHealthAttrs> | undefined;
  /** What changed for the worse under our eyes. */
  readonly worse: Map<Worsening, Worse>;
  readonly linksSeenUp: Set<number>;
  /** `since`: in this state. */
  state: Reading<GpuStateAttrs> | undefined;
  /** The same while it cannot be used, or not be asked. */
  trouble: Reading<GpuStateAttrs> | undefined;
  /** Slowed for its own protection, with since when without a pause. */
  throttle: Throttled | undefined;
  /** By pid. Those who left it stay for a moment, with `leftTs`. */
  readonly users: Map<number, GpuUser>;
  /** NVML has told of its users: before, nobody is known to be new. */
  listed: boolean;
  /** The latest faults, oldest first, each once, whoever told of it. */
  readonly xids: GpuXid[];
  /** Event time at which it was there again after it was lost, gone or its driver exchanged: faults before are over. */
  renewedTs: number;
  /** What was wrong with it until then, for questions about who ended before. */
  before: Past | undefined;
}

export interface Past {
  readonly state: Reading<GpuStateAttrs> | undefined;
  readonly worse: ReadonlyMap<Worsening, Worse>;
}

/** Uncorrected errors counted; a row that waits for a reset or could not be replaced; links lost; NVML's own word. */
export type Worsening = 'ecc' | 'remap-pending' | 'remap-failed' | 'nvlink' | 'unavailable';

export interface Worse {
  /** Event time. */
  readonly since: number;
  readonly fact: Fact;
  /** Errors; 0 where they were not counted. */
  readonly count: number;
  /** NVLinks that went down. */
  readonly links: readonly number[];
}

/** Reasons that are no choice of anybody's: heat, power that was cut, the board's own brake. */
export type HardThrottle = Extract<GpuThrottle, 'hw-slowdown' | 'hw-thermal' | 'sw-thermal' | 'power-brake'>;

export interface Throttled {
  readonly reasons: readonly HardThrottle[];
  readonly since: number;
  readonly fact: Fact;
}

/** Who uses a GPU. */
export interface GpuUser {
  readonly pid: number;
  readonly process: ProcessNode | undefined;
  readonly comm: string;
  readonly firstTs: number;
  /** NVML lists it: it has a CUDA context there. */
  readonly context: boolean;
  /** Event time at which it was listed last. */
  readonly contextTs: number | undefined;
  /** It has the device open; a CUDA program has all of them open, and uses some. */
  readonly open: boolean;
  readonly memoryBytes: number | undefined;
  /** Of the SMs, since the look before. */
  readonly smPercent: number | undefined;
  readonly gi: number | undefined;
  /** Bytes that it got within the last minute. */
  readonly grownBytes: number;
  /** Event time at which it got more memory last: of all users, who asked last. */
  readonly grewTs: number | undefined;
  /** It had so much at this time; the oldest of the last minute first. */
  readonly marks: readonly { readonly ts: number; readonly bytes: number }[];
  /** It is not on it any more. */
  readonly leftTs: number | undefined;
}

/** A GPU that a process used when it ended. */
export interface GpuAtExit {
  /** One of its ids: it may have had another one by then. */
  readonly id: string;
  /** It was full then, and by whom. */
  readonly full?: Reading<GpuUseAttrs>;
  readonly users?: readonly GpuHolding[];
}

/** What is said of a user beside which node it is. */
export type GpuHolding = Omit<GpuUser, 'process' | 'marks'>;

/** A fault by its number, once, with all that was said of it. */
export interface GpuXid extends Partial<Omit<XidAttrs, 'code' | 'toldBy' | 'pci' | 'suppressed'>> {
  readonly code: number;
  /** Event time at which it was told first. */
  readonly ts: number;
  readonly pid?: number;
  /** Faults in this one: those that a limit held back come with the next. */
  readonly count: number;
  readonly sources: ReadonlySet<'line' | 'lost' | 'nvml'>;
  readonly facts: readonly Fact[];
}
