/**
 * Probe `block`: block devices, what they lie on, how they are used, and which requests are slow, fail or
 * do not come back.
 *
 * Once a second /proc/diskstats is read; all else follows from what moved there: a histogram is fetched for
 * a disk that completed something, its tags are walked where something is in flight, sysfs is read for a
 * name that is new. A quiet node costs one small file a second. Slow and failed requests come by themselves
 * (bpf/block.bpf.c).
 *
 * Disks that hand bios on (dm, md) have no requests: their events carry counts and `stalledMs`, and no
 * latencies; those are with the disks underneath.
 */
import { closeSync, openSync } from 'node:fs';
import { blockId } from '../events/ids.js';
import type { RequestAttrs } from '../events/storage.js';
import {
  XctlBlockConfigLayout,
  XctlBlockQueueLayout,
  XctlHdrLayout,
  XctlKind,
} from '../kernel/abi.generated.js';
import type { BpfIterator, BpfMap, LoadedObject } from '../kernel/program.js';
import { type Beat, every } from '../util/beat.js';
import type { Check } from '../util/check.js';
import { messageOf } from '../util/errors.js';
import { type BlockDevice, BlockDevices } from './block-devices.js';
import { LatencyMap, noCounts } from './block-latency.js';
import { devOf, requestAttrs, statusName, statusOf } from './block-records.js';
import { type BothCounts, DiskUse } from './block-use.js';
import { majorOf, minorOf } from './devices.js';
import { type DiskStats, DiskStatsFile } from './diskstats.js';
import { Passes } from './passes.js';
import type { Probe, ProbeContext } from './probe.js';
import { programChecks, type Without } from './program-checks.js';
import { forEachRecord, u64 } from './records.js';

export interface BlockProbeOptions {
  /** Between two looks. */
  readonly passMs: number;
  /** A request that took longer is told of. */
  readonly slowMs: number;
  readonly sysDir: string;
  readonly procDir: string;
}

const DEFAULTS: BlockProbeOptions = { passMs: 1_000, slowMs: 500, sysDir: '/sys', procDir: '/proc' };

/** Of a disk that gets on, the tags are walked this often: one request may be stuck while others pass. */
const BUSY_WALK_MS = 5_000;
/** Something in flight and nothing completed for so long is worth an event. */
const STALLED_MS = 900;
/** What lies under a mapped device, and how many members of an md have failed, can change under its name. */
const REFRESH_MS = 5_000;
/** Names of devices that went, for events that come after. */
const MAX_GONE = 64;

const WITHOUT: Without = {
  submit: 'requests are not known to be of a process',
  complete: 'latencies of requests, slow and failed ones are not seen',
  inflight: 'the age of requests that have not completed is not known; that a disk gets nowhere is',
};

interface Known {
  readonly use: DiskUse;
  device: BlockDevice;
  described: string;
  describedMs: number;
}

interface Running {
  readonly object: LoadedObject;
  readonly inflight: BpfIterator | undefined;
  readonly latency: LatencyMap;
  readonly config: BpfMap;
}

export class BlockProbe implements Probe {
  readonly name = 'block';
  readonly stats: Passes;
  readonly #context: ProbeContext;
  readonly #options: BlockProbeOptions;
  readonly #devices: BlockDevices;
  readonly #stats: DiskStatsFile;
  readonly #known = new Map<string, Known>();
  /** Name by dev, major << 20 | minor; of devices that went, too. */
  readonly #names = new Map<number, string>();
  readonly #gone: number[] = [];
  readonly #config = Buffer.alloc(XctlBlockConfigLayout.sizeBytes);
  readonly #configKey = new Uint8Array(4);
  #running: Running | undefined;
  #failure: string | undefined;
  #timer: Beat | undefined;

  constructor(context: ProbeContext, options: Partial<BlockProbeOptions> = {}) {
    this.#context = context;
    this.stats = new Passes('block devices', context.log);
    this.#options = { ...DEFAULTS, ...options };
    this.#devices = new BlockDevices(this.#options.sysDir, this.#options.procDir);
    this.#stats = new DiskStatsFile(`${this.#options.procDir}/diskstats`);
  }

