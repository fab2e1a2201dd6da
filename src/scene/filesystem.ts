/** What is wrong with a filesystem: its server does not answer, it is read-only, it is full. */
import type { SpaceAttrs } from '../events/storage.js';
import type { FilesystemNode, PeerNode, Reading } from '../graph/model.js';
import { isFull, RPC_SLOW_MS } from '../graph/storage.js';
import { CONFIDENCE } from './confidence.js';
import type { Fault, Link } from './finding.js';
import { bytes, count, duration } from './words.js';

/** Told every second while it does not answer. */
const RPC_MEMORY_MS = 5_000;
/** It is looked at after a bad end, and mounts once a second: what is seen so late after the end was so before. */
const SEEN_LATE_MS = 2_000;

/** Where the server of a network filesystem has not answered for a second or more. */
export function serverFault(
  node: FilesystemNode,
  now: number,
): { readonly fault: Fault; readonly link: Link } | undefined {
  const { rpc } = node;
  if (rpc === undefined || rpc.fact.value < RPC_SLOW_MS || now - rpc.fact.ts > RPC_MEMORY_MS)
    return undefined;
  const edge = node.out.find((one) => one.kind === 'BlockedBy' && one.to.type === 'peer');
  if (edge?.to.type !== 'peer') return undefined;
  const path = pathTrouble(edge.to);
  const forMs = now - rpc.since;
  return {
    fault: {
      node: edge.to,
      scene: 'StorageSlow',
      subScene: 'Nfs',
      summary:
        `file server ${rpc.attrs.server} has not answered for ${duration(forMs)}: ` +
        `${count(rpc.attrs.outstanding, 'request')} of ${node.id} sent and unanswered` +
        (path === undefined ? '' : `; nor does it acknowledge TCP segments (${path.what})`),
      confidence: CONFIDENCE.serverSilent,
      began: rpc.since,
      facts: path === undefined ? [rpc.fact] : [rpc.fact, ...path.facts],
      recommendations: [
        `See whether ${rpc.attrs.server} is up and serves: ping, rpcinfo -T tcp ${rpc.attrs.server} nfs, its own log`,
        'The mount goes on by itself when the server answers; do not kill -9 what waits on it',
      ],
      strength: 'hard',
      ails: path === undefined ? 'not-responding' : 'unreachable',
    },
    link: {
      from: node,
      edge: 'BlockedBy',
      to: edge.to,
      since: rpc.since,
      facts: [rpc.fact],
      note: 'its server does not answer',
    },
  };
}

/** Flows to the server that get no ACK: the path, or the whole host, and not only the service. */
function pathTrouble(peer: PeerNode): (Pick<Fault, 'facts'> & { readonly what: string }) | undefined {
  for (const { from } of peer.in) {
    if (from.type !== 'flow' || from.trouble?.kind !== 'timeout') continue;
    const backoff = from.attrs?.backoff ?? 1;
    return { facts: [from.trouble.fact], what: `${count(backoff, 'timeout')} in a row` };
  }
  return undefined;
}

/** What keeps a process from writing. `hurts` a process that has files open for writing. */
export function writeFault(node: FilesystemNode, now: number): Fault | undefined {
  const base = { node, strength: 'hard' as const };
  const { readOnly, space, error } = node;
  if (readOnly?.shutDown === true) {
    return {
      ...base,
      scene: 'StorageIoError',
      subScene: 'ShutDown',
      summary: `${node.id} was shut down ${duration(now - readOnly.since)} ago, after an error: nothing on it can be read or written`,
      confidence: CONFIDENCE.readOnly,
      began: readOnly.since,
      facts: error === undefined ? [readOnly.fact] : [error.fact, readOnly.fact],
      recommendations: [
        'Read the kernel log (dmesg) for what failed below it before anything else',
        'Unmount it, check it (xfs_repair, fsck), and mount it again',
      ],
      ails: 'shut-down',
    };
  }
  if (readOnly !== undefined) {
    return {
      ...base,
      scene: 'StorageIoError',
      subScene: 'ReadOnly',
      summary:
        `${node.id} has been read-only for ${duration(now - readOnly.since)}` +
        (error === undefined ? '' : ', after an error of its own'),
      confidence: CONFIDENCE.readOnly,
      began: readOnly.since,
      facts: error === undefined ? [readOnly.fact] : [error.fact, readOnly.fact],
      recommendations: [
        'Filesystems turn read-only after an error: read the kernel log (dmesg) before anything else',
        `Unmount it, check it (fsck, xfs_repair), and mount it again`,
      ],
      ails: 'read-only',
    };
  }
  return space !== undefined && isFull(space.fact.value) ? fullFault(node, space) : undefined;
}

/** The same for one who ended at `endTs`: room may have been made since. */
export function writeFaultAt(node: FilesystemNode, endTs: number, now: number): Fault | undefined {
  const fault = writeFault(node, now);
  if (fault !== undefined && fault.began <= endTs + SEEN_LATE_MS) return fault;
  const { lastFull } = node;
  if (lastFull === undefined || lastFull.until < endTs || lastFull.since > endTs + SEEN_LATE_MS)
    return undefined;
  return fullFault(node, lastFull);
}

/** Nobody has looked at how full it is since `endTs`: its answer may be on its way, or it is never asked. */
export function isUnseen({ space, lastFull }: FilesystemNode, endTs: number): boolean {
  return Math.max(space?.fact.ts ?? 0, lastFull?.fact.ts ?? 0) < endTs;
}

function fullFault(node: FilesystemNode, { attrs, fact, since }: Reading<SpaceAttrs>): Fault {
  const noInodes = attrs.inodes > 0 && attrs.freeInodes === 0;
  return {
    node,
    strength: 'hard',
    scene: 'StorageIoError',
    subScene: 'DiskFull',
    summary: noInodes
      ? `${node.id} has no inodes left (${count(attrs.inodes, 'file')})`
      : `${node.id} is full: ${bytes(attrs.freeBytes)} of ${bytes(attrs.sizeBytes)} are free`,
    confidence: CONFIDENCE.diskFull,
    began: since,
    facts: [fact],
    recommendations: [
      `Make room on ${node.id.slice(3)}: old checkpoints, logs, caches (du -x --max-depth=2)`,
    ],
    ails: 'full',
  };
}
