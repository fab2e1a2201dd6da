/** `xctl diag` whole: a real agent, a real fault, a model behind a real socket. What is sent names nobody, what comes back is mapped back. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Diagnosis } from '../../src/diag/diagnosis.js';
import { completion, sendJson, serveLoopback } from '../diag/lib/server.js';
import { type Agent, startAgent, xctl } from '../lib/agent.js';
import { type Proc, startWorkload } from '../lib/proc.js';
import { until } from '../lib/until.js';
import { scratch } from './lib/raw-agent.js';

const RULE = {
  apiVersion: 'xctl/v1',
  rules: [
    {
      name: 'writer-stopped',
      title: 'Whoever should write is stopped',
      scene: 'ProcessBlocked',
      subScene: 'Stopped',
      priority: 90,
      rootCause: '{cause.id} was stopped by a signal',
      steps: [{ text: 'See its state', run: ['ps', '-o', 'pid,stat,comm', '-p', '1'] }],
    },
  ],
};

let agent: Agent;
let bare: Agent;
let reader: Proc;
let writer: number;

t.before(async () => {
  const dir = scratch(t);
  for (const name of ['rules', 'none']) mkdirSync(join(dir, name), { mode: 0o755 });
  writeFileSync(join(dir, 'rules', 'stop.yaml'), JSON.stringify(RULE), { mode: 0o644 });
  agent = await startAgent(t, { args: ['--rules', join(dir, 'rules')] });
  bare = await startAgent(t, { args: ['--rules', join(dir, 'none')] });
  reader = await startWorkload(t, 'stopped');
  writer = (await reader.ready()).number('peer');
  for (const its of [agent, bare]) {
    await until(async () => (await its.why(reader.pid)).subScene === 'Stopped', {
      timeoutMs: 30_000,
      what: 'the stopped writer to be found',
    });
  }
});

async function diag(its: Agent, ...args: readonly string[]): Promise<Diagnosis> {
  const { code, stdout, stderr } = await its.xctl('diag', String(reader.pid), '-o', 'json', ...args);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Diagnosis;
}

t.test("the agent's rule answers", async (t) => {
  const diagnosis = await diag(agent, '--offline');
  t.match(diagnosis, {
    answeredBy: 'rules',
    cause: `pid:${writer} was stopped by a signal`,
    steps: [{ text: 'See its state', run: ['ps', '-o', 'pid,stat,comm', '-p', '1'], risk: 'read-only' }],
    why: { scene: 'ProcessBlocked', subScene: 'Stopped', rootCause: { node: `pid:${writer}` } },
  });
  const text = await agent.xctl('diag', String(reader.pid));
  t.match(text, {
    code: 0,
    stderr: '',
    stdout: /Rule writer-stopped[\s\S]*Chain[\s\S]*\$ ps -o pid,stat,comm -p 1[\s\S]*Who was asked/,
  });
});

t.test('no rule: the model is asked, and was told of nobody', async (t) => {
  const server = await serveLoopback(t, (asked, response) => {
    const { target, cause, evidence } = JSON.parse(JSON.parse(asked.body).messages[1].content);
    const said = {
      cause: { text: `${target.node} waits until ${cause.node} goes on`, evidence: [evidence[0].id] },
      claims: [{ text: 'somebody may have stopped it by hand', evidence: [] }],
    };
    sendJson(response, completion(JSON.stringify(said)));
  });
  const model = ['--model-url', `${server.url}/v1`, '--model', 'm'];
  const diagnosis = await diag(bare, ...model);
  t.match(diagnosis, {
    answeredBy: 'model',
    cause: new RegExp(`^process ${reader.pid} \\(stopped\\) waits until process ${writer}\\b.* goes on$`),
    model: { cause: { hypothesis: false }, claims: [{ hypothesis: true }] },
    why: { rootCause: { node: `pid:${writer}` } },
  });
  const pipe = diagnosis.why.chain[0]?.to ?? '';
  t.match(pipe, /^pipe:\d+$/);
  const [asked] = server.asked;
  for (const secret of [String(reader.pid), String(writer), pipe.slice(5), diagnosis.node]) {
    t.notMatch(asked?.body, new RegExp(`(?<![\\w.-])${secret}(?![\\w.-])`), `${secret} stays on the node`);
  }

  const { code, stdout, stderr } = await bare.xctl('diag', String(reader.pid), ...model);
  t.match({ code, stderr }, { code: 0, stderr: /^xctl diag: now asking model / });
  t.ok(
    0 < stdout.indexOf('Chain') && stdout.indexOf('Chain') < stdout.indexOf("A model's reading"),
    'the answer comes first',
  );
});

t.test('an incident becomes a case, and the next one finds it', async (t) => {
  const knowledge = scratch(t);
  const made = await bare.xctl(
    'cases',
    'add',
    'hand-on-the-brake',
    '--pid',
    String(reader.pid),
    '--cause',
    'a debugger was left attached',
    '--fix',
    'send SIGCONT',
    '--knowledge',
    knowledge,
  );
  t.match(made, { code: 0, stderr: '' });
  t.match(await diag(bare, '--knowledge', knowledge), {
    answeredBy: 'knowledge',
    cause: 'a debugger was left attached',
    cases: [{ name: 'hand-on-the-brake' }],
  });
});

t.test('nobody there, nothing known', async (t) => {
  t.match(await bare.xctl('diag', '4194303'), { code: 4 });
  t.match(await xctl(['diag', '1', '--socket', '/nowhere.sock']), { code: 3 });
});
