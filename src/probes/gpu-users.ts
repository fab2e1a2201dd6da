/**
 * Who has which GPU open, by the open files of all processes (bpf/gpu_files.bpf.c), told as `gpu.users`.
 *
 * NVML lists those that have a context; this finds also whoever is about to make one or hangs before, and works where
 * NVML lists none. Matched by device number, so that a container's processes are found whatever its paths are. A MIG
 * process has the whole GPU's device open beside its instance's; nvidiactl and nvidia-uvm belong to no GPU.
 *
 * A look costs a walk over all descriptors of the node. So it is taken when somebody asks, when NVML's list changes,
 * and every ten seconds while a GPU is used; and whatever it costs, it takes a small share of the time.
 */
import type { Event } from '../events/event.js';
import type { GpuHolder } from '../events/gpu.js';
import { XctlFileUserLayout, XctlHdrLayout } from '../kernel/abi.generated.js';
import { readComm } from '../kernel/abi-read.js';
import type { LoadedObject } from '../kernel/program.js';
import { type Beat, every } from '../util/beat.js';
import type { Check } from '../util/check.js';
import { messageOf } from '../util/errors.js';
import { printable } from '../util/text.js';
import { Passes } from './passes.js';
import type { ProbeContext } from './probe.js';
import { forEachRecord, u64 } from './records.js';

/** NV_MAJOR_DEVICE_NUMBER of the driver. */
const NVIDIA_MAJOR = 195;
const BEAT_MS = 1_000;
/** From one look to the next: for many who ask at once, for a list that keeps changing, and without a reason. */
const GAP_MS = { asked: 200, changed: 1_000, used: 10_000 } as const;
/** A look takes this part of the time at most. */
const MAX_SHARE = { asked: 0.02, changed: 0.005, used: 0.0005 } as const;
/** Told of at most; the number is that of all. */
const MAX_HOLDERS = 256;
const MAX_COMM = 64;
const MINOR_MASK = 0xf_ffff;
/** struct gpu_walk */
const WALK_BYTES = 40;

const U = XctlFileUserLayout;

export type LookFor = keyof typeof GAP_MS;
type Context = Pick<ProbeContext, 'kernel' | 'clock' | 'sink' | 'log'>;

interface Gpu {
  readonly entity: string;
  readonly minor: number;
  /** By the last look at it; undefined: none yet. */
  told: string | undefined;
  toldAt: number;
}

export class GpuUsers {
  readonly stats: Passes;
  readonly #context: Context;
  readonly #major: number;
  readonly #gpus = new Map<string, Gpu>();
  /** GPU → the pids that NVML listed last. */
  readonly #listed = new Map<string, string>();
  readonly #busy = new Set<string>();
  #object: LoadedObject | undefined;
  #loading = false;
  #failure: string | undefined;
  #stopped = false;
  #beat: Beat | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** What the last look took, ms. */
  #costMs = 0;
  /** The list has changed since the last look. */
  #changed = false;

  /** @param major of the GPUs' device files; a test has no driver, and takes other devices for them */
  constructor(context: Context, major = NVIDIA_MAJOR) {
    this.#context = context;
    this.#major = major;
    this.stats = new Passes('files', context.log);
  }

