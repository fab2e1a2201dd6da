/** Guards of the error.*, topo.* and compute.* events; see catalogue.ts. */
import type { EventCatalogue, ProcessRef } from './event.js';
import { count, type Guard, list, oneOf, optional, pid, shape, text } from './guards.js';
import type {
  FilesystemErrorAttrs,
  HardwareErrorAttrs,
  KernelErrorAttrs,
  LinkAttrs,
  MemoryLimitAttrs,
  MemoryUser,
  PressureAttrs,
  ThrottleAttrs,
} from './host.js';

const ref = shape<ProcessRef>({ pid, start: count });

const link = shape<LinkAttrs>({ driver: optional(text), message: text });

type HostType = Exclude<
  Extract<keyof EventCatalogue, `${'error' | 'topo' | 'compute'}.${string}`>,
  'error.xid' | 'error.sxid'
>;

export const HOST: { readonly [T in HostType]: Guard<EventCatalogue[T]> } = {
  'error.hw': shape<HardwareErrorAttrs>({
    class: oneOf('mce', 'edac', 'aer', 'nvme', 'ata', 'scsi', 'md', 'thermal', 'other'),
    severity: oneOf('corrected', 'uncorrected', 'fatal', 'warning'),
    message: text,
    about: list(text),
    suppressed: optional(count),
  }),
  'error.kernel': shape<KernelErrorAttrs>({
    class: oneOf('hung-task', 'soft-lockup', 'hard-lockup', 'rcu-stall', 'bug', 'oom'),
    message: text,
    comm: optional(text),
    seconds: optional(count),
    suppressed: optional(count),
  }),
  'error.fs': shape<FilesystemErrorAttrs>({
    class: oneOf('error', 'shutdown', 'read-only', 'io-error'),
    fsType: text,
    op: optional(oneOf('read', 'write')),
    message: text,
    suppressed: optional(count),
  }),
  'topo.link_down': link,
  'topo.link_up': link,
  'compute.throttle': shape<ThrottleAttrs>({
    quotaMs: count,
    periodMs: count,
    periods: count,
    throttledPeriods: count,
    throttledMs: count,
    windowMs: count,
    members: list(ref),
  }),
  'compute.memory': shape<MemoryLimitAttrs>({
    usageBytes: count,
    limitBytes: optional(count),
    highBytes: optional(count),
    highEvents: count,
    maxEvents: count,
    oomEvents: count,
    oomKills: count,
    windowMs: count,
    members: list(ref),
  }),
  'compute.consumers': shape<EventCatalogue['compute.consumers']>({
    processes: list(shape<MemoryUser>({ pid, start: count, comm: text, rssBytes: count, swapBytes: count })),
    totalBytes: count,
    availableBytes: count,
  }),
  'compute.pressure': shape<PressureAttrs>({
    cpuSome: count,
    ioSome: count,
    ioFull: count,
    memorySome: count,
    memoryFull: count,
  }),
};
