/**
 * Reads one GPU: what it is, and what it does now. Each figure by itself: one that this GPU, driver or mode does not
 * tell is absent, and is not asked for again until the device is looked at anew.
 *
 * One look is a dozen calls one after the other, all into memory that is allocated once: a call that hangs keeps its
 * memory, and no second one is made about the GPU.
 */
import type { GpuDeviceAttrs, GpuUseAttrs, MigInstance } from '../events/gpu.js';
import { Pinned } from '../ffi/memory.js';
import type { Nvml, NvmlArgs } from '../ffi/nvml.js';
import { isAbsent, NVML_SUCCESS } from '../ffi/nvml-errors.js';
import type { NvmlFunction } from '../ffi/nvml-functions.js';
import {
  ATTRIBUTES,
  available,
  MEMORY,
  MEMORY_V2,
  PCI_INFO,
  read,
  structVersion,
  UTILIZATION,
} from '../ffi/nvml-structs.js';
import { printable } from '../util/text.js';
import { Caller, NvmlFailure, textOf } from './gpu-caller.js';
import { CountReader, type Counts } from './gpu-counts.js';
import {
  CLOCK_MEMORY,
  CLOCK_SM,
  computeMode,
  pciName,
  throttleReasons,
  virtualization,
} from './gpu-figures.js';
import { ProcessReader, type NvmlProcess } from './gpu-process-list.js';

/** NVML_DEVICE_UUID_V2_BUFFER_SIZE, NVML_DEVICE_NAME_V2_BUFFER_SIZE. */
const TEXT_BYTES = 96;
const MAX_INSTANCES = 16;
/** Looks from one at the link to the host to the next. */
const PCIE_EVERY = 5;

interface PcieLink {
  readonly pcieGeneration: number | undefined;
  readonly pcieWidth: number | undefined;
}

/** One look at it. */
export interface GpuLook extends Omit<GpuUseAttrs, 'powerLimitW' | 'processes' | 'windowMs'> {
  readonly counts: Counts;
  /** Undefined: not told. */
  readonly processes: readonly NvmlProcess[] | undefined;
}

export class GpuReader {
  readonly caller: Caller;
  readonly #device: number;
  readonly #out = new Pinned(TEXT_BYTES);
  readonly #out2 = new Pinned(8);
  readonly #counts: CountReader;
  readonly #processes: ProcessReader;
  #pcieLooks = 0;
  #replays: number | undefined;
  #link: PcieLink = { pcieGeneration: undefined, pcieWidth: undefined };

  constructor(nvml: Nvml, device: number) {
    this.caller = new Caller(nvml);
    this.#device = device;
    this.#counts = new CountReader(this.caller, device);
    this.#processes = new ProcessReader(this.caller, device);
  }

  get handle(): number {
    return this.#device;
  }

