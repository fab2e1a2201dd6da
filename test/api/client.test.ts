/** What the client makes of an agent that is not there, hangs, lies or refuses. */
import { readlinkSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createNetServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { AgentClient } from '../../src/api/client.js';
import { WHY } from '../cli/answers.js';
import { serve, tempDir } from '../cli/helpers.js';

const NOBODY = 65534;

function client(socketPath: string, timeoutMs = 5000): AgentClient {
  return new AgentClient({ socketPath, timeoutMs });
}

async function impostor(t: Test, listener: RequestListener): Promise<string> {
  const path = join(tempDir(t), 'a.sock');
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return path;
}

t.test('nobody there', async (t) => {
  const dir = tempDir(t, { file: '' });
  const path = join(dir, 'none.sock');
  await t.rejects(client(path).ps(), {
    name: 'NoAgentError',
    message: `no agent at ${path} (ENOENT); start it with: systemctl start xctl-agent`,
  });
  await t.rejects(client(join(dir, 'file')).ps(), { name: 'NoAgentError', message: /ECONNREFUSED|ENOTSOCK/ });
  await t.rejects(client(join(dir, 'file', 'x')).ps(), { name: 'NoAgentError', message: /ENOTDIR/ });
});

t.test('the asker says whose pids it counts in', async (t) => {
  const { path, backend } = await serve(t);
  t.same(await client(path).why(WHY.target.pid), WHY);
  const inode = /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0];
  t.equal(backend.asked[0]?.asker.pidNs, Number(inode));
});

t.test('an agent that hangs', async (t) => {
  const path = join(tempDir(t), 'a.sock');
  const server = createNetServer(() => {});
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.teardown(() => server.close());
  await t.rejects(client(path, 50).ps(), {
    name: 'XctlError',
    message: /did not answer within 0\.05 s; try --timeout 1/,
  });
});

t.test('an agent that hangs in the middle of its answer', async (t) => {
  const path = await impostor(t, (_request, response) => {
    response.writeHead(200, { 'content-length': 100 });
    response.write('{');
  });
  await t.rejects(client(path, 100).ps(), { name: 'XctlError', message: /did not answer within/ });
});

t.test('an agent that breaks off', async (t) => {
  const path = await impostor(t, (_request, response) => response.destroy());
  await t.rejects(client(path).ps(), {
    name: 'NoAgentError',
    message: /closed the connection \(ECONNRESET\)/,
  });
});

t.test('an agent of another version, and one that talks nonsense', async (t) => {
  const other = await impostor(t, (_request, response) => response.end('{"apiVersion":"xctl/v9"}'));
  await t.rejects(client(other).ps(), {
    message: /speaks "xctl\/v9" and this xctl xctl\/v1; install the same/,
  });
  const mad = await impostor(t, (request, response) => {
    if (request.url === '/v1/graph') response.statusCode = 500;
    response.end('not json');
  });
  await t.rejects(client(mad).ps(), { name: 'XctlError', message: /cannot be read/ });
  await t.rejects(client(mad).graph(), { name: 'XctlError', message: 'the agent failed: not json' });
});

t.test('an abort gives up at once', async (t) => {
  const { path, backend } = await serve(t);
  backend.answers.why = () => new Promise(() => {});
  const abort = new AbortController();
  const asked = new AgentClient({ socketPath: path, timeoutMs: 60_000, signal: abort.signal }).why(1);
  abort.abort(new Error('enough'));
  await t.rejects(asked, { message: 'enough' });
});

t.test('no permission', { skip: process.getuid?.() !== 0 && 'needs root' }, async (t) => {
  const { path } = await serve(t);
  // connect(2) happens before ps() comes back, so only that is done as nobody.
  process.seteuid?.(NOBODY);
  const asked = client(path).ps();
  process.seteuid?.(0);
  await t.rejects(asked, {
    name: 'RefusedError',
    message: `${path} is root:xctl 0660 (EACCES); join group xctl or use sudo`,
  });
});
