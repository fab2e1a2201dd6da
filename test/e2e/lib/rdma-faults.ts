/**
 * Faults of RDMA on Soft-RoCE, each with who suffers, how it is made, and what `xctl why` must say of it. Shared by the
 * tests (is the answer right, and let go?) and the benchmark (how soon is it right?).
 */
import type { WhyAnswer } from '../../../src/scene/answer.js';
import { type Pair, queuePairs, type RdmaWorld } from '../../lib/rdma.js';
import type { Scope } from '../../lib/scope.js';
import { until } from '../../lib/until.js';
import { brief } from './ask.js';

export interface RdmaFault {
  readonly name: string;
  /** From the fault to a right answer, seconds. */
  readonly askedS: number;
  readonly prepare: (scope: Scope, world: RdmaWorld) => Promise<RdmaVictim>;
}

export interface RdmaVictim {
  /** Who is asked about. */
  readonly pid: number;
  /** Makes the fault; when it returns, the fault is there. */
  readonly inject: () => Promise<void>;
  readonly right: (answer: WhyAnswer) => boolean;
  /** Ends the fault. */
  readonly heal: () => Promise<void>;
  /** After it healed, the victim gets on; absent where it is dead or has given up. */
  readonly recovers?: true;
}

/** Short enough for an emulated machine to retry often within a second, long enough for it to answer in between. */
const TIMEOUT = 14;
/** Soft-RoCE never gives up. */
const FOR_EVER = { timeout: TIMEOUT, retry_cnt: 7, rnr_retry: 7 };
const GIVES_UP = { timeout: TIMEOUT, retry_cnt: 3, rnr_retry: 3 };

export const RDMA_FAULTS: readonly RdmaFault[] = [
  {
    name: 'blackhole, retried for ever',
    askedS: 3,
    prepare: async (scope, world) => {
      const pair = await running(scope, world, { do: 'ping', ...FOR_EVER });
      return {
        pid: pair.sender.pid,
        inject: () => world.lose(100),
        right: pathDown(world, pair),
        heal: world.heal,
        recovers: true,
      };
    },
  },
  {
    name: 'blackhole, the sender spins on its completion queue',
    askedS: 3,
    prepare: async (scope, world) => {
      const pair = await running(scope, world, { do: 'write', pace_ms: 1, ...FOR_EVER }, { wait: 'poll' });
      return {
        pid: pair.sender.pid,
        inject: () => world.lose(100),
        right: pathDown(world, pair),
        heal: world.heal,
        recovers: true,
      };
    },
  },
  {
    name: 'blackhole, retries exceeded',
    askedS: 3,
    prepare: async (scope, world) => {
      const pair = await running(scope, world, { do: 'ping', ...GIVES_UP });
      return {
        pid: pair.sender.pid,
        inject: async () => {
          await world.lose(100);
          await pair.sender.ready('error');
        },
        right: pathDown(world, pair),
        heal: world.heal,
      };
    },
  },
  {
    name: 'port down',
    askedS: 3,
    prepare: async (scope, world) => {
      // One side sends: where both do, Soft-RoCE itself at times does not get on after the fall, for good.
      const pair = await running(scope, world, { do: 'write', pace_ms: 5, ...FOR_EVER });
      scope.teardown(() => world.up('b'));
      return {
        pid: pair.sender.pid,
        inject: () => world.down('b'),
        // Without a carrier both ends are down.
        right: (answer) =>
          answer.scene === 'NetworkDrop' &&
          answer.subScene === 'PortDown' &&
          [world.a, world.b].some(({ device, port }) => brief(answer).root === `rdma:${device}/${port}`),
        heal: () => world.up('b'),
        recovers: true,
      };
    },
  },
  {
    name: 'peer killed',
    askedS: 3,
    prepare: async (scope, world) => {
      const pair = await running(scope, world, { do: 'ping', ...FOR_EVER });
      return {
        pid: pair.sender.pid,
        inject: async () => {
          await pair.receiver.stop('SIGKILL');
        },
        right: (answer) => brief(answer).root === `pid:${pair.receiver.pid}` && /SIGKILL/.test(said(answer)),
        heal: async () => undefined,
      };
    },
  },
  {
    name: 'peer stopped: RNR',
    askedS: 3,
    prepare: async (scope, world) => {
      const pair = await running(scope, world, { do: 'stream', pace_ms: 5, ...FOR_EVER });
      return {
        pid: pair.sender.pid,
        inject: async () => {
          const before = world.counter('a', 'rcvd_rnr_err');
          pair.receiver.kill('SIGSTOP');
          // What it has posted is used up first.
          await until(() => world.counter('a', 'rcvd_rnr_err') > before, { timeoutMs: 20_000, what: 'RNR' });
        },
        right: (answer) => brief(answer).root === `pid:${pair.receiver.pid}` && /stopped/i.test(said(answer)),
        heal: async () => pair.receiver.kill('SIGCONT'),
        recovers: true,
      };
    },
  },
  {
    name: 'peer posts no receives: RNR',
    askedS: 3,
    prepare: async (scope, world) => {
      const waits = { do: 'stream', start: 'signal', ...FOR_EVER };
      const pair = await world.pair({ scope, both: waits, receiver: { recvs: 0, wait: 'sleep' } });
      return {
        pid: pair.sender.pid,
        inject: async () => {
          const before = world.counter('a', 'rcvd_rnr_err');
          pair.sender.kill('SIGUSR1');
          await until(() => world.counter('a', 'rcvd_rnr_err') > before, { timeoutMs: 20_000, what: 'RNR' });
        },
        right: (answer) =>
          answer.scene === 'NetworkStall' &&
          answer.subScene === 'PeerSlow' &&
          brief(answer).root === `pid:${pair.receiver.pid}`,
        heal: async () => {
          await pair.sender.stop();
        },
      };
    },
  },
];

/** A pair that gets on. */
async function running(
  scope: Scope,
  world: RdmaWorld,
  both: Readonly<Record<string, string | number>>,
  sender: Readonly<Record<string, string | number>> = {},
): Promise<Pair> {
  const pair = await world.pair({ scope, both, sender });
  await pair.sender.ready('step');
  return pair;
}

/** Its queue pair is on the chain, and the end of it is no process: they are all well. */
function pathDown(world: RdmaWorld, pair: Pair): (answer: WhyAnswer) => boolean {
  const own = queuePairs(pair.sender).map(({ qpn }) => `qp:${world.a.device}/${qpn}`);
  return (answer) => {
    const { scene, subScene, root, nodes } = brief(answer);
    return (
      scene === 'NetworkStall' &&
      subScene === 'PathDown' &&
      root !== null &&
      !root.startsWith('pid:') &&
      own.some((node) => nodes.includes(node))
    );
  };
}

/** All that it says in words. */
function said(answer: WhyAnswer): string {
  return [
    answer.summary,
    answer.rootCause?.summary ?? '',
    ...answer.evidence.map(({ detail }) => detail ?? ''),
  ].join(' ');
}
