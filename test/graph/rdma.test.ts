/** RDMA in the graph: whose a queue pair is, whom it talks to, what a number meant before; ports that fall and are renamed. */
import assert from 'node:assert/strict';
import t from 'tap';
import { queuePairsOf } from '../../src/graph/rdma.js';
import type { QpLife, RdmaPortNode } from '../../src/graph/rdma-node.js';
import { Story, T0 } from '../scene/build.js';
import {
  A,
  async,
  AT,
  B,
  cm,
  connected,
  destroyed,
  type End,
  failed,
  grew,
  idOf,
  pair,
  port,
  portOf,
  posts,
  qp,
  remote,
  retry,
  unanswered,
} from '../scene/rdma-story.js';
import { unsound } from './invariants.js';
import { fc, runs } from '../lib/property.js';

function life(s: Story, end: End): QpLife {
  const node = s.graph.nodes.get(idOf(end));
  if (node?.type !== 'qp') throw new Error(`no ${idOf(end)}`);
  return node.life;
}

function portNode(s: Story, id = portOf('rxe0')): RdmaPortNode {
  const node = s.graph.nodes.get(id);
  if (node?.type !== 'rdma-port') throw new Error(`no ${id}`);
  return node;
}

function edges(s: Story, id: string): readonly string[] {
  return (s.graph.nodes.get(id)?.out ?? []).map(({ kind, to }) => `${kind} ${to.id}`).sort();
}

t.test('process Consumes queue pair Consumes port, while they are there', async (t) => {
  const s = pair(port(new Story().seen(10).seen(20), 'rxe0'));
  t.same(edges(s, 'pid:10'), [`Consumes ${idOf(A)}`]);
  t.same(edges(s, idOf(A)), [`Consumes ${portOf('rxe0')}`]);
  t.match(life(s, A), {
    owner: { pid: 10, start: 10_000, comm: 'p10' },
    attrs: { remoteQpn: 18, state: 'RTS' },
  });
  destroyed(s.later(10), A);
  t.same(edges(s, 'pid:10'), []);
  t.same(edges(s, idOf(A)), []);
  t.equal(life(s, A).gone?.ts, s.now);
  t.same(unsound(s.graph), []);
});

t.test('its owner is who created it, whoever an event names beside', async (t) => {
  const s = remote(new Story().seen(10).seen(20));
  retry(s, { ...A, pid: 20 });
  t.equal(life(s, A).owner?.pid, 10);
  t.same(edges(s, 'pid:20'), []);
  s.exited(10, { code: 1 });
  retry(s.later(5), A);
  t.same(edges(s, 'pid:10'), [], 'a child has it: that makes no process of one that ended');
  t.equal(s.graph.process(10)?.exit?.attrs.code, 1);
  t.same(unsound(s.graph), []);
});

t.test('a process that ended well and whose queue pairs go after it is not counted as stale', async (t) => {
  const s = remote(new Story().seen(10));
  destroyed(s.exited(10).later(1), A, true);
  t.equal(s.graph.process(10), undefined);
  t.equal(s.graph.stats().stale, 0);
  t.equal(life(s, A).gone?.exiting, true);
});

t.test('the two ends of a connection find each other, in any order, and only if they fit', async (t) => {
  const there: End = { ...B };
  const rows: readonly (readonly [string, boolean, (s: Story) => unknown])[] = [
    ['one after the other', true, (s) => pair(s)],
    ['the other way round', true, (s) => pair(s, B, A)],
    [
      'one does not tell its own address',
      true,
      (s) => {
        connected(s, A, AT.rxe1, B.qpn);
        qp(s, there, { change: 'seen', remote: AT.rxe0, remoteQpn: A.qpn });
      },
    ],
    [
      'the other was there before the agent, and nothing is known of its peer',
      false,
      (s) => {
        qp(s, there, { change: 'seen' });
        connected(s, A, AT.rxe1, B.qpn);
      },
    ],
    [
      'the number fits, the address does not',
      false,
      (s) => {
        connected(s, A, '10.0.0.77', B.qpn);
        connected(s, B, AT.rxe0, A.qpn);
      },
    ],
    [
      'the address fits, and it talks to another number',
      false,
      (s) => {
        connected(s, A, AT.rxe1, B.qpn);
        connected(s, B, AT.rxe0, 99);
      },
    ],
    [
      'both are there again with other numbers',
      true,
      (s) => {
        pair(s, { ...A, qpn: 50 }, { ...B, qpn: 51 });
        for (const end of [A, B]) qp(s, end, { state: 'RESET' });
        pair(s);
      },
    ],
  ];
  for (const [name, fit, tell] of rows) {
    const s = new Story().seen(10).seen(20);
    tell(s);
    t.equal(s.graph.rdma.peerOf(life(s, A)) === life(s, B), fit, name);
    t.equal(s.graph.rdma.peerOf(life(s, B)) === life(s, A), fit, `${name}: back`);
  }
});

