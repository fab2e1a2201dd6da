/**
 * What is wrong with a GPU, by the double of NVML and by lines of the driver: three suites, each with an agent and GPUs of
 * its own, since a fault of a GPU is remembered for ten minutes.
 *
 * `gpu`: what NVML tells. `gpu-xid`: what the driver tells, class by class. `gpu-calm`: what is loud and harmless.
 */
import { GPU_FAULTS, type GpuFault, type GpuWorld } from '../../e2e/lib/gpu-faults.js';
import { without } from '../../lib/disks/features.js';
import { throttledDisk } from '../../lib/disks/throttle.js';
import { type Proc, startWorkload } from '../../lib/proc.js';
import type { DoubleGpu } from '../../nvml/double/scenario.js';
import { GIB, give, gpusMissing, log, on, openGpus, spinner, waiter } from '../gpu-ground.js';
import { type Cause, type Scenario, suiteOn } from '../scenario.js';

type GpuScenario = Scenario<GpuWorld>;

/** Bits of NVML's throttle reasons. */
const POWER_CAP = 0x4;
const HW_SLOWDOWN = 0x8;
const HW_THERMAL = 0x40;
const POWER_BRAKE = 0x80;

/** What the shared faults stand for in the published tables. */
const PROVES: Readonly<Record<string, readonly string[]>> = {
  'XID in the kernel log': ['llama3/faulty-gpu', 'byterobust/cuda-error'],
  'GPU lost': ['llama3/faulty-gpu', 'byterobust/gpu-unavailable'],
  'GPU that wants a reset': ['byterobust/gpu-unavailable'],
  'ECC, uncorrected': ['llama3/gpu-hbm3-memory', 'byterobust/gpu-memory-error'],
  'XID on which the process ends': ['llama3/gpu-hbm3-memory'],
};

function broken(gpu: number, subScene: string | null, scene: Cause['scene'] = 'GpuError'): Cause {
  return { scene, subScene, root: `gpu:${gpu}` };
}

function slug(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/-$/, '');
}

/** A fault of test/e2e/lib/gpu-faults.ts. */
function shared(fault: GpuFault): GpuScenario {
  const { name, scene, subScene } = fault;
  const proves = PROVES[name];
  return {
    name: slug(name),
    kind: 'fault',
    severity: /ends/.test(name) ? 'ends' : 'stands',
    ...(proves !== undefined && { proves }),
    prepare: async (scope, dice, world) => {
      const victim = await waiter(scope);
      const { gpu } = await give(world, dice, victim);
      return {
        asked: [victim.pid],
        inject: async () => {
          await fault.inject(world, gpu, victim);
        },
        truth: () => ({ causes: [broken(gpu, subScene, scene)] }),
      };
    },
  };
}

/** It goes on working, and more slowly than it could. */
function slowed(
  name: string,
  reasons: number,
  figures: DoubleGpu,
  subScene: string | null,
  proves: string,
): GpuScenario {
  return {
    name,
    kind: 'fault',
    severity: 'slows',
    proves: [proves, 'byterobust/mfu-decline'],
    prepare: async (scope, dice, world) => {
      const { proc, gpu } = await give(world, dice, await waiter(scope), dice.between(70, 99));
      return {
        asked: [proc.pid],
        inject: async () => world.set(gpu, { reasons, ...figures }),
        truth: () => ({ causes: [broken(gpu, subScene)] }),
      };
    },
  };
}

export const GPU = suiteOn<GpuWorld>({
  name: 'gpu',
  missing: gpusMissing,
  open: openGpus,
  scenarios: [
    ...GPU_FAULTS.map(shared),
    slowed(
      'thermal',
      HW_SLOWDOWN | HW_THERMAL,
      { temperature: 92, clocks: [570, 2_619] },
      'Thermal',
      'llama3/gpu-thermal',
    ),
    slowed('power-brake', HW_SLOWDOWN | POWER_BRAKE, { clocks: [345, 2_619] }, null, 'llama3/power-supply'),
    {
      name: 'lost-while-it-spins',
      kind: 'fault',
      severity: 'stands',
      alone: true,
      prepare: async (scope, dice, world) => {
        const { proc, gpu } = await give(world, dice, await spinner(scope));
        return {
          asked: [proc.pid],
          inject: () => log(world, gpu, { code: 79, pid: proc.pid, comm: 'cpu_hog' }),
          truth: () => ({ causes: [broken(gpu, 'OffBus')] }),
        };
      },
    },
  ],
});

