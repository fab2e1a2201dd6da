/**
 * From an idle GPU to the right thread and its chain, once for each reason that this machine can have. The processes
 * and their faults are real; the GPU is the double's. The clock starts when the reason is there and the GPU has
 * nothing to do any more.
 */
import type { WhyAnswer } from '../src/scene/answer.js';
import { IDLE_CASES, type IdleCase, idleFlaws, oneGpu } from '../test/e2e/lib/gpu-idle.js';
import { openScope } from '../test/lib/scope.js';
import { until } from '../test/lib/until.js';
import { progress, report } from './lib/report.js';
import { median, rounded } from './lib/stats.js';

const ASKED = 20;
const ASKED_S = 5;
const GIVE_UP_MS = 15_000;
const ASK_EVERY_MS = 50;

const scope = openScope();

async function main(): Promise<void> {
  const cases: IdleCase[] = [];
  for (const one of IDLE_CASES) {
    const missing = await one.missing();
    if (missing === undefined) cases.push(one);
    else progress(`gpu-idle: ${one.name}: not here: ${missing}`);
  }
  const gpu = await oneGpu(scope);
  const seconds: number[] = [];
  const others: string[] = [];
  for (const one of cases) {
    if (scope.signal.aborted) break;
    const own = openScope();
    try {
      const idle = await one.prepare(own);
      gpu.works(idle.pid);
      const working = async (): Promise<boolean> => {
        const { summary, verdict } = await gpu.agent.why(idle.pid);
        return summary.includes('gpu:0 works') || verdict === 'cause-found';
      };
      await until(working, { timeoutMs: GIVE_UP_MS, what: 'the GPU at work', everyMs: ASK_EVERY_MS });
      await idle.inject?.();
      gpu.idles(idle.pid);
      const began = performance.now();
      let last: WhyAnswer | undefined;
      const right = async (): Promise<boolean> => {
        last = await gpu.agent.why(idle.pid);
        return idleFlaws(last, idle).length === 0;
      };
      const found = await until(right, {
        timeoutMs: GIVE_UP_MS,
        what: one.name,
        everyMs: ASK_EVERY_MS,
      }).catch(() => false);
      const took = (performance.now() - began) / 1000;
      if (found) seconds.push(took);
      if (!found || took > ASKED_S)
        others.push(`${one.name}: ${last === undefined ? 'no answer' : idleFlaws(last, idle).join('; ')}`);
      progress(`gpu-idle: ${one.name}: ${found ? `${rounded(took)} s` : 'not found'}: ${last?.summary}`);
    } finally {
      await own.close();
    }
  }
  const right = seconds.filter((took) => took <= ASKED_S).length;
  report({
    name: 'idle GPU to the right thread and its chain',
    asked: `${ASKED} of ${ASKED} in <= ${ASKED_S} s`,
    measured: right,
    unit: `of ${cases.length}`,
    ok: right >= ASKED && right === cases.length,
    median: rounded(median(seconds)),
    worst: rounded(Math.max(...seconds)),
    others,
  });
}

try {
  await main();
} finally {
  await scope.close();
}
