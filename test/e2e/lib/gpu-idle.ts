/**
 * Reasons for an idle GPU, each made for real, with the process that holds the GPU and what `xctl why` must say of it:
 * the thread that waits and the chain from there. The GPU itself is the double's: nobody here has one. Shared by the
 * test (is the answer right?) and the benchmark (how soon?).
 */
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { WhyAnswer } from '../../../src/scene/answer.js';
import { type Agent, startAgent } from '../../lib/agent.js';
import { type Controller, cgroupSkip, makeCgroup } from '../../lib/cgroup.js';
import { without } from '../../lib/disks/features.js';
import { loopDisk } from '../../lib/disks/loop.js';
import { throttledDisk } from '../../lib/disks/throttle.js';
import { type Proc, startWorkload, type Truth } from '../../lib/proc.js';
import type { Scope } from '../../lib/scope.js';
import { createWorld, type World } from '../../lib/world.js';
import { nvmlDouble } from '../../nvml/double/library.js';
import { Scenario } from '../../nvml/double/scenario.js';
import { brief, chainFlaws, startE2e } from './ask.js';
import { mountExt4 } from './faults.js';

export interface IdleCase {
  readonly name: string;
  /** What this machine lacks for it; undefined: nothing. */
  readonly missing: () => Promise<string | undefined>;
  readonly prepare: (scope: Scope) => Promise<Idle>;
}

export interface Idle {
  /** The process that holds the GPU. */
  readonly pid: number;
  /** Makes the reason; absent where it is there from the start. */
  readonly inject?: () => Promise<void>;
  readonly expect: () => Expected;
}

export interface Expected {
  readonly verdict?: WhyAnswer['verdict'];
  readonly scene: string | null;
  readonly subScene: string | null;
  /** Nodes of the chain after the process, to the root cause. */
  readonly path: readonly (string | RegExp)[];
  /** The thread of the process that the chain begins with; undefined: all of it is held back. */
  readonly thread?: number;
}

const GIB = 2 ** 30;

/** An agent whose only GPU is held by one process, and works until it is told to be idle. */
export interface OneGpu {
  readonly agent: Agent;
  works(pid: number): void;
  idles(pid: number): void;
}

export async function oneGpu(scope: Scope): Promise<OneGpu> {
  const scenario = new Scenario(scope);
  scenario.set({ gpus: 1 });
  const args = ['--nvml', await nvmlDouble()];
  const agent = await startAgent(scope, { args, env: { XCTL_NVML_SCENARIO: scenario.path } });
  const set = (pid: number, percent: number): void =>
    scenario.set({
      gpus: 1,
      gpu: {
        0: {
          util: [percent, percent],
          usedBytes: 20 * GIB,
          processes: [{ pid, bytes: 20 * GIB, sm: percent, memory: percent }],
        },
      },
    });
  return { agent, works: (pid) => set(pid, 80), idles: (pid) => set(pid, 0) };
}

/** What is not as it must be; empty: the answer is right. */
export function idleFlaws(answer: WhyAnswer, { pid, expect }: Idle): readonly string[] {
  const { verdict = 'cause-found', scene, subScene, path, thread } = expect();
  const found = brief(answer);
  const flaws = [...chainFlaws(answer)];
  if (found.verdict !== verdict || found.scene !== scene || found.subScene !== subScene)
    flaws.push(`${found.verdict} ${found.scene}/${found.subScene} and not ${verdict} ${scene}/${subScene}`);
  const nodes = found.nodes.slice(1);
  const fits = nodes.length === path.length && path.every((step, i) => isStep(step, nodes[i] ?? ''));
  if (!fits) flaws.push(`${nodes.join(' > ')} and not ${path.join(' > ')}`);
  if (answer.chain[0]?.tid !== thread) flaws.push(`thread ${answer.chain[0]?.tid} and not ${thread}`);
  if (!saysIdle(answer, pid)) flaws.push(`nothing of the idle GPU: ${answer.summary}`);
  return flaws;
}

function isStep(step: string | RegExp, node: string): boolean {
  return typeof step === 'string' ? step === node : step.test(node);
}

/** In its words and, unless nothing is wrong, in its evidence. */
function saysIdle(answer: WhyAnswer, pid: number): boolean {
  if (answer.verdict === 'healthy') return /; GPU 0, which it holds, is idle for /.test(answer.summary);
  const head = new RegExp(`^GPU 0 idle for [^,]+, its process ${pid} \\(`);
  const evidence = answer.evidence.some(({ type, entity }) => type === 'gpu.use' && entity === 'gpu:0');
  return head.test(answer.summary) && evidence;
}

