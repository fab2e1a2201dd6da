/**
 * A thread that waits on storage: from the filesystem or device that it sleeps on, down through what
 * that lies on, to the deepest with a fault of its own.
 */
import type { BlockUseAttrs } from '../events/storage.js';
import type { BlockDeviceNode, Edge, FilesystemNode, GraphNode, Thread } from '../graph/model.js';
import { CONFIDENCE } from './confidence.js';
import { deviceFault } from './device.js';
import { serverFault } from './filesystem.js';
import type { Fault, Link, Outcome } from './finding.js';
import { waitFact } from './finding.js';
import { moving, waitLink } from './links.js';
import { isHidden, lostFact } from './members.js';
import { hungWait } from './log.js';
import type { Walk } from './walk.js';
import { duration, waitNote } from './words.js';

/** One sleep is one request, mostly: no healthy device takes this long for it. */
const SLOW_MS = 1_500;
/** Whoever asks is told of every disk that did anything. */
const QUIET_MS = 2_000;
/** A stack of devices deeper than this is a loop in a made-up recording. */
const MAX_STACK = 8;

export type StorageNode = BlockDeviceNode | FilesystemNode;

export interface Culprit {
  readonly fault: Fault;
  /** From the node that was asked about to the one with the fault. */
  readonly links: readonly Link[];
}

export function diskFault(walk: Walk, thread: Thread): Outcome {
  const short = moving(thread);
  if (short !== undefined) return short;
  const node = storageOf(walk, thread);
  if (node === undefined) {
    return (
      hungWait(walk, thread) ?? {
        kind: 'unknown',
        summary: () => waitNote(thread),
        needs: 'which device: its file is not known',
        links: [],
      }
    );
  }
  const links = [waitLink(thread, node)];
  const culprit = isStorage(node) ? culpritOf(node, walk.now, thread.wait.attrs.since) : undefined;
  if (culprit !== undefined)
    return { kind: 'fault', fault: culprit.fault, links: [...links, ...culprit.links] };
  const forMs = walk.now - thread.wait.attrs.since;
  const subScene = isStorage(node) ? slowKind(node) : null;
  if (forMs < SLOW_MS) {
    return {
      kind: 'symptom',
      scene: 'StorageSlow',
      subScene,
      summary: () => `${waitNote(thread)} for ${duration(forMs)}`,
      needs: 'whether the device answers: ask again in a moment',
      confidence: CONFIDENCE.oneOfThem,
      links,
    };
  }
  const server = isStorage(node) ? serverOf(node) : undefined;
  if (server !== undefined) return unanswered(thread, server, forMs, links);
  const holds = isStorage(node) ? heldByFilesystem(thread, node, forMs, walk.now) : undefined;
  if (holds !== undefined) return { kind: 'fault', fault: holds, links: [...links, ...onIt(links, holds)] };
  return {
    kind: 'fault',
    fault: {
      node,
      scene: 'StorageSlow',
      subScene,
      summary: `one request on ${node.id} has not been answered for ${duration(forMs)}`,
      confidence:
        isStorage(node) && hasNoneInFlight(node, walk.now) ? CONFIDENCE.diskWaitIdle : CONFIDENCE.diskWait,
      began: thread.wait.attrs.since,
      facts: [waitFact(thread)],
      recommendations: ['Look at the device and the kernel log: iostat -x 1, dmesg'],
      strength: 'hard',
      ails: 'latency',
    },
    links,
  };
}

/** A request of a network filesystem is its server's to answer, also before the mount's own counters show it. */
function unanswered(thread: Thread, edge: Edge, forMs: number, links: readonly Link[]): Outcome {
  const link: Link = {
    from: edge.from,
    edge: 'BlockedBy',
    to: edge.to,
    since: thread.wait.attrs.since,
    facts: [edge.event],
    note: 'its server has not answered',
  };
  return {
    kind: 'fault',
    fault: {
      node: edge.to,
      scene: 'StorageSlow',
      subScene: 'Nfs',
      summary: `file server ${edge.to.id.slice('peer:'.length)} has not answered a request on ${edge.from.id} for ${duration(forMs)}`,
      confidence: CONFIDENCE.diskWait,
      began: thread.wait.attrs.since,
      facts: [waitFact(thread)],
      recommendations: [
        'See whether the server is up and serves, and whether the path to it is sound: ping, its own log',
      ],
      strength: 'hard',
      ails: 'not-responding',
    },
    links: [...links, link],
  };
}

/**
 * A device that counts its requests has had none to do, and yet a thread has waited for long in the filesystem on it: then
 * that one lets nobody write, as while it is frozen for a snapshot. Mapped devices hold back what they have not counted.
 */
function heldByFilesystem(thread: Thread, node: StorageNode, forMs: number, now: number): Fault | undefined {
  const device = node.type === 'block-device' ? node : deviceOf(node);
  if (device === undefined || !countsRequests(device) || isBusy(device, now)) return undefined;
  const on: readonly FilesystemNode[] =
    node.type === 'filesystem'
      ? [node]
      : device.in.flatMap(({ kind: edge, from }) =>
          edge === 'Consumes' && from.type === 'filesystem' && from.goneTs === undefined ? [from] : [],
        );
  const [held, more] = on;
  if (held === undefined || more !== undefined) return undefined;
  return {
    node: held,
    scene: 'StorageSlow',
    subScene: 'Suspended',
    summary: `${held.id} has let nothing through for ${duration(forMs)}, and ${device.id} below it has nothing to do: it is frozen, as for a snapshot, or waits for itself`,
    confidence: CONFIDENCE.filesystemHolds,
    began: thread.wait.attrs.since,
    facts: [waitFact(thread)],
    recommendations: [
      `See whether a snapshot or backup froze it and died; when nobody needs it so: fsfreeze --unfreeze ${held.id.slice('fs:'.length)}`,
      'Look at the kernel log: dmesg',
    ],
    strength: 'hard',
    ails: 'latency',
  };
}

