/** What the attributes of each event type must look like; kept equal to event.ts by the compiler. */
import {
  type Fields,
  type Guard,
  count,
  insideOf,
  flag,
  isRecord,
  list,
  number,
  oneOf,
  optional,
  pid,
  port,
  shape,
  text,
} from './guards.js';
import type {
  EventCatalogue,
  EventType,
  ExitAttrs,
  FlowAttrs,
  JobAttrs,
  OomAttrs,
  OwnerHow,
  PollMember,
  ProcessAttrs,
  SocketOwner,
  WaitAttrs,
  WaitOp,
} from './event.js';
import { GPU } from './catalogue-gpu.js';
import { NCCL } from './catalogue-nccl.js';
import { HOST } from './catalogue-host.js';
import { RDMA } from './catalogue-rdma.js';
import { holder, STORAGE } from './catalogue-storage.js';
import { XID } from './catalogue-xid.js';

type Created = NonNullable<SocketOwner['created']>;
type Last = NonNullable<SocketOwner['last']>;

const how: Guard<OwnerHow> = oneOf('connect', 'accept', 'send', 'iter', 'listener');

const owner = shape<SocketOwner>({
  created: optional(shape<Created>({ pid, start: count, how })),
  last: optional(shape<Last>({ pid, start: count, how, comm: text })),
  shared: optional(oneOf(true)),
  kernel: optional(oneOf(true)),
});

const FLOW = {
  family: oneOf(4, 6),
  local: text,
  lport: port,
  remote: text,
  rport: port,
  netns: count,
  state: text,
  caState: text,
  owner,
  srttUs: count,
  rtoMs: count,
  unackedBytes: count,
  writeQueueBytes: count,
  rcvQueueBytes: count,
  sndWndBytes: count,
  backoff: count,
  probesOut: count,
  totalRetrans: count,
  retransmits: count,
  timeouts: count,
  bytesAcked: count,
  bytesReceived: count,
  lastRcvMs: count,
  lastSndMs: count,
  sndUna: count,
  sndNxt: count,
  rcvNxt: count,
  since: optional(number),
} satisfies Fields<FlowAttrs>;
const flow = shape<FlowAttrs>(FLOW);

const job = shape<JobAttrs>({
  launcher: optional(text),
  id: optional(text),
  rank: optional(number),
  localRank: optional(number),
  worldSize: optional(number),
  because: oneOf('gpu', 'rdma', 'launcher'),
});

const PROCESS = {
  start: count,
  comm: text,
  ppid: optional(pid),
  parentStart: optional(count),
  uid: optional(count),
  cmdline: optional(list(text)),
  cgroup: optional(text),
  containerId: optional(text),
  podUid: optional(text),
  job: optional(job),
} satisfies Fields<ProcessAttrs>;
const process = shape<ProcessAttrs>(PROCESS);

const op: Guard<WaitOp> = oneOf('read', 'write', 'connect', 'ioctl', 'sync');

const WAIT = {
  start: count,
  tid: pid,
  comm: text,
  since: number,
  runMs: count,
  threads: count,
  syscall: optional(text),
  op: optional(op),
  fd: optional(number),
  ioWait: optional(oneOf(true)),
  delayMs: optional(count),
  cpu: optional(count),
  cpus: optional(count),
  memStall: optional(oneOf(true)),
} satisfies Fields<WaitAttrs>;
const wait = shape<WaitAttrs>(WAIT);

const member = shape<PollMember>({
  fd: number,
  entity: text,
  flow: optional(flow),
  op: optional(op),
  peer: optional(count),
});

type CatalogueType = Exclude<EventType, 'custom'>;

