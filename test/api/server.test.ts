/** The API on a real socket: routes, errors, limits, the end. */
import { connect } from 'node:net';
import { request } from 'node:http';
import t from 'tap';
import { RefusedError } from '../../src/util/errors.js';
import { DOCTOR, exitEvent, FINDINGS, GRAPH, PS, VERSION, WHY } from '../cli/answers.js';
import { serve } from '../cli/helpers.js';
import { until } from '../lib/until.js';

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

function ask(
  path: string,
  target: string,
  options: { readonly method?: string; readonly body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        socketPath: path,
        path: target,
        agent: false,
        method: options.method ?? 'GET',
        headers: { 'content-length': Buffer.byteLength(options.body ?? '') },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) }));
      },
    );
    asked.on('error', reject);
    asked.end(options.body);
  });
}

t.test('every route answers with what the backend says', async (t) => {
  const { path, backend } = await serve(t);
  for (const [target, expected] of [
    ['/v1/version', VERSION],
    ['/v1/doctor', DOCTOR],
    ['/v1/ps', PS],
    ['/v1/why', FINDINGS],
    ['/v1/why/4242', WHY],
    ['/v1/why/4242?pidNs=4026531836', WHY],
    ['/v1/graph', GRAPH],
    ['/v1/rdma-trace?seconds=7', { state: 'begun', seconds: 7 }],
    ['/healthz', { ok: true, pid: process.pid }],
  ] as const) {
    const answer = await ask(path, target);
    t.equal(answer.status, 200, target);
    t.same(answer.body, expected, target);
  }
  t.same(
    backend.asked.map(({ asker }) => asker.pidNs),
    [0, 4026531836],
    'the asker namespace comes through',
  );
  backend.isHealthy = false;
  t.equal((await ask(path, '/healthz')).status, 503);
});

t.test('errors say what they are', async (t) => {
  const { path, backend, server, log } = await serve(t);
  const code = async (target: string): Promise<[number, string]> => {
    const { status, body } = await ask(path, target);
    return [status, (body as { error: { code: string } }).error.code];
  };
  t.same(await code('/v1/why/1'), [404, 'no-process']);
  for (const bad of [
    '/v1/why/0',
    '/v1/why/-1',
    '/v1/why/4194305',
    '/v1/why/1e3',
    '/v1/why/%31',
    '/v1/why/1/2',
    '/v1/why/',
  ]) {
    t.same(await code(bad), [400, 'usage'], bad);
  }
  t.same(await code('/v1/why/1?pidNs=x'), [400, 'usage']);
  t.same(await code('/v1/events?type=Evil%1b'), [400, 'usage']);
  t.same(await code('/v1/events?pid=x'), [400, 'usage']);
  for (const bad of ['/v1/rdma-trace', '/v1/rdma-trace?seconds=', '/v1/rdma-trace?seconds=-1'])
    t.same(await code(bad), [400, 'usage'], bad);
  t.same(await code('/nothing'), [404, 'usage']);
  t.same(await code('//v1/ps'), [404, 'usage']);
  backend.answers.why = async () => {
    throw new RefusedError('not you');
  };
  t.same(await code('/v1/why/1'), [403, 'refused']);
  backend.answers.why = async () => {
    throw new TypeError('broken');
  };
  t.same(await code('/v1/why/1'), [500, 'internal']);
  t.match(log.at(-1) ?? '', /"stack":"TypeError: broken/, 'the stack is in the log and not in the answer');
  t.equal(server.stats.errorsTotal, 1);
});

t.test('anything but a plain GET is refused', async (t) => {
  const { path } = await serve(t);
  t.equal((await ask(path, '/v1/ps', { method: 'DELETE' })).status, 403);
  t.equal((await ask(path, '/v1/ps', { method: 'POST', body: '{}' })).status, 403);
  t.equal((await ask(path, '/v1/ps', { body: 'x' })).status, 403);
});

t.test('a backend that does not answer, and a head that is too long', async (t) => {
  const { path, backend } = await serve(t, { answerTimeoutMs: 50, maxHeaderBytes: 2048 });
  backend.answers.why = () => new Promise(() => {});
  t.match(await ask(path, '/v1/why/1'), { status: 500, body: { error: { message: /within 0\.05 s/ } } });
  const head = await new Promise<string>((resolve, reject) => {
    const socket = connect(path, () => socket.write(`GET /${'x'.repeat(4000)} HTTP/1.1\r\n`));
    socket.on('data', (data) => resolve(String(data)));
    socket.on('error', reject);
  });
  t.match(head, /^HTTP\/1\.1 431 /);
});

t.test('a client that sends half a request is cut off', async (t) => {
  const { path } = await serve(t, { requestTimeoutMs: 100 });
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(path, () => socket.write('GET /v1/ps HTTP/1.1\r\n'));
    let text = '';
    socket.on('data', (data) => {
      text += String(data);
    });
    socket.on('close', () => resolve(text));
    socket.on('error', reject);
  });
  t.match(answer, /^HTTP\/1\.1 408 /);
});

t.test('too many connections are turned away and counted', async (t) => {
  const { path, server } = await serve(t, { maxConnections: 2 });
  const held = [connect(path), connect(path)];
  t.teardown(() => {
    for (const socket of held) socket.destroy();
  });
  await Promise.all(held.map((socket) => new Promise((resolve) => socket.on('connect', resolve))));
  await t.rejects(ask(path, '/v1/ps'));
  t.equal(server.stats.refusedTotal, 1);
});

t.test('stop() ends open streams, open answers and idle connections', async (t) => {
  const { path, server, backend } = await serve(t, { stopMs: 50 });
  backend.answers.why = () => new Promise(() => {});
  const hanging = ask(path, '/v1/why/1');
  hanging.catch(() => {});
  const idle = connect(path);
  idle.on('error', () => {});
  const stream = await new Promise<{ ended: Promise<string> }>((resolve, reject) => {
    const asked = request({ socketPath: path, path: '/v1/events', agent: false }, (response) => {
      let text = '';
      response.on('data', (part) => {
        text += String(part);
      });
      resolve({ ended: new Promise((end) => response.on('end', () => end(text))) });
    });
    asked.on('error', reject);
    asked.end();
  });
  await until(() => backend.subscribers === 1, { timeoutMs: 5000, what: 'the stream to be subscribed' });
  backend.say(exitEvent(5));
  await server.stop();
  t.match(await stream.ended, /"type":"process.exit"/, 'what was said before the end arrives');
  t.equal(backend.subscribers, 0);
  await t.rejects(hanging);
  await server.stop();
  t.pass('twice is fine');
});
