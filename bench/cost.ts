/**
 * What the agent costs others: loopback TCP throughput, a pipe ping-pong, fork+exec, with the agent and
 * without it, in pairs. Phases run on, on, off, off, on, on, …, the agent really started and really gone; a
 * pair is the two phases on either side of a change, so that which comes first alternates and drift cancels.
 * Each pair gives one ratio; reported is the median of the ratios with its 95 % interval. Pairs are added until
 * the interval is narrow or the time is up. Nothing is attached to pipes: their figure is the method's noise.
 */
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { startAgent } from '../test/lib/agent.js';
import { openScope } from '../test/lib/scope.js';
import { peer } from './lib/cc.js';
import { progress, report } from './lib/report.js';
import { mean, median, medianInterval, rounded } from './lib/stats.js';

const run = promisify(execFile);

const PEERS = [
  { program: 'tcp_throughput', name: 'cost to loopback TCP throughput', unit: 'MB/s' },
  { program: 'pipe_pingpong', name: 'cost to a pipe ping-pong', unit: 'thousand round trips/s' },
  { program: 'fork_exec', name: 'cost to fork+exec', unit: 'processes/s' },
] as const;
type Program = (typeof PEERS)[number]['program'];

const ASKED = 0.01;
const MIN_PAIRS = 10;
const MAX_PAIRS = 120;
const TIME_MS = 7 * 60_000;
/** Narrow enough: half the interval, as a share. */
const NARROW = 0.004;
const SLICE_S = 0.2;
/** Slices of a peer in one phase; their mean is the phase's figure: the agent's bursts count as well. */
const SLICES = 14;
/** After the start: the first passes over the node, and what V8 still compiles and collects for half a minute. */
const SETTLE_MS = 32_000;

interface Phase {
  readonly figures: Readonly<Record<Program, number>>;
}

const scope = openScope();

async function measure(programs: ReadonlyMap<Program, string>): Promise<Phase> {
  const slices: Record<Program, number[]> = { tcp_throughput: [], pipe_pingpong: [], fork_exec: [] };
  // Slice by slice in turn, so that a bad moment of the machine does not hit one peer alone.
  for (let slice = 0; slice < SLICES; slice++) {
    for (const [program, path] of programs) {
      const { stdout } = await run(path, [String(SLICE_S)], { signal: scope.signal, timeout: 30_000 });
      slices[program].push(Number(stdout));
    }
  }
  return {
    figures: {
      tcp_throughput: mean(slices.tcp_throughput),
      pipe_pingpong: mean(slices.pipe_pingpong),
      fork_exec: mean(slices.fork_exec),
    },
  };
}

interface Pair {
  readonly on: Phase;
  readonly off: Phase;
}

/** Two phases in a row with the agent. */
async function withAgent(programs: ReadonlyMap<Program, string>): Promise<readonly [Phase, Phase]> {
  const agent = await startAgent(scope);
  await sleep(SETTLE_MS, undefined, { signal: scope.signal });
  const phases = [await measure(programs), await measure(programs)] as const;
  await agent.stop();
  return phases;
}

function narrow(pairs: readonly Pair[]): boolean {
  return PEERS.every(({ program }) => {
    const { low, high } = medianInterval(costs(pairs, program));
    return (high - low) / 2 <= NARROW;
  });
}

/** Share of the figure that is lost with the agent, by pair; below zero when it was better with it. */
function costs(pairs: readonly Pair[], program: Program): readonly number[] {
  return pairs.map(({ on, off }) => 1 - on.figures[program] / off.figures[program]);
}

async function main(): Promise<void> {
  const programs = new Map<Program, string>();
  for (const { program } of PEERS) programs.set(program, await peer(program));
  await measure(programs); // warms caches and frequency up

  const pairs: Pair[] = [];
  const deadline = performance.now() + TIME_MS;
  let off = await measure(programs);
  while (pairs.length < MAX_PAIRS && performance.now() < deadline) {
    if (pairs.length >= MIN_PAIRS && narrow(pairs)) break;
    const [first, second] = await withAgent(programs);
    pairs.push({ on: first, off });
    pairs.push({ on: second, off: await measure(programs) });
    off = await measure(programs);
    if (pairs.length % 10 === 0) progress(`cost: ${pairs.length} pairs`);
  }

  for (const { program, name, unit } of PEERS) {
    const lost = costs(pairs, program);
    const { low, high } = medianInterval(lost);
    report({
      name,
      asked: `<= ${ASKED * 100} %`,
      measured: rounded(median(lost) * 100),
      unit: '%',
      ok: median(lost) <= ASKED,
      interval95: [rounded(low * 100), rounded(high * 100)],
      pairs: pairs.length,
      off: rounded(median(pairs.map(({ off }) => off.figures[program]))),
      on: rounded(median(pairs.map(({ on }) => on.figures[program]))),
      figureUnit: unit,
    });
  }
}

try {
  await main();
} finally {
  await scope.close();
}
