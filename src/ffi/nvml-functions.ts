/**
 * The functions of NVML that the agent calls: for each its names, newest first, and its arguments. All of a line have
 * the same arguments; where the newest fills in more than the oldest, the caller goes by the name that was found.
 */
import type { ArgType } from './native.js';

export interface NvmlFunctionSpec {
  readonly names: readonly [string, ...string[]];
  readonly args: readonly ArgType[];
  /** Without it the library is of no use. */
  readonly essential?: true;
}

const DEVICE = ['ptr'] as const;
/** A figure of a device into one place. */
const FIGURE = ['ptr', 'ptr'] as const;

export const FUNCTIONS = {
  init: { names: ['nvmlInit_v2', 'nvmlInit'], args: [], essential: true },
  shutdown: { names: ['nvmlShutdown'], args: [], essential: true },
  driverVersion: { names: ['nvmlSystemGetDriverVersion'], args: ['ptr', 'u32'] },
  count: { names: ['nvmlDeviceGetCount_v2', 'nvmlDeviceGetCount'], args: ['ptr'], essential: true },
  handle: {
    names: ['nvmlDeviceGetHandleByIndex_v2', 'nvmlDeviceGetHandleByIndex'],
    args: ['u32', 'ptr'],
    essential: true,
  },

  uuid: { names: ['nvmlDeviceGetUUID'], args: ['ptr', 'ptr', 'u32'] },
  name: { names: ['nvmlDeviceGetName'], args: ['ptr', 'ptr', 'u32'] },
  pci: {
    names: ['nvmlDeviceGetPciInfo_v3', 'nvmlDeviceGetPciInfo_v2', 'nvmlDeviceGetPciInfo'],
    args: FIGURE,
  },
  minor: { names: ['nvmlDeviceGetMinorNumber'], args: FIGURE },
  computeMode: { names: ['nvmlDeviceGetComputeMode'], args: FIGURE },
  virtualization: { names: ['nvmlDeviceGetVirtualizationMode'], args: FIGURE },
  maxPcieGeneration: { names: ['nvmlDeviceGetMaxPcieLinkGeneration'], args: FIGURE },
  maxPcieWidth: { names: ['nvmlDeviceGetMaxPcieLinkWidth'], args: FIGURE },
  powerLimit: {
    names: ['nvmlDeviceGetEnforcedPowerLimit', 'nvmlDeviceGetPowerManagementLimit'],
    args: FIGURE,
  },

  migMode: { names: ['nvmlDeviceGetMigMode'], args: ['ptr', 'ptr', 'ptr'] },
  migCount: { names: ['nvmlDeviceGetMaxMigDeviceCount'], args: FIGURE },
  migHandle: { names: ['nvmlDeviceGetMigDeviceHandleByIndex'], args: ['ptr', 'u32', 'ptr'] },
  gpuInstance: { names: ['nvmlDeviceGetGpuInstanceId'], args: FIGURE },
  computeInstance: { names: ['nvmlDeviceGetComputeInstanceId'], args: FIGURE },
  attributes: { names: ['nvmlDeviceGetAttributes_v2', 'nvmlDeviceGetAttributes'], args: FIGURE },

  utilization: { names: ['nvmlDeviceGetUtilizationRates'], args: FIGURE },
  memoryV2: { names: ['nvmlDeviceGetMemoryInfo_v2'], args: FIGURE },
  memory: { names: ['nvmlDeviceGetMemoryInfo'], args: FIGURE },
  temperature: { names: ['nvmlDeviceGetTemperature'], args: ['ptr', 'i32', 'ptr'] },
  power: { names: ['nvmlDeviceGetPowerUsage'], args: FIGURE },
  clock: { names: ['nvmlDeviceGetClockInfo'], args: ['ptr', 'i32', 'ptr'] },
  clockReasons: {
    names: ['nvmlDeviceGetCurrentClocksEventReasons', 'nvmlDeviceGetCurrentClocksThrottleReasons'],
    args: FIGURE,
  },
  pcieGeneration: { names: ['nvmlDeviceGetCurrPcieLinkGeneration'], args: FIGURE },
  pcieWidth: { names: ['nvmlDeviceGetCurrPcieLinkWidth'], args: FIGURE },
  fields: { names: ['nvmlDeviceGetFieldValues'], args: ['ptr', 'i32', 'ptr'] },
  // For what the fields do not tell.
  pcieReplays: { names: ['nvmlDeviceGetPcieReplayCounter'], args: FIGURE },
  eccErrors: { names: ['nvmlDeviceGetTotalEccErrors'], args: ['ptr', 'i32', 'i32', 'ptr'] },
  remappedRows: { names: ['nvmlDeviceGetRemappedRows'], args: ['ptr', 'ptr', 'ptr', 'ptr', 'ptr'] },
  nvlinkState: { names: ['nvmlDeviceGetNvLinkState'], args: ['ptr', 'u32', 'ptr'] },
  nvlinkErrors: { names: ['nvmlDeviceGetNvLinkErrorCounter'], args: ['ptr', 'u32', 'i32', 'ptr'] },

  processes: {
    names: [
      'nvmlDeviceGetComputeRunningProcesses_v3',
      'nvmlDeviceGetComputeRunningProcesses_v2',
      'nvmlDeviceGetComputeRunningProcesses',
    ],
    args: ['ptr', 'ptr', 'ptr'],
  },
  processSamples: { names: ['nvmlDeviceGetProcessUtilization'], args: ['ptr', 'ptr', 'ptr', 'u64'] },

  eventSet: { names: ['nvmlEventSetCreate'], args: DEVICE },
  eventSetFree: { names: ['nvmlEventSetFree'], args: DEVICE },
  eventTypes: { names: ['nvmlDeviceGetSupportedEventTypes'], args: FIGURE },
  registerEvents: { names: ['nvmlDeviceRegisterEvents'], args: ['ptr', 'u64', 'ptr'] },
  eventWait: { names: ['nvmlEventSetWait_v2', 'nvmlEventSetWait'], args: ['ptr', 'ptr', 'u32'] },
} as const satisfies Readonly<Record<string, NvmlFunctionSpec>>;

export type NvmlFunction = keyof typeof FUNCTIONS;
