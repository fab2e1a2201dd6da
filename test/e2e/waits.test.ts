/** What threads wait for: the kernel's truth, by the workload's own words, and the agent's events side by side. */
import t from 'tap';
import type { WireEvent } from '../../src/api/stream.js';
import { type Agent, startAgent } from '../lib/agent.js';
import { startWorkload, type Truth } from '../lib/proc.js';
import { until } from '../lib/until.js';
import { chainFlaws, startE2e } from './lib/ask.js';
import { streamEvents } from './lib/event-stream.js';

let agent: Agent;

t.before(async () => {
  agent = await startAgent(t);
});

/** The fields of an event that the truth decides. */
interface Said {
  readonly type: string;
  readonly entity: string | RegExp;
  readonly attrs: Readonly<Record<string, unknown>>;
  /** Who must be named as the one that has the other end or the lock. */
  readonly holders?: readonly number[];
}

function expected(truth: Truth): Said {
  const { pid, tid } = truth;
  const self = `pid:${pid}`;
  switch (truth.kind) {
    case 'mutex':
    case 'pimutex':
    case 'recursive': {
      const entity = new RegExp(`^lock:${pid}/0x[0-9a-f]+$`);
      return { type: 'wait.lock', entity, attrs: { ownerTid: truth.number('owner') } };
    }
    case 'condvar':
    case 'semaphore':
      return { type: 'wait.futex', entity: new RegExp(`^futex:${pid}/0x[0-9a-f]+$`), attrs: {} };
    case 'join':
      return { type: 'wait.join', entity: self, attrs: { ownerTid: truth.number('joined') } };
    case 'pipe-read':
    case 'pipe-write': {
      const attrs = { op: truth.text('mode'), fd: truth.number('fd'), readers: 1, writers: 1 };
      const holders = [truth.number('peer')];
      return { type: 'wait.pipe', entity: `pipe:${truth.text('pipe')}`, attrs, holders };
    }
    case 'unix-read': {
      const attrs = { op: 'read', fd: truth.number('fd'), peer: truth.number('peer_inode') };
      const holders = [truth.number('peer')];
      return { type: 'wait.unix', entity: `unix:${truth.text('inode')}`, attrs, holders };
    }
    case 'poll':
    case 'epoll': {
      const [first, second] = truth.text('fds').split(',').map(Number);
      const members = [
        { fd: first, entity: `pipe:${truth.text('pipe')}` },
        { fd: second, entity: '[eventfd]' },
      ];
      return { type: 'wait.poll', entity: `poll:${pid}/${tid}`, attrs: { members, nfds: 2 } };
    }
    case 'select':
      // select(2) says no more than how high the numbers go.
      return { type: 'wait.poll', entity: `poll:${pid}/${tid}`, attrs: { members: [] } };
    case 'nanosleep':
      return { type: 'wait.sleep', entity: self, attrs: {} };
    case 'child': {
      const child = truth.number('child');
      return { type: 'wait.child', entity: `pid:${child}`, attrs: { childPid: child } };
    }
    case 'flock':
    case 'fcntl': {
      const entity = new RegExp(`^file:\\d+:\\d+/${truth.text('inode')}$`);
      return { type: 'wait.file_lock', entity, attrs: {}, holders: [truth.number('owner')] };
    }
    case 'eventfd':
      return { type: 'wait.other', entity: self, attrs: { what: 'an eventfd', fd: truth.number('fd') } };
    case 'accept':
    case 'unix-accept':
      return { type: 'wait.accept', entity: self, attrs: { fd: truth.number('fd') } };
    default:
      throw new Error(`waits.c knows a kind that this test does not: ${truth.kind}`);
  }
}

function holdersOf(event: WireEvent): readonly number[] {
  const { holders } = event.attrs;
  return Array.isArray(holders) ? holders.map((holder: { readonly pid: number }) => holder.pid) : [];
}

/** An epoll set has no order of its own. */
function inOrder(attrs: WireEvent['attrs']): WireEvent['attrs'] {
  const { members } = attrs;
  if (!Array.isArray(members)) return attrs;
  const sorted = members.toSorted((a: { readonly fd: number }, b: { readonly fd: number }) => a.fd - b.fd);
  return { ...attrs, members: sorted };
}

t.test('each thread is named with the object it waits for, and who has that', async (t) => {
  const waits = await startWorkload(t, 'waits');
  await waits.ready();
  const stream = await streamEvents(t, agent, 'wait');
  await agent.why(waits.pid); // a full pass: every thread, whether it ran or not
  const truths = waits.truths().filter((truth) => truth.kind !== 'all');
  t.ok(truths.length >= 19, `${truths.length} threads`);
  for (const truth of truths) {
    const want = expected(truth);
    const event = await stream.find(
      (event) => event.pid === truth.pid && event.attrs.tid === truth.tid,
      `of thread ${truth.tid} (${truth.kind})`,
    );
    t.match(
      { type: event.type, entity: event.entity, attrs: inOrder(event.attrs) },
      { type: want.type, entity: want.entity, attrs: want.attrs },
      truth.kind,
    );
    t.equal(event.attrs.comm, `w-${truth.kind}`, `${truth.kind} by its name`);
    if (want.holders === undefined) continue;
    const who = await stream.find(
      (other) => other.type === 'wait.holders' && other.entity === event.entity,
      `who holds ${event.entity}`,
    );
    t.same(holdersOf(who), want.holders, `${truth.kind}: nobody else and nobody less has ${event.entity}`);
  }
});

t.test('a wait is one wait as long as the thread has not run: `since` stays', async (t) => {
  const waits = await startWorkload(t, 'waits', { kinds: 'pipe-read,mutex' });
  await waits.ready();
  const stream = await streamEvents(t, agent, 'wait');
  const [truth] = waits.truths('pipe-read');
  const mine = (event: WireEvent): boolean => event.attrs.tid === truth?.tid;
  await agent.why(waits.pid);
  await stream.find(mine, 'the first sample');
  await agent.why(waits.pid);
  await until(() => stream.events().filter(mine).length >= 2, { timeoutMs: 5000, what: 'a second sample' });
  const [first, second] = stream.events().filter(mine);
  const since = (event: WireEvent | undefined): number => Number(event?.attrs.since);
  t.ok(Math.abs(since(first) - since(second)) < 50, 'the same begin');
  t.ok((second?.value ?? 0) > (first?.value ?? 0), 'and a longer wait');
});

t.test(
  'the parent of a vfork sleeps uninterruptibly: it waits for a child, not for a disk, and is not frozen',
  async (t) => {
    const parent = await startE2e(t, 'chain', { via: 'vfork' });
    await parent.ready();
    const stream = await streamEvents(t, agent, 'wait');
    const answer = await agent.why(parent.pid);
    const event = await stream.find((event) => event.attrs.tid === parent.pid, 'of the parent');
    t.match({ type: event.type, attrs: event.attrs }, { type: 'wait.child', attrs: { childPid: 0 } });
    t.not(answer.scene, 'StorageSlow');
    t.not(answer.subScene, 'Stopped');
    t.same(chainFlaws(answer), []);
  },
);
