/**
 * Probe `rdma-trace`: what processes post to their queue pairs, by a uprobe on `post_send` of the provider libraries
 * (bpf/rdma_trace.bpf.c). Off unless `--rdma-trace` asks for it: on hardware a post never enters the kernel, so that a
 * trap in the workload's own path is the only way to see one. `poll_cq` is never touched: programs spin in it.
 *
 * Nothing is loaded before there is an RDMA device. Looked for in processes that have one open; see rdma-trace-walk.ts,
 * and rdma-trace-places.ts for how the function is found. docs/rdma.md has the costs and limits.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Ibverbs } from '../ffi/ibverbs.js';
import type { Event } from '../events/event.js';
import type { LoadedObject } from '../kernel/program.js';
import { type Beat, every } from '../util/beat.js';
import type { Check } from '../util/check.js';
import { messageOf } from '../util/errors.js';
import { Passes } from './passes.js';
import type { Probe, ProbeContext } from './probe.js';
import { VerbsBudget } from './rdma-trace-budget.js';
import { verbsChecks } from './rdma-trace-checks.js';
import { TracedProviders } from './rdma-trace-files.js';
import { type MappedProvider, mappedProviders, ProviderPlaces } from './rdma-trace-places.js';
import { measuredPostNs } from './rdma-trace-price.js';
import { PostTables } from './rdma-trace-tables.js';
import { verbsDevices, VerbsWalk } from './rdma-trace-walk.js';
import { MapWatch, type WatchOptions } from './uprobe-watch.js';

const PASS_MS = 1_000;
const WATCH_MS = 250;
const DEVICES_MS = 5_000;
const SWEEP_MS = 10_000;
/** Taking probes out waits for the kernel's grace periods; the end of the agent does not wait for more than this. */
const STOP_MS = 1_500;
/** A call of libibverbs that takes longer hangs. */
const HUNG_MS = 10_000;

export interface RdmaTraceOptions {
  /** Path of libibverbs. */
  readonly ibverbs?: string;
  readonly sysDir?: string;
  /** Of one core that the probes may cost; BUDGET_SHARE. */
  readonly budgetShare?: number;
  readonly budgetWindowMs?: number;
  readonly watch?: Partial<WatchOptions>;
  /** How often devices are looked for. */
  readonly devicesMs?: number;
}

interface Running {
  readonly object: LoadedObject;
  readonly files: TracedProviders;
  readonly walk: VerbsWalk;
  readonly tables: PostTables;
  /** rxe was loaded when the object was: only then it tells what is outstanding. */
  readonly rxe: boolean;
}

export class RdmaTraceProbe implements Probe {
  readonly name = 'rdma-trace';
  readonly stats: Passes;
  readonly #context: ProbeContext;
  readonly #options: RdmaTraceOptions;
  readonly #sysDir: string;
  readonly #budget: VerbsBudget;
  readonly #watch: MapWatch<MappedProvider>;
  readonly #places = new ProviderPlaces();
  readonly #beats: Beat[] = [];
  #devices: ReadonlyMap<string, number> = new Map();
  #ibverbs: Ibverbs | undefined;
  #running: Running | undefined;
  /** Processes with queue pairs whose posts are not seen, by the last walk. */
  #unseen = 0;
  /** Those of the last walk. */
  #open: ReadonlySet<number> = new Set();
  #following = false;
  /** The process whose queue pairs were walked last, and performance.now() of then. */
  #walked = { pid: 0, at: 0 };
  #busy = false;
  #learning = false;
  #stopped = false;
  #failure: string | undefined;
  #ownFailure: string | undefined;
  #unmeasured: string | undefined;

  constructor(context: ProbeContext, options: RdmaTraceOptions = {}) {
    this.#context = context;
    this.#options = options;
    this.#sysDir = options.sysDir ?? '/sys';
    this.stats = new Passes('queue pairs', context.log);
    this.#budget = new VerbsBudget(options.budgetShare, options.budgetWindowMs);
    this.#watch = new MapWatch(mappedProviders, (pid, library) => this.#found(pid, library), options.watch);
  }

