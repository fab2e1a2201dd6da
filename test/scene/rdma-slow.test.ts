/** `why` where RDMA is slowed: losses, a peer that is often not ready, flapping; and devices that count by port alone. */
import type { Story } from './build.js';
import {
  A,
  cm,
  ELSEWHERE,
  type End,
  grew,
  idOf,
  lossy,
  pair,
  port,
  portOf,
  posts,
  remote,
  retry,
  spins,
} from './rdma-story.js';
import { table } from './table.js';

const QP = idOf(A);
const M: End = { pid: 10, device: 'mlx5_0', qpn: 101 };
const OF_OTHER: End = { pid: 20, device: 'mlx5_0', qpn: 102 };
const PORT = portOf('mlx5_0');

function soft(s: Story): Story {
  return remote(port(s.seen(10), 'rxe0')).later(5_000);
}

/** A real adapter: it tells nothing of its queue pairs. */
function hard(s: Story, ...ends: readonly End[]): Story {
  port(s.seen(10), 'mlx5_0');
  for (const end of [M, ...ends]) remote(s, end, end.qpn + 900);
  return s.later(5_000);
}

function again(s: Story, seconds: number, counters: Parameters<typeof grew>[2]): Story {
  for (let i = 0; i < seconds; i++) grew(s.later(1_000), 'mlx5_0', counters);
  return s;
}

