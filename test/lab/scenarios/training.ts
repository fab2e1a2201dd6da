/**
 * Faults in a real training: PyTorch's DDP over gloo with DataLoader workers, two ranks on two hosts of one machine. Asked
 * about is mostly the rank that only suffers: the cause lies with the other one, its worker, or what that one waits for.
 */
import { basename } from 'node:path';
import { cgroupSkip, type Controller, makeCgroup } from '../../lib/cgroup.js';
import { without } from '../../lib/disks/features.js';
import { throttledDisk } from '../../lib/disks/throttle.js';
import { type Prepared, type Scenario, suite, type Truth } from '../scenario.js';
import { ended, type Rank, train, trainingMissing } from '../training-ground.js';

/** Gloo and DataLoader look again every few seconds. */
const JUDGED_AFTER_MS = 10_000;
const MIB = 1 << 20;

type TrainingScenario = Omit<Scenario, 'alone' | 'judgedAfterMs'>;

function of(scenario: TrainingScenario): Scenario {
  const { missing } = scenario;
  return {
    ...scenario,
    missing: async () => (await trainingMissing()) ?? (await missing?.()),
    // Starting it takes both CPUs for seconds.
    alone: true,
    judgedAfterMs: JUDGED_AFTER_MS,
  };
}

function lacks(controller: Controller): () => Promise<string | undefined> {
  return async () => {
    const reason = cgroupSkip(controller);
    return reason === false ? undefined : reason;
  };
}

/** Whoever is asked about first suffers first. */
function ask(ranks: readonly Rank[], inject: () => Promise<void>, truth: () => Truth): Prepared {
  return { asked: ranks.map(({ pid }) => pid), inject, truth };
}

function stopped(pid: number): Truth {
  return { causes: [{ scene: 'ProcessBlocked', subScene: 'Stopped', root: `pid:${pid}` }] };
}

/** Its worker's disk: the rank itself, or the one that waits for that rank's gradients. */
function onDisk(name: string, how: 'slow' | 'stuck', who: 'its-own' | 'of-the-peer'): Scenario {
  return of({
    name,
    kind: 'fault',
    severity: how === 'slow' ? 'slows' : 'stands',
    proves:
      how === 'slow' ? ['byterobust/mfu-decline'] : ['byterobust/job-hang', 'llama3/nccl-watchdog-timeouts'],
    missing: () => without('throttle'),
    prepare: async (scope, dice) => {
      const disk = await throttledDisk(scope);
      const { ranks } = await train(scope, dice, { path: disk.path, wrap: disk.wrap });
      scope.teardown(disk.release);
      const [other, reader] = ranks;
      const bytesPerSecond = dice.between(60_000, 150_000);
      return ask(
        who === 'its-own' ? [reader, other] : [other, reader],
        async () => (how === 'slow' ? disk.throttle(bytesPerSecond) : disk.stall()),
        () => ({
          causes: [
            {
              scene: 'StorageSlow',
              subScene: 'Device',
              root: `block:${disk.name}`,
              via: [`pid:${reader.worker}`],
            },
          ],
        }),
      );
    },
  });
}

