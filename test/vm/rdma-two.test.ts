/** RDMA between two machines: whoever is at the other end is elsewhere, and is named by its address. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import type { WhyAnswer } from '../../src/scene/answer.js';
import { brief, chainFlaws, untilWhy } from '../e2e/lib/ask.js';
import { startAgent } from '../lib/agent.js';
import { type Proc, startWorkload } from '../lib/proc.js';
import { counterOf, loadRdma } from '../lib/rdma.js';
import { until } from '../lib/until.js';
import { type Remote, Second } from './second.js';
import { addressOf, hasWires, setUpWires } from './wires.js';

const run = promisify(execFile);

const skip = (await hasWires(1)) ? false : 'no second guest';
const DEVICE = 'rxe0';
const END = { device: DEVICE, port: 1, netdev: 'wire', ipv4: addressOf('wire', 1) };
const LINK = ['link', 'add', DEVICE, 'type', 'rxe', 'netdev', 'wire'] as const;
/** An ACK timer (268 ms) that two emulated machines do not run into by themselves. */
const FOR_EVER = { timeout: 16, retry_cnt: 7, rnr_retry: 7 };
const THERE = addressOf('wire', 2);

type Args = Readonly<Record<string, string | number>>;

t.test('two machines', { skip }, async (t) => {
  await setUpWires(1);
  const second = await Second.connect(t);
  await loadRdma();
  for (const module of ['crc32_generic', 'ib_uverbs', 'rdma_rxe', 'sch_netem'])
    await second.run('modprobe', module);
  await run('rdma', LINK);
  await second.run('rdma', ...LINK);

  const pair = async (both: Args): Promise<{ sender: Proc; receiver: Remote }> => {
    const end = { dev: DEVICE, host: addressOf('control', 2), ...FOR_EVER, ...both };
    const receiver = await second.start('rdma', { role: 'listen', addr: THERE, ...end });
    const port = await receiver.ready('listen', 'port');
    const sender = await startWorkload(t, 'rdma', { role: 'connect', addr: END.ipv4, port, ...end });
    await sender.ready('step');
    return { sender, receiver };
  };
  const lose = async (percent: number): Promise<void> => {
    const words = ['qdisc', 'replace', 'dev', 'wire', 'root', 'netem', 'loss', `${percent}%`];
    await run('tc', words);
    await second.run('tc', ...words);
  };

  await t.test('writes reach the other machine', async (t) => {
    const before = counterOf(END, 'sent_pkts');
    const { sender, receiver } = await pair({ do: 'write' });
    await sender.line(/kind=step step=100$/);
    t.ok(counterOf(END, 'sent_pkts') - before >= 100);
    await sender.stop('SIGTERM');
    receiver.kill('SIGKILL');
  });

  const agent = await startAgent(t);
  const isWell = ({ verdict, subScene }: WhyAnswer): boolean =>
    verdict !== 'cause-found' || subScene === 'CpuStarved';
  const well = async (pid: number): Promise<boolean> => isWell(await agent.why(pid));
  const stalled = async (t: Test, pid: number, what: string, subScene: string): Promise<void> => {
    const answer = await untilWhy(agent, pid, (a) => a.subScene === subScene, { what, timeoutMs: 20_000 });
    t.equal(answer.scene, 'NetworkStall');
    t.ok(JSON.stringify(answer).includes(THERE), `${what}: the peer is named`);
    t.notMatch(brief(answer).root, /^pid:/, 'and no process of this node');
    t.same(chainFlaws(answer), []);
  };

  await t.test('nothing gets through', async (t) => {
    const { sender, receiver } = await pair({ do: 'ping' });
    const answer = await agent.why(sender.pid);
    t.ok(isWell(answer), `well before: ${answer.summary}`);
    const before = counterOf(END, 'completer_retry_err');
    await lose(100);
    await stalled(t, sender.pid, 'blackhole', 'PathDown');
    t.ok(counterOf(END, 'completer_retry_err') > before);
    await lose(0);
    await until(() => well(sender.pid), { timeoutMs: 60_000, what: 'let go', everyMs: 200 });
    await sender.stop();
    receiver.kill('SIGKILL');
  });

  await t.test('the peer is killed', async (t) => {
    // Whoever has been answered and only waits for what comes next cannot tell from here: with writes something is always on its way.
    const { sender, receiver } = await pair({ do: 'write', pace_ms: 5 });
    receiver.kill('SIGKILL');
    await stalled(t, sender.pid, 'killed there', 'PathDown');
    await sender.stop();
  });

  await t.test('the peer is stopped: RNR', async (t) => {
    const { sender, receiver } = await pair({ do: 'stream', pace_ms: 5 });
    receiver.kill('SIGSTOP');
    await stalled(t, sender.pid, 'stopped there', 'PeerSlow');
    receiver.kill('SIGKILL');
    await sender.stop();
  });

  await t.test('the port here goes down', async (t) => {
    const { sender, receiver } = await pair({ do: 'ping' });
    await run('ip', ['link', 'set', 'wire', 'down']);
    const state = (): string => readFileSync(`/sys/class/infiniband/${DEVICE}/ports/1/state`, 'latin1');
    await until(() => /DOWN/.test(state()), { timeoutMs: 5_000, what: 'the port to be down' });
    const root = `rdma:${DEVICE}/1`;
    const answer = await untilWhy(agent, sender.pid, (a) => brief(a).root === root, {
      what: 'the port',
      timeoutMs: 20_000,
    });
    t.same(chainFlaws(answer), []);
    await sender.stop();
    receiver.kill('SIGKILL');
  });
});