const nothing = async (): Promise<undefined> => undefined;

export const IDLE_CASES: readonly IdleCase[] = [
  {
    name: 'stopped by a signal',
    missing: nothing,
    prepare: async (scope) => {
      const held = await startWorkload(scope, 'storage', { mode: 'hold', path: '/dev/null' });
      await held.ready();
      return {
        pid: held.pid,
        inject: async () => held.kill('SIGSTOP'),
        expect: () => ({ scene: 'ProcessBlocked', subScene: 'Stopped', path: [] }),
      };
    },
  },
  {
    name: 'frozen by its cgroup',
    missing: lacks('freezer'),
    prepare: async (scope) => {
      const group = await makeCgroup(scope, 'freezer', 'gpu');
      const args = { mode: 'hold', path: '/dev/null' };
      const held = await startWorkload(scope, 'storage', args, { wrap: group.wrap });
      // What is frozen cannot even be killed.
      scope.teardown(() => group.freeze(false));
      await held.ready();
      return {
        pid: held.pid,
        inject: async () => group.freeze(true),
        expect: () => ({ scene: 'ProcessBlocked', subScene: 'Stopped', path: [] }),
      };
    },
  },
  chain('a worker that a debugger holds', 'pipe-read', 'traced', byObject),
  chain('a stopped worker', 'pipe-read', 'stopped', byObject),
  chain('a full pipe to a reader that is stopped', 'pipe-write', 'stopped', byObject),
  chain('a unix socket whose peer is silent', 'unix', 'idle', byObject),
  chain('a lock whose owner waits for a stopped worker', 'lock', 'stopped', ({ pid, truth }) => [
    new RegExp(`^lock:${pid}/`),
    `pid:${pid}`,
    truth.text('object'),
  ]),
  chain('a thread that is joined and waits for a stopped worker', 'join', 'stopped', ({ pid, truth }) => [
    `pid:${pid}`,
    truth.text('object'),
  ]),
  chain('a file lock held by a stopped process', 'flock', 'stopped', byObject),
  chain('a child that is stopped', 'child', 'stopped', () => []),
  chain('one of a poll set', 'poll', 'stopped', ({ pid, truth }) => [
    `poll:${pid}/${pid}`,
    truth.text('object'),
  ]),
  {
    name: 'a deadlock of two threads',
    missing: nothing,
    prepare: async (scope) => {
      const locked = await startWorkload(scope, 'deadlock', { mode: 'threads' });
      await locked.ready();
      const [self, lock] = [`pid:${locked.pid}`, new RegExp(`^lock:${locked.pid}/`)];
      return {
        pid: locked.pid,
        expect: () => ({
          scene: 'ProcessBlocked',
          subScene: 'Deadlock',
          // The main thread joins one of them; each of the two waits for the other's lock.
          path: [self, lock, self, lock, self],
          thread: locked.pid,
        }),
      };
    },
  },
  {
    name: 'a deadlock of two processes over pipes',
    missing: nothing,
    prepare: async (scope) => {
      const locked = await startWorkload(scope, 'deadlock', { mode: 'pipes' });
      const truth = await locked.ready();
      const back = (await locked.ready('pipe-read')).text('pipe');
      const [self, peer] = [`pid:${locked.pid}`, `pid:${truth.number('peer')}`];
      return {
        pid: locked.pid,
        expect: () => ({
          scene: 'ProcessBlocked',
          subScene: 'Deadlock',
          path: [`pipe:${truth.text('pipe')}`, peer, `pipe:${back}`, self],
          thread: locked.pid,
        }),
      };
    },
  },
  {
    name: 'a worker that has died',
    missing: nothing,
    prepare: async (scope) => {
      const reader = await startE2e(scope, 'gpu_idle', { mode: 'dead-worker' });
      const truth = await reader.ready();
      const worker = truth.number('worker');
      return {
        pid: reader.pid,
        inject: async () => process.kill(worker, 'SIGKILL') && undefined,
        expect: () => ({
          scene: 'ProcessCrash',
          subScene: 'Signal',
          path: [`pipe:${truth.text('pipe')}`, `pid:${worker}`],
          thread: reader.pid,
        }),
      };
    },
  },
  {
    name: 'connections that are refused again and again',
    missing: nothing,
    prepare: async (scope) => {
      // Of a listener that is gone: nobody gets its port so soon.
      const listener = await startWorkload(scope, 'tcp_server', {});
      const port = (await listener.ready('listen')).number('port');
      await listener.stop();
      const tries = await startE2e(scope, 'gpu_idle', { mode: 'refused', port });
      await tries.ready();
      return {
        pid: tries.pid,
        expect: () => ({
          scene: 'NetworkStall',
          subScene: 'Refused',
          path: [new RegExp(`^flow:.*-127\\.0\\.0\\.1:${port}$`)],
          thread: tries.pid,
        }),
      };
    },
  },
  {
    name: 'a sleep by design',
    missing: nothing,
    prepare: async (scope) => {
      const held = await startWorkload(scope, 'storage', { mode: 'hold', path: '/dev/null' });
      await held.ready();
      const expect = (): Expected => ({ verdict: 'healthy', scene: null, subScene: null, path: [] });
      return { pid: held.pid, expect };
    },
  },
  {
    name: 'a path that drops what is sent',
    missing: nothing,
    prepare: async (scope) => {
      const { world, trainer, comm, flow } = await train(scope);
      return {
        pid: trainer.pid,
        inject: () => world.drop(),
        expect: () => ({
          scene: 'NetworkStall',
          subScene: 'PathDown',
          path: [flow],
          thread: comm,
        }),
      };
    },
  },
  {
    name: 'a TCP peer that is stopped',
    missing: nothing,
    prepare: async (scope) => {
      const { peer, trainer, comm, flow } = await train(scope);
      return {
        pid: trainer.pid,
        inject: async () => peer.kill('SIGSTOP'),
        expect: () => ({
          scene: 'ProcessBlocked',
          subScene: 'Stopped',
          path: [flow, `pid:${peer.pid}`],
          thread: comm,
        }),
      };
    },
  },
  {
    name: 'a closed TCP window',
    missing: nothing,
    prepare: async (scope) => {
      const world = await createWorld(scope);
      const server = await world.start('b', 'tcp_server', { host: world.b.ipv4, do: 'slow' });
      const port = (await server.ready('listen')).number('port');
      const client = await world.start('a', 'tcp_client', { host: world.b.ipv4, port });
      const flow = flowOf(await client.ready('conn'));
      return {
        pid: client.pid,
        expect: () => ({
          scene: 'NetworkStall',
          subScene: 'ZeroWindow',
          path: [flow, `pid:${server.pid}`],
          thread: client.pid,
        }),
      };
    },
  },
  {
    name: 'a slow disk behind its worker',
    missing: () => without('throttle'),
    prepare: async (scope) => {
      const disk = await throttledDisk(scope);
      const args = { mode: 'loader', path: disk.path, block: 65_536, pace_ms: 5 };
      const trainer = await startWorkload(scope, 'storage', args, { wrap: disk.wrap });
      const truth = await trainer.ready();
      await trainer.ready('step');
      const [worker, block] = [`pid:${truth.number('worker')}`, `block:${disk.name}`];
      return {
        pid: trainer.pid,
        inject: async () => disk.throttle(100_000),
        expect: () => ({
          scene: 'StorageSlow',
          subScene: 'Device',
          path: [`pipe:${truth.text('pipe')}`, worker, block, `error:latency/${block}`],
          thread: trainer.pid,
        }),
      };
    },
  },
  {
    name: 'a disk that does not answer',
    missing: () => without('throttle'),
    prepare: async (scope) => {
      const disk = await throttledDisk(scope);
      const args = { path: disk.path, block: 65_536, pace_ms: 5 };
      const reader = await startWorkload(scope, 'storage', args, { wrap: disk.wrap });
      await reader.ready('step');
      // What is stuck cannot end.
      scope.teardown(disk.release);
      const block = `block:${disk.name}`;
      return {
        pid: reader.pid,
        inject: disk.stall,
        expect: () => ({
          scene: 'StorageSlow',
          subScene: 'Device',
          path: [block, `error:latency/${block}`],
          thread: reader.pid,
        }),
      };
    },
  },
  {
    name: 'a full filesystem',
    missing: () => without('loop'),
    prepare: async (scope) => {
      const at = await mountExt4(scope, await loopDisk(scope, { sizeMiB: 8 }));
      const writer = await startWorkload(scope, 'storage', {
        mode: 'write',
        path: join(at, 'log'),
        pace_ms: 20,
      });
      await writer.ready('step');
      return {
        pid: writer.pid,
        inject: async () => {
          fill(join(at, 'filler'));
          await writer.ready('error');
        },
        expect: () => ({
          scene: 'StorageIoError',
          subScene: 'DiskFull',
          path: [`fs:${at}`, `error:full/fs:${at}`],
        }),
      };
    },
  },
  {
    name: 'a filesystem that turned read-only',
    missing: () => without('loop'),
    prepare: async (scope) => {
      const disk = await loopDisk(scope, { sizeMiB: 8 });
      const at = await mountExt4(scope, disk);
      const writer = await startWorkload(scope, 'storage', {
        mode: 'write',
        path: join(at, 'log'),
        pace_ms: 20,
      });
      await writer.ready('step');
      return {
        pid: writer.pid,
        inject: async () => writeFileSync(`/sys/fs/ext4/${disk.name}/trigger_fs_error`, 'test'),
        expect: () => ({
          scene: 'StorageIoError',
          subScene: 'ReadOnly',
          path: [`fs:${at}`, `error:read-only/fs:${at}`],
        }),
      };
    },
  },
  {
    name: 'no CPU, since another process has it',
    missing: nothing,
    prepare: async (scope) => {
      const starved = await startWorkload(scope, 'cpu_hog', { cpu: 0, nice: 19 });
      await starved.ready();
      let rival: Proc | undefined;
      return {
        pid: starved.pid,
        inject: async () => {
          rival = await startWorkload(scope, 'cpu_hog', { cpu: 0 });
          await rival.ready();
        },
        expect: () => ({
          scene: 'ProcessBlocked',
          subScene: 'CpuStarved',
          path: [`pid:${rival?.pid ?? 0}`],
        }),
      };
    },
  },
  {
    name: 'the CPU limit of its cgroup',
    missing: lacks('cpu'),
    prepare: async (scope) => {
      const group = await makeCgroup(scope, 'cpu', 'gpu');
      const held = await startWorkload(scope, 'cpu_hog', {}, { wrap: group.wrap });
      await held.ready();
      const cgroup = new RegExp(`^cgroup:.*${basename(group.dir)}$`);
      return {
        pid: held.pid,
        inject: async () => group.limitCpu(10, 100),
        expect: () => ({
          scene: 'ProcessBlocked',
          subScene: 'CpuThrottled',
          path: [cgroup, /^error:quota\/cgroup:/],
        }),
      };
    },
  },
];