const SCENARIOS: readonly Scenario[] = [
  of({
    name: 'steady',
    kind: 'healthy',
    severity: 'none',
    prepare: async (scope, dice) => {
      const { ranks } = await train(scope, dice);
      return ask(
        ranks,
        async () => undefined,
        () => ({ causes: [] }),
      );
    },
  }),
  of({
    name: 'peer-stopped',
    kind: 'fault',
    severity: 'stands',
    proves: ['byterobust/job-hang', 'llama3/nccl-watchdog-timeouts'],
    prepare: async (scope, dice) => {
      const { ranks } = await train(scope, dice);
      const [victim, culprit] = dice.chance(0.5) ? ranks : ([ranks[1], ranks[0]] as const);
      return ask(
        [victim, culprit],
        async () => culprit.kill('SIGSTOP'),
        () => stopped(culprit.pid),
      );
    },
  }),
  of({
    name: 'peer-frozen',
    kind: 'fault',
    severity: 'stands',
    proves: ['byterobust/container-error'],
    missing: lacks('freezer'),
    prepare: async (scope, dice) => {
      const group = await makeCgroup(scope, 'freezer', 'rank');
      const { ranks } = await train(scope, dice, { wrap: group.wrap });
      // What is frozen cannot even be killed.
      scope.teardown(() => group.freeze(false));
      return ask(
        ranks,
        async () => group.freeze(true),
        () => stopped(ranks[1].pid),
      );
    },
  }),
  of({
    name: 'packets-dropped',
    kind: 'fault',
    severity: 'stands',
    proves: ['llama3/network-switch-cable', 'llama3/nccl-watchdog-timeouts'],
    prepare: async (scope, dice) => {
      const { ranks, world, flows } = await train(scope, dice);
      const at = dice.pick(['a', 'b', 'both'] as const);
      return ask(
        dice.chance(0.5) ? ranks : [ranks[1], ranks[0]],
        () => world.drop({ at }),
        () => ({ causes: [{ scene: 'NetworkStall', subScene: 'PathDown', root: flows }] }),
      );
    },
  }),
  of({
    name: 'link-down',
    kind: 'fault',
    severity: 'stands',
    proves: ['llama3/nic'],
    prepare: async (scope, dice) => {
      const { ranks, world, flows } = await train(scope, dice);
      return ask(
        ranks,
        async () => {
          await world.ip('b', 'link', 'set', 'eth0', 'down');
        },
        () => ({ causes: [{ scene: 'NetworkStall', subScene: 'PathDown', root: flows }] }),
      );
    },
  }),
  onDisk('worker-on-stuck-disk', 'stuck', 'its-own'),
  onDisk('worker-of-the-peer-on-stuck-disk', 'stuck', 'of-the-peer'),
  onDisk('worker-on-slow-disk', 'slow', 'its-own'),
  onDisk('worker-of-the-peer-on-slow-disk', 'slow', 'of-the-peer'),
  of({
    name: 'worker-stopped',
    kind: 'fault',
    severity: 'stands',
    proves: ['byterobust/job-hang'],
    prepare: async (scope, dice) => {
      const { ranks } = await train(scope, dice);
      const { worker } = ranks[1];
      return ask(
        dice.chance(0.5) ? ranks : [ranks[1], ranks[0]],
        async () => process.kill(worker, 'SIGSTOP') && undefined,
        () => stopped(worker),
      );
    },
  }),
  of({
    name: 'worker-out-of-memory',
    kind: 'fault',
    severity: 'ends',
    proves: ['byterobust/cpu-oom'],
    missing: lacks('memory'),
    prepare: async (scope, dice) => {
      const group = await makeCgroup(scope, 'memory', 'rank');
      const { ranks } = await train(scope, dice, { wrap: group.wrap });
      const [other, { pid, worker }] = ranks;
      const used = Number(group.read(group.version === 2 ? 'memory.current' : 'memory.usage_in_bytes'));
      return {
        asked: [worker, pid, other.pid],
        inject: async () => {
          group.limitMemory(used + dice.between(24, 96) * MIB);
          process.kill(worker, 'SIGUSR1');
          await ended(worker);
        },
        truth: () => ({
          causes: [{ scene: 'ProcessCrash', subScene: 'HostOom', root: `pid:${worker}` }],
        }),
      };
    },
  }),
  of({
    name: 'rank-over-its-cpu-limit',
    kind: 'fault',
    severity: 'slows',
    proves: ['byterobust/cpu-overload'],
    missing: lacks('cpu'),
    prepare: async (scope, dice) => {
      const group = await makeCgroup(scope, 'cpu', 'rank');
      const { ranks } = await train(scope, dice, { wrap: group.wrap });
      const root = new RegExp(`^cgroup:.*${basename(group.dir)}$`);
      const quotaMs = dice.between(1, 2);
      return ask(
        [ranks[1], ranks[0]],
        async () => group.limitCpu(quotaMs, 100),
        () => ({ causes: [{ scene: 'ProcessBlocked', subScene: 'CpuThrottled', root }] }),
      );
    },
  }),
  of({
    name: 'exception',
    kind: 'fault',
    severity: 'ends',
    proves: ['llama3/software-bug'],
    prepare: async (scope, dice) => {
      const { ranks } = await train(scope, dice);
      const [other, culprit] = ranks;
      return ask(
        [culprit, other],
        async () => {
          culprit.kill('SIGUSR1');
          await ended(culprit.pid);
        },
        () => ({
          causes: [{ scene: 'ProcessCrash', subScene: 'ExitCode', root: `pid:${culprit.pid}` }],
        }),
      );
    },
  }),
  of({
    name: 'deadlock-in-the-peer',
    kind: 'fault',
    severity: 'stands',
    proves: ['byterobust/job-hang', 'llama3/software-bug'],
    prepare: async (scope, dice) => {
      const { ranks } = await train(scope, dice);
      const [victim, culprit] = ranks;
      return ask(
        [victim, culprit],
        async () => {
          culprit.kill('SIGUSR2');
          await culprit.launcher.ready('deadlock');
        },
        // Python's locks are semaphores, and nobody owns these; in a collective both ranks wait on just such ones.
        () => ({ causes: [{ scene: 'ProcessBlocked', subScene: 'WaitsOnPeer' }] }),
      );
    },
  }),
];

export const TRAINING = suite({ name: 'training', missing: trainingMissing, scenarios: SCENARIOS });
