/** Guards of the storage.* events; see catalogue.ts. */
import type { EventCatalogue, Holder } from './event.js';
import {
  count,
  type Fields,
  flag,
  type Guard,
  list,
  number,
  oneOf,
  optional,
  pid,
  shape,
  text,
} from './guards.js';
import type {
  BlockDeviceAttrs,
  BlockUseAttrs,
  IoSummary,
  MountAttrs,
  RequestAttrs,
  RpcAttrs,
  SpaceAttrs,
  Submitter,
} from './storage.js';

export const holder = shape<Holder>({
  pid,
  start: count,
  comm: text,
  fd: number,
  mode: oneOf('r', 'w', 'rw'),
  queued: optional(oneOf(true)),
});

const REQUEST = {
  op: oneOf('read', 'write', 'flush', 'discard', 'other'),
  sector: count,
  sizeBytes: count,
  ageMs: count,
  deviceMs: optional(count),
  submitter: shape<Submitter>({
    pid: optional(pid),
    start: optional(count),
    comm: optional(text),
    cgroup: optional(text),
    writeback: optional(oneOf(true)),
  }),
  suppressed: optional(count),
} satisfies Fields<RequestAttrs>;

const summary = shape<IoSummary>({
  count,
  sizeBytes: count,
  p50Ms: optional(count),
  p99Ms: optional(count),
  baselineMs: optional(count),
  ofMeans: optional(oneOf(true)),
});

const mount = shape<MountAttrs>({
  dev: text,
  fsType: text,
  mountPoint: text,
  under: list(text),
  server: optional(text),
  readOnly: flag,
  mountNs: optional(count),
  gone: optional(oneOf(true)),
});

type StorageType = Extract<keyof EventCatalogue, `storage.${string}`>;

export const STORAGE: { readonly [T in StorageType]: Guard<EventCatalogue[T]> } = {
  'storage.device': shape<BlockDeviceAttrs>({
    dev: text,
    kind: oneOf('disk', 'partition', 'dm', 'md', 'loop', 'other'),
    under: list(text),
    model: optional(text),
    failedMembers: optional(count),
    mayLose: optional(count),
    diskSeq: optional(count),
    suspended: optional(oneOf(true)),
    gone: optional(oneOf(true)),
  }),
  'storage.use': shape<BlockUseAttrs>({
    inFlight: count,
    stalledMs: count,
    queueDepth: optional(count),
    reads: summary,
    writes: summary,
    windowMs: count,
    oldest: list(shape<RequestAttrs>(REQUEST)),
  }),
  'storage.latency': shape<RequestAttrs>(REQUEST),
  'storage.error': shape<EventCatalogue['storage.error']>({ ...REQUEST, status: text }),
  'storage.mount': mount,
  'storage.readonly': mount,
  'storage.space': shape<SpaceAttrs>({
    sizeBytes: count,
    freeBytes: count,
    inodes: count,
    freeInodes: count,
  }),
  'storage.rpc': shape<RpcAttrs>({
    server: text,
    outstanding: count,
    retransmits: count,
    rttMs: optional(count),
    execMs: optional(count),
    operations: count,
  }),
  'storage.users': shape<EventCatalogue['storage.users']>({ holders: list(holder) }),

  'storage.server': shape<EventCatalogue['storage.server']>({ server: text, responding: flag }),
};
