/** storage.* events: devices, filesystems, what they lie on, and what is wrong with them. */
import type { EventOf, EventType } from '../events/event.js';
import { peerId } from '../events/ids.js';
import type { BlockDeviceNode, Edge, FilesystemNode, GraphNode, IoError } from './model.js';
import { ensureProcess } from './process.js';
import { saidOf } from './host.js';
import { factOf } from './kinds.js';
import type { StateGraph } from './state-graph.js';

type StorageType = Extract<EventType, `storage.${string}`> | 'error.fs';
export type StorageEvent = { [T in StorageType]: EventOf<T> }[StorageType];

/** Failures with a longer pause between them are two stories. */
const ERROR_PAUSE_MS = 60_000;
/** A stack of devices deeper than this is a loop in a made-up recording. */
const MAX_STACK = 8;
const NOBODY: ReadonlySet<number> = new Set();
/** A process seen to use something in trouble counts for so long, ms of event time. */
const USED_MS = 10_000;
/** An RPC value below this is a server that answers. */
export const RPC_SLOW_MS = 1_000;

export function newBlockDevice(graph: StateGraph, id: string, ts: number): BlockDeviceNode | undefined {
  return graph.insert<BlockDeviceNode>({
    id,
    type: 'block-device',
    device: undefined,
    goneTs: undefined,
    suspended: undefined,
    use: undefined,
    answered: undefined,
    slow: undefined,
    ioError: undefined,
    hardware: undefined,
    error: undefined,
    writers: NOBODY,
    firstTs: ts,
    lastTs: ts,
    out: [],
    in: [],
  });
}

export function newFilesystem(graph: StateGraph, id: string, ts: number): FilesystemNode | undefined {
  return graph.insert<FilesystemNode>({
    id,
    type: 'filesystem',
    mount: undefined,
    goneTs: undefined,
    readOnly: undefined,
    space: undefined,
    lastFull: undefined,
    rpc: undefined,
    error: undefined,
    writers: NOBODY,
    firstTs: ts,
    lastTs: ts,
    out: [],
    in: [],
  });
}

export function applyStorage(graph: StateGraph, event: StorageEvent): void {
  const node = graph.node(event.entity, event.ts);
  if (node === undefined) return;
  node.lastTs = event.ts;
  switch (event.type) {
    case 'storage.device':
    case 'storage.use':
    case 'storage.latency':
    case 'storage.error':
      if (node.type === 'block-device') applyDevice(graph, node, event);
      return;
    case 'storage.mount':
    case 'storage.readonly':
    case 'storage.space':
    case 'storage.rpc':
    case 'error.fs':
      for (const one of filesystemsOf(node)) applyFilesystem(graph, one, event);
      if (event.type === 'error.fs' && node.type === 'block-device') node.error = logged(node.error, event);
      return;
    case 'storage.users':
      applyUsers(graph, node, event);
      return;
    case 'storage.server':
      if (node.type === 'peer') node.silent = event.attrs.responding ? undefined : factOf(event);
      return;
  }
}

/** The log may know only the device that a filesystem is on. */
function filesystemsOf(node: GraphNode): readonly FilesystemNode[] {
  if (node.type === 'filesystem') return [node];
  if (node.type !== 'block-device') return [];
  return node.in.flatMap(({ kind, from }) =>
    kind === 'Consumes' && from.type === 'filesystem' ? [from] : [],
  );
}

