/** The probes that the agent brings along: how each is made, what they share, and one look through all of them. */
import type { Event, EventType } from '../events/event.js';
import { BlockProbe } from '../probes/block.js';
import { Devices } from '../probes/devices.js';
import { FilesystemProbe } from '../probes/filesystem.js';
import { FlowTable } from '../probes/flow-table.js';
import { GpuProbe } from '../probes/gpu.js';
import { HostProbe } from '../probes/host.js';
import { KmsgProbe } from '../probes/kmsg.js';
import type { MountedOn } from '../probes/kmsg-places.js';
import { Mounts } from '../probes/mounts.js';
import type { Probe, ProbeContext } from '../probes/probe.js';
import { ProcessProbe } from '../probes/process.js';
import { TcpProbe } from '../probes/tcp.js';
import { WaitsProbe } from '../probes/waits.js';
import type { BuiltinProbe } from './config.js';

/** Events after which the users of their entity matter. */
const TROUBLE: ReadonlySet<EventType> = new Set<EventType>(['storage.error', 'error.fs', 'error.hw']);

export interface BuiltinOptions {
  /** Path of NVML. */
  readonly nvml?: string;
}

export class BuiltinProbes {
  readonly #context: ProbeContext;
  readonly #options: BuiltinOptions;
  // Shared, so that probes name the same things alike.
  readonly #flows = new FlowTable();
  readonly #mounts = new Mounts();
  #block: BlockProbe | undefined;
  #filesystem: FilesystemProbe | undefined;
  #gpu: GpuProbe | undefined;
  #host: HostProbe | undefined;
  #kmsg: KmsgProbe | undefined;
  #tcp: TcpProbe | undefined;
  #waits: WaitsProbe | undefined;

  constructor(context: ProbeContext, options: BuiltinOptions = {}) {
    this.#context = context;
    this.#options = options;
  }

  get gpu(): GpuProbe | undefined {
    return this.#gpu;
  }

  make(name: BuiltinProbe): Probe {
    const context = this.#context;
    switch (name) {
      case 'process':
        return new ProcessProbe(context);
      case 'block':
        this.#block = new BlockProbe(context);
        return this.#block;
      case 'filesystem':
        this.#filesystem = new FilesystemProbe(context, this.#mounts);
        return this.#filesystem;
      case 'tcp':
        this.#tcp = new TcpProbe(context, this.#flows);
        return this.#tcp;
      case 'waits':
        this.#waits = new WaitsProbe(context, this.#flows, new Devices(this.#mounts));
        return this.#waits;
      case 'host':
        this.#host = new HostProbe(context);
        return this.#host;
      case 'gpu': {
        const { nvml } = this.#options;
        this.#gpu = new GpuProbe(context, nvml === undefined ? {} : { nvmlPath: nvml });
        return this.#gpu;
      }
      case 'kmsg':
        this.#kmsg = new KmsgProbe(context, { fsOf: (block) => this.#mountedOn(block) });
        return this.#kmsg;
    }
  }

  /** Looks now: what the rings and the kernel log hold, and (`full`) every socket in trouble, every device, every thread. */
  look(full: boolean): void {
    this.#context.poller.drainAll();
    this.#kmsg?.pass();
    if (full) this.#tcp?.pass();
    this.#block?.pass(full);
    this.#filesystem?.pass(full);
    this.#host?.pass(full);
    // Not waited for: a GPU may never answer. What is known is a second old at most while anything uses GPUs.
    void this.#gpu?.pass(full);
    this.#waits?.pass(full);
  }

  /** Who uses what is in trouble: looked up when it is, and not before. */
  heed(event: Event): void {
    this.#gpu?.heed(event);
    if ((event.type === 'storage.device' || event.type === 'storage.mount') && event.attrs.gone === true)
      this.#kmsg?.forget(event.entity);
    if (!TROUBLE.has(event.type)) return;
    this.#filesystem?.trouble(event.entity);
    // An array whose member failed has users of its own.
    if (event.type === 'error.hw') for (const id of event.attrs.about) this.#filesystem?.trouble(id);
  }

  /** The log names devices; people and the graph know what is mounted on them. */
  #mountedOn(block: string): MountedOn | undefined {
    let fs = this.#mounts.onBlock(block);
    if (fs === undefined) {
      // In a mount namespace that is younger than the last look for such.
      this.#mounts.expire();
      this.#filesystem?.pass(true);
      fs = this.#mounts.onBlock(block);
    }
    return fs === undefined ? undefined : { entity: fs.id, fsType: fs.fsType };
  }
}
