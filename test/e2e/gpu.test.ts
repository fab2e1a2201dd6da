/** The agent on a node with GPUs that all hang, with none, and without BPF: it starts, answers and ends as ever. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Check } from '../../src/api/contract.js';
import { startAgent } from '../lib/agent.js';
import { start } from '../lib/proc.js';
import { until } from '../lib/until.js';
import { nvmlDouble } from '../nvml/double/library.js';
import { Scenario } from '../nvml/double/scenario.js';

t.test('every call of NVML hangs: why answers, doctor says so, the agent ends', async (t) => {
  const scenario = new Scenario(t);
  const library = await nvmlDouble();
  const agent = await startAgent(t, {
    args: ['--probes', 'process,waits,gpu', '--nvml', library],
    env: { XCTL_NVML_SCENARIO: scenario.path },
  });
  const sleeper = await start(t, 'sleep', ['1000']);
  const doctor = async (): Promise<string> => (await agent.xctl('doctor')).stdout.replaceAll(/\s+/g, ' ');
  t.match(await doctor(), /ok probe gpu 8 GPUs, driver 550\.90\.07 ok probe gpu\/events of 8 GPUs/);
  t.match(await agent.why(sleeper.pid), { target: { pid: sleeper.pid } });

  scenario.set({ hang: [[-1, '*']] });
  await until(async () => /no call comes back: the driver hangs/.test(await doctor()), {
    timeoutMs: 30_000,
    what: 'hung GPUs',
    everyMs: 200,
  });
  const asked = performance.now();
  t.match(await agent.why(sleeper.pid), { target: { pid: sleeper.pid } });
  t.ok(performance.now() - asked < 1_000, `why took ${Math.round(performance.now() - asked)} ms`);
  const told = performance.now();
  process.kill(agent.pid, 'SIGTERM');
  const exit = await agent.proc.exited;
  t.same(exit, { code: 0, signal: null });
  t.ok(performance.now() - told < 2_000, 'it ends though calls are under way');
});

t.test('no NVML: nothing is said of it but in doctor', async (t) => {
  const agent = await startAgent(t, { args: ['--probes', 'gpu', '--nvml', 'libnvidia-ml.so.404'] });
  t.match((await agent.xctl('doctor')).stdout, /off\s+probe gpu\s+no libnvidia-ml\.so\.1 here/);
  t.same(
    agent.log().filter(({ level }) => level === 'warn' || level === 'error'),
    [],
  );
});

t.test('without BPF the GPUs and the kernel log are watched all the same', async (t) => {
  const scenario = new Scenario(t);
  const agent = await startAgent(t, {
    wrap: ['setpriv', '--bounding-set=-bpf,-sys_admin'],
    args: ['--nvml', await nvmlDouble(), '--record', join(t.testdir(), 'recording')],
    env: { XCTL_NVML_SCENARIO: scenario.path },
  });
  const { checks } = JSON.parse((await agent.xctl('doctor', '-o', 'json')).stdout) as { checks: Check[] };
  const status = (name: string) => checks.find((check) => check.name === name)?.status;
  t.same(
    ['kernel', 'probe process', 'probe tcp', 'probe waits', 'probe block'].map(status),
    Array(5).fill('failed'),
  );
  t.same(['probe gpu', 'probe kmsg', 'probe filesystem'].map(status), ['ok', 'ok', 'ok']);
  t.equal(agent.log().filter(({ msg }) => msg === 'no BPF program can run').length, 1, 'said once');
  const recorded = (): string => readFileSync(join(t.testdirName, 'recording'), 'utf8');
  scenario.set({ events: [[1, 5, 8, 79]] });
  await until(() => /"type":"gpu.event".*"entity":"gpu:5"/.test(recorded()), {
    timeoutMs: 20_000,
    what: 'an XID of a GPU',
  });
  t.equal((await agent.xctl('why')).code, 5, 'of processes nothing is known');
});

t.test('only probes without BPF asked for: none is opened, and nothing is wrong', async (t) => {
  const scenario = new Scenario(t);
  const agent = await startAgent(t, {
    wrap: ['setpriv', '--bounding-set=-bpf,-sys_admin'],
    args: ['--probes', 'gpu,kmsg', '--nvml', await nvmlDouble()],
    env: { XCTL_NVML_SCENARIO: scenario.path },
  });
  t.match((await agent.xctl('doctor')).stdout, /off\s+kernel\s+no probe that needs BPF was asked for/);
  t.same(
    agent.log().filter(({ level }) => level === 'warn' || level === 'error'),
    [],
  );
});
