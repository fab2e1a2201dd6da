/** Starting and ending an agent at bad moments: sockets that are taken or stale, SIGTERM at any time, kill -9. */
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { startAgent, WITHOUT_TAP } from '../../lib/agent.js';
import { start } from '../../lib/proc.js';
import { ROOT } from '../../lib/root.js';
import { until } from '../../lib/until.js';
import { ask, logged, READY, scratch, stackFlaws, startRaw } from '../lib/raw-agent.js';

t.test('a second agent on the same socket is refused, and the first one is unharmed', async (t) => {
  const first = await startAgent(t);
  const second = await startRaw(t, { socket: first.socket });
  t.same(await second.exited, { code: 5, signal: null });
  const [complaint, ...more] = logged(second, 'error');
  t.match(String(complaint?.error), String(first.pid), 'the one in its way is named');
  t.same(more, [], 'one line');
  t.same(stackFlaws(second.stderr.join('\n')), []);
  t.equal((await first.why(process.pid)).target.pid, process.pid, 'the first one answers');
  t.ok(existsSync(first.socket));
  t.ok(first.proc.running);
});

t.test('killed with -9: the next agent takes over the stale socket', async (t) => {
  const socket = join(scratch(t), 'agent.sock');
  for (let life = 1; life <= 2; life++) {
    const agent = await startRaw(t, { socket });
    await agent.errorLine(READY, 30_000);
    t.equal((await ask(socket, 'why', String(process.pid))).code, 0, `life ${life} answers`);
    t.same(await agent.stop('SIGKILL'), { code: null, signal: 'SIGKILL' });
    t.ok(existsSync(socket), 'the socket is left behind');
    const orphaned = await ask(socket, 'why', String(process.pid));
    t.equal(orphaned.code, 3, 'nobody is at it');
    t.match(orphaned.stderr, /^xctl why: no agent at .*ECONNREFUSED/);
  }
});

t.test('what is no socket of ours is left alone', async (t) => {
  const dir = scratch(t);
  const file = join(dir, 'file');
  writeFileSync(file, 'precious');
  const foreign = join(dir, 'foreign');
  const server = createServer((connection) => connection.end('220 smtp.example.org\r\n'));
  await new Promise<void>((resolve) => server.listen(foreign, resolve));
  t.teardown(() => server.close());
  for (const socket of [file, foreign]) {
    const agent = await startRaw(t, { socket });
    t.not((await agent.exited).code, 0);
    t.equal(logged(agent, 'error').length, 1, agent.stderr.join(' '));
    t.same(stackFlaws(agent.stderr.join('\n')), []);
    t.ok(existsSync(socket));
  }
});

t.test('a taken metrics port: one line, and the socket is gone', async (t) => {
  const server = createServer();
  const port = await new Promise<number>((resolve) => {
    server.listen(0, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
  t.teardown(() => server.close());
  const socket = join(scratch(t), 'agent.sock');
  const agent = await startRaw(t, { socket, args: ['--metrics-port', String(port)] });
  t.same(await agent.exited, { code: 1, signal: null });
  const [complaint, ...more] = logged(agent, 'error');
  t.match(String(complaint?.error), String(port));
  t.same(more, []);
  t.same(stackFlaws(agent.stderr.join('\n')), []);
  t.notOk(existsSync(socket));
});

t.test('SIGTERM ends it cleanly, and tells who follows its events', async (t) => {
  const socket = join(scratch(t), 'agent.sock');
  const agent = await startRaw(t, { socket });
  await agent.errorLine(READY, 30_000);
  const command = join(ROOT, 'bin', 'xctl');
  const words = ['events', '-f', '-o', 'json', '--type', 'wait.pass', '--socket', socket];
  const follower = await start(t, command, words, { wrap: WITHOUT_TAP });
  await follower.line(/wait\.pass/);
  agent.kill('SIGTERM');
  t.same(await agent.exited, { code: 0, signal: null }, 'within its own deadline of two seconds');
  t.match(agent.stderr.at(-1), /"msg":"stopped"/);
  t.notOk(existsSync(socket));
  t.equal((await follower.exited).code, 3);
  t.match(follower.stderr.join('\n'), /^xctl events: .*ended the stream$/);
});

const MOMENTS = 15;

t.test('SIGTERM at any moment of the start ends it, with nothing left behind', async (t) => {
  const dir = scratch(t);
  const whole = performance.now();
  const first = await startRaw(t, { socket: join(dir, 'whole.sock') });
  await first.errorLine(READY, 30_000);
  const startMs = performance.now() - whole;
  await first.stop('SIGTERM');
  for (let moment = 0; moment < MOMENTS; moment++) {
    const socket = join(dir, `${moment}.sock`);
    const agent = await startRaw(t, { socket });
    await sleep((startMs * moment) / (MOMENTS - 1));
    agent.kill('SIGTERM');
    const exit = await until(() => (agent.running ? undefined : agent.exited), {
      timeoutMs: 10_000,
      what: `the end after SIGTERM at ${moment + 1} of ${MOMENTS}`,
    });
    // Before Node runs our first line, the signal ends it as it ends any program.
    const clean = exit.code === 0 || exit.signal === 'SIGTERM';
    t.ok(clean, `moment ${moment + 1}: ${JSON.stringify(exit)} ${agent.stderr.slice(-2).join(' ')}`);
    if (exit.code === 0) t.match(agent.stderr.at(-1), /"msg":"stopped"/);
    t.same(logged(agent, 'error'), []);
    t.same(stackFlaws(agent.stderr.join('\n')), []);
    t.notOk(existsSync(socket), `moment ${moment + 1}: no socket`);
  }
});
