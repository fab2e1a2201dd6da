/**
 * Probe `rdma` on real verbs: Soft-RoCE over a veth pair, in a guest (`make test-vm`); what goes over the wire can be
 * lost there. Retries are held against the device's own counter.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import type { EventOf, EventType } from '../../src/events/event.js';
import { qpId } from '../../src/events/ids.js';
import { RdmaProbe } from '../../src/probes/rdma.js';
import type { Proc } from '../lib/proc.js';
import { createRdmaWorld, queuePairs, type RdmaWorld, rdmaMissing, type Side } from '../lib/rdma.js';
import { openScope, type Scope } from '../lib/scope.js';
import { until } from '../lib/until.js';
import { type Rig, startProbe } from './lib/rig.js';

const missing = (await rdmaMissing()) ?? false;
const RETRIES = 'completer_retry_err';
const ENOUGH_MS = 20_000;

type RdmaRig = Rig<RdmaProbe>;

/** @throws Error with what is off: nothing of what follows could come true */
async function startRdma(scope: Scope): Promise<RdmaRig> {
  const rig = await startProbe(scope, (context) => new RdmaProbe(context));
  const off = rig.probe
    .checks()
    .filter(({ status, name }) => status !== 'ok' && !/ports|counters/.test(name));
  if (off.length > 0) throw new Error(JSON.stringify(off, null, 1));
  return rig;
}

/** Node ids of a workload's queue pairs. */
function idsOf(world: RdmaWorld, at: Side, proc: Proc): string[] {
  return queuePairs(proc).map(({ qpn }) => qpId(world[at].device, qpn));
}

function changes(rig: RdmaRig, id: string): EventOf<'rdma.qp'>[] {
  return rig.all('rdma.qp', ({ entity }) => entity === id);
}

/** Retries by all events so far. */
function told(rig: RdmaRig, device: string): number {
  return rig
    .all('rdma.retry', ({ attrs }) => attrs.device === device)
    .reduce((sum, { value }) => sum + value, 0);
}

function sum(rig: RdmaRig, id: string, what: 'timeouts' | 'rnr'): number {
  return rig
    .all('rdma.retry', ({ entity }) => entity === id)
    .reduce((total, { attrs }) => total + attrs[what], 0);
}

function modprobe(...args: string[]): void {
  execFileSync('modprobe', args, { stdio: 'pipe' });
}