  async start(): Promise<void> {
    const { poller, kernel } = this.#context;
    poller.on(XctlKind.BLOCK_SLOW, (view, at) => this.#told(view, at, false));
    poller.on(XctlKind.BLOCK_ERROR, (view, at) => this.#told(view, at, true));
    try {
      const object = await kernel.load('block');
      const config = object.map('xctl_block_config');
      this.#running = {
        object,
        inflight: object.iterator('inflight'),
        latency: new LatencyMap(object.map('xctl_block_latency')),
        config,
      };
      this.#configure(-1);
    } catch (error) {
      this.#failure = messageOf(error);
      throw error;
    }
    this.pass(true);
    this.#timer = every(this.#options.passMs, () => this.pass(false));
  }

  stop(): void {
    this.#timer?.stop();
    this.#timer = undefined;
    this.#running?.object.stop();
    this.#running = undefined;
    this.#stats.stop();
    this.#known.clear();
    this.#names.clear();
  }

  checks(): readonly Check[] {
    const programs = programChecks('block', this.#running?.object, this.#failure, WITHOUT);
    return [...programs, ...this.stats.checks('block')];
  }

  lost(): Readonly<Record<string, number>> {
    return { pass: this.stats.failures };
  }

  /**
   * One look now. Its events are out when this returns.
   * @param full an event for every disk that did anything since its last one; else only for those in trouble.
   * @returns whether a look was made.
   */
  pass(full: boolean): boolean {
    const running = this.#running;
    return running !== undefined && this.stats.run(() => this.#look(running, full));
  }

  #look(running: Running, full: boolean): void {
    const { clock, poller } = this.#context;
    // What is in the rings is older than what is seen now.
    if (full) poller.drainAll();
    const all = this.#stats.read();
    const nowMs = clock.toEpochMs(clock.nowNs());
    this.#comeAndGo(all, nowMs, full);
    for (const stats of all) {
      const known = this.#known.get(stats.name);
      if (known === undefined || known.device.disk !== undefined) continue;
      this.#lookAt(running, known, stats, full);
    }
  }

  #lookAt(running: Running, known: Known, stats: DiskStats, full: boolean): void {
    const { clock } = this.#context;
    const { use, device } = known;
    const nowMs = clock.toEpochMs(clock.nowNs());
    const moved = use.moved(stats);
    if (!device.requests && moved) use.means(stats, nowMs);
    use.look(stats, nowMs);
    if (device.requests && (moved || full))
      use.latencies(this.#latencies(running, stats.name, use.dev), nowMs);
    if (device.requests && stats.inFlight > 0 && (full || !moved || nowMs - use.queueMs >= BUSY_WALK_MS)) {
      use.queueMs = nowMs;
      use.queue = this.#walk(running, stats.name);
    }
    // Asked in any case: it remembers.
    const telling = use.worthTelling(nowMs, STALLED_MS);
    if (!telling && !(full && use.active)) return;
    const value = use.oldestMs;
    const attrs = use.tell(device, nowMs);
    this.#context.sink({
      ts: nowMs,
      type: 'storage.use',
      entity: blockId(stats.name),
      value,
      attrs,
      probe: 'block',
    });
  }

