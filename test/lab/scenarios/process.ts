/** Processes that wait for one that is stopped, held, asleep or in a circle, over every kind of link; and how they end. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startE2e } from '../../e2e/lib/ask.js';
import { FREEZERS, makeGroup } from '../../lib/cgroup.js';
import { workload } from '../../lib/cc.js';
import { start, startWorkload } from '../../lib/proc.js';
import type { Scope } from '../../lib/scope.js';
import { already, relay, signal, someVia, stopped, type Via } from '../lib.js';
import { type NodeMatcher, type Prepared, type Scenario, suite } from '../scenario.js';

const DEADLOCKS: readonly Scenario[] = (['threads', 'self', 'pipes'] as const).map((mode) => ({
  name: `deadlock-${mode}`,
  kind: 'fault',
  severity: 'stands',
  proves: ['byterobust/job-hang'],
  startsBroken: true,
  prepare: async (scope, dice) => {
    const deadlock = await startWorkload(scope, 'deadlock', { mode });
    await deadlock.ready();
    const pids = mode === 'pipes' ? deadlock.truths().map(({ pid }) => pid) : [deadlock.pid];
    const pipes = mode === 'pipes' ? deadlock.truths().map((one) => `pipe:${one.text('pipe')}`) : [];
    // In a circle everything is where it begins: its members, and what they hold from each other.
    const root: NodeMatcher = [
      ...pids.map((pid) => `pid:${pid}`),
      ...pipes,
      new RegExp(`^lock:${deadlock.pid}/`),
    ];
    return {
      asked: [dice.pick(pids)],
      inject: already,
      truth: () => ({ causes: [{ scene: 'ProcessBlocked', subScene: 'Deadlock', root }] }),
    };
  },
}));

/** Every way to wait for another process that is stopped. */
const CHAINS: readonly Scenario[] = (
  ['pipe-read', 'pipe-write', 'unix', 'flock', 'child', 'join', 'lock', 'poll'] as const
).map((via) => ({
  name: `stopped-over-${via}`,
  kind: 'fault',
  severity: 'stands',
  startsBroken: true,
  prepare: async (scope) => {
    const waiter = await startE2e(scope, 'chain', { via, child: 'stopped' });
    const truth = await waiter.ready();
    const child = truth.number('child');
    const object = truth.text('object');
    const on = via === 'child' ? [] : via === 'flock' ? [new RegExp(`^file:\\d+:\\d+${object}$`)] : [object];
    return {
      asked: [waiter.pid],
      inject: already,
      truth: () => ({ causes: [{ ...stopped(child), via: [`pid:${waiter.pid}`, ...on, `pid:${child}`] }] }),
    };
  },
}));

/** The same in a program that worked until then: links of the dice's choice. */
const LATER: readonly Scenario[] = (
  [
    ['stopped-later-over-pipe', ['pipe']],
    ['stopped-later-over-unix', ['unix']],
    ['stopped-later-over-lock-and-pipe', ['lock', 'pipe']],
    ['stopped-later-over-condition-and-pipe', ['cond', 'pipe']],
    ['stopped-later-far-away', undefined],
  ] as readonly (readonly [string, readonly Via[] | undefined])[]
).map(([name, links]) => ({
  name,
  kind: 'fault',
  severity: 'stands',
  prepare: async (scope, dice) => {
    const top = await relay(scope, {
      via: links ?? someVia(dice, 3, 5),
      args: { pace_ms: dice.between(2, 20) },
    });
    return {
      asked: [top.pid],
      inject: signal(top.leaf, 'SIGSTOP'),
      heal: signal(top.leaf, 'SIGCONT'),
      truth: () => ({
        causes: [{ ...stopped(top.leaf), via: [`pid:${top.pid}`, ...top.objects, `pid:${top.leaf}`] }],
      }),
    };
  },
}));

