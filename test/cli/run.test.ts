/** Command lines against a scripted agent: what is printed, in which form, with which exit code. */
import { createServer } from 'node:net';
import { join } from 'node:path';
import { load, loadAll } from 'js-yaml';
import t from 'tap';
import { EXIT, exitCodeOf } from '../../src/cli/exit.js';
import { NoAgentError, NoProcessError, RefusedError, UsageError } from '../../src/util/errors.js';
import { DOCTOR, exitEvent, FINDINGS, GRAPH, onTheWire, PS, ROW, VERSION, WHY } from './answers.js';
import { RAW, runCli, serve, tempDir } from './helpers.js';
import { until } from '../lib/until.js';

const HOSTILE = 'x\u001b[2J\u009b31m\u202e\u2028\r\u0007';

t.test('-o json and -o yaml are what the agent answers', async (t) => {
  const { path } = await serve(t);
  for (const [line, expected] of [
    ['why 4242', WHY],
    ['why', FINDINGS],
    ['ps', PS],
    ['graph', GRAPH],
    ['doctor', DOCTOR],
  ] as const) {
    const words = [...line.split(' '), '--socket', path];
    const json = await runCli([...words, '-o', 'json']);
    t.match(json, { code: 0, stderr: '' }, line);
    t.same(JSON.parse(json.stdout), onTheWire(expected), `${line} -o json`);
    t.same(load((await runCli([...words, '-oyaml'])).stdout), onTheWire(expected), `${line} -o yaml`);
    t.equal((await runCli(['-o', 'json', ...words])).stdout, json.stdout, 'flags may come first');
    const text = await runCli(words);
    t.equal(text.code, 0);
    t.ok(text.stdout.endsWith('\n'));
  }
  const dot = await runCli(['graph', '-o', 'dot', '--socket', path]);
  t.match(dot.stdout, /^digraph xctl \{/);
});

t.test('the environment names the socket, the flag wins', async (t) => {
  const { path } = await serve(t);
  t.equal((await runCli(['ps'], { env: { XCTL_SOCKET: path } })).code, 0);
  t.equal((await runCli(['ps', '--socket', path], { env: { XCTL_SOCKET: '/nowhere' } })).code, 0);
});

t.test('version', async (t) => {
  const { path } = await serve(t);
  t.match(
    (await runCli(['version', '--socket', path])).stdout,
    /^xctl \d+\.\d+\.\d+ .*\nagent 0\.1\.0 on v20\.20\.2 \(libbpf 1\.1\.2, Linux 6\.18\.0\)\n$/,
  );
  t.same(JSON.parse((await runCli(['version', '--socket', path, '-o', 'json'])).stdout).agent, VERSION);
  const alone = await runCli(['version', '--socket', '/nowhere.sock']);
  t.equal(alone.code, 0, 'the version is known without an agent');
  t.match(alone.stdout, /agent unknown: no agent at \/nowhere\.sock \(ENOENT\)/);
  t.match((await runCli(['--version'])).stdout, /^xctl \d+\.\d+\.\d+\n$/);
});

t.test('exit codes', async (t) => {
  const { path, backend } = await serve(t);
  const code = async (...words: string[]): Promise<number> =>
    (await runCli([...words, '--socket', path])).code;
  t.equal(await code('why', '4242'), 0);
  t.equal(await code('why', '1'), 4);
  t.equal(await code('nonsense'), 2);
  t.equal((await runCli(['why', '1', '--socket', '/nowhere.sock'])).code, 3);
  backend.answers.why = async () => {
    throw new RefusedError('not confirmed');
  };
  t.match(await runCli(['why', '1', '--socket', path]), { code: 5, stderr: 'xctl why: not confirmed\n' });
  backend.answers.why = async () => {
    throw new TypeError('broken');
  };
  t.match(await runCli(['why', '1', '--socket', path]), {
    code: 1,
    stderr: 'xctl why: the agent failed: broken\n',
  });
  t.equal(exitCodeOf(new UsageError('')), EXIT.usage);
  t.equal(exitCodeOf(new NoAgentError('')), EXIT.noAgent);
  t.equal(exitCodeOf(new NoProcessError('')), EXIT.noProcess);
  t.equal(exitCodeOf('thrown text'), EXIT.internal);
  t.same(Object.values(EXIT), [0, 1, 2, 3, 4, 5, 6, 130]);
});

t.test('a stack only with --verbose', async (t) => {
  const words = ['ps', '--socket', '/nowhere.sock'];
  t.notMatch((await runCli(words)).stderr, /\n {4}at /);
  const { stderr } = await runCli([...words, '--verbose']);
  t.match(stderr, /\n {4}at /);
  t.match(stderr, /caused by: Error: connect ENOENT/);
});

t.test('--timeout', async (t) => {
  const path = join(tempDir(t), 'a.sock');
  const hung = createServer(() => {});
  await new Promise<void>((resolve) => hung.listen(path, resolve));
  t.teardown(() => hung.close());
  const { code, stderr } = await runCli(['ps', '--socket', path, '--timeout', '0.05']);
  t.equal(code, 1);
  t.match(stderr, /^xctl ps: the agent at .* did not answer within 0\.05 s; try --timeout 1/);
});

t.test('colour: a terminal, and nobody against it', async (t) => {
  const { path } = await serve(t);
  const colored = async (env: Record<string, string>, isTTY: boolean, ...more: string[]): Promise<boolean> =>
    (await runCli(['why', '4242', '--socket', path, ...more], { env, isTTY, columns: 80 })).stdout.includes(
      '\u001b[',
    );
  t.ok(await colored({}, true));
  t.notOk(await colored({}, false), 'not a terminal');
  t.notOk(await colored({ NO_COLOR: '1' }, true));
  t.ok(await colored({ NO_COLOR: '' }, true), 'empty means unset');
  t.notOk(await colored({ TERM: 'dumb' }, true));
  t.notOk(await colored({}, true, '--no-color'));
  t.notOk(await colored({}, true, '-o', 'json'));
});

t.test('width: prose wraps at the terminal, tables are cut only there', async (t) => {
  const { path, backend } = await serve(t);
  backend.answers.ps = { ...PS, processes: [{ ...ROW, waitsFor: 'w'.repeat(200) }] };
  const widest = (text: string): number => Math.max(...text.split('\n').map((line) => line.length));
  const tty = await runCli(['ps', '--socket', path], { isTTY: true, columns: 100 });
  t.equal(widest(tty.stdout), 100);
  t.ok(widest((await runCli(['ps', '--socket', path])).stdout) > 200, 'whole for a program');
  const why = await runCli(['why', '4242', '--socket', path, '--no-color'], { isTTY: true, columns: 60 });
  t.ok(widest(why.stdout) <= 60);
  t.match((await runCli(['why', '4242', '--socket', path], { env: { LANG: 'C' } })).stdout, /`- waits on/);
});

t.test('hostile strings from the agent', async (t) => {
  const { path, backend } = await serve(t);
  backend.answers = {
    ...backend.answers,
    ps: { ...PS, node: HOSTILE, processes: [{ ...ROW, comm: HOSTILE, waitsFor: HOSTILE }] },
    doctor: { ...DOCTOR, checks: [{ status: 'ok', name: HOSTILE, detail: HOSTILE }] },
    graph: { ...GRAPH, nodes: [{ id: HOSTILE, type: HOSTILE, attrs: { [HOSTILE]: HOSTILE } }] },
    why: async () => {
      throw new NoProcessError(HOSTILE);
    },
  };
  for (const line of ['ps', 'doctor', 'graph', 'why 7']) {
    for (const output of ['text', 'json', 'yaml']) {
      const { stdout, stderr } = await runCli([...line.split(' '), '--socket', path, '-o', output]);
      t.notMatch(stdout, RAW, `${line} -o ${output}`);
      t.notMatch(stderr, RAW, `${line} -o ${output}`);
    }
  }
  t.notMatch((await runCli(['graph', '-o', 'dot', '--socket', path])).stdout, RAW);
  t.same(
    JSON.parse((await runCli(['ps', '-o', 'json', '--socket', path])).stdout).node,
    HOSTILE,
    'json is lossless',
  );
  t.same(
    (load((await runCli(['ps', '-o', 'yaml', '--socket', path])).stdout) as { node: string }).node,
    HOSTILE,
  );
  t.notMatch((await runCli([HOSTILE])).stderr, RAW, 'what was typed');
  t.notMatch((await runCli(['ps', `--${HOSTILE}`])).stderr, RAW);
});

t.test('events: text, json, yaml, filters, and Ctrl-C', async (t) => {
  const { path, backend } = await serve(t);
  const follow = async (...words: string[]): Promise<{ stdout: string; code: number; stderr: string }> => {
    const abort = new AbortController();
    const ran = runCli(['events', '-f', ...words, '--socket', path], {
      signal: abort.signal,
      onOutput: (text) => {
        if (text.includes('137')) abort.abort();
      },
    });
    await until(() => backend.subscribers === 1, { timeoutMs: 5000, what: 'the subscription' });
    backend.say(exitEvent(6, HOSTILE));
    backend.say(exitEvent(7, HOSTILE));
    const result = await ran;
    await until(() => backend.subscribers === 0, { timeoutMs: 5000, what: 'the end of it' });
    return result;
  };
  const text = await follow('--pid', '7', '--type', 'process.exit,wait');
  t.match(text, { code: 130, stderr: '' }, 'Ctrl-C is quiet');
  t.match(text.stdout, /^\d\d:\d\d:\d\d\.\d{3} process\.exit +pid:7 value=137 start=1 comm=x\\x1b/);
  t.notMatch(text.stdout, RAW);
  const json = await follow('-o', 'json', '--pid', '7');
  t.same(JSON.parse(json.stdout), onTheWire(exitEvent(7, HOSTILE)));
  t.notMatch(json.stdout, RAW);
  const yaml = await follow('-o', 'yaml', '--pid', '7');
  t.same(loadAll(yaml.stdout)[0], onTheWire(exitEvent(7, HOSTILE)));
  t.match(
    await runCli(['events', '--for', '0.05', '--socket', path]),
    { code: 0, stdout: '', stderr: '' },
    'a window ends by itself',
  );
});

t.test('events: the agent goes away', async (t) => {
  const { path, backend, server } = await serve(t);
  const ran = runCli(['events', '-f', '--socket', path]);
  await until(() => backend.subscribers === 1, { timeoutMs: 5000, what: 'the subscription' });
  await server.stop();
  t.match(await ran, { code: 3, stderr: /^xctl events: the agent at .* ended the stream\n$/ });
});

t.test('Ctrl-C while the agent thinks', async (t) => {
  const { path, backend } = await serve(t);
  backend.answers.why = () => new Promise(() => {});
  const abort = new AbortController();
  const ran = runCli(['why', '4242', '--socket', path], { signal: abort.signal });
  await until(() => backend.asked.length === 1, { timeoutMs: 5000, what: 'the question' });
  abort.abort();
  t.match(await ran, { code: 130, stdout: '', stderr: '' });
});

t.test('--replay', async (t) => {
  const dir = tempDir(t, { 'no-recording': 'x\n' });
  t.match(await runCli(['why', '1', '--replay', join(dir, 'none')]), {
    code: 2,
    stderr: /^xctl why: .*none/,
  });
  t.match(await runCli(['why', '1', '--replay', join(dir, 'no-recording')]), {
    code: 2,
    stderr: /^xctl why: /,
  });
  const header = {
    apiVersion: 'xctl/v1',
    kind: 'Recording',
    node: 'old',
    agentVersion: '0.1.0',
    startedAt: '2026-11-23T01:02:03.000Z',
    bootEpochMs: 0,
  };
  const cut = tempDir(t, { rec: `${JSON.stringify(header)}\n` });
  const empty = await runCli(['why', '--replay', join(cut, 'rec'), '-o', 'json']);
  t.equal(empty.code, 0);
  t.match(JSON.parse(empty.stdout), { node: 'old', findings: [] });
  t.match(empty.stderr, /^xctl why: note: the recording ends early, after 0 events/);
  t.match(await runCli(['why', '7', '--replay', join(cut, 'rec')]), { code: 4, stderr: /no process 7 in/ });
});

t.test('completion scripts, and what they ask', async (t) => {
  const { path } = await serve(t);
  for (const shell of ['bash', 'zsh', 'fish']) {
    t.match((await runCli(['completion', shell])).stdout, /xctl __complete --/, shell);
  }
  const offer = async (...words: string[]): Promise<string[]> =>
    (await runCli(['__complete', '--', ...words], { env: { XCTL_SOCKET: path } })).stdout.split('\n');
  t.same(await offer('why', '4'), ['4242', '']);
  t.same(await offer('wh'), ['why', '']);
  t.same(await offer('why', '--replay', ''), [':files', '']);
  t.match(await runCli(['__complete', '--', 'why', ''], { env: { XCTL_SOCKET: '/nowhere' } }), {
    code: 0,
    stdout: '',
    stderr: '',
  });
});
