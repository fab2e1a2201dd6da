/**
 * Probe `gpu`: NVIDIA's GPUs by NVML: what they are, how they are used and by whom, what is wrong with them.
 *
 * Looked at once a second while something uses them or somebody asks, every five seconds at rest. Every call runs on
 * libuv's pool, so that one that hangs takes away what it asks for and nothing else: no other probe and no `why` waits.
 * A lost GPU, an exchanged driver and a GPU that comes back are states (`gpu.state`).
 */
import type { Event } from '../events/event.js';
import type { GpuEventAttrs } from '../events/gpu.js';
import { poolAnswers } from '../ffi/libc.js';
import { nvmlName } from '../ffi/nvml-errors.js';
import { Backoff } from '../util/backoff.js';
import { type Beat, every } from '../util/beat.js';
import type { Check } from '../util/check.js';
import { messageOf } from '../util/errors.js';
import { NvmlFailure } from './gpu-caller.js';
import { gpuChecks } from './gpu-checks.js';
import { EventWait } from './gpu-event-wait.js';
import { GpuEvents } from './gpu-events.js';
import { type GpuCost, GpuFleet } from './gpu-fleet.js';
import { Lanes, type LaneTask } from './gpu-lanes.js';
import { type Found, GpuLibrary } from './gpu-library.js';
import { GpuUsers } from './gpu-users.js';
import type { Probe, ProbeContext } from './probe.js';

const POLL_MS = 1_000;
const REST_MS = 5_000;
/** After somebody asked, or started to use a GPU. */
const ACTIVE_MS = 30_000;
/** A library that was not there may be, after the driver was installed. */
const LOOK_FOR_LIBRARY_MS = 60_000;
/** A lost GPU can come back by a reset, and is then found by a library that was started anew. */
const LOST_RETRY_MS = 30_000;
const DEADLINE_MS = 5_000;
/** The start of the agent waits no longer for the first look. */
const FIRST_LOOK_MS = 1_000;
const SLACK_MS = 100;
/** Between two looks that events ask for: of a flood of them each would. */
const SOON_MS = 200;

export interface GpuOptions {
  /** Another library than the system's. */
  readonly nvmlPath?: string;
  /** A call that has not come back by then hangs. */
  readonly deadlineMs?: number;
  readonly pollMs?: number;
  readonly restMs?: number;
  /** A library that did not start is tried again after so long, at first. */
  readonly retryMs?: number;
  readonly lostRetryMs?: number;
  /** Major number of the GPUs' device files; a test without the driver takes other devices for them. */
  readonly deviceMajor?: number;
}

export class GpuProbe implements Probe {
  readonly name = 'gpu';
  readonly stats = { failures: 0, missedDeadlines: 0, unknownEvents: 0 };
  readonly #context: ProbeContext;
  readonly #options: GpuOptions;
  readonly #library: GpuLibrary;
  readonly #lanes: Lanes;
  readonly #deadlineMs: number;
  readonly #pollMs: number;
  readonly #backoff: Backoff;
  readonly #fleet: GpuFleet;
  readonly #openTask: LaneTask;
  readonly #events: GpuEvents;
  readonly #users: GpuUsers;
  #wait: EventWait | undefined;
  #beat: Beat | undefined;
  #soon: NodeJS.Timeout | undefined;
  #started = false;
  /** performance.now() from which on the library is to be started (anew); Infinity: not at all. */
  #openAt = Number.POSITIVE_INFINITY;
  #opening = false;
  #openHung = false;
  /** The driver was taken away: what is found next was loaded again. */
  #reloading = false;
  #polledAt = Number.NEGATIVE_INFINITY;
  #activeUntil = Number.NEGATIVE_INFINITY;
  #openedAt = Number.POSITIVE_INFINITY;

