/** What NVML's numbers stand for: fields by number, modes and reasons by name, PCI addresses as the kernel spells them. */
import {
  COMPUTE_MODES,
  type ComputeMode,
  GPU_THROTTLES,
  GPU_VIRTUALIZATIONS,
  type GpuEventKind,
  type GpuThrottle,
  type GpuVirtualization,
} from '../events/gpu.js';

/** NVML_FI_DEV_*: counts that one call brings all at once. */
export const FIELD = {
  correctedVolatile: 3,
  uncorrectedVolatile: 4,
  correctedAggregate: 5,
  uncorrectedAggregate: 6,
  /** Mean of a second, mW. */
  power: 185,
  links: 91,
  pcieReplays: 94,
  remappedCorrectable: 142,
  remappedUncorrectable: 143,
  remapPending: 144,
  remapFailed: 145,
} as const;
export type CountField = Exclude<keyof typeof FIELD, 'links' | 'power'>;
export const COUNT_FIELDS = Object.keys(FIELD).filter(
  (name): name is CountField => name !== 'links' && name !== 'power',
);

/** NVML_FI_DEV_NVLINK_*, each of one link. The first three counts are of NVLink before 5, the others of NVLink 5. */
export const LINK_FIELD = {
  up: 165,
  replays: 161,
  recoveries: 162,
  crcErrors: 163,
  receiveErrors: 208,
  failedRecoveries: 214,
} as const;
export type LinkField = keyof typeof LINK_FIELD;
export const LINK_FIELDS = Object.keys(LINK_FIELD).filter((name): name is LinkField => name in LINK_FIELD);

/** NVML_NVLINK_MAX_LINKS. */
export const MAX_LINKS = 18;

/** nvmlDeviceGetTotalEccErrors(type, counter) for what the fields do not tell. */
export const ECC_ARGUMENTS = {
  correctedVolatile: [0, 0],
  uncorrectedVolatile: [1, 0],
  correctedAggregate: [0, 1],
  uncorrectedAggregate: [1, 1],
} as const satisfies Partial<Record<CountField, readonly [number, number]>>;
export type EccCount = keyof typeof ECC_ARGUMENTS;
export const ECC_COUNTS = Object.keys(ECC_ARGUMENTS).filter(
  (name): name is EccCount => name in ECC_ARGUMENTS,
);

/** In the order of nvmlDeviceGetRemappedRows. */
export const REMAP_COUNTS = [
  'remappedCorrectable',
  'remappedUncorrectable',
  'remapPending',
  'remapFailed',
] as const;

/** nvmlDeviceGetNvLinkErrorCounter. */
export const LINK_COUNTER = { replays: 0, recoveries: 1, crcErrors: 2 } as const;

/** nvmlClockType_t. */
export const CLOCK_SM = 1;
export const CLOCK_MEMORY = 2;

export function throttleReasons(bits: number): readonly GpuThrottle[] {
  return GPU_THROTTLES.filter((_, bit) => Math.floor(bits / 2 ** bit) % 2 === 1);
}

export function computeMode(mode: number | undefined): ComputeMode | undefined {
  return mode === undefined ? undefined : COMPUTE_MODES[mode];
}

export function virtualization(mode: number | undefined): GpuVirtualization | undefined {
  return mode === undefined ? undefined : GPU_VIRTUALIZATIONS[mode];
}

/** `0000:3b:00.0`. NVML tells no function: a GPU is always function 0. */
export function pciName(domain: number, bus: number, device: number): string {
  const hex = (value: number, width: number): string => value.toString(16).padStart(width, '0');
  return `${hex(domain, 4)}:${hex(bus, 2)}:${hex(device, 2)}.0`;
}

/** nvmlEventType: what is asked for, as far as the GPU has it. Not power states and clocks: those come by the second. */
const EVENT_KINDS: ReadonlyMap<number, GpuEventKind> = new Map([
  [0x1, 'ecc-corrected'],
  [0x2, 'ecc-uncorrected'],
  [0x8, 'xid'],
  [0x100, 'mig-changed'],
  [0x200, 'ecc-storm'],
  [0x400, 'row-retired'],
  [0x800, 'row-retirement-failed'],
  [0x1000, 'poison'],
  [0x2000, 'poison-fatal'],
  [0x4000, 'unavailable'],
  [0x8000, 'recovery-action'],
]);

export const WANTED_EVENTS = [...EVENT_KINDS.keys()].reduce((bits, bit) => bits + bit, 0);

export function eventKind(type: number): GpuEventKind | undefined {
  return EVENT_KINDS.get(type);
}
