/** Guards of the gpu.* events; see catalogue.ts. */
import type { EventCatalogue } from './event.js';
import {
  COMPUTE_MODES,
  GPU_EVENT_KINDS,
  GPU_STATES,
  GPU_THROTTLES,
  GPU_VIRTUALIZATIONS,
  type GpuDeviceAttrs,
  type GpuEventAttrs,
  type GpuHealthAttrs,
  type GpuHolder,
  type GpuProcess,
  type GpuStateAttrs,
  type GpuThrottle,
  type GpuUseAttrs,
  type MigInstance,
  type NvlinkAttrs,
} from './gpu.js';
import { count, flag, type Guard, list, number, oneOf, optional, pid, shape, text } from './guards.js';

type GpuType = Extract<keyof EventCatalogue, `gpu.${string}`>;

const state = oneOf(...GPU_STATES);

export const GPU: { readonly [T in GpuType]: Guard<EventCatalogue[T]> } = {
  'gpu.device': shape<GpuDeviceAttrs>({
    uuid: optional(text),
    name: optional(text),
    pci: optional(text),
    minor: optional(count),
    driver: optional(text),
    computeMode: optional(oneOf(...COMPUTE_MODES)),
    virtualization: optional(oneOf(...GPU_VIRTUALIZATIONS)),
    maxPcieGeneration: optional(count),
    maxPcieWidth: optional(count),
    powerLimitW: optional(count),
    links: optional(count),
    mig: optional(flag),
    migPending: optional(flag),
    instances: list(
      shape<MigInstance>({
        uuid: optional(text),
        gi: count,
        ci: count,
        slices: optional(count),
        memoryBytes: optional(count),
      }),
    ),
    gone: optional(oneOf(true)),
  }),
  'gpu.use': shape<GpuUseAttrs>({
    gpuPercent: optional(count),
    memoryPercent: optional(count),
    usedBytes: optional(count),
    freeBytes: optional(count),
    totalBytes: optional(count),
    reservedBytes: optional(count),
    temperatureC: optional(number),
    powerW: optional(count),
    powerLimitW: optional(count),
    smMhz: optional(count),
    memoryMhz: optional(count),
    throttle: list<GpuThrottle>(oneOf(...GPU_THROTTLES)),
    pcieGeneration: optional(count),
    pcieWidth: optional(count),
    processes: optional(count),
    windowMs: count,
  }),
  'gpu.health': shape<GpuHealthAttrs>({
    correctedVolatile: optional(count),
    uncorrectedVolatile: optional(count),
    correctedAggregate: optional(count),
    uncorrectedAggregate: optional(count),
    remappedCorrectable: optional(count),
    remappedUncorrectable: optional(count),
    remapPending: optional(flag),
    remapFailed: optional(flag),
    pcieReplays: optional(count),
    links: list(
      shape<NvlinkAttrs>({
        link: count,
        up: flag,
        crcErrors: optional(count),
        replays: optional(count),
        recoveries: optional(count),
        receiveErrors: optional(count),
        failedRecoveries: optional(count),
      }),
    ),
  }),
  'gpu.processes': shape<EventCatalogue['gpu.processes']>({
    processes: list(
      shape<GpuProcess>({
        pid,
        startTicks: optional(count),
        comm: optional(text),
        memoryBytes: optional(count),
        smPercent: optional(count),
        memoryPercent: optional(count),
        gi: optional(count),
        ci: optional(count),
      }),
    ),
  }),
  'gpu.users': shape<EventCatalogue['gpu.users']>({
    holders: list(shape<GpuHolder>({ pid, start: count, comm: text, fd: number })),
  }),
  'gpu.state': shape<GpuStateAttrs>({
    state,
    was: optional(state),
    reason: optional(text),
    call: optional(text),
    scope: oneOf('gpu', 'library'),
  }),
  'gpu.event': shape<GpuEventAttrs>({
    kind: oneOf(...GPU_EVENT_KINDS),
    xid: optional(count),
    gi: optional(count),
    ci: optional(count),
    suppressed: optional(count),
  }),
};