interface ChainTruth {
  readonly pid: number;
  readonly truth: Truth;
}

/** test/e2e/workloads/chain.c: it waits for its child in one of many ways. */
function chain(
  name: string,
  via: string,
  child: 'idle' | 'stopped' | 'traced',
  between: (of: ChainTruth) => readonly (string | RegExp)[],
): IdleCase {
  return {
    name,
    missing: nothing,
    prepare: async (scope) => {
      const waiter = await startE2e(scope, 'chain', { via, child });
      const truth = await waiter.ready();
      const soft = child === 'idle';
      return {
        pid: waiter.pid,
        expect: () => ({
          scene: soft ? 'GpuUtilLow' : 'ProcessBlocked',
          subScene: soft ? 'WaitsOnPeer' : 'Stopped',
          path: [...between({ pid: waiter.pid, truth }), `pid:${truth.number('child')}`],
          thread: waiter.pid,
        }),
      };
    },
  };
}

function byObject({ truth }: ChainTruth): readonly (string | RegExp)[] {
  const object = truth.text('object');
  return [object.startsWith('/') ? new RegExp(`^file:\\d+:\\d+${object}$`) : object];
}

interface Training {
  readonly world: World;
  readonly peer: Proc;
  readonly trainer: Proc;
  /** The trainer's thread that exchanges gradients. */
  readonly comm: number;
  readonly flow: string;
}

async function train(scope: Scope): Promise<Training> {
  const world = await createWorld(scope);
  const host = world.b.ipv4;
  const peer = await world.start('b', 'trainer', { role: 'peer', host });
  const port = (await peer.ready('listen')).number('port');
  const trainer = await world.start('a', 'trainer', { host, port });
  const flow = flowOf(await trainer.ready('connected'));
  const comm = (await trainer.ready('comm')).tid;
  await trainer.line(/kind=step step=100$/);
  return { world, peer, trainer, comm, flow };
}

function flowOf(conn: Truth): string {
  return `flow:${conn.text('local')}-${conn.text('remote')}`;
}

/** Until nothing more fits. */
function fill(path: string): void {
  for (const size of [1 << 20, 1 << 12]) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(size, 'x'), { flag: 'a' });
    } catch {
      // It is full for pieces of this size.
    }
  }
}

function lacks(controller: Controller): () => Promise<string | undefined> {
  return async () => {
    const reason = cgroupSkip(controller);
    return reason === false ? undefined : reason;
  };
}
