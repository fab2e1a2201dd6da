/**
 * Whose retransmit is it? 500 stalled connection ends: every server shape, connect and accept side, sockets
 * opened before and after the probe, IPv4 and IPv6, with CPU hogs that the naive answer would accuse. The
 * workloads say who uses each connection; an end is `right` when each of its records that names somebody names
 * that process, `unknown` when none names anybody, `wrong` when one names another.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Event, EventOf } from '../src/events/event.js';
import { FlowTable } from '../src/probes/flow-table.js';
import { TcpProbe } from '../src/probes/tcp.js';
import { type Proc, start } from '../test/lib/proc.js';
import { openScope, type Scope } from '../test/lib/scope.js';
import { until } from '../test/lib/until.js';
import { createWorld, type World } from '../test/lib/world.js';
import { startProbe } from '../test/probes/lib/rig.js';
import { progress, report } from './lib/report.js';

const STALLS = 500;
const HOGS = 2;
/** Connections to a server of each shape; `single` serves one at a time. */
const SHAPES = { single: 1, prefork: 4, fork: 8, threads: 8 } as const;
/** Bytes a second. Both ends of a connection keep sending, so that each stalls; neither reads, so it must be little. */
const RATE = 2_000;
/** From the drop until the slowest end has said something: a few RTOs of the slowest, and two passes. */
const PATIENCE_MS = 20_000;

/** Who uses the end of a connection, by the flow's id. */
type Truth = Map<string, number>;

type Stalled = EventOf<'transport.timeout'> | EventOf<'transport.retransmit'>;

interface Tally {
  right: number;
  unknown: number;
  wrong: number;
  silent: number;
  records: number;
}

async function connectShape(
  world: World,
  host: string,
  mode: keyof typeof SHAPES,
  procs: Proc[],
): Promise<void> {
  const server = await world.start('b', 'tcp_server', { host, mode, do: 'source', rate: RATE });
  const port = (await server.ready('listen')).number('port');
  const conns = SHAPES[mode];
  const client = await world.start('a', 'tcp_client', { host, port, do: 'send', rate: RATE, conns });
  procs.push(server, client);
  await until(() => server.truths('conn').length === conns && client.truths('conn').length === conns, {
    timeoutMs: 20_000,
    what: `${conns} connections of ${mode}`,
  });
}

/** A parent that connects and a child that sends. */
async function connectForked(world: World, host: string, procs: Proc[]): Promise<void> {
  const server = await world.start('b', 'tcp_server', { host, mode: 'single', do: 'source', rate: RATE });
  const port = (await server.ready('listen')).number('port');
  const client = await world.start('a', 'tcp_client', { host, port, do: 'send', rate: RATE, fork: 1 });
  await client.ready('conn');
  await server.ready('conn');
  procs.push(server, client);
}

async function connectAll(world: World): Promise<Truth> {
  const procs: Proc[] = [];
  for (const host of [world.b.ipv4, world.b.ipv6]) {
    for (const mode of ['single', 'prefork', 'fork', 'threads'] as const) {
      await connectShape(world, host, mode, procs);
    }
    await connectForked(world, host, procs);
  }
  const truth: Truth = new Map();
  for (const one of procs.flatMap((p) => p.truths('conn'))) {
    truth.set(`flow:${one.text('local')}-${one.text('remote')}`, one.pid);
  }
  return truth;
}

function isStalled(event: Event): event is Stalled {
  return event.type === 'transport.timeout' || event.type === 'transport.retransmit';
}

async function round(scope: Scope, tally: Tally): Promise<void> {
  const world = await createWorld(scope);
  for (let i = 0; i < HOGS; i++) await start(scope, '/bin/sh', ['-c', 'while :; do :; done']);
  const truth = await connectAll(world);
  const rig = await startProbe(scope, (c) => new TcpProbe(c, new FlowTable()), 16 * 1024 * 1024);
  for (const [flow, pid] of await connectAll(world)) truth.set(flow, pid);
  await world.drop();

  const stalled = (): Stalled[] => rig.events.filter(isStalled).filter((e) => truth.has(e.entity));
  const deadline = performance.now() + PATIENCE_MS;
  while (new Set(stalled().map((e) => e.entity)).size < truth.size && performance.now() < deadline) {
    await sleep(100);
  }
  const records = stalled();
  const byFlow = new Map<string, (number | undefined)[]>();
  for (const { entity, pid } of records) byFlow.set(entity, [...(byFlow.get(entity) ?? []), pid]);
  tally.records += records.length;
  for (const [flow, pid] of truth) {
    const named = (byFlow.get(flow) ?? []).filter((p) => p !== undefined);
    const wrong = named.find((p) => p !== pid);
    if (!byFlow.has(flow)) tally.silent++;
    else if (wrong !== undefined) tally.wrong++;
    else if (named.length > 0) tally.right++;
    else tally.unknown++;
    if (wrong !== undefined) progress(`${flow}: ${wrong} instead of ${pid}`);
  }
}

const tally: Tally = { right: 0, unknown: 0, wrong: 0, silent: 0, records: 0 };
const judged = (): number => tally.right + tally.unknown + tally.wrong;
for (let rounds = 1; judged() < STALLS && rounds <= 8; rounds++) {
  const scope = openScope();
  try {
    await round(scope, tally);
  } finally {
    await scope.close();
  }
  progress(`round ${rounds}: ${JSON.stringify(tally)}`);
}
report({
  name: 'attribution',
  asked: `of ${STALLS} stalls 100 % right or unknown, none wrong`,
  measured: Math.round((1000 * tally.right) / judged()) / 10,
  unit: '% right',
  ok: tally.wrong === 0 && judged() >= STALLS,
  stalls: judged(),
  ...tally,
});
