/** What is said of the host: its hardware and kernel by their log, limits of cgroups, memory, pressure. */
import type { ProcessRef } from './event.js';

export interface HardwareErrorAttrs {
  readonly class: 'mce' | 'edac' | 'aer' | 'nvme' | 'ata' | 'scsi' | 'md' | 'thermal' | 'other';
  readonly severity: 'corrected' | 'uncorrected' | 'fatal' | 'warning';
  /** The kernel's line, cut and cleaned. */
  readonly message: string;
  /** Further ids that the line names. */
  readonly about: readonly string[];
  readonly suppressed?: number;
}

export interface KernelErrorAttrs {
  readonly class: 'hung-task' | 'soft-lockup' | 'hard-lockup' | 'rcu-stall' | 'bug' | 'oom';
  readonly message: string;
  readonly comm?: string;
  readonly seconds?: number;
  readonly suppressed?: number;
}

export interface FilesystemErrorAttrs {
  readonly class: 'error' | 'shutdown' | 'read-only' | 'io-error';
  readonly fsType: string;
  /** What failed, where the line says so. */
  readonly op?: 'read' | 'write';
  readonly message: string;
  readonly suppressed?: number;
}

export interface LinkAttrs {
  readonly driver?: string;
  readonly message: string;
}

/** A cgroup with a CPU limit. */
export interface ThrottleAttrs {
  readonly quotaMs: number;
  readonly periodMs: number;
  /** Of the window: periods, those that ended throttled, and the time lost in them over all CPUs. */
  readonly periods: number;
  readonly throttledPeriods: number;
  readonly throttledMs: number;
  readonly windowMs: number;
  /** Processes that the limit holds, at most 256. */
  readonly members: readonly ProcessRef[];
}

/** A cgroup with a memory limit. Counts are of the window. */
export interface MemoryLimitAttrs {
  readonly usageBytes: number;
  readonly limitBytes?: number;
  readonly highBytes?: number;
  readonly highEvents: number;
  readonly maxEvents: number;
  readonly oomEvents: number;
  readonly oomKills: number;
  readonly windowMs: number;
  readonly members: readonly ProcessRef[];
}

export interface MemoryUser extends ProcessRef {
  readonly comm: string;
  readonly rssBytes: number;
  readonly swapBytes: number;
}

/** Share (0–100) of the last ten seconds in which somebody, or everybody, waited: /proc/pressure. */
export interface PressureAttrs {
  readonly cpuSome: number;
  readonly ioSome: number;
  readonly ioFull: number;
  readonly memorySome: number;
  readonly memoryFull: number;
}
