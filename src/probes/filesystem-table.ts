/**
 * From the mounts of all namespaces to one entry a filesystem: what it is called, what it lies on, who serves it,
 * whether it can be written to; and what has changed from one such table to the next. Pure but for sysfs.
 */
import { fsId } from '../events/ids.js';
import { printable } from '../util/text.js';
import { isRemote, serverOf } from './filesystem-kinds.js';
import { blocksUnder, majorOf, minorOf } from './filesystem-under.js';
import { hasOption, type MountLine, mountHolding, optionOf } from './mountinfo.js';

const MAX_PATH = 512;

export interface Filesystem {
  readonly id: string;
  /** s_dev: major << 20 | minor. */
  readonly dev: number;
  readonly fsType: string;
  /** Cleaned, for people. */
  readonly mountPoint: string;
  readonly under: readonly string[];
  readonly server?: string;
  readonly readOnly: boolean;
  /** Inode of a namespace where it is mounted, when it is not in the node's. */
  readonly mountNs?: number;
  /** The namespace that it is named by, and its very path there. */
  readonly ns: number;
  readonly path: string;
  /** The way there leads over a network filesystem or it is one: a path walk may hang. */
  readonly remote: boolean;
}

export interface MountChanges {
  readonly found: readonly Filesystem[];
  readonly gone: readonly Filesystem[];
  /** Could be written to before, not any more. */
  readonly readOnly: readonly Filesystem[];
}

/** A mount namespace and what is mounted in it. */
export interface NamespaceMounts {
  readonly ns: number;
  readonly lines: readonly MountLine[];
}

/** The node's own mount namespace, and its sysfs. */
export interface Place {
  readonly home: number | undefined;
  readonly sysDir: string;
}

/** Every mount of one superblock. */
interface Mounted {
  readonly at: { readonly ns: NamespaceMounts; readonly line: MountLine }[];
}

export interface Entry {
  readonly fs: Filesystem;
  readonly source: string;
  readonly superReadOnly: boolean;
  /** `ns/id` of every mount, and of those that can be written to. */
  readonly mounts: ReadonlySet<string>;
  readonly writable: ReadonlySet<string>;
}

/**
 * @param namespaces those whose names go first, first
 * @param earlier what was made last, so that a filesystem keeps the name it has
 */
export function collect(
  namespaces: readonly NamespaceMounts[],
  { home, sysDir }: Place,
  earlier: ReadonlyMap<number, Entry>,
): Map<number, Entry> {
  const mounted = new Map<number, Mounted>();
  for (const ns of namespaces) {
    for (const line of ns.lines) {
      const known = mounted.get(line.dev);
      if (known === undefined) mounted.set(line.dev, { at: [{ ns, line }] });
      else known.at.push({ ns, line });
    }
  }
  const trees = new Map<number, Tree>();
  const treeOf = (ns: NamespaceMounts): Tree => {
    const tree = trees.get(ns.ns) ?? new Tree(ns.lines);
    trees.set(ns.ns, tree);
    return tree;
  };
  const entries = new Map<number, Entry>();
  const ids = new Set<string>();
  for (const [dev, { at }] of mounted) {
    const best = bestOf(at, treeOf, earlier.get(dev)?.fs);
    if (best === undefined) continue;
    const entry = entryOf(at, best, treeOf(best.ns), ids, { home, sysDir });
    ids.add(entry.fs.id);
    entries.set(dev, entry);
  }
  const node = namespaces.find(({ ns }) => ns === home);
  if (node !== undefined) overlays(entries, mounted, node);
  return entries;
}

function entryOf(
  at: Mounted['at'],
  best: Mounted['at'][number],
  tree: Tree,
  ids: ReadonlySet<string>,
  { home, sysDir }: Place,
): Entry {
  const { ns, line } = best;
  const mountPoint = printable(line.mountPoint, MAX_PATH);
  const mountNs = ns.ns === home ? undefined : ns.ns;
  const plain = fsId(mountPoint, mountNs);
  const server = serverOf(line);
  const superReadOnly = hasOption(line.superOptions, 'ro', 'emergency_ro', 'shutdown');
  const key = (one: Mounted['at'][number]): string => `${one.ns.ns}/${one.line.id}`;
  const writable = superReadOnly ? [] : at.filter((one) => !hasOption(one.line.options, 'ro'));
  return {
    fs: {
      // Under another mount at the same place: the place alone would name both.
      id: ids.has(plain) || tree.isCovered(line) ? `${plain}@dev:${devText(line.dev)}` : plain,
      dev: line.dev,
      fsType: printable(line.fsType, 64),
      mountPoint,
      under: blocksUnder(line, sysDir),
      ...(server !== undefined && { server: printable(server, 256) }),
      readOnly: writable.length === 0,
      ...(mountNs !== undefined && { mountNs }),
      ns: ns.ns,
      path: line.mountPoint,
      remote: tree.isRemote(line),
    },
    source: line.source,
    superReadOnly,
    mounts: new Set(at.map(key)),
    writable: new Set(writable.map(key)),
  };
}

