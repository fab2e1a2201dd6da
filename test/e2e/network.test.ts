/** Network faults between two hosts of one machine: what `xctl why` says of both ends, and when it lets go. */
import t from 'tap';
import { type Agent, startAgent } from '../lib/agent.js';
import type { WhyAnswer } from '../../src/scene/answer.js';
import type { Proc, StartOptions, Truth } from '../lib/proc.js';
import { until } from '../lib/until.js';
import { createWorld, type World } from '../lib/world.js';
import type { Scope } from '../lib/scope.js';
import { brief, isWell, chainFlaws, startE2e, untilWhy } from './lib/ask.js';
import { streamEvents } from './lib/event-stream.js';

let agent: Agent;

t.before(async () => {
  agent = await startAgent(t);
});

/** `flow:…` of a connection as the workload printed it: from its own end, or as the other end sees it. */
function flowOf(conn: Truth, end: 'own' | 'other' = 'own'): string {
  const [local, remote] = [conn.text('local'), conn.text('remote')];
  return end === 'own' ? `flow:${local}-${remote}` : `flow:${remote}-${local}`;
}

interface Training {
  readonly world: World;
  readonly host: string;
  readonly port: number;
  readonly peer: Proc;
  readonly trainer: Proc;
  /** The gradient connection as the trainer sees it. */
  readonly flow: string;
  readonly reverse: string;
}

async function train(scope: Scope, family: 4 | 6 = 4): Promise<Training> {
  const world = await createWorld(scope);
  const host = family === 4 ? world.b.ipv4 : world.b.ipv6;
  const peer = await world.start('b', 'trainer', { role: 'peer', host });
  const port = (await peer.ready('listen')).number('port');
  const trainer = await world.start('a', 'trainer', { host, port });
  const conn = await trainer.ready('connected');
  await trainer.line(/kind=step step=100$/);
  return { world, host, port, peer, trainer, flow: flowOf(conn), reverse: flowOf(conn, 'other') };
}

for (const family of [4, 6] as const) {
  t.test(
    `IPv${family}: dropped packets are named with their flow, and the verdict goes with them`,
    async (t) => {
      const { world, trainer, flow, reverse, peer } = await train(t, family);
      await untilWhy(agent, trainer.pid, isWell, { what: 'healthy before' });
      await world.drop();
      const answer = await untilWhy(agent, trainer.pid, (a) => a.verdict === 'cause-found', {
        what: 'the drop',
      });
      t.match(brief(answer), { scene: 'NetworkStall', subScene: 'PathDown', rootType: 'flow' });
      t.ok([flow, reverse].includes(answer.rootCause?.node ?? ''), `${answer.rootCause?.node} is the flow`);
      t.same(chainFlaws(answer), []);
      t.equal(brief(answer).nodes[0], `pid:${trainer.pid}`);
      const theirs = await untilWhy(agent, peer.pid, (a) => a.verdict === 'cause-found', {
        what: 'the drop, from the peer',
      });
      t.match(brief(theirs), { scene: 'NetworkStall', subScene: 'PathDown' });
      t.ok([flow, reverse].includes(theirs.rootCause?.node ?? ''), `${theirs.rootCause?.node} is the flow`);

      await world.undrop();
      await untilWhy(agent, trainer.pid, isWell, {
        what: 'healthy again',
        timeoutMs: 20_000,
      });
      await untilWhy(agent, peer.pid, isWell, { what: 'the peer, healthy again' });
      const { stdout } = await agent.xctl('why', '-o', 'json');
      const { findings } = JSON.parse(stdout) as { findings: WhyAnswer[] };
      t.notOk(
        findings.some((one) => one.target.pid === trainer.pid || one.rootCause?.node === flow),
        'nothing of it is left in the list',
      );
    },
  );
}

