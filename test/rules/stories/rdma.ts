/** NetworkStall and NetworkDrop over RDMA. */
import type { Story } from '../../scene/build.js';
import {
  A,
  async,
  B,
  cm,
  destroyed,
  type End,
  failed,
  grew,
  lossy,
  notReady,
  pair,
  port,
  remote,
  retry,
  sleepsOnChannel,
  spins,
  unanswered,
} from '../../scene/rdma-story.js';
import { type RuleStories, told } from './story.js';

const M: End = { pid: 10, device: 'mlx5_0', qpn: 101 };

/** Both ends run on this node, on ports that are up. */
function world(s: Story): Story {
  return pair(port(port(s.seen(10).seen(20), 'rxe0'), 'rxe1')).later(5_000);
}

function alone(s: Story): Story {
  return remote(port(s.seen(10), 'rxe0')).later(5_000);
}

/** A real adapter: it tells nothing of its queue pairs, and of its port every second. */
function counts(s: Story, counters: Parameters<typeof grew>[2]): Story {
  remote(port(s.seen(10), 'mlx5_0'), M, 1_001).later(5_000);
  for (let i = 0; i < 4; i++) grew(s.later(1_000), 'mlx5_0', counters);
  return s;
}

function gaveUp(s: Story): Story {
  failed(unanswered(alone(s), A, 2_000, { retriesLeft: 0 }), A, 'RETRY_EXC_ERR');
  return s.later(3_000).futex(10).pass();
}

function portDown(s: Story): Story {
  port(alone(s), 'rxe0', { state: 'DOWN', physState: 'Disabled', since: s.now });
  return spins(unanswered(s, A, 3_000), 10);
}

function flaps(s: Story, times: number): Story {
  alone(s);
  for (let i = 0; i < times; i++) {
    port(s.later(15_000), 'rxe0', { state: 'DOWN' });
    port(s.later(1_000), 'rxe0');
    retry(s.later(500), A);
  }
  return spins(s, 10);
}

export const RDMA_STORIES: readonly RuleStories[] = [
  {
    rule: 'rdma-path-down',
    hit: told(10, 'NetworkStall/PathDown', (s) => spins(unanswered(alone(s), A, 4_000), 10)),
    miss: told(10, 'NetworkStall/PathDown', gaveUp),
  },
  {
    rule: 'rdma-retries-exceeded',
    hit: told(10, 'NetworkStall/PathDown', gaveUp),
    miss: told(10, 'NetworkStall/PathDown', (s) => spins(unanswered(alone(s), A, 4_000), 10)),
  },
  {
    rule: 'rdma-path-down-by-port',
    hit: told(10, 'NetworkStall/PathDown', (s) => spins(counts(s, { timeouts: 3 }), 10)),
    miss: told(10, 'NetworkStall/PathDown', (s) => spins(unanswered(alone(s), A, 4_000), 10)),
  },
  {
    rule: 'rdma-peer-not-ready',
    hit: told(10, 'NetworkStall/PeerSlow', (s) => spins(notReady(alone(s), A, 4_000), 10)),
    miss: told(10, 'NetworkStall/PathDown', (s) => spins(unanswered(alone(s), A, 4_000), 10)),
  },
  {
    rule: 'rdma-waits-for-completion',
    hit: told(10, 'NetworkStall/PeerSlow', (s) => sleepsOnChannel(alone(s), 10).pass()),
    miss: told(10, 'NetworkStall/PeerSlow', (s) => spins(notReady(alone(s), A, 4_000), 10)),
  },
  {
    rule: 'rdma-peer-ended',
    hit: told(10, 'NetworkStall/PeerEnded', (s) => {
      destroyed(world(s).exited(20), B, true).later(70);
      spins(unanswered(s, A, 3_000), 10);
    }),
    miss: told(10, 'ProcessCrash/Signal', (s) => {
      destroyed(world(s).exited(20, { signal: 'SIGKILL' }), B, true).later(70);
      spins(unanswered(s, A, 3_000), 10);
    }),
  },
  {
    rule: 'rdma-peer-died',
    hit: told(10, 'ProcessCrash/Signal', (s) => {
      destroyed(world(s).exited(20, { signal: 'SIGKILL' }), B, true).later(70);
      spins(unanswered(s, A, 3_000), 10);
    }),
    miss: told(10, 'NetworkStall/PeerEnded', (s) => {
      destroyed(world(s).exited(20), B, true).later(70);
      spins(unanswered(s, A, 3_000), 10);
    }),
  },
  {
    rule: 'rdma-request-error',
    hit: told(10, 'NetworkStall/QpError', (s) =>
      failed(alone(s), A, 'REM_ACCESS_ERR').later(2_000).futex(10).pass(),
    ),
    miss: told(10, 'NetworkStall/PathDown', gaveUp),
  },
  {
    rule: 'rdma-port-down',
    hit: told(10, 'NetworkDrop/PortDown', portDown),
    miss: told(10, 'NetworkDrop/DeviceFatal', (s) => {
      async(alone(s), 'rdma:rxe0', 'rxe0', 'DEVICE_FATAL');
      spins(unanswered(s, A, 2_000), 10);
    }),
  },
  {
    rule: 'rdma-link-flapping',
    hit: told(10, 'NetworkDrop/LinkFlapping', (s) => flaps(s, 3)),
    miss: told(10, 'NetworkDrop/PortDown', portDown),
  },
  {
    rule: 'rdma-device-fatal',
    hit: told(10, 'NetworkDrop/DeviceFatal', (s) => {
      async(alone(s), 'rdma:rxe0', 'rxe0', 'DEVICE_FATAL');
      spins(unanswered(s, A, 2_000), 10);
    }),
    miss: told(10, 'NetworkDrop/PortDown', portDown),
  },
  {
    rule: 'rdma-packet-loss',
    hit: told(10, 'NetworkDrop', (s) => spins(lossy(alone(s), A, 6), 10)),
    miss: told(10, 'healthy', (s) => spins(lossy(alone(s), A, 4, 1), 10)),
  },
  {
    rule: 'rdma-congestion',
    hit: told(10, 'NetworkStall/Congestion', (s) => counts(s, { cnpHandled: 2_000 }).futex(10).pass()),
    miss: told(10, 'healthy', (s) => spins(counts(s, { cnpHandled: 2_000 }), 10)),
  },
  {
    rule: 'rdma-connection-refused',
    hit: told(10, 'NetworkStall/Refused', (s) =>
      cm(s.seen(10), 10, 'REJECTED', { status: 8 }).later(100).exited(10, { code: 255 }),
    ),
    miss: told(10, 'healthy', (s) => {
      cm(s.seen(10), 10, 'REJECTED', { status: 8 }).later(500);
      cm(s, 10, 'ESTABLISHED', { status: 0 }).later(500).sleeps(10).pass();
    }),
  },
  {
    rule: 'rdma-cannot-connect',
    hit: told(10, 'NetworkStall/ConnectFails', (s) => {
      s.seen(10);
      for (let i = 0; i < 4; i++) cm(s.later(2_000), 10, 'UNREACHABLE');
      s.later(500).sleeps(10, { forMs: 400 }).pass();
    }),
    miss: told(10, 'NetworkStall/Refused', (s) =>
      cm(s.seen(10), 10, 'REJECTED', { status: 8 }).later(100).exited(10, { code: 255 }),
    ),
  },
];
