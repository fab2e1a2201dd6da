/** Attributes of the storage.*, error.*, topo.* and compute.* events, for property tests; see arbitrary.ts. */
import type { EventCatalogue, EventType, Holder } from '../../src/events/event.js';
import type {
  BlockUseAttrs,
  IoSummary,
  MountAttrs,
  RequestAttrs,
  RpcAttrs,
  Submitter,
} from '../../src/events/storage.js';
import type {
  FilesystemErrorAttrs,
  HardwareErrorAttrs,
  KernelErrorAttrs,
  LinkAttrs,
  MemoryLimitAttrs,
} from '../../src/events/host.js';
import type { NvlinkFaultAttrs, SxidAttrs, XidAttrs } from '../../src/events/xid.js';
import { fc } from '../lib/property.js';

type Attrs<Family extends string> = {
  readonly [T in Extract<EventType, Family | `${Family}.${string}`>]: fc.Arbitrary<EventCatalogue[T]>;
};

const count = fc.nat();
const ms = fc.double({ min: 0, max: 1e9, noNaN: true });
const bytes = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const pid = fc.integer({ min: 0, max: 2 ** 22 });
const text = fc.string({ unit: 'binary', maxLength: 40 });
const yes = fc.constant<true>(true);
const ref = fc.record({ pid, start: bytes });
const holders = fc.array(
  fc.record({
    pid,
    start: bytes,
    comm: text,
    fd: count,
    mode: fc.constantFrom<Holder['mode'][]>('r', 'w', 'rw'),
  }),
  { maxLength: 5 },
);

/** Fields that may be absent are absent in some. */
function some<T>(
  fields: { readonly [K in keyof T]-?: fc.Arbitrary<NonNullable<T[K]>> },
  required: (keyof T)[],
) {
  return fc.record(fields, { requiredKeys: required as [] }) as unknown as fc.Arbitrary<T>;
}

const submitter = some<Submitter>({ pid, start: bytes, comm: text, cgroup: text, writeback: yes }, []);

const request = some<RequestAttrs>(
  {
    op: fc.constantFrom('read', 'write', 'flush', 'discard', 'other'),
    sector: bytes,
    sizeBytes: bytes,
    ageMs: ms,
    deviceMs: ms,
    submitter,
    suppressed: count,
  },
  ['op', 'sector', 'sizeBytes', 'ageMs', 'submitter'],
);

const summary = some<IoSummary>(
  { count, sizeBytes: bytes, p50Ms: ms, p99Ms: ms, baselineMs: ms, ofMeans: fc.constant(true as const) },
  ['count', 'sizeBytes'],
);

const mount = some<MountAttrs>(
  {
    dev: text,
    fsType: text,
    mountPoint: text,
    under: fc.array(text),
    server: text,
    readOnly: fc.boolean(),
    mountNs: count,
    gone: yes,
  },
  ['dev', 'fsType', 'mountPoint', 'under', 'readOnly'],
);

const link = some<LinkAttrs>({ driver: text, message: text }, ['message']);

export const STORAGE_ATTRS: Attrs<'storage'> = {
  'storage.device': some(
    {
      dev: text,
      kind: fc.constantFrom('disk', 'partition', 'dm', 'md', 'loop', 'other'),
      under: fc.array(text),
      model: text,
      failedMembers: count,
      mayLose: count,
      diskSeq: count,
      gone: yes,
    },
    ['dev', 'kind', 'under'],
  ),
  'storage.use': some<BlockUseAttrs>(
    {
      inFlight: count,
      stalledMs: ms,
      queueDepth: count,
      reads: summary,
      writes: summary,
      windowMs: ms,
      oldest: fc.array(request, { maxLength: 16 }),
    },
    ['inFlight', 'stalledMs', 'reads', 'writes', 'windowMs', 'oldest'],
  ),
  'storage.latency': request,
  'storage.error': fc.tuple(request, text).map(([attrs, status]) => ({ ...attrs, status })),
  'storage.mount': mount,
  'storage.readonly': mount,
  'storage.space': fc.record({ sizeBytes: bytes, freeBytes: bytes, inodes: count, freeInodes: count }),
  'storage.rpc': some<RpcAttrs>(
    { server: text, outstanding: count, retransmits: count, rttMs: ms, execMs: ms, operations: count },
    ['server', 'outstanding', 'retransmits', 'operations'],
  ),
  'storage.users': fc.record({ holders }),
  'storage.server': fc.record({ server: text, responding: fc.boolean() }),
};

