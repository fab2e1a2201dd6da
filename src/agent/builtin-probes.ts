/** The probes that the agent brings along: how each is made, what they share, and one look through all of them. */
import type { VerbsSpellView } from '../api/contract.js';
import type { Event, EventType } from '../events/event.js';
import { BlockProbe } from '../probes/block.js';
import { Devices } from '../probes/devices.js';
import { FilesystemProbe } from '../probes/filesystem.js';
import { FlowTable } from '../probes/flow-table.js';
import { GpuProbe } from '../probes/gpu.js';
import { GpuTraceProbe } from '../probes/gpu-trace.js';
import { HostProbe } from '../probes/host.js';
import { KmsgProbe } from '../probes/kmsg.js';
import type { MountedOn } from '../probes/kmsg-places.js';
import { Mounts } from '../probes/mounts.js';
import type { Probe, ProbeContext } from '../probes/probe.js';
import { ProcessProbe } from '../probes/process.js';
import { RdmaProbe } from '../probes/rdma.js';
import { RdmaTraceProbe } from '../probes/rdma-trace.js';
import { TcpProbe } from '../probes/tcp.js';
import { WaitsProbe } from '../probes/waits.js';
import type { BuiltinProbe } from './config.js';
import { SPELL_BUDGET_WINDOW_MS, VerbsSpell, type VerbsTrace } from './verbs-spell.js';

/** Probes that see nothing without BPF programs, and those that need none; the others lose a part. */
export const NEED_BPF: ReadonlySet<BuiltinProbe> = new Set([
  'process',
  'block',
  'tcp',
  'waits',
  'gpu-trace',
  'rdma-trace',
]);
export const NEED_NO_BPF: ReadonlySet<BuiltinProbe> = new Set(['gpu', 'kmsg']);

/** Events after which the users of their entity matter. */
const TROUBLE: ReadonlySet<EventType> = new Set<EventType>(['storage.error', 'error.fs', 'error.hw']);

/** A question waits no longer for GPUs and RDMA devices: one may never answer, and what is known is a second old while anything uses it. */
const DEVICE_LOOK_MS = 200;

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
  #gpuTrace: GpuTraceProbe | undefined;
  #host: HostProbe | undefined;
  #kmsg: KmsgProbe | undefined;
  #rdma: RdmaProbe | undefined;
  #rdmaTrace: RdmaTraceProbe | undefined;
  #tcp: TcpProbe | undefined;
  #waits: WaitsProbe | undefined;
  readonly #spell: VerbsSpell;

  constructor(context: ProbeContext, options: BuiltinOptions = {}) {
    this.#context = context;
    this.#options = options;
    const spell = { budgetWindowMs: SPELL_BUDGET_WINDOW_MS };
    this.#spell = new VerbsSpell(() => new RdmaTraceProbe(context, spell), context.log);
  }

  get gpu(): GpuProbe | undefined {
    return this.#gpu;
  }

  get rdma(): RdmaProbe | undefined {
    return this.#rdma;
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
      case 'gpu-trace':
        this.#gpuTrace = new GpuTraceProbe(context);
        return this.#gpuTrace;
      case 'rdma':
        this.#rdma = new RdmaProbe(context);
        return this.#rdma;
      case 'rdma-trace':
        this.#rdmaTrace = new RdmaTraceProbe(context);
        return this.#rdmaTrace;
      case 'kmsg':
        this.#kmsg = new KmsgProbe(context, { fsOf: (block) => this.#mountedOn(block) });
        return this.#kmsg;
    }
  }

  /** `--rdma-trace` for so long, unless it is there all the time. @throws UsageError RefusedError */
  async traceVerbs(seconds: number): Promise<VerbsSpellView> {
    if (this.#rdmaTrace !== undefined) return { state: 'always', seconds };
    return this.#spell.begin(seconds);
  }

  /** What is not in the agent's set of probes. */
  stop(): Promise<void> {
    return this.#spell.stop();
  }

  get #verbs(): VerbsTrace | undefined {
    return this.#rdmaTrace ?? this.#spell.probe;
  }

  /** Looks now: what the rings and the kernel log hold, and (`full`) every GPU, socket in trouble, device and thread. */
  async look(full: boolean): Promise<void> {
    // First, since the others are done at once: what they say must not be older than what the devices say.
    const asked = [
      this.#gpu?.pass(full),
      this.#rdma?.ports.pass(full),
      full ? this.#filesystem?.askSpace() : undefined,
    ];
    await within(Promise.all(asked), DEVICE_LOOK_MS);
    this.#context.poller.drainAll();
    this.#kmsg?.pass();
    if (full) this.#tcp?.pass();
    this.#block?.pass(full);
    this.#filesystem?.pass(full);
    this.#host?.pass(full);
    this.#rdma?.pass(full);
    this.#waits?.pass(full);
    // After the waits: it speaks of threads that they have seen.
    this.#gpuTrace?.pass(full);
    this.#verbs?.pass(full);
  }

  /** Who uses what is in trouble: looked up when it is, and not before. */
  heed(event: Event): void {
    this.#gpu?.heed(event);
    if ((event.type === 'storage.device' || event.type === 'storage.mount') && event.attrs.gone === true)
      this.#kmsg?.forget(event.entity);
    this.#gpuTrace?.heed(event);
    this.#verbs?.heed(event);
    if (event.type === 'process.exit' && event.attrs.wrote !== undefined)
      this.#filesystem?.ended(event.attrs.wrote);
    if (event.type === 'storage.device') this.#filesystem?.device(event.entity, event.attrs);
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

async function within(work: Promise<unknown>, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([work, limit]);
  clearTimeout(timer);
}
