/** Models that behave: what is sent and how it is read. Models that do not: hang, drip, stream for ever, HTML, limits, nonsense. */
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { type Model, type ModelApi, modelSettings, openModel } from '../../src/diag/model.js';
import { until } from '../lib/until.js';
import { completion, type Handler, type LoopbackServer, sendJson, serveLoopback } from './lib/server.js';

const PROMPT = { system: 'instructions', user: '{"a":1}' };
const never = new AbortController().signal;

interface Rig {
  readonly server: LoopbackServer;
  readonly model: Model;
}

async function rig(
  t: Test,
  handler: Handler,
  options: {
    readonly api?: ModelApi;
    readonly timeoutMs?: number;
    readonly path?: string;
    readonly key?: string;
  } = {},
): Promise<Rig> {
  const server = await serveLoopback(t, handler);
  const settings = modelSettings(
    {
      url: `${server.url}${options.path ?? '/v1'}`,
      model: 'test-model',
      api: options.api,
      timeoutMs: options.timeoutMs ?? 20_000,
    },
    options.key === undefined ? {} : { XCTL_MODEL_KEY: options.key },
  );
  if (settings === undefined) throw new Error('not configured');
  return { server, model: await openModel(settings) };
}

t.test('chat/completions', async (t) => {
  const { server, model } = await rig(t, (_asked, response) => sendJson(response, completion('text')), {
    key: 'sk-1',
  });
  t.equal(await model.ask(PROMPT, never), 'text');
  t.match(server.asked, [
    { method: 'POST', path: '/v1/chat/completions', headers: { authorization: 'Bearer sk-1' } },
  ]);
  t.same(JSON.parse(server.asked[0]?.body ?? ''), {
    model: 'test-model',
    stream: false,
    messages: [
      { role: 'system', content: 'instructions' },
      { role: 'user', content: '{"a":1}' },
    ],
  });
  t.match(model.name, /^test-model at 127\.0\.0\.1:\d+$/);
});

t.test('content in parts; no key, no header', async (t) => {
  const parts = [
    { type: 'text', text: 'te' },
    { type: 'text', text: 'xt' },
  ];
  const { server, model } = await rig(t, (_asked, response) => sendJson(response, completion(parts)), {
    path: '/v1/',
  });
  t.equal(await model.ask(PROMPT, never), 'text');
  t.equal(server.asked[0]?.headers.authorization, undefined);
  t.equal(server.asked[0]?.path, '/v1/chat/completions');
});

t.test('Messages API', async (t) => {
  const content = [
    { type: 'thinking', thinking: 'hm' },
    { type: 'text', text: 'te' },
    { type: 'text', text: 'xt' },
  ];
  for (const [path, asked] of [
    ['', '/v1/messages'],
    ['/v1', '/v1/messages'],
    ['/proxy/v1/', '/proxy/v1/messages'],
  ] as const) {
    const { server, model } = await rig(
      t,
      (_asked, response) => sendJson(response, { type: 'message', content, stop_reason: 'end_turn' }),
      { api: 'anthropic', path, key: 'sk-ant' },
    );
    t.equal(await model.ask(PROMPT, never), 'text');
    t.match(server.asked, [
      {
        path: asked,
        headers: { 'x-api-key': 'sk-ant', 'anthropic-version': '2023-06-01', authorization: undefined },
      },
    ]);
    t.match(JSON.parse(server.asked[0]?.body ?? ''), {
      model: 'test-model',
      system: 'instructions',
      stream: false,
      messages: [{ role: 'user', content: '{"a":1}' }],
    });
  }
});

