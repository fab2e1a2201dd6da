/**
 * The agent's figures beside nvidia-smi's, each with the tolerance that it may have: identity, modes, totals and counts
 * exactly; what moves, by as much as it may move between two looks that are up to a second apart.
 */
import type { EventOf } from '../../src/events/event.js';
import { COMPUTE_MODES, GPU_THROTTLES } from '../../src/events/gpu.js';
import { type SmiRow, told } from './smi.js';

/** What the agent told last of one GPU. */
export interface Seen {
  readonly device: EventOf<'gpu.device'>['attrs'];
  readonly use: EventOf<'gpu.use'>['attrs'];
  readonly health: EventOf<'gpu.health'>['attrs'];
}

type Value = string | number | boolean;

interface Figure {
  /** As nvidia-smi calls it; the first that it knows. */
  readonly fields: readonly [string, ...string[]];
  readonly name: string;
  readonly of: (seen: Seen) => Value | undefined;
  readonly read: (text: string) => Value | undefined;
  /** Of numbers: by how much, or by which share of the larger one, they may differ. */
  readonly within?: { readonly abs?: number; readonly share?: number };
}

const MIB = 2 ** 20;
const asIs = (text: string): string => text;
const number = (text: string): number | undefined => {
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
};
const mib = (text: string): number | undefined => {
  const value = number(text);
  return value === undefined ? undefined : value * MIB;
};
/** `00000000:3B:00.0` → `0000:3b:00.0` */
const pci = (text: string): string => text.toLowerCase().replace(/^0{4}(?=[0-9a-f]{4}:)/, '');
const switchOf = (text: string): boolean | undefined => {
  if (/^(Enabled|Yes|1)$/.test(text)) return true;
  return /^(Disabled|No|0)$/.test(text) ? false : undefined;
};
/** `Exclusive_Process` → `exclusive-process` */
const mode = (text: string): string | undefined =>
  COMPUTE_MODES.find((name) => name === text.toLowerCase().replaceAll('_', '-'));
const reasons = (text: string): string => {
  const bits = Number(text);
  return GPU_THROTTLES.filter((_, bit) => Math.floor(bits / 2 ** bit) % 2 === 1).join(' ');
};

export const GPU_FIGURES: readonly Figure[] = [
  { fields: ['uuid'], name: 'uuid', of: ({ device }) => device.uuid, read: asIs },
  { fields: ['name'], name: 'name', of: ({ device }) => device.name, read: asIs },
  { fields: ['pci.bus_id'], name: 'pci', of: ({ device }) => device.pci, read: pci },
  { fields: ['driver_version'], name: 'driver', of: ({ device }) => device.driver, read: asIs },
  { fields: ['compute_mode'], name: 'computeMode', of: ({ device }) => device.computeMode, read: mode },
  { fields: ['mig.mode.current'], name: 'mig', of: ({ device }) => device.mig, read: switchOf },
  { fields: ['mig.mode.pending'], name: 'migPending', of: ({ device }) => device.migPending, read: switchOf },
  {
    fields: ['pcie.link.gen.max'],
    name: 'maxPcieGeneration',
    of: ({ device }) => device.maxPcieGeneration,
    read: number,
  },
  {
    fields: ['pcie.link.width.max'],
    name: 'maxPcieWidth',
    of: ({ device }) => device.maxPcieWidth,
    read: number,
  },
  {
    fields: ['enforced.power.limit'],
    name: 'powerLimitW',
    of: ({ device }) => device.powerLimitW,
    read: number,
    within: { abs: 0.5 },
  },
  {
    fields: ['utilization.gpu'],
    name: 'gpuPercent',
    of: ({ use }) => use.gpuPercent,
    read: number,
    within: { abs: 15 },
  },
  {
    fields: ['utilization.memory'],
    name: 'memoryPercent',
    of: ({ use }) => use.memoryPercent,
    read: number,
    within: { abs: 15 },
  },
  // nvidia-smi cuts to whole MiB.
  {
    fields: ['memory.total'],
    name: 'totalBytes',
    of: ({ use }) => use.totalBytes,
    read: mib,
    within: { abs: MIB },
  },
  {
    fields: ['memory.used'],
    name: 'usedBytes',
    of: ({ use }) => use.usedBytes,
    read: mib,
    within: { abs: 64 * MIB },
  },
  {
    fields: ['memory.free'],
    name: 'freeBytes',
    of: ({ use }) => use.freeBytes,
    read: mib,
    within: { abs: 64 * MIB },
  },
  {
    fields: ['memory.reserved'],
    name: 'reservedBytes',
    of: ({ use }) => use.reservedBytes,
    read: mib,
    within: { abs: 2 * MIB },
  },
  {
    fields: ['temperature.gpu'],
    name: 'temperatureC',
    of: ({ use }) => use.temperatureC,
    read: number,
    within: { abs: 3 },
  },
  {
    fields: ['power.draw'],
    name: 'powerW',
    of: ({ use }) => use.powerW,
    read: number,
    within: { abs: 15, share: 0.15 },
  },
  {
    fields: ['clocks.sm'],
    name: 'smMhz',
    of: ({ use }) => use.smMhz,
    read: number,
    within: { abs: 60, share: 0.1 },
  },
  {
    fields: ['clocks.mem'],
    name: 'memoryMhz',
    of: ({ use }) => use.memoryMhz,
    read: number,
    within: { abs: 20 },
  },
  {
    fields: ['clocks_event_reasons.active', 'clocks_throttle_reasons.active'],
    name: 'throttle',
    of: ({ use }) => use.throttle.join(' '),
    read: reasons,
  },
  {
    fields: ['pcie.link.gen.current'],
    name: 'pcieGeneration',
    of: ({ use }) => use.pcieGeneration,
    read: number,
  },
  { fields: ['pcie.link.width.current'], name: 'pcieWidth', of: ({ use }) => use.pcieWidth, read: number },
  ...(
    [
      ['ecc.errors.corrected.volatile.total', 'correctedVolatile'],
      ['ecc.errors.uncorrected.volatile.total', 'uncorrectedVolatile'],
      ['ecc.errors.corrected.aggregate.total', 'correctedAggregate'],
      ['ecc.errors.uncorrected.aggregate.total', 'uncorrectedAggregate'],
    ] as const
  ).map(
    ([field, name]): Figure => ({ fields: [field], name, of: ({ health }) => health[name], read: number }),
  ),
];

