/**
 * What something costs others, by windows: the work that feels it runs through, its count is read along, and what
 * is measured is switched on and off under it. So neither starting the work nor the machine's slow drift counts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../../test/lib/agent.js';
import type { OpenScope } from '../../test/lib/scope.js';
import { type Interval, median, medianInterval, rounded } from './stats.js';

/** After the agent's start: its first passes over the node, and what V8 compiles and collects for half a minute. */
const SETTLE_MS = 30_000;

export interface Switch {
  on(): void | Promise<void>;
  off(): void | Promise<void>;
}

export interface Windows {
  readonly windowMs: number;
  /** After a switch, before counting: what the switch itself disturbs. */
  readonly guardMs: number;
  /** In all. */
  readonly timeMs: number;
  /** By what work is timed, ms; the wall clock. */
  clock?(): number;
  /** So many windows each time, of which the best counts: for a clock by which others only ever take away. 1 unless said. */
  readonly tries?: number;
}

export interface Cost {
  /** Share of the work that is lost, the median of the rounds; below zero when more was done. */
  readonly share: number;
  readonly interval: Interval;
  readonly rounds: number;
  /** A second, medians. */
  readonly on: number;
  readonly off: number;
}

/**
 * Rounds of windows: one with nothing, one with each of `what`; every other round backwards. `count` is of the work
 * done since ever; work and clock are read at both ends of a window. @returns for each of `what` what it cost against the window with nothing of the same round
 */
export async function compare<Names extends string>(
  count: () => number,
  what: Readonly<Record<Names, Switch>>,
  { windowMs, guardMs, timeMs, clock = () => performance.now(), tries = 1 }: Windows,
  signal: AbortSignal,
): Promise<Readonly<Record<Names, Cost>>> {
  const one = async (): Promise<number> => {
    const start = clock();
    const before = count();
    await sleep(windowMs, undefined, { signal });
    return ((count() - before) * 1000) / (clock() - start);
  };
  const window = async (): Promise<number> => {
    await sleep(guardMs, undefined, { signal });
    let best = 0;
    for (let tried = 0; tried < tries; tried++) best = Math.max(best, await one());
    return best;
  };
  const offs: number[] = [];
  const rounds = Object.entries<Switch>(what).map(([name, part]) => ({
    name,
    part,
    figures: [] as number[],
  }));
  const all = [undefined, ...rounds];
  const deadline = performance.now() + timeMs;
  for (let round = 0; performance.now() < deadline; round++) {
    for (const on of round % 2 === 0 ? all : [...all].reverse()) {
      await on?.part.on();
      (on?.figures ?? offs).push(await window());
      await on?.part.off();
    }
  }
  const costs = rounds.map(({ name, figures }) => [name, costOf(figures, offs)]);
  return Object.fromEntries(costs) as Record<Names, Cost>;
}

function costOf(ons: readonly number[], offs: readonly number[]): Cost {
  const shares = ons.map((on, round) => 1 - on / (offs[round] ?? Number.NaN));
  return {
    share: median(shares),
    interval: medianInterval(shares),
    rounds: shares.length,
    on: median(ons),
    off: median(offs),
  };
}

/** A whole settled agent whose programs are attached all the time: only what it does itself is switched. */
export async function looks(
  scope: OpenScope,
  args: readonly string[] = [],
): Promise<Switch & { stop(): Promise<void> }> {
  const agent = await startAgent(scope, { args });
  await sleep(SETTLE_MS, undefined, { signal: scope.signal });
  const proceed = (): void => void process.kill(agent.pid, 'SIGCONT');
  const off = (): void => void process.kill(agent.pid, 'SIGSTOP');
  off();
  return {
    on: proceed,
    off,
    stop: async () => {
      proceed();
      await agent.stop();
    },
  };
}

export function shown(cost: Cost): Readonly<Record<string, unknown>> {
  return {
    percent: rounded(cost.share * 100),
    interval95: [rounded(cost.interval.low * 100), rounded(cost.interval.high * 100)],
    rounds: cost.rounds,
    offPerSecond: rounded(cost.off),
    onPerSecond: rounded(cost.on),
  };
}
