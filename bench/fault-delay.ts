/**
 * From a fault of storage or host to a right `xctl why`; for each fault that this machine can have. The clock starts
 * when the fault is there. The agent is asked again and again over its socket, and as soon as it is right the real
 * command is run: what counts is when that has printed it. Both times are told, for an emulated machine takes a
 * second to start a command.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentClient } from '../src/api/client.js';
import { BIO_FAULTS } from '../test/e2e/lib/bio-faults.js';
import { FAULTS } from '../test/e2e/lib/faults.js';
import { startAgent } from '../test/lib/agent.js';
import { openScope } from '../test/lib/scope.js';
import { until } from '../test/lib/until.js';
import { progress, report } from './lib/report.js';
import { median, rounded } from './lib/stats.js';

const ROUNDS = Number(process.env.ROUNDS ?? 3);
const ASK_EVERY_MS = 50;

const scope = openScope();

async function main(): Promise<void> {
  const agent = await startAgent(scope);
  const client = new AgentClient({ socketPath: agent.socket, timeoutMs: 10_000 });
  for (const fault of [...FAULTS, ...BIO_FAULTS]) {
    const missing = await fault.missing();
    if (missing !== undefined) {
      progress(`fault-delay: ${fault.name}: not here: ${missing}`);
      continue;
    }
    const seconds: number[] = [];
    const inAgent: number[] = [];
    const wrong: string[] = [];
    for (let round = 0; round < ROUNDS && !scope.signal.aborted; round++) {
      if (round > 0) await sleep(fault.restMs ?? 0, undefined, { signal: scope.signal });
      // Each round undoes what it made before the next one starts.
      const own = openScope();
      try {
        const { pid, inject, right } = await fault.prepare(own);
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
        seconds.push((performance.now() - began) / 1000);
      } finally {
        await own.close();
      }
    }
    const worst = Math.max(...seconds);
    report({
      name: `${fault.name} to a right why`,
      asked: `<= ${fault.askedS} s`,
      measured: rounded(worst),
      unit: 's',
      ok: worst <= fault.askedS,
      median: rounded(median(seconds)),
      /** Of it, until the agent's answer was right; the rest is the command. */
      inAgent: rounded(Math.max(...inAgent)),
      rounds: seconds.length,
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