t.test('queue pairs and their owners', { skip: missing }, async (t) => {
  const world = await createRdmaWorld(t);
  const before = await world.pair({ both: { do: 'ping', n: 2, timeout: 12, retry_cnt: 5 } });
  const rig = await startRdma(t);
  const [oldId = ''] = idsOf(world, 'a', before.sender);

  await t.test('those that were there before', async (t) => {
    const [{ qpn = 0, peer = 0 } = {}] = queuePairs(before.sender);
    const seen = await rig.event('rdma.qp', ({ entity }) => entity === oldId);
    t.match(seen, { pid: before.sender.pid, value: 0 });
    t.match(seen.attrs, {
      change: 'seen',
      type: 'RC',
      state: 'RTS',
      qpn,
      port: 1,
      local: world.a.ipv4,
      remote: world.b.ipv4,
      remoteQpn: peer,
      ackTimeoutMs: 0.004096 * 2 ** 12,
      retryCnt: 5,
    });
    t.equal(seen.attrs.comm, readFileSync(`/proc/${before.sender.pid}/comm`, 'utf8').trim());
    t.ok((seen.attrs.netns ?? 0) > 0);
    for (const id of [...idsOf(world, 'a', before.sender), ...idsOf(world, 'b', before.receiver)])
      t.same(
        changes(rig, id).map(({ attrs }) => attrs.change),
        ['seen'],
        `${id} is told of once`,
      );
  });

  await t.test('those that are made, changed and destroyed', async (t) => {
    const { sender, receiver } = await world.pair({
      both: { do: 'ping', timeout: 11 },
      receiver: { fork: 'keep' },
    });
    const [id = ''] = idsOf(world, 'a', sender);
    const [peerId = ''] = idsOf(world, 'b', receiver);
    const rts = await rig.event('rdma.qp', ({ entity, attrs }) => entity === id && attrs.state === 'RTS');
    t.match(rts.attrs, { local: world.a.ipv4, remote: world.b.ipv4, retryCnt: 7, rnrRetry: 7 });
    t.equal(rts.attrs.remoteQpn, queuePairs(sender)[0]?.peer);
    t.same(
      changes(rig, id).map(({ attrs }) => [attrs.change, attrs.state]),
      [
        ['create', 'RESET'],
        ['modify', 'INIT'],
        ['modify', 'RTR'],
        ['modify', 'RTS'],
      ],
    );
    await sender.stop('SIGTERM');
    const closed = await rig.event(
      'rdma.qp',
      ({ entity, attrs }) => entity === id && attrs.change === 'destroy',
    );
    t.notOk(closed.attrs.exiting);
    await receiver.stop('SIGKILL');
    const killed = await rig.event(
      'rdma.qp',
      ({ entity, attrs }) => entity === peerId && attrs.change === 'destroy',
    );
    t.equal(killed.attrs.state, 'DESTROYED');
    for (const event of changes(rig, id)) t.equal(event.pid, sender.pid);
    for (const event of changes(rig, peerId)) t.equal(event.pid, receiver.pid, 'a child has them, too');
  });

  await t.test('a change that is refused; one that is killed with what it has', async (t) => {
    const proc = await world.start('a', 'rdma_churn', { n: 4, keep: 1, refuse: 1 });
    const refused = await rig.event(
      'rdma.qp',
      ({ pid, attrs }) => pid === proc.pid && attrs.errno !== undefined,
    );
    t.match(refused.attrs, { change: 'modify', errno: 'EINVAL', state: 'RESET' });
    const kept = await rig.event(
      'rdma.qp',
      ({ pid, attrs }) => pid === proc.pid && attrs.state === 'RTS' && attrs.errno === undefined,
    );
    await proc.line(/kind=all/, ENOUGH_MS);
    await proc.stop('SIGKILL');
    const gone = await rig.event(
      'rdma.qp',
      ({ entity, attrs }) => entity === kept.entity && attrs.change === 'destroy',
    );
    t.match(gone.attrs, { exiting: true, generation: kept.attrs.generation });
  });

  await t.test('registered memory', async (t) => {
    const mine =
      (pid: number) =>
      ({ pid: p }: { readonly pid?: number }) =>
        p === pid;
    const old = await rig.event('rdma.memory', mine(before.sender.pid));
    t.ok(old.attrs.regions >= 1);
    t.ok(old.attrs.bytes >= 64);
    const { sender } = await world.pair({ both: { do: 'idle' } });
    const fresh = await rig.event('rdma.memory', mine(sender.pid));
    t.same([fresh.attrs.regions, fresh.attrs.bytes], [old.attrs.regions, old.attrs.bytes], 'made or found');
    await sender.stop('SIGTERM');
    await rig.event('rdma.memory', ({ pid, attrs }) => pid === sender.pid && attrs.regions === 0);
  });
  t.same(rig.probe.lost().record, 0);
});

