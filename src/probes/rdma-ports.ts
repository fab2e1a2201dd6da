/**
 * The ports of all RDMA devices, told as `rdma.port` and `rdma.counters`: the part of probe `rdma` that needs no BPF.
 *
 * Looked at once a second while somebody has queue pairs or something is wrong, every five seconds else, at once when
 * the driver tells of a port or somebody asks. Without devices that is one directory that is not there. A device is
 * known by the inode of its directory, so that one that is renamed keeps what is known of it.
 *
 * The firmware may never answer. Devices are looked at one after the other; one that is two seconds late hangs: the
 * others go on without it, and it is looked at again when its answer has come. Two that hang end all looks until one of
 * them is back, since the threads that wait are libuv's and others need some.
 */
import type { Event } from '../events/event.js';
import type { RdmaCounter } from '../events/rdma.js';
import { type Beat, every } from '../util/beat.js';
import type { Check } from '../util/check.js';
import { messageOf } from '../util/errors.js';
import type { ProbeContext } from './probe.js';
import { type Device, type DeviceChange, RdmaDevices } from './rdma-devices.js';
import { portChecks } from './rdma-port-checks.js';
import { Sysfs, shownName } from './rdma-sysfs.js';

export interface RdmaPortsOptions {
  readonly sysfs: Sysfs;
  readonly pollMs: number;
  readonly restMs: number;
  /** A device that has not answered by then hangs. */
  readonly hungMs: number;
  /** Whether anybody has a queue pair. */
  readonly used: () => boolean;
  /** Devices by the names that events have. */
  readonly changed: (change: DeviceChange) => void;
}

export interface PortTotals {
  readonly device: string;
  readonly port: number;
  readonly up: boolean;
  readonly flaps: number;
  readonly known: ReadonlyMap<RdmaCounter, number>;
  readonly others: readonly { readonly directory: string; readonly name: string; readonly value: number }[];
}

const DEFAULTS: RdmaPortsOptions = {
  sysfs: new Sysfs('/sys'),
  pollMs: 1_000,
  restMs: 5_000,
  hungMs: 2_000,
  used: () => true,
  changed: () => {},
};

/** After something was wrong, or somebody asked. */
const ACTIVE_MS = 30_000;
/** Events of a driver come in bursts. */
const SOON_MS = 20;
/** Looks take this part of the time at most. */
const MAX_SHARE = { asked: 0.1, else: 0.05 } as const;
const MAX_HUNG = 2;

type Context = Pick<ProbeContext, 'clock' | 'sink' | 'log'>;

export class RdmaPorts {
  readonly stats = { looks: 0, spentMs: 0, hangs: 0, missed: 0, failures: 0 };
  readonly #context: Context;
  readonly #options: RdmaPortsOptions;
  readonly #devices: RdmaDevices;
  #beat: Beat | undefined;
  #soon: NodeJS.Timeout | undefined;
  #stopped = false;
  #round: { readonly asked: boolean; readonly done: Promise<void> } | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #costMs = 0;
  #activeUntil = Number.NEGATIVE_INFINITY;

