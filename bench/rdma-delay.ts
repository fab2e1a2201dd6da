/**
 * From a fault of RDMA to a right `xctl why`. The clock starts when the fault is there. As in fault-delay.ts both times are
 * told, the agent's and the one with the real command, which takes an emulated machine a second to start; what is asked
 * for counts the agent's, since the guest is many times slower than any node.
 *
 * In a guest: make test-vm KERNELS=6.1 TESTS=bench/rdma-delay.ts
 */
import { AgentClient } from '../src/api/client.js';
import { RDMA_FAULTS } from '../test/e2e/lib/rdma-faults.js';
import { startAgent } from '../test/lib/agent.js';
import { createRdmaWorld, rdmaMissing } from '../test/lib/rdma.js';
import { openScope } from '../test/lib/scope.js';
import { until } from '../test/lib/until.js';
import { progress, report } from './lib/report.js';
import { median, rounded } from './lib/stats.js';

const ROUNDS = Number(process.env.ROUNDS ?? 3);
const ASK_EVERY_MS = 50;

const scope = openScope();

async function main(): Promise<void> {
  const missing = await rdmaMissing();
  if (missing !== undefined) return progress(`rdma-delay: not here: ${missing}`);
  const agent = await startAgent(scope);
  const client = new AgentClient({ socketPath: agent.socket, timeoutMs: 10_000 });
  for (const fault of RDMA_FAULTS) {
    const inAgent: number[] = [];
    const withCommand: number[] = [];
    const wrong: string[] = [];
    for (let round = 0; round < ROUNDS && !scope.signal.aborted; round++) {
      // Each round undoes what it made before the next one starts.
      const own = openScope();
      try {
        const world = await createRdmaWorld(own);
        const { pid, inject, right } = await fault.prepare(own, world);
        await agent.why(pid);
        await inject();
        const began = performance.now();
        await until(
          async () => {
            const answer = await client.why(pid);
            if (right(answer)) return true;
            if (answer.verdict === 'cause-found')
              wrong.push(`${answer.scene}/${answer.subScene} at ${answer.rootCause?.type}`);
            return false;
          },
          { timeoutMs: 30_000, what: fault.name, everyMs: ASK_EVERY_MS },
        );
        inAgent.push((performance.now() - began) / 1000);
        await until(async () => right(await agent.why(pid)), { timeoutMs: 30_000, what: fault.name });
        withCommand.push((performance.now() - began) / 1000);
      } finally {
        await own.close();
      }
    }
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
      /** Answers on the way that named another cause. */
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
