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
}

export interface Cost {
  /** Share of the work that is lost, the median of the pairs; below zero when more was done. */
  readonly share: number;
  readonly interval: Interval;
  readonly pairs: number;
  /** A second, medians. */
  readonly on: number;
  readonly off: number;
}

/** Pairs of windows; which comes first alternates. `count` is of the work done since ever. */
export async function compare(
  count: () => number,
  what: Switch,
  { windowMs, guardMs, timeMs }: Windows,
  signal: AbortSignal,
): Promise<Cost> {
  const window = async (): Promise<number> => {
    await sleep(guardMs, undefined, { signal });
    const start = performance.now();
    const before = count();
    await sleep(windowMs, undefined, { signal });
    return ((count() - before) * 1000) / (performance.now() - start);
  };
  const ons: number[] = [];
  const offs: number[] = [];
  const deadline = performance.now() + timeMs;
  for (let first = true; performance.now() < deadline; first = !first) {
    for (const on of first ? [true, false] : [false, true]) {
      await (on ? what.on() : what.off());
      (on ? ons : offs).push(await window());
    }
  }
  await what.off();
  const shares = ons.map((on, pair) => 1 - on / (offs[pair] ?? Number.NaN));
  return {
    share: median(shares),
    interval: medianInterval(shares),
    pairs: shares.length,
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
  return {
    on: proceed,
    off: () => void process.kill(agent.pid, 'SIGSTOP'),
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
    pairs: cost.pairs,
    offPerSecond: rounded(cost.off),
    onPerSecond: rounded(cost.on),
  };
}