  constructor(context: Context, options: Partial<RdmaPortsOptions> = {}) {
    this.#context = context;
    this.#options = { ...DEFAULTS, ...options };
    const { clock } = context;
    this.#devices = new RdmaDevices({
      sysfs: this.#options.sysfs,
      now: () => clock.toEpochMs(clock.nowNs()),
      tell: (event) => this.#tell(event),
    });
  }

  /** Takes the first look, which a device that hangs does not hold up for long. */
  async start(): Promise<void> {
    this.#beat = every(this.#options.pollMs, () => void this.#tick());
    await this.pass(false);
  }

  stop(): void {
    this.#stopped = true;
    this.#beat?.stop();
    this.#beat = undefined;
    clearTimeout(this.#soon);
    this.#soon = undefined;
    this.#devices.close();
  }

  get devices(): readonly string[] {
    return this.#devices.all().map(({ name }) => shownName(name));
  }

  /**
   * Looks at all devices, unless that was done a moment ago.
   * @param full somebody asks: everything is read, and told whether it has changed or not
   * @returns when every device has been looked at or is late
   */
  async pass(full: boolean): Promise<void> {
    if (this.#stopped) return;
    if (full) this.#activeUntil = performance.now() + ACTIVE_MS;
    const running = this.#round;
    if (running !== undefined) {
      await running.done;
      if (running.asked || !full) return;
    }
    if (performance.now() - this.#lookedAt < this.#costMs / (full ? MAX_SHARE.asked : MAX_SHARE.else)) return;
    await this.#look(full);
  }

  /** What the driver told of a device (`rdma.async`, without a queue pair). A look follows at once. */
  heard(device: string, event: string, port: number | undefined, ts: number): void {
    for (const { name, ports } of this.#devices.all())
      if (shownName(name) === device)
        for (const one of ports) if (port === undefined || one.port === port) one.heard(event, ts);
    this.soon();
  }

  /** A device may have come, gone or changed. */
  soon(): void {
    if (this.#stopped || this.#soon !== undefined) return;
    this.#soon = setTimeout(() => {
      this.#soon = undefined;
      void this.#look(false);
    }, SOON_MS);
  }

  /** For whoever exports them; what has no known meaning is read from the first call on. */
  totals(): readonly PortTotals[] {
    return this.#devices.ports().map((port) => {
      port.exported();
      const up = port.state === 'ACTIVE' || port.state === 'ACTIVE_DEFER';
      return {
        device: port.device,
        port: port.port,
        up,
        flaps: port.flaps.total,
        ...port.counters.totals(),
      };
    });
  }

  checks(): readonly Check[] {
    const devices = this.#devices.all();
    const hung = devices.filter((device) => device.hung).map(({ name }) => shownName(name));
    const refused = devices.reduce((sum, device) => sum + device.refused, 0);
    return portChecks({ ports: this.#devices.ports(), hung, refused, stats: this.stats });
  }

  /** `hung`: looks that were not taken, since a device did not answer. */
  lost(): Readonly<Record<string, number>> {
    return { hung: this.stats.missed, failed: this.stats.failures };
  }

  async #tick(): Promise<void> {
    const now = performance.now();
    const active = now < this.#activeUntil || this.#options.used();
    const { pollMs, restMs } = this.#options;
    const periodMs = active && this.#devices.all().length > 0 ? pollMs : restMs;
    // A beat is a little early or late.
    if (now - this.#lookedAt >= periodMs - pollMs / 2) await this.pass(false);
  }

  /** One at a time: those who ask meanwhile have their look afterwards, and share it. */
  async #look(asked: boolean): Promise<void> {
    while (this.#round !== undefined) {
      const round = this.#round;
      await round.done;
      if (round.asked && asked) return;
    }
    if (this.#stopped) return;
    const done = this.#lookAtAll(asked).catch((error: unknown) => {
      this.stats.failures++;
      this.#context.log.warn('look at RDMA ports failed', { error: messageOf(error) });
    });
    this.#round = { asked, done };
    await done;
    this.#round = undefined;
  }

  async #lookAtAll(asked: boolean): Promise<void> {
    let costMs = 0;
    const change = this.#devices.find();
    if (change !== undefined) this.#options.changed(change);
    for (const device of this.#devices.all()) {
      if (this.#stopped) return;
      const hung = this.#devices.all().filter((one) => one.hung).length;
      if (device.hung || hung >= MAX_HUNG) this.stats.missed++;
      else costMs += await this.#lookAt(device, asked);
    }
    this.#lookedAt = performance.now();
    this.#costMs = costMs;
    this.stats.looks++;
    this.stats.spentMs += costMs;
  }

  /** @returns what it took, ms; nothing of one that hangs */
  async #lookAt(device: Device, asked: boolean): Promise<number> {
    const started = performance.now();
    let done = false;
    const look = this.#lookAtPorts(device, asked).finally(() => {
      done = true;
      device.hung = false;
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#options.hungMs).unref();
    });
    await Promise.race([look, late]);
    clearTimeout(timer);
    if (done) return performance.now() - started;
    device.hung = true;
    this.stats.hangs++;
    this.#context.log.warn('an RDMA device does not answer', { device: shownName(device.name) });
    return 0;
  }

  async #lookAtPorts({ ports }: Device, asked: boolean): Promise<void> {
    try {
      for (const port of ports) await port.look(asked);
    } catch (error) {
      this.stats.failures++;
      this.#context.log.warn('look at an RDMA device failed', { error: messageOf(error) });
    }
  }

  #tell(event: Event): void {
    if (this.#stopped) return;
    if (event.value > 0 && event.type === 'rdma.counters') this.#activeUntil = performance.now() + ACTIVE_MS;
    this.#context.sink(event);
  }
}
