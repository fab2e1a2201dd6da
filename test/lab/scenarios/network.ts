/** Networks: packets lost on the way, ends that do not answer, and processes that sit behind either. */
import { createWorld } from '../../lib/world.js';
import type { Scope } from '../../lib/scope.js';
import { makeCgroup, cgroupSkip } from '../../lib/cgroup.js';
import type { Dice } from '../dice.js';
import {
  flowOf,
  pathDown,
  relay,
  relayOf,
  signal,
  someVia,
  startRelay,
  stopped,
  training,
  type Via,
} from '../lib.js';
import { type Prepared, type Scenario, suite } from '../scenario.js';

/** Everything is lost, at one end or both, of either family; asked of either rank. */
const DOWN: readonly Scenario[] = (
  [
    ['path-down', 4, 'both', 'trainer'],
    ['path-down-ipv6', 6, 'both', 'trainer'],
    ['path-down-toward-peer', 4, 'b', 'trainer'],
    ['path-down-toward-trainer', 4, 'a', 'trainer'],
    ['path-down-asked-of-peer', 4, 'both', 'peer'],
    ['path-down-asked-of-peer-ipv6', 6, 'both', 'peer'],
  ] as const
).map(([name, family, at, who]) => ({
  name,
  kind: 'fault',
  severity: 'stands',
  proves: ['llama3/network-switch-cable'],
  prepare: async (scope, dice) => {
    const made = await training(scope, dice, { family });
    const asked = made[who].pid;
    return {
      asked: [asked],
      inject: () => made.world.drop({ at }),
      heal: () => made.world.undrop(),
      truth: () => ({ causes: [pathDown(made.flows)] }),
    };
  },
}));

/** A process that never touches the network waits, over one link or several, for one that does. */
const BEHIND: readonly Scenario[] = (
  [
    ['path-down-behind-pipe', () => ['pipe']],
    ['path-down-behind-unix', () => ['unix']],
    ['path-down-behind-lock', () => ['lock']],
    ['path-down-behind-condition', () => ['cond']],
    ['path-down-behind-pipe-and-lock', () => ['pipe', 'lock']],
    ['path-down-behind-several', (dice: Dice) => someVia(dice, 2, 4)],
  ] as readonly (readonly [string, (dice: Dice) => readonly Via[]])[]
).map(([name, viaOf]) => ({
  name,
  kind: 'fault',
  severity: 'stands',
  prepare: async (scope, dice) => {
    const { world, top, flows } = await clientOf(scope, dice, viaOf(dice));
    return {
      asked: [top.pid],
      inject: () => world.drop(),
      heal: () => world.undrop(),
      truth: () => ({ causes: [{ ...pathDown(flows), via: [`pid:${top.pid}`, ...top.objects] }] }),
    };
  },
}));

/** An echo server on one host, a chain on the other whose leaf asks it. */
async function clientOf(scope: Scope, dice: Dice, via: readonly Via[]) {
  const world = await createWorld(scope);
  const host = world.b.ipv4;
  const server = await world.start('b', 'tcp_server', {
    host,
    do: 'echo',
    port: dice.between(20_000, 29_999),
  });
  const port = (await server.ready('listen')).number('port');
  const args = { leaf: 'tcp', host, port, pace_ms: dice.between(2, 15) };
  const top = await relay(scope, { via, args, netns: world.a.netns });
  const conn = await top.proc.ready('conn');
  return { world, server, top, flows: [flowOf(conn), flowOf(conn, 'other')] };
}

/** The other rank's host is well, and so is its process; what that one waits for is not. */
const REMOTE: readonly Scenario[] = (
  [
    ['peer-waits-for-stopped-worker', ['pipe']],
    ['peer-waits-for-stopped-worker-over-unix', ['unix']],
    ['peer-waits-for-stopped-worker-over-lock', ['lock', 'pipe']],
    ['peer-waits-for-stopped-worker-two-on', ['pipe', 'unix']],
  ] as readonly (readonly [string, readonly Via[]])[]
).map(([name, via]) => ({
  name,
  kind: 'fault',
  severity: 'stands',
  prepare: async (scope, dice) => {
    const { client, server } = await served(scope, dice, via);
    return {
      asked: [client.pid],
      inject: signal(server.leaf, 'SIGSTOP'),
      heal: signal(server.leaf, 'SIGCONT'),
      truth: () => ({
        causes: [
          {
            ...stopped(server.leaf),
            via: [`pid:${client.pid}`, `pid:${server.pid}`, ...server.objects, `pid:${server.leaf}`],
          },
        ],
      }),
    };
  },
}));

