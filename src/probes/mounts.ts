/**
 * All mounted filesystems of the node: of the mount namespace of pid 1, of the agent's own, and of every other
 * one that processes live in. One entry a superblock (`s_dev`), however often it is mounted.
 *
 * Only texts of the kernel are read. Nothing is asked of a path, so a dead file server holds nobody here.
 */
import { blockId } from '../events/ids.js';
import { isNfs } from './filesystem-kinds.js';
import { MountNamespaces, readMountinfo } from './filesystem-namespaces.js';
import {
  changesOf,
  collect,
  type Entry,
  type Filesystem,
  type MountChanges,
  type NamespaceMounts,
} from './filesystem-table.js';
import { SeenWaits } from './filesystem-waits.js';
import { type MountLine, parseMountinfo } from './mountinfo.js';

export { devText, type Filesystem, type MountChanges } from './filesystem-table.js';

/** Between two looks at the namespaces that processes live in. */
const NAMESPACES_MS = 10_000;
/** An unknown device is looked for in its process's namespace so often at most. */
const ADOPT_MS = 1_000;
/** So many namespaces are looked at for every question. */
const FEW = 16;

interface Namespace extends NamespaceMounts {
  pid: number | 'self';
  text: Buffer;
  lines: readonly MountLine[];
}

const NONE: MountChanges = { found: [], gone: [], readOnly: [] };

export class Mounts {
  readonly #procDir: string;
  readonly #sysDir: string;
  readonly #processes: MountNamespaces;
  readonly #namespaces = new Map<number, Namespace>();
  #entries = new Map<number, Entry>();
  #byId = new Map<string, Entry>();
  /** The node's namespace: pid 1's, else the agent's own. */
  #home: number | undefined;
  #own: number | undefined;
  #scannedMs = Number.NEGATIVE_INFINITY;
  #readMs = Number.NEGATIVE_INFINITY;
  readonly #adoptedMs = new Map<number, number>();
  /** As refresh() told them last. */
  #told = new Map<number, Entry>();
  readonly #waits: SeenWaits;
  /** byDev() has found changes since. */
  #pending = false;

  constructor(procDir = '/proc', sysDir = '/sys') {
    this.#procDir = procDir;
    this.#sysDir = sysDir;
    this.#processes = new MountNamespaces(procDir);
    this.#waits = new SeenWaits(procDir);
  }

  get sysDir(): string {
    return this.#sysDir;
  }

  get procDir(): string {
    return this.#procDir;
  }

  /** Mount namespaces known. */
  get namespaces(): number {
    return this.#namespaces.size;
  }

