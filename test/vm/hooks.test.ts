/**
 * That the hooks in use do their work, whichever rung they are on: where fentry is allowed, who accepted is
 * known as such (`how: accept`), and a sender before its bytes leave; elsewhere the next best that the kernel has.
 */
import t from 'tap';
import { FlowTable } from '../../src/probes/flow-table.js';
import { TcpProbe } from '../../src/probes/tcp.js';
import { createWorld } from '../lib/world.js';
import { Actor } from '../probes/lib/actor.js';
import { startProbe } from '../probes/lib/rig.js';

t.test('accept and send: who it was and how that is known', async (t) => {
  const world = await createWorld(t);
  const rig = await startProbe(t, (c) => new TcpProbe(c, new FlowTable()));
  const on = (slot: string): boolean => rig.kernel.programs.some((p) => p.slot === slot && p.attached);
  t.ok(on('send'), 'senders are seen');
  const server = new Actor(t, world.b.netns);
  const client = new Actor(t, world.a.netns);
  const port = await server.tell(`listen ${world.b.ipv4}`);
  const lport = await client.tell(`connect ${world.b.ipv4} ${port}`);
  await server.tell('accept');
  await world.drop();
  await server.tell('send 1000');
  await client.tell('send 1000');

  const served = await rig.event('transport.timeout', (e) => e.attrs.lport === port);
  t.equal(served.pid, server.pid);
  t.match(served.attrs.owner, {
    created: { pid: server.pid, how: on('accept') ? 'accept' : 'listener' },
    last: { pid: server.pid, how: 'send' },
  });
  const asked = await rig.event('transport.timeout', (e) => e.attrs.lport === lport);
  t.equal(asked.pid, client.pid);
  t.match(asked.attrs.owner, {
    created: { pid: client.pid, how: 'connect' },
    last: { pid: client.pid, how: 'send' },
  });
});
