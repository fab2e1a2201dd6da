import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import t from 'tap';
import { type MetricsPages, MetricsServer } from '../../src/agent/http-metrics.js';
import { keptLog } from './fixtures.js';

const PAGES: MetricsPages = {
  contentType: 'text/plain; version=0.0.4; charset=utf-8',
  render: async () => 'xctl_x 1\n',
  healthy: () => true,
  ready: () => true,
};

async function serve(
  t: { teardown(fn: () => unknown): void },
  pages: Partial<MetricsPages> = {},
): Promise<number> {
  const server = new MetricsServer({ port: 0, address: '127.0.0.1' }, { ...PAGES, ...pages }, keptLog().log);
  t.teardown(() => server.stop());
  return server.start();
}

interface Reply {
  readonly status: number;
  readonly type: string | undefined;
  readonly body: string;
}

function ask(port: number, path: string, method = 'GET'): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, method, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text) => {
        body += text;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'], body }),
      );
    });
    asked.on('error', reject);
    asked.end();
  });
}

t.test('pages', async (t) => {
  const port = await serve(t);
  t.strictSame(await ask(port, '/metrics'), { status: 200, type: PAGES.contentType, body: 'xctl_x 1\n' });
  t.match(await ask(port, '/metrics?name=x'), { status: 200 });
  t.match(await ask(port, '/metrics', 'HEAD'), { status: 200, body: '' });
  t.match(await ask(port, '/healthz'), { status: 200, body: 'ok\n' });
  t.match(await ask(port, '/readyz'), { status: 200, body: 'ok\n' });
  t.match(await ask(port, '/'), { status: 200, type: /^text\/html/, body: /href="\/metrics"/ });
  t.match(await ask(port, '/etc/passwd'), { status: 404, body: /try \/metrics/ });
  t.match(await ask(port, '//'), { status: 404 });
  t.match(await ask(port, '/metrics', 'POST'), { status: 405 });
});

t.test('not ready, not healthy, not renderable', async (t) => {
  const port = await serve(t, {
    ready: () => false,
    healthy: () => false,
    render: async () => {
      throw new Error('/secret/path');
    },
  });
  t.match(await ask(port, '/readyz'), { status: 503, body: /probes are being attached/ });
  t.match(await ask(port, '/healthz'), { status: 503 });
  const failed = await ask(port, '/metrics');
  t.equal(failed.status, 500);
  t.notMatch(failed.body, /secret/);
});

t.test('any number of scrapers at once cost one render', async (t) => {
  let renders = 0;
  let finish: (text: string) => void = () => {};
  const port = await serve(t, {
    render: () => {
      renders++;
      return new Promise((resolve) => {
        finish = resolve;
      });
    },
  });
  let arrived = 0;
  const scrapes = Array.from({ length: 10 }, async () => {
    const reply = ask(port, '/metrics');
    arrived++;
    return reply;
  });
  // The last to connect is answered on a page of its own: by then the others have been taken.
  while (arrived < 10) await new Promise((resolve) => setImmediate(resolve));
  await ask(port, '/healthz');
  await ask(port, '/healthz');
  finish('a 1\n');
  for (const reply of await Promise.all(scrapes)) t.equal(reply.body, 'a 1\n');
  t.equal(renders, 1);
});

t.test('a port in use, an address that is not ours', async (t) => {
  const port = await serve(t);
  await t.rejects(new MetricsServer({ port, address: '127.0.0.1' }, PAGES, keptLog().log).start(), {
    name: 'XctlError',
    message: `--metrics-port ${port} is in use on 127.0.0.1; give another port, or 0 for any`,
  });
  await t.rejects(new MetricsServer({ port: 0, address: '192.0.2.1' }, PAGES, keptLog().log).start(), {
    message: '--metrics-address 192.0.2.1 is no address of this host',
  });
});

t.test('stop() does not wait for who holds a connection', async (t) => {
  const server = new MetricsServer({ port: 0, address: '127.0.0.1' }, PAGES, keptLog().log);
  const port = await server.start();
  const idle = connect(port, '127.0.0.1');
  const half = connect(port, '127.0.0.1');
  await Promise.all([once(idle, 'connect'), once(half, 'connect')]);
  half.write('GET /metrics HTTP/1.1\r\n');
  half.on('error', () => {});
  idle.on('error', () => {});
  const closed = [idle, half].map(
    (socket) => new Promise<void>((resolve) => socket.on('close', () => resolve())),
  );
  await server.stop();
  idle.resume();
  half.resume();
  await Promise.all(closed);
  t.pass();
});