t.test('30 % loss slows: the flow or nothing is named, never a process', async (t) => {
  const { world, trainer, flow, reverse } = await train(t);
  await world.drop({ percent: 30 });
  const answers: WhyAnswer[] = [];
  await until(
    async () => {
      const answer = await agent.why(trainer.pid);
      answers.push(answer);
      return answer.verdict === 'cause-found';
    },
    { timeoutMs: 30_000, what: 'the loss to be named', everyMs: 50 },
  );
  for (let i = 0; i < 6; i++) answers.push(await agent.why(trainer.pid));
  for (const answer of answers) {
    const { verdict, scene, root } = brief(answer);
    t.not(verdict, 'unknown', answer.summary);
    if (verdict !== 'cause-found') continue;
    t.match(scene, /^Network(Drop|Stall)$/, answer.summary);
    t.ok(root === flow || root === reverse, `${root}: ${answer.summary}`);
  }
});

t.test(
  'a connect that nobody answers is the cause while it lasts, and an event when it gives up',
  async (t) => {
    const world = await createWorld(t);
    const server = await world.start('b', 'tcp_server', { host: world.b.ipv4 });
    const port = (await server.ready('listen')).number('port');
    await world.drop({ at: 'b', port });
    const stream = await streamEvents(t, agent, 'transport,wait.pass');
    // One retry: it gives up after three seconds instead of after two minutes.
    const wrap = ['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/tcp_syn_retries; exec "$0" "$@"'];
    const options: StartOptions = { wrap };
    const client = await world.start('a', 'tcp_client', { host: world.b.ipv4, port }, options);
    const answer = await untilWhy(agent, client.pid, (a) => a.verdict === 'cause-found', { what: 'connect' });
    t.match(brief(answer), { scene: 'NetworkStall', subScene: 'PathDown', rootType: 'flow' });
    t.ok(
      answer.rootCause?.node.endsWith(`-${world.b.ipv4}:${port}`),
      'with the address that does not answer',
    );
    t.match(answer.summary, 'SYN');
    const failed = await stream.find(
      (event) =>
        event.type === 'transport.connect_failed' && event.entity.endsWith(`-${world.b.ipv4}:${port}`),
      'the connect failed',
    );
    t.match(failed, { pid: client.pid, attrs: { errno: 'ETIMEDOUT' } });
    t.equal((await client.exited).code, 99);
    const after = await agent.why(client.pid);
    t.match(brief(after), { scene: 'ProcessCrash', subScene: 'ExitCode', root: `pid:${client.pid}` });
  },
);

t.test('a stopped peer is no network fault', async (t) => {
  const { trainer, peer } = await train(t);
  peer.kill('SIGSTOP');
  const answer = await untilWhy(agent, trainer.pid, (a) => a.verdict === 'cause-found', {
    what: 'stopped peer',
  });
  t.match(brief(answer), { scene: 'ProcessBlocked', subScene: 'Stopped', root: `pid:${peer.pid}` });
  t.same(chainFlaws(answer), []);
  peer.kill('SIGCONT');
  await untilWhy(agent, trainer.pid, isWell, { what: 'healthy after SIGCONT' });
});

t.test('a listener that is stopped before it accepts is named', async (t) => {
  const world = await createWorld(t);
  const server = await world.start('b', 'tcp_server', { host: world.b.ipv4, do: 'echo' });
  const port = (await server.ready('listen')).number('port');
  server.kill('SIGSTOP');
  const client = await world.start('a', 'tcp_client', { host: world.b.ipv4, port, do: 'pingpong', size: 64 });
  await client.ready('conn');
  const answer = await untilWhy(agent, client.pid, (a) => a.verdict === 'cause-found', {
    what: 'stopped listener',
  });
  t.match(brief(answer), { scene: 'ProcessBlocked', subScene: 'Stopped', root: `pid:${server.pid}` });
  t.same(chainFlaws(answer), []);
  t.match(answer.chain.at(-1)?.note, /has not accepted the connection yet/);
});