export const ROW_FIGURES: readonly Figure[] = [
  {
    fields: ['remapped_rows.correctable'],
    name: 'remappedCorrectable',
    of: ({ health }) => health.remappedCorrectable,
    read: number,
  },
  {
    fields: ['remapped_rows.uncorrectable'],
    name: 'remappedUncorrectable',
    of: ({ health }) => health.remappedUncorrectable,
    read: number,
  },
  {
    fields: ['remapped_rows.pending'],
    name: 'remapPending',
    of: ({ health }) => health.remapPending,
    read: switchOf,
  },
  {
    fields: ['remapped_rows.failure'],
    name: 'remapFailed',
    of: ({ health }) => health.remapFailed,
    read: switchOf,
  },
];

export function fieldsOf(figures: readonly Figure[]): readonly string[] {
  return figures.flatMap(({ fields }) => fields);
}

export interface Compared {
  readonly name: string;
  readonly agent: Value | undefined;
  readonly smi: Value;
  readonly ok: boolean;
}

/** Every figure that nvidia-smi tells; one that the agent does not tell then is wrong. */
export function compare(figures: readonly Figure[], row: SmiRow, seen: Seen): readonly Compared[] {
  const compared: Compared[] = [];
  for (const { fields, name, of, read, within } of figures) {
    const text = fields.map((field) => told(row, field)).find((value) => value !== undefined);
    const smi = text === undefined ? undefined : read(text);
    if (smi === undefined) continue;
    const agent = of(seen);
    compared.push({ name, agent, smi, ok: isWithin(agent, smi, within) });
  }
  return compared;
}

function isWithin(agent: Value | undefined, smi: Value, within: Figure['within']): boolean {
  if (typeof agent !== 'number' || typeof smi !== 'number') return agent === smi;
  const { abs = 0, share = 0 } = within ?? {};
  return Math.abs(agent - smi) <= Math.max(abs, share * Math.max(Math.abs(agent), Math.abs(smi)));
}

export interface UsedBy {
  readonly pid: number;
  readonly memoryBytes?: number;
}

const PROCESS_BYTES = 64 * MIB;

/** Compute processes of one GPU: the same ones, with about the same memory. */
export function compareProcesses(
  rows: readonly SmiRow[],
  uuid: string,
  seen: readonly UsedBy[],
): readonly Compared[] {
  const smi = new Map<number, number | undefined>();
  for (const row of rows) {
    if (told(row, 'gpu_uuid') !== uuid) continue;
    const memory = told(row, 'used_gpu_memory');
    smi.set(Number(told(row, 'pid')), memory === undefined ? undefined : mib(memory));
  }
  const pids = (list: Iterable<number>): string => [...list].sort((a, b) => a - b).join(' ');
  const [agents, theirs] = [pids(seen.map(({ pid }) => pid)), pids(smi.keys())];
  const compared: Compared[] = [{ name: 'processes', agent: agents, smi: theirs, ok: agents === theirs }];
  for (const { pid, memoryBytes } of seen) {
    const bytes = smi.get(pid);
    if (bytes === undefined) continue;
    const ok = isWithin(memoryBytes, bytes, { abs: PROCESS_BYTES });
    compared.push({ name: `memoryBytes of pid ${pid}`, agent: memoryBytes, smi: bytes, ok });
  }
  return compared;
}

/**
 * Several samples of the same: what moves was right once if the two looked at the same moment once. Something that is
 * wrong is so in each sample.
 */
export function bestOf(samples: readonly (readonly Compared[])[]): readonly Compared[] {
  const best = new Map<string, Compared>();
  for (const one of samples.flat()) if (best.get(one.name)?.ok !== true) best.set(one.name, one);
  return [...best.values()];
}
