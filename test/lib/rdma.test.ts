/** The RDMA world itself: packets go over the wire and are lost there, ports go down, workloads' truths hold. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { openScope } from './scope.js';
import { createRdmaWorld, queuePairs, type RdmaEnd, rdmaMissing } from './rdma.js';
import { until } from './until.js';

const skip = (await rdmaMissing()) ?? false;

/** ibv_wc_status */
const RETRY_EXC_ERR = 12;
const RNR_RETRY_EXC_ERR = 13;

function state({ device, port }: RdmaEnd): string {
  return readFileSync(`/sys/class/infiniband/${device}/ports/${port}/state`, 'latin1').trim();
}

function sent({ netdev }: RdmaEnd): number {
  return Number(readFileSync(`/sys/class/net/${netdev}/statistics/tx_packets`, 'latin1'));
}

t.test('with devices', { skip }, async (t) => {
  const world = await createRdmaWorld(t);

  await t.test('messages go over the wire, both ways', async (t) => {
    const before = { a: sent(world.a), b: sent(world.b) };
    const { sender, receiver } = await world.pair({ both: { do: 'ping' } });
    await sender.line(/kind=step step=100$/);
    t.ok(sent(world.a) - before.a >= 100, 'pings');
    t.ok(sent(world.b) - before.b >= 100, 'answers');
    const [one] = queuePairs(sender);
    const [other] = queuePairs(receiver);
    t.same([one?.qpn, one?.peer], [other?.peer, other?.qpn]);
    t.equal((await sender.stop('SIGTERM')).code, 0);
    t.equal((await receiver.stop('SIGTERM')).code, 0);
  });

  await t.test('loss makes it send again, and it gets on', async (t) => {
    const { sender, receiver } = await world.pair({ both: { do: 'ping', timeout: 10 } });
    await sender.ready('step');
    const before = world.counter('a', 'completer_retry_err');
    await world.lose(10);
    await until(() => world.counter('a', 'completer_retry_err') > before + 5, {
      timeoutMs: 10_000,
      what: 'retries',
    });
    await world.heal();
    const steps = sender.truths('step').length;
    await until(() => sender.truths('step').length > steps + 1, { timeoutMs: 20_000, what: 'steps' });
    t.same([sender.truths('error'), receiver.truths('error')], [[], []]);
    await sender.stop();
    await receiver.stop();
  });

  await t.test('nothing gets through: it gives up after its retries', async (t) => {
    const { sender, receiver } = await world.pair({ both: { do: 'write', timeout: 12, retry_cnt: 3 } });
    await sender.ready('step');
    await world.lose(100);
    t.equal((await sender.ready('error')).number('status'), RETRY_EXC_ERR);
    await world.heal();
    await sender.stop();
    await receiver.stop();
  });

  await t.test('a receiver that posts nothing: RNR', async (t) => {
    const before = world.counter('a', 'rcvd_rnr_err');
    const both = { do: 'stream', rnr_retry: 3 };
    const { sender, receiver } = await world.pair({ both, receiver: { recvs: 0, wait: 'sleep' } });
    t.equal((await sender.ready('error')).number('status'), RNR_RETRY_EXC_ERR);
    t.ok(world.counter('a', 'rcvd_rnr_err') > before);
    await sender.stop();
    await receiver.stop();
  });

  await t.test('a port goes down and comes back', async (t) => {
    const { sender, receiver } = await world.pair({ both: { do: 'ping', pace_ms: 1 } });
    await sender.ready('step');
    await world.down('b');
    await until(() => /DOWN/.test(state(world.a)) && /DOWN/.test(state(world.b)), {
      timeoutMs: 5_000,
      what: 'both ports to be down',
    });
    await world.up('b');
    const steps = sender.truths('step').length;
    await until(() => sender.truths('step').length > steps + 1, { timeoutMs: 30_000, what: 'steps' });
    t.same(receiver.truths('error'), []);
    await sender.stop();
    await receiver.stop();
  });

  await t.test('a child keeps the queue pairs of a parent that was killed', async (t) => {
    const { sender, receiver } = await world.pair({ both: { do: 'write' }, receiver: { fork: 'outlive' } });
    const child = await receiver.ready('child');
    t.teardown(() => existsSync(`/proc/${child.pid}`) && process.kill(child.pid, 'SIGKILL'));
    await receiver.stop('SIGKILL');
    const steps = sender.truths('step').length;
    await until(() => sender.truths('step').length > steps + 1, { timeoutMs: 20_000, what: 'steps' });
    t.ok(existsSync(`/proc/${child.pid}`));
    process.kill(child.pid, 'SIGKILL');
    await sender.stop();
  });

  await t.test('a thousand queue pairs', async (t) => {
    const both = { do: 'write', n: 1_000, recvs: 1, depth: 1 };
    const { sender, receiver } = await world.pair({ both });
    await sender.line(/kind=step step=1000$/, 60_000);
    t.equal(new Set(queuePairs(sender).map(({ qpn }) => qpn)).size, 1_000);
    await sender.stop();
    await receiver.stop();
  });

  await t.test('made and destroyed again, and what is not allowed refused', async (t) => {
    const churn = await world.start('a', 'rdma_churn', { n: 20, refuse: 1 });
    await churn.ready();
    t.equal(churn.truths('gone').length, 20);
    for (const truth of churn.truths('gone')) t.ok(truth.number('gone') > truth.number('born'));
    await churn.stop();
  });

  await t.test('the connection manager connects, disconnects and refuses', async (t) => {
    const meet = async (more: Readonly<Record<string, number>>) => {
      const server = await world.start('b', 'rdma_cm', { role: 'listen', ...more });
      const port = (await server.ready('listen')).number('port');
      const client = await world.start('a', 'rdma_cm', { role: 'connect', to: world.b.ipv4, port });
      await client.ready();
      await server.ready();
      return { server, client };
    };
    const events = (proc: { truths(kind: string): readonly { text(field: string): string }[] }): string[] =>
      proc.truths('event').map((truth) => truth.text('event'));
    const first = await meet({});
    t.same(events(first.client), ['ADDR_RESOLVED', 'ROUTE_RESOLVED', 'ESTABLISHED']);
    first.client.kill('SIGUSR1');
    await first.server.line(/event=DISCONNECTED/);
    const second = await meet({ reject: 1 });
    t.equal(events(second.client).at(-1), 'REJECTED');
    for (const proc of [first.client, first.server, second.client, second.server]) await proc.stop();
  });
});

t.test('a closed scope leaves no device, no interface and no rule', { skip }, async (t) => {
  const rules = (): string =>
    readdirSync('/sys/class/net').concat(readdirSync('/sys/class/infiniband')).join(' ');
  const scope = openScope();
  const world = await createRdmaWorld(scope);
  const { sender } = await world.pair();
  await sender.ready('step');
  t.match(rules(), world.a.device);
  await scope.close();
  t.notMatch(rules(), world.a.device);
  t.notMatch(rules(), world.a.netdev);
});