interface Driver {
  readonly code: number;
  readonly subScene: string | null;
  /** The driver names the process. */
  readonly named?: boolean;
  /** Lines that follow it, the last of which the process ends on. */
  readonly fallout?: readonly number[];
  readonly proves?: readonly string[];
}

const DRIVER: readonly Driver[] = [
  { code: 62, subScene: null, proves: ['llama3/faulty-gpu'] },
  { code: 64, subScene: 'Ecc', proves: ['llama3/gpu-hbm3-memory'] },
  { code: 74, subScene: 'Nvlink' },
  { code: 94, subScene: 'Ecc', named: true, proves: ['llama3/gpu-sram-memory'] },
  { code: 109, subScene: null, named: true, proves: ['byterobust/cuda-error'] },
  { code: 119, subScene: null, named: true, proves: ['llama3/gpu-system-processor'] },
  { code: 120, subScene: null, proves: ['llama3/gpu-system-processor'] },
  { code: 140, subScene: 'Ecc', proves: ['byterobust/gpu-memory-error'] },
  { code: 149, subScene: 'Nvlink' },
  { code: 172, subScene: 'Ecc', proves: ['llama3/gpu-sram-memory'] },
  { code: 95, subScene: 'Ecc', fallout: [154, 45] },
];

function driver({ code, subScene, named = false, fallout, proves }: Driver): GpuScenario {
  return {
    name: fallout === undefined ? `xid-${code}` : `xid-${code}-with-fallout`,
    kind: 'fault',
    severity: fallout === undefined ? 'stands' : 'ends',
    ...(proves !== undefined && { proves }),
    prepare: async (scope, dice, world) => {
      const { proc, gpu } = await give(world, dice, await waiter(scope));
      const { pid } = proc;
      return {
        asked: [pid],
        inject: async () => {
          await log(world, gpu, { code, ...(named && { pid, comm: 'storage' }) });
          for (const next of fallout ?? [])
            await log(world, gpu, { code: next, ...(next === 45 && { pid, comm: 'storage' }) });
          if (fallout !== undefined) await proc.stop('SIGABRT');
        },
        truth: () => ({ causes: [broken(gpu, subScene)] }),
      };
    },
  };
}

/** Its own kernel read where nothing is: the GPU is sound, and the program is not. */
function ownFault(name: string, ends: boolean): GpuScenario {
  return {
    name,
    kind: 'fault',
    severity: ends ? 'ends' : 'stands',
    proves: ['llama3/software-bug', 'byterobust/cuda-error'],
    prepare: async (scope, dice, world) => {
      const { proc, gpu } = await give(world, dice, await waiter(scope));
      const { pid } = proc;
      return {
        asked: [pid],
        inject: async () => {
          await log(world, gpu, { code: 31, pid, comm: 'storage' });
          if (ends) await proc.stop('SIGABRT');
        },
        truth: () => ({
          causes: [
            ends
              ? { scene: 'ProcessCrash', subScene: 'Signal', root: `pid:${pid}` }
              : { scene: 'GpuError', subScene: null, root: `pid:${pid}` },
          ],
        }),
      };
    },
  };
}

export const GPU_XID = suiteOn<GpuWorld>({
  name: 'gpu-xid',
  missing: gpusMissing,
  open: openGpus,
  scenarios: [
    ...DRIVER.map(driver),
    ownFault('xid-31-of-the-program', false),
    ownFault('xid-31-and-it-ends', true),
    {
      name: 'off-bus-and-stuck-disk',
      kind: 'double',
      severity: 'stands',
      missing: () => without('throttle'),
      prepare: async (scope, dice, world) => {
        const disk = await throttledDisk(scope);
        const args = { mode: 'read', path: disk.path, block: 65_536, pace_ms: dice.between(2, 20) };
        const reader = await startWorkload(scope, 'storage', args, { wrap: disk.wrap });
        await reader.ready('step');
        scope.teardown(disk.release);
        const { gpu } = await give(world, dice, reader);
        return {
          asked: [reader.pid],
          inject: async () => {
            await log(world, gpu, { code: 79, pid: reader.pid, comm: 'storage' });
            await disk.stall();
          },
          truth: () => ({
            causes: [
              broken(gpu, 'OffBus'),
              { scene: 'StorageSlow', subScene: 'Device', root: `block:${disk.name}` },
            ],
            order: 'any',
          }),
        };
      },
    },
  ],
});

