/** NetworkStall and NetworkDrop over TCP, and what NCCL waits for. */
import type { CommAttrs, EnqueueAttrs } from '../../../src/events/nccl.js';
import { closedWindow, flow, idOf, type Story, stuck } from '../../scene/build.js';
import { device, use, users } from '../../scene/gpu-story.js';
import { type RuleStories, told } from './story.js';

const A = flow(1);
const SYN = { ...flow(3), state: 'SYN_SENT', backoff: 3, retransmits: 3 };
const COMM = 'comm:00000000000000aa';

function down(s: Story): Story {
  return s
    .seen(10, { comm: 'trainer' })
    .receives(10, stuck(A, s.now - 12_000))
    .pass();
}

function linkDown(s: Story, agoMs: number): Story {
  s.now -= agoMs;
  s.say('topo.link_down', 'net:eth0', 1, { message: 'igb 0000:3b:00.0 eth0: Link is down' }, 'kmsg');
  return s.later(agoMs);
}

function linkUp(s: Story): Story {
  return s.say('topo.link_up', 'net:eth0', 1, { message: 'igb 0000:3b:00.0 eth0: Link is up' }, 'kmsg');
}

function lossy(s: Story): Story {
  return s.receives(10, s.loses(A, 5_000));
}

/** Its GPU is idle, and it tries to connect once a second. */
function tries(s: Story, count: number, more: { readonly errno?: string } = {}): Story {
  use(users(device(s.seen(10, { comm: 'trainer' })), 0, [10, 10]), 0, { gpuPercent: 90 });
  for (let i = 0; i <= 5; i++) use(s.later(1_000), 0, { gpuPercent: 0 });
  const owner = { created: { pid: 10, start: 10_000, how: 'connect' as const } };
  for (let i = 0; i < count; i++) {
    const attrs = { ...flow(i, { owner, state: 'CLOSE' }), errno: more.errno ?? 'ECONNREFUSED' };
    s.later(1_000).say('transport.connect_failed', idOf(attrs), 0, attrs, 'tcp');
  }
  return use(s, 0, { gpuPercent: 0 }).sleeps(10, { forMs: 200 }).pass();
}

function comm(s: Story, pid: number, rank: number, nranks: number): Story {
  const attrs: CommAttrs = {
    start: pid * 1_000,
    state: 'ready',
    call: 'ncclCommInitRank',
    tid: pid,
    handle: '0x7f00',
    result: 0,
    rank,
    nranks,
  };
  return s.say('nccl.comm', COMM, nranks, attrs, 'gpu-trace', pid);
}

function enqueued(s: Story, pid: number, rank: number, collectives: number): Story {
  const attrs: EnqueueAttrs = {
    start: pid * 1_000,
    handle: '0x7f00',
    collectives,
    p2p: 0,
    last: s.now,
    rank,
  };
  return s.say('nccl.enqueue', COMM, collectives, attrs, 'gpu-trace', pid);
}

function syncs(s: Story, pid: number, forMs: number): Story {
  const attrs = { start: pid * 1_000, tid: pid, what: 'cuStreamSynchronize', since: s.now - forMs };
  return s.say('wait.gpu', `pid:${pid}`, forMs, attrs, 'gpu-trace', pid);
}

/** Ranks 0 (10) and 1 (20); rank 0 has enqueued one more and spins. */
function ahead(s: Story): Story {
  s.seen(10, { comm: 'train' }).seen(20, { comm: 'train' });
  comm(comm(s, 10, 0, 2), 20, 1, 2);
  enqueued(enqueued(s, 10, 0, 57), 20, 1, 57);
  enqueued(s.runs(10, { runMs: 0 }).pass([20]), 10, 0, 58).later(12_000);
  return syncs(s.runs(10, { runMs: 11_800 }).pass([20]), 10, 12_000);
}

/** Rank 0 of four, alone on this node. */
function alone(s: Story): Story {
  enqueued(comm(s.seen(10, { comm: 'train' }), 10, 0, 4), 10, 0, 57).later(40_000);
  return syncs(s.runs(10), 10, 40_000);
}

function joins(s: Story, forMs: number): Story {
  s.say('nccl.comm', COMM, 4, commInit(s), 'gpu-trace', 10).later(forMs);
  return s.polls(10, ['other'], { forMs: forMs - 1_000 });
}

function commInit(s: Story): CommAttrs {
  s.seen(10, { comm: 'train' });
  const since = s.now;
  return { start: 10_000, state: 'init', call: 'ncclCommInitRank', tid: 10, rank: 0, nranks: 4, since };
}