  async start(): Promise<void> {
    await this.#lookForDevices();
    this.#beats.push(
      every(PASS_MS, () => this.#beat()),
      every(WATCH_MS, () => void this.#watch.turn()),
      every(this.#options.devicesMs ?? DEVICES_MS, () => void this.#lookForDevices()),
      every(SWEEP_MS, () => this.stats.run(() => this.#running?.tables.sweep())),
    );
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const beat of this.#beats.splice(0)) beat.stop();
    this.#watch.stop();
    await this.#unload();
  }

  /** It has cost more than it may, and has taken itself off. */
  get overBudget(): boolean {
    return this.#budget.off.size > 0;
  }

  /** @param full every queue pair, not only what has changed. */
  pass(full: boolean): void {
    const running = this.#running;
    if (running === undefined) return;
    this.stats.run(() => {
      running.walk.some(running.tables.wanted);
      running.tables.pass(full);
    });
  }

  /** A process that may map a provider library, now or later. @param start nanoseconds since boot */
  watch(pid: number, start: number): void {
    this.#watch.watch(pid, start);
  }

  /** Events of other probes say who has queue pairs. */
  heed(event: Event): void {
    if (event.pid === undefined) return;
    switch (event.type) {
      case 'rdma.qp':
        if (event.attrs.start === undefined) return;
        if (event.attrs.change !== 'create' && event.attrs.change !== 'seen') return;
        this.watch(event.pid, event.attrs.start);
        // Now it has what leads to the function.
        this.#watch.renew(event.pid);
        return;
      case 'process.exec':
        this.#watch.renew(event.pid);
        return;
      case 'process.exit':
        this.#watch.forget(event.pid);
        return;
      default:
        return;
    }
  }

  checks(): readonly Check[] {
    const pending = this.#ibverbs?.pending;
    const hung = pending !== undefined && performance.now() - pending.since > HUNG_MS;
    return [
      ...verbsChecks({
        failure: this.#failure,
        devices: this.#devices.size,
        running: this.#running,
        watch: this.#watch,
        budget: this.#budget,
        unseen: this.#unseen,
        unmeasured: this.#unmeasured,
        ownFailure: this.#ownFailure,
        hung: hung ? pending.call : undefined,
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
      unproven: this.#running?.tables.unproven ?? 0,
    };
  }

  #beat(): void {
    const running = this.#running;
    if (running === undefined) return;
    this.stats.run(() => {
      if (!running.walk.due || this.#devices.size === 0) return;
      running.walk.all();
      const open = running.walk.users.map(({ pid }) => pid).filter((pid) => this.#leadsNowhere(running, pid));
      this.#unseen = open.filter((pid) => this.#open.has(pid)).length;
      this.#open = new Set(open);
      for (const { pid, start } of running.walk.users) if (pid !== process.pid) this.watch(pid, start);
      void this.#follow(running, open);
    });
    this.pass(false);
    if (!running.files.files.some(({ state }) => state === 'traced')) return;
    this.stats.run(() => {
      this.#budget.stepped = running.files.stepped;
      const over = this.#budget.note(performance.now(), { post: running.tables.calls() });
      if (over === undefined) return;
      this.#context.log.warn('rdma-trace costs more than it may: probes taken off', { class: over });
      void running.files.stop();
    });
  }

  /** It has queue pairs, and none leads to a file that is known. */
  #leadsNowhere({ walk, files }: Running, pid: number): boolean {
    const handles = walk.handles(pid);
    return (
      handles.length > 0 &&
      !handles.some((handle) => {
        const key = this.#places.fileOf(handle);
        return key !== undefined && files.knows(key);
      })
    );
  }

  /** Where processes' queue pairs lead to; one that leads to a file without a probe is looked at. */
  async #follow({ walk, files }: Running, pids: readonly number[]): Promise<void> {
    if (this.#following) return;
    this.#following = true;
    for (const pid of pids) {
      const [handle] = walk.handles(pid);
      // It may have ended meanwhile.
      const led = handle && (await this.#places.follow(handle).catch(() => undefined));
      if (led !== undefined && !files.knows(led.key)) this.#watch.renew(pid);
    }
    this.#following = false;
  }

  async #found(pid: number, library: MappedProvider): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    const { walk, files } = running;
    if (files.knows(library.key)) return;
    // Once for all that it has mapped: libibverbs loads every provider.
    if (this.#walked.pid !== pid || performance.now() - this.#walked.at > WATCH_MS) {
      this.stats.run(() => walk.some([pid]));
      this.#walked = { pid, at: performance.now() };
    }
    await files.add(pid, library, walk.handles(pid));
  }

  /** Loads when the first device comes, and again when rxe does; looks at the agent's own contexts when any does. */
  async #lookForDevices(): Promise<void> {
    if (this.#busy || this.#stopped) return;
    this.#busy = true;
    try {
      const devices = verbsDevices(this.#sysDir);
      const isNew = [...devices.keys()].some((name) => this.#devices.get(name) !== devices.get(name));
      const changed = isNew || devices.size !== this.#devices.size;
      this.#devices = devices;
      if (devices.size === 0) return;
      const rxe = existsSync(join(this.#sysDir, 'module/rdma_rxe'));
      if (this.#running !== undefined && rxe && !this.#running.rxe) await this.#unload();
      // What was refused once is again, unless something has changed.
      if (this.#running === undefined && (isNew || this.#failure === undefined)) await this.#load(rxe);
      else if (changed) this.#running?.walk.setDevices(devices);
      if (isNew) void this.#learn();
    } finally {
      this.#busy = false;
    }
  }

  async #load(rxe: boolean): Promise<void> {
    if (this.#stopped || this.#budget.off.size > 0) return;
    try {
      const object = await this.#context.kernel.load('rdma_trace');
      const files = new TracedProviders(object, this.#places);
      const walk = new VerbsWalk(object);
      const tables = new PostTables(object, {
        clock: this.#context.clock,
        sink: this.#context.sink,
        counts: (source) => files.counts(source),
        proves: () => walk.refusal === undefined,
      });
      walk.setDevices(this.#devices);
      this.#failure = undefined;
      await this.#measure(object, files);
      if (this.#stopped) object.stop();
      else this.#running = { object, files, walk, tables, rxe };
    } catch (error) {
      this.#failure = messageOf(error);
      this.#context.log.warn('rdma-trace cannot be loaded', { error: this.#failure });
    }
  }

  async #measure(object: LoadedObject, files: TracedProviders): Promise<void> {
    try {
      this.#budget.measuredNs ??= await measuredPostNs(object, files.uprobes);
    } catch (error) {
      this.#unmeasured = messageOf(error);
    }
  }

  /** Nobody waits for it: a driver may not answer. */
  async #learn(): Promise<void> {
    if (this.#learning) return;
    this.#learning = true;
    try {
      this.#ibverbs ??= new Ibverbs(this.#options.ibverbs);
      await this.#places.learn(this.#ibverbs);
      this.#ownFailure = undefined;
    } catch (error) {
      this.#ownFailure = messageOf(error);
    }
    this.#learning = false;
    this.#watch.renewAll();
  }

  async #unload(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return;
    this.stats.run(() => running.tables.end());
    const late = new Promise<void>((resolve) => setTimeout(resolve, STOP_MS).unref());
    await Promise.race([running.files.stop(), late]);
    running.object.stop();
  }
}
