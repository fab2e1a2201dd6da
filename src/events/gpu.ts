/** What is said of GPUs, by NVML. A figure is absent where the GPU, the driver or its mode does not tell it. */

/** One MIG instance: a part of a GPU that programs see as a GPU. */
export interface MigInstance {
  readonly uuid?: string;
  /** GPU instance and compute instance, as in nvidia-smi. */
  readonly gi: number;
  readonly ci: number;
  /** Of at most seven. */
  readonly slices?: number;
  readonly memoryBytes?: number;
}

/** In the order of nvmlComputeMode_t. */
export const COMPUTE_MODES = ['default', 'exclusive-thread', 'prohibited', 'exclusive-process'] as const;
export type ComputeMode = (typeof COMPUTE_MODES)[number];
/**
 * The GPU of a virtual machine: passed through, or a part of one (vGPU); or of a host that parts it.
 * In the order of nvmlGpuVirtualizationMode_t.
 */
export const GPU_VIRTUALIZATIONS = ['none', 'passthrough', 'vgpu', 'vgpu-host', 'vsga-host'] as const;
export type GpuVirtualization = (typeof GPU_VIRTUALIZATIONS)[number];

export interface GpuDeviceAttrs {
  readonly uuid?: string;
  readonly name?: string;
  /** `0000:3b:00.0`, as in /sys. */
  readonly pci?: string;
  /** /dev/nvidiaN */
  readonly minor?: number;
  readonly driver?: string;
  readonly computeMode?: ComputeMode;
  readonly virtualization?: GpuVirtualization;
  readonly maxPcieGeneration?: number;
  readonly maxPcieWidth?: number;
  readonly powerLimitW?: number;
  /** NVLinks that it has. */
  readonly links?: number;
  /** Absent: it has no MIG. Pending: after the next reset. */
  readonly mig?: boolean;
  readonly migPending?: boolean;
  readonly instances: readonly MigInstance[];
  readonly gone?: true;
}

/** Why its clocks are lower than they could be: nvmlClocksEventReasons, bit by bit from the lowest. */
export const GPU_THROTTLES = [
  'idle',
  'application-clocks',
  'power-cap',
  'hw-slowdown',
  'sync-boost',
  'sw-thermal',
  'hw-thermal',
  'power-brake',
  'display-clocks',
] as const;
export type GpuThrottle = (typeof GPU_THROTTLES)[number];

export interface GpuUseAttrs {
  /** Share of the last second in which a kernel ran, and in which memory was read or written. */
  readonly gpuPercent?: number;
  readonly memoryPercent?: number;
  readonly usedBytes?: number;
  readonly freeBytes?: number;
  readonly totalBytes?: number;
  /** Of the used ones, by driver and firmware. */
  readonly reservedBytes?: number;
  readonly temperatureC?: number;
  readonly powerW?: number;
  readonly powerLimitW?: number;
  readonly smMhz?: number;
  readonly memoryMhz?: number;
  readonly throttle: readonly GpuThrottle[];
  /** Of the link to the host now; it is slower at rest to save power. */
  readonly pcieGeneration?: number;
  readonly pcieWidth?: number;
  /** Compute processes. */
  readonly processes?: number;
  /** Since the last look at it. */
  readonly windowMs: number;
}

export interface NvlinkAttrs {
  readonly link: number;
  readonly up: boolean;
  readonly crcErrors?: number;
  readonly replays?: number;
  readonly recoveries?: number;
  /** NVLink 5: received with errors; not recovered. */
  readonly receiveErrors?: number;
  readonly failedRecoveries?: number;
}

/** Counts: volatile since the driver was loaded, aggregate of the GPU's life. */
export interface GpuHealthAttrs {
  readonly correctedVolatile?: number;
  readonly uncorrectedVolatile?: number;
  readonly correctedAggregate?: number;
  readonly uncorrectedAggregate?: number;
  /** Rows of memory that were replaced, by what was wrong with them. */
  readonly remappedCorrectable?: number;
  readonly remappedUncorrectable?: number;
  /** A row waits for the next reset to be replaced; one could not be. */
  readonly remapPending?: boolean;
  readonly remapFailed?: boolean;
  readonly pcieReplays?: number;
  readonly links: readonly NvlinkAttrs[];
}

export interface GpuProcess {
  readonly pid: number;
  /** Start in clock ticks since boot, as /proc tells; absent where the process is not to be seen. */
  readonly startTicks?: number;
  readonly comm?: string;
  readonly memoryBytes?: number;
  /** Mean of the samples since the last look. */
  readonly smPercent?: number;
  readonly memoryPercent?: number;
  readonly gi?: number;
  readonly ci?: number;
}

/** Who has the device open, with or without a context; `start` as in ProcessRef. */
export interface GpuHolder {
  readonly pid: number;
  readonly start: number;
  readonly comm: string;
  /** The lowest of its descriptors that are the device. */
  readonly fd: number;
}

/**
 * `lost`: the driver says so (it fell off the bus, or wants a reset). `hung`: a call about it has not come back.
 * `gone`: there were more GPUs, or the driver was unloaded. `reloaded`: the driver was exchanged, and it is there again.
 */
export const GPU_STATES = ['ok', 'lost', 'hung', 'gone', 'reloaded'] as const;
export type GpuState = (typeof GPU_STATES)[number];

export interface GpuStateAttrs {
  readonly state: GpuState;
  /** What has ended. */
  readonly was?: GpuState;
  /** NVML's word for it: `GPU_IS_LOST`. */
  readonly reason?: string;
  /** The call that told it, or that hangs. */
  readonly call?: string;
  /** `library`: not only this one; nothing can be asked. */
  readonly scope: 'gpu' | 'library';
}

/** What NVML's event set told. The kernel log tells the same XID in its own words. */
export const GPU_EVENT_KINDS = [
  'xid',
  'ecc-corrected',
  'ecc-uncorrected',
  'ecc-storm',
  'row-retired',
  'row-retirement-failed',
  'poison',
  'poison-fatal',
  'unavailable',
  'recovery-action',
  'mig-changed',
] as const;
export type GpuEventKind = (typeof GPU_EVENT_KINDS)[number];

export interface GpuEventAttrs {
  readonly kind: GpuEventKind;
  readonly xid?: number;
  readonly gi?: number;
  readonly ci?: number;
  /** Like it that were not told since the one before. */
  readonly suppressed?: number;
}