t.test('two containers with one address: nobody is picked', async (t) => {
  const s = new Story().seen(10).seen(20).seen(30);
  const twin: End = { pid: 30, device: 'mlx5_0', qpn: B.qpn };
  for (const end of [B, twin]) {
    qp(s, end, { change: 'create', state: 'RESET' });
    qp(s, end, { local: AT.rxe1, remote: AT.rxe0, remoteQpn: A.qpn });
  }
  connected(s, A, AT.rxe1, B.qpn);
  t.equal(s.graph.rdma.peerOf(life(s, A)), undefined);
});

t.test('a number that is used again is another queue pair, and its peer knows which it was', async (t) => {
  const s = pair(new Story().seen(10).seen(20).seen(30));
  const before = life(s, B);
  destroyed(s.later(1), B, true);
  connected(s.later(1), { ...B, pid: 30, generation: 2 }, AT.mlx5_0, 7);
  const now = life(s, B);
  t.not(now, before);
  t.equal(now.owner?.pid, 30);
  t.equal(now.failure, undefined);
  t.equal(s.graph.rdma.peerOf(life(s, A)), before);
  failed(s, B, 'RETRY_EXC_ERR');
  retry(s, B);
  t.equal(now.failure, undefined, 'what is told of the first use is not of the second');
  t.equal(now.windows.length, 0);
  t.same(edges(s, 'pid:20'), []);
  t.same(edges(s, 'pid:30'), [`Consumes ${idOf(B)}`]);
  t.same(unsound(s.graph), []);
});

t.test('… also when its destruction, or its creation, was lost', async (t) => {
  const s = pair(new Story().seen(10).seen(20).seen(30));
  const first = life(s, B);
  connected(s.later(5), { ...B, pid: 30, generation: 2 }, AT.mlx5_0, 7);
  t.equal(first.gone?.ts, s.now, 'gone when the number was given out anew, at the latest');
  retry(s.later(5), { ...B, pid: 20, generation: 3 });
  t.match(life(s, B), { generation: 3, owner: { pid: 20 } });
  t.same(edges(s, 'pid:30'), []);
  t.same(unsound(s.graph), []);
});

t.test('a run of retries is one as long as nothing is answered', async (t) => {
  const s = remote(new Story().seen(10));
  const began = s.later(100).now;
  unanswered(s, A, 3_000);
  t.match(life(s, A).run, { since: began, retries: 9, timeouts: 9, rnr: 0 });
  t.same(edges(s, idOf(A)), ['BlockedBy peer:10.0.0.9', `Consumes ${portOf('rxe0')}`]);
  retry(s.later(10), A, { retries: 0, timeouts: 0 });
  t.equal(life(s, A).run, undefined);
  t.match(life(s, A).lastRun, { since: began, until: s.now });
  t.same(edges(s, idOf(A)), [`Consumes ${portOf('rxe0')}`]);
  t.equal(
    life(s, A).windows.reduce((sum, { retries }) => sum + retries, 0),
    1,
    'however often it tried, one thing was lost',
  );
});

t.test('a failure: the completion says most, whoever tells first', async (t) => {
  for (const order of ['error first', 'completion first']) {
    const s = unanswered(remote(new Story().seen(10)), A, 2_000);
    const began = life(s, A).run?.since;
    const tell = [
      () => qp(s, A, { change: 'error', state: 'ERR' }),
      () => failed(s, A, 'RETRY_EXC_ERR'),
      () => async(s, idOf(A), 'rxe0', 'QP_FATAL'),
    ];
    if (order === 'completion first') tell.reverse();
    for (const one of tell) one();
    t.match(
      life(s, A).failure,
      { status: 'RETRY_EXC_ERR', async: 'QP_FATAL', since: began, ts: s.now },
      order,
    );
    failed(s, A, 'WR_FLUSH_ERR');
    t.equal(life(s, A).failure?.facts.length, 3, 'what is flushed after it says nothing');
    qp(s, A, { state: 'RESET' });
    t.equal(life(s, A).failure, undefined, 'made ready for another connection');
    t.equal(life(s, A).attrs.remoteQpn, undefined);
  }
});

