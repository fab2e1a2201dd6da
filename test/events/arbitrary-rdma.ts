/** Attributes of the rdma.* events, for property tests; see arbitrary.ts. */
import type { EventCatalogue, EventType } from '../../src/events/event.js';
import {
  PORT_STATES,
  QP_STATES,
  QP_TYPES,
  RDMA_COUNTERS,
  type RdmaAsyncAttrs,
  type RdmaCmAttrs,
  type RdmaCompletionAttrs,
  type RdmaCountersAttrs,
  type RdmaPortAttrs,
  type RdmaPostsAttrs,
  type RdmaQpAttrs,
  type RdmaRetryAttrs,
  WC_STATUSES,
} from '../../src/events/rdma.js';
import { fc } from '../lib/property.js';

type RdmaType = Extract<EventType, `rdma.${string}`>;

const count = fc.nat();
const start = fc.integer({ min: 0, max: 10_000 });
const ts = fc.double({ min: 0, max: 2e12, noNaN: true });
const ms = fc.double({ min: 0, max: 1e7, noNaN: true });
const text = fc.string({ unit: 'binary' });
// Few, so that one is met again.
const device = fc.constantFrom('mlx5_0', 'rxe0');
const port = fc.integer({ min: 1, max: 2 });
const qpn = fc.integer({ min: 17, max: 19 });
const address = fc.constantFrom('10.0.0.1', '10.0.0.2', 'fe80::1');
const yes = fc.constant<true>(true);
const generation = fc.nat({ max: 3 });

export const RDMA_ATTRS: { readonly [T in RdmaType]: fc.Arbitrary<EventCatalogue[T]> } = {
  'rdma.port': fc.record<RdmaPortAttrs>(
    {
      device,
      port,
      state: fc.constantFrom(...PORT_STATES),
      physState: text,
      linkLayer: fc.constantFrom('InfiniBand', 'Ethernet'),
      rateGbps: count,
      driver: fc.constantFrom('mlx5_core', 'rdma_rxe'),
      netdev: text,
      pci: text,
      flaps: count,
      flapTimes: fc.array(ts),
      since: ts,
    },
    { requiredKeys: ['device', 'port', 'state'] },
  ) as fc.Arbitrary<RdmaPortAttrs>,
  'rdma.counters': fc.record<RdmaCountersAttrs>(
    {
      device,
      port,
      windowMs: ms,
      grew: fc.dictionary(fc.constantFrom(...RDMA_COUNTERS), count) as fc.Arbitrary<
        RdmaCountersAttrs['grew']
      >,
      reset: yes,
    },
    { requiredKeys: ['device', 'port', 'windowMs', 'grew'] },
  ) as fc.Arbitrary<RdmaCountersAttrs>,
  'rdma.qp': fc.record<RdmaQpAttrs>(
    {
      device,
      qpn,
      port,
      type: fc.constantFrom(...QP_TYPES),
      state: fc.constantFrom(...QP_STATES),
      start,
      comm: text,
      netns: count,
      change: fc.constantFrom('seen', 'create', 'modify', 'destroy', 'error'),
      generation,
      local: address,
      remote: address,
      remoteLid: count,
      remoteQpn: qpn,
      ackTimeoutMs: ms,
      retryCnt: count,
      rnrRetry: count,
      errno: fc.constantFrom('EINVAL', 'ETIMEDOUT'),
      exiting: yes,
    },
    { requiredKeys: ['device', 'qpn', 'type', 'state', 'change', 'generation'] },
  ) as fc.Arbitrary<RdmaQpAttrs>,
  'rdma.retry': fc.record<RdmaRetryAttrs>(
    {
      device,
      qpn,
      generation,
      start,
      retries: count,
      timeouts: count,
      rnr: count,
      totalRetries: count,
      totalRnr: count,
      since: ts,
      retriesLeft: fc.nat({ max: 7 }),
    },
    {
      requiredKeys: ['device', 'qpn', 'generation', 'retries', 'timeouts', 'rnr', 'totalRetries', 'totalRnr'],
    },
  ) as fc.Arbitrary<RdmaRetryAttrs>,
  'rdma.completion': fc.record<RdmaCompletionAttrs>(
    { device, qpn, generation, start, status: fc.constantFrom(...WC_STATUSES), vendorErr: count },
    { requiredKeys: ['device', 'qpn', 'generation', 'status'] },
  ) as fc.Arbitrary<RdmaCompletionAttrs>,
  'rdma.async': fc.record<RdmaAsyncAttrs>(
    {
      device,
      event: fc.constantFrom('QP_FATAL', 'PORT_ERR', 'PORT_ACTIVE', 'DEVICE_FATAL', 'COMM_EST'),
      port,
      qpn,
      generation,
      start,
    },
    { requiredKeys: ['device', 'event'] },
  ) as fc.Arbitrary<RdmaAsyncAttrs>,
  'rdma.cm': fc.record<RdmaCmAttrs>(
    {
      event: fc.constantFrom('CONNECT_REQUEST', 'ESTABLISHED', 'UNREACHABLE', 'REJECTED', 'DISCONNECTED'),
      status: fc.integer({ min: -133, max: 40 }),
      start,
      device,
      qpn,
      local: address,
      remote: address,
      remotePort: fc.integer({ min: 0, max: 65_535 }),
    },
    { requiredKeys: ['event', 'status'] },
  ) as fc.Arbitrary<RdmaCmAttrs>,
  'rdma.memory': fc.record({ start, regions: count, bytes: count }),
  'rdma.posts': fc.record<RdmaPostsAttrs>(
    {
      device,
      qpn,
      start,
      windowMs: ms,
      posts: count,
      bytes: count,
      totalPosts: count,
      outstanding: count,
      oldest: ts,
      last: ts,
      stopped: yes,
    },
    { requiredKeys: ['device', 'qpn', 'start', 'windowMs', 'posts', 'bytes', 'totalPosts'] },
  ) as fc.Arbitrary<RdmaPostsAttrs>,
};
