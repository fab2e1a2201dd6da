/**
 * From a fault of a GPU to a right `xctl why` of the process that uses it, asked again and again by the real command.
 * The clock starts when the fault is there: the double of NVML has its new scenario, the driver's line is written.
 */
import { GPU_FAULTS, GpuWorld, prepare } from '../test/e2e/lib/gpu-faults.js';
import { openScope } from '../test/lib/scope.js';
import { until } from '../test/lib/until.js';
import { report } from './lib/report.js';
import { median, rounded } from './lib/stats.js';

const ROUNDS = Number(process.env.ROUNDS ?? 3);
const ASK_EVERY_MS = 50;
const ASKED_S = 1;

const scope = openScope();

async function main(): Promise<void> {
  const measured = new Map(GPU_FAULTS.map(({ name }) => [name, { seconds: [] as number[], wrong: 0 }]));
  for (let round = 0; round < ROUNDS && !scope.signal.aborted; round++) {
    // Each round with GPUs that nothing has happened to.
    const own = openScope();
    try {
      const world = await GpuWorld.open(own);
      for (const fault of GPU_FAULTS) {
        const result = measured.get(fault.name);
        if (result === undefined) continue;
        const { pid, inject, right } = await prepare(own, world, fault);
        await world.agent.why(pid);
        const began = performance.now();
        await inject();
        await until(
          async () => {
            const answer = await world.agent.why(pid);
            if (right(answer)) return true;
            if (answer.verdict === 'cause-found') result.wrong++;
            return false;
          },
          { timeoutMs: 30_000, what: fault.name, everyMs: ASK_EVERY_MS },
        );
        result.seconds.push((performance.now() - began) / 1000);
      }
    } finally {
      await own.close();
    }
  }
  for (const [name, { seconds, wrong }] of measured) {
    const worst = Math.max(...seconds);
    report({
      name: `${name} to a right why`,
      asked: `<= ${ASKED_S} s`,
      measured: rounded(worst),
      unit: 's',
      ok: worst <= ASKED_S,
      median: rounded(median(seconds)),
      rounds: seconds.length,
      /** Answers on the way that named another cause. */
      wrong,
    });
  }
}

try {
  await main();
} finally {
  await scope.close();
}
