/** The host's own part: CPUs that others have, limits that are used up, memory that is gone. */
import { basename } from 'node:path';
import { type Cgroup, type Controller, cgroupSkip, makeCgroup } from '../../lib/cgroup.js';
import { type Proc, startWorkload } from '../../lib/proc.js';
import type { Scope } from '../../lib/scope.js';
import type { Dice } from '../dice.js';
import { already, relay, type Via } from '../lib.js';
import { type Scenario, suite } from '../scenario.js';

const MIB = 1 << 20;

function lacks(controller: Controller, version?: 1 | 2): () => Promise<string | undefined> {
  return async () => cgroupSkip(controller, version) || undefined;
}

function group(scope: Scope, controller: Controller, dice: Dice): Promise<Cgroup> {
  return makeCgroup(scope, controller, `${controller}-${dice.between(0, 1e9)}`);
}

function nodeOf(cgroup: Cgroup): RegExp {
  return new RegExp(`^cgroup:.*${basename(cgroup.dir)}$`);
}

/** Pinned where somebody else runs all the time. */
const STARVED: readonly Scenario[] = (
  [
    ['cpu-starved', 1],
    ['cpu-starved-by-three', 3],
  ] as const
).map(([name, rivals]) => ({
  name,
  kind: 'fault',
  severity: 'slows',
  alone: true,
  proves: ['byterobust/cpu-overload'],
  prepare: async (scope, dice) => {
    const cpu = dice.between(0, 1);
    const victim = await startWorkload(scope, 'cpu_hog', { cpu, nice: 19 });
    await victim.ready();
    const hogs: Proc[] = [];
    return {
      asked: [victim.pid],
      inject: async () => {
        for (let i = 0; i < rivals; i++) hogs.push(await startWorkload(scope, 'cpu_hog', { cpu }));
        for (const hog of hogs) await hog.ready();
      },
      heal: async () => {
        for (const hog of hogs) await hog.stop();
      },
      // Of three alike none is the cause by itself: then it is what it waits for, a CPU.
      truth: () => ({
        causes: [
          {
            scene: 'ProcessBlocked',
            subScene: 'CpuStarved',
            root:
              rivals === 1
                ? `pid:${hogs[0]?.pid}`
                : [`pid:${victim.pid}`, ...hogs.map(({ pid }) => `pid:${pid}`)],
          },
        ],
      }),
    };
  },
}));

const BURNS = { burn_us: 4_000, pace_ms: 2 } as const;

export const HOST = suite({
  name: 'host',
  scenarios: [
    ...STARVED,
    {
      name: 'worker-starved',
      kind: 'fault',
      severity: 'slows',
      alone: true,
      proves: ['byterobust/cpu-overload'],
      prepare: async (scope, dice) => {
        const cpu = dice.between(0, 1);
        const wrap = ['taskset', '-c', String(cpu), 'nice', '-n', '19'];
        const top = await relay(scope, { via: [dice.pick<Via>(['pipe', 'unix'])], args: BURNS, wrap });
        let hog: Proc | undefined;
        return {
          asked: [top.pid],
          inject: async () => {
            hog = await startWorkload(scope, 'cpu_hog', { cpu });
            await hog.ready();
          },
          heal: async () => {
            await hog?.stop();
          },
          truth: () => ({
            causes: [{ scene: 'ProcessBlocked', subScene: 'CpuStarved', root: `pid:${hog?.pid}` }],
          }),
        };
      },
    },
    ...(
      [
        ['throttled-hard', 10],
        ['throttled-to-a-third', 33],
      ] as const
    ).map(
      ([name, quotaMs]): Scenario => ({
        name,
        kind: 'fault',
        severity: 'slows',
        alone: true,
        missing: lacks('cpu'),
        proves: ['byterobust/container-error'],
        judgedAfterMs: 12_000,
        prepare: async (scope, dice) => {
          const limited = await group(scope, 'cpu', dice);
          const victim = await startWorkload(scope, 'cpu_hog', {}, { wrap: limited.wrap });
          await victim.ready();
          return {
            asked: [victim.pid],
            inject: async () => limited.limitCpu(quotaMs, 100),
            heal: async () => limited.limitCpu(1_000, 100),
            truth: () => ({
              causes: [{ scene: 'ProcessBlocked', subScene: 'CpuThrottled', root: nodeOf(limited) }],
            }),
          };
        },
      }),
    ),
    {
      name: 'worker-throttled',
      kind: 'fault',
      severity: 'slows',
      missing: lacks('cpu'),
      judgedAfterMs: 12_000,
      prepare: async (scope, dice) => {
        const limited = await group(scope, 'cpu', dice);
        const top = await relay(scope, { via: ['pipe'], args: BURNS });
        return {
          asked: [top.pid],
          inject: async () => {
            limited.add(top.leaf);
            limited.limitCpu(5, 100);
          },
          heal: async () => limited.limitCpu(1_000, 100),
          truth: () => ({
            causes: [
              {
                scene: 'ProcessBlocked',
                subScene: 'CpuThrottled',
                root: nodeOf(limited),
                via: [`pid:${top.leaf}`],
              },
            ],
          }),
        };
      },
    },
    ...([48, 96] as const).map(
      (mib): Scenario => ({
        name: `oom-killed-at-${mib}-mib`,
        kind: 'fault',
        severity: 'ends',
        missing: lacks('memory'),
        proves: ['byterobust/cpu-oom'],
        prepare: async (scope, dice) => {
          const limited = await group(scope, 'memory', dice);
          limited.limitMemory(mib * MIB);
          const args = { mib: 256, step_ms: dice.between(5, 30) };
          const victim = await startWorkload(scope, 'memory_hog', args, { wrap: limited.wrap });
          await victim.ready('start');
          return {
            asked: [victim.pid],
            inject: async () => {
              await victim.exited;
            },
            truth: () => ({
              causes: [{ scene: 'ProcessCrash', subScene: 'HostOom', root: `pid:${victim.pid}` }],
            }),
          };
        },
      }),
    ),
    {
      name: 'over-its-memory-high',
      kind: 'fault',
      severity: 'slows',
      // Only version 2 makes its processes wait instead of refusing them.
      missing: lacks('memory', 2),
      startsBroken: true,
      judgedAfterMs: 12_000,
      prepare: async (scope, dice) => {
        const limited = await group(scope, 'memory', dice);
        limited.reclaimAt(24 * MIB);
        const victim = await startWorkload(
          scope,
          'memory_hog',
          { mib: 512, step_ms: 1 },
          { wrap: limited.wrap },
        );
        await victim.ready('start');
        return {
          asked: [victim.pid],
          inject: already,
          truth: () => ({
            causes: [{ scene: 'ProcessBlocked', subScene: 'MemoryLimit', root: nodeOf(limited) }],
          }),
        };
      },
    },
    {
      name: 'killed-and-not-by-oom',
      kind: 'decoy',
      severity: 'ends',
      missing: lacks('memory'),
      prepare: async (scope, dice) => {
        // In a group with a limit that it is far from: a SIGKILL by itself is no OOM.
        const limited = await group(scope, 'memory', dice);
        limited.limitMemory(256 * MIB);
        const victim = await startWorkload(scope, 'memory_hog', { mib: 8 }, { wrap: limited.wrap });
        await victim.ready();
        return {
          asked: [victim.pid],
          inject: async () => {
            victim.kill('SIGKILL');
            await victim.exited;
          },
          truth: () => ({
            causes: [{ scene: 'ProcessCrash', subScene: 'Signal', root: `pid:${victim.pid}` }],
          }),
        };
      },
    },
  ],
});