t.test('settings', (t) => {
  const words = { url: undefined, model: undefined, api: undefined, timeoutMs: 1 };
  t.equal(modelSettings(words, {}), undefined, 'off unless configured');
  t.equal(
    modelSettings(words, { XCTL_MODEL: 'm', OPENAI_API_KEY: 'k', ANTHROPIC_API_KEY: 'k' }),
    undefined,
    'a key alone configures nothing',
  );
  t.match(modelSettings(words, { XCTL_MODEL_URL: 'http://127.0.0.1/v1', XCTL_MODEL: 'm' }), {
    api: 'openai',
    model: 'm',
  });
  const env = { XCTL_MODEL: 'm', OPENAI_API_KEY: 'for-openai', ANTHROPIC_API_KEY: 'for-anthropic' };
  const keyAt = (url: string): string | undefined => modelSettings({ ...words, url }, env)?.key;
  t.equal(keyAt('https://api.openai.com/v1'), 'for-openai');
  t.equal(keyAt('https://api.anthropic.com'), 'for-anthropic');
  t.equal(keyAt('https://models.example/v1'), undefined, "nobody else gets a vendor's key");
  t.equal(modelSettings({ ...words, url: 'https://api.anthropic.com' }, env)?.api, 'anthropic');
  for (const [url, message] of [
    ['ftp://x/', /http or https/],
    ['nonsense', /http or https/],
    ['https://user:secret@x/v1', /no user or password/],
    ['https://x/v1?key=1', /no \? and no #/],
  ] as const) {
    t.throws(() => modelSettings({ ...words, url }, env), { name: 'UsageError', message }, url);
  }
  t.throws(() => modelSettings({ ...words, url: 'https://u:hush@' }, env), { message: /^(?!.*hush)/ });
  t.throws(() => modelSettings({ ...words, model: 'm' }, {}), { message: /--model needs --model-url/ });
  t.throws(() => modelSettings({ ...words, url: 'http://127.0.0.1/v1' }, {}), {
    message: /--model-url needs --model/,
  });
  t.throws(
    () => modelSettings({ ...words, url: 'http://models.example/v1' }, { ...env, XCTL_MODEL_KEY: 'k' }),
    { message: /unencrypted/ },
    'a key never goes over the network in the clear',
  );
  t.throws(() => modelSettings({ ...words, url: 'https://x/v1' }, { ...env, XCTL_MODEL_KEY: 'k\nx: y' }), {
    message: /control characters/,
  });
  t.end();
});

const FAILURES: readonly (readonly [string, Handler, RegExp])[] = [
  [
    'HTML',
    (_asked, response) => {
      response.writeHead(200, { 'content-type': 'text/html' });
      response.end('<!doctype html><title>Sign in</title>');
    },
    /HTTP 200: it answered with an HTML page; is the URL the base of the API\?/,
  ],
  [
    'a rate limit',
    (_asked, response) =>
      sendJson(response, { error: { message: 'slow down' } }, 429, { 'retry-after': '17' }),
    /rate limit reached \(HTTP 429\); it asks to wait 17 s/,
  ],
  [
    'a rate limit without JSON, with a hostile header',
    (_asked, response) => {
      response.writeHead(429, { 'retry-after': '<b>1' });
      response.end('no');
    },
    /^rate limit reached \(HTTP 429\)$/,
  ],
  [
    'an error',
    (_asked, response) => sendJson(response, { error: { message: 'no such\nmodel \u001b[2J' } }, 404),
    /^HTTP 404: no such model \\x1b\[2J$/,
  ],
  [
    'an error in other words',
    (_asked, response) => sendJson(response, { detail: 'overloaded' }, 529),
    /^HTTP 529: overloaded$/,
  ],
  [
    'a key sent back',
    (_asked, response) => sendJson(response, { error: 'bad key sk-hush' }, 401),
    /^HTTP 401: bad key …$/,
  ],
  ['bad JSON', (_asked, response) => void response.end('{"choices":[{'), /it answered with no JSON/],
  ['nothing', (_asked, response) => void response.end(), /it answered with nothing/],
  [
    'another API',
    (_asked, response) => sendJson(response, { hello: 1 }),
    /no text where chat\/completions has it/,
  ],
  ['an empty text', (_asked, response) => sendJson(response, completion('')), /no text/],
  [
    'a refusal',
    (_asked, response) => sendJson(response, { choices: [{ message: { refusal: 'no' } }] }),
    /refused/,
  ],
  [
    'somewhere else',
    (_asked, response) => {
      response.writeHead(307, { location: 'http://127.0.0.1:1/steal' });
      response.end('{}');
    },
    /sends us elsewhere, which is not followed/,
  ],
  ['cut off', (_asked, response) => void response.socket?.destroy(), /cannot be reached \(/],
  [
    'more than a model has to say',
    (_asked, response) => sendJson(response, completion('x'.repeat(300 << 10))),
    /its answer is over 256 KiB/,
  ],
  [
    'little that would unpack to much',
    (_asked, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' });
      response.end(gzipSync(Buffer.alloc(64 << 20)));
    },
    /it answered with no JSON/,
  ],
];

t.test('servers that do not behave: one line each', async (t) => {
  for (const [what, handler, message] of FAILURES) {
    const { model } = await rig(t, handler, { key: 'sk-hush' });
    await t.rejects(model.ask(PROMPT, never), { name: 'RemoteError', message }, what);
  }
});

t.test('Anthropic answers that are none', async (t) => {
  for (const [body, message] of [
    [{ content: [], stop_reason: 'end_turn' }, /no text/],
    [{ content: [{ type: 'text', text: 'x' }], stop_reason: 'refusal' }, /refused/],
    [{ content: [{ type: 'text', text: 'x' }], stop_reason: 'max_tokens' }, /over 4096 tokens/],
    [{ type: 'error' }, /no content/],
  ] as const) {
    const { model } = await rig(t, (_asked, response) => sendJson(response, body), { api: 'anthropic' });
    await t.rejects(model.ask(PROMPT, never), { name: 'RemoteError', message });
  }
});

t.test('one that hangs, and one that drips for ever: given up, connection closed', async (t) => {
  const hangs: Handler = () => {};
  const drips: Handler = (_asked, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const timer = setInterval(() => response.write(' '), 20);
    response.on('close', () => clearInterval(timer));
  };
  for (const handler of [hangs, drips]) {
    const { server, model } = await rig(t, handler, { timeoutMs: 300 });
    await t.rejects(model.ask(PROMPT, never), {
      name: 'RemoteError',
      message: 'no whole answer within 0.3 s',
    });
    await until(() => server.open === 0, { timeoutMs: 10_000, what: 'the connection to be closed' });
  }
});

t.test('one that streams for ever as fast as it can: cut at the bound', async (t) => {
  const { server, model } = await rig(t, (_asked, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const chunk = Buffer.alloc(16 << 10, 'data: {"choices":[{"delta":{"content":"a"}}]}\n\n');
    const more = (): void => {
      while (!response.destroyed && response.write(chunk)) {}
    };
    response.on('drain', more);
    more();
  });
  await t.rejects(model.ask(PROMPT, never), { name: 'RemoteError', message: 'its answer is over 256 KiB' });
  await until(() => server.open === 0, { timeoutMs: 10_000, what: 'the connection to be closed' });
});

t.test('Ctrl-C, and nobody there', async (t) => {
  const abort = new AbortController();
  const { model } = await rig(t, () => abort.abort());
  await t.rejects(model.ask(PROMPT, abort.signal), { name: 'RemoteError', message: 'interrupted' });
  const settings = modelSettings(
    { url: 'http://127.0.0.1:1/v1', model: 'm', api: undefined, timeoutMs: 20_000 },
    {},
  );
  if (settings === undefined) throw new Error('not configured');
  await t.rejects((await openModel(settings)).ask(PROMPT, never), {
    name: 'RemoteError',
    message: 'cannot be reached (ECONNREFUSED)',
  });
});
