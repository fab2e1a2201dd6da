/**
 * Where /metrics takes its numbers from, at each scrape. The agent already counts everything for
 * `xctl doctor`; nothing is counted twice. Totals since the agent started, unless said otherwise.
 */
import type { EventType } from '../events/event.js';
import type { RdmaCounter } from '../events/rdma.js';
import type { GraphStats } from '../graph/limits.js';

/** What was lost where. Give every reason that exists, also at 0: a series must not begin with its first loss. */
export interface Loss {
  /** `ring`, `subprocess`, `recording`, `api`, … */
  readonly source: string;
  readonly reason: string;
  readonly count: number;
}

export interface ProgramRuns {
  /** `tcp/retransmit`: object and slot. */
  readonly program: string;
  readonly runTimeSeconds: number;
  readonly runs: number;
}

export interface SubprocessTotals {
  readonly running: boolean;
  readonly restarts: number;
  readonly lines: number;
  readonly events: number;
  /** Lines that became no event, by reason. */
  readonly lost: Readonly<Record<string, number>>;
}

export interface RecordingTotals {
  readonly active: boolean;
  readonly events: number;
  readonly bytes: number;
  readonly dropped: Readonly<Record<string, number>>;
}

export interface GpuCosts {
  /** NVML's index. */
  readonly gpu: number;
  readonly looks: number;
  readonly calls: number;
  readonly spentSeconds: number;
}

export interface XidTotal {
  /** NVML's index; undefined: not known when it was told. */
  readonly gpu: number | undefined;
  readonly xid: number | 'other';
  readonly count: number;
}

/** Since the device was reset, as far as it tells; never goes back. */
export interface RdmaPortTotals {
  readonly device: string;
  /** The device's, from 1 on. */
  readonly port: number;
  readonly up: boolean;
  readonly flaps: number;
  readonly known: ReadonlyMap<RdmaCounter, number>;
  readonly others: readonly { readonly directory: string; readonly name: string; readonly value: number }[];
}

export interface RdmaTotals {
  readonly ports: readonly RdmaPortTotals[];
  readonly looks: number;
  readonly spentSeconds: number;
}

export interface RuleTotals {
  readonly rules: number;
  readonly refusedFiles: number;
  readonly loads: number;
  readonly failedLoads: number;
  readonly asked: number;
  readonly answered: number;
  readonly memory: { readonly series: number; readonly taken: number };
}

export interface MetricSources {
  readonly build: {
    readonly version: string;
    readonly nodejs: string;
    readonly libbpf: string;
    readonly kernel: string;
  };
  events(): Iterable<readonly [EventType, number]>;
  lost(): Iterable<Loss>;
  graph(): GraphStats;
  /** Measured only while somebody scrapes (kernel/prog-stats.ts): the totals grow from the second scrape on. */
  programs(): Iterable<ProgramRuns>;
  probes(): Iterable<{ readonly probe: string; readonly up: boolean }>;
  /** In the order of the command line. */
  subprocesses(): readonly SubprocessTotals[];
  /** Absent without --record. */
  readonly recording?: () => RecordingTotals;
  gpus(): readonly GpuCosts[];
  /** Faults of GPUs, each once, whoever told of it. */
  xids(): Iterable<XidTotal>;
  rdma(): RdmaTotals;
  rules(): RuleTotals;
  /** Time spent in draining the rings, decoding and the graph. */
  drainSeconds(): number;
}
