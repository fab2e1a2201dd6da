/**
 * What the agent takes for itself: CPU time and resident memory at rest, and on a node with 2,000 threads,
 * 5,000 sockets and 1,000 exec/s. CPU is user + system time of the process and all its threads over the wall
 * time, the median of windows: whatever else this machine does in one of them makes the agent look as well.
 * Memory is the most seen.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Agent, startAgent } from '../test/lib/agent.js';
import { workload } from '../test/lib/cc.js';
import { cpuSeconds, type Proc, rssBytes, startWorkload } from '../test/lib/proc.js';
import { openScope } from '../test/lib/scope.js';
import { progress, report } from './lib/report.js';
import { median, rounded } from './lib/stats.js';

/** Of all but what is done once a minute, each window has its share. */
const WINDOW_S = 10;
const WINDOWS = 5;
const MEASURE_S = WINDOW_S * WINDOWS;
/** Not measured: the agent's start, and what V8 still compiles and collects for half a minute after it. */
const SETTLE_S = 30;
const THREADS = 2000;
const CONNECTIONS = 2500;
const EXEC_PER_S = 1000;
const MB = 1e6;

interface Use {
  readonly cpuPercent: number;
  readonly percents: readonly number[];
  readonly rssMb: number;
}

const scope = openScope();

async function watch(agent: Agent): Promise<Use> {
  const cpuOf = (): number => {
    const seconds = cpuSeconds(agent.pid);
    if (seconds === undefined) throw new Error(`the agent ended: ${agent.proc.stderr.slice(-3).join(' | ')}`);
    return seconds;
  };
  await sleep(SETTLE_S * 1000, undefined, { signal: scope.signal });
  const percents: number[] = [];
  let rss = 0;
  for (let window = 0; window < WINDOWS; window++) {
    const cpuBefore = cpuOf();
    const began = performance.now();
    while (performance.now() - began < WINDOW_S * 1000) {
      rss = Math.max(rss, rssBytes(agent.pid) ?? 0);
      await sleep(500, undefined, { signal: scope.signal });
    }
    percents.push(((cpuOf() - cpuBefore) / (performance.now() - began)) * 1e5);
  }
  return { cpuPercent: median(percents), percents, rssMb: rss / MB };
}

function reportUse(
  where: string,
  use: Use,
  cpuBar: number,
  rssBar: number,
  more: Record<string, unknown>,
): void {
  report({
    name: `agent CPU ${where}`,
    asked: `<= ${cpuBar} % of a core`,
    measured: rounded(use.cpuPercent),
    unit: '% of a core',
    ok: use.cpuPercent <= cpuBar,
    seconds: MEASURE_S,
    windows: use.percents.map(rounded),
    ...more,
  });
  report({
    name: `agent RSS ${where}`,
    asked: `<= ${rssBar} MB`,
    measured: rounded(use.rssMb),
    unit: 'MB',
    ok: use.rssMb <= rssBar,
    ...more,
  });
}

/** Executions a second that the spawner itself counted, the median of its seconds. */
function execRate(spawner: Proc): number {
  const rates = spawner.truths('rate').map((second) => second.number('per_second'));
  return rates.sort((a, b) => a - b)[Math.floor(rates.length / 2)] ?? 0;
}

async function main(): Promise<void> {
  const atRest = await startAgent(scope);
  reportUse('at rest', await watch(atRest), 0.5, 100, {});
  await atRest.stop();

  progress(`load: ${THREADS} threads, ${CONNECTIONS * 2} sockets, ${EXEC_PER_S} exec/s`);
  const threads = await startWorkload(scope, 'many_threads', { n: THREADS });
  await threads.ready();
  const sockets = await startWorkload(scope, 'many_sockets', { n: CONNECTIONS });
  await sockets.ready();
  const agent = await startAgent(scope);
  const spawner = await startWorkload(scope, 'spawner', {
    rate: EXEC_PER_S,
    seconds: SETTLE_S + MEASURE_S + 10,
    path: await workload('true'),
  });
  await spawner.ready();
  const use = await watch(agent);
  reportUse('under load', use, 2, 120, {
    threads: THREADS,
    sockets: CONNECTIONS * 2,
    execPerSecond: rounded(execRate(spawner)),
  });
}

try {
  await main();
} finally {
  await scope.close();
}
