/** Faults of GPUs by the double of NVML and by lines of the driver: the process concerned is told, and only it. */
import t from 'tap';
import { start } from '../lib/proc.js';
import { Hopeless, until } from '../lib/until.js';
import { chainFlaws, isWell, untilWhy } from './lib/ask.js';
import { GPU_FAULTS, GpuWorld, prepare } from './lib/gpu-faults.js';

const skip = process.getuid?.() === 0 ? false : 'a kernel log of its own needs root';

t.test('each fault', { skip }, async (t) => {
  const world = await GpuWorld.open(t);
  const { agent } = world;
  for (const fault of GPU_FAULTS) {
    await t.test(fault.name, async (t) => {
      const { pid, inject, right, heal } = await prepare(t, world, fault);
      t.ok(isWell(await agent.why(pid)), 'nothing is wrong before');
      await inject();
      const answer = await untilWhy(agent, pid, right, { what: fault.name });
      t.same(chainFlaws(answer), []);
      t.ok(answer.recommendations.length > 0, 'what to do');
      if (heal === undefined) return;
      heal();
      await untilWhy(agent, pid, isWell, { what: `${fault.name} is over` });
    });
  }
});

t.test('one fault that both tell of is one, and whoever is elsewhere is well', { skip }, async (t) => {
  const world = await GpuWorld.open(t);
  const { agent } = world;
  const victim = await start(t, 'sleep', ['1000']);
  const other = await start(t, 'sleep', ['1000']);
  const gpu = await world.used(victim.pid);
  await world.used(other.pid);
  world.line(gpu, { code: 79, pid: victim.pid, comm: 'sleep' });
  world.event(gpu, 79);
  const answer = await untilWhy(
    agent,
    victim.pid,
    ({ evidence }) => ['error.xid', 'gpu.event'].every((type) => evidence.some((one) => one.type === type)),
    { what: 'both sources as evidence' },
  );
  t.match(answer, { scene: 'GpuError', subScene: 'OffBus', rootCause: { node: `gpu:${gpu}` } });
  t.ok(isWell(await agent.why(other.pid)), 'the other GPU’s process');
  const { findings } = JSON.parse((await agent.xctl('why', '-o', 'json')).stdout) as {
    findings: { scene: string; rootCause: { node: string } }[];
  };
  t.same(
    findings.filter(({ scene }) => scene === 'GpuError').map(({ rootCause }) => rootCause.node),
    [`gpu:${gpu}`],
    'once in what is wrong on this node',
  );
});

t.test('an informational code and a symptom are no causes', { skip }, async (t) => {
  const world = await GpuWorld.open(t);
  const victim = await start(t, 'sleep', ['1000']);
  const gpu = await world.used(victim.pid);
  world.line(gpu, { code: 63 });
  world.line(gpu, { code: 45, pid: victim.pid, comm: 'sleep' });
  const answer = await untilWhy(world.agent, victim.pid, ({ verdict }) => verdict === 'symptom-only', {
    what: 'the symptom',
  });
  t.match(answer, { scene: 'GpuError', rootCause: null, summary: /Xid 45/ });
});

t.test('a GPU whose calls hang: questions wait for it no longer than a moment', { skip }, async (t) => {
  const world = await GpuWorld.open(t);
  const { agent } = world;
  const victim = await start(t, 'sleep', ['1000']);
  const gpu = await world.used(victim.pid);
  world.hang(gpu);
  const state = async (): Promise<unknown> => {
    const graph = JSON.parse((await agent.xctl('graph', '-o', 'json')).stdout) as {
      nodes: { id: string; attrs: { state: unknown } }[];
    };
    return graph.nodes.find(({ id }) => id === `gpu:${gpu}`)?.attrs.state;
  };
  let asked = 0;
  await until(
    async () => {
      asked++;
      const answer = await agent.why(victim.pid);
      // That it does not answer us explains no wait of who gets on.
      if (!isWell(answer)) throw new Hopeless(answer.summary);
      return (await state()) === 'hung';
    },
    { timeoutMs: 30_000, what: 'the GPU to be known to hang' },
  );
  t.ok(asked > 5, `${asked} questions were answered before its deadline was over`);
  world.hang();
  await until(async () => (await state()) === 'ok', { timeoutMs: 30_000, what: 'let go', everyMs: 100 });
});