table([
  {
    name: 'packets are lost and sent again, all the time',
    tell: (s) => spins(lossy(soft(s), A, 6), 10),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkDrop',
      root: QP,
      chain: ['pid:10', QP, `error:loss/${QP}`],
      confidence: 0.75,
      summary: /^packets to 10\.0\.0\.9 QP 44 are lost: 24 retries in the last 6\.0 s, 6 by timeout$/,
    },
  },
  {
    name: 'a lost packet whose retry takes a second is a loss, not a path that is down',
    tell: (s) => {
      lossy(soft(s), A, 6);
      retry(s, A, { retries: 1, timeouts: 1, since: s.now }).later(1_200).runs(10).pass();
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'NetworkDrop', root: QP },
  },
  {
    name: '… as it is told while it is lost: the last retry of each record is not answered yet',
    tell: (s) => {
      soft(s);
      for (let i = 0; i < 6; i++) retry(s.later(1_000), A, { retries: 4, timeouts: 1, since: s.now - 70 });
      s.later(500).runs(10).pass();
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkDrop',
      root: QP,
      summary: /24 retries in the last 5\.5 s/,
    },
  },
  {
    name: 'decoy: a clean run retries a few times, too',
    tell: (s) => spins(lossy(soft(s), A, 4, 1), 10),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'decoy: a burst of losses and no more',
    tell: (s) => spins(retry(soft(s), A, { retries: 40 }).later(1_000), 10),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'a peer that runs out of receives again and again, and takes some in between',
    tell: (s) => {
      soft(s);
      for (let i = 0; i < 5; i++) retry(s.later(1_000), A, { retries: 0, timeouts: 0, rnr: 3 });
      spins(s, 10);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkStall/PeerSlow',
      confidence: 0.72,
      root: QP,
      summary: /runs out of posted receives: 15 RNR NAKs in the last 5\.0 s; the path works/,
    },
  },
  {
    name: '… and it is on this node and short of CPU time for a reason of its own',
    tell: (s) => {
      pair(port(s.seen(10).seen(20), 'rxe0')).later(5_000);
      for (let i = 0; i < 5; i++) retry(s.later(1_000), A, { retries: 0, timeouts: 0, rnr: 3 });
      spins(s.frozen(20), 10, [20]);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessBlocked/Stopped',
      root: 'pid:20',
      chain: ['pid:10', QP, 'pid:20'],
    },
  },
  {
    name: 'retries after each fall of a link that flaps',
    tell: (s) => {
      soft(s);
      for (let i = 0; i < 3; i++) {
        port(s.later(15_000), 'rxe0', { state: 'DOWN' });
        port(s.later(1_000), 'rxe0');
        retry(s.later(500), A);
      }
      spins(s, 10);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkDrop/LinkFlapping',
      root: portOf('rxe0'),
      chain: ['pid:10', QP, portOf('rxe0'), `error:link-flapping/${portOf('rxe0')}`],
      summary: /^the link of rdma:rxe0\/1 \(net_rxe0\) flaps: down 3 times within .*, last .* ago \(/,
    },
  },
  {
    name: 'the probe has counted more falls than were seen',
    tell: (s) => {
      const at = [s.now - 90_000, s.now - 30_000, s.now - 4_000].map((ms) => ms + 5_000);
      port(soft(s), 'rxe0', { flaps: 9, flapTimes: at });
      spins(retry(s, A), 10);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkDrop/LinkFlapping',
      root: portOf('rxe0'),
      summary: /down 9 times/,
    },
  },
  {
    name: 'decoy: a link that fell twice, minutes ago',
    tell: (s) => {
      soft(s);
      for (let i = 0; i < 2; i++) port(port(s.later(1_000), 'rxe0', { state: 'DOWN' }).later(1_000), 'rxe0');
      spins(retry(s, A).later(120_000), 10);
    },
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'by port: time-outs, and it has the only queue pair there',
    tell: (s) => spins(again(hard(s), 4, { timeouts: 3 }), 10),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkStall/PathDown',
      root: PORT,
      chain: ['pid:10', idOf(M), PORT, `error:retries/${PORT}`],
      confidence: 0.82,
      summary: /^rdma:mlx5_0\/1 \(net_mlx5_0\): 12 requests without an answer in time in the last 5\.0 s$/,
    },
  },
  {
    name: 'by port: of several queue pairs of one process it may be any',
    tell: (s) => spins(again(hard(s, { ...M, qpn: 103 }), 4, { timeouts: 3 }), 10),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkStall/PathDown',
      root: PORT,
      confidence: 0.72,
      summary: /; it may be any of 2 queue pairs of 10 \(p10\), to 10\.0\.0\.9$/,
    },
  },
  {
    name: 'by port: of several processes it may be any: a symptom',
    tell: (s) => spins(again(hard(s.seen(20), OF_OTHER), 4, { timeouts: 3 }), 10, [20]),
    ask: 10,
    expect: {
      verdict: 'symptom-only',
      scene: 'NetworkStall/PathDown',
      chain: ['pid:10', idOf(M), PORT],
      summary: /it may be any of 2 queue pairs of 10 \(p10\), 20 \(p20\), to 10\.0\.0\.9$/,
    },
  },
  {
    name: '… unless its work requests are known not to be done',
    tell: (s) => {
      again(hard(s.seen(20), OF_OTHER), 4, { timeouts: 3 });
      spins(posts(s, M, { outstanding: 4, oldest: s.now - 4_000 }), 10, [20]);
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'NetworkStall/PathDown', root: PORT, confidence: 0.82 },
  },
  {
    name: 'by port: packets missing in sequence, and errors of the link',
    tell: (s) => spins(again(hard(s), 4, { outOfOrder: 5, timeouts: 1, linkErrors: 2 }), 10),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkDrop',
      root: PORT,
      summary: /20 packets missing in sequence, 4 time-outs \(and 8 link errors\)/,
    },
  },
  {
    name: 'by port: a peer that is not ready',
    tell: (s) => spins(again(hard(s), 4, { rnrReceived: 50 }), 10),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkStall/PeerSlow',
      root: PORT,
      summary: /200 RNR NAKs: a peer has no receive posted/,
    },
  },
  {
    name: 'by port: it gave up once, and that is enough',
    tell: (s) => spins(again(hard(s), 1, { gaveUp: 1 }), 10),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkStall/PathDown',
      root: PORT,
      summary: /gave up once: retries exceeded/,
    },
  },
  {
    name: 'decoy: by port, one look with time-outs',
    tell: (s) => spins(again(hard(s), 1, { timeouts: 30 }), 10),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'decoy: by port, and that was a while ago',
    tell: (s) => spins(again(hard(s), 4, { timeouts: 3 }).later(20_000), 10),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'decoy: the counters of a port whose device tells of each queue pair',
    tell: (s) => {
      soft(s);
      for (let i = 0; i < 5; i++) grew(s.later(1_000), 'rxe0', { retries: 9, outOfOrder: 3 });
      spins(s, 10);
    },
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'decoy: a counter that was reset says nothing of before',
    tell: (s) =>
      spins(grew(again(hard(s), 3, { timeouts: 3 }), 'mlx5_0', { timeouts: 1 }, { reset: true }), 10),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'congestion is a suspicion, for whoever waits and nobody knows for what',
    tell: (s) => again(hard(s), 4, { cnpHandled: 2_000 }).futex(10).pass(),
    ask: 10,
    expect: {
      verdict: 'symptom-only',
      scene: 'NetworkStall/Congestion',
      chain: ['pid:10', idOf(M), PORT],
      summary: /2000 congestion notifications a second: the fabric may be congested/,
    },
  },
  {
    name: 'decoy: congestion under a process that gets on',
    tell: (s) => spins(again(hard(s), 4, { cnpHandled: 2_000 }), 10),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'it tries to connect again and again',
    tell: (s) => {
      s.seen(10);
      for (let i = 0; i < 4; i++) cm(s.later(2_000), 10, 'UNREACHABLE');
      s.later(500).sleeps(10, { forMs: 400 }).pass();
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkStall/ConnectFails',
      root: `peer:${ELSEWHERE}`,
      summary: /^10\.0\.0\.9 port 18515 cannot be reached by RDMA \(UNREACHABLE, -110, 4 tries in 6\.0 s\)$/,
    },
  },
  {
    name: 'it was refused, and ended',
    tell: (s) => cm(s.seen(10), 10, 'REJECTED', { status: 8 }).later(100).exited(10, { code: 255 }),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkStall/Refused',
      root: `peer:${ELSEWHERE}`,
      summary: /^exited with code 255: 10\.0\.0\.9 port 18515 refuses RDMA connections/,
    },
  },
  {
    name: 'decoy: it failed to connect, and then got through',
    tell: (s) => {
      s.seen(10);
      for (let i = 0; i < 4; i++) cm(s.later(2_000), 10, 'UNREACHABLE');
      cm(s, 10, 'ESTABLISHED', { status: 0 }).later(500).sleeps(10).pass();
    },
    ask: 10,
    expect: { verdict: 'healthy' },
  },
]);
