/**
 * Latencies out of the kernel's histogram (bpf/block/latency.bpf.h): percentiles of a window, and what is
 * usual for the device. Slow requests are counted one by one; of those below 10 ms one in eight is, for all of
 * them, so that a handful of fast ones may leave no trace.
 */
import { XctlBlockLatencyLayout } from '../kernel/abi.generated.js';
import type { BpfMap } from '../kernel/program.js';

/** XCTL_LATENCY_SLOTS */
export const SLOTS = 108;
/** XCTL_LATENCY_OPS: reads first, then writes. */
export const OPS = 2;

const UNIT_MS = 1024 / 1e6;
const INDEX_BITS = 7;
const PROBES = 4;

/** Counts of requests by slot. */
export type Counts = Float64Array;

export function noCounts(): Counts {
  return new Float64Array(SLOTS);
}

/** Where a slot begins, ms; `SLOTS` is where the last one ends. */
export function slotStartMs(slot: number): number {
  if (slot < 4) return slot * UNIT_MS;
  return (4 + (slot & 3)) * 2 ** ((slot >> 2) - 1) * UNIT_MS;
}

/** The slot that a latency of so many nanoseconds is counted in; as `xctl_latency_slot()`. */
export function slotOf(ns: number): number {
  const units = Math.min(Math.floor(ns / 1024), 2 ** 28 - 1);
  if (units < 4) return units;
  const log = 31 - Math.clz32(units);
  return (log - 1) * 4 + ((units >>> (log - 2)) & 3);
}

export function totalOf(counts: Counts): number {
  let sum = 0;
  for (const count of counts) sum += count;
  return sum;
}

/** The latency that a share of the requests stayed below, ms, to a quarter of an octave; undefined of none. */
export function percentileMs(counts: Counts, share: number): number | undefined {
  const total = totalOf(counts);
  if (total === 0) return undefined;
  const wanted = total * share;
  let before = 0;
  for (let slot = 0; slot < counts.length; slot++) {
    const here = counts[slot] ?? 0;
    if (here > 0 && before + here >= wanted) {
      const from = slotStartMs(slot);
      return from + ((slotStartMs(slot + 1) - from) * (wanted - before)) / here;
    }
    before += here;
  }
  return slotStartMs(SLOTS);
}

/** What a device's requests usually take: a history that fades, without the latest window. */
export class Baseline {
  readonly #history = noCounts();
  readonly #halfLifeMs: number;

  constructor(halfLifeMs = 5 * 60_000) {
    this.#halfLifeMs = halfLifeMs;
  }

  /** p99; undefined before there were enough requests to say. */
  get p99Ms(): number | undefined {
    return totalOf(this.#history) < MIN_HISTORY ? undefined : percentileMs(this.#history, 0.99);
  }

  /**
   * @param unusual what is far from the baseline counts for little, or a long trouble would become the
   * measure of itself.
   */
  add(window: Counts, elapsedMs: number, unusual: boolean): void {
    const kept = 2 ** (-elapsedMs / this.#halfLifeMs);
    const weight = unusual ? UNUSUAL_WEIGHT : 1;
    for (let slot = 0; slot < SLOTS; slot++) {
      this.#history[slot] = (this.#history[slot] ?? 0) * kept + (window[slot] ?? 0) * weight;
    }
  }
}

const MIN_HISTORY = 20;
const UNUSUAL_WEIGHT = 0.02;

/** Reads devices' counts out of the per-CPU array. */
export class LatencyMap {
  readonly #map: BpfMap;
  readonly #key = new Uint8Array(4);
  readonly #value: Buffer;
  /** Of one CPU, in `#value`. */
  readonly #strideBytes: number;

  constructor(map: BpfMap) {
    this.#map = map;
    this.#value = Buffer.alloc(map.lookupSizeBytes);
    this.#strideBytes = Math.ceil(map.valueSizeBytes / 8) * 8;
  }

  /** Adds the totals of a disk or partition (major << 20 | minor) to `into`: reads, writes. */
  addTo(into: readonly [Counts, Counts], dev: number): void {
    const home = Math.imul(dev, 0x9e3779b1) >>> (32 - INDEX_BITS);
    for (let probe = 0; probe < PROBES; probe++) {
      this.#key[0] = (home + probe) & ((1 << INDEX_BITS) - 1);
      if (!this.#map.lookup(this.#key, this.#value)) return;
      let taken = false;
      for (let at = 0; at < this.#value.length; at += this.#strideBytes) {
        const owner = this.#value.readUInt32LE(at + XctlBlockLatencyLayout.dev);
        if (owner !== 0) taken = true;
        if (owner === dev) this.#add(into, at + XctlBlockLatencyLayout.counts);
      }
      // No CPU went further.
      if (!taken) return;
    }
  }

  #add([reads, writes]: readonly [Counts, Counts], at: number): void {
    for (let slot = 0; slot < SLOTS; slot++) {
      reads[slot] = (reads[slot] ?? 0) + this.#value.readUInt32LE(at + 4 * slot);
      writes[slot] = (writes[slot] ?? 0) + this.#value.readUInt32LE(at + 4 * (SLOTS + slot));
    }
  }
}
