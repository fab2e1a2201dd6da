/** Any event that the agent itself could make, for property tests. */
import { EVENT_TYPES } from '../../src/events/catalogue.js';
import {
  type Event,
  type EventCatalogue,
  type EventType,
  type FlowAttrs,
  type Holder,
  type PollMember,
  PROBE_NAMES,
  type ProcessAttrs,
  type SocketOwner,
  type WaitAttrs,
} from '../../src/events/event.js';
import { GPU_ATTRS } from './arbitrary-gpu.js';
import { NCCL_ATTRS } from './arbitrary-nccl.js';
import { RDMA_ATTRS } from './arbitrary-rdma.js';
import { HOST_ATTRS, STORAGE_ATTRS, XID_ATTRS } from './arbitrary-host.js';
import { fc } from '../lib/property.js';

const count = fc.nat();
const ns = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const pid = fc.integer({ min: 0, max: 2 ** 22 });
const port = fc.integer({ min: 0, max: 65535 });
const text = fc.string({ unit: 'binary' });
const how = fc.constantFrom('connect', 'accept', 'send', 'iter', 'listener');
const yes = fc.constant(true);

const owner: fc.Arbitrary<SocketOwner> = fc.record(
  {
    created: fc.record({ pid, start: ns, how }),
    last: fc.record({ pid, start: ns, how, comm: text }),
    shared: yes,
    kernel: yes,
  },
  { requiredKeys: [] },
) as fc.Arbitrary<SocketOwner>;

const FLOW_COUNTS = [
  'netns',
  'srttUs',
  'rtoMs',
  'unackedBytes',
  'writeQueueBytes',
  'rcvQueueBytes',
  'sndWndBytes',
  'backoff',
  'probesOut',
  'totalRetrans',
  'retransmits',
  'timeouts',
  'bytesAcked',
  'bytesReceived',
  'lastRcvMs',
  'lastSndMs',
  'sndUna',
  'sndNxt',
  'rcvNxt',
] as const;

export const flow = fc
  .tuple(
    fc.record(
      {
        family: fc.constantFrom(4, 6),
        local: text,
        lport: port,
        remote: text,
        rport: port,
        state: text,
        caState: text,
        owner,
        since: fc.double({ min: 0, max: 4e12, noNaN: true }),
      },
      { requiredKeys: ['family', 'local', 'lport', 'remote', 'rport', 'state', 'caState', 'owner'] },
    ),
    fc.record(Object.fromEntries(FLOW_COUNTS.map((name) => [name, count]))),
  )
  .map(([named, counts]) => ({ ...named, ...counts })) as unknown as fc.Arbitrary<FlowAttrs>;

const process = fc.record(
  {
    start: ns,
    comm: text,
    ppid: pid,
    parentStart: ns,
    uid: count,
    cmdline: fc.array(text),
    cgroup: text,
    containerId: text,
    podUid: text,
    job: fc.record(
      { rank: count, because: fc.constantFrom('gpu', 'rdma', 'launcher') },
      { requiredKeys: ['because'] },
    ),
  },
  { requiredKeys: ['start', 'comm'] },
) as fc.Arbitrary<ProcessAttrs>;

const wait = fc.record(
  {
    start: ns,
    tid: pid,
    comm: text,
    since: fc.double({ min: 0, max: 4e12, noNaN: true }),
    runMs: count,
    threads: count,
    syscall: text,
    op: fc.constantFrom('read', 'write', 'connect', 'ioctl', 'sync'),
    fd: fc.integer(),
    ioWait: yes,
    delayMs: count,
    cpu: count,
    cpus: count,
    memStall: yes,
  },
  { requiredKeys: ['start', 'tid', 'comm', 'since', 'runMs', 'threads'] },
) as fc.Arbitrary<WaitAttrs>;

