/**
 * Loud and harmless: things that monitoring would raise an alarm for, beside a process that has nothing to do with them.
 * Of some, the process asked about has a cause after all, and it is another one.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startE2e } from '../../e2e/lib/ask.js';
import { cgroupSkip, makeCgroup } from '../../lib/cgroup.js';
import { OWN_PREFIX } from '../../lib/owner.js';
import { startWorkload } from '../../lib/proc.js';
import type { Scope } from '../../lib/scope.js';
import { createWorld } from '../../lib/world.js';
import type { Dice } from '../dice.js';
import { already, flowOf, relay, signal, stopped, training, well } from '../lib.js';
import { type Prepared, type Scenario, suite } from '../scenario.js';

/** Sleeps because it was written so. */
const BY_DESIGN: readonly Scenario[] = (
  ['nanosleep', 'epoll', 'accept', 'semaphore', 'condvar', 'eventfd'] as const
).map((kind) => ({
  name: `sleeps-in-${kind}`,
  kind: 'decoy',
  severity: 'none',
  prepare: async (scope) => {
    const waits = await startWorkload(scope, 'waits', { kinds: kind });
    await waits.ready();
    // Nobody is known to be late: that this is said, or that nothing is known, are both no alarm.
    return {
      asked: [waits.pid],
      inject: already,
      truth: () => ({ causes: [], verdicts: ['healthy', 'symptom-only', 'unknown'] }),
    };
  },
}));

/** Something goes wrong beside a pair of ranks that train, and not with them. */
const BESIDE: readonly Scenario[] = (
  [
    ['another-process-stopped', stoppedElsewhere],
    ['another-pair-cut-off', cutOffElsewhere],
    ['another-process-deadlocked', deadlockElsewhere],
    ['another-process-crashes-again-and-again', crashesElsewhere],
    ['another-process-at-its-memory-limit', memoryElsewhere],
    ['another-process-throttled', throttledElsewhere],
    ['another-process-writes-and-syncs', diskElsewhere],
  ] as const
).map(([name, elsewhere]) => ({
  name,
  kind: 'decoy',
  severity: 'none',
  missing: async () =>
    (name.includes('memory')
      ? cgroupSkip('memory')
      : name.includes('throttled')
        ? cgroupSkip('cpu')
        : false) || undefined,
  prepare: async (scope, dice) => {
    const { trainer, peer, worker } = await training(scope, dice);
    const make = await elsewhere(scope, dice);
    return { asked: [trainer.pid, peer.pid, worker], inject: make, truth: well };
  },
}));

type Make = () => Promise<void>;

async function stoppedElsewhere(scope: Scope, dice: Dice): Promise<Make> {
  const other = await relay(scope, { via: ['pipe'], args: { pace_ms: dice.between(2, 20) } });
  return signal(other.leaf, 'SIGSTOP');
}

async function cutOffElsewhere(scope: Scope, dice: Dice): Promise<Make> {
  const other = await training(scope, dice);
  return () => other.world.drop();
}

async function deadlockElsewhere(scope: Scope, dice: Dice): Promise<Make> {
  const other = await relay(scope, { via: ['pipe'], args: { turn: 'self', pace_ms: dice.between(2, 20) } });
  return signal(other.leaf, 'SIGUSR1');
}

async function crashesElsewhere(scope: Scope, dice: Dice): Promise<Make> {
  return async () => {
    for (let i = 0; i < 3; i++) {
      const other = await startWorkload(scope, 'exiter', { signal: dice.pick([6, 11]) });
      await other.exited;
    }
  };
}

async function memoryElsewhere(scope: Scope, dice: Dice): Promise<Make> {
  const group = await makeCgroup(scope, 'memory', `decoy-${dice.between(0, 1e9)}`);
  group.limitMemory(32 << 20);
  return async () => {
    const hog = await startWorkload(
      scope,
      'memory_hog',
      { mib: 48, step_ms: 5, again: 1 },
      { wrap: group.wrap },
    );
    await hog.ready('start');
  };
}

async function throttledElsewhere(scope: Scope, dice: Dice): Promise<Make> {
  const group = await makeCgroup(scope, 'cpu', `decoy-${dice.between(0, 1e9)}`);
  group.limitCpu(10, 100);
  return async () => {
    const hog = await startWorkload(scope, 'cpu_hog', { seconds: 300 }, { wrap: group.wrap });
    await hog.ready();
  };
}

/** A disk that is busy, and that the ranks do not wait for. */
async function diskElsewhere(scope: Scope, dice: Dice): Promise<Make> {
  const dir = mkdtempSync(join(tmpdir(), OWN_PREFIX));
  scope.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return async () => {
    const args = { mode: 'write', path: join(dir, 'log'), block: 65_536, pace_ms: dice.between(10, 30) };
    const writer = await startWorkload(scope, 'storage', args);
    await writer.ready('step');
  };
}

/** Two connections of one process: it waits on the first, and the second is in trouble. */
async function twoFlows(scope: Scope, dice: Dice) {
  const world = await createWorld(scope);
  const host = world.b.ipv4;
  const echo = await world.start('b', 'tcp_server', { host, do: 'echo', port: dice.between(20_000, 24_999) });
  const sink = await world.start('b', 'tcp_server', { host, port: dice.between(25_000, 29_999) });
  const [port, port2] = [
    (await echo.ready('listen')).number('port'),
    (await sink.ready('listen')).number('port'),
  ];
  const both = await startE2e(scope, 'two_flows', { host, port, port2 }, { netns: world.a.netns });
  const first = flowOf(await both.ready('first'));
  await both.ready();
  return { world, echo, both, port2, first };
}

