/** Loads with which nothing is wrong: whatever their threads sleep in, an answer that names a cause is a false alarm. */
import { startE2e } from '../../e2e/lib/ask.js';
import { startWorkload } from '../../lib/proc.js';
import { createWorld } from '../../lib/world.js';
import { already, relay, type RelayOptions, someVia, startRelay, training, type Via, well } from '../lib.js';
import { type Scenario, suite } from '../scenario.js';

const CHAINS: readonly Scenario[] = (
  [
    ['pipeline', ['pipe', 'pipe', 'pipe']],
    ['pipeline-of-sockets', ['unix', 'unix']],
    ['contended-lock', ['lock', 'pipe']],
    ['condition-and-worker', ['cond', 'pipe']],
    ['pipeline-of-the-dice', undefined],
  ] as readonly (readonly [string, readonly Via[] | undefined])[]
).map(([name, via]) => ({
  name,
  kind: 'healthy',
  severity: 'none',
  prepare: async (scope, dice) => {
    const args = { pace_ms: dice.between(1, 60), burn_us: dice.pick([0, 200, 1_000]) };
    const options: RelayOptions = { via: via ?? someVia(dice, 2, 5), args };
    const top = await relay(scope, options);
    return { asked: [top.pid, ...top.pids.slice(1)], inject: already, truth: well };
  },
}));

export const HEALTHY = suite({
  name: 'healthy',
  scenarios: [
    ...CHAINS,
    ...(
      [
        ['trainer-ipv4', 4, 'trainer'],
        ['trainer-ipv6', 6, 'trainer'],
        ['peer-of-a-trainer', 4, 'peer'],
      ] as const
    ).map(
      ([name, family, who]): Scenario => ({
        name,
        kind: 'healthy',
        severity: 'none',
        prepare: async (scope, dice) => {
          const made = await training(scope, dice, { family });
          const order =
            who === 'trainer' ? [made.trainer.pid, made.peer.pid] : [made.peer.pid, made.trainer.pid];
          return { asked: [...order, made.worker], inject: already, truth: well };
        },
      }),
    ),
    {
      name: 'request-and-response',
      kind: 'healthy',
      severity: 'none',
      prepare: async (scope, dice) => {
        const world = await createWorld(scope);
        const host = world.b.ipv4;
        const server = await startRelay(scope, {
          args: { serve: 1, host, pace_ms: 2 },
          netns: world.b.netns,
        });
        const port = (await server.ready('listen')).number('port');
        const args = { leaf: 'tcp', host, port, pace_ms: dice.between(1, 40) };
        const client = await relay(scope, { args, netns: world.a.netns });
        return { asked: [client.pid, server.pid], inject: already, truth: well };
      },
    },
    {
      name: 'steady-sender',
      kind: 'healthy',
      severity: 'none',
      prepare: async (scope, dice) => {
        const world = await createWorld(scope);
        const server = await world.start('b', 'tcp_server', { host: world.b.ipv4 });
        const port = (await server.ready('listen')).number('port');
        const args = { host: world.b.ipv4, port, rate: dice.pick([20_000, 500_000, 5_000_000]) };
        const client = await world.start('a', 'tcp_client', args);
        await client.ready('conn');
        return { asked: [client.pid, server.pid], inject: already, truth: well };
      },
    },
    {
      name: 'server-between-requests',
      kind: 'healthy',
      severity: 'none',
      prepare: async (scope) => {
        const server = await startWorkload(scope, 'tcp_server', { mode: 'prefork', workers: 3, do: 'echo' });
        await server.ready('listen');
        const [worker] = server.truths('worker');
        return { asked: [worker?.pid ?? server.pid, server.pid], inject: already, truth: well };
      },
    },
    {
      name: 'computes',
      kind: 'healthy',
      severity: 'none',
      prepare: async (scope, dice) => {
        const hog = await startWorkload(scope, 'cpu_hog', {
          duty: dice.between(30, 60),
          seconds: 300,
          nice: 5,
        });
        await hog.ready();
        return { asked: [hog.pid], inject: already, truth: well };
      },
    },
    {
      name: 'computes-now-and-then',
      kind: 'healthy',
      severity: 'none',
      prepare: async (scope, dice) => {
        const top = await relay(scope, { args: { burn_us: 20_000, pace_ms: dice.between(100, 400) } });
        return { asked: [top.pid], inject: already, truth: well };
      },
    },
    {
      name: 'reads-from-the-cache',
      kind: 'healthy',
      severity: 'none',
      prepare: async (scope, dice) => {
        const args = { mode: 'stat', path: '/proc/self/exe', pace_ms: dice.between(1, 20) };
        const reader = await startWorkload(scope, 'storage', args);
        await reader.ready('step');
        return { asked: [reader.pid], inject: already, truth: well };
      },
    },
    {
      name: 'ended-well',
      kind: 'healthy',
      severity: 'none',
      prepare: async (scope, dice) => {
        const proc = await startWorkload(scope, 'exiter', { delay: dice.between(300, 1_500) });
        await proc.ready();
        return {
          asked: [proc.pid],
          inject: async () => {
            await proc.exited;
          },
          truth: well,
        };
      },
    },
    {
      name: 'just-started',
      kind: 'healthy',
      severity: 'none',
      startsBroken: true,
      prepare: async (scope, dice) => {
        const top = await startRelay(scope, { via: someVia(dice, 1, 3), args: { burn_us: 500 } });
        return { asked: [top.pid], inject: already, truth: well };
      },
    },
    {
      name: 'two-flows-both-well',
      kind: 'healthy',
      severity: 'none',
      prepare: async (scope) => {
        const world = await createWorld(scope);
        const host = world.b.ipv4;
        const echo = await world.start('b', 'tcp_server', { host, do: 'echo' });
        const sink = await world.start('b', 'tcp_server', { host });
        const [port, port2] = [
          (await echo.ready('listen')).number('port'),
          (await sink.ready('listen')).number('port'),
        ];
        const both = await startE2e(scope, 'two_flows', { host, port, port2 }, { netns: world.a.netns });
        await both.ready();
        return { asked: [both.pid, echo.pid, sink.pid], inject: already, truth: well };
      },
    },
  ],
});
