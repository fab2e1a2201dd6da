/** RDMA faults on Soft-RoCE: each is named by its cause, let go when it is over, and nothing is made of what is none. */
import { existsSync } from 'node:fs';
import t from 'tap';
import { AgentClient } from '../../src/api/client.js';
import type { Diagnosis } from '../../src/diag/diagnosis.js';
import type { WhyAnswer } from '../../src/scene/answer.js';
import { startAgent } from '../lib/agent.js';
import { start } from '../lib/proc.js';
import { createRdmaWorld, gidIndex, listening, queuePairs, rdmaMissing } from '../lib/rdma.js';
import { until } from '../lib/until.js';
import { brief, chainFlaws, untilWhy } from './lib/ask.js';
import { RDMA_FAULTS } from './lib/rdma-faults.js';

const skip = (await rdmaMissing()) ?? false;

t.test('RDMA', { skip }, async (t) => {
  const world = await createRdmaWorld(t);
  const agent = await startAgent(t);

  /** Nothing is wrong with its network. Emulated machines are short of CPU. */
  const isWell = ({ verdict, subScene }: WhyAnswer): boolean =>
    verdict !== 'cause-found' || subScene === 'CpuStarved';
  const well = async (pid: number): Promise<boolean> => isWell(await agent.why(pid));

  for (const fault of RDMA_FAULTS) {
    await t.test(fault.name, async (t) => {
      const { pid, inject, right, heal, recovers } = await fault.prepare(t, world);
      t.teardown(() => world.heal());
      const before = await agent.why(pid);
      t.ok(isWell(before), `nothing is made up before: ${before.summary}`);
      await inject();
      const answer = await untilWhy(agent, pid, right, { what: fault.name, timeoutMs: 5_000 });
      t.same(chainFlaws(answer), [], 'the chain holds');
      t.ok(answer.evidence.length > 0, 'there is evidence');
      await heal();
      if (recovers !== true) return;
      await until(() => well(pid), { timeoutMs: 60_000, what: 'let go', everyMs: 200 });
    });
  }

  await t.test('killed with queue pairs open: it is said of itself', async (t) => {
    const { sender, receiver } = await world.pair({ scope: t, both: { do: 'write', n: 10, retry_cnt: 7 } });
    await sender.ready('step');
    await sender.stop('SIGKILL');
    const answer = await untilWhy(agent, sender.pid, (a) => a.scene === 'ProcessCrash', { what: 'its end' });
    const root = `pid:${sender.pid}`;
    t.match(brief(answer), { subScene: 'Signal', root });
    const waits = await untilWhy(agent, receiver.pid, (a) => brief(a).root === root, {
      what: 'who waits for what it would have written',
    });
    t.same(chainFlaws(waits), []);
  });

  await t.test('a thousand queue pairs, and one path that is gone', async (t) => {
    const both = { do: 'write', n: 1_000, recvs: 1, depth: 64, pace_ms: 1, retry_cnt: 7 };
    const { sender } = await world.pair({ scope: t, both });
    await sender.ready('step');
    await world.lose(100);
    const answer = await untilWhy(agent, sender.pid, (a) => a.subScene === 'PathDown', {
      what: 'one of a thousand',
      timeoutMs: 20_000,
    });
    t.same(chainFlaws(answer), []);
    const own = new Set(queuePairs(sender).map(({ qpn }) => `qp:${world.a.device}/${qpn}`));
    t.ok(
      brief(answer).nodes.some((node) => own.has(node)),
      'by one of its own',
    );
    await world.heal();
  });

  await t.test('ibv_rc_pingpong, which never gives up', async (t) => {
    const port = 18_515;
    const words = (side: 'a' | 'b'): string[] => [
      ...['-d', world[side].device, '-g', String(gidIndex(world[side])), '-n', '1000000', '-p', String(port)],
    ];
    await start(t, 'ibv_rc_pingpong', words('b'));
    await listening(port);
    const before = world.counter('a', 'rdma_sends');
    const client = await start(t, 'ibv_rc_pingpong', [...words('a'), '127.0.0.1']);
    await until(() => world.counter('a', 'rdma_sends') > before + 100, { timeoutMs: 20_000, what: 'pings' });
    await world.lose(100);
    const answer = await untilWhy(agent, client.pid, (a) => a.subScene === 'PathDown', { what: 'the path' });
    t.equal(answer.scene, 'NetworkStall');
    await world.heal();
  });

  await t.test('posts are looked at for as long as somebody asked', async (t) => {
    const client = new AgentClient({ socketPath: agent.socket, timeoutMs: 30_000 });
    const { sender } = await world.pair({ scope: t, both: { do: 'ping', pace_ms: 20 } });
    const stop = new AbortController();
    let posts = 0;
    const reading = client.events({ types: ['rdma.posts'], pid: sender.pid }, stop.signal, async (lines) => {
      posts += lines.length;
    });
    // Asked by `xctl diag` first: it has some seconds of its own, unless a cause is known.
    const seen = await until(
      async () => {
        const { code, stdout } = await agent.xctl('diag', String(sender.pid), '--offline', '-o', 'json');
        const { posts } = JSON.parse(code === 0 ? stdout : '{}') as Partial<Diagnosis>;
        return posts !== undefined && posts !== null && posts.posts > 0 ? posts : undefined;
      },
      { timeoutMs: 90_000, what: 'posts that diag has seen', everyMs: 1_000 },
    );
    t.match(seen, { queuePairs: 1, postedTo: 1, refused: null });
    const begun = await until(() => client.traceVerbs(30).catch(() => undefined), {
      timeoutMs: 20_000,
      what: "the end of diag's spell",
      everyMs: 500,
    });
    t.same(begun, { state: 'begun', seconds: 30 });
    await t.rejects(client.traceVerbs(1), /already/);
    await until(() => posts > 0, { timeoutMs: 10_000, what: 'posts' });
    stop.abort();
    await reading;
  });

  await t.test('decoys', async (t) => {
    const quiet = async (pid: number, what: string): Promise<void> => {
      // Three questions, each of them after a pass of its own.
      for (let asked = 0; asked < 3; asked++) {
        const answer = await agent.why(pid);
        t.ok(isWell(answer), `${what}: ${answer.scene}/${answer.subScene}: ${answer.summary}`);
      }
    };
    // An ACK timer that an emulated machine does not run into by itself.
    const { sender } = await world.pair({ scope: t, both: { do: 'ping', pace_ms: 5, timeout: 17 } });
    const before = world.counter('a', 'completer_retry_err');
    await world.lose(20);
    await until(() => world.counter('a', 'completer_retry_err') > before + 3, {
      timeoutMs: 20_000,
      what: 'retries',
    });
    await world.heal();
    const steps = sender.truths('step').length;
    await until(() => sender.truths('step').length > steps + 1, { timeoutMs: 30_000, what: 'steps' });
    await until(() => well(sender.pid), { timeoutMs: 20_000, what: 'retries that were answered' });
    await quiet(sender.pid, 'retries that were answered');

    const idle = await world.pair({ scope: t, both: { do: 'idle' } });
    await world.lose(100);
    await quiet(idle.sender.pid, 'who has nothing on the way');
    await world.heal();

    const other = await createRdmaWorld(t);
    await other.down('b');
    await quiet(sender.pid, 'a port that it does not use');
  });

  await t.test('the parent is killed, its child keeps the queue pairs', async (t) => {
    const { sender, receiver } = await world.pair({
      scope: t,
      both: { do: 'ping' },
      receiver: { fork: 'outlive' },
    });
    const child = await receiver.ready('child');
    t.teardown(() => existsSync(`/proc/${child.pid}`) && process.kill(child.pid, 'SIGKILL'));
    await sender.ready('step');
    await receiver.stop('SIGKILL');
    const answer = await untilWhy(agent, sender.pid, (a) => brief(a).root === `pid:${receiver.pid}`, {
      what: 'who made the queue pair',
      timeoutMs: 20_000,
    });
    t.same(chainFlaws(answer), []);
    process.kill(child.pid, 'SIGKILL');
  });
});
