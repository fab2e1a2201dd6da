/**
 * What the always-on part of RDMA costs others: perftest's ib_write_lat and ib_send_bw over Soft-RoCE, in pairs of windows with
 * and without. One run of perftest goes through all of them, and the device counts its packets, so that neither starting
 * it nor a slow drift is measured. As in block-cost.ts in two parts:
 *
 *   programs  of bpf/rdma.bpf.c and bpf/rdma_rxe.bpf.c, loaded and taken off under the running perftest
 *   looks     the work of an agent with this probe alone, that is stopped (SIGSTOP) and let go on
 *
 * In a guest whose clock counts instructions, so that the machine around it is not measured:
 * make test-vm KERNELS=6.1 TESTS=bench/rdma-cost.ts CLOCK=instructions
 */
import { Kernel } from '../src/kernel/kernel.js';
import type { LoadedObject } from '../src/kernel/program.js';
import { createLog } from '../src/util/log.js';
import { start } from '../test/lib/proc.js';
import {
  createRdmaWorld,
  gidIndex,
  listening,
  rdmaMissing,
  type RdmaWorld,
  type Side,
} from '../test/lib/rdma.js';
import { openScope } from '../test/lib/scope.js';
import { until } from '../test/lib/until.js';
import { progress, report } from './lib/report.js';
import { rounded } from './lib/stats.js';
import { compare, looks, type Switch, shown } from './lib/windows.js';

const ASKED = 0.01;
const WINDOWS = { windowMs: 400, guardMs: 60 };
const TIME_MS = Number(process.env.TIME_MS ?? 90_000);
const OBJECTS = ['rdma', 'rdma_rxe'];
const LOADS: Readonly<Record<string, readonly string[]>> = {
  ib_write_lat: ['-s', '8'],
  ib_send_bw: ['-s', '4096', '-t', '16'],
};
const TCP_PORT = 18_600;

const scope = openScope();

/** perftest between the two ends for as long as the scope lives. @returns ends it */
async function perftest(
  world: RdmaWorld,
  name: string,
  more: readonly string[],
): Promise<() => Promise<void>> {
  const words = (side: Side): string[] => [
    ...['-d', world[side].device, '-x', String(gidIndex(world[side])), '-p', String(TCP_PORT)],
    ...['-F', '-D', '3600', ...more],
  ];
  const server = await start(scope, name, words('b'));
  await listening(TCP_PORT);
  const client = await start(scope, name, [...words('a'), '127.0.0.1']);
  const began = world.counter('a', 'sent_pkts');
  await until(() => world.counter('a', 'sent_pkts') - began > 1_000, {
    timeoutMs: 30_000,
    what: `${name} to run`,
  });
  return async () => {
    await client.stop();
    await server.stop();
  };
}

function programs(kernel: Kernel): Switch {
  let loaded: LoadedObject[] = [];
  const off = (): void => {
    for (const object of loaded) object.stop();
    loaded = [];
  };
  scope.teardown(off);
  return {
    on: async () => {
      for (const name of OBJECTS) loaded.push(await kernel.load(name));
    },
    off,
  };
}

async function main(): Promise<void> {
  const missing = await rdmaMissing();
  if (missing !== undefined) return progress(`rdma-cost: not here: ${missing}`);
  const world = await createRdmaWorld(scope);
  const kernel = await Kernel.open({ log: createLog('error'), bpfDir: 'dist/bpf' });
  scope.teardown(() => kernel.stop());
  const attached = { ours: programs(kernel) };
  const agent = await looks(scope, ['--probes', 'rdma']);
  const count = (): number => world.counter('a', 'sent_pkts') + world.counter('b', 'sent_pkts');

  for (const [name, more] of Object.entries(LOADS)) {
    const stop = await perftest(world, name, more);
    progress(`rdma-cost: ${name}: programs`);
    const { ours } = await compare(count, attached, { ...WINDOWS, timeMs: TIME_MS }, scope.signal);
    progress(`rdma-cost: ${name}: the agent`);
    const { looking } = await compare(
      count,
      { looking: agent },
      { ...WINDOWS, windowMs: 1_000, timeMs: TIME_MS },
      scope.signal,
    );
    await stop();
    const share = ours.share + looking.share;
    report({
      name: `cost to ${name} on Soft-RoCE`,
      asked: `<= ${ASKED * 100} %`,
      measured: rounded(share * 100),
      unit: '%',
      ok: share <= ASKED,
      programs: shown(ours),
      looks: shown(looking),
    });
  }
  await agent.stop();
}

try {
  await main();
} finally {
  await scope.close();
}
