/** What people type wrongly, interrupt or pipe away: one line that says what to type, the right exit code, no stack. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { type Agent, type CliResult, startAgent, WITHOUT_TAP, xctl } from '../../lib/agent.js';
import { start } from '../../lib/proc.js';
import { ROOT } from '../../lib/root.js';
import { complaintFlaws, scratch, stackFlaws, startRaw } from '../lib/raw-agent.js';

const XCTL = join(ROOT, 'bin', 'xctl');

let agent: Agent;

t.before(async () => {
  agent = await startAgent(t);
});

const WRONG: readonly (readonly string[])[] = [
  [],
  ['4242'],
  ['wyh', '1'],
  ['why', 'abc'],
  ['why', '0'],
  ['why', '-1'],
  ['why', '99999999'],
  ['why', '1', '2'],
  ['why', '1', '-o', 'xml'],
  ['why', '1', '--timeout', 'soon'],
  ['why', '1', '--replay'],
  ['why', '1', '--no-such-flag'],
  ['why', '1', '--socket', ''],
  ['events', '--pid', 'x'],
  ['events', '--type', 'Transport!'],
  ['graph', '-o', 'png'],
  ['ps', '\u001b[31mred'],
];

t.test('xctl with wrong arguments', async (t) => {
  const results = await inPairs(WRONG, (words) => xctl(words));
  for (const [i, { code, stdout, stderr }] of results.entries()) {
    const words = JSON.stringify(WRONG[i]);
    t.equal(code, 2, `${words}: ${stderr}`);
    t.equal(stdout, '', words);
    t.same(complaintFlaws(stderr, 'xctl'), [], words);
    t.notOk(stderr.includes('\u001b'), `${words}: nothing reaches the terminal raw`);
  }
});

t.test('xctl-agent with wrong arguments', async (t) => {
  const dir = scratch(t);
  const config = join(dir, 'agent.yaml');
  writeFileSync(config, 'sockets: /tmp/x\n');
  const taken = join(dir, 'taken.jsonl');
  writeFileSync(taken, '');
  mkdirSync(join(dir, 'rules'));
  const wrong: readonly (readonly string[])[] = [
    ['--sokcet', 'x'],
    ['extra'],
    ['--metrics-port', 'http'],
    ['--metrics-port', '70000'],
    ['--probes', 'tcp,quic'],
    ['--probe', ''],
    ['--probe', '"unfinished'],
    ['--record', taken],
    ['--record', join(dir, 'missing', 'x.jsonl')],
    ['--rules', join(dir, 'nowhere')],
    ['--config', join(dir, 'nowhere.yaml')],
    ['--config', config],
    ['--log-level', 'loud'],
    ['--socket', `/tmp/${'x'.repeat(200)}`],
  ];
  const results = await inPairs(wrong, async (words) => {
    const socket = words[0] === '--socket' ? [] : ['--socket', join(dir, 'agent.sock')];
    const proc = await start(t, join(ROOT, 'bin', 'xctl-agent'), [...words, ...socket], {
      wrap: WITHOUT_TAP,
    });
    const { code } = await proc.exited;
    return { code: code ?? -1, stdout: proc.stdout.join('\n'), stderr: proc.stderr.join('\n') };
  });
  for (const [i, { code, stdout, stderr }] of results.entries()) {
    const words = JSON.stringify(wrong[i]);
    t.equal(code, 2, `${words}: ${stderr}`);
    t.equal(stdout, '', words);
    t.same(stackFlaws(stderr), [], words);
    const complaints = stderr
      .split('\n')
      .filter((line) => line.startsWith('xctl-agent: ') || line.includes('"level":"error"'));
    t.equal(complaints.length, 1, `${words}: ${stderr}`);
  }
});

/** Two at a time: each of them is a Node. */
async function inPairs<T>(
  list: readonly (readonly string[])[],
  ask: (words: readonly string[]) => Promise<T>,
): Promise<readonly T[]> {
  const results: T[] = [];
  for (let i = 0; i < list.length; i += 2)
    results.push(...(await Promise.all(list.slice(i, i + 2).map(ask))));
  return results;
}

t.test('xctl without an agent', async (t) => {
  const socket = join(scratch(t), 'nobody.sock');
  const commands = [['why', '1'], ['why'], ['ps'], ['graph'], ['events'], ['doctor']];
  for (const { code, stderr } of await inPairs(commands, (words) => xctl([...words, '--socket', socket]))) {
    t.equal(code, 3);
    t.same(complaintFlaws(stderr, 'xctl '), []);
    t.match(stderr, /no agent at .*nobody\.sock \(ENOENT\); start it with: /);
  }
  t.equal((await xctl(['version', '--socket', socket])).code, 0, 'its own version it knows');
});

t.test('an agent that does not answer: --timeout ends the question', async (t) => {
  const socket = join(scratch(t), 'agent.sock');
  const hung = await startRaw(t, { socket });
  await hung.errorLine(/"msg":"ready"/, 30_000);
  hung.kill('SIGSTOP');
  const { code, stderr } = await xctl(['why', '1', '--socket', socket, '--timeout', '0.5']);
  t.equal(code, 1);
  t.same(complaintFlaws(stderr, 'xctl why: '), []);
});

t.test('Ctrl-C in `xctl events -f` ends it without a word', async (t) => {
  const words = ['events', '-f', '-o', 'json', '--type', 'wait.pass', '--socket', agent.socket];
  const events = await start(t, XCTL, words, { wrap: WITHOUT_TAP });
  await events.line(/wait\.pass/);
  events.kill('SIGINT');
  t.same(await events.exited, { code: 130, signal: null });
  t.same(events.stderr, []);
});

t.test('a reader that has enough: `| head -1` is no error', async (t) => {
  for (const command of ['why', 'ps -o json', 'graph', 'events -f -o json']) {
    const result = await piped(`"$0" ${command} --socket "$1" | head -1; echo "\${PIPESTATUS[0]}" >&2`);
    t.equal(result.stderr, '0', `xctl ${command} | head -1: ${result.stderr}`);
    t.ok(result.stdout.length > 0, command);
  }

  async function piped(script: string): Promise<CliResult> {
    const proc = await start(t, 'bash', ['-c', script, XCTL, agent.socket], { wrap: WITHOUT_TAP });
    const { code } = await proc.exited;
    return { code: code ?? -1, stdout: proc.stdout.join('\n'), stderr: proc.stderr.join('\n') };
  }
});

t.test('an answer that cannot be written is no success', async (t) => {
  const proc = await start(t, 'bash', ['-c', '"$0" ps --socket "$1" > /dev/full', XCTL, agent.socket], {
    wrap: WITHOUT_TAP,
  });
  t.equal((await proc.exited).code, 1);
  t.same(complaintFlaws(proc.stderr.join('\n'), 'xctl: cannot write the answer'), []);
});