  /** What the probe says of GPUs: which there are, and when it is time for a look. */
  heed(event: Event): void {
    if (this.#stopped) return;
    const { entity } = event;
    switch (event.type) {
      case 'gpu.device':
        this.#known(entity, event.attrs.gone === true ? undefined : event.attrs.minor);
        return;
      case 'gpu.use':
        if (event.value > 0 || (event.attrs.processes ?? 0) > 0) this.#busy.add(entity);
        else this.#busy.delete(entity);
        return;
      case 'gpu.processes': {
        const pids = event.attrs.processes.map(({ pid }) => pid).sort((a, b) => a - b);
        const list = pids.join(' ');
        if ((this.#listed.get(entity) ?? '') === list) return;
        this.#listed.set(entity, list);
        this.#changed = true;
        this.look('changed');
        return;
      }
      default:
        return;
    }
  }

  /** @returns whether a look was taken: not when there are no GPUs, and not too soon after the last one. */
  look(reason: LookFor): boolean {
    const object = this.#object;
    if (object === undefined || this.#gpus.size === 0) return false;
    const gapMs = Math.max(GAP_MS[reason], this.#costMs / MAX_SHARE[reason]);
    if (performance.now() - this.#lookedAt < gapMs) return false;
    this.#changed = false;
    const started = performance.now();
    this.stats.run(() => this.#look(object, reason));
    this.#lookedAt = performance.now();
    this.#costMs = this.#lookedAt - started;
    return true;
  }

  stop(): void {
    this.#stopped = true;
    this.#beat?.stop();
    this.#beat = undefined;
    this.#object?.stop();
    this.#object = undefined;
  }

  /** Nothing as long as there are no GPUs. */
  checks(): readonly Check[] {
    const name = 'probe gpu/users';
    const without = 'who has a GPU open is known from NVML alone';
    if (this.#failure !== undefined)
      return [{ status: 'degraded', name, detail: `${without} (${this.#failure})` }];
    return this.#object === undefined ? [] : this.stats.checks('gpu');
  }

  #known(entity: string, minor: number | undefined): void {
    const known = this.#gpus.get(entity);
    if (known?.minor === minor) return;
    this.#gpus.delete(entity);
    if (minor === undefined) {
      this.#busy.delete(entity);
      this.#listed.delete(entity);
      return;
    }
    this.#gpus.set(entity, { entity, minor, told: undefined, toldAt: Number.NEGATIVE_INFINITY });
    this.#changed = true;
    void this.#load();
  }

  /** Once, and only where there are GPUs. */
  async #load(): Promise<void> {
    if (this.#loading) return;
    this.#loading = true;
    try {
      const object = await this.#context.kernel.load('gpu_files');
      if (object.iterator('gpu_users') === undefined) {
        const reason = object.programs.find((program) => program.slot === 'gpu_users')?.reason;
        object.stop();
        throw new Error(`no iterator over files: ${reason ?? 'not loaded'}`);
      }
      if (this.#stopped) {
        object.stop();
        return;
      }
      this.#object = object;
      this.look('changed');
      this.#beat = every(BEAT_MS, () => this.#tick());
    } catch (error) {
      this.#failure = messageOf(error);
    }
  }

  #tick(): void {
    if (this.#changed) this.look('changed');
    else if (this.#busy.size > 0) this.look('used');
  }

  #look(object: LoadedObject, reason: LookFor): void {
    const iterator = object.iterator('gpu_users');
    if (iterator === undefined) return;
    const walk = Buffer.alloc(WALK_BYTES);
    walk.writeUInt32LE(this.#major);
    object.map('xctl_gpu_walk').update(new Uint8Array(4), walk);
    const byMinor = readUsers(iterator.read().bytes);
    const { clock, sink } = this.#context;
    const ts = clock.toEpochMs(clock.nowNs());
    for (const gpu of this.#gpus.values()) {
      const all = byMinor.get(gpu.minor) ?? [];
      const told = all.map(({ pid, start }) => `${pid}@${start}`).join(' ');
      if (!this.#isWorthTelling(gpu, told, reason)) continue;
      gpu.told = told;
      gpu.toldAt = performance.now();
      sink({
        ts,
        type: 'gpu.users',
        entity: gpu.entity,
        value: all.length,
        probe: 'gpu',
        attrs: { holders: all.slice(0, MAX_HOLDERS) },
      });
    }
  }

  /** What has changed; what has not, to one who asks, and now and then for whoever came late. */
  #isWorthTelling(gpu: Gpu, told: string, reason: LookFor): boolean {
    if (gpu.told === undefined || gpu.told !== told) return gpu.told !== undefined || told !== '';
    return told !== '' && (reason === 'asked' || performance.now() - gpu.toldAt >= GAP_MS.used);
  }
}

/** Minor number → who has it open, one entry a process. */
function readUsers(bytes: Buffer): ReadonlyMap<number, readonly GpuHolder[]> {
  const found = new Map<number, GpuHolder[]>();
  forEachRecord(bytes, (view, at) => {
    const minor = view.getUint32(at + U.dev, true) & MINOR_MASK;
    const list = found.get(minor) ?? [];
    list.push({
      pid: view.getUint32(at + XctlHdrLayout.pid, true),
      start: u64(view, at + U.startNs),
      comm: printable(readComm(view, at + U.comm), MAX_COMM),
      fd: view.getInt32(at + U.fd, true),
    });
    found.set(minor, list);
  });
  for (const list of found.values()) list.sort((a, b) => a.pid - b.pid);
  return found;
}