  /** Requests are counted for the partition that they are for. */
  #latencies(running: Running, name: string, dev: number): BothCounts {
    const counts: BothCounts = [noCounts(), noCounts()];
    running.latency.addTo(counts, dev);
    for (const { device, use } of this.#known.values()) {
      if (device.disk === name) running.latency.addTo(counts, use.dev);
    }
    return counts;
  }

  /** The oldest requests that the disk has now. */
  #walk(running: Running, name: string): DiskUse['queue'] {
    const { inflight } = running;
    if (inflight === undefined) return undefined;
    let fd: number;
    try {
      fd = openSync(`${this.#devices.pathOf(name)}/dev`, 'r');
    } catch {
      return undefined; // it went since /proc/diskstats was read
    }
    try {
      this.#configure(fd);
      const oldest: RequestAttrs[] = [];
      let queue: DiskUse['queue'];
      forEachRecord(inflight.read(process.pid).bytes, (view, at) => {
        const kind = view.getUint16(at + XctlHdrLayout.kind, true);
        if (kind === XctlKind.BLOCK_INFLIGHT) oldest.push(requestAttrs(view, at));
        if (kind === XctlKind.BLOCK_QUEUE) {
          queue = {
            inFlight: view.getUint32(at + XctlBlockQueueLayout.inFlight, true),
            depth: view.getUint32(at + XctlBlockQueueLayout.depth, true),
            oldest,
          };
        }
      });
      oldest.sort((a, b) => b.ageMs - a.ageMs);
      return queue;
    } finally {
      closeSync(fd);
    }
  }

  #configure(fd: number): void {
    this.#config.writeBigUInt64LE(
      BigInt(Math.round(this.#options.slowMs * 1e6)),
      XctlBlockConfigLayout.slowNs,
    );
    this.#config.writeInt32LE(fd, XctlBlockConfigLayout.fd);
    this.#running?.config.update(this.#configKey, this.#config);
  }

  /** Devices that are new, have changed or are gone, as events. */
  #comeAndGo(all: readonly DiskStats[], nowMs: number, full: boolean): void {
    const there = new Set<string>();
    for (const stats of all) {
      there.add(stats.name);
      const known = this.#known.get(stats.name);
      // The same name with another number is another device.
      const same = known !== undefined && known.use.dev === stats.major * 2 ** 20 + stats.minor;
      if (!same) this.#came(stats, nowMs);
      else if (full || nowMs - known.describedMs >= REFRESH_MS || wakes(known, stats))
        this.#refresh(stats, known, nowMs);
    }
    for (const [name, known] of this.#known) if (!there.has(name)) this.#went(name, known, nowMs);
  }

  #came(stats: DiskStats, nowMs: number): void {
    const device = this.#devices.describe(stats.name);
    if (device === undefined) return;
    const use = new DiskUse(stats, nowMs);
    this.#known.set(stats.name, { use, device, described: JSON.stringify(device), describedMs: nowMs });
    this.#names.set(use.dev, stats.name);
    // What an earlier device of this number took is not its.
    if (this.#running !== undefined && device.requests)
      use.latencies(this.#latencies(this.#running, stats.name, use.dev), nowMs);
    this.#tellDevice(stats.name, device, nowMs);
  }

  /** Only those that can change: mapped devices, arrays, loop devices. */
  #refresh(stats: DiskStats, known: Known, nowMs: number): void {
    known.describedMs = nowMs;
    const { kind } = known.device.attrs;
    if (kind === 'disk' || kind === 'partition' || kind === 'other') return;
    // A node may have many loop devices without a file.
    if (known.device.sizeBytes === 0 && this.#devices.sizeBytes(stats.name) === 0) return;
    const device = this.#devices.describe(stats.name);
    if (device === undefined) return;
    // A loop device with another file: what the one before it took says nothing.
    if (device.attrs.diskSeq !== known.device.attrs.diskSeq) {
      this.#came(stats, nowMs);
      return;
    }
    const described = JSON.stringify(device);
    if (described === known.described) return;
    known.device = device;
    known.described = described;
    this.#tellDevice(stats.name, device, nowMs);
  }

  #went(name: string, known: Known, nowMs: number): void {
    this.#known.delete(name);
    this.#gone.push(known.use.dev);
    if (this.#gone.length > MAX_GONE) {
      const oldest = this.#gone.shift();
      const user = oldest === undefined ? undefined : this.#names.get(oldest);
      if (oldest !== undefined && (user === undefined || !this.#known.has(user))) this.#names.delete(oldest);
    }
    this.#tellDevice(name, known.device, nowMs, true);
  }

  #tellDevice(name: string, { attrs, sizeBytes }: BlockDevice, ts: number, gone = false): void {
    this.#context.sink({
      ts,
      type: 'storage.device',
      entity: blockId(name),
      value: sizeBytes,
      attrs: gone ? { ...attrs, gone: true } : attrs,
      probe: 'block',
    });
  }

  /** A slow or failed request, from the ring. */
  #told(view: DataView, at: number, failed: boolean): void {
    const { clock, sink } = this.#context;
    const ts = clock.toEpochMs(u64(view, at + XctlHdrLayout.tsNs));
    const entity = this.#entityOf(devOf(view, at));
    const attrs = requestAttrs(view, at);
    const { pid } = attrs.submitter;
    const common = { ts, entity, probe: 'block', ...(pid !== undefined && { pid }) } as const;
    if (failed) {
      const status = statusName(statusOf(view, at));
      sink({ ...common, type: 'storage.error', value: attrs.sizeBytes, attrs: { ...attrs, status } });
    } else {
      sink({ ...common, type: 'storage.latency', value: attrs.ageMs, attrs });
    }
  }

  #entityOf(dev: number): string {
    const name = this.#names.get(dev) ?? this.#nameOfNew(dev);
    return name === undefined ? `dev:${majorOf(dev)}:${minorOf(dev)}` : blockId(name);
  }

  /** Came within the last second. */
  #nameOfNew(dev: number): string | undefined {
    if (this.#running === undefined) return undefined;
    this.pass(false);
    return this.#names.get(dev);
  }
}

/** A loop device that had no file is used. */
function wakes({ device, use }: Known, stats: DiskStats): boolean {
  return device.sizeBytes === 0 && use.moved(stats);
}