/** A client on one host that asks a server on the other, which asks a chain of its own. */
async function served(scope: Scope, dice: Dice, via: readonly Via[]) {
  const world = await createWorld(scope);
  const host = world.b.ipv4;
  const args = { serve: 1, host, port: dice.between(20_000, 29_999), pace_ms: dice.between(2, 10) };
  const top = await startRelay(scope, { via, args, netns: world.b.netns });
  const port = (await top.ready('listen')).number('port');
  const client = await relay(scope, { args: { leaf: 'tcp', host, port, pace_ms: 5 }, netns: world.a.netns });
  await top.ready();
  return { world, client, server: relayOf(top) };
}

export const NETWORK_SCENARIOS: readonly Scenario[] = [
  ...DOWN,
  ...BEHIND,
  ...REMOTE,
  {
    name: 'link-down',
    kind: 'fault',
    severity: 'stands',
    proves: ['llama3/network-switch-cable'],
    judgedAfterMs: 10_000,
    prepare: async (scope, dice) => {
      const made = await training(scope, dice);
      return {
        asked: [made.trainer.pid],
        inject: async () => {
          await made.world.ip('b', 'link', 'set', 'eth0', 'down');
        },
        truth: () => ({ causes: [pathDown(made.flows)] }),
      };
    },
  },
  {
    name: 'connect-unanswered',
    kind: 'fault',
    severity: 'stands',
    prepare: async (scope, dice) => {
      const world = await createWorld(scope);
      const host = world.b.ipv4;
      const server = await world.start('b', 'tcp_server', { host, port: dice.between(20_000, 29_999) });
      const port = (await server.ready('listen')).number('port');
      await world.drop({ at: 'b', port });
      const client = await world.start('a', 'tcp_client', { host, port });
      return {
        asked: [client.pid],
        inject: async () => undefined,
        truth: () => ({
          causes: [
            {
              scene: 'NetworkStall',
              subScene: 'PathDown',
              root: new RegExp(`-${host.replaceAll('.', '\\.')}:${port}$`),
            },
          ],
        }),
      };
    },
    startsBroken: true,
  },
  ...(
    [
      ['loss-quarter', 25],
      ['loss-third', 35],
    ] as const
  ).map(
    ([name, percent]): Scenario => ({
      name,
      kind: 'fault',
      severity: 'slows',
      proves: ['llama3/network-switch-cable'],
      judgedAfterMs: 15_000,
      prepare: async (scope, dice) => {
        const made = await training(scope, dice);
        return {
          asked: [made.trainer.pid],
          inject: () => made.world.drop({ percent }),
          heal: () => made.world.undrop(),
          // One resend after the other gets lost now and then: for seconds the path is down indeed.
          truth: () => ({
            causes: [
              { scene: ['NetworkDrop', 'NetworkStall'], subScene: [null, 'PathDown'], root: made.flows },
            ],
          }),
        };
      },
    }),
  ),
  {
    name: 'window-closed',
    kind: 'fault',
    severity: 'stands',
    prepare: (scope, dice) => slowReader(scope, dice, false),
    startsBroken: true,
  },
  {
    name: 'window-closed-by-stopped-reader',
    kind: 'fault',
    severity: 'stands',
    prepare: (scope, dice) => slowReader(scope, dice, true),
    startsBroken: true,
  },
  ...([4, 6] as const).map(
    (family): Scenario => ({
      name: `receiver-of-lost-data-ipv${family}`,
      kind: 'fault',
      severity: 'stands',
      prepare: async (scope, dice) => {
        const world = await createWorld(scope);
        const host = family === 4 ? world.b.ipv4 : world.b.ipv6;
        const source = await world.start('b', 'tcp_server', {
          host,
          do: 'source',
          rate: dice.between(20_000, 200_000),
        });
        const port = (await source.ready('listen')).number('port');
        const client = await world.start('a', 'tcp_client', { host, port, do: 'recv' });
        const conn = await client.ready('conn');
        const [own, theirs] = [flowOf(conn), flowOf(conn, 'other')];
        return {
          asked: [client.pid],
          inject: () => world.drop({ at: 'a', port }),
          heal: () => world.undrop(),
          truth: () => ({ causes: [{ ...pathDown([theirs]), via: [own, `pid:${source.pid}`, theirs] }] }),
        };
      },
    }),
  ),
  ...([4, 6] as const).map(
    (family): Scenario => ({
      name: `peer-stopped-ipv${family}`,
      kind: 'fault',
      severity: 'stands',
      proves: ['byterobust/job-hang', 'llama3/nccl-watchdog-timeouts'],
      prepare: async (scope, dice) => {
        const { trainer, peer, flow } = await training(scope, dice, { family });
        return {
          asked: [trainer.pid],
          inject: signal(peer.pid, 'SIGSTOP'),
          heal: signal(peer.pid, 'SIGCONT'),
          truth: () => ({
            causes: [{ ...stopped(peer.pid), via: [`pid:${trainer.pid}`, flow, `pid:${peer.pid}`] }],
          }),
        };
      },
    }),
  ),
  {
    name: 'peer-stopped-before-accept',
    kind: 'fault',
    severity: 'stands',
    startsBroken: true,
    prepare: async (scope) => {
      const world = await createWorld(scope);
      const host = world.b.ipv4;
      const server = await world.start('b', 'tcp_server', { host, do: 'echo' });
      const port = (await server.ready('listen')).number('port');
      server.kill('SIGSTOP');
      // The kernel takes the connection: only the answer never comes.
      const client = await world.start('a', 'tcp_client', { host, port, do: 'pingpong', size: 64 });
      await client.ready('conn');
      return {
        asked: [client.pid],
        inject: async () => undefined,
        truth: () => ({ causes: [stopped(server.pid)] }),
      };
    },
  },
  {
    name: 'peer-frozen',
    kind: 'fault',
    severity: 'stands',
    missing: async () => cgroupSkip('freezer') || undefined,
    prepare: async (scope, dice) => {
      const { trainer, peer } = await training(scope, dice);
      const group = await makeCgroup(scope, 'freezer', `peer-${dice.between(0, 1e9)}`);
      return {
        asked: [trainer.pid],
        inject: async () => {
          group.add(peer.pid);
          group.freeze(true);
        },
        heal: async () => group.freeze(false),
        truth: () => ({ causes: [stopped(peer.pid)] }),
      };
    },
  },
  {
    name: 'peer-killed',
    kind: 'fault',
    severity: 'ends',
    proves: ['llama3/software-bug'],
    prepare: async (scope, dice) => {
      const { trainer, peer } = await training(scope, dice);
      return {
        asked: [peer.pid, trainer.pid],
        inject: async () => {
          peer.kill('SIGKILL');
          await peer.exited;
        },
        truth: () => ({ causes: [{ scene: 'ProcessCrash', subScene: 'Signal', root: `pid:${peer.pid}` }] }),
      };
    },
  },
  {
    name: 'peer-killed-asked-of-trainer',
    kind: 'fault',
    severity: 'ends',
    prepare: async (scope, dice) => {
      const { trainer, peer } = await training(scope, dice);
      return {
        asked: [trainer.pid, peer.pid],
        inject: async () => {
          peer.kill('SIGKILL');
          await trainer.exited;
        },
        // It ended itself, with the code that it prints, for the connection was gone.
        truth: () => ({
          causes: [
            {
              scene: 'ProcessCrash',
              subScene: ['ExitCode', 'Signal'],
              root: [`pid:${trainer.pid}`, `pid:${peer.pid}`],
            },
          ],
        }),
      };
    },
  },
  {
    name: 'connection-reset-by-firewall',
    kind: 'fault',
    severity: 'ends',
    prepare: async (scope, dice) => {
      const { world, trainer, port } = await training(scope, dice);
      return {
        asked: [trainer.pid],
        inject: async () => {
          await world.reset('b', port);
          await trainer.exited;
        },
        truth: () => ({
          causes: [{ scene: 'ProcessCrash', subScene: 'ExitCode', root: `pid:${trainer.pid}` }],
        }),
      };
    },
  },
];

/** Who never reads closes its window: it is the cause, or that it was stopped is. */
async function slowReader(scope: Scope, dice: Dice, isStopped: boolean): Promise<Prepared> {
  const world = await createWorld(scope);
  const host = world.b.ipv4;
  const server = await world.start('b', 'tcp_server', {
    host,
    do: 'slow',
    port: dice.between(20_000, 29_999),
  });
  const port = (await server.ready('listen')).number('port');
  const client = await world.start('a', 'tcp_client', { host, port });
  const flow = flowOf(await client.ready('conn'));
  const root = `pid:${server.pid}`;
  return {
    asked: [client.pid],
    inject: async () => {
      if (isStopped) server.kill('SIGSTOP');
    },
    truth: () => ({
      causes: [
        isStopped
          ? { ...stopped(server.pid), via: [flow, root] }
          : { scene: 'NetworkStall', subScene: 'ZeroWindow', root: [root, flow], via: [flow] },
      ],
    }),
  };
}

export const NETWORK = suite({ name: 'network', scenarios: NETWORK_SCENARIOS });
