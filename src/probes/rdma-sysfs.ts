/**
 * Files of RDMA devices in sysfs, and what a device is. Reading a state or a counter asks the device's firmware, which
 * may take long or never answer: such files are read on libuv's pool, and whoever reads them decides how many at a
 * time. Links, names and directories come from the kernel's memory.
 */
import {
  closeSync,
  openSync,
  read,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync as readFdNow,
  realpathSync,
} from 'node:fs';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { PORT_STATES, type PortState, type RdmaPortAttrs } from '../events/rdma.js';
import { printable } from '../util/text.js';

const readFd = promisify(read);

/** Far longer than any of them. */
const FILE_BYTES = 256;
const BYTES = Buffer.alloc(FILE_BYTES);
const PHYS_STATE_CHARS = 32;
const NAME_CHARS = 64;
/** IFNAMSIZ */
const NETDEV_CHARS = 16;

/** A path that may change: a device can be renamed. */
export type Path = () => string;

/** Reads from the start of a file, off the event loop. */
export type ReadBytes = (fd: number, into: Buffer) => Promise<number>;

const readOnPool: ReadBytes = async (fd, into) => (await readFd(fd, into, 0, into.length, 0)).bytesRead;

export class Sysfs {
  readonly dir: string;
  readonly #read: ReadBytes;

  /** @param read a test has devices that do not answer */
  constructor(dir: string, read: ReadBytes = readOnPool) {
    this.dir = dir;
    this.#read = read;
  }

  /** @param keep open from one read to the next */
  file(path: Path, keep = true): SysFile {
    return new SysFile(path, keep, this.#read);
  }

  once(path: string): Promise<string | undefined> {
    return this.file(() => path, false).read();
  }
}

/**
 * One file that is read time and again. Kept open it costs one call a look, holds on to neither device nor module,
 * and stays the file of its device when that is renamed.
 */
export class SysFile {
  readonly #path: Path;
  readonly #keep: boolean;
  readonly #read: ReadBytes;
  #fd: number | undefined;
  #busy = false;
  #closed = false;

  constructor(path: Path, keep: boolean, read: ReadBytes) {
    this.#path = path;
    this.#keep = keep;
    this.#read = read;
  }

