/** What probe `tcp` says of connections that fail, stall, are reset and recover, on the real kernel. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import type { EventOf, FlowAttrs } from '../../src/events/event.js';
import { FlowTable } from '../../src/probes/flow-table.js';
import { TcpProbe } from '../../src/probes/tcp.js';
import { startWorkload } from '../lib/proc.js';
import { until } from '../lib/until.js';
import { createWorld, type World } from '../lib/world.js';
import { Actor } from './lib/actor.js';
import { type Rig, startProbe } from './lib/rig.js';

const run = promisify(execFile);

const startTcp = (t: Test): Promise<Rig<TcpProbe>> =>
  startProbe(t, (c) => new TcpProbe(c, new FlowTable(), { troubledPassMs: 200, quietPassMs: 200 }));

interface Pair {
  readonly client: Actor;
  readonly server: Actor;
  readonly port: number;
  readonly lport: number;
}

async function connect(t: Test, world: World, host = world.b.ipv4, rcvbuf = ''): Promise<Pair> {
  const server = new Actor(t, world.b.netns);
  const client = new Actor(t, world.a.netns);
  const port = await server.tell(`listen ${host} ${rcvbuf}`);
  const lport = await client.tell(`connect ${host} ${port}`);
  await server.tell('accept');
  return { client, server, port, lport };
}

const from = (lport: number) => (event: { readonly attrs: FlowAttrs }) => event.attrs.lport === lport;

t.test('a connect: how long it took, who talks to whom', async (t) => {
  const world = await createWorld(t);
  const rig = await startTcp(t);
  for (const host of [world.b.ipv4, world.b.ipv6]) {
    const { client, lport, port } = await connect(t, world, host);
    const event = await rig.event('transport.connect', from(lport));
    const v6 = host.includes(':');
    const [local, remote] = v6 ? [`[${world.a.ipv6}]`, `[${host}]`] : [world.a.ipv4, host];
    t.equal(event.entity, `flow:${local}:${lport}-${remote}:${port}`);
    t.ok(event.value > 0 && event.value < 10_000, `${event.value} ms`);
    t.equal(event.pid, client.pid);
    t.match(event.attrs, { family: v6 ? 6 : 4, state: 'ESTABLISHED', rport: port, since: undefined });
    await client.tell('close');
    await rig.event('transport.close', from(lport));
  }
});

t.test('IPv4 through an IPv6 socket is shown as what is on the wire', async (t) => {
  const world = await createWorld(t);
  const rig = await startTcp(t);
  const server = new Actor(t, world.b.netns);
  const client = new Actor(t, world.a.netns);
  const port = await server.tell('listen ::');
  const lport = await client.tell(`connect ::ffff:${world.b.ipv4} ${port}`);
  await server.tell('accept');
  const event = await rig.event('transport.connect', from(lport));
  t.equal(event.entity, `flow:${world.a.ipv4}:${lport}-${world.b.ipv4}:${port}`);
  t.equal(event.attrs.family, 4);
});

t.test('a connect that fails: refused, timed out, given up', async (t) => {
  const world = await createWorld(t);
  const rig = await startTcp(t);
  const failed = (port: number): Promise<EventOf<'transport.connect_failed'>> =>
    rig.event('transport.connect_failed', (e) => e.attrs.rport === port && e.attrs.remote === world.b.ipv4);
  const client = new Actor(t, world.a.netns);

  t.equal(await client.tell(`connect ${world.b.ipv4} 9`), 111);
  const refused = await failed(9);
  t.equal(refused.attrs.errno, 'ECONNREFUSED');
  t.equal(refused.pid, client.pid);
  t.ok(refused.attrs.lport > 0);

  await world.drop();
  await client.tell(`start ${world.b.ipv4} 10`);
  await rig.event('transport.timeout', (e) => e.attrs.rport === 10);
  await client.tell('close');
  t.equal((await failed(10)).attrs.errno, 'ECANCELED');

  await run('ip', ['netns', 'exec', world.a.netns, 'sysctl', '-qw', 'net.ipv4.tcp_syn_retries=1']);
  t.equal(await client.tell(`connect ${world.b.ipv4} 11`), 110);
  const timedOut = await failed(11);
  t.equal(timedOut.attrs.errno, 'ETIMEDOUT');
  t.equal(timedOut.pid, client.pid);
  t.ok(timedOut.value > 1000, `${timedOut.value} ms`);
});

t.test('a stall and its end', async (t) => {
  const world = await createWorld(t);
  const rig = await startTcp(t);
  const { client, server, lport } = await connect(t, world);
  await client.tell('send 1000');
  await until(() => server.tell('drain'), { timeoutMs: 5000, what: 'the first bytes' });
  await world.drop();
  await client.tell('send 5000');
  const third = await rig.event('transport.timeout', (e) => e.attrs.lport === lport && e.value === 3);
  const timeouts = rig.all('transport.timeout', from(lport));
  t.same(
    timeouts.map((e) => e.value),
    [1, 2, 3],
    'each further backoff is told, once',
  );
  t.equal(new Set(timeouts.map((e) => e.attrs.since)).size, 1, 'of one trouble');
  t.equal(third.attrs.unackedBytes, 5000);
  t.equal(third.attrs.writeQueueBytes, 5000);
  t.equal(third.attrs.caState, 'Loss');
  t.ok(third.attrs.rtoMs > 200);
  t.ok(third.attrs.srttUs > 0);
  t.ok(third.attrs.lastRcvMs > 200, `nothing heard for ${third.attrs.lastRcvMs} ms`);
  const state = await rig.event('transport.state', from(lport));
  t.ok(state.attrs.backoff > 0);

  await world.undrop();
  const recovered = await rig.event('transport.recovered', from(lport));
  t.equal(recovered.attrs.since, third.attrs.since);
  t.equal(recovered.attrs.unackedBytes, 0);
  t.equal(recovered.attrs.backoff, 0);
  t.ok(recovered.value > 0);

  await world.drop();
  await client.tell('send 10');
  const again = await rig.event('transport.timeout', (e) => e.attrs.lport === lport && e.ts > recovered.ts);
  t.ok((again.attrs.since ?? 0) > recovered.ts, 'another trouble');
});

t.test('a lossy flow: aggregated, at most four updates a second', async (t) => {
  const world = await createWorld(t);
  const rig = await startTcp(t);
  const server = await world.start('b', 'tcp_server', { host: world.b.ipv4, do: 'sink' });
  const port = (await server.ready('listen')).number('port');
  await world.start('a', 'tcp_client', { host: world.b.ipv4, port, do: 'send' });
  await server.ready('conn');
  await world.drop({ at: 'b', port, percent: 5 });
  const mine = (e: { readonly attrs: FlowAttrs }): boolean => e.attrs.rport === port;
  const last = await until(
    () =>
      [...rig.all('transport.retransmit', mine), ...rig.all('transport.timeout', mine)].find(
        (e) => e.attrs.retransmits >= 200,
      ),
    { timeoutMs: 20_000, what: '200 retransmits' },
  );
  const updates = rig.all('transport.retransmit', mine);
  t.ok(updates.length < last.attrs.retransmits / 2, `${updates.length} updates of ${last.attrs.retransmits}`);
  const gaps = updates.slice(1).map((e, i) => e.ts - (updates[i]?.ts ?? 0));
  t.ok(
    gaps.every((ms) => ms >= 249.9),
    `shortest gap ${Math.min(...gaps)} ms`,
  );
});

t.test('resets, sent and received', async (t) => {
  const world = await createWorld(t);
  const rig = await startTcp(t);
  const { client, server, port, lport } = await connect(t, world);
  await client.tell('send 1');
  await server.tell('abort');
  const sent = await rig.event('transport.reset', (e) => e.attrs.lport === port);
  t.equal(sent.attrs.direction, 'sent');
  const received = await rig.event('transport.reset', from(lport));
  t.equal(received.attrs.direction, 'received');
  t.equal(received.pid, client.pid);
  t.equal(received.attrs.owner.last?.pid, client.pid);
});

for (const version of ['ipv4', 'ipv6'] as const) {
  t.test(`a window that closes and opens, ${version}`, async (t) => {
    const world = await createWorld(t);
    const rig = await startTcp(t);
    const { client, server, lport } = await connect(t, world, world.b[version], '4096');
    const taken = await client.tell('send 10000000');
    const closed = await rig.event('transport.zero_window', from(lport));
    t.equal(closed.pid, client.pid);
    t.ok(closed.value > 0 && closed.value <= taken, `${closed.value} bytes wait`);
    t.ok((closed.attrs.since ?? Number.POSITIVE_INFINITY) <= closed.ts);
    t.equal(closed.attrs.backoff, 0, 'a peer that answers probes is no timeout');
    await rig.event('transport.state', from(lport));
    const recovered = (): EventOf<'transport.recovered'> | undefined =>
      rig.all('transport.recovered', (e) => e.attrs.lport === lport && e.ts > closed.ts)[0];
    t.equal(recovered(), undefined);
    const opened = until(
      async () => {
        await server.tell('drain');
        return recovered();
      },
      { timeoutMs: 20_000, what: 'recovery' },
    );
    t.ok((await opened).value > 0);
  });
}

t.test('two containers with the same addresses are two flows', async (t) => {
  const world = await createWorld(t);
  const other = await createWorld(t);
  for (const [side, of] of [
    ['a', world.a],
    ['b', world.b],
  ] as const) {
    await other.ip(side, 'address', 'add', `${of.ipv4}/30`, 'dev', 'eth0');
  }
  const rig = await startTcp(t);
  const entities: string[] = [];
  for (const { a, b } of [world, other]) {
    const server = new Actor(t, b.netns);
    const client = new Actor(t, a.netns);
    // The same ports on both sides, too.
    await run('ip', ['netns', 'exec', a.netns, 'sysctl', '-qw', 'net.ipv4.ip_local_port_range=40001 40001']);
    await run('ip', ['netns', 'exec', b.netns, 'sysctl', '-qw', 'net.ipv4.ip_local_port_range=40002 40002']);
    const port = await server.tell(`listen ${world.b.ipv4}`);
    await client.tell(`start ${world.b.ipv4} ${port}`);
    const event = await rig.event('transport.connect', (e) => e.pid === client.pid);
    entities.push(event.entity);
  }
  const plain = `flow:${world.a.ipv4}:40001-${world.b.ipv4}:40002`;
  t.equal(entities[0], plain);
  t.match(entities[1], new RegExp(`^${plain}@\\d+$`));
});

t.test('50,000 sockets at start', async (t) => {
  const crowd = await Promise.all(
    [1, 2, 3].map((n) =>
      startWorkload(t, 'many_sockets', { n: 8400, host: `127.77.${process.pid % 250}.${n}` }),
    ),
  );
  for (const one of crowd) await one.ready('all');
  const world = await createWorld(t);
  const { client, lport } = await connect(t, world);
  await world.drop();
  await client.tell('send 1000');
  const rig = await startTcp(t);
  const found = await rig.event('transport.timeout', (e) => e.attrs.lport === lport && e.pid !== undefined);
  t.equal(found.pid, client.pid);
  t.equal(found.attrs.owner.last?.how, 'iter');
  t.same(
    rig.all('transport.timeout', from(lport)).filter((e) => e.pid !== undefined && e.pid !== client.pid),
    [],
    'until the pass has come to it, it is nobody, and never another',
  );
  t.equal(rig.kernel.lost().storage, 0);
  const crowdPids = new Set(crowd.map((one) => one.pid));
  t.same(
    rig.events.filter((e) => crowdPids.has(e.pid ?? 0)),
    [],
    'those that are well say nothing',
  );
});
