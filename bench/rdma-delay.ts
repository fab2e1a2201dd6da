/**
 * From a fault of RDMA to a right `xctl why`. What counts is the agent's time, since the guest, in which a command takes a
 * second to start, is many times slower than any node.
 *
 * In a guest: make test-vm KERNELS=6.1 TESTS=bench/rdma-delay.ts
 */
import { RDMA_FAULTS } from '../test/e2e/lib/rdma-faults.js';
import { startAgent } from '../test/lib/agent.js';
import { createRdmaWorld, rdmaMissing } from '../test/lib/rdma.js';
import { openScope } from '../test/lib/scope.js';
import { progress, report } from './lib/report.js';
import { median, rounded } from './lib/stats.js';
import { noTimes, timeToWhy } from './lib/time-to-why.js';

const ROUNDS = Number(process.env.ROUNDS ?? 3);

const scope = openScope();

async function main(): Promise<void> {
  const missing = await rdmaMissing();
  if (missing !== undefined) return progress(`rdma-delay: not here: ${missing}`);
  const agent = await startAgent(scope);
  for (const fault of RDMA_FAULTS) {
    const times = noTimes();
    for (let round = 0; round < ROUNDS && !scope.signal.aborted; round++) {
      // Each round undoes what it made before the next one starts.
      const own = openScope();
      try {
        const world = await createRdmaWorld(own);
        await timeToWhy(agent, await fault.prepare(own, world), fault.name, times);
      } finally {
        await own.close();
      }
    }
    const { inAgent, withCommand, wrong } = times;
    const worst = Math.max(...inAgent);
    report({
      name: `${fault.name} to a right why`,
      asked: `<= ${fault.askedS} s`,
      measured: rounded(worst),
      unit: 's',
      ok: worst <= fault.askedS,
      median: rounded(median(inAgent)),
      withCommand: rounded(Math.max(...withCommand)),
      rounds: inAgent.length,
      wrong: wrong.length,
      instead: [...new Set(wrong)],
    });
  }
}

try {
  await main();
} finally {
  await scope.close();
}
