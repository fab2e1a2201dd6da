/** Guards of error.xid and error.sxid; see catalogue.ts. */
import type { EventCatalogue } from './event.js';
import { count, flag, type Guard, oneOf, optional, shape, text } from './guards.js';
import type { NvlinkFaultAttrs, SxidAttrs, XidAttrs } from './xid.js';

type Sm = NonNullable<XidAttrs['sm']>;

const nvlink = shape<NvlinkFaultAttrs>({
  unit: text,
  fatal: flag,
  spreads: flag,
  injected: flag,
  link: optional(count),
  status: optional(count),
  reason: optional(count),
});

export const XID: { readonly [T in 'error.xid' | 'error.sxid']: Guard<EventCatalogue[T]> } = {
  'error.xid': shape<XidAttrs>({
    code: count,
    pci: text,
    toldBy: oneOf('line', 'lost'),
    message: text,
    comm: optional(text),
    gi: optional(count),
    ci: optional(count),
    causedBy: optional(count),
    recovery: optional(oneOf('none', 'reset-gpu', 'reboot', 'drain-p2p', 'drain-and-reset', 'unknown')),
    sm: optional(shape<Sm>({ gpc: count, tpc: count, sm: optional(count) })),
    nvlink: optional(nvlink),
    suppressed: optional(count),
  }),
  'error.sxid': shape<SxidAttrs>({
    code: count,
    pci: text,
    severity: oneOf('correctable', 'non-fatal', 'fatal', 'unknown'),
    link: optional(count),
    message: text,
    suppressed: optional(count),
  }),
};
