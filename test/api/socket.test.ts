/** The socket file: rights, stale ones, rivals, and whose it is at the end. */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import t from 'tap';
import { ApiServer } from '../../src/api/server.js';
import { RefusedError, UsageError } from '../../src/util/errors.js';
import { createLog } from '../../src/util/log.js';
import { ScriptedBackend } from '../cli/backend.js';
import { serve, tempDir } from '../cli/helpers.js';

const NOBODY = 65534;
const isRoot = process.getuid?.() === 0;

function quiet(socketPath: string, groupFile?: string): ApiServer {
  return new ApiServer({
    socketPath,
    backend: new ScriptedBackend(),
    log: createLog('error', () => {}),
    ...(groupFile !== undefined && { groupFile }),
  });
}

t.test('without the group the socket is for its owner only, whatever the umask', async (t) => {
  const umask = process.umask(0);
  t.teardown(() => process.umask(umask));
  const dir = tempDir(t, { group: 'root:x:0:\n' });
  const path = join(dir, 'run', 'a.sock');
  const server = quiet(path, join(dir, 'group'));
  t.teardown(() => server.stop());
  await server.start();
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.equal(statSync(dirname(path)).mode & 0o777, 0o750, 'its directory');
  t.equal(process.umask(), 0, 'the umask is as before');
});

t.test('with the group it is root:xctl 0660', { skip: !isRoot && 'needs root' }, async (t) => {
  const dir = tempDir(t, { group: 'root:x:0:\nnotxctl:x:5:\nxctl:x:4711:alice\n' });
  const path = join(dir, 'run', 'a.sock');
  const server = quiet(path, join(dir, 'group'));
  t.teardown(() => server.stop());
  await server.start();
  const { mode, gid } = statSync(path);
  t.equal(mode & 0o777, 0o660);
  t.equal(gid, 4711);
  t.equal(statSync(dirname(path)).gid, 4711, 'the group can pass the directory');
});

t.test('a directory that is there keeps its rights', async (t) => {
  const dir = join(tempDir(t), 'mine');
  mkdirSync(dir);
  chmodSync(dir, 0o711);
  await serve(t, {}, join(dir, 'a.sock'));
  t.equal(statSync(dir).mode & 0o777, 0o711);
  t.same(readdirSync(dir), ['a.sock'], 'nothing else is left in it');
});

t.test('a second agent is refused, and the first keeps its socket', async (t) => {
  const { path } = await serve(t);
  const { ino } = lstatSync(path);
  const second = quiet(path);
  await t.rejects(
    second.start(),
    new RefusedError(`another xctl-agent (pid ${process.pid}) answers at ${path}`),
  );
  await second.stop();
  t.equal(lstatSync(path).ino, ino);
});

t.test('a hung agent is still an agent', async (t) => {
  const path = join(tempDir(t), 'a.sock');
  const hung = createServer(() => {});
  await new Promise<void>((resolve) => hung.listen(path, resolve));
  t.teardown(() => hung.close());
  await t.rejects(quiet(path).start(), {
    name: 'RefusedError',
    message: `another xctl-agent answers at ${path}`,
  });
});

t.test('a stale socket is replaced', async (t) => {
  const path = join(tempDir(t), 'a.sock');
  const dead = spawn(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ]);
  await new Promise((resolve) => dead.on('exit', resolve));
  t.ok(lstatSync(path).isSocket(), 'left behind');
  const { log } = await serve(t, {}, path);
  t.match(log.join(''), /removed a stale socket/);
});

t.test('of two agents that start at once one wins', async (t) => {
  const path = join(tempDir(t), 'a.sock');
  const rivals = [quiet(path), quiet(path), quiet(path)];
  t.teardown(() => Promise.all(rivals.map((rival) => rival.stop())));
  const results = await Promise.allSettled(rivals.map((rival) => rival.start()));
  t.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
});

t.test('what is no socket is not touched', async (t) => {
  const path = join(tempDir(t), 'a.sock');
  writeFileSync(path, 'precious');
  await t.rejects(quiet(path).start(), { name: 'RefusedError', message: /is no socket; remove it/ });
  t.ok(existsSync(path));
});

t.test('a path that is too long says so', async (t) => {
  const path = join(tempDir(t), 'x'.repeat(120));
  await t.rejects(quiet(path).start(), UsageError);
});

t.test('stop() removes the socket only while it is ours', async (t) => {
  const { path, server } = await serve(t);
  await server.stop();
  t.notOk(existsSync(path), 'gone');

  const first = await serve(t, {}, path);
  renameSync(path, `${path}.old`);
  const second = await serve(t, {}, path);
  await first.server.stop();
  t.ok(existsSync(path), 'the successor is left alone');
  await second.server.stop();
  t.notOk(existsSync(path));
});

t.test('no permission', { skip: !isRoot && 'needs root' }, async (t) => {
  const path = join(tempDir(t), 'run', 'a.sock');
  // The directory is made before start() comes back, so only that is done as nobody.
  process.seteuid?.(NOBODY);
  const starting = quiet(path).start();
  process.seteuid?.(0);
  await t.rejects(starting, {
    name: 'RefusedError',
    message: /^cannot make the socket .* \(EACCES\); run as root/,
  });
});
