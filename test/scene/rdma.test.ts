/** `why` where a queue pair stands still: no answer, a port that is down, a peer that is gone or takes nothing. */
import t from 'tap';
import { Story } from './build.js';
import {
  A,
  async,
  AT,
  B,
  connected,
  destroyed,
  ELSEWHERE,
  failed,
  idOf,
  lossy,
  notReady,
  pair,
  port,
  portOf,
  posts,
  qp,
  remote,
  retry,
  sleepsOnChannel,
  spins,
  unanswered,
} from './rdma-story.js';
import { table } from './table.js';

const PATH_DOWN = 'NetworkStall/PathDown';
const PEER_SLOW = 'NetworkStall/PeerSlow';
const PORT_DOWN = 'NetworkDrop/PortDown';
const QP = idOf(A);

/** Both ends run on this node, on ports that are up. */
function world(s: Story): Story {
  port(port(s.seen(10).seen(20), 'rxe0'), 'rxe1');
  return pair(s).later(5_000);
}

function alone(s: Story): Story {
  return remote(port(s.seen(10), 'rxe0')).later(5_000);
}

table([
  {
    name: 'nobody answers, and the process polls',
    tell: (s) => spins(unanswered(alone(s), A, 4_000), 10),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: PATH_DOWN,
      root: QP,
      chain: ['pid:10', QP, `error:no-answer/${QP}`],
      confidence: 0.93,
      summary:
        /^no answer from 10\.0\.0\.9 QP 44 for 5\.0 s: 12 retries in a row \(12 by the ACK timer of 67 ms\)$/,
    },
  },
  {
    name: 'nobody answers, and the process sleeps on its completion channel',
    tell: (s) => sleepsOnChannel(unanswered(alone(s), A, 4_000), 10, 4_000),
    ask: 10,
    expect: { verdict: 'cause-found', scene: PATH_DOWN, root: QP, confidence: 0.93 },
  },
  {
    name: 'the first retry may still be answered',
    tell: (s) => retry(alone(s), A, { retries: 1, timeouts: 1, since: s.now }).later(1_100).runs(10).pass(),
    ask: 10,
    expect: { verdict: 'cause-found', scene: PATH_DOWN, root: QP, confidence: 0.75 },
  },
  {
    name: 'it gave up: retries exceeded, and the process waits on',
    tell: (s) => {
      failed(unanswered(alone(s), A, 2_000, { retriesLeft: 0 }), A, 'RETRY_EXC_ERR');
      qp(s, A, { change: 'error', state: 'ERR' });
      s.later(3_000).futex(10).pass();
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: PATH_DOWN,
      root: QP,
      chain: ['pid:10', QP, `error:retry-exceeded/${QP}`],
      confidence: 0.95,
      summary: /^gave up on 10\.0\.0\.9 QP 44 3\.0 s ago: no answer, retries exceeded \(RETRY_EXC_ERR\)$/,
    },
  },
  {
    name: 'it gave up, and the process ended with an error',
    tell: (s) => {
      failed(unanswered(alone(s), A, 2_000), A, 'RETRY_EXC_ERR')
        .later(200)
        .exited(10, { code: 1 });
      destroyed(s, A, true).later(1_000);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: PATH_DOWN,
      root: QP,
      summary: /^exited with code 1: gave up on 10\.0\.0\.9 QP 44/,
    },
  },
  {
    name: 'it never gave up; the process did',
    tell: (s) => {
      destroyed(unanswered(alone(s), A, 8_000), A).exited(10, { code: 1 });
      s.later(2_000);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: PATH_DOWN,
      root: QP,
      summary: /^exited with code 1: no answer .* for 8\.0 s/,
    },
  },
  {
    name: 'the peer takes nothing: not the network, the process there',
    tell: (s) => spins(notReady(alone(s), A, 4_000), 10),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: PEER_SLOW,
      root: `peer:${ELSEWHERE}`,
      chain: ['pid:10', QP, `peer:${ELSEWHERE}`, `error:rnr/peer:${ELSEWHERE}`],
      confidence: 0.9,
      summary: /^10\.0\.0\.9 QP 44 has had no receive posted for 5\.0 s \(32 RNR NAKs\): the path works/,
    },
  },
  {
    name: '… and the peer is on this node, stopped',
    tell: (s) => {
      notReady(world(s), A, 4_000).stopped(20);
      spins(s, 10, [20]);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessBlocked/Stopped',
      root: 'pid:20',
      chain: ['pid:10', QP, 'pid:20'],
      confidence: 0.97,
    },
  },
  {
    name: '… and the peer is on this node and sleeps',
    tell: (s) => {
      notReady(world(s), A, 4_000).sleeps(20);
      spins(s, 10, [20]);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: PEER_SLOW,
      root: 'pid:20',
      chain: ['pid:10', QP, 'pid:20'],
      summary: /^20 \(p20\) has had no receive posted on QP 18 of rxe1 for 5\.0 s \(32 RNR NAKs\): it sleeps/,
    },
  },
  {
    name: '… and the peer waits on another process, which is stopped',
    tell: (s) => {
      notReady(world(s).seen(30), A, 4_000).reads(20, 7).holders('pipe:7', 30).stopped(30);
      spins(s, 10, [20, 30]);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessBlocked/Stopped',
      root: 'pid:30',
      chain: ['pid:10', QP, 'pid:20', 'pipe:7', 'pid:30'],
    },
  },
  {
    name: 'the peer is on this node and was killed',
    tell: (s) => {
      destroyed(world(s).exited(20, { signal: 'SIGKILL' }), B, true).later(70);
      spins(unanswered(s, A, 3_000), 10);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessCrash/Signal',
      root: 'pid:20',
      chain: ['pid:10', QP, 'pid:20'],
      confidence: 0.95,
      summary: /^its peer 20 \(p20\) on this node has died, 4\.1 s ago: killed by SIGKILL \(signal 9\)$/,
    },
  },
  {
    name: '… and its number belongs to another process by now',
    tell: (s) => {
      destroyed(world(s).exited(20, { signal: 'SIGKILL' }), B, true).later(70);
      const again = { ...B, pid: 30, generation: 2 };
      connected(s.seen(30), again, AT.rxe0, 99);
      spins(unanswered(s, A, 3_000), 10);
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessCrash/Signal', root: 'pid:20' },
  },
  {
    name: '… and a child of it keeps the queue pair open: whoever served it is dead',
    tell: (s) => {
      notReady(world(s).exited(20, { signal: 'SIGKILL' }).later(70), A, 3_000);
      spins(s, 10);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessCrash/Signal',
      root: 'pid:20',
      chain: ['pid:10', QP, 'pid:20'],
      summary: /killed by SIGKILL \(signal 9\); a child of it, most likely, still has QP 18 of rxe1 open$/,
    },
  },
  {
    name: '… which takes what is sent, and never answers',
    tell: (s) => sleepsOnChannel(world(s).exited(20, { signal: 'SIGKILL' }).later(5_000), 10).pass(),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessCrash/Signal', root: 'pid:20', confidence: 0.95 },
  },
  {
    name: 'the peer is on this node and ended well, too early',
    tell: (s) => {
      destroyed(world(s).exited(20), B, true).later(70);
      spins(unanswered(s, A, 3_000), 10);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkStall/PeerEnded',
      root: QP,
      summary: /^its peer 20 \(p20\) on this node ended 4\.1 s ago \(exit code 0\)/,
    },
  },
  {
    name: 'the peer lives and has closed its end',
    tell: (s) => spins(unanswered(destroyed(world(s), B).later(70).runs(20), A, 3_000), 10, [20]),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkStall/PeerEnded',
      root: 'pid:20',
      chain: ['pid:10', QP, 'pid:20'],
      summary: /^20 \(p20\) destroyed its end \(QP 18 of rxe1\) 4\.1 s ago/,
    },
  },
  {
    name: 'the peer died long after the path went down: it died of the same',
    tell: (s) => {
      unanswered(world(s), A, 4_000);
      destroyed(s.exited(20, { code: 1 }), B, true);
      spins(retry(s, A, { since: s.now - 4_000 }), 10);
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: PATH_DOWN, root: QP },
  },
  {
    name: 'both ends are here, both live, and nothing gets through',
    tell: (s) => spins(unanswered(world(s).runs(20), A, 4_000), 10, [20]),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: PATH_DOWN,
      root: QP,
      summary: /; its peer is 20 \(p20\) on this node, which lives$/,
    },
  },
  {
    name: 'the other end is cut off: what it sends to this one does not arrive',
    tell: (s) => {
      unanswered(world(s).runs(20), B, 4_000);
      sleepsOnChannel(s, 10, 6_000).runs(20).pass();
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: PATH_DOWN,
      root: idOf(B),
      chain: ['pid:10', QP, idOf(B), `error:no-answer/${idOf(B)}`],
    },
  },
  {
    name: 'the port is down',
    tell: (s) => {
      port(alone(s), 'rxe0', { state: 'DOWN', physState: 'Disabled', since: s.now });
      spins(unanswered(s, A, 3_000), 10);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: PORT_DOWN,
      root: portOf('rxe0'),
      chain: ['pid:10', QP, portOf('rxe0'), `error:port-down/${portOf('rxe0')}`],
      confidence: 0.95,
      summary: /^port rdma:rxe0\/1 \(net_rxe0\) is DOWN \(Disabled\), for 4\.0 s$/,
    },
  },
  {
    name: 'the port is down, which only the driver has said so far, and the device refuses the request at once',
    tell: (s) => {
      async(alone(s), portOf('rxe0'), 'rxe0', 'PORT_ERR', 1);
      failed(s.later(200), A, 'LOC_QP_OP_ERR');
      s.later(500).runs(10).pass();
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: PORT_DOWN,
      root: portOf('rxe0'),
      summary: /is down, for 700 ms$/,
    },
  },
  {
    name: 'the port of the other end is down',
    tell: (s) => {
      port(world(s).runs(20), 'rxe1', { state: 'DOWN' });
      spins(unanswered(s, A, 3_000), 10, [20]);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: PORT_DOWN,
      root: portOf('rxe1'),
      chain: ['pid:10', QP, portOf('rxe1'), `error:port-down/${portOf('rxe1')}`],
    },
  },
  {
    name: 'a port that is down, of a device that tells nothing of its queue pairs',
    tell: (s) => {
      const end = { ...A, device: 'mlx5_0' } as const;
      remote(port(s.seen(10), 'mlx5_0'), end).later(5_000);
      port(s, 'mlx5_0', { state: 'DOWN' });
      s.later(2_000).futex(10).pass();
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: PORT_DOWN, root: portOf('mlx5_0'), confidence: 0.8 },
  },
  {
    name: 'the device of the other end was taken away',
    tell: (s) => {
      port(destroyed(world(s).runs(20), B), 'rxe1', { state: 'GONE' });
      spins(unanswered(s.later(70), A, 3_000), 10, [20]);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: PORT_DOWN,
      root: portOf('rxe1'),
      summary: /is GONE \(LinkUp\), for 4\.1 s$/,
    },
  },
  {
    name: 'a port that is down under a queue pair that was there before the agent',
    tell: (s) => {
      const end = { ...A, device: 'mlx5_0' } as const;
      qp(port(s.seen(10), 'mlx5_0'), end, { change: 'seen', state: 'UNKNOWN' }).later(5_000);
      port(s, 'mlx5_0', { state: 'DOWN' });
      s.later(2_000).futex(10).pass();
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: PORT_DOWN, root: portOf('mlx5_0') },
  },
  {
    name: 'the port was down when it gave up, and is up again: the link flaps',
    tell: (s) => {
      alone(s);
      for (let i = 0; i < 3; i++) {
        port(s.later(20_000), 'rxe0', { state: 'DOWN' });
        port(s.later(2_000), 'rxe0');
      }
      failed(s.later(500), A, 'RETRY_EXC_ERR').later(1_000).runs(10).pass();
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkDrop/LinkFlapping',
      root: portOf('rxe0'),
      summary:
        /was DOWN for 2\.0 s until .*; its link flaps: down 3 times within 47\.5 s, last 3\.5 s ago \(.*Z, .*Z, .*Z\)$/,
    },
  },
  {
    name: 'the driver gave the device up',
    tell: (s) => {
      async(alone(s), 'rdma:rxe0', 'rxe0', 'DEVICE_FATAL');
      spins(unanswered(s, A, 2_000), 10);
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'NetworkDrop/DeviceFatal', root: portOf('rxe0') },
  },
  {
    name: 'a work request that the peer refused',
    tell: (s) => failed(alone(s), A, 'REM_ACCESS_ERR').later(2_000).futex(10).pass(),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkStall/QpError',
      root: QP,
      summary: /went into error 2\.0 s ago: REM_ACCESS_ERR: the peer refused access/,
    },
  },
  {
    name: 'the peer, on this node, went into error first: it drops what it is sent',
    tell: (s) => {
      failed(world(s).runs(20), B, 'LOC_LEN_ERR').later(300);
      spins(unanswered(s, A, 3_000), 10, [20]);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkStall/QpError',
      root: idOf(B),
      chain: ['pid:10', QP, idOf(B), `error:qp-error/${idOf(B)}`],
      summary: /LOC_LEN_ERR: a message was longer than the receive/,
    },
  },
  {
    name: 'through a pipe to the worker whose queue pair gets no answer',
    tell: (s) =>
      spins(
        unanswered(alone(s).seen(40).reads(40, 9, { forMs: 9_000 }).holders('pipe:9', 10), A, 4_000),
        10,
        [40],
      ),
    ask: 40,
    expect: {
      verdict: 'cause-found',
      scene: PATH_DOWN,
      root: QP,
      chain: ['pid:40', 'pipe:9', 'pid:10', QP, `error:no-answer/${QP}`],
    },
  },
  {
    name: 'several queue pairs are in trouble: the first, and how many more',
    tell: (s) => {
      alone(s);
      const more = [30, 31, 32].map((qpn) => ({ ...A, qpn }));
      for (const end of more) remote(s, end, end.qpn);
      const since = s.later(3_000).now;
      for (const end of [A, ...more]) retry(s, end, { since: since - (end === A ? 2_000 : 1_500) });
      spins(s, 10);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: PATH_DOWN,
      root: QP,
      confidence: 0.93,
      summary: /; 3 more queue pairs of it are in trouble$/,
    },
  },
  {
    name: 'one of several is in trouble and the process uses the CPU: it may get on',
    tell: (s) => {
      remote(alone(s), { ...A, qpn: 30 }, 31);
      spins(unanswered(s, A, 3_000), 10);
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: PATH_DOWN, root: QP, confidence: 0.79 },
  },
  {
    name: 'the main thread waits on a lock whose owner polls for completions',
    tell: (s) => {
      const wait = { forMs: 4_000 };
      unanswered(alone(s), A, 4_000);
      s.lock(10, 0x10, 11, wait).runs(10, { tid: 11 }).pass();
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: PATH_DOWN, root: QP },
  },
  {
    name: 'another reason that began before goes first',
    tell: (s) => {
      s.seen(30).stopped(30, { forMs: 20_000 }).reads(10, 7, { forMs: 20_000 }).holders('pipe:7', 30);
      unanswered(alone(s), A, 3_000);
      s.pass([10, 30]);
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessBlocked/Stopped', root: 'pid:30', alternatives: [QP] },
  },
  {
    name: 'decoy: retries that were answered',
    tell: (s) => spins(lossy(alone(s), A, 3).later(6_000), 10),
    ask: 10,
    expect: { verdict: 'healthy', chain: [] },
  },
  {
    name: 'decoy: no answer for a while, and then there was one',
    tell: (s) => spins(retry(unanswered(alone(s), A, 4_000), A, { retries: 0, timeouts: 0 }), 10),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'decoy: RNR that drained',
    tell: (s) =>
      spins(retry(notReady(world(s), A, 4_000), A, { retries: 0, timeouts: 0 }).sleeps(20), 10, [20]),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'decoy: retries long ago, of which nothing was heard again',
    tell: (s) => spins(unanswered(alone(s), A, 4_000).later(60_000), 10),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'decoy: it gave up, and made itself another queue pair to the same peer',
    tell: (s) => {
      failed(unanswered(alone(s), A, 2_000), A, 'RETRY_EXC_ERR').later(1_000);
      spins(remote(s, { ...A, qpn: 30 }, 45), 10);
    },
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'decoy: an error long ago',
    tell: (s) => spins(failed(alone(s), A, 'RETRY_EXC_ERR').later(700_000), 10),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'decoy: a queue pair that failed and is gone',
    tell: (s) => spins(destroyed(failed(alone(s), A, 'RETRY_EXC_ERR'), A), 10),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'decoy: a port that is down and that this process does not use',
    tell: (s) => spins(port(alone(s), 'mlx5_0', { state: 'DOWN' }), 10),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'decoy: a process that put its queue pair into ERR itself',
    tell: (s) => spins(qp(unanswered(alone(s), A, 900), A, { state: 'ERR' }), 10),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'decoy: a server one of whose clients was killed goes on with the others',
    tell: (s) => {
      const other = { pid: 30, device: 'rxe1', qpn: 40 } as const;
      const serves = { ...A, qpn: 41 };
      pair(world(s).seen(30).sleeps(30), serves, other);
      destroyed(s.exited(20, { signal: 'SIGKILL' }), B, true).later(1_000);
      s.wait('wait.poll', 10, 'poll:10/10', { members: [{ fd: 5, entity: '[infinibandeven' }], nfds: 1 }, {});
      s.pass([30]);
    },
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'decoy: a server whose only client ended well',
    tell: (s) => {
      destroyed(world(s).exited(20), B, true).later(1_000);
      s.wait(
        'wait.poll',
        10,
        'poll:10/10',
        { members: [{ fd: 5, entity: '[infinibandevent]' }], nfds: 2 },
        {},
      );
      s.pass();
    },
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'the only peer is stopped, and the process polls for what it should send',
    tell: (s) => spins(world(s).stopped(20), 10, [20]),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessBlocked/Stopped',
      root: 'pid:20',
      chain: ['pid:10', QP, 'pid:20'],
      confidence: 0.82,
    },
  },
  {
    name: '… or sleeps until it comes',
    tell: (s) => sleepsOnChannel(world(s).stopped(20), 10).pass([20]),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessBlocked/Stopped', root: 'pid:20', confidence: 0.97 },
  },
  {
    name: 'the only peer was killed, and the process sleeps until something comes',
    tell: (s) => {
      destroyed(world(s).exited(20, { signal: 'SIGKILL' }), B, true).later(1_000);
      sleepsOnChannel(s, 10).pass();
    },
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessCrash/Signal', root: 'pid:20' },
  },
  {
    name: 'it sleeps for a completion, and nothing is known against anybody',
    tell: (s) => sleepsOnChannel(alone(s), 10).pass(),
    ask: 10,
    expect: {
      verdict: 'symptom-only',
      scene: PEER_SLOW,
      chain: ['pid:10', QP],
      summary: /waits for a completion on 1 queue pair to 10\.0\.0\.9; its own end shows no fault$/,
    },
  },
  {
    name: 'the kernel would not connect it, and it ended',
    tell: (s) => {
      qp(port(s.seen(10), 'rxe0'), A, { change: 'create', state: 'RESET' });
      qp(s, A, { state: 'INIT' });
      qp(s, A, { state: 'INIT', remote: ELSEWHERE, errno: 'ETIMEDOUT' }).later(20).exited(10, { code: 1 });
      destroyed(s, A, true);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkStall/ConnectFails',
      root: QP,
      summary: /^exited with code 1: the kernel would not connect QP 17 of rxe0 to 10\.0\.0\.9 \(ETIMEDOUT: /,
    },
  },
  {
    name: 'a process killed with queue pairs open was killed',
    tell: (s) => destroyed(unanswered(alone(s), A, 3_000).exited(10, { signal: 'SIGKILL' }), A, true),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessCrash/Signal', root: 'pid:10' },
  },
  {
    name: 'a renamed device is not a port that is down',
    tell: (s) => {
      alone(s);
      s.say(
        'rdma.port',
        'rdma:rxe9/1',
        100,
        { device: 'rxe9', port: 1, state: 'ACTIVE', driver: 'rdma_rxe', netdev: 'net_rxe0' },
        'rdma',
      );
      port(s, 'rxe0', { state: 'GONE' });
      spins(s, 10);
    },
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'posts alone are no trouble',
    tell: (s) => spins(posts(alone(s), A, { outstanding: 3, oldest: s.now - 5_000 }), 10),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
]);

t.test('findings: one root for all that hang on it, a port that is down first', async (t) => {
  const s = new Story();
  alone(s);
  s.seen(11);
  const other = { pid: 11, device: 'rxe0', qpn: 50 } as const;
  remote(s, other);
  port(s.later(2_000), 'rxe0', { state: 'DOWN' });
  for (const end of [A, other]) retry(s, end, { since: s.now });
  s.later(1_500).runs(10).runs(11).pass();
  const [first, ...rest] = s.findings().findings;
  t.equal(first?.rootCause?.node, portOf('rxe0'));
  t.match(first?.summary, /; 1 more process waits on it$/);
  t.same(rest, []);
});