/** A mapped device holds back what it has not counted. */
function countsRequests({ device }: BlockDeviceNode): boolean {
  return device?.kind === 'disk' || device?.kind === 'partition' || device?.kind === 'loop';
}

/**
 * Whoever waits for one request waits for one that the device has: a filesystem that is being frozen writes back first, so
 * that its device is not idle, and has none of this wait's.
 */
function hasNoneInFlight(node: StorageNode, now: number): boolean {
  const device = node.type === 'block-device' ? node : deviceOf(node);
  if (device === undefined || !countsRequests(device)) return false;
  return !usesOf(device, now).some(({ inFlight }) => inFlight > 0);
}

/** A wait may be for many short requests one after the other. */
function isBusy(device: BlockDeviceNode, now: number): boolean {
  return usesOf(device, now).some(
    ({ inFlight, reads, writes }) => inFlight > 0 || reads.count > 0 || writes.count > 0,
  );
}

/** What it, and the disk that it is a part of, has lately had to do. */
function usesOf(device: BlockDeviceNode, now: number): readonly BlockUseAttrs[] {
  const disks = device.out.flatMap(({ kind, to }) =>
    kind === 'Consumes' && to.type === 'block-device' ? [to] : [],
  );
  return [device, ...disks].flatMap(({ use }) =>
    use === undefined || now - use.fact.ts > QUIET_MS ? [] : [use.attrs],
  );
}

function deviceOf(node: FilesystemNode): BlockDeviceNode | undefined {
  const below = node.out.find(({ kind, to }) => kind === 'Consumes' && to.type === 'block-device')?.to;
  return below?.type === 'block-device' ? below : undefined;
}

/** From the device that the wait is known by to the filesystem on it. */
function onIt(links: readonly Link[], { node, began }: Fault): readonly Link[] {
  const last = links.at(-1)?.to;
  if (last === undefined || last === node) return [];
  return [
    {
      from: last,
      edge: 'BlockedBy',
      to: node,
      since: began,
      facts: [],
      note: 'what lies on it gives it nothing to do',
    },
  ];
}

/** What a wait of this kind is for; null: nobody knows what the filesystem lies on. */
function slowKind(node: StorageNode): 'Device' | 'Nfs' | null {
  if (serverOf(node) !== undefined) return 'Nfs';
  if (node.type === 'block-device') return 'Device';
  return node.out.some(({ kind, to }) => kind === 'Consumes' && isStorage(to)) ? 'Device' : null;
}

function serverOf(node: StorageNode): Edge | undefined {
  return node.out.find(({ kind, to }) => kind === 'Consumes' && to.type === 'peer');
}

/** The storage that a thread waits on: by its file, or by a request in flight that its process submitted. */
function storageOf(walk: Walk, thread: Thread): GraphNode | undefined {
  const node = thread.wait.type === 'wait.disk' ? walk.graph.nodes.get(thread.wait.entity) : undefined;
  if (node !== undefined && isStorage(node)) {
    // What a container's overlay or another stacked filesystem lies on may be unknown; its requests are not.
    if (node.out.length > 0 || node.type === 'block-device') return node;
    return submittedTo(walk, thread) ?? node;
  }
  return submittedTo(walk, thread) ?? node;
}

/** Of a page fault no file is known, but the kernel knows who submitted the request. */
export function submittedTo(walk: Walk, thread: Thread): BlockDeviceNode | undefined {
  for (const device of walk.graph.blockDevices) {
    const { use } = device;
    if (use === undefined || use.attrs.inFlight === 0) continue;
    const own = use.attrs.oldest.some(
      ({ submitter }) => submitter.pid === thread.process.pid && submitter.start === thread.process.start,
    );
    if (own) return device;
  }
  return undefined;
}

/** The deepest node with a fault of its own, from `node` downwards; failed requests count from `since` on. */
export function culpritOf(node: StorageNode, now: number, since: number, depth = 0): Culprit | undefined {
  if (depth > MAX_STACK) return undefined;
  for (const edge of node.out) {
    if (edge.kind !== 'Consumes' || !isStorage(edge.to)) continue;
    const below = culpritOf(edge.to, now, since, depth + 1);
    if (below === undefined || isHidden(node, below.fault)) continue;
    const lost = lostFact(node);
    const link: Link = {
      from: node,
      edge: 'Consumes',
      to: edge.to,
      since: edge.since,
      facts: lost === undefined ? [edge.event] : [edge.event, lost],
      note: 'lies on it',
    };
    return { fault: below.fault, links: [link, ...below.links] };
  }
  if (node.type === 'block-device') {
    const fault = deviceFault(node, now, since);
    return fault === undefined ? undefined : { fault, links: [] };
  }
  const server = serverFault(node, now);
  return server === undefined ? undefined : { fault: server.fault, links: [server.link] };
}

export function isStorage(node: GraphNode): node is StorageNode {
  return node.type === 'block-device' || node.type === 'filesystem';
}
