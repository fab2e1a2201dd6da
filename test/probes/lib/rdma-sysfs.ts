/** A /sys with RDMA devices as the kernel would have it, that a test writes. */
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Test } from 'tap';
import type { Event, EventOf, EventType } from '../../../src/events/event.js';
import { BootClock } from '../../../src/kernel/clock.js';
import { RdmaPorts, type RdmaPortsOptions } from '../../../src/probes/rdma-ports.js';
import { Sysfs } from '../../../src/probes/rdma-sysfs.js';
import { createLog } from '../../../src/util/log.js';

export type Counters = Readonly<Record<string, number | string>>;

export interface FakePort {
  readonly state?: string;
  readonly linkLayer?: 'InfiniBand' | 'Ethernet';
  readonly rate?: string;
  readonly hw?: Counters;
  readonly standard?: Counters;
  /** Network interfaces of its first addresses; '' for a place without. */
  readonly netdevs?: readonly string[];
}

export interface FakeDevice {
  readonly ports: readonly FakePort[];
  /** The card's address and driver. */
  readonly pci?: string;
  readonly driver?: string;
  /** More files of its directory. */
  readonly files?: Readonly<Record<string, string>>;
}

export class FakeSysfs {
  readonly dir: string;

  constructor(t: Test) {
    this.dir = t.testdir({ sys: {} });
    this.dir = join(this.dir, 'sys');
  }

  device(name: string, { ports, pci, driver, files = {} }: FakeDevice): void {
    const at = `class/infiniband/${name}`;
    mkdirSync(join(this.dir, at), { recursive: true });
    if (pci !== undefined) this.#card(at, pci, driver);
    for (const [file, text] of Object.entries(files)) this.set(`${at}/${file}`, text);
    for (const [i, port] of ports.entries()) this.#port(`${at}/ports/${i + 1}`, port);
  }

  /** An interface, on a card or with an address. */
  netdev(
    name: string,
    of: { readonly pci?: string; readonly address?: string; readonly downs?: number },
  ): void {
    const at = `class/net/${name}`;
    mkdirSync(join(this.dir, at), { recursive: true });
    if (of.pci !== undefined) this.#card(at, of.pci, undefined);
    if (of.address !== undefined) this.set(`${at}/address`, of.address);
    this.set(`${at}/carrier_down_count`, of.downs ?? 0);
  }

  set(path: string, value: string | number): void {
    const file = join(this.dir, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${value}\n`);
  }

  state(device: string, state: string, port = 1): void {
    this.set(`class/infiniband/${device}/ports/${port}/state`, state);
  }

  hw(device: string, counters: Counters, port = 1): void {
    for (const [name, value] of Object.entries(counters))
      this.set(`class/infiniband/${device}/ports/${port}/hw_counters/${name}`, value);
  }

  standard(device: string, counters: Counters, port = 1): void {
    for (const [name, value] of Object.entries(counters))
      this.set(`class/infiniband/${device}/ports/${port}/counters/${name}`, value);
  }

  rename(from: string, to: string): void {
    renameSync(join(this.dir, 'class/infiniband', from), join(this.dir, 'class/infiniband', to));
  }

  remove(device: string): void {
    rmSync(join(this.dir, 'class/infiniband', device), { recursive: true });
  }

  #card(at: string, pci: string, driver: string | undefined): void {
    const card = join(this.dir, 'devices', pci);
    mkdirSync(card, { recursive: true });
    symlinkSync(card, join(this.dir, at, 'device'));
    if (driver !== undefined) symlinkSync(`../../bus/pci/drivers/${driver}`, join(card, 'driver'));
  }

  #port(at: string, port: FakePort): void {
    this.set(`${at}/state`, port.state ?? '4: ACTIVE');
    this.set(`${at}/phys_state`, port.state === '1: DOWN' ? '3: Disabled' : '5: LinkUp');
    this.set(`${at}/rate`, port.rate ?? '400 Gb/sec (4X NDR)');
    this.set(`${at}/link_layer`, port.linkLayer ?? 'InfiniBand');
    for (const [i, netdev] of (port.netdevs ?? []).entries()) this.set(`${at}/gid_attrs/ndevs/${i}`, netdev);
    for (const [name, value] of Object.entries(port.hw ?? {})) this.set(`${at}/hw_counters/${name}`, value);
    for (const [name, value] of Object.entries(port.standard ?? {}))
      this.set(`${at}/counters/${name}`, value);
  }
}

export interface PortsRig {
  readonly ports: RdmaPorts;
  readonly events: Event[];
  all<T extends EventType>(type: T, entity?: string): EventOf<T>[];
  last<T extends EventType>(type: T, entity?: string): EventOf<T> | undefined;
}

/** Not started: a test says when it looks. */
export function portsRig(t: Test, sysDir: string, options: Partial<RdmaPortsOptions> = {}): PortsRig {
  const events: Event[] = [];
  const context = {
    clock: BootClock.now(),
    sink: (event: Event) => void events.push(event),
    log: createLog('error', () => {}),
  };
  const ports = new RdmaPorts(context, { sysfs: new Sysfs(sysDir), ...options });
  t.teardown(() => ports.stop());
  const all = <T extends EventType>(type: T, entity?: string): EventOf<T>[] =>
    events
      .filter((e): e is Event & EventOf<T> => e.type === type)
      .filter((e) => entity === undefined || e.entity === entity);
  return { ports, events, all, last: (type, entity) => all(type, entity).at(-1) };
}