  /** @returns undefined when it cannot be read now, or is not there. */
  async read(): Promise<string | undefined> {
    if (this.#closed || this.#busy) return undefined;
    this.#busy = true;
    try {
      this.#fd ??= openSync(this.#path(), 'r');
      const bytes = Buffer.allocUnsafe(FILE_BYTES);
      return bytes.toString('latin1', 0, await this.#read(this.#fd, bytes)).trim();
    } catch {
      return undefined; // EINVAL of what the device lacks, ENODEV of one that went
    } finally {
      this.#busy = false;
      if (this.#closed || !this.#keep) this.#release();
    }
  }

  /** On the event loop: only for what is in the kernel's memory at this moment. */
  readNow(): string | undefined {
    if (this.#closed || this.#busy) return undefined;
    try {
      this.#fd ??= openSync(this.#path(), 'r');
      return BYTES.toString('latin1', 0, readFdNow(this.#fd, BYTES, 0, FILE_BYTES, 0)).trim();
    } catch {
      return undefined; // as above
    } finally {
      if (!this.#keep) this.#release();
    }
  }

  /** A read that is under way ends first: its descriptor must not become another file's. */
  close(): void {
    this.#closed = true;
    if (!this.#busy) this.#release();
  }

  #release(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/** A count; undefined for anything else (`N/A (no PMA)`). */
export function parseCount(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,20}$/.test(text) ? Number(text) : undefined;
}

/** `4: ACTIVE`; a state that nobody knows is none. */
export function parseState(text: string | undefined): PortState | undefined {
  if (text === undefined) return undefined;
  const name = /^\d+: ([A-Z_]{1,20})$/.exec(text)?.[1];
  return PORT_STATES.find((state) => state === name && state !== 'GONE') ?? 'NOP';
}

/** `5: LinkUp` */
export function parsePhysState(text: string | undefined): string | undefined {
  const name = text === undefined ? undefined : /^\d+: (.+)$/s.exec(text)?.[1];
  return name === undefined ? undefined : printable(name, PHYS_STATE_CHARS);
}

/** `100 Gb/sec (4X EDR)`, `2.5 Gb/sec (1X)` */
export function parseRateGbps(text: string | undefined): number | undefined {
  const rate = /^(\d{1,7}(?:\.\d)?) Gb\/sec/.exec(text ?? '')?.[1];
  return rate === undefined ? undefined : Number(rate);
}

export function parseLinkLayer(text: string | undefined): RdmaPortAttrs['linkLayer'] {
  return text === 'InfiniBand' || text === 'Ethernet' ? text : undefined;
}

/** As events and ids have it; the kernel lets root choose any name. */
export function shownName(name: string): string {
  return printable(name, NAME_CHARS);
}

export type Placement = Pick<RdmaPortAttrs, 'driver' | 'pci'>;

/** @param dir /sys/class/infiniband/NAME */
export function placementOf(dir: string): Placement {
  // Only rxe has this file; its `device`, where it has one, is the network card's.
  if (readSync(`${dir}/parent`) !== undefined) return { driver: 'rdma_rxe' };
  const device = quietly(() => realpathSync(`${dir}/device`));
  const driver = quietly(() => basename(readlinkSync(`${dir}/device/driver`)));
  const pci = device === undefined ? undefined : basename(device);
  return {
    ...(driver !== undefined && { driver: printable(driver, NAME_CHARS) }),
    ...(pci !== undefined && /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(pci) && { pci }),
  };
}

export interface Netdev {
  readonly name: string;
  /** It is that interface and not another of this name in the agent's network namespace. */
  readonly here: boolean;
}

/** The network interface below an Ethernet port, by its first addresses, else by the card that both are on. */
export async function netdevOf(sysfs: Sysfs, dir: string, port: number): Promise<Netdev | undefined> {
  let name: string | undefined;
  for (let index = 0; index < 4 && (name === undefined || name === ''); index++)
    name = await sysfs.once(`${dir}/ports/${port}/gid_attrs/ndevs/${index}`);
  if (name === undefined || name === '') {
    const names = listSync(`${dir}/device/net`);
    const mine = names.filter((one) => readSync(`${sysfs.dir}/class/net/${one}/dev_port`) === `${port - 1}`);
    name = mine[0] ?? (names.length === 1 ? names[0] : undefined);
  }
  if (name === undefined || name === '' || name.includes('/') || name.startsWith('.')) return undefined;
  return { name: printable(name, NETDEV_CHARS), here: sameCard(sysfs.dir, dir, name) };
}

/** The kernel names the interface whatever namespace it is in: only the same card or address proves that it is here. */
function sameCard(sysDir: string, dir: string, netdev: string): boolean {
  const at = `${sysDir}/class/net/${netdev}`;
  const card = quietly(() => realpathSync(`${at}/device`));
  const device = quietly(() => realpathSync(`${dir}/device`));
  if (card !== undefined && device !== undefined) return card === device;
  const guid = readSync(`${dir}/node_guid`)?.replaceAll(':', '');
  const mac = readSync(`${at}/address`);
  return guid !== undefined && mac !== undefined && guid === eui64(mac);
}

/** What software devices make their GUID of (addrconf_addr_eui48). */
function eui64(mac: string): string | undefined {
  const bytes = mac.split(':');
  const first = Number.parseInt(bytes[0] ?? '', 16);
  if (bytes.length !== 6 || Number.isNaN(first)) return undefined;
  const flipped = (first ^ 2).toString(16).padStart(2, '0');
  return [flipped, bytes[1], bytes[2], 'ff', 'fe', ...bytes.slice(3)].join('');
}

/** Only for what the kernel answers from its memory. */
export function readSync(path: string): string | undefined {
  return quietly(() => readFileSync(path, 'latin1').trim());
}

export function listSync(dir: string): readonly string[] {
  return quietly(() => readdirSync(dir)) ?? [];
}

function quietly<T>(get: () => T): T | undefined {
  try {
    return get();
  } catch {
    return undefined; // no such file, or the device went
  }
}
