/**
 * NVML's return codes: their names, and what each means for the agent. Only a few of them are about more than
 * the figure that was asked for: those end a GPU's or the library's use until something changes.
 */

const NAMES: Readonly<Record<number, string>> = {
  0: 'SUCCESS',
  1: 'UNINITIALIZED',
  2: 'INVALID_ARGUMENT',
  3: 'NOT_SUPPORTED',
  4: 'NO_PERMISSION',
  5: 'ALREADY_INITIALIZED',
  6: 'NOT_FOUND',
  7: 'INSUFFICIENT_SIZE',
  8: 'INSUFFICIENT_POWER',
  9: 'DRIVER_NOT_LOADED',
  10: 'TIMEOUT',
  11: 'IRQ_ISSUE',
  12: 'LIBRARY_NOT_FOUND',
  13: 'FUNCTION_NOT_FOUND',
  14: 'CORRUPTED_INFOROM',
  15: 'GPU_IS_LOST',
  16: 'RESET_REQUIRED',
  17: 'OPERATING_SYSTEM',
  18: 'LIB_RM_VERSION_MISMATCH',
  19: 'IN_USE',
  20: 'MEMORY',
  21: 'NO_DATA',
  22: 'VGPU_ECC_NOT_SUPPORTED',
  23: 'INSUFFICIENT_RESOURCES',
  24: 'FREQ_NOT_SUPPORTED',
  25: 'ARGUMENT_VERSION_MISMATCH',
  26: 'DEPRECATED',
  27: 'NOT_READY',
  28: 'GPU_NOT_FOUND',
  29: 'INVALID_STATE',
  30: 'RESET_TYPE_NOT_SUPPORTED',
  999: 'UNKNOWN',
};

export const NVML_SUCCESS = 0;
export const NVML_ERROR_NOT_SUPPORTED = 3;
export const NVML_ERROR_NO_PERMISSION = 4;
export const NVML_ERROR_NOT_FOUND = 6;
export const NVML_ERROR_INSUFFICIENT_SIZE = 7;
export const NVML_ERROR_DRIVER_NOT_LOADED = 9;
export const NVML_ERROR_TIMEOUT = 10;
/** Also what a call of a function that the library does not have comes to. */
export const NVML_ERROR_FUNCTION_NOT_FOUND = 13;
export const NVML_ERROR_LIB_RM_VERSION_MISMATCH = 18;
export const NVML_ERROR_UNKNOWN = 999;

/** `GPU_IS_LOST` for 15; the number where it has no name. */
export function nvmlName(code: number): string {
  return NAMES[code] ?? `code ${code}`;
}

/** UNINITIALIZED, DRIVER_NOT_LOADED, LIB_RM_VERSION_MISMATCH: the driver was taken away or exchanged. */
const RELOAD: ReadonlySet<number> = new Set([
  1,
  NVML_ERROR_DRIVER_NOT_LOADED,
  NVML_ERROR_LIB_RM_VERSION_MISMATCH,
]);
/** GPU_IS_LOST, RESET_REQUIRED: nothing can be asked of this GPU any more. */
const LOST: ReadonlySet<number> = new Set([15, 16]);
/** NOT_SUPPORTED, FUNCTION_NOT_FOUND, VGPU_ECC_NOT_SUPPORTED, ARGUMENT_VERSION_MISMATCH, DEPRECATED: asking again is of no use. */
const ABSENT: ReadonlySet<number> = new Set([
  NVML_ERROR_NOT_SUPPORTED,
  NVML_ERROR_FUNCTION_NOT_FOUND,
  22,
  25,
  26,
]);

export function wantsReload(code: number): boolean {
  return RELOAD.has(code);
}

export function isLost(code: number): boolean {
  return LOST.has(code);
}

export function isAbsent(code: number): boolean {
  return ABSENT.has(code);
}

const HINTS: Readonly<Record<number, string>> = {
  [NVML_ERROR_DRIVER_NOT_LOADED]:
    'the library is here and the kernel driver is not: load it (modprobe nvidia)',
  [NVML_ERROR_LIB_RM_VERSION_MISMATCH]:
    'library and kernel driver are of two versions: reload the driver or reboot after an update, then restart xctl-agent',
  [NVML_ERROR_NO_PERMISSION]:
    'no access to /dev/nvidiactl and /dev/nvidia*: run as root, or give the container the devices',
  [NVML_ERROR_UNKNOWN]: 'the driver gave no reason: see its lines in the kernel log (NVRM)',
};

/** What to do about a code, where there is something. */
export function nvmlHint(code: number): string | undefined {
  return HINTS[code];
}
