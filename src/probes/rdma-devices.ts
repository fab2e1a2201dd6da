/**
 * Which RDMA devices there are. The kernel lets anybody with the rights rename them, and gives the name of one that went
 * to the next: a device is known by the inode of its directory.
 */
import { statSync } from 'node:fs';
import type { Event } from '../events/event.js';
import { RdmaPort } from './rdma-port.js';
import { listSync, placementOf, type Sysfs, shownName } from './rdma-sysfs.js';

/** Names as events have them. */
export interface DeviceChange {
  readonly added: readonly string[];
  readonly gone: readonly string[];
  readonly renamed: readonly { readonly from: string; readonly to: string }[];
}

export interface Device {
  /** As its directory is called. */
  name: string;
  readonly ports: readonly RdmaPort[];
  /** Ports that were too many. */
  readonly refused: number;
  hung: boolean;
}

export interface DeviceParts {
  readonly sysfs: Sysfs;
  /** Event time, ms. */
  readonly now: () => number;
  readonly tell: (event: Event) => void;
}

const MAX_DEVICES = 256;
/** Representors of virtual functions are ports, too. */
const MAX_PORTS = 64;

export class RdmaDevices {
  readonly #parts: DeviceParts;
  readonly #classDir: string;
  readonly #devices = new Map<number, Device>();

  constructor(parts: DeviceParts) {
    this.#parts = parts;
    this.#classDir = `${parts.sysfs.dir}/class/infiniband`;
  }

  all(): readonly Device[] {
    return [...this.#devices.values()];
  }

  ports(): readonly RdmaPort[] {
    return this.all().flatMap(({ ports }) => ports);
  }

  /** @returns undefined when there are those that there were. */
  find(): DeviceChange | undefined {
    const found = this.#inodes();
    const gone = this.#forget(found);
    const renamed = this.#rename(found);
    const added: string[] = [];
    for (const [inode, name] of found) {
      if (this.#devices.has(inode)) continue;
      this.#devices.set(inode, this.#deviceOf(name));
      added.push(shownName(name));
    }
    return gone.length + added.length + renamed.length > 0 ? { added, gone, renamed } : undefined;
  }

  close(): void {
    for (const port of this.ports()) port.close();
    this.#devices.clear();
  }

  /** Name by inode; none without ib_core. */
  #inodes(): ReadonlyMap<number, string> {
    const found = new Map<number, string>();
    for (const name of listSync(this.#classDir).slice(0, MAX_DEVICES)) {
      try {
        found.set(statSync(`${this.#classDir}/${name}`).ino, name);
      } catch {
        // Gone meanwhile.
      }
    }
    return found;
  }

  #forget(found: ReadonlyMap<number, string>): readonly string[] {
    const gone: string[] = [];
    for (const [inode, { name, ports }] of this.#devices) {
      if (found.has(inode)) continue;
      this.#devices.delete(inode);
      for (const port of ports) {
        port.left();
        port.close();
      }
      gone.push(shownName(name));
    }
    return gone;
  }

  #rename(found: ReadonlyMap<number, string>): DeviceChange['renamed'] {
    const renamed: { readonly device: Device; readonly from: string; readonly to: string }[] = [];
    for (const [inode, device] of this.#devices) {
      const to = found.get(inode);
      if (to !== undefined && to !== device.name) renamed.push({ device, from: device.name, to });
    }
    // All old names first: two devices may have swapped theirs.
    for (const { device } of renamed) for (const port of device.ports) port.left();
    for (const { device, to } of renamed) {
      device.name = to;
      for (const port of device.ports) port.renamed(shownName(to));
    }
    return renamed.map(({ from, to }) => ({ from: shownName(from), to: shownName(to) }));
  }

  #deviceOf(name: string): Device {
    const numbers = listSync(`${this.#classDir}/${name}/ports`)
      .map(Number)
      .filter((port) => Number.isInteger(port) && port > 0)
      .sort((a, b) => a - b);
    const fit = numbers.slice(0, Math.max(0, MAX_PORTS - this.ports().length));
    // Paths follow the name.
    const named = { name };
    const dir = (): string => `${this.#classDir}/${named.name}`;
    const parts = { ...this.#parts, dir, placement: placementOf(dir()) };
    const ports = fit.map((port) => new RdmaPort({ ...parts, port }, shownName(name)));
    return Object.assign(named, { ports, refused: numbers.length - fit.length, hung: false });
  }
}
