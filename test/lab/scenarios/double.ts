/**
 * Two faults at once. A rank waits for its gradients and for its batches: both must be told, one as the cause and the
 * other beside it. Or two faults on one node that have nothing to do with each other: each process is told its own.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { cgroupSkip, makeCgroup } from '../../lib/cgroup.js';
import type { Scope } from '../../lib/scope.js';
import { until } from '../../lib/until.js';
import type { World } from '../../lib/world.js';
import type { Dice } from '../dice.js';
import { pathDown, relay, signal, stopped, type Training, training } from '../lib.js';
import { type Cause, type Scenario, suite } from '../scenario.js';

const run = promisify(execFile);

interface Part {
  readonly cause: Cause;
  readonly make: () => Promise<void>;
}

/** Whether a connection of that host has sent what was not acknowledged. */
async function unacked(netns: string): Promise<boolean> {
  const { stdout } = await run('ip', ['netns', 'exec', netns, 'ss', '-Htin', 'state', 'established']);
  return /\bunacked:[1-9]/.test(stdout);
}

/** Comes back when something has got lost. */
async function cut(world: World): Promise<void> {
  await world.drop();
  await until(async () => (await unacked(world.a.netns)) || (await unacked(world.b.netns)), {
    timeoutMs: 5_000,
    what: 'something on its way',
  });
}

/** What can go wrong with its gradients, and with its batches. */
const GRADIENTS = {
  'path-down': ({ world, flows }: Training): Part => ({ cause: pathDown(flows), make: () => cut(world) }),
  'peer-stopped': ({ peer }: Training): Part => ({
    cause: stopped(peer.pid),
    make: signal(peer.pid, 'SIGSTOP'),
  }),
} as const;

const BATCHES = {
  'worker-stopped': async ({ worker }: Training): Promise<Part> => ({
    cause: stopped(worker),
    make: signal(worker, 'SIGSTOP'),
  }),
  'worker-frozen': async ({ worker }: Training, scope: Scope, dice: Dice): Promise<Part> => {
    const group = await makeCgroup(scope, 'freezer', `double-${dice.between(0, 1e9)}`);
    return {
      cause: stopped(worker),
      make: async () => {
        group.add(worker);
        group.freeze(true);
      },
    };
  },
} as const;

type Gradient = keyof typeof GRADIENTS;
type Batch = keyof typeof BATCHES;

const OF_ONE_RANK: readonly Scenario[] = (Object.keys(GRADIENTS) as Gradient[]).flatMap((gradient) =>
  (Object.keys(BATCHES) as Batch[]).map(
    (batch): Scenario => ({
      name: `${gradient}-and-${batch}`,
      kind: 'double',
      severity: 'stands',
      missing: async () => (batch === 'worker-frozen' && cgroupSkip('freezer')) || undefined,
      prepare: async (scope, dice) => {
        const made = await training(scope, dice);
        const parts = [GRADIENTS[gradient](made), await BATCHES[batch](made, scope, dice)];
        // Of a rank that has no batch nothing is on its way that could get lost: a path is cut first, then.
        const order = gradient === 'path-down' || dice.chance(0.5) ? parts : [...parts].reverse();
        return {
          asked: [made.trainer.pid],
          inject: async () => {
            for (const { make } of order) await make();
          },
          heal: () => made.world.undrop(),
          truth: () => ({ causes: parts.map(({ cause }) => cause), order: 'any' }),
        };
      },
    }),
  ),
);

export const DOUBLE = suite({
  name: 'double',
  scenarios: [
    ...OF_ONE_RANK,
    ...(['first', 'second'] as const).map(
      (asked): Scenario => ({
        name: `two-jobs-each-its-own-asked-of-the-${asked}`,
        kind: 'double',
        severity: 'stands',
        prepare: async (scope, dice) => {
          const first = await training(scope, dice);
          const second = await training(scope, dice);
          const order = asked === 'first' ? [first, second] : [second, first];
          return {
            asked: order.map(({ trainer }) => trainer.pid),
            inject: async () => {
              await first.world.drop();
              second.peer.kill('SIGSTOP');
            },
            heal: () => first.world.undrop(),
            truth: () => ({ causes: [asked === 'first' ? pathDown(first.flows) : stopped(second.peer.pid)] }),
          };
        },
      }),
    ),
    {
      name: 'stopped-twice-in-one-chain',
      kind: 'double',
      severity: 'stands',
      prepare: async (scope, dice) => {
        // The nearer one is what must be told first: with it stopped nobody waits for the other.
        const top = await relay(scope, {
          via: ['pipe', 'pipe', 'unix'],
          args: { pace_ms: dice.between(2, 20) },
        });
        const [, near = top.leaf] = top.pids;
        return {
          asked: [top.pid],
          inject: async () => {
            process.kill(top.leaf, 'SIGSTOP');
            process.kill(near, 'SIGSTOP');
          },
          truth: () => ({ causes: [stopped(near)] }),
        };
      },
    },
    {
      name: 'cut-off-and-the-peer-stopped',
      kind: 'double',
      severity: 'stands',
      prepare: async (scope, dice) => {
        const { world, trainer, peer, flows } = await training(scope, dice);
        return {
          asked: [trainer.pid],
          inject: async () => {
            // In this order: of a rank that is stopped already nothing may be on its way that could get lost.
            await cut(world);
            peer.kill('SIGSTOP');
          },
          heal: () => world.undrop(),
          truth: () => ({ causes: [pathDown(flows), stopped(peer.pid)], order: 'any' }),
        };
      },
    },
    {
      name: 'worker-stopped-and-a-bystander-crashed',
      kind: 'double',
      severity: 'stands',
      prepare: async (scope, dice) => {
        const top = await relay(scope, { via: ['pipe'], args: { pace_ms: dice.between(2, 20) } });
        const other = await relay(scope, { args: { turn: 'abort' } });
        return {
          asked: [top.pid, other.pid],
          inject: async () => {
            process.kill(other.pid, 'SIGUSR1');
            await other.proc.exited;
            process.kill(top.leaf, 'SIGSTOP');
          },
          truth: () => ({ causes: [stopped(top.leaf)] }),
        };
      },
    },
  ],
});
