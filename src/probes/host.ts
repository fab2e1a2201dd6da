/**
 * Probe `host`: what this node holds its processes back with: CPU limits, memory limits, memory that
 * is used up, and the pressure that the kernel itself reports.
 *
 * Nothing is attached to a path that programs run on (bpf/host.bpf.c). A pass is made every five
 * seconds and at every `why`; memory use and pressure are looked at less often.
 */
import type { Event } from '../events/event.js';
import type { BpfIterator, BpfMap, LoadedObject } from '../kernel/program.js';
import { type Beat, every } from '../util/beat.js';
import type { Check } from '../util/check.js';
import { messageOf } from '../util/errors.js';
import { cgroupVersions, groupPath } from './host-cgroups.js';
import { availableBytes, readMemoryUse } from './host-memory.js';
import { readGroups } from './host-records.js';
import { LimitWindows } from './host-windows.js';
import { Passes } from './passes.js';
import { Pressure, worstOf } from './pressure.js';
import type { Probe, ProbeContext } from './probe.js';
import { programChecks } from './program-checks.js';

const PASS_MS = 5_000;
const CONSUMERS_MS = 10_000;
const PRESSURE_MS = 5_000;
/** Timers are not exact: what is due before the next pass but one is due now. */
const SLACK_MS = PASS_MS / 2;
/** Below this share of time lost, per cent, pressure is told only when asked for. */
const PRESSED = 10;

const WITHOUT = {
  groups: 'CPU throttling and memory limits of control groups are not seen',
  memory: 'who uses most memory is not known',
};

// As in bpf/host/groups.bpf.h.
const HAS_CPU_LIMITS = 1;
const HAS_MEMORY_LIMITS = 2;

export interface HostOptions {
  /** Where the kernel's pressure files are: /proc/pressure. */
  readonly pressureDirectory?: string;
}

interface Running {
  readonly object: LoadedObject;
  readonly groups: BpfIterator | undefined;
  readonly memory: BpfIterator | undefined;
  readonly pass: BpfMap;
}

export class HostProbe implements Probe {
  readonly name = 'host';
  readonly stats: Passes;
  readonly #context: ProbeContext;
  readonly #pressure: Pressure;
  readonly #windows = new LimitWindows(groupPath);
  readonly #key = new Uint8Array(4);
  readonly #value = Buffer.alloc(16);
  #running: Running | undefined;
  #failure: string | undefined;
  #generation = 0n;
  #timer: Beat | undefined;
  #consumersTs = 0;
  #pressureTs = 0;
  #pressed = false;
  #started = false;

  constructor(context: ProbeContext, options: HostOptions = {}) {
    this.#context = context;
    this.stats = new Passes('the host', context.log);
    this.#pressure = new Pressure(options.pressureDirectory);
  }

  async start(): Promise<void> {
    try {
      const object = await this.#context.kernel.load('host');
      this.#running = {
        object,
        groups: object.iterator('groups'),
        memory: object.iterator('memory'),
        pass: object.map('xctl_host_pass'),
      };
    } catch (error) {
      this.#failure = messageOf(error);
      // Pressure needs no program.
      if (this.#pressure.read() === undefined) throw error;
    }
    this.#started = true;
    this.pass(true);
    this.#timer = every(PASS_MS, () => this.pass(false));
  }

  stop(): void {
    this.#timer?.stop();
    this.#timer = undefined;
    this.#running?.object.stop();
    this.#running = undefined;
    this.#started = false;
  }

  /**
   * One pass now. Its events are out when this returns.
   * @param full with memory use and pressure, whenever they were looked at last.
   * @returns whether a pass was made.
   */
  pass(full: boolean): boolean {
    return this.#started && this.stats.run(() => this.#pass(full));
  }

  checks(): readonly Check[] {
    const checks = [...programChecks('host', this.#running?.object, this.#failure, WITHOUT)];
    if (!this.#started) return checks;
    checks.push(this.#groupCheck());
    const { missing } = this.#pressure;
    checks.push({
      status: missing === undefined ? 'ok' : 'degraded',
      name: 'probe host/pressure',
      detail: missing ?? 'cpu, io, memory',
    });
    return [...checks, ...this.stats.checks('host')];
  }

  lost(): Readonly<Record<string, number>> {
    return { pass: this.stats.failures };
  }

  #pass(full: boolean): void {
    const { clock } = this.#context;
    const ts = clock.toEpochMs(clock.nowNs());
    if (this.#running !== undefined) {
      this.#limits(this.#running, ts);
      if (full || ts - this.#consumersTs >= CONSUMERS_MS - SLACK_MS) this.#consumers(this.#running, ts);
    }
    if (full || ts - this.#pressureTs >= PRESSURE_MS - SLACK_MS) this.#pressures(full, ts);
  }

  #limits(running: Running, ts: number): void {
    if (running.groups === undefined) return;
    this.#generation++;
    this.#value.writeBigUInt64LE(this.#generation, 0);
    running.pass.update(this.#key, this.#value);
    const told = readGroups(running.groups.read().bytes);
    for (const event of this.#windows.pass(told, ts, this.#context.clock.bootEpochMs)) this.#emit(event);
  }

  #consumers(running: Running, ts: number): void {
    if (running.memory === undefined) return;
    this.#consumersTs = ts;
    const { processes, totalBytes } = readMemoryUse(running.memory.read().bytes);
    this.#emit({
      ts,
      type: 'compute.consumers',
      entity: 'node',
      value: totalBytes,
      probe: 'host',
      attrs: { processes, totalBytes, availableBytes: availableBytes() },
    });
  }

  /** Told when there is some, once more when there is none any longer, and when asked for. */
  #pressures(full: boolean, ts: number): void {
    this.#pressureTs = ts;
    const attrs = this.#pressure.read();
    if (attrs === undefined) return;
    const value = worstOf(attrs);
    const pressed = value >= PRESSED;
    if (full || pressed || this.#pressed) {
      this.#emit({ ts, type: 'compute.pressure', entity: 'node', value, probe: 'host', attrs });
    }
    this.#pressed = pressed;
  }

  #groupCheck(): Check {
    const name = 'probe host/cgroups';
    const versions = cgroupVersions();
    const has = this.#has();
    if (has === undefined) return { status: 'degraded', name, detail: `${versions}; limits are not seen` };
    const missing = [
      ...((has & HAS_CPU_LIMITS) === 0 ? ['CPU limits (CONFIG_CFS_BANDWIDTH)'] : []),
      ...((has & HAS_MEMORY_LIMITS) === 0 ? ['memory limits (CONFIG_MEMCG)'] : []),
    ];
    if (missing.length === 0) return { status: 'ok', name, detail: versions };
    return {
      status: 'degraded',
      name,
      detail: `${versions}; this kernel has no ${missing.join(' and no ')}`,
    };
  }

  /** What the program has found this kernel to keep; undefined before its first pass. */
  #has(): number | undefined {
    if (this.#running?.groups === undefined) return undefined;
    const value = Buffer.alloc(16);
    this.#running.pass.lookup(this.#key, value);
    const has = value.readUInt32LE(8);
    return has === 0 ? undefined : has;
  }

  #emit(event: Event): void {
    this.#context.sink(event);
  }
}
