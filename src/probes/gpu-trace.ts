/**
 * Probe `gpu-trace`: NCCL's communicators, what is enqueued on them, and threads that wait for a GPU, by uprobes on
 * libnccl and libcuda (bpf/gpu_trace.bpf.c). Off unless `--gpu-trace` asks for it: a uprobe is a trap in the
 * workload's own path, however rare.
 *
 * Looked for in processes of a job and those that have a GPU open; see uprobe-watch.ts. The tables are read once a
 * second and at every full look. docs/gpu-trace.md has the costs and limits.
 */
import type { Event } from '../events/event.js';
import { XctlKind } from '../kernel/abi.generated.js';
import type { LoadedObject } from '../kernel/program.js';
import { type Beat, every } from '../util/beat.js';
import type { Check } from '../util/check.js';
import { messageOf } from '../util/errors.js';
import { TraceBudget } from './gpu-trace-budget.js';
import { traceChecks } from './gpu-trace-checks.js';
import { commEvent } from './gpu-trace-comms.js';
import { TracedFiles } from './gpu-trace-files.js';
import type { TraceClass } from './gpu-trace-functions.js';
import { type MappedLibrary, mappedLibraries } from './gpu-trace-maps.js';
import { SplitRanks } from './gpu-trace-splits.js';
import { TraceTables } from './gpu-trace-tables.js';
import { Passes } from './passes.js';
import type { Probe, ProbeContext } from './probe.js';
import { startTicks } from './proc.js';
import { MapWatch, type WatchOptions } from './uprobe-watch.js';

const PASS_MS = 1_000;
const WATCH_MS = 250;
/** Entries of processes that have ended are harmless: their pid and start come together no more. */
const SWEEP_MS = 10_000;
/** Taking probes out waits for the kernel's grace periods; the end of the agent does not wait for more than this. */
const STOP_MS = 1_500;
/** USER_HZ, in which a start is known that did not come from the kernel's own records. */
const TICK_NS = 10_000_000;

export interface GpuTraceOptions {
  /** Of one core that the probes may cost; BUDGET_SHARE. */
  readonly budgetShare?: number;
  readonly budgetWindowMs?: number;
  readonly watch?: Partial<WatchOptions>;
}

interface Running {
  readonly object: LoadedObject;
  readonly files: TracedFiles;
  readonly tables: TraceTables;
}

export class GpuTraceProbe implements Probe {
  readonly name = 'gpu-trace';
  readonly stats: Passes;
  readonly #context: ProbeContext;
  readonly #budget: TraceBudget;
  readonly #watch: MapWatch<MappedLibrary>;
  readonly #splits = new SplitRanks();
  readonly #beats: Beat[] = [];
  #running: Running | undefined;
  #failure: string | undefined;

  constructor(context: ProbeContext, options: GpuTraceOptions = {}) {
    this.#context = context;
    this.stats = new Passes('communicators', context.log);
    this.#budget = new TraceBudget(options.budgetShare, options.budgetWindowMs);
    this.#watch = new MapWatch(mappedLibraries, (pid, library) => this.#found(pid, library), options.watch);
  }

  async start(): Promise<void> {
    try {
      const object = await this.#context.kernel.load('gpu_trace');
      const files = new TracedFiles(object);
      const tables = new TraceTables(object, {
        clock: this.#context.clock,
        sink: this.#context.sink,
        counts: (file) => files.counts(file),
        splits: this.#splits,
      });
      this.#running = { object, files, tables };
    } catch (error) {
      this.#failure = messageOf(error);
      throw error;
    }
    this.#context.poller.on(XctlKind.NCCL_COMM, (view, at) => this.#comm(view, at));
    this.#beats.push(
      every(PASS_MS, () => this.#beat()),
      every(WATCH_MS, () => void this.#watch.turn()),
      every(SWEEP_MS, () => this.stats.run(() => this.#running?.tables.sweep())),
    );
  }

  async stop(): Promise<void> {
    for (const beat of this.#beats.splice(0)) beat.stop();
    this.#watch.stop();
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return;
    running.tables.stop();
    const late = new Promise<void>((resolve) => setTimeout(resolve, STOP_MS).unref());
    await Promise.race([running.files.stop(), late]);
    running.object.stop();
  }

  /** @param full every communicator, not only what has changed. */
  pass(full: boolean): void {
    const running = this.#running;
    if (running !== undefined) this.stats.run(() => running.tables.pass(full));
  }

  /** A process that may map the libraries, now or later. @param start nanoseconds since boot */
  watch(pid: number, start: number): void {
    this.#watch.watch(pid, start);
  }

  /** Events of other probes say who uses GPUs, or is of a job. */
  heed(event: Event): void {
    switch (event.type) {
      case 'process.seen':
      case 'process.info':
        if (event.attrs.job !== undefined && event.pid !== undefined)
          this.watch(event.pid, event.attrs.start);
        return;
      case 'process.exec':
        if (event.pid !== undefined) this.#watch.renew(event.pid);
        return;
      case 'process.exit':
        if (event.pid !== undefined) this.#watch.forget(event.pid);
        return;
      case 'gpu.processes':
        for (const { pid, startTicks: ticks } of event.attrs.processes) {
          const started = ticks ?? startTicks(pid);
          if (started !== undefined) this.watch(pid, started * TICK_NS);
        }
        return;
      case 'gpu.users':
        for (const { pid, start } of event.attrs.holders) this.watch(pid, start);
        return;
      default:
        return;
    }
  }

  checks(): readonly Check[] {
    const running = this.#running;
    return [
      ...traceChecks({
        failure: this.#failure,
        files: running?.files,
        watch: this.#watch,
        budget: this.#budget,
        communicators: running?.tables.communicators ?? 0,
        waiting: running?.tables.waiting ?? 0,
      }),
      ...this.stats.checks(this.name),
    ];
  }

  lost(): Readonly<Record<string, number>> {
    const { failures, dropped } = this.#watch.stats;
    return {
      pass: this.stats.failures,
      maps: failures,
      process: dropped,
      file: this.#running?.files.refused ?? 0,
      split: this.#splits.dropped,
    };
  }

  async #found(pid: number, library: MappedLibrary): Promise<void> {
    await this.#running?.files.add(pid, library);
  }

  #beat(): void {
    this.pass(false);
    const running = this.#running;
    if (running === undefined || running.files.files.length === 0) return;
    this.stats.run(() => {
      const over = this.#budget.note(performance.now(), running.tables.calls(), running.files.stepped);
      if (over === undefined) return;
      this.#context.log.warn('gpu-trace costs more than it may: probes taken off', { class: over });
      void this.#takeOff(running, over);
    });
  }

  async #takeOff({ files, tables }: Running, over: TraceClass): Promise<void> {
    await files.takeOff(over);
    if (over === 'sync' && this.#running !== undefined) this.stats.run(() => tables.forgetWaits());
  }

  #comm(view: DataView, at: number): void {
    const { clock, sink } = this.#context;
    const event = commEvent(view, at, { clock, splits: this.#splits });
    if (event !== undefined) sink(event);
  }
}