function applyDevice(
  graph: StateGraph,
  node: BlockDeviceNode,
  event:
    | EventOf<'storage.device'>
    | EventOf<'storage.use'>
    | EventOf<'storage.latency'>
    | EventOf<'storage.error'>,
): void {
  const fact = factOf(event);
  switch (event.type) {
    case 'storage.device':
      // The name was given out anew: what was told is of another one.
      if (node.goneTs !== undefined && event.attrs.gone !== true) node.error = undefined;
      if (isAnother(node, event)) forgetDevice(node);
      node.device = event.attrs;
      node.goneTs = event.attrs.gone === true ? (node.goneTs ?? event.ts) : undefined;
      node.suspended =
        event.attrs.suspended === true
          ? (node.suspended ?? { attrs: event.attrs, fact, since: event.ts })
          : undefined;
      if (node.goneTs === undefined) lieOn(graph, node, event.attrs.under, event);
      return;
    case 'storage.use': {
      const began = event.ts - Math.max(event.value, event.attrs.stalledMs);
      node.use = { attrs: event.attrs, fact, since: began };
      const { reads, writes } = event.attrs;
      if (reads.count > 0 || writes.count > 0) node.answered = node.use;
      return;
    }
    case 'storage.latency':
      node.slow = { attrs: event.attrs, fact, since: event.ts - event.value };
      return;
    case 'storage.error': {
      node.ioError = another(node.ioError, node, event);
      const { pid, start } = event.attrs.submitter;
      if (pid === undefined || start === undefined || node.ioError.absorbed) return;
      const process = ensureProcess(graph, { pid, start }, event.attrs.submitter.comm ?? '', event.ts);
      if (process === undefined) return;
      process.ioError = another(process.ioError, node, event);
      if (process.exit === undefined) graph.connect('Consumes', process, node, fact);
      return;
    }
  }
}

/** Loop devices keep their names and are given other files. */
function isAnother({ device }: BlockDeviceNode, { attrs }: EventOf<'storage.device'>): boolean {
  return device?.diskSeq !== undefined && attrs.diskSeq !== undefined && device.diskSeq !== attrs.diskSeq;
}

function forgetDevice(node: BlockDeviceNode): void {
  node.use = undefined;
  node.answered = undefined;
  node.slow = undefined;
  node.ioError = undefined;
  node.hardware = undefined;
  node.error = undefined;
}

function another(
  known: IoError | undefined,
  node: BlockDeviceNode,
  event: EventOf<'storage.error'>,
): IoError {
  const same =
    known !== undefined && known.node === node && event.ts - known.fact.ts < ERROR_PAUSE_MS
      ? known
      : undefined;
  const count = (same?.count ?? 0) + 1 + (event.attrs.suppressed ?? 0);
  const absorbed = isAbsorbed(node);
  return { fact: factOf(event), attrs: event.attrs, node, since: same?.since ?? event.ts, count, absorbed };
}

/** Whether a mirror or the like lies on it that can do without it. A partition's requests are its own. */
function isAbsorbed(node: BlockDeviceNode, depth = 0): boolean {
  if (depth > MAX_STACK) return false;
  return node.in.some(({ kind, from }) => {
    if (kind !== 'Consumes' || from.type !== 'block-device' || from.device?.kind === 'partition')
      return false;
    return (from.device?.mayLose ?? 0) > 0 || isAbsorbed(from, depth + 1);
  });
}

/** What the log says of a thing: one story, unless there is a long pause. */
function logged(
  known: FilesystemNode['error'],
  event: EventOf<'error.fs'>,
): NonNullable<FilesystemNode['error']> {
  const same = known !== undefined && event.ts - known.fact.ts < ERROR_PAUSE_MS;
  return { attrs: event.attrs, fact: saidOf(event), since: same ? known.since : event.ts };
}

function applyFilesystem(
  graph: StateGraph,
  node: FilesystemNode,
  event:
    | EventOf<'storage.mount'>
    | EventOf<'storage.readonly'>
    | EventOf<'storage.space'>
    | EventOf<'storage.rpc'>
    | EventOf<'error.fs'>,
): void {
  const fact = event.type === 'error.fs' ? saidOf(event) : factOf(event);
  switch (event.type) {
    case 'storage.mount':
      if (node.mount?.dev !== event.attrs.dev) graph.forgetDev(node);
      // Mounted anew, or a device number that was given out anew: what is known is of another one.
      if (node.mount === undefined || node.goneTs !== undefined || node.mount.dev !== event.attrs.dev)
        forget(node);
      node.mount = event.attrs;
      node.goneTs = event.attrs.gone === true ? (node.goneTs ?? event.ts) : undefined;
      if (!event.attrs.readOnly) node.readOnly = undefined;
      if (node.goneTs === undefined) graph.filesystemsByDev.set(event.attrs.dev, node);
      else graph.forgetDev(node);
      if (node.goneTs !== undefined) return;
      lieOn(graph, node, event.attrs.under, event);
      if (event.attrs.server !== undefined) servedBy(graph, node, event.attrs.server, event);
      return;
    case 'storage.readonly':
      node.mount = event.attrs;
      node.readOnly ??= { fact, since: event.ts, shutDown: false };
      return;
    case 'storage.space':
      if (node.space !== undefined && isFull(node.space.fact.value) && !isFull(event.value))
        node.lastFull = { ...node.space, until: event.ts };
      node.space = { attrs: event.attrs, fact, since: fullSince(node, event) };
      return;
    case 'storage.rpc':
      node.rpc = { attrs: event.attrs, fact, since: event.ts - event.value };
      serve(graph, node, event);
      return;
    case 'error.fs':
      node.error = logged(node.error, event);
      // Since 6.12 ext4 does not say in the mount table that an error has made it read-only.
      if (event.attrs.class === 'read-only') node.readOnly ??= { fact, since: event.ts, shutDown: false };
      if (event.attrs.class === 'shutdown')
        node.readOnly = { fact, since: node.readOnly?.since ?? event.ts, shutDown: true };
      return;
  }
}

