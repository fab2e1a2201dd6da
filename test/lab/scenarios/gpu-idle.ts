/**
 * An idle GPU, and why: the reasons of test/e2e/lib/gpu-idle.ts, made for real beside a GPU of the double that works first.
 * Low use is a symptom; what the process waits for is the cause.
 */
import type { GpuWorld } from '../../e2e/lib/gpu-faults.js';
import { type Expected, IDLE_CASES, type IdleCase } from '../../e2e/lib/gpu-idle.js';
import { SCENES, type Scene } from '../../../src/scene/answer.js';
import { give, gpusMissing, openGpus, spinner, use } from '../gpu-ground.js';
import { type Cause, type NodeMatcher, type Scenario, suiteOn, type Truth } from '../scenario.js';

const WORKS_PERCENT = 80;
/** Two seconds idle before it is called so, and a look or two. */
const JUDGED_AFTER_MS = 10_000;
/** A process that computes may be about to use its GPU again: only a pause of ten seconds says something. */
const HOST_BOUND_AFTER_MS = 16_000;

/** Of the shared reasons; the CPU's own are elsewhere in the lab, and would slow down whatever runs beside them. */
const REASONS: Readonly<Record<string, string>> = {
  'stopped by a signal': 'stopped',
  'frozen by its cgroup': 'frozen',
  'a full pipe to a reader that is stopped': 'pipe-to-stopped-reader',
  'a unix socket whose peer is silent': 'silent-unix-peer',
  'a lock whose owner waits for a stopped worker': 'lock-owner-waits-for-stopped',
  'a deadlock of two threads': 'deadlock-threads',
  'a worker that has died': 'dead-worker',
  'connections that are refused again and again': 'refused',
  'a sleep by design': 'sleeps-by-design',
  'a path that drops what is sent': 'path-down',
  'a TCP peer that is stopped': 'stopped-peer',
  'a slow disk behind its worker': 'slow-disk-behind-worker',
  'a full filesystem': 'full-filesystem',
};

/** A reason that is there before the GPU is idle. */
const FROM_THE_START: ReadonlySet<string> = new Set([
  'pipe-to-stopped-reader',
  'silent-unix-peer',
  'lock-owner-waits-for-stopped',
  'deadlock-threads',
  'refused',
]);

/** This agent has a mount namespace of its own, for its kernel log, and tells filesystems apart by that. */
function elsewhere(step: string | RegExp): NodeMatcher {
  return typeof step === 'string' && step.startsWith('fs:') ? [step, new RegExp(`^${step}@mnt:\\d+$`)] : step;
}

function isScene(scene: string | null): scene is Scene {
  return SCENES.some((one) => one === scene);
}

function truthOf(pid: number, { verdict, scene, subScene, path }: Expected): Truth {
  if (verdict === 'healthy' || !isScene(scene)) return { causes: [] };
  const nodes = path
    .filter((step) => !(typeof step === 'string' ? step : step.source).includes('error:'))
    .map(elsewhere);
  // Of a cycle each node is as much a cause as any other.
  const roots: NodeMatcher =
    subScene === 'Deadlock' ? [...nodes.flat(), `pid:${pid}`] : (nodes.at(-1) ?? `pid:${pid}`);
  const cause: Cause = {
    scene,
    subScene: scene === 'StorageSlow' && subScene === null ? 'Device' : subScene,
    root: roots,
    via: nodes.slice(0, -1),
  };
  return { causes: [cause] };
}

function idle(one: IdleCase, name: string): Scenario<GpuWorld> {
  return {
    name,
    kind: name === 'sleeps-by-design' ? 'healthy' : 'fault',
    severity: name === 'sleeps-by-design' ? 'none' : 'stands',
    missing: one.missing,
    judgedAfterMs: JUDGED_AFTER_MS,
    ...(FROM_THE_START.has(name) && { startsBroken: true }),
    proves: ['byterobust/job-hang'],
    prepare: async (scope, dice, world) => {
      const { pid, inject, expect } = await one.prepare(scope);
      const gpu = await world.used(pid, use(pid, dice, WORKS_PERCENT));
      return {
        asked: [pid],
        inject: async () => {
          await inject?.();
          world.set(gpu, use(pid, dice, 0));
        },
        truth: () => truthOf(pid, expect()),
      };
    },
  };
}

function reasons(): readonly Scenario<GpuWorld>[] {
  return Object.entries(REASONS).map(([known, name]) => {
    const one = IDLE_CASES.find((found) => found.name === known);
    if (one === undefined) throw new Error(`no reason for an idle GPU is called ${known}`);
    return idle(one, name);
  });
}

export const GPU_IDLE = suiteOn<GpuWorld>({
  name: 'gpu-idle',
  missing: gpusMissing,
  open: openGpus,
  scenarios: [
    ...reasons(),
    {
      name: 'host-bound',
      kind: 'fault',
      severity: 'slows',
      alone: true,
      judgedAfterMs: HOST_BOUND_AFTER_MS,
      proves: ['byterobust/mfu-decline'],
      prepare: async (scope, dice, world) => {
        const { proc, gpu } = await give(world, dice, await spinner(scope), WORKS_PERCENT);
        return {
          asked: [proc.pid],
          inject: async () => world.set(gpu, use(proc.pid, dice, 0)),
          // What it computes is not for the agent to know.
          truth: () => ({ causes: [{ scene: 'GpuUtilLow', subScene: 'HostBound' }] }),
        };
      },
    },
  ],
});
