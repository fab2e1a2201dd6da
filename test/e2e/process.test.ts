/** How processes end and whose they are: real exits, signals, cores and OOM kills, and what of an environment stays. */
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { ProcessRow } from '../../src/api/contract.js';
import type { WhyAnswer } from '../../src/scene/answer.js';
import { type Agent, startAgent, xctl } from '../lib/agent.js';
import { workload } from '../lib/cc.js';
import { OWN_PREFIX } from '../lib/owner.js';
import { start, startWorkload } from '../lib/proc.js';
import { until } from '../lib/until.js';
import { brief, chainFlaws, startE2e } from './lib/ask.js';
import { makeGroup } from '../lib/cgroup.js';
import { type EventStream, streamEvents } from './lib/event-stream.js';
import { scratch } from './lib/raw-agent.js';

const SECRET = 'hunter2-tr0ub4dor-and-3';
/** Not part of the environment of the workload below, and must not be found with it. */
const SECRETS = {
  API_TOKEN: SECRET,
  RANK_SECRET: SECRET,
  SLURM_JOB_ID_KEY: SECRET,
  AWS_SECRET_ACCESS_KEY: SECRET,
};

let agent: Agent;
let stream: EventStream;
let recording: string;

t.before(async () => {
  recording = join(scratch(t), 'recording.jsonl');
  agent = await startAgent(t, { args: ['--record', recording] });
  stream = await streamEvents(t, agent, 'process,wait,transport');
});

interface Ending {
  readonly args: Readonly<Record<string, string | number>>;
  readonly subScene: string;
  readonly summary: RegExp;
}

const ENDINGS: readonly Ending[] = [
  { args: { code: 3 }, subScene: 'ExitCode', summary: /exited with code 3$/ },
  { args: { code: 137 }, subScene: 'ExitCode', summary: /exited with code 137 \(.*signal 9\)$/ },
  { args: { signal: 9 }, subScene: 'Signal', summary: /killed by SIGKILL \(signal 9\)$/ },
  { args: { signal: 11 }, subScene: 'Signal', summary: /killed by SIGSEGV \(signal 11\)$/ },
  { args: { signal: 15 }, subScene: 'Signal', summary: /killed by SIGTERM \(signal 15\)$/ },
];

/** Asked live, and asked again of the recording: the two must agree. */
const asked: { readonly pid: number; readonly live: WhyAnswer }[] = [];

async function whyAfter(pid: number): Promise<WhyAnswer> {
  const live = await agent.why(pid);
  asked.push({ pid, live });
  return live;
}

t.test('an exit code or a signal is told as it was, right after the end', async (t) => {
  for (const { args, subScene, summary } of ENDINGS) {
    const proc = await startWorkload(t, 'exiter', args);
    await proc.exited;
    const answer = await whyAfter(proc.pid);
    t.match(answer.target, { pid: proc.pid, comm: 'exiter', state: 'exited' });
    t.match(brief(answer), {
      verdict: 'cause-found',
      scene: 'ProcessCrash',
      subScene,
      root: `pid:${proc.pid}`,
      rootType: 'process',
    });
    t.match(answer.summary, summary);
    t.same(chainFlaws(answer), []);
  }
});

t.test('a core dump is told', async (t) => {
  const proc = await startWorkload(t, 'exiter', { signal: 6, core: 1 }, { cwd: scratch(t) });
  const truth = await proc.ready();
  if (truth.number('core_limit') === 0) return void t.pass('core dumps are forbidden here');
  await proc.exited;
  const event = await stream.find((e) => e.type === 'process.exit' && e.pid === proc.pid, 'its exit');
  // Where the kernel writes them to a program that is not there, the flag stays unset.
  if (event.attrs.core === undefined) return void t.pass('no core was written here');
  const answer = await whyAfter(proc.pid);
  t.match(answer.summary, /killed by SIGABRT \(signal 6, core dumped\)/);
});

t.test('a process that ended well is healthy, and exited', async (t) => {
  const proc = await startWorkload(t, 'exiter');
  await proc.exited;
  const answer = await whyAfter(proc.pid);
  t.equal(answer.target.state, 'exited');
  t.match(brief(answer), { verdict: 'healthy', scene: null, root: null });
});

t.test('a parent that waits for a child that crashed is not blocked by it', async (t) => {
  const script = `${await workload('exiter')} code=7; ${await workload('waits')} kinds=nanosleep; true`;
  const shell = await start(t, 'setpriv', ['--pdeathsig', 'KILL', 'sh', '-c', script]);
  await shell.ready();
  await stream.find((e) => e.type === 'process.exit' && e.attrs.code === 7, 'the exit of its child');
  const answer = await agent.why(shell.pid);
  t.notMatch(brief(answer), { scene: 'ProcessCrash' }, answer.summary);
});

