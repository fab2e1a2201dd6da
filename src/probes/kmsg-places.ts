/**
 * From the names in a line of the kernel log to nodes of the graph, by /sys and the mount table. Only reads
 * that cannot hang: names and links of /sys and /proc/self/mountinfo, never a path on a mount.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { blockId, fsId, peerId } from '../events/ids.js';
import { Devices } from './devices.js';
import { parseDevice, parseMountinfo } from './mountinfo.js';

export interface MountedOn {
  /** `fs:/data` */
  readonly entity: string;
  readonly fsType: string;
}

export interface PlacesOptions {
  readonly sysDir?: string;
  readonly procDir?: string;
  /** Which filesystem is on a block device, where somebody knows better than the mount table. */
  readonly fsOf?: (blockName: string) => MountedOn | undefined;
}

interface Mount extends MountedOn {
  readonly dev: number;
  readonly source: string;
  readonly options: string;
}

/** Where devices hang is read once for all lines of a flood. */
const BEHIND_MS = 10_000;
const MAX_BEHIND = 32;
/** Of a link in /sys/class/block. */
const PARTITION = /\/block\/[^/]+\/|\/(nvme\d{1,6}n\d{1,6})\/\1p\d{1,6}$/;
/** A mount table is read once for all lines of a burst. */
const MOUNTS_MS = 1_000;
/** Kernel names of devices: no slash, nothing that could leave a folder. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.:!@+-]{0,63}$/;
const PCI = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

export class Places {
  readonly #sysDir: string;
  readonly #procDir: string;
  readonly #fsOf: PlacesOptions['fsOf'];
  readonly #devices: Devices;
  /** Of a controller, as last seen: when it dies its block devices are gone before its last line comes. */
  readonly #nvme = new Map<string, string>();
  /** Disks and network adapters, and where in /sys they hang: also of those that have just been torn out. */
  readonly #hangs = new Map<string, string>();
  #lookedAt = Number.NEGATIVE_INFINITY;
  #mounts: readonly Mount[] = [];
  #mountsAt = Number.NEGATIVE_INFINITY;

  constructor(options: PlacesOptions = {}) {
    this.#sysDir = options.sysDir ?? '/sys';
    this.#procDir = options.procDir ?? '/proc';
    this.#fsOf = options.fsOf;
    this.#devices = new Devices(this.#procDir, this.#sysDir);
    for (const controller of this.#list('class/nvme')) this.nvme(controller);
    this.#look();
  }

  block(name: string): string | undefined {
    // A `/` in a device's name is a `!` in /sys, and some lines say it the one way and some the other.
    const kernelName = name.replaceAll('/', '!');
    return NAME.test(kernelName) ? blockId(kernelName) : undefined;
  }

  /** The filesystem on a block device, or that device when it is not mounted where the agent can see it. */
  filesystem(name: string): MountedOn | undefined {
    const block = this.block(name);
    if (block === undefined) return undefined;
    return this.#fsOf?.(name) ?? this.#mounted(name) ?? { entity: block, fsType: '' };
  }

  /** What dev_printk() said the line is about. */
  device(said: string | undefined): string | undefined {
    if (said === undefined) return undefined;
    const [, kind, major, minor] = /^([bn])(\d{1,9})(?::(\d{1,9}))?$/.exec(said) ?? [];
    if (kind === 'b') {
      const entity = this.#devices.nodeOf(Number(major) * 2 ** 20 + Number(minor));
      return entity.startsWith('block:') ? entity : undefined;
    }
    if (kind === 'n') return this.#netByIndex(Number(major));
    const pci = pciOf(said);
    if (pci !== undefined) return `pci:${pci}`;
    const scsi = /^\+scsi:(\d+:\d+:\d+:\d+)$/.exec(said)?.[1];
    return scsi === undefined ? undefined : this.#firstBlock(`bus/scsi/devices/${scsi}/block`);
  }

  /** A network interface of a PCI device; the device itself where the name is another one's here. */
  net(name: string, said: string | undefined): string | undefined {
    const pci = pciOf(said);
    if (pci === undefined) return NAME.test(name) ? `net:${name}` : undefined;
    // One that was moved into a container has a name that means another interface here.
    return this.#list(`bus/pci/devices/${pci}/net`).includes(name) ? `net:${name}` : `pci:${pci}`;
  }

  /** A port of a network adapter, by the name under which its traffic is known. */
  port(said: string | undefined): string | undefined {
    const pci = pciOf(said);
    if (pci === undefined) return undefined;
    const [rdma] = this.#list(`bus/pci/devices/${pci}/infiniband`);
    if (rdma !== undefined) return `rdma:${rdma}/1`;
    const [net] = this.#list(`bus/pci/devices/${pci}/net`);
    return net === undefined ? `pci:${pci}` : `net:${net}`;
  }

  /** The disk of an NVMe controller (`nvme0`); `dev:nvme0` when it never had one. */
  nvme(controller: string): string | undefined {
    if (!/^nvme\d{1,5}$/.test(controller)) return undefined;
    for (const entry of this.#list(`class/nvme/${controller}`)) {
      // With multipath the controller has nvme0c1n1, which is a path to nvme0n1.
      const [, subsystem, namespace] = /^(nvme\d+)(?:c\d+)?(n\d+)$/.exec(entry) ?? [];
      if (subsystem !== undefined && namespace !== undefined)
        this.#nvme.set(controller, blockId(`${subsystem}${namespace}`));
    }
    return this.#nvme.get(controller) ?? `dev:${controller}`;
  }

  /** The disks and network adapters that are reached through a PCI device: its own, and of a port those below it. */
  behind(pci: string): readonly string[] {
    if (performance.now() - this.#lookedAt >= BEHIND_MS) this.#look();
    const found = [...this.#hangs].filter(([, at]) => at.includes(`/${pci}/`)).map(([id]) => id);
    return [...new Set(found)].slice(0, MAX_BEHIND);
  }

  #look(): void {
    this.#lookedAt = performance.now();
    const hangs = (kind: string, idOf: (name: string) => string | undefined): void => {
      for (const name of this.#list(`class/${kind}`)) {
        const at = this.#link(`class/${kind}/${name}`);
        const id = at?.includes('/pci') === true && !PARTITION.test(at) ? idOf(name) : undefined;
        if (at !== undefined && id !== undefined) this.#hangs.set(id, at);
      }
    };
    hangs('block', (name) => this.block(name));
    // With multipath the disk itself hangs from no device.
    hangs('nvme', (name) => this.nvme(name));
    hangs('net', (name) => (NAME.test(name) ? `net:${name}` : undefined));
    hangs('infiniband', (name) => (NAME.test(name) ? `rdma:${name}/1` : undefined));
  }

  /** The disk behind an ATA port (`ata3`). */
  ata(port: string): string {
    for (const name of this.#list('class/block')) {
      const target = this.#link(`class/block/${name}`);
      if (
        target?.includes(`/${port}/`) &&
        !target.includes(`/block/${name}/`) &&
        !/\/block\/[^/]+\//.test(target)
      )
        return blockId(name);
    }
    return `dev:${port}`;
  }

  /** A file server by what it was called at mount: its address, where a mount tells it. */
  server(name: string): string {
    const mount = this.#table().find(
      ({ source }) => source.startsWith(`${name}:`) || source.startsWith(`[${name}]:`),
    );
    const address = /(?:^|,)addr=([0-9a-fA-F.:]{2,45})(?:,|$)/.exec(mount?.options ?? '')?.[1];
    return peerId(address ?? name);
  }

  #mounted(name: string): MountedOn | undefined {
    const dev = parseDevice(this.#text(`class/block/${name.replaceAll('/', '!')}/dev`) ?? '');
    // btrfs mounts have a number of their own: the source tells.
    return this.#table().find((mount) => mount.dev === dev || mount.source === `/dev/${name}`);
  }

  #table(): readonly Mount[] {
    const now = performance.now();
    if (now - this.#mountsAt < MOUNTS_MS) return this.#mounts;
    this.#mountsAt = now;
    this.#mounts = [];
    try {
      this.#mounts = mountsOf(readFileSync(`${this.#procDir}/self/mountinfo`, 'utf8'));
    } catch {
      // no /proc: filesystems are called by their devices
    }
    return this.#mounts;
  }

  #netByIndex(index: number): string | undefined {
    for (const name of this.#list('class/net'))
      if (Number(this.#text(`class/net/${name}/ifindex`)) === index) return `net:${name}`;
    return undefined;
  }

  #firstBlock(path: string): string | undefined {
    const [name] = this.#list(path);
    return name === undefined ? undefined : blockId(name);
  }

  #list(path: string): readonly string[] {
    try {
      return readdirSync(`${this.#sysDir}/${path}`);
    } catch {
      return []; // gone, or not a device of that kind: the caller has a name for that
    }
  }

  #link(path: string): string | undefined {
    try {
      return readlinkSync(`${this.#sysDir}/${path}`);
    } catch {
      return undefined; // gone between the list and this
    }
  }

  #text(path: string): string | undefined {
    try {
      return readFileSync(`${this.#sysDir}/${path}`, 'utf8').trim();
    } catch {
      return undefined; // gone
    }
  }
}

/** `+pci:0000:3b:00.0` → `0000:3b:00.0` */
export function pciOf(said: string | undefined): string | undefined {
  if (said === undefined || !said.startsWith('+pci:')) return undefined;
  const address = said.slice(5);
  return PCI.test(address) ? address : undefined;
}

function mountsOf(text: string): readonly Mount[] {
  const mounts = new Map<string, Mount>();
  for (const { dev, mountPoint, fsType, source, superOptions } of parseMountinfo(text)) {
    const device = deviceName(source);
    const key = `${dev} ${device}`;
    // A bind mount is the same filesystem once more: the whole of it is listed first as a rule.
    if (mounts.has(key)) continue;
    mounts.set(key, { dev, entity: fsId(mountPoint), fsType, source: device, options: superOptions });
  }
  return [...mounts.values()];
}

/** `/dev/mapper/vg-data` is a link that only /dev knows; other device paths stay as they are. */
function deviceName(source: string): string {
  return source.startsWith('/dev/') ? `/dev/${basename(source)}` : source;
}