t.test('a port: when it fell, told by two sources once; who is held up by it', async (t) => {
  const s = remote(port(new Story().seen(10), 'rxe0'));
  async(s.later(50), portOf('rxe0'), 'rxe0', 'PORT_ERR', 1);
  const fell = s.now;
  t.match(portNode(s).down, { state: 'PORT_ERR', since: fell, seen: true });
  port(s.later(400), 'rxe0', { state: 'DOWN', physState: 'Disabled', flapTimes: [s.now - 390], flaps: 1 });
  t.match(portNode(s).down, { state: 'DOWN', since: fell });
  t.same(portNode(s).falls, [fell]);
  t.ok(edges(s, idOf(A)).includes(`BlockedBy ${portOf('rxe0')}`));
  remote(s.seen(11), { pid: 11, device: 'rxe0', qpn: 60 });
  t.ok(edges(s, 'qp:rxe0/60').includes(`BlockedBy ${portOf('rxe0')}`), 'one that is made meanwhile');
  async(s.later(2_000), portOf('rxe0'), 'rxe0', 'PORT_ACTIVE', 1);
  t.equal(portNode(s).down, undefined);
  t.match(portNode(s).lastDown, { since: fell, until: s.now });
  t.same(edges(s, idOf(A)), [`Consumes ${portOf('rxe0')}`]);
  for (let i = 0; i < 100; i++) port(port(s.later(2_000), 'rxe0', { state: 'INIT' }).later(2_000), 'rxe0');
  t.ok(portNode(s).falls.length <= 64);
  port(s.later(700_000), 'rxe0', { state: 'DOWN' });
  t.equal(portNode(s).falls.length, 1, 'of the last ten minutes');
  t.same(unsound(s.graph), []);
});

t.test('a port that was down at first sight: for how long is not known', async (t) => {
  const s = port(new Story(), 'rxe0', { state: 'DOWN' });
  t.match(portNode(s).down, { seen: false });
  t.same(portNode(s).falls, []);
});

t.test('a device that is renamed did not fall, in whichever order that is told', async (t) => {
  const now = { device: 'rxe9', port: 1, state: 'ACTIVE', driver: 'rdma_rxe', netdev: 'net_rxe0' } as const;
  const rows: readonly (readonly [string, (s: Story) => unknown])[] = [
    [
      'gone, then there',
      (s) => port(s, 'rxe0', { state: 'GONE' }).say('rdma.port', 'rdma:rxe9/1', 1, now, 'rdma'),
    ],
    [
      'there, then gone',
      (s) => port(s.say('rdma.port', 'rdma:rxe9/1', 1, now, 'rdma'), 'rxe0', { state: 'GONE' }),
    ],
  ];
  for (const [name, tell] of rows) {
    const s = port(new Story(), 'rxe0');
    tell(s.later(1_000));
    t.match(portNode(s), { down: undefined, renamed: 'rdma:rxe9/1', falls: [] }, name);
  }
  const other = port(port(new Story(), 'rxe0'), 'rxe1');
  port(other, 'rxe0', { state: 'GONE' });
  t.match(portNode(other), { down: { state: 'GONE' }, renamed: undefined }, 'another device stays another');
});

t.test('DEVICE_FATAL is of all its ports, until one is active again', async (t) => {
  const s = port(port(new Story(), 'rxe0'), 'rxe1');
  async(s, 'rdma:rxe0', 'rxe0', 'DEVICE_FATAL');
  t.ok(portNode(s).fatal);
  t.equal(portNode(s, portOf('rxe1')).fatal, undefined);
  port(s.later(1), 'rxe0');
  t.equal(portNode(s).fatal, undefined);
});

t.test('counters: a minute of them, nothing of before a reset', async (t) => {
  const s = port(new Story(), 'rxe0');
  for (let i = 0; i < 90; i++) grew(s.later(1_000), 'rxe0', { timeouts: 1 });
  t.ok(portNode(s).windows.length <= 61);
  t.equal(portNode(s).windows.at(-1)?.fact.detail, 'timeouts +1');
  grew(s, 'rxe0', { timeouts: 2 }, { reset: true });
  t.equal(portNode(s).windows.length, 1);
});

t.test('connections: one story per address and pause, and over when one is made', async (t) => {
  const s = new Story().seen(10);
  cm(cm(s, 10, 'UNREACHABLE').later(1_000), 10, 'UNREACHABLE');
  t.match(s.graph.process(10)?.rdma?.connect, { count: 2, since: T0 });
  t.same(edges(s, 'pid:10'), ['BlockedBy peer:10.0.0.9']);
  cm(s, 10, 'REJECTED', { remote: '10.0.0.7' });
  t.match(s.graph.process(10)?.rdma?.connect, { count: 1, event: 'REJECTED' });
  t.same(edges(s, 'pid:10'), ['BlockedBy peer:10.0.0.7']);
  cm(s, 10, 'ESTABLISHED', { status: 0 });
  t.ok(s.graph.process(10)?.rdma?.connect, 'to somebody else');
  cm(s, 10, 'CONNECT_RESPONSE', { status: 0, remote: '10.0.0.7' });
  t.equal(s.graph.process(10)?.rdma?.connect, undefined);
  t.same(edges(s, 'pid:10'), []);
});