/** An overlay writes to the filesystem that its upper directory is on, by the paths of whoever mounted it: the node. */
function overlays(
  entries: Map<number, Entry>,
  mounted: ReadonlyMap<number, Mounted>,
  node: NamespaceMounts,
): void {
  for (const [dev, entry] of entries) {
    if (entry.fs.fsType !== 'overlay') continue;
    const line = mounted.get(dev)?.at[0]?.line;
    const upper = line === undefined ? undefined : optionOf(line.superOptions, 'upperdir');
    const under = upper === undefined ? undefined : mountHolding(node.lines, upper);
    const below = under === undefined ? undefined : entries.get(under.dev);
    if (below === undefined || below === entry) continue;
    entries.set(dev, { ...entry, fs: { ...entry.fs, under: [below.fs.id] } });
  }
}

/** What is to be told when `now` follows on `before`. */
export function changesOf(before: ReadonlyMap<number, Entry>, now: ReadonlyMap<number, Entry>): MountChanges {
  const found: Filesystem[] = [];
  const gone: Filesystem[] = [];
  const readOnly: Filesystem[] = [];
  for (const [dev, old] of before) {
    const is = now.get(dev);
    if (is === undefined || !isSame(old, is) || is.fs.id !== old.fs.id) gone.push(old.fs);
  }
  for (const [dev, is] of now) {
    const old = before.get(dev);
    if (old === undefined || !isSame(old, is)) found.push(is.fs);
    else {
      if (!sameFacts(old.fs, is.fs)) found.push(is.fs);
      if (becameReadOnly(old, is)) readOnly.push(is.fs);
    }
  }
  return { found, gone, readOnly };
}

/** The mounts of one namespace as the tree they are. */
class Tree {
  readonly #byId: ReadonlyMap<number, MountLine>;
  readonly #covered = new Set<number>();

  constructor(lines: readonly MountLine[]) {
    this.#byId = new Map(lines.map((line) => [line.id, line]));
    for (const line of lines) {
      const parent = this.#byId.get(line.parent);
      if (parent !== undefined && parent !== line && parent.mountPoint === line.mountPoint)
        this.#covered.add(parent.id);
    }
  }

  /** Another one is mounted on top of it. */
  isCovered(line: MountLine): boolean {
    return this.#covered.has(line.id);
  }

  /** It, or a mount on the way to it, needs somebody else to answer. */
  isRemote(line: MountLine): boolean {
    let at: MountLine | undefined = line;
    for (let steps = 0; at !== undefined && steps < 64; steps++) {
      if (isRemote(at.fsType)) return true;
      const parent = this.#byId.get(at.parent);
      at = parent === at ? undefined : parent;
    }
    return at !== undefined;
  }
}

/** The mount that a filesystem is named by: the one it had, else in the node's namespace, whole, in sight, short. */
function bestOf(
  at: Mounted['at'],
  treeOf: (ns: NamespaceMounts) => Tree,
  earlier: Filesystem | undefined,
): Mounted['at'][number] | undefined {
  const [first] = at;
  // Sorted by namespace already: a mount in the node's own wins over all others.
  const candidates = at.filter((one) => one.ns === first?.ns);
  const cost = ({ ns, line }: Mounted['at'][number]): number =>
    (treeOf(ns).isCovered(line) ? 1e6 : 0) +
    (line.root === '/' ? 0 : 1e5) +
    (line.mountPoint === earlier?.path ? -1e4 : 0) +
    Math.min(line.mountPoint.length, 9_000);
  return candidates.sort((a, b) => cost(a) - cost(b))[0];
}

/** The number names the same filesystem as before: numbers of the anonymous are given again. */
function isSame(old: Entry, now: Entry): boolean {
  if (old.fs.fsType !== now.fs.fsType || old.source !== now.source) return false;
  if (majorOf(now.fs.dev) !== 0) return true;
  for (const mount of now.mounts) if (old.mounts.has(mount)) return true;
  return old.fs.mountPoint === now.fs.mountPoint;
}

function sameFacts(a: Filesystem, b: Filesystem): boolean {
  return (
    a.id === b.id && a.readOnly === b.readOnly && a.server === b.server && a.under.join() === b.under.join()
  );
}

/** Not so when its only writable mount went away: then a container ended, and nothing has failed. */
function becameReadOnly(old: Entry, now: Entry): boolean {
  if (old.fs.readOnly || !now.fs.readOnly) return false;
  if (now.superReadOnly) return true;
  for (const mount of old.writable) if (now.mounts.has(mount)) return true;
  return false;
}

/** `0:45`, as mountinfo writes it. */
export function devText(dev: number): string {
  return `${majorOf(dev)}:${minorOf(dev)}`;
}
