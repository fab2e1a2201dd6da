/** A real agent, and NVML that hangs in one call or raises ten thousand XIDs: everything else goes on as before. */
import t, { type Test } from 'tap';
import { type Agent, startAgent } from '../lib/agent.js';
import { start, startWorkload } from '../lib/proc.js';
import { nvmlDouble } from '../nvml/double/library.js';
import { Scenario } from '../nvml/double/scenario.js';
import { brief, isWell, untilWhy } from './lib/ask.js';
import { type EventStream, streamEvents } from './lib/event-stream.js';

const NONE = 0xffff_ffff;
const XID = 8;

interface Node {
  readonly agent: Agent;
  readonly scenario: Scenario;
  readonly stream: EventStream;
}

async function node(t: Test): Promise<Node> {
  const scenario = new Scenario(t);
  const agent = await startAgent(t, {
    args: ['--nvml', await nvmlDouble()],
    env: { XCTL_NVML_SCENARIO: scenario.path },
  });
  const stream = await streamEvents(t, agent, 'gpu,wait,process,storage');
  await stream.find(({ type }) => type === 'gpu.use', 'a look at a GPU');
  return { agent, scenario, stream };
}

/** Of each of these probes an event that comes from now on. */
async function othersGoOn(t: Test, { stream }: Node, gpus: readonly string[]): Promise<void> {
  const from = stream.events().length;
  const later = (fits: (event: { type: string; entity: string; pid?: number }) => boolean) =>
    stream.find((event) => stream.events().indexOf(event) >= from && fits(event), 'one more', 20_000);
  const short = await start(t, 'true', []);
  await later((e) => e.type === 'process.exit' && e.entity === `pid:${short.pid}`);
  await later((e) => e.type === 'wait.pass');
  for (const gpu of gpus) await later((e) => e.type === 'gpu.use' && e.entity === gpu);
}

/** A process that gets stuck now is explained as ever. */
async function whyAnswers(t: Test, agent: Agent, name: string): Promise<void> {
  const sleeper = await start(t, 'sleep', ['1000']);
  t.ok(isWell(await untilWhy(agent, sleeper.pid, isWell, { what: 'nothing wrong' })), `${name}: a sleeper`);
  const deadlock = await startWorkload(t, 'deadlock', { mode: 'threads' });
  await deadlock.ready();
  const answer = await untilWhy(agent, deadlock.pid, (a) => a.subScene === 'Deadlock', { what: name });
  t.match(brief(answer), { verdict: 'cause-found', scene: 'ProcessBlocked' }, `${name}: a deadlock`);
}

t.test('one call of one GPU hangs: the other probes, the other GPUs and why go on', async (t) => {
  const here = await node(t);
  here.scenario.set({ hang: [[3, 'nvmlDeviceGetClockInfo']] });
  const hung = await here.stream.find(
    (e) => e.type === 'gpu.state' && e.entity === 'gpu:3',
    'a hung GPU',
    30_000,
  );
  t.match(hung.attrs, { state: 'hung', call: 'nvmlDeviceGetClockInfo', scope: 'gpu' });
  await othersGoOn(t, here, ['gpu:0', 'gpu:1', 'gpu:2', 'gpu:4', 'gpu:5', 'gpu:6', 'gpu:7']);
  await whyAnswers(t, here.agent, 'hung');
  t.equal(
    here.stream.events().filter((e) => e.type === 'gpu.use' && e.ts > hung.ts && e.entity === 'gpu:3').length,
    0,
  );

  here.scenario.set({});
  const back = await here.stream.find(
    (e) => e.type === 'gpu.state' && e.entity === 'gpu:3' && e.attrs.state === 'ok',
    'the GPU again',
    30_000,
  );
  t.match(back.attrs, { was: 'hung' });
  await othersGoOn(t, here, ['gpu:3']);
});

t.test('10,000 XIDs: the agent lives, the other GPU is heard, and why goes on', async (t) => {
  const here = await node(t);
  here.scenario.set({
    events: [
      [1, 3, XID, 31, NONE, NONE, 10_000],
      [2, 1, XID, 79],
    ],
  });
  await here.stream.find((e) => e.type === 'gpu.event' && e.entity === 'gpu:3', 'the flood');
  await whyAnswers(t, here.agent, 'flood');
  const last = await here.stream.find(
    (e) => e.type === 'gpu.event' && e.entity === 'gpu:1',
    'the other GPU',
    30_000,
  );
  t.match(last.attrs, { kind: 'xid', xid: 79 });
  const flood = here.stream.events().filter((e) => e.type === 'gpu.event' && e.entity === 'gpu:3');
  t.ok(flood.length <= 8, `${flood.length} events of 10,000`);
  await othersGoOn(t, here, ['gpu:3']);
  const doctor = (await here.agent.xctl('doctor')).stdout.replaceAll(/\s+/g, ' ');
  t.match(doctor, /ok probe gpu 8 GPUs/);
});
