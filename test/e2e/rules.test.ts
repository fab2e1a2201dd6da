/** Rules in a real agent: matched against what really happens, loaded again on SIGHUP and when a file changes. */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { AgentClient } from '../../src/api/client.js';
import { type Agent, startAgent } from '../lib/agent.js';
import { startWorkload } from '../lib/proc.js';
import { until } from '../lib/until.js';
import { tempFolder } from '../agent/fixtures.js';
import { RULE, yamlOf } from '../rules/engine/texts.js';
import { untilWhy } from './lib/ask.js';

const STOPPED = {
  ...RULE,
  name: 'stopped-by-somebody',
  scene: 'ProcessBlocked',
  subScene: 'Stopped',
  when: {
    all: [
      { finding: { own: true } },
      { event: { type: 'wait.stopped', about: 'cause', count: { min: 2 }, as: 'stop' } },
    ],
  },
  rootCause: 'somebody stopped {cause.name}: seen {stop.count} times',
  steps: [{ text: 'See who its parent is.', run: ['ps', '-o', 'ppid=', '-p', '{cause.name}'] }],
  applies: { kernel: '>=5.8', probes: ['process', 'waits'] },
};

function put(directory: string, name: string, text: string): void {
  writeFileSync(join(directory, '.new'), text);
  renameSync(join(directory, '.new'), join(directory, name));
}

async function rulesLine(agent: Agent): Promise<string> {
  const { stdout } = await agent.xctl('doctor', '-o', 'json');
  const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string; detail: string }[] };
  const { status, detail } = checks.find(({ name }) => name === 'rules') ?? { status: 'none', detail: '' };
  return `${status}: ${detail}`;
}

t.test('a rule holds for what really happens, and is loaded again', async (t) => {
  const directory = tempFolder(t);
  put(directory, 'a.yaml', yamlOf(STOPPED));
  const agent = await startAgent(t, { args: ['--rules', directory, '--probes', 'process,waits'] });
  t.match(await rulesLine(agent), /^ok: 1 rules of 1 files/);
  const stopped = await startWorkload(t, 'stopped', { mode: 'self' });
  await stopped.ready();
  await untilWhy(agent, stopped.pid, (answer) => answer.subScene === 'Stopped', { what: 'stopped' });
  const client = new AgentClient({ socketPath: agent.socket, timeoutMs: 10_000 });
  const diagnosis = await until(
    async () => {
      const input = await client.diagnosis(stopped.pid);
      return input.hits.length > 0 && input;
    },
    { timeoutMs: 20_000, what: 'the rule' },
  );
  t.match(diagnosis, {
    answer: { target: { pid: stopped.pid }, scene: 'ProcessBlocked', subScene: 'Stopped' },
    hits: [
      {
        rule: 'stopped-by-somebody',
        source: 'a.yaml:3',
        finding: 0,
        rootCause: new RegExp(`^somebody stopped ${stopped.pid}: seen \\d+`),
        steps: [{ run: ['ps', '-o', 'ppid=', '-p', `${stopped.pid}`] }],
        unchecked: [],
      },
    ],
    rules: { directory, rules: 1, refused: [] },
  });
  await t.rejects(client.diagnosis(4_000_000), { name: 'NoProcessError' });

  put(directory, 'b.yaml', yamlOf({ ...RULE, name: 'b' }));
  await until(async () => /^ok: 2 rules of 2 files/.test(await rulesLine(agent)), {
    timeoutMs: 20_000,
    what: 'the new file',
  });
  const loads = () => agent.log().filter(({ msg }) => msg === 'rules loaded').length;
  const before = loads();
  process.kill(agent.pid, 'SIGHUP');
  await until(() => loads() > before, { timeoutMs: 20_000, what: 'SIGHUP to load them again' });
  const after = await client.diagnosis(stopped.pid);
  t.match(after.hits, [{ rule: 'stopped-by-somebody' }], 'what was seen before still counts');

  put(directory, 'b.yaml', 'rules: {');
  await until(async () => /^degraded: 1 rules of 1 files.*1 files refused/.test(await rulesLine(agent)), {
    timeoutMs: 20_000,
    what: 'the bad file to be refused',
  });
});

t.test('without --rules the ones of the package are there', async (t) => {
  const agent = await startAgent(t, { args: ['--probes', 'none'] });
  t.match(await rulesLine(agent), /^ok: \d{2,} rules of \d+ files/);
});
