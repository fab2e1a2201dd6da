/** What the GPU scenarios have in common: an agent with a double of NVML and a kernel log of its own, and who uses its GPUs. */
import { GpuWorld } from '../e2e/lib/gpu-faults.js';
import { type Proc, startWorkload } from '../lib/proc.js';
import type { Scope } from '../lib/scope.js';
import { until } from '../lib/until.js';
import type { DoubleGpu, DoubleProcess } from '../nvml/double/scenario.js';
import type { Printed } from '../xid/driver.js';
import type { Dice } from './dice.js';

export const GIB = 2 ** 30;

/** Each scenario takes one or two, and another when it is played again. */
const GPUS = 24;

/** All its probes run, as on a node. */
export function openGpus(scope: Scope): Promise<GpuWorld> {
  return GpuWorld.open(scope, { gpus: GPUS, args: [] });
}

export async function gpusMissing(): Promise<string | undefined> {
  return process.getuid?.() === 0 ? undefined : 'a kernel log of its own needs root';
}

/** A program that waits for its GPU: the driver lets it sleep, as with a blocking synchronisation. */
export async function waiter(scope: Scope): Promise<Proc> {
  const proc = await startWorkload(scope, 'storage', { mode: 'hold', path: '/dev/null' });
  await proc.ready();
  return proc;
}

/** One that spins until its GPU is done, as CUDA does unless told otherwise. */
export async function spinner(scope: Scope): Promise<Proc> {
  const proc = await startWorkload(scope, 'cpu_hog', {});
  await proc.ready();
  return proc;
}

export interface Used {
  readonly proc: Proc;
  readonly gpu: number;
}

/** A GPU of its own for it, on which nothing runs (`percent` 0) or something. */
export async function give(
  world: GpuWorld,
  dice: Dice,
  proc: Proc,
  percent = 0,
  more: DoubleGpu = {},
): Promise<Used> {
  return { proc, gpu: await world.used(proc.pid, { ...use(proc.pid, dice, percent), ...more }) };
}

/** What NVML says of a GPU with one process on it. */
export function use(pid: number, dice: Dice, percent: number): DoubleGpu {
  const bytes = dice.between(8, 60) * GIB;
  return { util: [percent, percent], usedBytes: bytes, processes: [on(pid, bytes, percent)] };
}

export function on(pid: number, bytes: number, percent: number): DoubleProcess {
  return { pid, bytes, sm: percent, memory: percent };
}

/** Lines of the driver, in this order. The agent's kernel log is a pipe here: it may be full until it has read on. */
export async function log(
  world: GpuWorld,
  gpu: number,
  ...lines: readonly Omit<Printed, 'pci'>[]
): Promise<void> {
  for (const line of lines) {
    const written = (): true => {
      world.line(gpu, line);
      return true;
    };
    await until(written, { timeoutMs: 10_000, what: `room for Xid ${line.code} in the kernel log` });
  }
}
