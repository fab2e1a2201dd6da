/**
 * The GPUs of this node, each by its number: which ones the library has, a task that looks at each of them, and what
 * becomes of one that is lost, hangs or is not there any more.
 */
import type { Event } from '../events/event.js';
import { nvmlName } from '../ffi/nvml-errors.js';
import type { Nvml } from '../ffi/nvml.js';
import { NvmlFailure } from './gpu-caller.js';
import { GpuDevice, type Trouble } from './gpu-device.js';
import type { LaneTask } from './gpu-lanes.js';
import type { Found } from './gpu-library.js';
import { ProcessNames } from './gpu-process-names.js';
import { GpuReader } from './gpu-reader.js';

/** What it is, its mode and its MIG layout. */
const IDENTIFY_MS = 60_000;

/** What looking at a GPU has cost so far. */
export interface GpuCost {
  readonly gpu: number;
  readonly looks: number;
  readonly calls: number;
  /** In the library, which may mean waiting. */
  readonly spentMs: number;
}

export interface FleetOwner {
  readonly deadlineMs: number;
  readonly tell: (event: Event) => void;
  /** Event time, ms. */
  readonly now: () => number;
  /** What comes back after the end is not told. */
  readonly alive: () => boolean;
  readonly onLost: () => void;
  readonly onReload: (failure: NvmlFailure) => void;
  readonly onHung: () => void;
  readonly onFailed: (error: unknown) => void;
}

export class GpuFleet {
  readonly #owner: FleetOwner;
  readonly #names = new ProcessNames();
  readonly #devices = new Map<number, GpuDevice>();
  readonly #tasks = new Map<GpuDevice, LaneTask>();
  /** GPUs of which all is to be told at the next look, changed or not. */
  readonly #owed = new Set<GpuDevice>();
  #driver: string | undefined;
  /** GPUs that the library has and does not let us look at, with the reason. */
  refused: ReadonlyMap<number, string> = new Map();

  constructor(owner: FleetOwner) {
    this.#owner = owner;
  }

  get devices(): readonly GpuDevice[] {
    return [...this.#devices.values()];
  }

  get busy(): boolean {
    for (const device of this.#devices.values()) if (device.busy) return true;
    return false;
  }

  /** One a GPU that can be asked. */
  get tasks(): Iterable<LaneTask> {
    return this.#tasks.values();
  }

  costs(): readonly GpuCost[] {
    return this.devices.map(({ index, reader, stats }) => ({
      gpu: index,
      looks: stats.looks,
      calls: stats.calls + (reader?.caller.calls ?? 0),
      spentMs: stats.spentMs + (reader?.caller.spentMs ?? 0),
    }));
  }

  byHandle(handle: number): GpuDevice | undefined {
    return this.devices.find(({ reader }) => reader?.handle === handle);
  }

  /** At the next look all is told of every GPU. */
  owe(): void {
    for (const device of this.#devices.values()) this.#owed.add(device);
  }

  /** No handle is good any more, and nothing can be asked. */
  gone(trouble: Trouble): void {
    for (const device of this.#devices.values()) {
      this.#drop(device);
      device.enter('gone', { ...trouble, scope: 'library' });
    }
  }

  /** The library was started (anew): what it has now. */
  found(found: readonly Found[], nvml: Nvml, driver: string | undefined, reloaded: boolean): void {
    this.#driver = driver;
    for (const device of this.#devices.values()) this.#drop(device);
    const refused = new Map<number, string>();
    for (const gpu of found) {
      const wanted = 'handle' in gpu || gpu.lost;
      const device = this.#devices.get(gpu.index) ?? (wanted ? this.#add(gpu.index) : undefined);
      if (device === undefined) {
        if (!('handle' in gpu)) refused.set(gpu.index, nvmlName(gpu.code));
      } else if ('handle' in gpu) {
        const reader = new GpuReader(nvml, gpu.handle);
        device.reader = reader;
        device.identifiedAt = Number.NEGATIVE_INFINITY;
        this.#tasks.set(device, this.#task(device, reader));
        if (reloaded) device.enter('reloaded');
      } else this.#lost(device, new NvmlFailure(nvml.nameOf('handle') ?? 'handle', gpu.code));
    }
    this.refused = refused;
    const there = new Set(found.map(({ index }) => index));
    for (const device of this.#devices.values())
      if (!there.has(device.index)) device.enter('gone', { reason: 'GPU_NOT_FOUND' });
    this.owe();
  }

  /** No lane answers: these cannot be asked. */
  stuck(waiting: readonly LaneTask[]): void {
    for (const [device, task] of this.#tasks)
      if (waiting.includes(task)) device.enter('hung', { scope: 'library' }, this.#owner.deadlineMs);
  }

  #add(index: number): GpuDevice {
    const { tell, now } = this.#owner;
    const device = new GpuDevice(index, tell, now, (pid) => this.#names.of(pid));
    this.#devices.set(index, device);
    return device;
  }

  /** Its handle is not good any more. */
  #drop(device: GpuDevice): void {
    const caller = device.reader?.caller;
    device.stats.calls += caller?.calls ?? 0;
    device.stats.spentMs += caller?.spentMs ?? 0;
    device.reader = undefined;
    this.#tasks.delete(device);
  }

  #lost(device: GpuDevice, { code, call }: NvmlFailure): void {
    device.enter('lost', { reason: nvmlName(code), call });
    this.#owner.onLost();
  }

  #task(device: GpuDevice, reader: GpuReader): LaneTask {
    return {
      get pendingSince() {
        return reader.caller.pending?.since;
      },
      run: () => this.#look(device, reader),
      hung: () => {
        const call = reader.caller.pending?.call;
        device.enter('hung', { ...(call !== undefined && { call }) }, this.#owner.deadlineMs);
        this.#owner.onHung();
      },
    };
  }

  async #look(device: GpuDevice, reader: GpuReader): Promise<void> {
    const current = (): boolean => device.reader === reader && this.#owner.alive();
    try {
      const full = this.#owed.delete(device);
      const now = performance.now();
      const anew = now - device.identifiedAt >= IDENTIFY_MS;
      const attrs = anew ? await reader.identify(this.#driver) : undefined;
      const counts = full || device.recount;
      device.recount = false;
      const look = await reader.look(counts);
      if (!current()) return;
      if (anew) device.identifiedAt = now;
      if (attrs !== undefined || full) device.identified(attrs ?? device.attrs, look.totalBytes ?? 0, full);
      device.looked(look, full);
      // A process in an instance that is not known: the layout has changed.
      const known = new Set(device.attrs.instances.map(({ gi }) => gi));
      if (!anew && look.processes?.some(({ gi }) => gi !== undefined && !known.has(gi)))
        device.identifiedAt = Number.NEGATIVE_INFINITY;
    } catch (error) {
      if (!current()) return;
      if (!(error instanceof NvmlFailure)) this.#owner.onFailed(error);
      else if (error.reload) this.#owner.onReload(error);
      else this.#lost(device, error);
    }
  }
}
