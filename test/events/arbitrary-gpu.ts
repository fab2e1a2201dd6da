/** Attributes of the gpu.* events, for property tests; see arbitrary.ts. */
import type { EventCatalogue, EventType } from '../../src/events/event.js';
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
  type GpuUseAttrs,
  type MigInstance,
  type NvlinkAttrs,
} from '../../src/events/gpu.js';
import { fc } from '../lib/property.js';

type GpuType = Extract<EventType, `gpu.${string}`>;

const count = fc.nat();
const share = fc.double({ min: 0, max: 100, noNaN: true });
const bytes = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const pid = fc.integer({ min: 0, max: 2 ** 22 });
const text = fc.string({ unit: 'binary', maxLength: 40 });
const flag = fc.boolean();
const yes = fc.constant<true>(true);
const state = fc.constantFrom(...GPU_STATES);

/** Fields that may be absent are absent in some. */
function some<T>(
  fields: { readonly [K in keyof T]-?: fc.Arbitrary<NonNullable<T[K]>> },
  required: (keyof T)[],
) {
  return fc.record(fields, { requiredKeys: required as [] }) as unknown as fc.Arbitrary<T>;
}

const instance = some<MigInstance>({ uuid: text, gi: count, ci: count, slices: count, memoryBytes: bytes }, [
  'gi',
  'ci',
]);

const link = some<NvlinkAttrs>(
  {
    link: count,
    up: flag,
    crcErrors: count,
    replays: count,
    recoveries: count,
    receiveErrors: count,
    failedRecoveries: count,
  },
  ['link', 'up'],
);

const process = some<GpuProcess>(
  {
    pid,
    startTicks: bytes,
    comm: text,
    memoryBytes: bytes,
    smPercent: share,
    memoryPercent: share,
    gi: count,
    ci: count,
  },
  ['pid'],
);

const holder = some<GpuHolder>({ pid, start: bytes, comm: text, fd: count }, ['pid', 'start', 'comm', 'fd']);

export const GPU_ATTRS: { readonly [T in GpuType]: fc.Arbitrary<EventCatalogue[T]> } = {
  'gpu.device': some<GpuDeviceAttrs>(
    {
      uuid: text,
      name: text,
      pci: text,
      minor: count,
      driver: text,
      computeMode: fc.constantFrom(...COMPUTE_MODES),
      virtualization: fc.constantFrom(...GPU_VIRTUALIZATIONS),
      maxPcieGeneration: count,
      maxPcieWidth: count,
      powerLimitW: share,
      links: count,
      mig: flag,
      migPending: flag,
      instances: fc.array(instance, { maxLength: 7 }),
      gone: yes,
    },
    ['instances'],
  ),
  'gpu.use': some<GpuUseAttrs>(
    {
      gpuPercent: share,
      memoryPercent: share,
      usedBytes: bytes,
      freeBytes: bytes,
      totalBytes: bytes,
      reservedBytes: bytes,
      temperatureC: fc.integer({ min: -40, max: 120 }),
      powerW: share,
      powerLimitW: share,
      smMhz: count,
      memoryMhz: count,
      throttle: fc.array(fc.constantFrom(...GPU_THROTTLES), { maxLength: 4 }),
      pcieGeneration: count,
      pcieWidth: count,
      processes: count,
      windowMs: share,
    },
    ['throttle', 'windowMs'],
  ),
  'gpu.health': some<GpuHealthAttrs>(
    {
      correctedVolatile: count,
      uncorrectedVolatile: count,
      correctedAggregate: count,
      uncorrectedAggregate: count,
      remappedCorrectable: count,
      remappedUncorrectable: count,
      remapPending: flag,
      remapFailed: flag,
      pcieReplays: count,
      links: fc.array(link, { maxLength: 18 }),
    },
    ['links'],
  ),
  'gpu.processes': fc.record({ processes: fc.array(process, { maxLength: 8 }) }),
  'gpu.users': fc.record({ holders: fc.array(holder, { maxLength: 8 }) }),
  'gpu.state': some<GpuStateAttrs>(
    { state, was: state, reason: text, call: text, scope: fc.constantFrom('gpu', 'library') },
    ['state', 'scope'],
  ),
  'gpu.event': some<GpuEventAttrs>(
    { kind: fc.constantFrom(...GPU_EVENT_KINDS), xid: count, gi: count, ci: count, suppressed: count },
    ['kind'],
  ),
};
