/** Who is asked, in which order, who is not; and that nobody's failure takes the deterministic answer away. */
import t, { type Test } from 'tap';
import { makeCase } from '../../src/diag/case.js';
import { addCase } from '../../src/diag/cases.js';
import { diagnose, type Helpers } from '../../src/diag/diagnose.js';
import type { Diagnosis } from '../../src/diag/diagnosis.js';
import { modelSettings, openModel } from '../../src/diag/model.js';
import { Qdrant, qdrantSettings } from '../../src/diag/qdrant.js';
import { HEALTHY, UNKNOWN, WHY } from '../cli/answers.js';
import { tempDir } from '../cli/helpers.js';
import { HIT, inputOf, NO_HELPERS, RULES } from './fixtures.js';
import { serveQdrant } from './lib/qdrant.js';
import { completion, type Handler, type LoopbackServer, sendJson, serveLoopback } from './lib/server.js';

const MADE = makeCase(WHY, {
  name: 'uplink-lost',
  title: undefined,
  cause: 'the uplink was lost',
  steps: ['replace the cable'],
});
const SAID = { cause: { text: 'host-2 is down', evidence: ['e2'] }, checks: ['Look at host-2.'] };

const states = ({ sources }: Diagnosis): string[] => sources.map(({ source, state }) => `${source} ${state}`);

async function withModel(
  t: Test,
  handler: Handler,
  timeoutMs = 20_000,
): Promise<{ readonly helpers: Helpers; readonly server: LoopbackServer }> {
  const server = await serveLoopback(t, handler);
  const settings = modelSettings({ url: `${server.url}/v1`, model: 'm', api: undefined, timeoutMs }, {});
  if (settings === undefined) throw new Error('not configured');
  return { helpers: { ...NO_HELPERS, model: await openModel(settings) }, server };
}

async function library(t: Test): Promise<string> {
  const dir = tempDir(t);
  await addCase(dir, MADE);
  return dir;
}

async function remote(t: Test): Promise<{ readonly qdrant: Qdrant; readonly server: LoopbackServer }> {
  const { server } = await serveQdrant(t);
  const settings = qdrantSettings(server.url, {}, 20_000);
  if (settings === undefined) throw new Error('not configured');
  const qdrant = new Qdrant(settings, NO_HELPERS.signal);
  await qdrant.put([MADE]);
  return { qdrant, server };
}

t.test('a rule answers: nobody else is asked', async (t) => {
  const { helpers, server } = await withModel(t, (_asked, response) =>
    sendJson(response, completion(JSON.stringify(SAID))),
  );
  const { qdrant, server: vectors } = await remote(t);
  const before = vectors.asked.length;
  const all = { ...helpers, knowledge: await library(t), remoteCases: qdrant };
  let early = 0;
  const diagnosis = await diagnose(inputOf(WHY, [HIT]), all, async () => void early++);
  t.match(diagnosis, {
    answeredBy: 'rules',
    cause: HIT.rootCause,
    steps: HIT.steps,
    cases: [],
    model: null,
    why: WHY,
  });
  t.same(states(diagnosis), ['rules used', 'knowledge not-asked', 'qdrant not-asked', 'model not-asked']);
  t.equal(server.connections + vectors.asked.length - before + early, 0);
});

t.test('a rule for another finding does not answer, but is told', async (t) => {
  const diagnosis = await diagnose(inputOf(WHY, [{ ...HIT, finding: 1 }]), NO_HELPERS);
  t.match(diagnosis, { answeredBy: 'graph', cause: WHY.summary, rules: [{ finding: 1 }] });
  t.same(states(diagnosis), [
    'rules no-hit',
    'knowledge not-configured',
    'qdrant not-configured',
    'model not-configured',
  ]);
  t.match(diagnosis.sources[0]?.detail, /none of 44 holds; those that hold are about another finding/);
});

t.test('no rule: a case of the library; then one from elsewhere; then the model', async (t) => {
  const { helpers, server } = await withModel(t, (_asked, response) =>
    sendJson(response, completion(JSON.stringify(SAID))),
  );
  const { qdrant } = await remote(t);
  const files = await diagnose(inputOf(WHY), {
    ...helpers,
    knowledge: await library(t),
    remoteCases: qdrant,
  });
  t.match(files, {
    answeredBy: 'knowledge',
    cause: MADE.cause,
    steps: [{ text: 'replace the cable', run: null }],
  });
  t.same(states(files), ['rules no-hit', 'knowledge used', 'qdrant not-asked', 'model not-asked']);

  const far = await diagnose(inputOf(WHY), { ...helpers, knowledge: tempDir(t), remoteCases: qdrant });
  t.match(far, {
    answeredBy: 'knowledge',
    cause: MADE.cause,
    cases: [{ source: 'qdrant xctl-cases/uplink-lost' }],
  });
  t.same(states(far), ['rules no-hit', 'knowledge no-hit', 'qdrant used', 'model not-asked']);
  t.equal(server.connections, 0, 'the model was not asked so far');

  const asked = await diagnose(inputOf(UNKNOWN), {
    ...helpers,
    knowledge: await library(t),
    remoteCases: qdrant,
  });
  t.same(states(asked), ['rules no-hit', 'knowledge no-hit', 'qdrant no-hit', 'model failed']);
  t.match(asked.sources[3]?.detail, /cites evidence that is not there: "e2"/, 'this answer has no such fact');
  t.match(asked, { answeredBy: 'graph', cause: UNKNOWN.summary, model: null });

  const told = await diagnose(inputOf(WHY), helpers);
  t.match(told, {
    answeredBy: 'model',
    cause: '10.0.0.2 is down',
    model: {
      cause: { text: '10.0.0.2 is down', evidence: ['e2'], hypothesis: false },
      checks: ['Look at 10.0.0.2.'],
    },
  });
  t.same(
    told.steps.map(({ text }) => text),
    [...WHY.recommendations, 'Look at 10.0.0.2.'],
    'what is known to help comes first',
  );
  t.same(told.why, WHY, 'the deterministic answer stays what it is');
  const sent = server.asked.map(({ body }) => body).join('');
  t.notMatch(sent, /10\.0\.0|4242|4250|python3|gpu-07|29500/, 'and no name was sent');
});

