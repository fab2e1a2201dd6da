/** What probe `gpu` can do here, and what was taken away and why, for `xctl doctor`. */
import { nvmlName } from '../ffi/nvml-errors.js';
import type { Check } from '../util/check.js';
import type { GpuDevice } from './gpu-device.js';
import type { EventWait } from './gpu-event-wait.js';
import { LANES } from './gpu-lanes.js';
import type { GpuLibrary } from './gpu-library.js';

export interface GpuParts {
  readonly library: GpuLibrary;
  readonly devices: readonly GpuDevice[];
  readonly refused: ReadonlyMap<number, string>;
  readonly wait: EventWait | undefined;
  readonly openHung: boolean;
  readonly lanesHung: number;
  readonly starved: boolean;
}

/** Other functions do for these. */
const REPLACED = new Set([
  'memoryV2',
  'fields',
  'pcieReplays',
  'eccErrors',
  'remappedRows',
  'nvlinkState',
  'nvlinkErrors',
]);
const OVERDUE_MS = 5_000;

export function gpuChecks(parts: GpuParts): readonly Check[] {
  const name = 'probe gpu';
  const { library } = parts;
  const { state, caller } = library;
  if (parts.openHung) {
    const call = caller?.pending?.call ?? 'NVML';
    return [{ status: 'failed', name, detail: `${call} does not come back: the driver hangs` }];
  }
  switch (state.kind) {
    case 'absent':
      return [
        { status: 'off', name, detail: `${state.reason}: no NVIDIA driver, or not given to this container` },
      ];
    case 'unusable':
    case 'closed':
      return [{ status: 'failed', name, detail: state.reason }];
    case 'opening':
      return [{ status: 'degraded', name, detail: 'NVML is being started' }];
    case 'open':
      return [summary(parts, state.driver), events(parts), ...functions(parts)];
  }
}

function summary({ devices, refused, lanesHung, starved }: GpuParts, driver: string | undefined): Check {
  const name = 'probe gpu';
  const troubles = devices
    .filter(({ state }) => state !== 'ok' && state !== 'reloaded')
    .map(({ index, state }) => `GPU ${index} is ${state}`);
  for (const [index, reason] of refused)
    troubles.push(`GPU ${index}: ${reason === 'NO_PERMISSION' ? 'no access to its device file' : reason}`);
  if (lanesHung === LANES) troubles.unshift('no call comes back: the driver hangs');
  if (starved) troubles.unshift('no thread is free for its calls: something else hangs');
  const count = devices.filter(({ state }) => state !== 'gone').length + refused.size;
  const what = `${count} GPU${count === 1 ? '' : 's'}, driver ${driver ?? 'unknown'}`;
  if (troubles.length === 0) return { status: 'ok', name, detail: what };
  return { status: 'degraded', name, detail: `${what}; ${troubles.join(', ')}` };
}

function events({ library, wait }: GpuParts): Check {
  const name = 'probe gpu/events';
  const overdueMs = wait?.overdueMs() ?? 0;
  if (overdueMs > OVERDUE_MS)
    return { status: 'degraded', name, detail: 'the wait for events does not come back' };
  const refusal = library.eventRefusal;
  if (library.eventGpus === 0) {
    const reason = refusal === undefined ? 'no GPU has them' : nvmlName(refusal);
    return { status: 'degraded', name, detail: `no XID by NVML (${reason}); the kernel log tells them` };
  }
  return { status: 'ok', name, detail: `of ${library.eventGpus} GPUs` };
}

/** A figure whose functions are all missing is absent everywhere. */
function functions({ library }: GpuParts): readonly Check[] {
  const missing = library.nvml?.missing().filter((fn) => !REPLACED.has(fn)) ?? [];
  if (missing.length === 0) return [];
  const detail = `this library has no ${missing.join(', ')}`;
  return [{ status: 'degraded', name: 'probe gpu/figures', detail }];
}