const holders: fc.Arbitrary<Holder[]> = fc.array(
  fc.record(
    { pid, start: ns, comm: text, fd: count, mode: fc.constantFrom('r', 'w', 'rw'), queued: yes },
    { requiredKeys: ['pid', 'start', 'comm', 'fd', 'mode'] },
  ),
);
const members = fc.array(
  fc.record(
    { fd: count, entity: text, flow, op: fc.constantFrom('read', 'write'), peer: count },
    { requiredKeys: ['fd', 'entity'] },
  ),
) as fc.Arbitrary<PollMember[]>;

/** What a type has beyond its family's attributes. */
const MORE: { readonly [T in EventType]?: fc.Arbitrary<Partial<EventCatalogue[T]>> } = {
  'process.exit': fc.record(
    { code: count, signal: text, core: yes, wrote: fc.array(text, { maxLength: 20 }) },
    { requiredKeys: [] },
  ),
  'process.oom_kill': fc.record(
    { rssBytes: count, limitBytes: count, usageBytes: count, limited: text },
    { requiredKeys: [] },
  ),
  'transport.connect_failed': fc.record({ errno: text }),
  'transport.reset': fc.record({ direction: fc.constantFrom('sent', 'received') }),
  'wait.lock': fc.record({ ownerTid: pid }),
  'wait.join': fc.record({ ownerTid: pid }),
  'wait.pipe': fc.record({ readers: count, writers: count }),
  'wait.unix': fc.record({ peer: count }),
  'wait.tcp': fc.record({ flow }),
  'wait.poll': fc.record({ members, nfds: count }),
  'wait.child': fc.record({ childPid: pid }),
  'wait.file_lock': fc.record({ holders: fc.array(pid) }),
  'wait.disk': fc.record({ dev: text }),
  'wait.device': fc.record({ dev: text }),
  'wait.traced': fc.record({ tracerPid: pid }),
  'wait.other': fc.record({ what: text }),
};

/** What is no wait, no process and no flow. */
const OTHERS: ReadonlyMap<string, fc.Arbitrary<unknown>> = new Map(
  Object.entries<fc.Arbitrary<unknown>>({
    ...STORAGE_ATTRS,
    ...HOST_ATTRS,
    ...XID_ATTRS,
    ...GPU_ATTRS,
    ...NCCL_ATTRS,
    ...RDMA_ATTRS,
  }),
);

function attrsOf(type: EventType): fc.Arbitrary<unknown> {
  const other = OTHERS.get(type);
  if (other !== undefined) return other;
  if (type === 'custom')
    return fc.dictionary(
      fc.string({ minLength: 1 }).filter((key) => key !== '__proto__'),
      fc.oneof(count, text),
    );
  if (type === 'wait.holders') return fc.record({ holders, flow }, { requiredKeys: ['holders'] });
  if (type === 'wait.pass') return fc.record({ same: fc.array(pid), full: fc.boolean(), durationMs: count });
  const family: fc.Arbitrary<object> = type.startsWith('wait.')
    ? wait
    : type.startsWith('process.')
      ? process
      : flow;
  const more: fc.Arbitrary<object> = MORE[type] ?? fc.constant({});
  return fc.tuple(family, more).map(([base, own]) => ({ ...base, ...own }));
}

export const event: fc.Arbitrary<Event> = fc.constantFrom(...EVENT_TYPES).chain((type) =>
  fc.record(
    {
      ts: fc.double({ min: 0, max: 4e12, noNaN: true }),
      type: fc.constant(type),
      entity: text.map((rest) => `pipe:${rest}x`),
      pid,
      value: fc.double({ noNaN: true, noDefaultInfinity: true }),
      attrs: attrsOf(type),
      probe:
        type === 'custom'
          ? fc.constant('subprocess')
          : fc.constantFrom(...PROBE_NAMES.filter((name) => name !== 'subprocess')),
      ...(type === 'custom' && {
        customType: fc.constantFrom('compute.step_time', 'process.exit', 'wait.tcp', 'error.hw'),
      }),
    },
    {
      requiredKeys: [
        'ts',
        'type',
        'entity',
        'value',
        'attrs',
        'probe',
        ...(type === 'custom' ? ['customType' as const] : []),
      ],
    },
  ),
) as unknown as fc.Arbitrary<Event>;
