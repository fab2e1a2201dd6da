/** Numbers that mislead: a thread's, one of another pid namespace, one that went to another process. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Backend } from '../../../src/agent/backend.js';
import { StateGraph } from '../../../src/graph/state-graph.js';
import { noRules } from '../../../src/rules/load.js';
import { BootClock } from '../../../src/kernel/clock.js';
import type { WhyAnswer } from '../../../src/scene/answer.js';
import { type Agent, type CliResult, startAgent, WITHOUT_TAP } from '../../lib/agent.js';
import { start, startTicks, startWorkload } from '../../lib/proc.js';
import { ROOT } from '../../lib/root.js';
import type { Scope } from '../../lib/scope.js';
import { workload } from '../../lib/cc.js';
import { brief, isWell, startE2e, untilWhy } from '../lib/ask.js';
import { complaintFlaws, scratch } from '../lib/raw-agent.js';

let agent: Agent;

t.before(async () => {
  agent = await startAgent(t);
});

t.test('a pid that is a thread is answered for its process, and says so', async (t) => {
  const deadlock = await startWorkload(t, 'deadlock');
  await deadlock.ready();
  const tid = deadlock.truths('abba')[0]?.tid ?? 0;
  const ofProcess = await untilWhy(agent, deadlock.pid, (a) => a.subScene === 'Deadlock', {
    what: 'deadlock',
  });
  const answer = await agent.why(tid);
  t.match(answer.target, { pid: deadlock.pid, tid, state: 'running' });
  t.same(brief(answer), brief(ofProcess));
  t.notOk('tid' in ofProcess.target, 'asked for itself, no thread is named');
  const text = await agent.xctl('why', String(tid));
  t.match(text.stdout, String(deadlock.pid));
});

t.test('inside a container, pids are those of the container', async (t) => {
  const program = await workload('stopped');
  const contained = await start(t, 'unshare', [
    ...['--pid', '--fork', '--kill-child', '--mount-proc', 'setpriv', '--pdeathsig', 'KILL', program],
  ]);
  const inside = await contained.ready();
  t.equal(inside.pid, 1, 'the workload is pid 1 there');
  const host = childOf(contained.pid);
  const asked = await askInside(t, host, ['why', '1', '-o', 'json']);
  t.equal(asked.code, 0, asked.stderr);
  const answer = JSON.parse(asked.stdout) as WhyAnswer;
  t.equal(answer.target.pid, host, 'the answer is for the process of the container');
  t.equal(answer.target.comm, 'stopped');

  const none = await askInside(t, host, ['why', '77']);
  t.equal(none.code, 4);
  t.same(complaintFlaws(none.stderr, 'xctl why: no process 77 in your pid namespace'), []);
  t.equal((await agent.why(host)).target.pid, host, 'asked on the host, by the host’s number');
});

/** The only child of a process. */
function childOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return Number(text);
}

async function askInside(scope: Scope, host: number, words: readonly string[]): Promise<CliResult> {
  const enter = ['nsenter', '--target', String(host), '--pid', '--mount', ...WITHOUT_TAP];
  const proc = await start(scope, join(ROOT, 'bin', 'xctl'), [...words, '--socket', agent.socket], {
    wrap: enter,
  });
  const { code } = await proc.exited;
  return { code: code ?? -1, stdout: proc.stdout.join('\n'), stderr: proc.stderr.join('\n') };
}

t.test('a pid that went to another process is that other process', async (t) => {
  const go = join(scratch(t), 'go');
  const reuse = await startE2e(t, 'reuse', { go });
  const pid = (await reuse.ready('first')).number('child');
  const dead = await agent.why(pid);
  t.match(brief(dead), { scene: 'ProcessCrash', subScene: 'ExitCode' });
  t.equal(dead.target.state, 'exited');
  writeFileSync(go, '');
  t.equal((await reuse.ready()).number('child'), pid);
  const living = await agent.why(pid);
  t.equal(living.target.state, 'running');
  t.ok(isWell(living), living.summary);
  t.ok(living.target.startTime > dead.target.startTime, 'told apart by their start');
});

/** A backend over a graph that knows this process `look` is what happens while it answers. */
function backendOver(graph: StateGraph, look: () => void): Backend {
  return new Backend({
    graph,
    clock: BootClock.now(),
    nodeName: 'test',
    version: () => ({ version: '0', node: '', libbpf: null, kernel: '' }),
    look: async () => look(),
    healthy: () => true,
    checks: () => [],
    traceVerbs: () => Promise.reject(new Error('not asked')),
    diagnose: () => ({ hits: [], rules: noRules(null).state }),
    subscribe: () => () => undefined,
    answered: () => undefined,
  });
}

function learn(graph: StateGraph, comm: string, start: number): void {
  const { pid } = process;
  const attrs = { start, comm };
  graph.apply({
    ts: start,
    type: 'process.seen',
    entity: `pid:${pid}`,
    pid,
    value: 0,
    probe: 'process',
    attrs,
  });
}

t.test('a pid that goes to another process between question and answer gets no answer', async (t) => {
  const own = Number(startTicks(process.pid)) * 1e7;
  const older = own - 2e9;
  const ask = (backend: Backend): Promise<WhyAnswer> => backend.why(process.pid, { pidNs: 0 });

  const told = new StateGraph();
  learn(told, 'old', older);
  await t.rejects(ask(backendOver(told, () => learn(told, 'new', own))), {
    name: 'NoProcessError',
    message: /another's now/,
  });
  t.equal(
    (await ask(backendOver(told, () => undefined))).target.comm,
    'new',
    'asked again, it is the new one',
  );

  // Nobody told the graph: /proc knows that what it has to say is about a process that is gone.
  const unaware = new StateGraph();
  learn(unaware, 'old', older);
  await t.rejects(ask(backendOver(unaware, () => undefined)), {
    name: 'NoProcessError',
    message: /another's now/,
  });
});