  constructor(context: ProbeContext, options: GpuOptions = {}) {
    this.#context = context;
    this.#options = options;
    this.#library = new GpuLibrary(options.nvmlPath);
    this.#deadlineMs = options.deadlineMs ?? DEADLINE_MS;
    this.#pollMs = options.pollMs ?? POLL_MS;
    this.#backoff = new Backoff({ firstMs: options.retryMs ?? 5_000, maxMs: 60_000, goodMs: 60_000 });
    this.#lanes = new Lanes(this.#deadlineMs, poolAnswers, (waiting) => this.#fleet.stuck(waiting));
    const tell = (event: Event): void => {
      if (!this.#started) return;
      context.sink(event);
      this.#users.heed(event);
    };
    this.#users = new GpuUsers(context, options.deviceMajor);
    this.#events = new GpuEvents(tell);
    this.#fleet = new GpuFleet({
      deadlineMs: this.#deadlineMs,
      tell,
      now: () => this.#now(),
      alive: () => this.#started,
      onLost: () => {
        this.#openAt = Math.min(this.#openAt, performance.now() + this.#lostRetryMs());
      },
      onReload: (failure) => this.#reload(failure),
      onHung: () => {
        this.stats.missedDeadlines++;
      },
      onFailed: (error) => this.#failed('look at a GPU failed', error),
    });
    const library = this.#library;
    this.#openTask = {
      get pendingSince() {
        return library.caller?.pending?.since;
      },
      run: () => this.#open(),
      hung: () => {
        this.#openHung = true;
        this.stats.missedDeadlines++;
      },
    };
  }

  async start(): Promise<void> {
    this.#started = true;
    if (!this.#load()) return;
    this.#tick();
    const first = new Promise<void>((resolve) => setTimeout(resolve, FIRST_LOOK_MS).unref());
    await Promise.race([this.#lanes.settled(), first]);
  }

  /** Calls that are under way end when they end: what they bring is not told any more. */
  stop(): void {
    this.#started = false;
    this.#beat?.stop();
    this.#beat = undefined;
    clearTimeout(this.#soon);
    this.#soon = undefined;
    this.#lanes.stop();
    this.#wait?.stop();
    this.#users.stop();
  }

  /**
   * A look now, and once a second for a while.
   * @returns when the GPUs that answer have been looked at; false: there is nothing to look at
   */
  async pass(full: boolean): Promise<boolean> {
    if (!this.#started || this.#library.state.kind !== 'open' || this.#opening) return false;
    this.wake();
    if (full) {
      this.#users.look('asked');
      this.#fleet.owe();
    }
    this.#poll(full);
    await this.#lanes.settled();
    return true;
  }

  /** Something begins to use GPUs. */
  wake(): void {
    this.#activeUntil = performance.now() + ACTIVE_MS;
  }

  /** An event of another probe that says so. */
  heed(event: Event): void {
    if (event.type === 'process.info' && event.attrs.job?.because === 'gpu') this.wake();
  }

  /** What NVML told of events, each counted. */
  get heard(): number {
    return this.#events.heard;
  }

  costs(): readonly GpuCost[] {
    return this.#fleet.costs();
  }

  lost(): Readonly<Record<string, number>> {
    const { failures, missedDeadlines, unknownEvents } = this.stats;
    return { deadline: missedDeadlines, failed: failures, unknown_device: unknownEvents };
  }

  checks(): readonly Check[] {
    const checks = gpuChecks({
      library: this.#library,
      devices: this.#fleet.devices,
      refused: this.#fleet.refused,
      wait: this.#wait,
      openHung: this.#openHung,
      lanesHung: this.#lanes.hung,
      starved: this.#lanes.starved,
    });
    return [...checks, ...this.#users.checks()];
  }

  #load(): boolean {
    const there = this.#library.load();
    this.#beat?.stop();
    this.#beat = there
      ? every(this.#pollMs, () => this.#tick())
      : every(LOOK_FOR_LIBRARY_MS, () => this.#load());
    if (there) this.#openAt = performance.now();
    return there;
  }

  #tick(): void {
    const now = performance.now();
    this.#events.settle(this.#now());
    if (this.#opening) return;
    if (now >= this.#openAt && this.#mayOpen(now)) return;
    if (this.#library.state.kind !== 'open') return;
    if (now - this.#polledAt >= this.#periodMs(now) - SLACK_MS) this.#poll();
  }

  /** Starts the library (anew) once nothing of it is under way. @returns whether nothing else is to be begun */
  #mayOpen(now: number): boolean {
    const waits = this.#wait !== undefined && !this.#wait.idle;
    const hangs = this.#lanes.hung > 0 || (this.#wait?.overdueMs() ?? 0) > this.#deadlineMs;
    if (this.#lanes.quiet && !waits) {
      this.#opening = true;
      this.#openAt = Number.POSITIVE_INFINITY;
      this.#lanes.submit(this.#openTask);
      return true;
    }
    if (hangs && !this.#reloading) {
      // For a lost GPU alone the others do not wait until what hangs comes back.
      this.#openAt = now + this.#lostRetryMs();
      return false;
    }
    this.#wait?.stop();
    return true;
  }

  #lostRetryMs(): number {
    return this.#options.lostRetryMs ?? LOST_RETRY_MS;
  }

  #periodMs(now: number): number {
    const active = now < this.#activeUntil || this.#fleet.busy;
    return active ? this.#pollMs : (this.#options.restMs ?? REST_MS);
  }

  #poll(again = false): void {
    this.#polledAt = performance.now();
    for (const task of this.#fleet.tasks) this.#lanes.submit(task, again);
  }

  async #open(): Promise<void> {
    try {
      const found = await this.#library.open();
      this.#openHung = false;
      this.#opening = false;
      if (this.#started) this.#opened(found);
    } catch (error) {
      this.#opening = false;
      this.#failed('NVML did not start', error);
      this.#again();
    }
  }

  #opened(found: readonly Found[] | undefined): void {
    const { state, nvml } = this.#library;
    if (found === undefined || nvml === undefined || state.kind !== 'open') {
      this.#fleet.gone({ reason: state.kind === 'closed' ? nvmlName(state.code) : state.kind });
      this.#reloading = this.#fleet.devices.length > 0;
      this.#again();
      return;
    }
    this.#openedAt = performance.now();
    this.#fleet.found(found, nvml, state.driver, this.#reloading);
    this.#reloading = false;
    this.#wait = new EventWait(nvml, {
      onEvent: (handle, attrs) => this.#event(handle, attrs),
      onReload: (call, code) => this.#reload(new NvmlFailure(call, code)),
    });
    this.#wait.start(this.#library.eventSet);
    this.#poll();
  }

  /** The driver was taken away or exchanged: nothing that the library knows holds any more. */
  #reload({ call, code }: NvmlFailure): void {
    if (this.#reloading || !this.#started) return;
    this.#reloading = true;
    this.#lanes.clear();
    this.#wait?.stop();
    this.#fleet.gone({ reason: nvmlName(code), call });
    this.#openAt = performance.now();
  }

  #again(): void {
    this.#openAt = performance.now() + this.#backoff.next(Math.max(0, performance.now() - this.#openedAt));
    this.#openedAt = Number.POSITIVE_INFINITY;
  }

  #event(handle: number, attrs: GpuEventAttrs): void {
    if (!this.#started) return;
    const device = this.#fleet.byHandle(handle);
    if (device === undefined) {
      this.stats.unknownEvents++;
      return;
    }
    this.#events.offer(device.index, this.#now(), attrs);
    if (attrs.kind === 'mig-changed') device.identifiedAt = Number.NEGATIVE_INFINITY;
    device.recount = true;
    this.#lookSoon();
  }

  /** What an event is about shows in the figures. */
  #lookSoon(): void {
    this.wake();
    const inMs = Math.max(0, this.#polledAt + SOON_MS - performance.now());
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      void this.pass(false);
    }, inMs).unref();
  }

  #now(): number {
    const { clock } = this.#context;
    return clock.toEpochMs(clock.nowNs());
  }

  #failed(what: string, error: unknown): void {
    this.stats.failures++;
    this.#context.log.warn(what, { error: messageOf(error) });
  }
}