const ATTRS: { readonly [T in EventType]: Guard<EventCatalogue[T]> } = {
  'process.seen': process,
  'process.fork': process,
  'process.exec': process,
  'process.info': process,
  'process.exit': shape<ExitAttrs>({
    ...PROCESS,
    code: optional(number),
    signal: optional(text),
    core: optional(oneOf(true)),
    wrote: optional(list(text)),
  }),
  'process.oom_kill': shape<OomAttrs>({
    ...PROCESS,
    rssBytes: optional(count),
    limitBytes: optional(count),
    usageBytes: optional(count),
    limited: optional(text),
  }),

  'transport.connect': flow,
  'transport.connect_failed': shape<EventCatalogue['transport.connect_failed']>({ ...FLOW, errno: text }),
  'transport.retransmit': flow,
  'transport.timeout': flow,
  'transport.recovered': flow,
  'transport.reset': shape<EventCatalogue['transport.reset']>({
    ...FLOW,
    direction: oneOf('sent', 'received'),
  }),
  'transport.zero_window': flow,
  'transport.state': flow,
  'transport.close': flow,

  'wait.run': wait,
  'wait.sleep': wait,
  'wait.futex': wait,
  'wait.lock': shape<EventCatalogue['wait.lock']>({ ...WAIT, ownerTid: pid }),
  'wait.join': shape<EventCatalogue['wait.join']>({ ...WAIT, ownerTid: pid }),
  'wait.pipe': shape<EventCatalogue['wait.pipe']>({ ...WAIT, readers: count, writers: count }),
  'wait.unix': shape<EventCatalogue['wait.unix']>({ ...WAIT, peer: count }),
  'wait.tcp': shape<EventCatalogue['wait.tcp']>({ ...WAIT, flow }),
  'wait.accept': wait,
  'wait.poll': shape<EventCatalogue['wait.poll']>({ ...WAIT, members: list(member), nfds: count }),
  'wait.child': shape<EventCatalogue['wait.child']>({ ...WAIT, childPid: pid }),
  'wait.file_lock': shape<EventCatalogue['wait.file_lock']>({ ...WAIT, holders: list(pid) }),
  'wait.disk': shape<EventCatalogue['wait.disk']>({ ...WAIT, dev: text }),
  'wait.device': shape<EventCatalogue['wait.device']>({ ...WAIT, dev: text }),
  'wait.stopped': wait,
  'wait.traced': shape<EventCatalogue['wait.traced']>({ ...WAIT, tracerPid: pid }),
  'wait.frozen': wait,
  'wait.other': shape<EventCatalogue['wait.other']>({ ...WAIT, what: text }),
  'wait.holders': shape<EventCatalogue['wait.holders']>({ holders: list(holder), flow: optional(flow) }),
  'wait.pass': shape<EventCatalogue['wait.pass']>({ same: list(pid), full: flag, durationMs: count }),

  ...STORAGE,
  ...HOST,
  ...XID,
  ...GPU,
  ...NCCL,
  ...RDMA,

  custom: isRecord,
};

const CHECKS: ReadonlyMap<string, Guard<unknown>> = new Map(Object.entries<Guard<unknown>>(ATTRS));

/** Every type of the catalogue, `custom` included: the bounded set of names for metrics. */
export const EVENT_TYPES: readonly EventType[] = Object.keys(ATTRS).filter(
  (name): name is EventType => name in ATTRS,
);

/** A type that the kernel side or /proc vouches for. */
export function isCatalogueType(name: string): name is CatalogueType {
  return name !== 'custom' && CHECKS.has(name);
}

/** Whether `attrs` has every field that `type` promises, each of the right kind. */
export function attrsFit(type: EventType, attrs: unknown): boolean {
  return ATTRS[type](attrs);
}

const PLAIN: ReadonlySet<Guard<unknown>> = new Set<Guard<unknown>>([count, flag, number, pid, port, text]);

/**
 * What an event type of the catalogue has at a path of attributes (`flow.backoff`): nothing wrong, or the first name that
 * is not there with those that are. Lists are passed through: `links.up` is of their members.
 */
export function attributeFault(
  type: EventType,
  path: readonly string[],
): { readonly name: string; readonly known: readonly string[] } | undefined {
  let at: Guard<unknown> = ATTRS[type];
  for (const name of path) {
    let inside = insideOf(at);
    while (inside !== undefined && 'items' in inside) inside = insideOf(inside.items);
    // Names of their own kind (the counters of rdma.counters) are let through, as they are when they are read.
    if (inside === undefined && !PLAIN.has(at)) return undefined;
    const next = inside?.fields.get(name);
    if (next === undefined) return { name, known: [...(inside?.fields.keys() ?? [])] };
    at = next;
  }
  return undefined;
}
