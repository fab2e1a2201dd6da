/**
 * The structures that NVML fills in, as tables of offsets (NVIDIA's public nvml.h, the same on x86-64 and arm64);
 * what is read from one has the type that its table says.
 */
import type { Pinned } from './memory.js';

/** `u64` is exact below 2^53; one that stands for "not available" is above that. */
type FieldType = 'u32' | 'u64';

export interface Struct<F extends Readonly<Record<string, readonly [FieldType, number]>>> {
  readonly sizeBytes: number;
  readonly fields: F;
  /** The same, ready to be gone through. */
  readonly list: readonly { readonly name: string; readonly wide: boolean; readonly offset: number }[];
}

function struct<const F extends Readonly<Record<string, readonly [FieldType, number]>>>(
  sizeBytes: number,
  fields: F,
): Struct<F> {
  const list = Object.entries(fields).map(([name, [type, offset]]) => ({
    name,
    wide: type === 'u64',
    offset,
  }));
  return { sizeBytes, fields, list };
}

/** nvmlPciInfo_t. The older ones (v1, v2) end earlier and have these at the same places. */
export const PCI_INFO = struct(68, {
  domain: ['u32', 16],
  bus: ['u32', 20],
  device: ['u32', 24],
});

export const UTILIZATION = struct(8, { gpu: ['u32', 0], memory: ['u32', 4] });

export const MEMORY = struct(24, { total: ['u64', 0], free: ['u64', 8], used: ['u64', 16] });

export const MEMORY_V2 = struct(40, {
  version: ['u32', 0],
  total: ['u64', 8],
  reserved: ['u64', 16],
  free: ['u64', 24],
  used: ['u64', 32],
});

/** nvmlProcessInfo_v1_t, of the function without a version. */
export const PROCESS_V1 = struct(16, { pid: ['u32', 0], usedBytes: ['u64', 8] });

/**
 * nvmlProcessInfo_v2_t, of `_v2` and `_v3`. Drivers 535.43 to 535.86 wrote entries of 32 bytes under the name `_v3`;
 * what is told of them here is at the same offsets.
 */
export const PROCESS_V2 = struct(24, {
  pid: ['u32', 0],
  usedBytes: ['u64', 8],
  gpuInstance: ['u32', 16],
  computeInstance: ['u32', 20],
});
export const PROCESS_V2_WIDE_BYTES = 32;

export const PROCESS_SAMPLE = struct(32, {
  pid: ['u32', 0],
  timeStampUs: ['u64', 8],
  sm: ['u32', 16],
  memory: ['u32', 20],
  encoder: ['u32', 24],
  decoder: ['u32', 28],
});

/** nvmlDeviceAttributes_t: of a MIG instance. */
export const ATTRIBUTES = struct(40, {
  multiprocessors: ['u32', 0],
  gpuSlices: ['u32', 24],
  computeSlices: ['u32', 28],
  memoryMib: ['u64', 32],
});

export const FIELD_VALUE = struct(40, {
  fieldId: ['u32', 0],
  scopeId: ['u32', 4],
  valueType: ['u32', 24],
  code: ['u32', 28],
  value: ['u64', 32],
});

export const EVENT_DATA = struct(32, {
  device: ['u64', 0],
  type: ['u64', 8],
  data: ['u64', 16],
  gpuInstance: ['u32', 24],
  computeInstance: ['u32', 28],
});

/** NVML_STRUCT_VERSION. */
export function structVersion(sizeBytes: number, version: number): number {
  return sizeBytes + version * 0x100_0000;
}

export function read<F extends Readonly<Record<string, readonly [FieldType, number]>>>(
  memory: Pinned,
  layout: Struct<F>,
  at = 0,
): { readonly [K in keyof F]: number } {
  const values: Record<string, number> = {};
  for (const { name, wide, offset } of layout.list)
    values[name] = wide ? memory.readU64(at + offset) : memory.view.getUint32(at + offset, true);
  return values as { readonly [K in keyof F]: number };
}

/** NVML_VALUE_NOT_AVAILABLE, all ones, is not a number of anything. */
export function available(value: number): number | undefined {
  return value >= 2 ** 63 ? undefined : value;
}

/** In a process or an event: not of a MIG instance. */
const NO_INSTANCE = 0xffff_ffff;

export function instance(value: number): number | undefined {
  return value === NO_INSTANCE ? undefined : value;
}

/** NVML's code for one field of many. */
export function fieldCode(memory: Pinned, at: number): number {
  return memory.view.getUint32(at + FIELD_VALUE.fields.code[1], true);
}

/** nvmlValueType_t: how much of the eight bytes is the value, and how. */
export function fieldValue(memory: Pinned, at: number): number | undefined {
  if (fieldCode(memory, at) !== 0) return undefined;
  switch (memory.view.getUint32(at + FIELD_VALUE.fields.valueType[1], true)) {
    case 0:
      return memory.view.getFloat64(at + 32, true);
    case 1:
      return memory.view.getUint32(at + 32, true);
    case 2:
    case 3:
      return available(memory.readU64(at + 32));
    case 4:
      return Number(memory.view.getBigInt64(at + 32, true));
    case 5:
      return memory.view.getInt32(at + 32, true);
    default:
      return undefined;
  }
}
