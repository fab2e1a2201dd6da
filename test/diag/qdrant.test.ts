/** The Qdrant adapter against a server that keeps to Qdrant's API, and against some that do not. */
import t, { type Test } from 'tap';
import { hitsAmong, makeCase } from '../../src/diag/case.js';
import { Qdrant, qdrantSettings } from '../../src/diag/qdrant.js';
import { DEADLOCK, EXITED, WHY } from '../cli/answers.js';
import { serveQdrant } from './lib/qdrant.js';
import { type Handler, sendJson, serveLoopback } from './lib/server.js';

const never = new AbortController().signal;
const WORDS = { title: undefined, cause: 'the uplink was lost', steps: ['replace the cable'] };
const CASES = [
  makeCase(WHY, { ...WORDS, name: 'uplink-lost' }),
  makeCase(DEADLOCK, { ...WORDS, name: 'lock-order' }),
  makeCase(EXITED, { ...WORDS, name: 'too-small-a-limit' }),
];

function adapter(url: string, env: Readonly<Record<string, string>> = {}, timeoutMs = 20_000): Qdrant {
  const settings = qdrantSettings(url, env, timeoutMs);
  if (settings === undefined) throw new Error('not configured');
  return new Qdrant(settings, never);
}

t.test('cases are put there and found again, from the vector alone', async (t) => {
  const { server, collections } = await serveQdrant(t, 'hush');
  const qdrant = adapter(server.url, { XCTL_QDRANT_KEY: 'hush' });
  await qdrant.put(CASES);
  t.same([...collections.keys()], ['xctl-cases'], 'the collection was made');
  await qdrant.put(CASES);
  t.equal(collections.get('xctl-cases')?.points.size, 3, 'put twice is there once');

  const asked = server.asked.length;
  const { cases, refused } = await qdrant.near(WHY);
  t.same(refused, []);
  t.equal(cases[0]?.case.name, 'uplink-lost', 'the nearest first');
  t.match(hitsAmong(WHY, cases), [
    { name: 'uplink-lost', likeness: 1, source: 'qdrant xctl-cases/uplink-lost' },
  ]);
  t.same(
    hitsAmong(DEADLOCK, (await qdrant.near(DEADLOCK)).cases).map(({ name }) => name),
    ['lock-order'],
  );
  t.same(Object.keys(JSON.parse(server.asked[asked]?.body ?? '')), ['query', 'limit', 'with_payload']);
  t.match(server.asked[asked]?.body, /^[-\d.,[\]{}e"a-z_:]+$/, 'nothing but numbers is asked with');
});

t.test('more than a batch, a collection of another name', async (t) => {
  const { server, collections } = await serveQdrant(t);
  const qdrant = adapter(`${server.url}/collections/team-a`);
  await qdrant.put(Array.from({ length: 250 }, (_, n) => makeCase(WHY, { ...WORDS, name: `case-${n}` })));
  t.equal(collections.get('team-a')?.points.size, 250);
  t.match(qdrant.name, /^team-a at 127\.0\.0\.1:/);
});

t.test("somebody else's collection is not written to", async (t) => {
  const { server, collections } = await serveQdrant(t);
  collections.set('xctl-cases', { size: 768, distance: 'Cosine', points: new Map() });
  await t.rejects(adapter(server.url).put(CASES), {
    name: 'RemoteError',
    message: /vectors of 768, we need 256/,
  });
  await t.rejects(adapter(server.url).near(WHY), {
    name: 'RemoteError',
    message: /expected dim: 768, got 256/,
  });
});

t.test('no collection, no key', async (t) => {
  const open = await serveQdrant(t);
  await t.rejects(adapter(open.server.url).near(WHY), {
    name: 'RemoteError',
    message: /^HTTP 404: Not found: Collection/,
  });
  const closed = await serveQdrant(t, 'hush');
  await t.rejects(adapter(closed.server.url).near(WHY), { name: 'RemoteError', status: 401 });
});

t.test(
  'what a hostile server gives back is checked like a file, and its scores are not believed',
  async (t) => {
    const points = [
      { id: 1, score: 1, payload: { ...CASES[1], name: 'lock-order' } },
      { id: 2, score: 0.99, payload: { ...CASES[0], cause: 'x'.repeat(10_000) } },
      { id: 'x\u001b[2J', score: 0.98, payload: { html: true } },
      'nonsense',
      { id: 3, score: -5, payload: CASES[0] },
    ];
    const server = await serveLoopback(t, (_asked, response) => sendJson(response, { result: { points } }));
    const { cases, refused } = await adapter(server.url).near(WHY);
    t.equal(refused.length, 3);
    t.notMatch(JSON.stringify(refused), /\\u001b/);
    t.same(
      hitsAmong(WHY, cases).map(({ name }) => name),
      ['uplink-lost'],
    );
  },
);

const BAD: readonly (readonly [string, Handler, RegExp])[] = [
  ['HTML', (_asked, response) => void response.end('<html>'), /an HTML page/],
  ['another API', (_asked, response) => sendJson(response, { ok: true }), /none of Qdrant/],
  ['no points', (_asked, response) => sendJson(response, { result: [] }), /holds no points/],
  ['a rate limit', (_asked, response) => sendJson(response, {}, 429, { 'retry-after': '3' }), /wait 3 s/],
  ['too much', (_asked, response) => sendJson(response, { result: 'x'.repeat(3 << 20) }), /over 2048 KiB/],
];

t.test('servers that do not behave', async (t: Test) => {
  for (const [what, handler, message] of BAD) {
    const server = await serveLoopback(t, handler);
    await t.rejects(adapter(server.url).near(WHY), { name: 'RemoteError', message }, what);
  }
  const hangs = await serveLoopback(t, () => {});
  await t.rejects(adapter(hangs.url, {}, 300).near(WHY), { name: 'RemoteError', message: /within 0\.3 s/ });
});

t.test('settings', (t) => {
  t.equal(qdrantSettings(undefined, {}, 1), undefined);
  t.match(qdrantSettings(undefined, { XCTL_QDRANT_URL: 'http://q:6333' }, 1), {
    collection: 'xctl-cases',
    key: undefined,
  });
  t.match(qdrantSettings('https://q/base/collections/c/', {}, 1), {
    collection: 'c',
    url: { pathname: '/base' },
  });
  t.throws(() => qdrantSettings('https://q/collections/', {}, 1), {
    name: 'UsageError',
    message: /names no collection/,
  });
  t.throws(() => qdrantSettings('https://q/collections/a%2fb', {}, 1), { name: 'UsageError' });
  t.throws(() => qdrantSettings('http://q:6333', { XCTL_QDRANT_KEY: 'k' }, 1), { message: /unencrypted/ });
  t.end();
});