  all(): readonly Filesystem[] {
    return [...this.#entries.values()].map((entry) => entry.fs);
  }

  byId(id: string): Filesystem | undefined {
    return this.#byId.get(id)?.fs;
  }

  /**
   * The filesystem with this number.
   * @param pid who waits for it: its own namespace is looked at when the number is not known
   * @param tid the thread, while it waits
   */
  byDev(dev: number, pid?: number, tid?: number): Filesystem | undefined {
    const found = this.#find(dev, pid);
    if (found !== undefined && pid !== undefined && tid !== undefined && isNfs(found.fsType))
      this.#waits.saw(dev, pid, tid);
    return found;
  }

  #find(dev: number, pid: number | undefined): Filesystem | undefined {
    // Where no probe refreshes, or not lately: numbers are given again.
    const nowMs = performance.now();
    if (nowMs - this.#readMs >= ADOPT_MS && this.#readAll(false, nowMs)) this.#rebuildQuietly();
    const known = this.#entries.get(dev)?.fs;
    if (known !== undefined || pid === undefined) return known;
    this.#adopt(pid, nowMs);
    return this.#entries.get(dev)?.fs;
  }

  /** The filesystem on a block device, by the kernel's name of it; the node's own mounts first. */
  onBlock(name: string): Filesystem | undefined {
    const id = blockId(name);
    const on = this.all().filter((fs) => fs.under.includes(id));
    return on.find((fs) => fs.mountNs === undefined) ?? on[0];
  }

  /** A process that is in this mount namespace now. */
  pidIn(ns: number): number | 'self' | undefined {
    const pid = this.#namespaces.get(ns)?.pid;
    if (pid === undefined || pid === 'self' || pid === 1) return pid;
    // It may have ended, and its number be another's.
    return this.#processes.of(pid) === ns ? pid : undefined;
  }

  /** Where the agent reaches a filesystem; undefined when nobody is left who sees it. */
  pathOf(fs: Filesystem): string | undefined {
    const pid = this.pidIn(fs.ns);
    return pid === undefined ? undefined : `${this.#procDir}/${pid}/root${fs.path}`;
  }

  /** For how long a thread that `byDev` was asked for has waited for this filesystem without an end, ms. */
  heldMs(dev: number): number | undefined {
    return this.#waits.heldMs(dev);
  }

  /**
   * Looks again: at the node's and the agent's own namespace, and at the others every ten seconds.
   * @param full at the others as well, where they are few
   */
  refresh(full: boolean, nowMs: number = performance.now()): MountChanges {
    const changed = this.#readAll(full, nowMs);
    if (!changed && !this.#pending) return NONE;
    this.#pending = false;
    return this.#rebuild();
  }

  /** The next refresh looks for mount namespaces that are new, whenever it last did. */
  expire(): void {
    this.#scannedMs = Number.NEGATIVE_INFINITY;
  }

  #readAll(full: boolean, nowMs: number): boolean {
    this.#readMs = nowMs;
    const due = nowMs - this.#scannedMs >= NAMESPACES_MS;
    let changed = false;
    if (due) {
      this.#scannedMs = nowMs;
      this.#adoptedMs.clear();
      changed = this.#scan();
    }
    for (const namespace of this.#namespaces.values()) {
      const often = namespace.ns === this.#home || namespace.ns === this.#own;
      if (often || due || (full && this.#namespaces.size <= FEW)) changed = this.#read(namespace) || changed;
    }
    return changed;
  }

  #scan(): boolean {
    this.#own = this.#processes.of('self');
    this.#home = this.#processes.of(1) ?? this.#own;
    const living = new Map<number, number | 'self'>(this.#processes.scan());
    // These two stay whoever else is in them.
    if (this.#own !== undefined) living.set(this.#own, 'self');
    if (this.#home !== undefined && this.#home !== this.#own) living.set(this.#home, 1);
    let changed = false;
    for (const ns of this.#namespaces.keys()) {
      if (living.has(ns)) continue;
      this.#namespaces.delete(ns);
      changed = true;
    }
    for (const [ns, pid] of living) {
      const known = this.#namespaces.get(ns);
      if (known !== undefined) known.pid = pid;
      else this.#namespaces.set(ns, { ns, pid, text: Buffer.alloc(0), lines: [] });
    }
    return changed;
  }

  /** @returns whether it has changed. A process that went since leaves what it saw for this pass. */
  #read(namespace: Namespace): boolean {
    const pid = this.pidIn(namespace.ns);
    const text = pid === undefined ? undefined : readMountinfo(this.#procDir, pid);
    if (text === undefined || text.equals(namespace.text)) return false;
    namespace.text = text;
    namespace.lines = parseMountinfo(text.toString('utf8'));
    return true;
  }

  #adopt(pid: number, nowMs: number): void {
    const ns = this.#processes.of(pid);
    if (ns === undefined) return;
    if (nowMs - (this.#adoptedMs.get(ns) ?? Number.NEGATIVE_INFINITY) < ADOPT_MS) return;
    this.#adoptedMs.set(ns, nowMs);
    const namespace = this.#namespaces.get(ns) ?? { ns, pid, text: Buffer.alloc(0), lines: [] };
    if (!this.#namespaces.has(ns)) this.#namespaces.set(ns, namespace);
    if (!this.#read(namespace)) return;
    this.#rebuildQuietly();
  }

  /** For a look-up between two refreshes; the next one tells what has changed. */
  #rebuildQuietly(): void {
    this.#pending = true;
    this.#index(this.#collect());
  }

  #index(entries: Map<number, Entry>): void {
    this.#entries = entries;
    this.#byId = new Map([...entries.values()].map((entry) => [entry.fs.id, entry]));
  }

  #rebuild(): MountChanges {
    const entries = this.#collect();
    this.#index(entries);
    const before = this.#told;
    this.#told = entries;
    return changesOf(before, entries);
  }

  #collect(): Map<number, Entry> {
    const place = { home: this.#home, sysDir: this.#sysDir };
    return collect(this.#inOrder(), place, this.#entries);
  }

  /** The node's own first, then the agent's, then the others, oldest first. */
  #inOrder(): readonly Namespace[] {
    const rank = (ns: number): number => (ns === this.#home ? 0 : ns === this.#own ? 1 : 2);
    return [...this.#namespaces.values()].sort((a, b) => rank(a.ns) - rank(b.ns) || a.ns - b.ns);
  }
}
