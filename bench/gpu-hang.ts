/**
 * NVML hung for 60 s in one call: what of it the rest of the agent feels. `why` of two other processes is asked all the
 * time and the events of every other probe are counted, before, during and after; during against the rest is the ratio.
 * Both lanes hung (every call of NVML) is measured the same way.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentClient } from '../src/api/client.js';
import { isDropped } from '../src/api/stream.js';
import { type Agent, startAgent } from '../test/lib/agent.js';
import { start, startWorkload } from '../test/lib/proc.js';
import { openScope } from '../test/lib/scope.js';
import { until } from '../test/lib/until.js';
import { nvmlDouble } from '../test/nvml/double/library.js';
import { type DoubleState, Scenario } from '../test/nvml/double/scenario.js';
import { progress, report } from './lib/report.js';
import { median, quantile, rounded } from './lib/stats.js';

const HANG_S = Number(process.env.SECONDS ?? 60);
const SETTLE_MS = 30_000;
const ASK_EVERY_MS = 200;
/** So many times slower, or this share of the events, counts as felt: what the machine's own noise does not reach. */
const SLOWER = 1.25;
const FEWER = 0.9;

const scope = openScope();

interface Window {
  /** ms, one an answer. */
  readonly why: readonly number[];
  /** A second, by probe. */
  readonly rates: ReadonlyMap<string, number>;
}

class Watch {
  readonly counts = new Map<string, number>();
  readonly #client: AgentClient;
  readonly #pids: readonly number[];

  constructor(agent: Agent, pids: readonly number[]) {
    this.#client = new AgentClient({ socketPath: agent.socket, timeoutMs: 60_000, signal: scope.signal });
    this.#pids = pids;
    void this.#client.events({}, scope.signal, async (lines) => {
      for (const line of lines) {
        if (isDropped(line)) continue;
        this.counts.set(line.probe, (this.counts.get(line.probe) ?? 0) + 1);
      }
    });
  }

  async window(seconds: number): Promise<Window> {
    const before = new Map(this.counts);
    const began = performance.now();
    const times: number[] = [];
    for (let i = 0; performance.now() - began < seconds * 1_000; i++) {
      const asked = performance.now();
      await this.#client.why(this.#pids[i % this.#pids.length] ?? 1);
      times.push(performance.now() - asked);
      await sleep(ASK_EVERY_MS, undefined, { signal: scope.signal });
    }
    const elapsedS = (performance.now() - began) / 1_000;
    const rates = [...this.counts].map(
      ([probe, count]) => [probe, (count - (before.get(probe) ?? 0)) / elapsedS] as const,
    );
    return { why: times, rates: new Map(rates) };
  }
}

async function compare(
  watch: Watch,
  scenario: Scenario,
  name: string,
  hang: DoubleState['hang'],
): Promise<void> {
  const quiet = [await watch.window(HANG_S / 2)];
  scenario.set({ ...STATE, hang: hang ?? [] });
  // From the first second on, also those in which nobody knows yet that it hangs.
  const hung = await watch.window(HANG_S);
  scenario.set(STATE);
  await sleep(2_000, undefined, { signal: scope.signal });
  quiet.push(await watch.window(HANG_S / 2));

  const calm = quiet.flatMap(({ why }) => why);
  const ratio = median(hung.why) / median(calm);
  report({
    name: `${name}: why, during against before and after`,
    asked: `unaffected: <= ${SLOWER} times`,
    measured: rounded(ratio),
    unit: 'times',
    ok: ratio <= SLOWER,
    medianMs: [rounded(median(calm)), rounded(median(hung.why))],
    p95Ms: [rounded(quantile(calm, 0.95)), rounded(quantile(hung.why, 0.95))],
    maxMs: [rounded(Math.max(...calm)), rounded(Math.max(...hung.why))],
    answers: [calm.length, hung.why.length],
  });
  const rateOf = (window: Window): number =>
    [...window.rates].reduce((sum, [probe, rate]) => (probe === 'gpu' ? sum : sum + rate), 0);
  const before = quiet.reduce((sum, window) => sum + rateOf(window), 0) / quiet.length;
  const share = rateOf(hung) / before;
  report({
    name: `${name}: events of the other probes, during against before and after`,
    asked: `unaffected: >= ${FEWER} times`,
    measured: rounded(share),
    unit: 'times',
    ok: share >= FEWER,
    perSecond: [rounded(before), rounded(rateOf(hung))],
    byProbe: Object.fromEntries([...hung.rates].map(([probe, rate]) => [probe, rounded(rate)])),
    seconds: HANG_S,
  });
}

const STATE: DoubleState = {
  all: { util: [90, 40], processes: [{ pid: process.pid, bytes: 2 ** 33, sm: 90 }] },
};

async function main(): Promise<void> {
  const scenario = new Scenario(scope);
  scenario.set(STATE);
  const agent = await startAgent(scope, {
    args: ['--nvml', await nvmlDouble()],
    env: { XCTL_NVML_SCENARIO: scenario.path },
  });
  const sleeper = await start(scope, 'sleep', ['100000']);
  const deadlock = await startWorkload(scope, 'deadlock', { mode: 'threads' });
  await deadlock.ready();
  // Something for the other probes to tell: processes come and go all the time, at an even pace.
  await startWorkload(scope, 'spawner', { rate: 20, seconds: 100_000 });
  const watch = new Watch(agent, [sleeper.pid, deadlock.pid]);
  await until(() => (watch.counts.get('gpu') ?? 0) > 0, { timeoutMs: 10_000, what: 'the GPUs' });
  await sleep(SETTLE_MS, undefined, { signal: scope.signal });
  progress('gpu-hang: one call of one GPU');
  await compare(watch, scenario, 'NVML hung in one call', [[3, 'nvmlDeviceGetClockInfo']]);
  progress('gpu-hang: every call');
  await compare(watch, scenario, 'NVML hung in every call', [[-1, '*']]);
}

try {
  await main();
} finally {
  await scope.close();
}
