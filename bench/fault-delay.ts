/**
 * From a fault of storage or host to a right `xctl why`; for each fault that this machine can have. What counts is when
 * the command has printed it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BIO_FAULTS } from '../test/e2e/lib/bio-faults.js';
import { FAULTS } from '../test/e2e/lib/faults.js';
import { startAgent } from '../test/lib/agent.js';
import { openScope } from '../test/lib/scope.js';
import { progress, report } from './lib/report.js';
import { median, rounded } from './lib/stats.js';
import { noTimes, timeToWhy } from './lib/time-to-why.js';

const ROUNDS = Number(process.env.ROUNDS ?? 3);

const scope = openScope();

async function main(): Promise<void> {
  const agent = await startAgent(scope);
  for (const fault of [...FAULTS, ...BIO_FAULTS]) {
    const missing = await fault.missing();
    if (missing !== undefined) {
      progress(`fault-delay: ${fault.name}: not here: ${missing}`);
      continue;
    }
    const times = noTimes();
    for (let round = 0; round < ROUNDS && !scope.signal.aborted; round++) {
      if (round > 0) await sleep(fault.restMs ?? 0, undefined, { signal: scope.signal });
      // Each round undoes what it made before the next one starts.
      const own = openScope();
      try {
        await timeToWhy(agent, await fault.prepare(own), fault.name, times);
      } finally {
        await own.close();
      }
    }
    const { inAgent, withCommand, wrong } = times;
    const worst = Math.max(...withCommand);
    report({
      name: `${fault.name} to a right why`,
      asked: `<= ${fault.askedS} s`,
      measured: rounded(worst),
      unit: 's',
      ok: worst <= fault.askedS,
      median: rounded(median(withCommand)),
      /** Of it, until the agent's answer was right; the rest is the command. */
      inAgent: rounded(Math.max(...inAgent)),
      rounds: withCommand.length,
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
