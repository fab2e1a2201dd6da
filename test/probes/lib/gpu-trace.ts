/** Jobs over doubles of libnccl and libcuda, probe `gpu-trace` on them, and what it says of each rank. */
import type { Test } from 'tap';
import type { EventOf } from '../../../src/events/event.js';
import { GpuTraceProbe, type GpuTraceOptions } from '../../../src/probes/gpu-trace.js';
import type { ProbeContext } from '../../../src/probes/probe.js';
import { workload } from '../../lib/cc.js';
import { type Proc, start, startTicks, type Truth } from '../../lib/proc.js';
import { until } from '../../lib/until.js';
import { type Doubles, doubles } from '../../nccl/doubles.js';
import { type Rig, startProbe } from './rig.js';

export type Comm = EventOf<'nccl.comm'>;
export type Enqueue = EventOf<'nccl.enqueue'>;

export const TICK_NS = 10_000_000;
/** Looks as often as it can: a test does not wait for a library to be found. */
const FAST: GpuTraceOptions = { watch: { firstMs: 1, maxMs: 1 } };

export interface World {
  readonly rig: Rig<GpuTraceProbe>;
  readonly libraries: Doubles;
}

export async function world(
  t: Test,
  options: GpuTraceOptions = {},
  {
    defines = [],
    uprobeMulti = true,
  }: { readonly defines?: readonly string[]; readonly uprobeMulti?: boolean } = {},
): Promise<World> {
  const libraries = await doubles(t, defines);
  const make = (context: ProbeContext) => new GpuTraceProbe(context, { ...FAST, ...options });
  const rig = await startProbe(t, make, undefined, uprobeMulti);
  return { rig, libraries };
}

export async function job(
  t: Test,
  { nccl, cuda }: Doubles,
  words: Readonly<Record<string, string | number>>,
): Promise<Proc> {
  const program = await workload('ranks', 'test/nccl/ranks.c');
  const args = Object.entries({ nccl, cuda, ...words }).map(([key, value]) => `${key}=${value}`);
  const proc = await start(t, program, args);
  await proc.ready();
  return proc;
}

/** What rank `rank` said of `kind`. */
export function said(proc: Proc, kind: string, rank = 0): Promise<Truth> {
  return until(() => proc.truths(kind).find((truth) => truth.number('rank') === rank), {
    timeoutMs: 15_000,
    what: `${kind} of rank ${rank}`,
  });
}

/** Probes are in both libraries of these processes before they go on. */
export async function traced({ rig }: World, pids: readonly number[], libraries = 2): Promise<void> {
  const attached = new RegExp(`^${libraries} libraries`);
  for (const pid of pids) rig.probe.watch(pid, Number(startTicks(pid)) * TICK_NS);
  await until(() => attached.test(rig.probe.checks()[0]?.detail ?? ''), {
    timeoutMs: 15_000,
    what: `${libraries} libraries with probes`,
  });
}

/**
 * All ranks have mapped the libraries and wait; probes are attached; then each goes on.
 * @param here how many of them the agent knows of: all
 */
export async function begin(
  t: Test,
  w: World,
  words: Readonly<Record<string, string | number>>,
  here = Number(words.n ?? 1),
): Promise<Proc> {
  const n = Number(words.n ?? 1);
  const proc = await job(t, w.libraries, words);
  const pids: number[] = [];
  for (let rank = 0; rank < n; rank++) pids.push((await said(proc, 'wait', rank)).pid);
  await traced(w, pids.slice(0, here));
  for (const pid of pids) process.kill(pid, 'SIGUSR1');
  return proc;
}

export function comm(w: World, pid: number, state: string, nth = 0): Promise<Comm> {
  return until(() => w.rig.all('nccl.comm', (e) => e.pid === pid && e.attrs.state === state)[nth], {
    timeoutMs: 10_000,
    what: `${state} of ${pid}`,
  });
}

export function enqueue(w: World, pid: number, pass: (e: Enqueue) => boolean): Promise<Enqueue> {
  return until(() => w.rig.all('nccl.enqueue', (e) => e.pid === pid && pass(e)).at(-1), {
    timeoutMs: 10_000,
    what: `an enqueue of ${pid}`,
  });
}