function forget(node: FilesystemNode): void {
  node.readOnly = undefined;
  node.space = undefined;
  node.lastFull = undefined;
  node.rpc = undefined;
  node.error = undefined;
}

function fullSince(node: FilesystemNode, event: EventOf<'storage.space'>): number {
  const known = node.space;
  return known !== undefined && isFull(known.fact.value) && isFull(event.value) ? known.since : event.ts;
}

/** Per cent of blocks or inodes: nothing can be written any more but by root. */
export function isFull(usedPercent: number): boolean {
  return usedPercent >= 99.95;
}

/** A file server that does not answer blocks the filesystem. */
function serve(graph: StateGraph, node: FilesystemNode, event: EventOf<'storage.rpc'>): void {
  const peer = servedBy(graph, node, event.attrs.server, event);
  if (peer === undefined) return;
  if (event.value >= RPC_SLOW_MS) graph.connect('BlockedBy', node, peer, factOf(event));
  else graph.edges.removeOut(node, 'BlockedBy');
}

/** Mount → server. */
function servedBy(
  graph: StateGraph,
  node: FilesystemNode,
  server: string,
  event: StorageEvent,
): GraphNode | undefined {
  const peer = graph.node(peerId(server), event.ts);
  if (peer === undefined) return undefined;
  peer.lastTs = event.ts;
  graph.connect('Consumes', node, peer, factOf(event));
  return peer;
}

/** What a device or filesystem lies on: replaces what was known. */
function lieOn(
  graph: StateGraph,
  node: BlockDeviceNode | FilesystemNode,
  under: readonly string[],
  event: StorageEvent,
): void {
  const keep = new Set<Edge>();
  for (const id of under) {
    const lower = graph.node(id, event.ts);
    if (lower === undefined || lower === node) continue;
    const edge = graph.connect('Consumes', node, lower, factOf(event));
    if (edge !== undefined) keep.add(edge);
  }
  for (let i = node.out.length - 1; i >= 0; i--) {
    const edge = node.out[i];
    if (edge?.kind === 'Consumes' && edge.to.type !== 'peer' && !keep.has(edge)) graph.edges.remove(edge);
  }
}

/** Who uses something that is in trouble; who did a moment ago may have closed it for its errors. O(degree of the node). */
function applyUsers(graph: StateGraph, node: GraphNode, event: EventOf<'storage.users'>): void {
  if (node.type !== 'block-device' && node.type !== 'filesystem') return;
  const fact = factOf(event);
  const { holders } = event.attrs;
  const writers = new Set(holders.filter(({ mode }) => mode !== 'r').map(({ pid }) => pid));
  const keep = new Set<Edge>();
  for (const holder of holders) {
    const process = ensureProcess(graph, holder, holder.comm, event.ts);
    if (process === undefined || process.exit !== undefined) continue;
    const edge = graph.connect('Consumes', process, node, fact);
    if (edge !== undefined) keep.add(edge);
  }
  for (let i = node.in.length - 1; i >= 0; i--) {
    const edge = node.in[i];
    if (edge?.kind !== 'Consumes' || edge.from.type !== 'process' || keep.has(edge)) continue;
    if (edge.from.exit === undefined && event.ts - edge.event.ts > USED_MS) graph.edges.remove(edge);
    else if (node.writers.has(edge.from.pid)) writers.add(edge.from.pid);
  }
  node.writers = writers;
}