/** Something that was wrong for a moment, long over when it is asked about. */
function over(make: (scope: Scope, dice: Dice) => Promise<Prepared>, name: string): Scenario {
  return { name, kind: 'decoy', severity: 'none', judgedAfterMs: 12_000, prepare: make };
}

export const DECOYS = suite({
  name: 'decoys',
  scenarios: [
    ...BY_DESIGN,
    ...BESIDE,
    {
      name: 'retransmits-on-a-flow-nobody-waits-for',
      kind: 'decoy',
      severity: 'none',
      prepare: async (scope, dice) => {
        const { world, both, port2 } = await twoFlows(scope, dice);
        return { asked: [both.pid], inject: () => world.drop({ port: port2 }), truth: well };
      },
    },
    {
      name: 'retransmits-while-another-end-is-stopped',
      kind: 'decoy',
      severity: 'stands',
      prepare: async (scope, dice) => {
        const { world, both, port2, echo, first } = await twoFlows(scope, dice);
        return {
          asked: [both.pid],
          inject: async () => {
            await world.drop({ port: port2 });
            echo.kill('SIGSTOP');
          },
          truth: () => ({ causes: [{ ...stopped(echo.pid), via: [`pid:${both.pid}`, first] }] }),
        };
      },
    },
    {
      name: 'a-few-losses',
      kind: 'decoy',
      severity: 'none',
      judgedAfterMs: 12_000,
      prepare: async (scope, dice) => {
        const { world, trainer, peer } = await training(scope, dice);
        return { asked: [trainer.pid, peer.pid], inject: () => world.drop({ percent: 1 }), truth: well };
      },
    },
    {
      name: 'idle-connection-cut-off',
      kind: 'decoy',
      severity: 'none',
      prepare: async (scope) => {
        const world = await createWorld(scope);
        const server = await world.start('b', 'tcp_server', { host: world.b.ipv4 });
        const port = (await server.ready('listen')).number('port');
        const client = await world.start('a', 'tcp_client', { host: world.b.ipv4, port, do: 'idle' });
        await client.ready('conn');
        return { asked: [client.pid], inject: () => world.drop(), truth: well };
      },
    },
    over(async (scope, dice) => {
      const { world, trainer, peer } = await training(scope, dice);
      return {
        asked: [trainer.pid, peer.pid],
        inject: async () => {
          await world.drop();
          await sleep(dice.between(300, 1_000));
          await world.undrop();
        },
        truth: well,
      };
    }, 'cut-off-for-a-moment'),
    over(async (scope, dice) => {
      const { trainer, peer } = await training(scope, dice);
      return {
        asked: [trainer.pid, peer.pid],
        inject: async () => {
          peer.kill('SIGSTOP');
          await sleep(dice.between(500, 2_500));
          peer.kill('SIGCONT');
        },
        truth: well,
      };
    }, 'peer-stopped-for-a-moment'),
    over(async (scope, dice) => {
      const top = await relay(scope, { via: ['pipe', 'unix'], args: { pace_ms: dice.between(2, 20) } });
      return {
        asked: [top.pid],
        inject: async () => {
          process.kill(top.leaf, 'SIGSTOP');
          await sleep(dice.between(500, 3_000));
          process.kill(top.leaf, 'SIGCONT');
        },
        truth: well,
      };
    }, 'worker-stopped-for-a-moment'),
    {
      name: 'child-crashed-and-parent-goes-on',
      kind: 'decoy',
      severity: 'none',
      prepare: async (scope, dice) => {
        // Its workers come and go; that one ended badly is no matter of who does not wait for it.
        const { trainer, peer } = await training(scope, dice);
        return {
          asked: [trainer.pid],
          inject: async () => {
            const bad = await startWorkload(
              scope,
              'exiter',
              { code: dice.between(1, 100) },
              { netns: (await createWorld(scope)).a.netns },
            );
            await bad.exited;
            if (!peer.running) throw new Error('the peer ended');
          },
          truth: well,
        };
      },
    },
    {
      name: 'cpu-taken-on-another-core',
      kind: 'decoy',
      severity: 'none',
      alone: true,
      prepare: async (scope, dice) => {
        const top = await relay(scope, {
          via: ['pipe'],
          args: { burn_us: 500 },
          wrap: ['taskset', '-c', '1'],
        });
        return {
          asked: [top.pid],
          inject: async () => {
            for (let i = 0; i < dice.between(1, 3); i++) {
              const hog = await startWorkload(scope, 'cpu_hog', { cpu: 0 });
              await hog.ready();
            }
          },
          truth: well,
        };
      },
    },
    {
      name: 'hundreds-of-sleeping-threads',
      kind: 'decoy',
      severity: 'none',
      prepare: async (scope, dice) => {
        const crowd = await startWorkload(scope, 'many_threads', { n: dice.between(100, 400) });
        await crowd.ready();
        return {
          asked: [crowd.pid],
          inject: already,
          truth: () => ({ causes: [], verdicts: ['healthy', 'symptom-only', 'unknown'] }),
        };
      },
    },
    {
      name: 'poll-set-of-idle-children',
      kind: 'decoy',
      severity: 'none',
      prepare: async (scope) => {
        const poller = await startE2e(scope, 'chain', { via: 'poll', child: 'idle' });
        await poller.ready();
        return {
          asked: [poller.pid],
          inject: already,
          truth: () => ({ causes: [], verdicts: ['healthy', 'symptom-only', 'unknown'] }),
        };
      },
    },
  ],
});