t.test('what is sent again', { skip: missing }, async (t) => {
  const world = await createRdmaWorld(t);
  const rig = await startRdma(t);
  const { sender } = await world.pair({ both: { do: 'write', timeout: 10 } });
  const [id = ''] = idsOf(world, 'a', sender);
  await sender.ready('step');

  await t.test('a peer that does not answer, and answers again', async (t) => {
    const clean = { counter: world.counter('a', RETRIES), told: told(rig, world.a.device) };
    await world.lose(100);
    const first = await rig.event('rdma.retry', (e) => e.entity === id && e.attrs.since !== undefined);
    t.equal(first.pid, sender.pid);
    t.equal(first.attrs.retriesLeft, 7);
    const later = await rig.event(
      'rdma.retry',
      ({ entity, attrs }) => entity === id && attrs.totalRetries > first.attrs.totalRetries + 20,
      ENOUGH_MS,
    );
    t.ok((later.attrs.since ?? 0) >= (first.attrs.since ?? 0));
    t.ok(later.ts - (later.attrs.since ?? later.ts) > 100, 'since it was answered last');
    t.ok(sum(rig, id, 'timeouts') > 0, 'by the ACK timer');
    await world.heal();
    const over = await rig.event(
      'rdma.retry',
      (e) => e.entity === id && e.ts > later.ts && e.attrs.since === undefined,
      ENOUGH_MS,
    );
    t.ok(over.ts > later.ts, 'and its end is told');
    await until(
      () => told(rig, world.a.device) - clean.told === world.counter('a', RETRIES) - clean.counter,
      {
        timeoutMs: 10_000,
        what: 'as many retries as the device counts',
      },
    );
    t.equal(sum(rig, id, 'rnr'), 0);
    const perSecond = new Map<number, number>();
    for (const { ts } of rig.all('rdma.retry', ({ entity }) => entity === id)) {
      const second = Math.floor(ts / 1000);
      perSecond.set(second, (perSecond.get(second) ?? 0) + 1);
    }
    t.ok(Math.max(...perSecond.values()) <= 6, 'a few records a second');
  });

  await t.test('one that gives up', async (t) => {
    const pair = await world.pair({ both: { do: 'write', timeout: 10, retry_cnt: 2 } });
    const [id = ''] = idsOf(world, 'a', pair.sender);
    await pair.sender.ready('step');
    await world.lose(100);
    const failed = await rig.event('rdma.completion', ({ entity }) => entity === id, ENOUGH_MS);
    t.match(failed, { pid: pair.sender.pid, value: 1, attrs: { status: 'RETRY_EXC_ERR' } });
    const error = await rig.event(
      'rdma.qp',
      ({ entity, attrs }) => entity === id && attrs.change === 'error',
    );
    t.match(error, { pid: pair.sender.pid, attrs: { state: 'ERR', remote: world.b.ipv4 } });
    await world.heal();
    t.equal(
      rig.all('rdma.completion', ({ entity }) => entity === id).length,
      1,
      'what is flushed behind it is not told',
    );
    t.equal(changes(rig, id).filter(({ attrs }) => attrs.change === 'error').length, 1);
  });

  await t.test('a receiver without a buffer', async (t) => {
    const pair = await world.pair({
      both: { do: 'stream', timeout: 14 },
      receiver: { recvs: 0, wait: 'sleep' },
    });
    const [id = ''] = idsOf(world, 'a', pair.sender);
    const event = await rig.event('rdma.retry', (e) => e.entity === id && e.attrs.totalRnr > 5, ENOUGH_MS);
    t.match(event, { pid: pair.sender.pid });
    t.ok(event.attrs.since !== undefined, 'it has not been answered');
    const naks = world.counter('a', 'rcvd_rnr_err');
    t.ok(event.attrs.totalRnr <= naks, 'no more than the device has counted');
    await pair.sender.stop();
    await pair.receiver.stop();
  });

  await t.test('a link that goes down', async (t) => {
    await world.down('b');
    const event = await rig.event('rdma.async', ({ attrs }) => attrs.event === 'PORT_ERR');
    t.match(event, { attrs: { port: 1 } });
    await world.up('b');
    await rig.event('rdma.async', ({ attrs, ts }) => attrs.event === 'PORT_ACTIVE' && ts > event.ts);
  });
});