interface Calm {
  readonly name: string;
  /** Of its GPU, when all is well. */
  readonly percent: number;
  readonly inject: (world: GpuWorld, gpu: number, victim: Proc) => unknown;
  /** What is right to say beside `healthy`. */
  readonly symptom?: true;
}

const CALM: readonly Calm[] = [
  { name: 'row-remapped', percent: 90, inject: (world, gpu) => log(world, gpu, { code: 63 }) },
  {
    name: 'preempted-alone',
    percent: 0,
    symptom: true,
    inject: (world, gpu, { pid }) => log(world, gpu, { code: 45, pid, comm: 'storage' }),
  },
  {
    name: 'reset-channel-alone',
    percent: 0,
    symptom: true,
    inject: (world, gpu, { pid }) => log(world, gpu, { code: 43, pid, comm: 'storage' }),
  },
  {
    name: 'corrected-errors',
    percent: 80,
    inject: (world, gpu) => world.set(gpu, { ecc: [400, 0, 9_000, 0] }),
  },
  {
    name: 'link-crc-errors',
    percent: 80,
    inject: (world, gpu) => world.set(gpu, { nvlink: [4, 0, 120, 3] }),
  },
  { name: 'pcie-replays', percent: 80, inject: (world, gpu) => world.set(gpu, { pcie: [5, 16, 77] }) },
  {
    name: 'power-cap',
    percent: 99,
    inject: (world, gpu) =>
      world.set(gpu, { reasons: POWER_CAP, powerMw: [699_000, 700_000], temperature: 78 }),
  },
  {
    name: 'full-by-its-own-allocator',
    percent: 95,
    inject: (world, gpu, { pid }) =>
      world.set(gpu, { usedBytes: 79.5 * GIB, processes: [on(pid, 79 * GIB, 95)] }),
  },
  { name: 'works', percent: 85, inject: () => undefined },
  { name: 'idle-by-design', percent: 0, inject: () => undefined },
];

function calm({ name, percent, inject, symptom }: Calm): GpuScenario {
  return {
    name,
    kind: name === 'works' || name === 'idle-by-design' ? 'healthy' : 'decoy',
    severity: 'none',
    prepare: async (scope, dice, world) => {
      const { proc, gpu } = await give(world, dice, await waiter(scope), percent);
      return {
        asked: [proc.pid],
        inject: async () => {
          await inject(world, gpu, proc);
        },
        truth: () => ({ causes: [], ...(symptom && { verdicts: ['healthy', 'symptom-only'] }) }),
      };
    },
  };
}

export const GPU_CALM = suiteOn<GpuWorld>({
  name: 'gpu-calm',
  missing: gpusMissing,
  open: openGpus,
  scenarios: [
    ...CALM.map(calm),
    {
      name: 'neighbour-off-bus',
      kind: 'decoy',
      severity: 'none',
      prepare: async (scope, dice, world) => {
        const other = await give(world, dice, await waiter(scope));
        const { proc } = await give(world, dice, await waiter(scope), dice.between(60, 95));
        return {
          asked: [proc.pid, other.proc.pid],
          hit: [other.proc.pid],
          inject: async () => {
            await log(world, other.gpu, { code: 79, pid: other.proc.pid, comm: 'storage' });
            world.event(other.gpu, 79);
          },
          truth: () => ({ causes: [] }),
        };
      },
    },
    {
      name: 'fault-of-another-program',
      kind: 'decoy',
      severity: 'none',
      prepare: async (scope, dice, world) => {
        const other = await waiter(scope);
        const { proc, gpu } = await give(world, dice, await waiter(scope));
        const both = [on(proc.pid, 8 * GIB, 50), on(other.pid, 4 * GIB, 0)];
        world.set(gpu, { util: [50, 50], processes: both });
        return {
          asked: [proc.pid, other.pid],
          hit: [other.pid],
          inject: () => log(world, gpu, { code: 31, pid: other.pid, comm: 'storage' }),
          truth: () => ({ causes: [] }),
        };
      },
    },
  ],
});
