/**
 * What the always-on part of RDMA costs others: traffic over Soft-RoCE in pairs of windows with and without. One run of it goes
 * through all of them, and the device counts its packets, so that neither starting it nor a slow drift is measured. As in
 * block-cost.ts in two parts:
 *
 *   programs  those of bpf/rdma.bpf.c and bpf/rdma_rxe.bpf.c, attached and detached under the running traffic
 *   looks     the work of an agent with this probe alone, that is stopped (SIGSTOP) and let go on
 *
 * Best in a guest whose clock counts instructions: then the machine around it is not measured, and programs cost what
 * they execute. It has one CPU, though, and ib_write_lat's two sides, which spin for each other, would measure how often the
 * scheduler gives them turns. There its single step is measured instead: a write of 8 bytes, posted, sent, acknowledged
 * and completed, to a side that has no part in it. ib_write_lat itself is measured where the clock is the machine's.
 *
 * make test-vm KERNELS=6.1 TESTS=bench/rdma-cost.ts CLOCK=instructions
 */
import { readFileSync } from 'node:fs';
import { Kernel } from '../src/kernel/kernel.js';
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
import { loadersChoice, together } from './lib/programs.js';
import { progress, report } from './lib/report.js';
import { rounded } from './lib/stats.js';
import { type Cost, compare, looks, shown } from './lib/windows.js';

const ASKED = 0.01;
/** Seconds. */
const LONG = ['-D', '3600'];
/** Those that sleep cannot be told for how long, but for how many messages. */
const SLEEPING = ['-e', '-n', '1000000'];
const OBJECTS = ['rdma', 'rdma_rxe'];
const TCP_PORT = 18_600;
/** scripts/vm/guest.ts says so on the kernel's command line. */
const COUNTS_INSTRUCTIONS = /\bxctl\.clock=instructions\b/.test(readFileSync('/proc/cmdline', 'latin1'));
const PROGRAMS = COUNTS_INSTRUCTIONS
  ? { windowMs: 100, guardMs: 40, timeMs: 45_000, tries: 3 }
  : { windowMs: 250, guardMs: 30, timeMs: 90_000 };
const LOOKS = { windowMs: 1_000, guardMs: 50, timeMs: COUNTS_INSTRUCTIONS ? 40_000 : 60_000 };

const scope = openScope();

type Stop = () => Promise<void>;

/** perftest between the two ends for as long as the scope lives. @returns ends it */
async function perftest(world: RdmaWorld, name: string, more: readonly string[]): Promise<Stop> {
  const words = (side: Side): string[] => [
    ...['-d', world[side].device, '-x', String(gidIndex(world[side])), '-p', String(TCP_PORT)],
    ...['-F', ...more],
  ];
  const server = await start(scope, name, words('b'));
  await listening(TCP_PORT);
  const client = await start(scope, name, [...words('a'), '127.0.0.1']);
  return async () => {
    await client.stop();
    await server.stop();
  };
}

/** One write after another, each waited for. */
async function writes(world: RdmaWorld): Promise<Stop> {
  const both = { do: 'write', size: 8, depth: 1, retry_cnt: 7 };
  const options = { both, sender: { wait: 'poll' }, receiver: { wait: 'sleep' } };
  const { sender, receiver } = await world.pair(options);
  return async () => {
    await sender.stop();
    await receiver.stop();
  };
}

const LOADS: Readonly<Record<string, (world: RdmaWorld) => Promise<Stop>>> = {
  ...(COUNTS_INSTRUCTIONS
    ? { 'single writes of 8 bytes': writes }
    : { ib_write_lat: (world) => perftest(world, 'ib_write_lat', [...LONG, '-s', '8']) }),
  // On one CPU a side that spins takes turns of milliseconds: there both sleep until something is there for them.
  ib_send_bw: (world) =>
    perftest(world, 'ib_send_bw', [...(COUNTS_INSTRUCTIONS ? SLEEPING : LONG), '-s', '4096', '-t', '16']),
};

async function main(): Promise<void> {
  const missing = await rdmaMissing();
  if (missing !== undefined) return progress(`rdma-cost: not here: ${missing}`);
  const world = await createRdmaWorld(scope);
  const kernel = await Kernel.open({ log: createLog('error'), bpfDir: 'dist/bpf' });
  scope.teardown(() => kernel.stop());
  const parts = [];
  for (const name of OBJECTS) parts.push(await loadersChoice(scope, kernel, name));
  const attached = { ours: together(parts) };
  const count = (): number => world.counter('a', 'sent_pkts') + world.counter('b', 'sent_pkts');
  const running = async (name: string): Promise<Stop> => {
    const before = count();
    const stop = await LOADS[name]?.(world);
    await until(() => count() > before + 1_000, { timeoutMs: 60_000, what: `${name} to run` });
    return stop ?? (async () => undefined);
  };

  const programs = new Map<string, Cost>();
  for (const name of Object.keys(LOADS)) {
    progress(`rdma-cost: ${name}: programs`);
    const stop = await running(name);
    const { ours } = await compare(count, attached, PROGRAMS, scope.signal);
    progress(`rdma-cost: ${name}: ${JSON.stringify(shown(ours))}`);
    programs.set(name, ours);
    await stop();
  }
  const agent = await looks(scope, ['--probes', 'rdma']);
  for (const [name, ours] of programs) {
    progress(`rdma-cost: ${name}: the agent`);
    const stop = await running(name);
    const { looking } = await compare(count, { looking: agent }, LOOKS, scope.signal);
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
