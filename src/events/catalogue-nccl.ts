/** Guards of the nccl.* events and of wait.gpu; see catalogue.ts. */
import type { EventCatalogue } from './event.js';
import { count, type Guard, number, oneOf, optional, pid, shape, text } from './guards.js';
import type { CommAttrs, EnqueueAttrs, GpuWaitAttrs } from './nccl.js';

type NcclType = Extract<keyof EventCatalogue, `nccl.${string}`> | 'wait.gpu';

export const NCCL: { readonly [T in NcclType]: Guard<EventCatalogue[T]> } = {
  'nccl.comm': shape<CommAttrs>({
    start: count,
    handle: optional(text),
    state: oneOf('init', 'ready', 'failed', 'finalized', 'destroyed', 'aborted'),
    call: text,
    tid: pid,
    rank: optional(count),
    nranks: optional(count),
    result: optional(number),
    since: optional(number),
    collectives: optional(count),
    p2p: optional(count),
  }),
  'nccl.enqueue': shape<EnqueueAttrs>({
    start: count,
    handle: text,
    collectives: count,
    p2p: count,
    last: optional(number),
    rank: optional(count),
    nranks: optional(count),
    stopped: optional(oneOf(true)),
  }),
  'wait.gpu': shape<GpuWaitAttrs>({
    start: count,
    tid: pid,
    what: text,
    since: number,
    over: optional(oneOf(true)),
  }),
};