t.test('the connection manager', { skip: missing }, async (t) => {
  const world = await createRdmaWorld(t);
  const rig = await startRdma(t);
  const listener = await world.start('b', 'rdma_cm', { role: 'listen' });
  const port = (await listener.ready('listen')).number('port');
  const connector = await world.start('a', 'rdma_cm', { role: 'connect', to: world.b.ipv4, port });
  await connector.ready();
  const of =
    <T extends EventType>(proc: Proc) =>
    ({ pid }: EventOf<T>) =>
      pid === proc.pid;
  const ends = of<'rdma.cm'>(connector);
  // The library makes ESTABLISHED of it, after it has changed the queue pair.
  const answered = await rig.event('rdma.cm', (e) => ends(e) && e.attrs.event === 'CONNECT_RESPONSE');
  t.match(answered, {
    value: 0,
    attrs: { status: 0, local: world.a.ipv4, remote: world.b.ipv4, remotePort: port, device: world.a.device },
  });
  for (const event of ['CONNECT_REQUEST', 'ESTABLISHED'])
    await rig.event('rdma.cm', (e) => of<'rdma.cm'>(listener)(e) && e.attrs.event === event);
  for (const truth of connector.truths('event')) {
    const event = truth.text('event').replace('ESTABLISHED', 'CONNECT_RESPONSE');
    t.ok(
      rig.all('rdma.cm', ends).some(({ attrs }) => attrs.event === event),
      `${event}, as the program has it`,
    );
  }
});

t.test('devices and modules that come, go and get another name', { skip: missing }, async (t) => {
  const first = openScope();
  t.teardown(() => first.close());
  const world = await createRdmaWorld(first);
  const rig = await startRdma(t);
  const { sender, receiver } = await world.pair({ both: { do: 'ping' } });
  const [{ qpn = 0 } = {}] = queuePairs(sender);
  const name = `${world.a.device}x`;
  execFileSync('rdma', ['dev', 'set', world.a.device, 'name', name]);
  const renamed = await rig.event('rdma.qp', ({ entity }) => entity === qpId(name, qpn), ENOUGH_MS);
  t.match(renamed, { pid: sender.pid, attrs: { change: 'seen', state: 'RTS', remote: world.b.ipv4 } });
  t.equal(
    changes(rig, qpId(world.a.device, qpn)).at(-1)?.attrs.change,
    'destroy',
    'it is not under the old one',
  );
  execFileSync('rdma', ['dev', 'set', name, 'name', world.a.device]);
  await rig.event(
    'rdma.qp',
    ({ entity, ts }) => entity === qpId(world.a.device, qpn) && ts > renamed.ts,
    ENOUGH_MS,
  );
  await sender.stop('SIGTERM');
  await receiver.stop('SIGTERM');

  const status = (check: string) => rig.probe.checks().find(({ name }) => name === check)?.status;
  t.equal(status('probe rdma'), 'ok', JSON.stringify(rig.probe.checks()));
  t.equal(status('probe rdma/rxe'), 'ok');
  t.equal(status('probe rdma/cm'), 'ok');
  await first.close();
  await until(() => status('probe rdma/rxe') === 'off', {
    timeoutMs: 10_000,
    what: 'Soft-RoCE to be let go of',
  });
  modprobe('--remove', 'rdma_rxe');
  t.notOk(existsSync('/sys/module/rdma_rxe'), 'the agent does not hold it');
  modprobe('--remove', 'rdma_ucm');
  for (const module of ['ib_uverbs', 'rdma_cm', 'iw_cm', 'ib_cm', 'ib_core'])
    if (existsSync(`/sys/module/${module}`)) modprobe('--remove', module);
  t.notOk(existsSync('/sys/module/ib_core'), 'nor the others, attached as it is');
  await until(() => status('probe rdma') === 'off', { timeoutMs: 10_000, what: 'to see that there is none' });

  const again = await createRdmaWorld(t);
  await until(() => status('probe rdma/rxe') === 'ok', { timeoutMs: 60_000, what: 'to be attached again' });
  const pair = await again.pair({ both: { do: 'ping' } });
  for (const id of idsOf(again, 'a', pair.sender))
    await rig.event('rdma.qp', ({ entity }) => entity === id, ENOUGH_MS);
});