t.test('healthy: nothing to ask anybody', async (t) => {
  const { helpers, server } = await withModel(t, (_asked, response) => sendJson(response, {}));
  const diagnosis = await diagnose(inputOf(HEALTHY), { ...helpers, knowledge: '/nowhere' });
  t.same(states(diagnosis), [
    'rules not-asked',
    'knowledge not-asked',
    'qdrant not-asked',
    'model not-asked',
  ]);
  t.equal(diagnosis.answeredBy, 'graph');
  t.equal(server.connections, 0);
});

t.test('the local answer is there before anybody is asked', async (t) => {
  const order: string[] = [];
  const { helpers } = await withModel(t, (_asked, response) => {
    order.push('model');
    sendJson(response, completion(JSON.stringify(SAID)));
  });
  const diagnosis = await diagnose(inputOf(WHY), helpers, async (known, asking) => {
    order.push('local');
    t.same(asking, ['model']);
    t.match(known, { answeredBy: 'graph', cause: WHY.summary, model: null });
  });
  t.same(order, ['local', 'model']);
  t.equal(diagnosis.answeredBy, 'model');
});

t.test("others' failures: each said, the answer stands", async (t) => {
  const lines: readonly (readonly [string, Handler, RegExp])[] = [
    ['hangs', () => {}, /no whole answer within 0\.3 s/],
    ['HTML', (_asked, response) => void response.end('<html>'), /an HTML page/],
    [
      'a limit',
      (_asked, response) => sendJson(response, {}, 429, { 'retry-after': '60' }),
      /rate limit reached .*60 s/,
    ],
    [
      'bad JSON',
      (_asked, response) => sendJson(response, completion('{"cause":')),
      /its answer is not used: it is no JSON/,
    ],
    [
      'an invented pid',
      (_asked, response) =>
        sendJson(response, completion(JSON.stringify({ cause: { text: 'pid 1 did it', evidence: [] } }))),
      /its answer is not used: it names what it was never told of/,
    ],
    [
      'its prompt',
      (asked, response) =>
        sendJson(
          response,
          completion(
            JSON.stringify({
              cause: { text: String(JSON.parse(asked.body).messages[0].content).slice(0, 500), evidence: [] },
            }),
          ),
        ),
      /repeats its instructions/,
    ],
  ];
  for (const [what, handler, message] of lines) {
    const { helpers } = await withModel(t, handler, what === 'hangs' ? 300 : 20_000);
    const diagnosis = await diagnose(inputOf(WHY), helpers);
    t.match(diagnosis, { answeredBy: 'graph', cause: WHY.summary, model: null, why: WHY }, what);
    t.same(states(diagnosis)[3], 'model failed', what);
    t.match(diagnosis.sources[3]?.detail, message, what);
  }
});

t.test('a library that cannot be read, a Qdrant that is not there: on to the model', async (t) => {
  const { helpers } = await withModel(t, (_asked, response) =>
    sendJson(response, completion(JSON.stringify(SAID))),
  );
  const settings = qdrantSettings('http://127.0.0.1:1', {}, 5_000);
  if (settings === undefined) throw new Error('not configured');
  const diagnosis = await diagnose(inputOf(WHY), {
    ...helpers,
    knowledge: '/nowhere/at/all',
    remoteCases: new Qdrant(settings, NO_HELPERS.signal),
  });
  t.same(states(diagnosis), ['rules no-hit', 'knowledge failed', 'qdrant failed', 'model used']);
  t.match(diagnosis.sources[1]?.detail, /cannot read \/nowhere\/at\/all \(ENOENT\)/);
});

t.test('no rules, refused rules, offline: said', async (t) => {
  const none = await diagnose(
    { ...inputOf(WHY), rules: { ...RULES, rules: 0, directory: null } },
    { ...NO_HELPERS, offline: true },
  );
  t.same(states(none)[0], 'rules not-configured');
  t.match(none.sources[3], { state: 'not-configured', detail: '--offline: nothing leaves this node' });
  t.match(none.sources[1]?.detail, /--knowledge DIR/);
  const refused = [{ file: 'x.yaml', errors: ['x.yaml:1:1: no'] }];
  const some = await diagnose({ ...inputOf(WHY, [HIT]), rules: { ...RULES, refused } }, NO_HELPERS);
  t.match(some.sources[0]?.detail, /network-path-down \(network\.yaml:12\); 1 rule files refused/);
});
