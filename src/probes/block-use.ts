/** What is kept of one disk between two looks: since when it gets nowhere, its window, what is usual for it. */
import type { BlockUseAttrs, IoSummary, RequestAttrs } from '../events/storage.js';
import type { BlockDevice } from './block-devices.js';
import { Baseline, type Counts, noCounts, percentileMs, SLOTS, slotOf, totalOf } from './block-latency.js';
import type { DiskStats } from './diskstats.js';

/** Far from the baseline: so many times of it, at least so long, by at least so many requests. */
const FAR_TIMES = 5;
const FAR_MS = 20;
const FAR_COUNT = 3;
/** One alone is enough when it took so long: requests of this age are told of one by one, what is no request is not. */
const LONG_MS = 500;
/** No device is meant to take so long: one that was slow when it was first seen would become the measure of itself. */
const NEVER_USUAL_MS = 1_000;
/** A request this old is worth an event. */
const OLD_MS = 100;

export type BothCounts = readonly [Counts, Counts];

/** Reads or writes. */
class Direction {
  readonly baseline = new Baseline();
  /** Of the kernel's counts: at the last look, and since the last event or, if later, the beginning of trouble. */
  #seen: Counts | undefined;
  #window = noCounts();
  /** p99 of the last look's requests is far from what is usual. */
  far = false;

