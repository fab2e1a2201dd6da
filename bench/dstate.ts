/**
 * Threads in D state and the device or server that each is said to wait for: right, unknown, wrong. The faults are those
 * of test/e2e/lib/stuck.ts, made anew in turn until there are FAULTS of them; device mapper, null_blk, SCSI and NFS
 * are in the guests: make test-vm KERNELS=6.1 TESTS=bench/dstate.ts
 */
import type { WhyAnswer } from '../src/scene/answer.js';
import { startAgent } from '../test/lib/agent.js';
import { openScope } from '../test/lib/scope.js';
import { until } from '../test/lib/until.js';
import { STUCK, type StuckCase } from '../test/e2e/lib/stuck.js';
import { progress, report } from './lib/report.js';

const FAULTS = Number(process.env.FAULTS ?? 50);

const scope = openScope();

async function main(): Promise<void> {
  const cases: StuckCase[] = [];
  for (const one of STUCK) {
    const missing = await one.missing();
    if (missing === undefined) cases.push(one);
    else progress(`dstate: ${one.name}: not here: ${missing}`);
  }
  const agent = await startAgent(scope);
  let right = 0;
  const others: string[] = [];
  for (let made = 0; made < FAULTS && !scope.signal.aborted; made++) {
    const one = cases[made % cases.length];
    if (one === undefined) break;
    const own = openScope();
    try {
      const { pid, culprit, stick, release } = await one.prepare(own);
      await stick();
      let last: WhyAnswer | undefined;
      const found = async (): Promise<boolean> => {
        last = await agent.why(pid);
        return last.verdict === 'cause-found';
      };
      await until(found, { timeoutMs: 10_000, what: 'a cause', everyMs: 100 }).catch(() => undefined);
      if (last?.rootCause?.node === culprit) right++;
      else
        others.push(
          `${one.name}: ${last?.rootCause?.node ?? last?.verdict} and not ${culprit}: ${last?.summary}`,
        );
      await release();
    } finally {
      await own.close();
    }
    progress(`dstate: ${made + 1} of ${FAULTS}: ${right} right`);
  }
  report({
    name: 'D-state thread to the right device or server',
    asked: `${FAULTS} of ${FAULTS}`,
    measured: right,
    unit: `of ${FAULTS}`,
    ok: right === FAULTS,
    kinds: cases.length,
    others,
  });
}

try {
  await main();
} finally {
  await scope.close();
}