const MEMORY = '/sys/fs/cgroup/memory';

t.test(
  'a kill by the OOM killer of its cgroup',
  { skip: existsSync(`${MEMORY}/memory.limit_in_bytes`) ? false : 'no memory controller of version 1 here' },
  async (t) => {
    const group = await makeGroup(t, MEMORY, 'oom');
    const enter = [
      'sh',
      '-c',
      'echo 16M > "$0/memory.limit_in_bytes"; echo $$ > "$0/cgroup.procs"; exec "$@"',
      group,
    ];
    const hog = await startE2e(t, 'hog', {}, { wrap: enter });
    t.equal((await hog.exited).signal, 'SIGKILL');
    const answer = await whyAfter(hog.pid);
    t.match(brief(answer), { scene: 'ProcessCrash', subScene: 'HostOom', root: `pid:${hog.pid}` });
    t.same(chainFlaws(answer), []);
    t.ok(
      answer.evidence.some((one) => one.type === 'process.oom_kill'),
      'the OOM kill itself is evidence',
    );
    const event = await stream.find((e) => e.type === 'process.oom_kill' && e.pid === hog.pid, 'the kill');
    t.match(String(event.attrs.cgroup), `${OWN_PREFIX}oom`, 'with the cgroup of the victim');
    const killed = await startWorkload(t, 'exiter', { signal: 9 });
    await killed.exited;
    t.equal((await whyAfter(killed.pid)).subScene, 'Signal', 'a SIGKILL alone is no OOM');
  },
);

t.test(
  'a rank is known by its launcher and its named variables, and nothing else of its environment is kept',
  async (t) => {
    const launcher = join(scratch(t), 'torchrun');
    symlinkSync('/bin/sh', launcher);
    const sleeper = await workload('waits');
    const env = { RANK: '3', LOCAL_RANK: '1', WORLD_SIZE: '8', TORCHELASTIC_RUN_ID: 'run-77', ...SECRETS };
    const wrap = ['setpriv', '--pdeathsig', 'KILL'];
    const torchrun = await start(t, launcher, ['-c', `${sleeper} kinds=nanosleep; true`], { env, wrap });
    const { pid } = await torchrun.ready();
    const row = await until(async () => (await rows()).find((one) => one.pid === pid && one.rank !== null), {
      timeoutMs: 15_000,
      what: `rank of ${pid} in xctl ps`,
      everyMs: 200,
    });
    t.match(row, { pid, ppid: torchrun.pid, job: 'run-77', rank: 3, state: 'running' });
    const info = await stream.find((e) => e.pid === pid && e.attrs.job !== undefined, 'its job');
    t.match(info.attrs.job, {
      launcher: 'torchrun',
      because: 'launcher',
      id: 'run-77',
      rank: 3,
      localRank: 1,
      worldSize: 8,
    });

    // The secrets are in its environment, so that the search below can find something.
    t.match(readFileSync(`/proc/${pid}/environ`, 'utf8'), SECRET);
    const places: Record<string, string> = {
      events: stream.proc.stdout.join('\n'),
      log: agent.proc.stderr.join('\n'),
      why: JSON.stringify(await agent.why(pid)),
    };
    for (const command of ['ps', 'graph', 'doctor'])
      places[command] = (await agent.xctl(command, '-o', 'json')).stdout;
    for (const [place, text] of Object.entries(places)) {
      t.ok(text.length > 0, `${place} says something`);
      t.notOk(text.includes(SECRET), `no secret in ${place}`);
      for (const name of Object.keys(SECRETS)) t.notOk(text.includes(name), `no ${name} in ${place}`);
    }
  },
);

async function rows(): Promise<readonly ProcessRow[]> {
  const { stdout } = await agent.xctl('ps', '-o', 'json');
  return (JSON.parse(stdout) as { processes: ProcessRow[] }).processes;
}

t.test('the recording says the same of each, holds no secret, and is whole', async (t) => {
  await agent.stop();
  const text = readFileSync(recording, 'utf8');
  t.notOk(text.includes(SECRET), 'no secret in the recording');
  t.match(text.trimEnd().slice(text.trimEnd().lastIndexOf('\n') + 1), /"kind":"RecordingEnd"/);
  for (const { pid, live } of asked) {
    const { code, stdout, stderr } = await xctl(['why', String(pid), '--replay', recording, '-o', 'json']);
    t.equal(code, 0, stderr);
    const replayed = JSON.parse(stdout) as WhyAnswer;
    t.same(brief(replayed), brief(live), `pid ${pid}`);
    t.equal(replayed.target.startTime, live.target.startTime);
  }
});