/** The worker at the end does nothing any more, or goes round in a circle of its own. */
const TURNS: readonly Scenario[] = (
  [
    ['worker-sleeps-for-ever', 'idle', ['pipe'], 'WaitsOnPeer'],
    ['worker-sleeps-for-ever-two-on', 'idle', ['unix', 'pipe'], 'WaitsOnPeer'],
    ['worker-spins', 'spin', ['pipe'], 'WaitsOnPeer'],
    ['worker-locks-twice', 'self', ['pipe'], 'Deadlock'],
    ['worker-locks-twice-two-on', 'self', ['pipe', 'unix'], 'Deadlock'],
  ] as const
).map(([name, turn, via, subScene]) => ({
  name,
  kind: 'fault',
  severity: 'stands',
  proves: ['byterobust/job-hang'],
  prepare: async (scope, dice) => {
    const top = await relay(scope, { via, args: { turn, pace_ms: dice.between(2, 20) } });
    const root =
      subScene === 'Deadlock' ? [`pid:${top.leaf}`, new RegExp(`^lock:${top.leaf}/`)] : [`pid:${top.leaf}`];
    return {
      asked: [top.pid],
      inject: signal(top.leaf, 'SIGUSR1'),
      truth: () => ({
        causes: [{ scene: 'ProcessBlocked', subScene, root, via: [`pid:${top.pid}`, ...top.objects] }],
      }),
    };
  },
}));

/**
 * Forked workers that closed nothing: each has the ends of all links above it open as well, as those of a data loader do, and
 * so several processes could serve whoever waits.
 */
const INHERITED: readonly Scenario[] = (
  [
    ['inherited-ends-worker-stopped', 'SIGSTOP', 'Stopped'],
    ['inherited-ends-worker-sleeps-for-ever', 'SIGUSR1', 'WaitsOnPeer'],
    ['inherited-ends-worker-locks-twice', 'SIGUSR1', 'Deadlock'],
  ] as const
).map(([name, how, subScene]) => ({
  name,
  kind: 'fault',
  severity: 'stands',
  prepare: async (scope, dice) => {
    const turn = subScene === 'Deadlock' ? 'self' : 'idle';
    const args = { inherit: 1, turn, pace_ms: dice.between(2, 20) };
    const top = await relay(scope, { via: someVia(dice, 2, 3), args });
    const root = [`pid:${top.leaf}`, ...(subScene === 'Deadlock' ? [new RegExp(`^lock:${top.leaf}/`)] : [])];
    return {
      asked: [top.pid],
      inject: signal(top.leaf, how),
      truth: () => ({ causes: [{ scene: 'ProcessBlocked', subScene, root }] }),
    };
  },
}));

/** How a process ends, asked of itself. */
const ENDS: readonly Scenario[] = [
  ...(['SIGKILL', 'SIGSEGV', 'SIGBUS', 'SIGTERM'] as const).map(
    (name): Scenario => ({
      name: `killed-by-${name.toLowerCase()}`,
      kind: 'fault',
      severity: 'ends',
      proves: ['llama3/software-bug'],
      prepare: async (scope, dice) => {
        const top = await relay(scope, { args: { pace_ms: dice.between(2, 50) } });
        return ended(top.pid, 'Signal', async () => {
          process.kill(top.pid, name);
          await top.proc.exited;
        });
      },
    }),
  ),
  ...(['exit', 'abort'] as const).map(
    (turn): Scenario => ({
      name: turn === 'exit' ? 'ends-with-a-code' : 'aborts',
      kind: 'fault',
      severity: 'ends',
      proves: ['llama3/software-bug'],
      prepare: async (scope) => {
        const top = await relay(scope, { args: { turn } });
        return ended(top.pid, turn === 'exit' ? 'ExitCode' : 'Signal', async () => {
          process.kill(top.pid, 'SIGUSR1');
          await top.proc.exited;
        });
      },
    }),
  ),
  {
    name: 'ends-of-dead-worker',
    kind: 'fault',
    severity: 'ends',
    prepare: async (scope) => {
      const top = await relay(scope, { via: ['pipe'] });
      return ended(top.leaf, 'Signal', async () => {
        process.kill(top.leaf, 'SIGKILL');
        await top.proc.exited;
      });
    },
  },
];

function ended(pid: number, subScene: string, inject: () => Promise<void>): Prepared {
  return {
    asked: [pid],
    inject,
    truth: () => ({ causes: [{ scene: 'ProcessCrash', subScene, root: `pid:${pid}` }] }),
  };
}

