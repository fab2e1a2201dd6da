/** Whose retransmit is it? Every shape of server, on the real kernel: the right process or nobody, never another. */
import t, { type Test } from 'tap';
import type { EventOf } from '../../src/events/event.js';
import { FlowTable } from '../../src/probes/flow-table.js';
import { TcpProbe } from '../../src/probes/tcp.js';
import { type Proc, startTicks } from '../lib/proc.js';
import { until } from '../lib/until.js';
import { createWorld, type World } from '../lib/world.js';
import { Actor } from './lib/actor.js';
import { type Rig, startProbe } from './lib/rig.js';

type Timeout = EventOf<'transport.timeout'>;

const MODES = ['single', 'prefork', 'fork', 'threads'] as const;

const startTcp = (t: Test): Promise<Rig<TcpProbe>> => startProbe(t, (c) => new TcpProbe(c, new FlowTable()));

function timeout(rig: Rig<TcpProbe>, lport: number): Promise<Timeout> {
  return rig.event('transport.timeout', (e) => e.attrs.lport === lport);
}

interface Stall {
  readonly name: string;
  readonly server: Proc;
  readonly client: Proc;
  readonly port: number;
}

/** A server of each shape that sends, and a client that sends as well: both ends will retransmit. */
async function serveAll(world: World, host: string): Promise<Stall[]> {
  return Promise.all(
    MODES.map(async (mode) => {
      const server = await world.start('b', 'tcp_server', { host, mode, do: 'source', rate: 2_000 });
      const port = (await server.ready('listen')).number('port');
      const client = await world.start('a', 'tcp_client', { host, port, do: 'send', rate: 2_000 });
      await client.ready('conn');
      await server.ready('conn');
      return { name: `${mode} ${host.includes(':') ? 'IPv6' : 'IPv4'}`, server, client, port };
    }),
  );
}

for (const when of ['before', 'after'] as const) {
  t.test(`connections made ${when} the agent came`, async (t) => {
    const world = await createWorld(t);
    const start = async (): Promise<Stall[]> => [
      ...(await serveAll(world, world.b.ipv4)),
      ...(await serveAll(world, world.b.ipv6)),
    ];
    const early = when === 'before' ? await start() : [];
    const rig = await startTcp(t);
    const stalls = when === 'before' ? early : await start();
    await world.drop();
    for (const { name, server, client, port } of stalls) {
      const serving = await timeout(rig, port);
      t.equal(serving.pid, server.truths('conn')[0]?.pid, `${name}, accept side`);
      t.equal(serving.attrs.owner.last?.pid, serving.pid);
      const sending = await rig.event('transport.timeout', (e) => e.attrs.rport === port);
      t.equal(sending.pid, client.pid, `${name}, connect side`);
      t.equal(Math.floor((sending.attrs.owner.last?.start ?? 0) / 1e7), Number(startTicks(client.pid)));
      t.equal(sending.attrs.owner.last?.comm, 'tcp_client');
      t.equal(sending.attrs.family, name.endsWith('6') ? 6 : 4);
    }
    const right = new Set(
      stalls.flatMap((s) => [s.client.pid, ...s.server.truths('conn').map((c) => c.pid)]),
    );
    const mine = [...rig.all('transport.timeout'), ...rig.all('transport.retransmit')];
    t.same(
      mine.filter((e) => isOf(world, e) && e.pid !== undefined && !right.has(e.pid)),
      [],
      'nobody else is ever named',
    );
  });
}

function isOf(world: World, event: { readonly attrs: { readonly local: string } }): boolean {
  return [world.a.ipv4, world.a.ipv6, world.b.ipv4, world.b.ipv6].includes(event.attrs.local);
}

interface Pair {
  readonly client: Actor;
  readonly server: Actor;
  readonly lport: number;
}

async function connect(t: Test, world: World): Promise<Pair> {
  const server = new Actor(t, world.b.netns);
  const client = new Actor(t, world.a.netns);
  const port = await server.tell(`listen ${world.b.ipv4}`);
  const lport = await client.tell(`connect ${world.b.ipv4} ${port}`);
  await server.tell('accept');
  return { client, server, lport };
}

t.test('data in flight before the agent came', async (t) => {
  const world = await createWorld(t);
  const alone = await connect(t, world);
  const inherited = await connect(t, world);
  const shared = await connect(t, world);
  await world.drop();
  await alone.client.tell('send 1000');
  const heir = await inherited.client.tell('fork-use 1000');
  await shared.client.tell('send 1000');
  const other = await shared.client.tell('hold');
  t.teardown(() => end(heir, other));
  const rig = await startTcp(t);

  // A timer that fires before the descriptors have been visited finds nobody known yet.
  const known = (lport: number): Promise<Timeout> =>
    rig.event(
      'transport.timeout',
      (e) => e.attrs.lport === lport && (e.pid !== undefined || e.attrs.owner.shared === true),
    );
  const one = await known(alone.lport);
  t.equal(one.pid, alone.client.pid);
  t.equal(one.attrs.owner.last?.how, 'iter');
  t.equal((await known(inherited.lport)).pid, heir, 'only the child holds it any more');

  const two = await known(shared.lport);
  t.equal(two.pid, undefined, 'two hold it and nobody was seen to send: unknown');
  t.equal(two.attrs.owner.last, undefined);
  t.equal(two.attrs.owner.created, undefined);
  await shared.client.tell('send 1000');
  const settled = await rig.event(
    'transport.timeout',
    (e) => e.attrs.lport === shared.lport && e.pid !== undefined,
  );
  t.equal(settled.pid, shared.client.pid, 'a send settles it');
});

