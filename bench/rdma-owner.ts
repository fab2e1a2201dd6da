/**
 * Whose queue pair is it? At least 5,000 events: made, changed and destroyed; retried in soft interrupts and work queues;
 * failed. The workloads say which numbers they had and from when to when, and CPU hogs are there to be accused. An event
 * is `right` when it names the process that made the queue pair, `unknown` when it names nobody.
 *
 * In a guest: make test-vm KERNELS=6.1 TESTS=bench/rdma-owner.ts
 */
import type { Event, EventOf } from '../src/events/event.js';
import { RdmaProbe } from '../src/probes/rdma.js';
import { type Proc, start } from '../test/lib/proc.js';
import { createRdmaWorld, type RdmaWorld, rdmaMissing } from '../test/lib/rdma.js';
import { openScope } from '../test/lib/scope.js';
import { until } from '../test/lib/until.js';
import { startProbe } from '../test/probes/lib/rig.js';
import { progress, report } from './lib/report.js';

const EVENTS = Number(process.env.EVENTS ?? 5_000);
const HOGS = 2;
/** Queue pairs of a round that are made and destroyed, by each of two processes a side. */
const CHURN = 100;
type QpEvent = EventOf<'rdma.qp'> | EventOf<'rdma.retry'> | EventOf<'rdma.completion'>;

/** Node id of the queue pair → its owners. Numbers are not used twice before all others were. */
type Truth = Map<string, Set<number>>;

interface Tally {
  right: number;
  unknown: number;
  wrong: number;
}

function isQpEvent(event: Event): event is QpEvent {
  return event.type === 'rdma.qp' || event.type === 'rdma.retry' || event.type === 'rdma.completion';
}

function learn(truth: Truth, device: string, proc: Proc): void {
  for (const one of proc.truths('qp')) {
    const id = `qp:${device}/${one.number('qpn')}`;
    truth.set(id, (truth.get(id) ?? new Set()).add(one.pid));
  }
}

async function round(world: RdmaWorld, truth: Truth): Promise<void> {
  const churns = await Promise.all(
    (['a', 'b', 'a', 'b'] as const).map(async (side) => ({
      side,
      proc: await world.start(side, 'rdma_churn', { n: CHURN }),
    })),
  );
  const pairs = [
    await world.pair({ both: { do: 'ping', timeout: 10, n: 4 } }),
    await world.pair({ both: { do: 'write', timeout: 10 }, from: 'b' }),
    await world.pair({ both: { do: 'write', timeout: 10, retry_cnt: 2, n: 4 } }),
    await world.pair({ both: { do: 'stream', timeout: 14, n: 2 }, receiver: { recvs: 0, wait: 'sleep' } }),
  ];
  const [pinging, writing, failing] = pairs;
  await world.lose(10);
  const before = world.counter('a', 'completer_retry_err');
  await until(() => world.counter('a', 'completer_retry_err') > before + 50, {
    timeoutMs: 30_000,
    what: 'retries',
  });
  await world.lose(100);
  await failing?.sender.ready('error');
  await world.heal();
  for (const { side, proc } of churns) {
    await proc.line(/kind=all/, 120_000);
    learn(truth, world[side].device, proc);
    await proc.stop();
  }
  for (const pair of pairs) {
    const from = pair === writing ? 'b' : 'a';
    learn(truth, world[from].device, pair.sender);
    learn(truth, world[from === 'a' ? 'b' : 'a'].device, pair.receiver);
    // Some end by themselves, some are killed with all they have.
    await pair.sender.stop(pair === pinging ? 'SIGTERM' : 'SIGKILL');
    await pair.receiver.stop('SIGKILL');
  }
}

const scope = openScope();

async function main(): Promise<void> {
  const missing = await rdmaMissing();
  if (missing !== undefined) return progress(`rdma-owner: not here: ${missing}`);
  const world = await createRdmaWorld(scope);
  const rig = await startProbe(scope, (context) => new RdmaProbe(context), 16 * 1024 * 1024);
  for (let i = 0; i < HOGS; i++) await start(scope, '/bin/sh', ['-c', 'while :; do :; done']);
  const truth: Truth = new Map();
  // Those of the kernel's own (QP 0 and 1 of each port) have no owner, and nobody is named.
  const events = (): QpEvent[] => rig.events.filter(isQpEvent).filter(({ entity }) => truth.has(entity));
  for (let rounds = 1; events().length < EVENTS && rounds <= 20; rounds++) {
    await round(world, truth);
    progress(`rdma-owner: round ${rounds}: ${events().length} events of ${truth.size} queue pairs`);
  }
  const tally: Tally = { right: 0, unknown: 0, wrong: 0 };
  const byType = new Map<string, number>();
  for (const { entity, pid, type } of events()) {
    byType.set(type, (byType.get(type) ?? 0) + 1);
    if (pid === undefined) tally.unknown++;
    else if (truth.get(entity)?.has(pid) === true) tally.right++;
    else tally.wrong++;
    if (pid !== undefined && truth.get(entity)?.has(pid) !== true) progress(`${entity}: ${type} of ${pid}`);
  }
  const all = tally.right + tally.unknown + tally.wrong;
  report({
    name: 'owner of a queue pair',
    asked: `100 % of >= ${EVENTS} events`,
    measured: Math.floor((1000 * tally.right) / Math.max(1, all)) / 10,
    unit: '% right',
    ok: tally.right === all && all >= EVENTS,
    events: all,
    queuePairs: truth.size,
    ...tally,
    ...Object.fromEntries(byType),
  });
}

try {
  await main();
} finally {
  await scope.close();
}
