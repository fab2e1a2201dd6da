/** An idle GPU names the guilty: the process that holds it, its thread, and the chain that the thread waits in. */
import t from 'tap';
import type { WhyAnswer } from '../../src/scene/answer.js';
import { until } from '../lib/until.js';
import { untilWhy } from './lib/ask.js';
import { IDLE_CASES, idleFlaws, type OneGpu, oneGpu } from './lib/gpu-idle.js';

/** The others take longer, and are the benchmark's (bench/gpu-idle.ts). */
const FAST = [
  'stopped by a signal',
  'a stopped worker',
  'a unix socket whose peer is silent',
  'a deadlock of two threads',
  'a worker that has died',
  'connections that are refused again and again',
  'a sleep by design',
  'a path that drops what is sent',
];

let gpu: OneGpu;

t.before(async () => {
  gpu = await oneGpu(t);
});

for (const name of FAST) {
  const one = IDLE_CASES.find((known) => known.name === name);
  if (one === undefined) throw new Error(`no case ${name}`);
  const missing = await one.missing();
  t.test(name, missing === undefined ? {} : { skip: missing }, async (t) => {
    const idle = await one.prepare(t);
    gpu.works(idle.pid);
    const works = (a: WhyAnswer): boolean =>
      /gpu:0 works \(80 %\)/.test(a.summary) || a.verdict === 'cause-found';
    await untilWhy(gpu.agent, idle.pid, works, { what: 'the GPU works' });
    await idle.inject?.();
    gpu.idles(idle.pid);
    const right = (a: WhyAnswer): boolean => idleFlaws(a, idle).length === 0;
    const answer = await untilWhy(gpu.agent, idle.pid, right, { what: name, timeoutMs: 20_000 });
    t.same(idleFlaws(answer, idle), []);
  });
}

t.test('the list of what is wrong tells of the GPU, from the process that holds it', async (t) => {
  const one = IDLE_CASES.find(({ name }) => name === 'a stopped worker');
  if (one === undefined) throw new Error('no such case');
  const idle = await one.prepare(t);
  gpu.idles(idle.pid);
  const root = idle.expect().path.at(-1);
  const told = await until(
    async () => {
      const { stdout } = await gpu.agent.xctl('why', '-o', 'json');
      const { findings } = JSON.parse(stdout) as { findings: WhyAnswer[] };
      return findings.find((a) => a.rootCause?.node === root && a.summary.startsWith('GPU 0 idle for '));
    },
    { timeoutMs: 20_000, what: 'the idle GPU in the list', everyMs: 100 },
  );
  t.equal(
    told.target.pid,
    idle.pid,
    'told from the process with the GPU, not from the one nearest to the cause',
  );
});