export const NETWORK_STORIES: readonly RuleStories[] = [
  {
    rule: 'tcp-path-down',
    hit: told(10, 'NetworkStall/PathDown', (s) => down(s)),
    miss: told(10, 'NetworkStall/PathDown', (s) => s.seen(10).connects(10, SYN)),
  },
  {
    rule: 'tcp-path-down-since-link-fell',
    hit: told(10, 'NetworkStall/PathDown', (s) => down(linkDown(s, 13_000))),
    miss: told(10, 'NetworkStall/PathDown', (s) => down(linkDown(s, 700_000))),
  },
  {
    rule: 'net-link-flaps',
    hit: told(10, 'NetworkDrop', (s) => {
      s.seen(10);
      for (let i = 0; i < 3; i++) linkUp(linkDown(s.later(60_000), 0).later(2_000)).later(1_000);
      lossy(s);
    }),
    miss: told(10, 'NetworkDrop', (s) => lossy(linkUp(linkDown(s.seen(10), 0).later(2_000)).later(60_000))),
  },
  {
    rule: 'tcp-connect-unanswered',
    hit: told(10, 'NetworkStall/PathDown', (s) => s.seen(10).connects(10, SYN)),
    miss: told(10, 'NetworkStall/PathDown', (s) => down(s)),
  },
  {
    rule: 'tcp-zero-window',
    hit: told(10, 'NetworkStall/ZeroWindow', (s) => s.seen(10).sends(10, closedWindow(A))),
    miss: told(10, 'ProcessBlocked/Stopped', (s) =>
      s.seen(10).seen(20).sends(10, closedWindow(A)).stopped(20).holders(idOf(A), 20),
    ),
  },
  {
    rule: 'tcp-peer-slow',
    hit: told(10, 'NetworkStall/PeerSlow', (s) => s.seen(10, { comm: 'trainer' }).receives(10, A)),
    miss: told(10, 'NetworkStall/PathDown', (s) => down(s)),
  },
  {
    rule: 'tcp-connection-refused',
    hit: told(10, 'NetworkStall/Refused', (s) => tries(s, 5)),
    miss: told(10, 'NetworkStall/ConnectFails', (s) => tries(s, 5, { errno: 'EHOSTUNREACH' })),
  },
  {
    rule: 'tcp-cannot-connect',
    hit: told(10, 'NetworkStall/ConnectFails', (s) => tries(s, 5, { errno: 'EHOSTUNREACH' })),
    miss: told(10, 'NetworkStall/Refused', (s) => tries(s, 5)),
  },
  {
    rule: 'tcp-packet-loss',
    hit: told(10, 'NetworkDrop', (s) => lossy(s.seen(10))),
    miss: told(10, 'NetworkStall/PeerSlow', (s) =>
      s
        .seen(10)
        .transport('transport.retransmit', { ...A, retransmits: 1 }, 1)
        .receives(10, { ...A, retransmits: 1 }),
    ),
  },
  {
    rule: 'nccl-rank-behind',
    hit: told(10, 'ProcessBlocked/NcclRankBehind', (s) => ahead(s).sleeps(20)),
    miss: told(10, 'ProcessBlocked/Stopped', (s) => {
      ahead(s).seen(30).reads(20, 7, { forMs: 12_000 }).holders('pipe:7', 30).stopped(30);
    }),
  },
  {
    rule: 'nccl-rank-elsewhere-behind',
    hit: told(10, 'NetworkStall/NcclRemote', (s) => alone(s)),
    miss: told(10, 'ProcessBlocked/GpuSync', (s) => {
      s.seen(10).runs(10, { runMs: 0 }).pass().later(8_000);
      syncs(s.runs(10, { runMs: 8_000 }).pass(), 10, 8_000);
    }),
  },
  {
    rule: 'nccl-ranks-missing-at-start',
    hit: told(10, 'NetworkStall/NcclInit', (s) => joins(s, 40_000)),
    miss: told(10, 'healthy', (s) => joins(s, 2_000)),
  },
  {
    rule: 'gpu-sync-without-end',
    hit: told(10, 'ProcessBlocked/GpuSync', (s) => {
      s.seen(10).runs(10, { runMs: 0 }).pass().later(8_000);
      syncs(s.runs(10, { runMs: 8_000 }).pass(), 10, 8_000);
    }),
    miss: told(10, 'NetworkStall/NcclRemote', (s) => alone(s)),
  },
];