export const XID_ATTRS: Attrs<'error.xid' | 'error.sxid'> = {
  'error.xid': some<XidAttrs>(
    {
      code: count,
      pci: text,
      toldBy: fc.constantFrom('line', 'lost'),
      message: text,
      comm: text,
      gi: count,
      ci: count,
      causedBy: count,
      recovery: fc.constantFrom('none', 'reset-gpu', 'reboot', 'drain-p2p', 'drain-and-reset', 'unknown'),
      sm: fc.oneof(fc.record({ gpc: count, tpc: count }), fc.record({ gpc: count, tpc: count, sm: count })),
      nvlink: some<NvlinkFaultAttrs>(
        {
          unit: text,
          fatal: fc.boolean(),
          spreads: fc.boolean(),
          injected: fc.boolean(),
          link: count,
          status: count,
          reason: count,
        },
        ['unit', 'fatal', 'spreads', 'injected'],
      ),
      suppressed: count,
    },
    ['code', 'pci', 'toldBy', 'message'],
  ),
  'error.sxid': some<SxidAttrs>(
    {
      code: count,
      pci: text,
      severity: fc.constantFrom('correctable', 'non-fatal', 'fatal', 'unknown'),
      link: count,
      message: text,
      suppressed: count,
    },
    ['code', 'pci', 'severity', 'message'],
  ),
};

export const HOST_ATTRS: Omit<Attrs<'error' | 'topo' | 'compute'>, keyof typeof XID_ATTRS> = {
  'error.hw': some<HardwareErrorAttrs>(
    {
      class: fc.constantFrom('mce', 'edac', 'aer', 'nvme', 'ata', 'scsi', 'md', 'thermal', 'other'),
      severity: fc.constantFrom('corrected', 'uncorrected', 'fatal', 'warning'),
      message: text,
      about: fc.array(text),
      suppressed: count,
    },
    ['class', 'severity', 'message', 'about'],
  ),
  'error.kernel': some<KernelErrorAttrs>(
    {
      class: fc.constantFrom('hung-task', 'soft-lockup', 'hard-lockup', 'rcu-stall', 'bug', 'oom'),
      message: text,
      comm: text,
      seconds: count,
      suppressed: count,
    },
    ['class', 'message'],
  ),
  'error.fs': some<FilesystemErrorAttrs>(
    {
      class: fc.constantFrom('error', 'shutdown', 'read-only', 'io-error'),
      fsType: text,
      op: fc.constantFrom('read' as const, 'write' as const),
      message: text,
      suppressed: count,
    },
    ['class', 'fsType', 'message'],
  ),
  'topo.link_down': link,
  'topo.link_up': link,
  'compute.throttle': fc.record({
    quotaMs: ms,
    periodMs: ms,
    periods: count,
    throttledPeriods: count,
    throttledMs: ms,
    windowMs: ms,
    members: fc.array(ref),
  }),
  'compute.memory': some<MemoryLimitAttrs>(
    {
      usageBytes: bytes,
      limitBytes: bytes,
      highBytes: bytes,
      highEvents: count,
      maxEvents: count,
      oomEvents: count,
      oomKills: count,
      windowMs: ms,
      members: fc.array(ref),
    },
    ['usageBytes', 'highEvents', 'maxEvents', 'oomEvents', 'oomKills', 'windowMs', 'members'],
  ),
  'compute.consumers': fc.record({
    processes: fc.array(fc.record({ pid, start: bytes, comm: text, rssBytes: bytes, swapBytes: bytes }), {
      maxLength: 20,
    }),
    totalBytes: bytes,
    availableBytes: bytes,
  }),
  'compute.pressure': fc.record({
    cpuSome: ms,
    ioSome: ms,
    ioFull: ms,
    memorySome: ms,
    memoryFull: ms,
  }),
};