  /**
   * What it is, and its MIG layout.
   * @throws NvmlFailure
   */
  async identify(driver: string | undefined): Promise<GpuDeviceAttrs> {
    this.caller.forget();
    this.#pcieLooks = 0;
    const uuid = await this.#text('uuid');
    const name = await this.#text('name');
    const pci = (await this.#ok('pci', [this.#device, this.#out])) ? read(this.#out, PCI_INFO) : undefined;
    const minor = await this.#figure('minor');
    const mode = computeMode(await this.#figure('computeMode'));
    const virtual = virtualization(await this.#figure('virtualization'));
    const maxPcieGeneration = await this.#figure('maxPcieGeneration');
    const maxPcieWidth = await this.#figure('maxPcieWidth');
    const limitMw = await this.#figure('powerLimit');
    const links = await this.#counts.findLinks();
    const mig = await this.#mig();
    return {
      ...(uuid !== undefined && { uuid }),
      ...(name !== undefined && { name }),
      ...(pci !== undefined && { pci: pciName(pci.domain, pci.bus, pci.device) }),
      ...(minor !== undefined && { minor }),
      ...(driver !== undefined && { driver }),
      ...(mode !== undefined && { computeMode: mode }),
      ...(virtual !== undefined && { virtualization: virtual }),
      ...(maxPcieGeneration !== undefined && { maxPcieGeneration }),
      ...(maxPcieWidth !== undefined && { maxPcieWidth }),
      ...(limitMw !== undefined && { powerLimitW: limitMw / 1000 }),
      ...(links > 0 && { links }),
      ...mig,
    };
  }

  /**
   * @param full with everything that is read at some looks only
   * @throws NvmlFailure also when nothing at all can be read of it
   */
  async look(full = true): Promise<GpuLook> {
    const use = (await this.#ok('utilization', [this.#device, this.#out]))
      ? read(this.#out, UTILIZATION)
      : undefined;
    const memory = await this.#memory();
    const temperature = await this.caller.ask('temperature', [this.#device, 0, this.#out]);
    const temperatureC = temperature === NVML_SUCCESS ? this.#out.view.getInt32(0, true) : undefined;
    if (
      memory.code !== NVML_SUCCESS &&
      temperature !== NVML_SUCCESS &&
      !isAbsent(memory.code) &&
      !isAbsent(temperature)
    )
      // A GPU that fell off the bus can answer UNKNOWN to everything instead of GPU_IS_LOST.
      throw new NvmlFailure(this.caller.nvml.nameOf('temperature') ?? 'temperature', temperature);
    const smMhz = await this.#clock(CLOCK_SM);
    const memoryMhz = await this.#clock(CLOCK_MEMORY);
    const reasons = (await this.#ok('clockReasons', [this.#device, this.#out])) ? this.#out.readU64(0) : 0;
    const counts = await this.#counts.read(full);
    const powerMw = this.#counts.powerMw ?? (await this.#figure('power'));
    const { pcieGeneration, pcieWidth } = await this.#pcie(counts.pcieReplays);
    const processes = await this.#processes.read();
    return {
      ...(use !== undefined && { gpuPercent: use.gpu, memoryPercent: use.memory }),
      ...memory.figures,
      ...(temperatureC !== undefined && { temperatureC }),
      ...(powerMw !== undefined && { powerW: powerMw / 1000 }),
      ...(smMhz !== undefined && { smMhz }),
      ...(memoryMhz !== undefined && { memoryMhz }),
      throttle: throttleReasons(reasons),
      ...(pcieGeneration !== undefined && { pcieGeneration }),
      ...(pcieWidth !== undefined && { pcieWidth }),
      counts,
      processes,
    };
  }

  async #mig(): Promise<Pick<GpuDeviceAttrs, 'mig' | 'migPending' | 'instances'>> {
    const code = await this.caller.ask('migMode', [this.#device, this.#out, this.#out2]);
    if (code !== NVML_SUCCESS) return { instances: [] };
    const mig = this.#out.view.getUint32(0, true) === 1;
    const migPending = this.#out2.view.getUint32(0, true) === 1;
    const instances: MigInstance[] = [];
    const slots = mig ? Math.min((await this.#figure('migCount')) ?? 0, MAX_INSTANCES) : 0;
    for (let slot = 0; slot < slots; slot++) {
      // A free slot in the middle is NOT_FOUND, and ends nothing.
      if (!(await this.#ok('migHandle', [this.#device, slot, this.#out]))) continue;
      const found = await this.#instance(this.#out.readU64(0));
      if (found !== undefined) instances.push(found);
    }
    return { mig, migPending, instances };
  }

  async #instance(handle: number): Promise<MigInstance | undefined> {
    const gi = await this.#figureOf('gpuInstance', handle);
    const ci = await this.#figureOf('computeInstance', handle);
    if (gi === undefined || ci === undefined) return undefined;
    const uuid = await this.#text('uuid', handle);
    const known = (await this.caller.plain('attributes', [handle, this.#out])) === NVML_SUCCESS;
    const { gpuSlices, memoryMib } = read(this.#out, ATTRIBUTES);
    return {
      ...(uuid !== undefined && { uuid }),
      gi,
      ci,
      ...(known && { slices: gpuSlices, memoryBytes: memoryMib * 2 ** 20 }),
    };
  }

  async #memory(): Promise<{ readonly code: number; readonly figures: Partial<GpuLook> }> {
    this.#out.view.setUint32(0, structVersion(MEMORY_V2.sizeBytes, 2), true);
    if (await this.#ok('memoryV2', [this.#device, this.#out])) {
      const { total, used, free, reserved } = read(this.#out, MEMORY_V2);
      return { code: NVML_SUCCESS, figures: figuresOf(total, used, free, reserved) };
    }
    const code = await this.caller.ask('memory', [this.#device, this.#out]);
    if (code !== NVML_SUCCESS) return { code, figures: {} };
    const { total, used, free } = read(this.#out, MEMORY);
    return { code, figures: figuresOf(total, used, free) };
  }

  async #clock(type: number): Promise<number | undefined> {
    const code = await this.caller.ask('clock', [this.#device, type, this.#out], `clock ${type}`);
    return code === NVML_SUCCESS ? this.#out.view.getUint32(0, true) : undefined;
  }

  /** The link to the host changes with the GPU's power state, or in trouble, and is looked at less often. */
  async #pcie(replays: number | undefined): Promise<PcieLink> {
    if (this.#pcieLooks++ % PCIE_EVERY === 0 || replays !== this.#replays) {
      const [generation, width] = [await this.#figure('pcieGeneration'), await this.#figure('pcieWidth')];
      this.#replays = replays;
      this.#link = { pcieGeneration: generation, pcieWidth: width };
    }
    return this.#link;
  }

  #figure(fn: FigureFunction): Promise<number | undefined> {
    return this.#figureOf(fn, this.#device);
  }

  async #figureOf(fn: FigureFunction, device: number): Promise<number | undefined> {
    const code = await this.caller.ask(fn, [device, this.#out]);
    return code === NVML_SUCCESS ? this.#out.view.getUint32(0, true) : undefined;
  }

  async #text(fn: 'uuid' | 'name', device = this.#device): Promise<string | undefined> {
    const code = await this.caller.ask(fn, [device, this.#out, TEXT_BYTES]);
    return code === NVML_SUCCESS ? printable(textOf(this.#out, TEXT_BYTES), TEXT_BYTES) : undefined;
  }

  async #ok<F extends NvmlFunction>(fn: F, args: NvmlArgs<F>): Promise<boolean> {
    return (await this.caller.ask(fn, args)) === NVML_SUCCESS;
  }
}

type FigureFunction =
  | 'minor'
  | 'computeMode'
  | 'virtualization'
  | 'maxPcieGeneration'
  | 'maxPcieWidth'
  | 'powerLimit'
  | 'migCount'
  | 'gpuInstance'
  | 'computeInstance'
  | 'power'
  | 'pcieGeneration'
  | 'pcieWidth';

function figuresOf(total: number, used: number, free: number, reserved?: number): Partial<GpuLook> {
  const [totalBytes, usedBytes, freeBytes] = [available(total), available(used), available(free)];
  return {
    ...(totalBytes !== undefined && { totalBytes }),
    ...(usedBytes !== undefined && { usedBytes }),
    ...(freeBytes !== undefined && { freeBytes }),
    ...(reserved !== undefined && { reservedBytes: reserved }),
  };
}
