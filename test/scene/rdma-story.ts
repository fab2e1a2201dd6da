/**
 * What probe `rdma` says, for stories. Device rxe0 has address 10.0.0.1 and rxe1 10.0.0.2, both on this node; 10.0.0.9
 * is elsewhere. A queue pair of device d and number n is `qp:d/n`.
 */
import type {
  RdmaCmAttrs,
  RdmaCountersAttrs,
  RdmaPortAttrs,
  RdmaPostsAttrs,
  RdmaQpAttrs,
  RdmaRetryAttrs,
  WcStatus,
} from '../../src/events/rdma.js';
import type { Story } from './build.js';

export const AT = { rxe0: '10.0.0.1', rxe1: '10.0.0.2', mlx5_0: '10.0.0.3' } as const;
export const ELSEWHERE = '10.0.0.9';
export type Device = keyof typeof AT;

/** One end: whose, on which device, its number, how often that has been given out. */
export interface End {
  readonly pid: number;
  readonly device: Device;
  readonly qpn: number;
  readonly generation?: number;
}

export const A: End = { pid: 10, device: 'rxe0', qpn: 17 };
export const B: End = { pid: 20, device: 'rxe1', qpn: 18 };

export const idOf = ({ device, qpn }: End): string => `qp:${device}/${qpn}`;
export const portOf = (device: Device): string => `rdma:${device}/1`;

export function port(s: Story, device: Device, more: Partial<RdmaPortAttrs> = {}): Story {
  const attrs: RdmaPortAttrs = {
    device,
    port: 1,
    state: 'ACTIVE',
    physState: 'LinkUp',
    linkLayer: 'Ethernet',
    driver: device === 'mlx5_0' ? 'mlx5_core' : 'rdma_rxe',
    netdev: `net_${device}`,
    ...more,
  };
  return s.say('rdma.port', portOf(device), 100, attrs, 'rdma');
}

export function qp(s: Story, end: End, more: Partial<RdmaQpAttrs>): Story {
  const attrs: RdmaQpAttrs = {
    device: end.device,
    qpn: end.qpn,
    port: 1,
    type: 'RC',
    state: 'RTS',
    start: end.pid * 1_000,
    comm: `p${end.pid}`,
    netns: 1,
    change: 'modify',
    generation: end.generation ?? 1,
    local: AT[end.device],
    ackTimeoutMs: 67,
    retryCnt: 6,
    rnrRetry: 7,
    ...more,
  };
  return s.say('rdma.qp', idOf(end), 0, attrs, 'rdma', end.pid);
}

/** Made, and connected to that address and number. */
export function connected(s: Story, end: End, remote: string, remoteQpn: number): Story {
  qp(s, end, { change: 'create', state: 'RESET' });
  for (const state of ['RTR', 'RTS'] as const) qp(s, end, { state, remote, remoteQpn });
  return s;
}

/** Both ends on this node. */
export function pair(s: Story, a: End = A, b: End = B): Story {
  connected(s, a, AT[b.device], b.qpn);
  return connected(s, b, AT[a.device], a.qpn);
}

/** One end here, the other elsewhere. */
export function remote(s: Story, end: End = A, remoteQpn = 44): Story {
  return connected(s, end, ELSEWHERE, remoteQpn);
}

export function retry(s: Story, end: End, more: Partial<RdmaRetryAttrs> = {}): Story {
  const attrs: RdmaRetryAttrs = {
    device: end.device,
    qpn: end.qpn,
    generation: end.generation ?? 1,
    start: end.pid * 1_000,
    retries: 3,
    timeouts: 3,
    rnr: 0,
    totalRetries: 3,
    totalRnr: 0,
    ...more,
  };
  return s.say('rdma.retry', idOf(end), attrs.retries, attrs, 'rdma', end.pid);
}

/** Retries without an answer, told once a second, for so long. */
export function unanswered(s: Story, end: End, forMs: number, more: Partial<RdmaRetryAttrs> = {}): Story {
  const since = s.now;
  for (let at = 0; at < forMs; at += 1_000)
    retry(s.later(Math.min(1_000, forMs - at)), end, { since, ...more });
  return s;
}

/** RNR NAKs and nothing else, for so long. */
export function notReady(s: Story, end: End, forMs: number): Story {
  return unanswered(s, end, forMs, { retries: 0, timeouts: 0, rnr: 8, totalRetries: 0 });
}

/** Something is lost in each of so many seconds, and sent again. */
export function lossy(s: Story, end: End, seconds: number, retries = 4): Story {
  for (let i = 0; i < seconds; i++) retry(s.later(1_000), end, { retries, timeouts: 1 });
  return s;
}

export function failed(s: Story, end: End, status: WcStatus): Story {
  const { device, qpn, pid, generation = 1 } = end;
  const attrs = { device, qpn, generation, start: pid * 1_000, status };
  return s.say('rdma.completion', idOf(end), 1, attrs, 'rdma', pid);
}

export function destroyed(s: Story, end: End, exiting = false): Story {
  return qp(s, end, { change: 'destroy', state: 'DESTROYED', ...(exiting && { exiting: true }) });
}

export function grew(
  s: Story,
  device: Device,
  counters: RdmaCountersAttrs['grew'],
  more: Partial<RdmaCountersAttrs> = {},
): Story {
  const attrs = { device, port: 1, windowMs: 1_000, grew: counters, ...more };
  return s.say('rdma.counters', portOf(device), 1, attrs, 'rdma');
}

export function posts(s: Story, end: End, more: Partial<RdmaPostsAttrs> = {}): Story {
  const { device, qpn, pid } = end;
  const base = { device, qpn, start: pid * 1_000, windowMs: 1_000, posts: 5, bytes: 4_096, totalPosts: 5 };
  return s.say('rdma.posts', idOf(end), 5, { ...base, ...more }, 'rdma-trace', pid);
}

export function cm(s: Story, pid: number, event: string, more: Partial<RdmaCmAttrs> = {}): Story {
  const attrs = { event, status: -110, start: pid * 1_000, remote: ELSEWHERE, remotePort: 18_515, ...more };
  return s.say('rdma.cm', `pid:${pid}`, attrs.status, attrs, 'rdma', pid);
}

export function async(s: Story, entity: string, device: Device, event: string, port?: number): Story {
  return s.say('rdma.async', entity, 0, { device, event, ...(port !== undefined && { port }) }, 'rdma');
}

/** Sleeps on a completion channel. */
export function sleepsOnChannel(s: Story, pid: number, forMs = 5_000): Story {
  return s.wait('wait.other', pid, `pid:${pid}`, { what: '[infinibandeven', syscall: 'read' }, { forMs });
}

/** Polls for completions: uses a whole CPU, as seen by two passes. @param others whose waits go on */
export function spins(s: Story, pid: number, others: readonly number[] = []): Story {
  s.runs(pid, { runMs: 0 }).pass(others);
  return s.later(1_000).runs(pid, { runMs: 990 }).pass(others);
}
