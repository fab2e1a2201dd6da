/** The whole agent with `--gpu-trace`: the waiting peer's `why` leads to the rank that is behind, and to why it is. */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { startAgent } from '../lib/agent.js';
import { workload } from '../lib/cc.js';
import { start } from '../lib/proc.js';
import { until } from '../lib/until.js';
import { doubles } from '../nccl/doubles.js';

t.test('rank 1 stops enqueueing in a read: rank 0 spins, and is told for whom', async (t) => {
  const { dir, nccl, cuda } = await doubles(t);
  // By this name it is a launcher, and its children are of a job.
  const launcher = join(dir, 'torchrun');
  copyFileSync(await workload('ranks', 'test/nccl/ranks.c'), launcher);
  const agent = await startAgent(t, { args: ['--probes', 'process,waits', '--gpu-trace'] });
  const doctor = async (): Promise<string> => (await agent.xctl('doctor')).stdout.replaceAll(/\s+/g, ' ');
  t.match(await doctor(), /probe gpu-trace /);
  const proc = await start(t, launcher, [
    `nccl=${nccl}`,
    `cuda=${cuda}`,
    'n=2',
    'do=load,wait,init,allreduce:5,sync',
    'do1=load,wait,init,allreduce:4,read',
  ]);
  const ranks = await until(
    () => {
      const found = proc.truths('wait').sort((a, b) => a.number('rank') - b.number('rank'));
      return found.length === 2 ? found : undefined;
    },
    { timeoutMs: 10_000, what: 'both ranks' },
  );
  const [zero, one] = ranks.map(({ pid }) => pid);
  if (zero === undefined || one === undefined) throw new Error('no ranks');
  await until(async () => /gpu-trace 2 libraries/.test(await doctor()), {
    timeoutMs: 30_000,
    what: 'probes in both libraries',
    everyMs: 200,
  });
  process.kill(zero, 'SIGUSR1');
  process.kill(one, 'SIGUSR1');
  await proc.ready('sync');
  await proc.ready('read');
  const answer = await until(
    async () => {
      const said = await agent.why(zero);
      // Whoever spins beside other tests is starved of CPU for a while, which is true as well.
      return said.verdict === 'cause-found' && said.subScene !== 'CpuStarved' ? said : undefined;
    },
    { timeoutMs: 30_000, what: 'a cause', everyMs: 200 },
  );
  const links = answer.chain.map(({ from, edge, to }) => `${from} ${edge} ${to}`);
  t.match(links[0], new RegExp(`^pid:${zero} WaitsOn comm:[0-9a-f]{16}$`));
  t.match(links[1], new RegExp(`^comm:[0-9a-f]{16} BlockedBy pid:${one}$`));
  t.match(answer.chain[0]?.note, /is in cuStreamSynchronize, as rank 0/);
  t.match(answer.chain[1]?.note, /rank 1 has enqueued 4 collectives, rank 0 5/);
  t.match(JSON.stringify(answer), /pipe/, 'what that one waits for');
  t.match(await doctor(), /gpu-trace\/cost/);

  process.kill(agent.pid, 'SIGTERM');
  t.same(
    await agent.proc.exited,
    { code: 0, signal: null },
    'probes are out in time: after its deadline it ends with 1',
  );
  t.ok(proc.running, 'and nobody minded');
});