t.test('a reader that does not read closes the window: the reader is named', async (t) => {
  const world = await createWorld(t);
  const server = await world.start('b', 'tcp_server', { host: world.b.ipv4, do: 'slow' });
  const port = (await server.ready('listen')).number('port');
  const client = await world.start('a', 'tcp_client', { host: world.b.ipv4, port });
  const flow = flowOf(await client.ready('conn'));
  const answer = await untilWhy(agent, client.pid, (a) => a.verdict === 'cause-found', {
    what: 'zero window',
  });
  t.match(brief(answer), { scene: 'NetworkStall', subScene: 'ZeroWindow' });
  t.same(brief(answer).nodes, [`pid:${client.pid}`, flow, `pid:${server.pid}`]);
  t.match(answer.summary, String(server.pid));
  server.kill('SIGSTOP');
  const stopped = await untilWhy(agent, client.pid, (a) => a.subScene === 'Stopped', {
    what: 'stopped reader',
  });
  t.match(brief(stopped), { scene: 'ProcessBlocked', root: `pid:${server.pid}` });
});

t.test('a peer that was killed: both ends say how they ended', async (t) => {
  const { trainer, peer } = await train(t);
  peer.kill('SIGKILL');
  t.equal((await trainer.exited).code, 99);
  const theirs = await agent.why(peer.pid);
  t.match(brief(theirs), { scene: 'ProcessCrash', subScene: 'Signal', root: `pid:${peer.pid}` });
  t.match(theirs.summary, 'SIGKILL');
  const ours = await agent.why(trainer.pid);
  t.equal(ours.target.state, 'exited');
  t.match(brief(ours), { scene: 'ProcessCrash', subScene: 'ExitCode', root: `pid:${trainer.pid}` });
});

t.test('a flow in trouble on which nobody waits is no cause', async (t) => {
  const world = await createWorld(t);
  const host = world.b.ipv4;
  const echo = await world.start('b', 'tcp_server', { host, do: 'echo' });
  const sink = await world.start('b', 'tcp_server', { host });
  const port = (await echo.ready('listen')).number('port');
  const port2 = (await sink.ready('listen')).number('port');
  const both = await startE2e(t, 'two_flows', { host, port, port2 }, { netns: world.a.netns });
  const decoy = flowOf(await both.ready('second'));
  await both.ready();
  await world.drop({ port: port2 });
  await until(async () => (await troubleOf(decoy)) === 'timeout', {
    timeoutMs: 10_000,
    what: 'the decoy to time out',
  });
  for (let i = 0; i < 4; i++) {
    const answer = await agent.why(both.pid);
    t.ok(isWell(answer), answer.summary);
  }
  echo.kill('SIGSTOP');
  const answer = await untilWhy(agent, both.pid, (a) => a.verdict === 'cause-found', {
    what: 'the real cause',
  });
  t.match(brief(answer), { subScene: 'Stopped', root: `pid:${echo.pid}` });
  t.equal(await troubleOf(decoy), 'timeout', 'the decoy was still there');
  t.notOk(brief(answer).nodes.includes(decoy));
});

async function troubleOf(flow: string): Promise<unknown> {
  const { stdout } = await agent.xctl('graph', '-o', 'json');
  const { nodes } = JSON.parse(stdout) as { nodes: { id: string; attrs: Record<string, unknown> }[] };
  return nodes.find((node) => node.id === flow)?.attrs.trouble;
}

for (const family of [4, 6] as const) {
  t.test(`IPv${family}: a pure receiver is explained by its sender's end`, async (t) => {
    const world = await createWorld(t);
    const host = family === 4 ? world.b.ipv4 : world.b.ipv6;
    const source = await world.start('b', 'tcp_server', { host, do: 'source', rate: 50_000 });
    const port = (await source.ready('listen')).number('port');
    const client = await world.start('a', 'tcp_client', { host, port, do: 'recv' });
    const conn = await client.ready('conn');
    await world.drop({ at: 'a', port });
    const answer = await untilWhy(agent, client.pid, (a) => a.verdict === 'cause-found', {
      what: 'the sender',
    });
    t.match(brief(answer), { scene: 'NetworkStall', subScene: 'PathDown', root: flowOf(conn, 'other') });
    t.same(brief(answer).nodes, [
      `pid:${client.pid}`,
      flowOf(conn),
      `pid:${source.pid}`,
      flowOf(conn, 'other'),
    ]);
    t.same(chainFlaws(answer), []);
    await world.undrop();
    await untilWhy(agent, client.pid, isWell, {
      what: 'healthy again',
      timeoutMs: 20_000,
    });
  });
}