t.test('a process that got the socket by fork after the agent came', async (t) => {
  const world = await createWorld(t);
  const early = await connect(t, world);
  const rig = await startTcp(t);
  const late = await connect(t, world);
  await world.drop();
  for (const { client, lport } of [early, late]) {
    const child = await client.tell('fork-send 1000');
    t.teardown(() => end(child));
    const found = await timeout(rig, lport);
    t.equal(found.pid, child, 'who sent');
    t.equal(found.attrs.owner.created?.pid, client.pid, 'who made it');
  }
});

t.test('the sender has ended, its connection has not', async (t) => {
  const world = await createWorld(t);
  const rig = await startTcp(t);
  const { client, lport } = await connect(t, world);
  await world.drop();
  await client.tell('send 1000');
  const ticks = Number(startTicks(client.pid));
  client.say('exit');
  await until(() => startTicks(client.pid) === undefined, { timeoutMs: 5000, what: 'the end of the client' });
  const found = await rig.event(
    'transport.timeout',
    (e) => e.attrs.lport === lport && e.attrs.state === 'FIN_WAIT1',
  );
  t.equal(found.pid, client.pid);
  t.equal(Math.floor((found.attrs.owner.last?.start ?? 0) / 1e7), ticks, 'with its start time');
});

t.test('a FIN belongs to who closed', async (t) => {
  const world = await createWorld(t);
  const rig = await startTcp(t);
  const { client, server, lport } = await connect(t, world);
  const rport = (await rig.event('transport.connect', (e) => e.attrs.lport === lport)).attrs.rport;
  await world.drop();
  await server.tell('close');
  const accepted = await timeout(rig, rport);
  t.equal(accepted.pid, server.pid, 'accepted, never sent, closed');
  await client.tell('close');
  t.equal((await timeout(rig, lport)).pid, client.pid);
});

t.test('a SYN belongs to who connects', async (t) => {
  const world = await createWorld(t);
  const rig = await startTcp(t);
  await world.drop();
  const client = new Actor(t, world.a.netns);
  await client.tell(`start ${world.b.ipv6} 9`);
  const found = await rig.event('transport.timeout', (e) => e.attrs.remote === world.b.ipv6);
  t.equal(found.pid, client.pid);
  t.equal(found.attrs.state, 'SYN_SENT');
  t.equal(found.attrs.owner.last?.how, 'connect');
  t.equal(found.value, 1, 'one timeout in a row, though the kernel has not doubled yet');
});

t.test('an accepted connection has its listener as a hint and no owner before its first send', async (t) => {
  const world = await createWorld(t);
  const rig = await startTcp(t);
  const { server, lport } = await connect(t, world);
  const rport = (await rig.event('transport.connect', (e) => e.attrs.lport === lport)).attrs.rport;
  await world.drop();
  const child = await server.tell('fork-send 1000');
  t.teardown(() => end(child));
  const found = await timeout(rig, rport);
  t.equal(found.pid, child);
  t.equal(found.attrs.owner.created?.pid, server.pid);
  t.match(found.attrs.owner.created?.how, /^(?:listener|accept)$/);
});

t.test('where senders are only seen when send(2) returns', async (t) => {
  const world = await createWorld(t);
  const rig = await startProbe(t, (c) => {
    const kernel = { load: () => c.kernel.load('tcp_late') };
    return new TcpProbe({ ...c, kernel }, new FlowTable());
  });
  if (rig.kernel.programs.some((p) => p.slot === 'send' && !p.attached)) {
    t.comment('this kernel has no tracepoint sock_send_length');
    return;
  }
  t.match(rig.probe.checks().at(-1), { status: 'ok', detail: /blocked in it$/ });
  const { client, server, lport } = await connect(t, world);
  const rport = (await rig.event('transport.connect', (e) => e.attrs.lport === lport)).attrs.rport;
  const other = await connect(t, world);
  await world.drop();
  const child = await client.tell('fork-send 1000');
  t.teardown(() => end(child));
  await server.tell('send 1000');
  // More than the socket takes, in a process that has not sent before and does not come back from it.
  const blocked = await other.client.tell('fork-block 50000000');
  t.teardown(() => end(blocked));
  const at = (port: number) =>
    rig.event('transport.timeout', (e) => e.attrs.lport === port && e.pid !== undefined);
  t.equal((await at(lport)).pid, child);
  t.equal((await at(rport)).pid, server.pid);
  const held = await at(other.lport);
  t.equal(held.pid, blocked, 'one that is in the middle of its first send');
  t.match(held.attrs.owner.last, { pid: blocked, how: 'send' });
  t.equal(held.attrs.owner.created?.pid, other.client.pid);
});

function end(...pids: readonly number[]): void {
  for (const pid of pids) {
    if (startTicks(pid) !== undefined) process.kill(pid, 'SIGKILL');
  }
}