t.test('posts of an older process of that number are not of this queue pair', async (t) => {
  const s = remote(new Story().seen(10));
  posts(s, { ...A, pid: 99 });
  t.equal(life(s, A).posts, undefined);
  posts(s, A);
  t.equal(life(s, A).posts?.attrs.posts, 5);
});

t.test('nobody looks at posts any more: what was outstanding then is nothing to go by', async (t) => {
  const s = posts(remote(new Story().seen(10)), A, { outstanding: 4, oldest: 1 });
  t.equal(life(s, A).posts?.attrs.outstanding, 4);
  posts(s, A, { outstanding: 4, oldest: 1, stopped: true });
  t.equal(life(s, A).posts, undefined);
});

t.test('the queue pairs that a process has now', async (t) => {
  const s = pair(new Story().seen(10).seen(20));
  t.equal(queuePairsOf(s.graph.process(10)), 1);
  destroyed(s, A);
  t.equal(queuePairsOf(s.graph.process(10)), 0, 'gone');
  t.equal(queuePairsOf(s.exited(20, { signal: 'SIGKILL' }).graph.process(20)), 0, 'ended');
  t.equal(queuePairsOf(undefined), 0);
});

t.test('what is over ages out, what lives stays', async (t) => {
  const s = pair(port(port(new Story({ keepMs: 5_000 }).seen(10).seen(20), 'rxe0'), 'rxe1'));
  destroyed(s.exited(20, { signal: 'SIGKILL' }), B, true);
  for (let i = 0; i < 30; i++) s.later(1_000).runs(10).pass();
  t.notOk(s.graph.nodes.has(idOf(B)));
  t.ok(s.graph.nodes.has(idOf(A)));
  t.ok(s.graph.nodes.has(portOf('rxe1')));
  port(s, 'rxe1', { state: 'GONE' });
  for (let i = 0; i < 30; i++) s.later(1_000).runs(10).pass();
  t.notOk(s.graph.nodes.has(portOf('rxe1')));
  t.equal(s.graph.rdma.ports.size, 1);
});

t.test('a thousand queue pairs of one process', async (t) => {
  const s = port(new Story().seen(10), 'rxe0');
  for (let qpn = 100; qpn < 1_100; qpn++) remote(s, { ...A, qpn }, qpn);
  t.equal(edges(s, 'pid:10').length, 1_000);
  port(s.later(1_000), 'rxe0', { state: 'DOWN' });
  t.equal(portNode(s).in.length, 2_000);
  t.equal(s.runs(10).pass().why(10)?.rootCause?.node, portOf('rxe0'));
  for (let qpn = 100; qpn < 1_100; qpn++) destroyed(s, { ...A, qpn });
  t.equal(portNode(s).in.length, 0, 'those that are gone use it no more');
  t.same(unsound(s.graph), []);
});

/** A pair is mutual, fits, and neither end has another. */
t.test('pairs are pairs, whatever is said in whatever order', async (t) => {
  const end: fc.Arbitrary<End> = fc.record({
    pid: fc.integer({ min: 1, max: 3 }),
    device: fc.constantFrom('rxe0', 'rxe1'),
    qpn: fc.integer({ min: 1, max: 3 }),
    generation: fc.integer({ min: 1, max: 3 }),
  });
  type Deed = (s: Story) => unknown;
  const deed: fc.Arbitrary<Deed> = fc.oneof(
    fc.tuple(end, end).map(
      ([a, b]): Deed =>
        (s) =>
          pair(s, a, b),
    ),
    fc.tuple(end, end).map(
      ([a, b]): Deed =>
        (s) =>
          connected(s, a, AT[b.device], b.qpn),
    ),
    end.map(
      (a): Deed =>
        (s) =>
          destroyed(s, a),
    ),
    end.map(
      (a): Deed =>
        (s) =>
          qp(s, a, { state: 'RESET' }),
    ),
  );
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 30 }), (deeds) => {
      const s = new Story();
      for (const one of deeds) {
        one(s.later(1));
        for (const node of s.graph.nodes.values()) {
          if (node.type !== 'qp' || node.life.gone !== undefined) continue;
          const peer = s.graph.rdma.peerOf(node.life);
          if (peer === undefined) continue;
          assert.equal(peer.attrs.remoteQpn, node.life.attrs.qpn);
          assert.equal(node.life.attrs.remoteQpn, peer.attrs.qpn);
          if (peer.gone === undefined) assert.equal(s.graph.rdma.peerOf(peer), node.life);
        }
        assert.deepEqual(unsound(s.graph), []);
      }
    }),
    { numRuns: runs(300) },
  );
  t.pass();
});