const HELD: readonly Scenario[] = [
  {
    name: 'stopped-itself',
    kind: 'fault',
    severity: 'stands',
    prepare: async (scope, dice) => {
      const top = await relay(scope, { args: { pace_ms: dice.between(2, 50) } });
      return {
        asked: [top.pid],
        inject: signal(top.pid, 'SIGSTOP'),
        heal: signal(top.pid, 'SIGCONT'),
        truth: () => ({ causes: [stopped(top.pid)] }),
      };
    },
  },
  {
    name: 'traced-over-pipe',
    kind: 'fault',
    severity: 'stands',
    startsBroken: true,
    prepare: async (scope) => {
      const waiter = await startE2e(scope, 'chain', { via: 'pipe-read', child: 'traced' });
      const child = (await waiter.ready()).number('child');
      return { asked: [waiter.pid, child], inject: already, truth: () => ({ causes: [stopped(child)] }) };
    },
  },
  ...FREEZERS.map(
    (freezer): Scenario => ({
      name: `frozen-cgroup-${freezer.name.replace(' ', '-')}`,
      kind: 'fault',
      severity: 'stands',
      missing: async () =>
        existsSync(`${freezer.root}/cgroup.procs`) ? undefined : `no freezer of ${freezer.name} here`,
      prepare: async (scope, dice) => {
        const top = await relay(scope, { via: [dice.pick<Via>(['pipe', 'unix'])], args: { pace_ms: 5 } });
        const group = await freezerOf(scope, freezer.root, `lab${dice.between(0, 1e9)}`, top.leaf);
        return {
          asked: [top.pid],
          inject: async () => writeFileSync(join(group, freezer.file), freezer.freeze),
          heal: async () => writeFileSync(join(group, freezer.file), freezer.thaw),
          truth: () => ({ causes: [stopped(top.leaf)] }),
        };
      },
    }),
  ),
  {
    name: 'stopped-below-a-shell',
    kind: 'fault',
    severity: 'stands',
    startsBroken: true,
    prepare: async (scope) => {
      const program = await workload('stopped');
      const shell = await start(scope, 'setpriv', ['--pdeathsig', 'KILL', 'sh', '-c', `${program}; true`]);
      const truth = await shell.ready();
      const peer = truth.number('peer');
      return {
        asked: [shell.pid],
        inject: already,
        truth: () => ({
          causes: [{ ...stopped(peer), via: [`pid:${truth.pid}`, `pipe:${truth.text('pipe')}`] }],
        }),
      };
    },
  },
  ...(['lock', 'join'] as const).map(
    (via): Scenario => ({
      name: `thread-behind-${via}-waits-for-idle-child`,
      kind: 'fault',
      severity: 'stands',
      startsBroken: true,
      prepare: async (scope) => {
        const waiter = await startE2e(scope, 'chain', { via, child: 'idle' });
        const truth = await waiter.ready();
        const child = `pid:${truth.number('child')}`;
        return {
          asked: [waiter.pid],
          inject: already,
          truth: () => ({
            causes: [
              {
                scene: 'ProcessBlocked',
                subScene: 'WaitsOnPeer',
                root: child,
                via: [truth.text('object'), child],
              },
            ],
          }),
        };
      },
    }),
  ),
  {
    name: 'worker-killed-and-nobody-told',
    kind: 'fault',
    severity: 'stands',
    proves: ['byterobust/job-hang'],
    prepare: async (scope) => {
      // It has the writing end itself as well, so that it never learns of the worker's end.
      const reader = await startE2e(scope, 'gpu_idle', { mode: 'dead-worker' });
      const truth = await reader.ready();
      const worker = truth.number('worker');
      return {
        asked: [reader.pid],
        inject: signal(worker, 'SIGKILL'),
        truth: () => ({
          causes: [
            {
              scene: ['ProcessCrash', 'ProcessBlocked'],
              subScene: ['Signal', 'WaitsOnPeer'],
              root: `pid:${worker}`,
            },
          ],
        }),
      };
    },
  },
];

async function freezerOf(scope: Scope, root: string, name: string, pid: number): Promise<string> {
  const freezer = FREEZERS.find((one) => one.root === root);
  const group = await makeGroup(scope, root, name, (made) => {
    if (freezer !== undefined) writeFileSync(join(made, freezer.file), freezer.thaw);
    if (existsSync(`/proc/${pid}`)) writeFileSync(join(root, 'cgroup.procs'), String(pid));
  });
  writeFileSync(join(group, 'cgroup.procs'), String(pid));
  return group;
}

export const PROCESS = suite({
  name: 'process',
  scenarios: [...DEADLOCKS, ...CHAINS, ...LATER, ...TURNS, ...INHERITED, ...ENDS, ...HELD],
});
