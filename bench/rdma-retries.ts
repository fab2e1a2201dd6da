/**
 * Retries that the probe reports against the device's own counter (`completer_retry_err` of Soft-RoCE), under loss, under a
 * blackhole, and where the receiver is not ready, which is no retry. They must be equal; a clean run on an emulated machine
 * has some, too, so that differences are compared.
 *
 * In a guest: make test-vm KERNELS=6.1 TESTS=bench/rdma-retries.ts
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { RdmaProbe } from '../src/probes/rdma.js';
import { createRdmaWorld, type RdmaWorld, rdmaMissing, type Side } from '../test/lib/rdma.js';
import { openScope, type Scope } from '../test/lib/scope.js';
import { until } from '../test/lib/until.js';
import { startProbe } from '../test/probes/lib/rig.js';
import { progress, report } from './lib/report.js';

const SIDES = ['a', 'b'] as const;
const COUNTER = 'completer_retry_err';

interface Case {
  readonly name: string;
  /** Comes back when it is over and nothing retries any more. */
  readonly run: (scope: Scope, world: RdmaWorld) => Promise<void>;
}

const more = (world: RdmaWorld, count: number, counter = COUNTER): Promise<unknown> => {
  const before = world.counter('a', counter);
  return until(() => world.counter('a', counter) >= before + count, {
    timeoutMs: 60_000,
    what: `${count} ${counter}`,
  });
};

const CASES: readonly Case[] = [
  {
    name: '3 % loss',
    run: async (_scope, world) => {
      const pairs = [];
      for (let i = 0; i < 4; i++) pairs.push(await world.pair({ both: { do: 'ping', timeout: 10 } }));
      await world.lose(3);
      await more(world, 200);
      await world.heal();
      for (const { sender, receiver } of pairs) {
        await sender.stop('SIGTERM');
        await receiver.stop('SIGTERM');
      }
    },
  },
  {
    name: '100 % loss',
    run: async (_scope, world) => {
      const { sender, receiver } = await world.pair({ both: { do: 'write', timeout: 10 } });
      await sender.ready('step');
      await world.lose(100);
      await more(world, 200);
      await world.heal();
      await sender.stop();
      await receiver.stop();
    },
  },
  {
    name: 'retries exceeded',
    run: async (_scope, world) => {
      await world.lose(100);
      for (let i = 0; i < 5; i++) {
        const { sender, receiver } = await world.pair({ both: { do: 'write', timeout: 10, retry_cnt: 3 } });
        await sender.ready('error');
        await sender.stop();
        await receiver.stop();
      }
      await world.heal();
    },
  },
  {
    name: 'receiver not ready',
    run: async (_scope, world) => {
      const both = { do: 'stream', timeout: 14 };
      const { sender, receiver } = await world.pair({ both, receiver: { recvs: 0, wait: 'sleep' } });
      await more(world, 50, 'rcvd_rnr_err');
      await sender.stop();
      await receiver.stop();
    },
  },
];

const scope = openScope();

async function main(): Promise<void> {
  const missing = await rdmaMissing();
  if (missing !== undefined) return progress(`rdma-retries: not here: ${missing}`);
  const world = await createRdmaWorld(scope);
  const rig = await startProbe(scope, (context) => new RdmaProbe(context));
  const reported = (side: Side): number =>
    rig
      .all('rdma.retry', ({ attrs }) => attrs.device === world[side].device)
      .reduce((sum, { attrs }) => sum + attrs.retries, 0);
  const state = (): number[] => SIDES.flatMap((side) => [world.counter(side, COUNTER), reported(side)]);

  for (const { name, run } of CASES) {
    const before = state();
    await run(scope, world);
    // Whatever is on its way is there after some passes; more than the device counted must never come.
    let grown: number[] = [];
    const equal = async (): Promise<boolean> => {
      grown = state().map((value, index) => value - (before[index] ?? 0));
      return grown[0] === grown[1] && grown[2] === grown[3];
    };
    await until(equal, { timeoutMs: 10_000, what: 'the last records' }).catch(() => undefined);
    await sleep(2_000, undefined, { signal: scope.signal });
    const ok = await equal();
    const [counted = 0, told = 0, countedB = 0, toldB = 0] = grown;
    report({
      name: `retries, ${name}`,
      asked: `equal to ${COUNTER}`,
      measured: told + toldB,
      unit: `of ${counted + countedB}`,
      ok,
      senders: [told, counted],
      receivers: [toldB, countedB],
    });
  }
}

try {
  await main();
} finally {
  await scope.close();
}
