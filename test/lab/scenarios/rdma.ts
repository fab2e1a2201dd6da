/**
 * Faults of RDMA on Soft-RoCE: those of test/e2e/lib/rdma-faults.ts, with the truth of whoever makes them. In a guest:
 * the suite has a wire and an agent of its own.
 */
import { RDMA_FAULTS, type RdmaFault } from '../../e2e/lib/rdma-faults.js';
import { type Agent, startAgent } from '../../lib/agent.js';
import type { Proc } from '../../lib/proc.js';
import { createRdmaWorld, rdmaMissing, type RdmaWorld } from '../../lib/rdma.js';
import { type Cause, type Scenario, type Stage, suiteOn } from '../scenario.js';

/** Times the patience of an emulated machine. */
const JUDGED_AFTER_MS = 4_000;

interface Wire extends Stage {
  readonly agent: Agent;
  readonly world: RdmaWorld;
}

interface Known {
  readonly name: string;
  /** @param peer the process at the other end */
  readonly cause: (world: RdmaWorld, peer: Proc) => Cause;
  readonly proves?: readonly string[];
}

const pathDown = (): Cause => ({ scene: 'NetworkStall', subScene: 'PathDown', root: /^(?!pid:)/ });

/** By the names of the shared faults. */
const KNOWN: Readonly<Record<string, Known>> = {
  'blackhole, retried for ever': {
    name: 'blackhole',
    cause: pathDown,
    proves: ['byterobust/infiniband-error', 'llama3/network-switch-cable'],
  },
  'blackhole, the sender spins on its completion queue': { name: 'blackhole-spins', cause: pathDown },
  'blackhole, retries exceeded': {
    name: 'blackhole-gives-up',
    cause: pathDown,
    proves: ['byterobust/infiniband-error'],
  },
  'port down': {
    name: 'port-down',
    cause: ({ a, b }) => ({
      scene: 'NetworkDrop',
      subScene: 'PortDown',
      root: [a, b].map(({ device, port }) => `rdma:${device}/${port}`),
    }),
    proves: ['llama3/nic', 'byterobust/infiniband-error'],
  },
  'peer killed': {
    name: 'peer-killed',
    cause: (_world, { pid }) => ({ scene: 'ProcessCrash', subScene: 'Signal', root: `pid:${pid}` }),
  },
  'peer stopped: RNR': {
    name: 'peer-stopped',
    cause: (_world, { pid }) => ({ scene: 'ProcessBlocked', subScene: 'Stopped', root: `pid:${pid}` }),
    proves: ['llama3/nccl-watchdog-timeouts'],
  },
  'peer posts no receives: RNR': {
    name: 'peer-posts-no-receives',
    cause: (_world, { pid }) => ({ scene: 'NetworkStall', subScene: 'PeerSlow', root: `pid:${pid}` }),
  },
};

function known({ name, cause, proves }: Known, fault: RdmaFault): Scenario<Wire> {
  return {
    name,
    kind: 'fault',
    severity: 'stands',
    // There is one wire.
    alone: true,
    judgedAfterMs: JUDGED_AFTER_MS,
    ...(proves !== undefined && { proves }),
    prepare: async (scope, _dice, { world }) => {
      // The shared faults keep the other end to themselves.
      let peer: Proc | undefined;
      const seen: RdmaWorld = {
        ...world,
        pair: async (options) => {
          const pair = await world.pair(options);
          peer = pair.receiver;
          return pair;
        },
      };
      const { pid, inject, heal } = await fault.prepare(scope, seen);
      scope.teardown(heal);
      return {
        asked: [pid],
        inject,
        truth: () => {
          if (peer === undefined) throw new Error(`${name} has no other end`);
          return { causes: [cause(world, peer)] };
        },
      };
    },
  };
}

function shared(): readonly Scenario<Wire>[] {
  return Object.entries(KNOWN).map(([faultName, one]) => {
    const fault = RDMA_FAULTS.find(({ name }) => name === faultName);
    if (fault === undefined) throw new Error(`no fault of RDMA is called ${faultName}`);
    return known(one, fault);
  });
}

export const RDMA = suiteOn<Wire>({
  name: 'rdma',
  missing: rdmaMissing,
  open: async (scope) => {
    const world = await createRdmaWorld(scope);
    return { agent: await startAgent(scope), world };
  },
  scenarios: [
    {
      name: 'steady',
      kind: 'healthy',
      severity: 'none',
      alone: true,
      judgedAfterMs: JUDGED_AFTER_MS,
      prepare: async (scope, dice, { world }) => {
        const pair = await world.pair({ scope, both: { do: 'ping', pace_ms: dice.between(1, 20) } });
        await pair.sender.ready('step');
        return {
          asked: [pair.sender.pid, pair.receiver.pid],
          inject: async () => undefined,
          truth: () => ({ causes: [] }),
        };
      },
    },
    ...shared(),
  ],
});
