/** Attributes of the nccl.* events and of wait.gpu, for property tests; see arbitrary.ts. */
import type { EventCatalogue, EventType } from '../../src/events/event.js';
import type { CommAttrs, EnqueueAttrs } from '../../src/events/nccl.js';
import { fc } from '../lib/property.js';

type NcclType = Extract<EventType, `nccl.${string}`> | 'wait.gpu';

const rank = fc.integer({ min: 0, max: 4_096 });
const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const start = fc.integer({ min: 0, max: 10_000 });
const pid = fc.integer({ min: 0, max: 2 ** 22 });
const ts = fc.double({ min: 0, max: 2e12, noNaN: true });
// Few, so that one is met again.
const handle = fc.constantFrom('0x7f00', '0x7f01', '0x7f02');

export const NCCL_ATTRS: { readonly [T in NcclType]: fc.Arbitrary<EventCatalogue[T]> } = {
  'nccl.comm': fc.record<CommAttrs>(
    {
      start,
      handle,
      state: fc.constantFrom('init', 'ready', 'failed', 'finalized', 'destroyed', 'aborted'),
      call: fc.constantFrom('ncclCommInitRank', 'ncclCommSplit', 'ncclCommAbort'),
      tid: pid,
      rank,
      nranks: rank,
      result: fc.integer({ min: -1, max: 10 }),
      since: ts,
      collectives: count,
      p2p: count,
    },
    { requiredKeys: ['start', 'state', 'call', 'tid'] },
  ) as fc.Arbitrary<CommAttrs>,
  'nccl.enqueue': fc.record<EnqueueAttrs>(
    {
      start,
      handle,
      collectives: count,
      p2p: count,
      last: ts,
      rank,
      nranks: rank,
      stopped: fc.constant<true>(true),
    },
    { requiredKeys: ['start', 'handle', 'collectives', 'p2p'] },
  ) as fc.Arbitrary<EnqueueAttrs>,
  'wait.gpu': fc.record(
    { start, tid: pid, what: fc.constant('cuStreamSynchronize'), since: ts, over: fc.constant<true>(true) },
    { requiredKeys: ['start', 'tid', 'what', 'since'] },
  ) as fc.Arbitrary<EventCatalogue['wait.gpu']>,
};