  look(counts: Counts, elapsedMs: number): void {
    const latest = noCounts();
    if (this.#seen !== undefined) {
      for (let slot = 0; slot < SLOTS; slot++) {
        // Counts of a CPU are 32 bits wide.
        latest[slot] = Math.max(0, (counts[slot] ?? 0) - (this.#seen[slot] ?? 0));
      }
    }
    this.#seen = counts;
    const total = totalOf(latest);
    if (total === 0) return;
    const usualMs = this.baseline.p99Ms;
    const p99Ms = percentileMs(latest, 0.99) ?? 0;
    const wasFar = this.far;
    this.far =
      p99Ms >= NEVER_USUAL_MS ||
      (usualMs !== undefined &&
        (total >= FAR_COUNT || p99Ms >= LONG_MS) &&
        p99Ms >= Math.max(FAR_MS, FAR_TIMES * usualMs));
    // The hours before would hide it.
    if (this.far && !wasFar) this.#window = noCounts();
    for (let slot = 0; slot < SLOTS; slot++)
      this.#window[slot] = (this.#window[slot] ?? 0) + (latest[slot] ?? 0);
    if (p99Ms < NEVER_USUAL_MS) this.baseline.add(latest, elapsedMs, this.far);
  }

  summary(count: number, sizeBytes: number, requests: boolean): IoSummary {
    const p50Ms = percentileMs(this.#window, 0.5);
    const p99Ms = percentileMs(this.#window, 0.99);
    const baselineMs = this.baseline.p99Ms;
    return {
      count,
      sizeBytes,
      ...(p50Ms !== undefined && { p50Ms }),
      ...(p99Ms !== undefined && { p99Ms }),
      ...(baselineMs !== undefined && { baselineMs }),
      ...(!requests && p99Ms !== undefined && { ofMeans: true as const }),
    };
  }

  told(): void {
    this.#window = noCounts();
  }
}

/** What the pass over a disk's tags found. */
export interface Queue {
  readonly inFlight: number;
  readonly depth: number;
  readonly oldest: readonly RequestAttrs[];
}

export class DiskUse {
  readonly dev: number;
  readonly #reads = new Direction();
  readonly #writes = new Direction();
  #stats: DiskStats;
  /** Of a device without requests: what the kernel counts stands for its histogram. */
  readonly #means: BothCounts = [noCounts(), noCounts()];
  /** As of the last event. */
  #toldStats: DiskStats;
  #toldMs: number;
  #lookedMs: number;
  /** When it last got on, or had nothing to do. */
  #progressMs: number;
  /** The last event said that something is wrong. */
  #wrong = false;
  queue: Queue | undefined;
  queueMs = Number.NEGATIVE_INFINITY;

  constructor(stats: DiskStats, nowMs: number) {
    this.dev = stats.major * 2 ** 20 + stats.minor;
    this.#stats = stats;
    this.#toldStats = stats;
    this.#toldMs = nowMs;
    this.#lookedMs = nowMs;
    this.#progressMs = nowMs;
  }

  get inFlight(): number {
    return this.#stats.inFlight;
  }

  /** Anything since the last event. */
  get active(): boolean {
    return this.inFlight > 0 || completed(this.#stats) !== completed(this.#toldStats);
  }

  /** Its counters have moved since the last look, so its latencies have. */
  moved(stats: DiskStats): boolean {
    return completed(stats) !== completed(this.#stats);
  }

  /** Takes over what /proc/diskstats says. */
  look(stats: DiskStats, nowMs: number): void {
    if (stats.inFlight === 0 || this.moved(stats)) this.#progressMs = nowMs;
    this.#stats = stats;
    if (stats.inFlight === 0) this.queue = undefined;
  }

  /**
   * Of a device that makes no requests: all that completed since the last look took their mean, as far as the
   * kernel tells (iostats, Documentation/admin-guide/iostats.rst). Call it before `look`.
   */
  means(stats: DiskStats, nowMs: number): void {
    const before = this.#stats;
    const [reads, writes] = this.#means;
    addMean(reads, since(stats.reads, before.reads), since(stats.readMs, before.readMs));
    addMean(writes, since(stats.writes, before.writes), since(stats.writeMs, before.writeMs));
    this.latencies([Float64Array.from(reads), Float64Array.from(writes)], nowMs);
  }

  latencies([reads, writes]: BothCounts, nowMs: number): void {
    const elapsedMs = nowMs - this.#lookedMs;
    this.#lookedMs = nowMs;
    this.#reads.look(reads, elapsedMs);
    this.#writes.look(writes, elapsedMs);
  }

  stalledMs(nowMs: number): number {
    return this.inFlight === 0 ? 0 : nowMs - this.#progressMs;
  }

  get oldestMs(): number {
    return this.queue?.oldest[0]?.ageMs ?? 0;
  }

  /** Worth telling of, or worth saying that it is no more. */
  worthTelling(nowMs: number, stalledFromMs: number): boolean {
    const moved = completed(this.#stats) !== completed(this.#toldStats);
    const far = this.#reads.far || this.#writes.far;
    const wrong = (moved && far) || this.oldestMs >= OLD_MS || this.stalledMs(nowMs) >= stalledFromMs;
    // Nothing has completed since: whether it is still far is not known yet.
    const tell = wrong || (this.#wrong && (moved || !far));
    if (tell) this.#wrong = wrong;
    return tell;
  }

  /** What the event says; a new window begins. */
  tell(device: BlockDevice | undefined, nowMs: number): BlockUseAttrs {
    const requests = device?.requests ?? false;
    const { reads, readBytes, writes, writtenBytes, inFlight } = this.#stats;
    const before = this.#toldStats;
    const attrs: BlockUseAttrs = {
      inFlight: Math.max(inFlight, this.queue?.inFlight ?? 0),
      stalledMs: this.stalledMs(nowMs),
      ...(this.queue !== undefined && { queueDepth: this.queue.depth }),
      reads: this.#reads.summary(since(reads, before.reads), since(readBytes, before.readBytes), requests),
      writes: this.#writes.summary(
        since(writes, before.writes),
        since(writtenBytes, before.writtenBytes),
        requests,
      ),
      windowMs: nowMs - this.#toldMs,
      oldest: this.queue?.oldest ?? [],
    };
    this.#toldStats = this.#stats;
    this.#toldMs = nowMs;
    this.#reads.told();
    this.#writes.told();
    return attrs;
  }
}

function addMean(counts: Counts, count: number, tookMs: number): void {
  if (count === 0) return;
  const slot = slotOf((tookMs / count) * 1e6);
  counts[slot] = (counts[slot] ?? 0) + count;
}

function completed({ reads, writes, others }: DiskStats): number {
  return reads + writes + others;
}

/** A counter that went back was of another device under the same name. */
function since(now: number, before: number): number {
  return Math.max(0, now - before);
}
