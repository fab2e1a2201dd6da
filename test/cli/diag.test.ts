/** Command lines of `xctl diag` and `xctl cases` against a scripted agent, real files and real servers on loopback. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import t, { type Test } from 'tap';
import type { DiagnosisInput } from '../../src/api/contract.js';
import type { RuleHit } from '../../src/rules/model.js';
import type { WhyAnswer } from '../../src/scene/answer.js';
import { NoProcessError } from '../../src/util/errors.js';
import { HIT, inputOf } from '../diag/fixtures.js';
import { serveQdrant } from '../diag/lib/qdrant.js';
import { completion, sendJson, serveLoopback } from '../diag/lib/server.js';
import { until } from '../lib/until.js';
import { Story } from '../scene/build.js';
import { DEADLOCK, HEALTHY, onTheWire, UNKNOWN, WHY } from './answers.js';
import { RAW, runCli, serve, tempDir } from './helpers.js';

const HOSTILE = 'x\u001b[2J\u009b31m\u202e\u2028\r\u0007`rm -rf /`';

function asked(answer: WhyAnswer, hits: readonly RuleHit[] = []): () => Promise<DiagnosisInput> {
  return async () => inputOf(answer, hits);
}

/** An agent that answers so, and the words that ask it. */
async function agent(t: Test, answer: WhyAnswer, hits: readonly RuleHit[] = []): Promise<readonly string[]> {
  const { path, backend } = await serve(t);
  backend.answers.diagnosis = asked(answer, hits);
  backend.answers.why = async () => answer;
  return ['--socket', path];
}

t.test(
  'a rule answers: cause first, then the rule, the chain, the proof, what to do, who was asked',
  async (t) => {
    const socket = await agent(t, WHY, [HIT]);
    const { code, stdout, stderr } = await runCli(['diag', '4242', ...socket]);
    t.match({ code, stderr }, { code: 0, stderr: '' });
    const places = [
      'CAUSE FOUND',
      'Rule network-path-down\n',
      '10.0.0.2 answers nothing',
      '- ailment of the cause [e2]',
      'Chain',
      'Evidence',
      '\n  r1  ',
      'What to do',
      '1. See whether it is up',
      '$ ping -c 3 10.0.0.2',
      '2. Restart the job without that host (disruptive)',
      `$ nft list 'it'\\''s all'`,
      'Who was asked',
      'rules      answers: network-path-down (network.yaml:12)',
      'model      not configured: --model-url URL and --model NAME',
    ].map((words) => stdout.indexOf(words));
    t.notOk(places.includes(-1), stdout);
    t.same(
      places,
      [...places].sort((a, b) => a - b),
      'in this order',
    );
  },
);

t.test('-o json and yaml: one document, the answer of why in it as it was', async (t) => {
  const socket = await agent(t, WHY, [HIT]);
  const json = await runCli(['diag', '4242', ...socket, '-o', 'json']);
  t.match(JSON.parse(json.stdout), {
    apiVersion: 'xctl/v1',
    answeredBy: 'rules',
    cause: HIT.rootCause,
    why: onTheWire(WHY),
    rules: [onTheWire(HIT)],
    cases: [],
    model: null,
  });
  t.same(load((await runCli(['diag', '4242', ...socket, '-o', 'yaml'])).stdout), JSON.parse(json.stdout));
});

t.test(
  'the known part is printed before the model has said anything; Ctrl-C leaves it at that',
  async (t) => {
    const socket = await agent(t, WHY);
    const silent = await serveLoopback(t, () => {});
    const interrupt = new AbortController();
    let early = '';
    const ran = await runCli(['diag', '4242', ...socket, '--model-url', `${silent.url}/v1`, '--model', 'm'], {
      signal: interrupt.signal,
      onOutput: (text) => {
        early = text;
        void until(() => silent.asked.length > 0, {
          timeoutMs: 20_000,
          what: 'the question to the model',
        }).then(() => interrupt.abort());
      },
    });
    t.equal(ran.code, 130);
    t.match(early, /CAUSE FOUND[\s\S]*What to do/);
    t.match(ran.stderr, /^xctl diag: now asking model \(up to 20 s; Ctrl-C leaves it at that\)\n$/);
  },
);

t.test('a model that hangs costs its time-out and nothing else', async (t) => {
  const socket = await agent(t, WHY);
  const silent = await serveLoopback(t, () => {});
  const words = [
    'diag',
    '4242',
    ...socket,
    '--model-url',
    `${silent.url}/v1`,
    '--model',
    'm',
    '--model-timeout',
    '0.2',
  ];
  const text = await runCli(words);
  t.equal(text.code, 0);
  t.match(
    text.stdout,
    /CAUSE FOUND[\s\S]*Who was asked[\s\S]*model +failed: m at [\d.:]+: no whole answer within 0\.2 s/,
  );
  const json = await runCli([...words, '-o', 'json']);
  t.match(JSON.parse(json.stdout), { answeredBy: 'graph', cause: WHY.summary, model: null });
  t.equal(json.stderr, '');
});

t.test("a model's reading: below the answer, cited or marked, commands left out", async (t) => {
  const socket = await agent(t, UNKNOWN_WITH_EVIDENCE);
  const said = {
    cause: { text: 'process-1 waits for a signal that host-1 should send', evidence: ['e1'] },
    claims: [
      { text: 'a worker may have ended without waking it', evidence: [] },
      { text: 'sudo rm -rf / helps', evidence: [] },
    ],
    checks: ['Look at the other threads of process-1.'],
  };
  const server = await serveLoopback(t, (_asked, response) =>
    sendJson(response, completion(JSON.stringify(said))),
  );
  const env = { XCTL_MODEL_URL: `${server.url}/v1`, XCTL_MODEL: 'm', XCTL_MODEL_KEY: 'sk-hush' };
  const { stdout, stderr, code } = await runCli(['diag', '77', ...socket], { env });
  t.equal(code, 0);
  t.match(stdout, /UNKNOWN[\s\S]*A model's reading, not a proof[\s\S]*by m at 127/);
  t.match(
    stdout.replace(/\s+/g, ' '),
    /process 77 \(nginx\) waits for a signal that 10\.0\.0\.2 should send \[e1\]/,
  );
  t.match(stdout, /- hypothesis: a worker may have ended/);
  t.match(stdout, /! 1 of its sentences held a command or a link and are not shown/);
  t.match(stdout, /1\. Look at the other threads of process 77 \(nginx\)\./);
  t.notMatch(stdout + stderr, /sudo|sk-hush/);
  t.equal(stdout.match(/UNKNOWN/g)?.length, 1, 'the known part is printed once');
});

const UNKNOWN_WITH_EVIDENCE: WhyAnswer = {
  ...UNKNOWN,
  evidence: [
    {
      id: 'e1',
      ts: UNKNOWN.ts,
      probe: 'waits',
      type: 'wait.futex',
      entity: 'peer:10.0.0.2',
      value: 65_000,
      unit: 'ms',
    },
  ],
};

t.test(
  'hostile names from everywhere: nothing raw on the terminal, in text, JSON or the model',
  async (t) => {
    const answer: WhyAnswer = {
      ...WHY,
      node: HOSTILE,
      target: { ...WHY.target, comm: HOSTILE },
      summary: `${HOSTILE} ${WHY.summary}`,
      evidence: WHY.evidence.map((proof) => ({ ...proof, detail: HOSTILE, entity: `fs:/${HOSTILE}` })),
      recommendations: [HOSTILE],
    };
    const hit: RuleHit = {
      ...HIT,
      rootCause: HOSTILE,
      title: HOSTILE,
      steps: [{ text: HOSTILE, run: ['ls', HOSTILE], risk: 'read-only' }],
    };
    const server = await serveLoopback(t, (_asked, response) =>
      sendJson(
        response,
        completion(JSON.stringify({ cause: { text: 'filesystem-1 and name-1', evidence: ['e1'] } })),
      ),
    );
    const model = ['--model-url', `${server.url}/v1`, '--model', 'm'];
    for (const socket of [await agent(t, answer, [hit]), await agent(t, answer)]) {
      for (const output of ['text', 'json', 'yaml']) {
        const ran = await runCli(['diag', '4242', ...socket, ...model, '-o', output]);
        t.equal(ran.code, 0, ran.stderr);
        t.notMatch(ran.stdout + ran.stderr, RAW, output);
      }
    }
    t.equal(server.asked.length, 3, 'asked where no rule held');
    for (const { body } of server.asked)
      t.notMatch(body, /rm -rf|\\u001b|\[2J|31m/, 'and not shown any of it');
  },
);

t.test('bad usage, in one line, before anybody is asked', async (t) => {
  const socket = await agent(t, WHY);
  for (const [line, message] of [
    ['diag', /name a process, e\.g\. xctl diag 4242/],
    ['diag 4242 --model m', /--model needs --model-url/],
    ['diag 4242 --model-url http://127.0.0.1/v1', /--model-url needs --model NAME/],
    ['diag 4242 --model-url x --model m', /--model-url must be an http or https URL/],
    ['diag 4242 --qdrant-url file:///etc', /--qdrant-url must be an http or https URL/],
    ['diag 4242 --offline --qdrant-url http://127.0.0.1', /--offline and --qdrant-url contradict/],
    ['diag 4242 --rules /x', /--rules goes with --replay/],
    ['diag 4242 --model-api bard', /--model-api must be openai or anthropic/],
    ['diag 4242 --model-timeout 0', /--model-timeout must be seconds/],
  ] as const) {
    const ran = await runCli([...line.split(' '), ...socket]);
    t.match(ran, { code: 2, stdout: '', stderr: message }, line);
    t.equal(ran.stderr.split('\n').length, 2, 'one line');
  }
});

t.test('exit codes: no agent, no such process', async (t) => {
  t.equal((await runCli(['diag', '1', '--socket', '/nowhere.sock'])).code, 3);
  const { path, backend } = await serve(t);
  backend.answers.diagnosis = async () => {
    throw new NoProcessError('no process 1');
  };
  t.match(await runCli(['diag', '1', '--socket', path]), { code: 4, stderr: 'xctl diag: no process 1\n' });
  t.match((await runCli(['diag', '77', ...(await agent(t, HEALTHY))])).code, 0);
});

t.test('cases: add from an answer, list, show, found by diag, push', async (t) => {
  const dir = tempDir(t, { 'why.json': JSON.stringify(WHY), 'none.json': '{}' });
  const knowledge = tempDir(t);
  const env = { XCTL_KNOWLEDGE: knowledge };
  const from = ['--from', join(dir, 'why.json')];
  t.match(await runCli(['cases'], { env }), { code: 0, stdout: /^No cases in / });
  const added = await runCli(
    ['cases', 'add', 'uplink-lost', ...from, '--cause', 'the uplink was lost', '--fix', 'replace the cable'],
    { env },
  );
  t.match(added, { code: 0, stderr: '', stdout: `${join(knowledge, 'uplink-lost.yaml')}\n` });
  t.match(load(readFileSync(join(knowledge, 'uplink-lost.yaml'), 'utf8')), {
    kind: 'Case',
    scene: 'NetworkStall',
    title: 'NetworkStall/PeerSilent',
    cause: 'the uplink was lost',
    steps: ['replace the cable'],
  });
  t.match(await runCli(['cases', 'list'], { env }), {
    code: 0,
    stdout: /^NAME +SCENE +CLOSED +TITLE\nuplink-lost +NetworkStall\/PeerSilent +2026-11-23 /,
  });
  t.match(await runCli(['cases', 'show', 'uplink-lost'], { env }), {
    code: 0,
    stdout: /the uplink was lost[\s\S]*1\. replace the cable/,
  });
  t.match(JSON.parse((await runCli(['cases', 'list', '-o', 'json'], { env })).stdout), {
    cases: [{ name: 'uplink-lost' }],
    refused: [],
  });

  const socket = await agent(t, WHY);
  const diag = await runCli(['diag', '4242', ...socket], { env });
  t.match(
    diag.stdout,
    /Case uplink-lost, 100 % alike\n[\s\S]*the uplink was lost[\s\S]*What to do\n +1\. replace the cable[\s\S]*knowledge +answers: case uplink-lost/,
  );

  const { server, collections } = await serveQdrant(t);
  t.match(await runCli(['cases', 'push', '--qdrant-url', server.url], { env }), {
    code: 0,
    stdout: /^1 cases are in xctl-cases at /,
  });
  t.equal(collections.get('xctl-cases')?.points.size, 1);
  const far = await runCli(['diag', '4242', ...socket, '--qdrant-url', server.url]);
  t.match(far.stdout, /Case uplink-lost, 100 % alike[\s\S]*What helped there[\s\S]*qdrant +answers/);
  t.match(far.stderr, /^xctl diag: now asking qdrant\n$/);

  for (const [line, message] of [
    [['cases', 'add', 'a', ...from], /say what it really was: --cause/],
    [['cases', 'add', 'a', '--cause', 'x'], /say which answer to keep/],
    [['cases', 'add', 'a', ...from, '--pid', '1', '--cause', 'x'], /say which answer to keep/],
    [['cases', 'add', 'A B', ...from, '--cause', 'x'], /name must be/],
    [['cases', 'add', 'uplink-lost', ...from, '--cause', 'x'], /is there already/],
    [['cases', 'add', 'a', '--from', join(dir, 'none.json'), '--cause', 'x'], /holds no answer/],
    [['cases', 'add', 'a', '--from', join(dir, 'nowhere'), '--cause', 'x'], /cannot read .*ENOENT/],
    [['cases', 'add', 'a', '--from', '/dev/zero', '--cause', 'x'], /no file of at most/],
    [['cases', 'add'], /name the case/],
    [['cases', 'show', 'nothing'], /no case "nothing" in/],
    [['cases', 'show', '../etc'], /no case/],
    [['cases', 'push'], /say where to/],
    [['cases', 'burn'], /must be list, show, add or push/],
  ] as const) {
    const ran = await runCli(line, { env });
    t.match(ran, { code: 2, stdout: '', stderr: message }, line.join(' '));
    t.equal(ran.stderr.split('\n').length, 2, 'one line');
  }
  t.match(await runCli(['cases', 'list']), { code: 2, stderr: /name the directory of the cases/ });
});

t.test('cases: from a live answer, and from what diag printed; a healthy one makes none', async (t) => {
  const knowledge = tempDir(t);
  const words = ['--knowledge', knowledge, '--cause', 'locks in the wrong order'];
  const socket = await agent(t, DEADLOCK);
  t.match(await runCli(['cases', 'add', 'live', '--pid', '77', ...words, ...socket]), {
    code: 0,
    stderr: '',
  });
  const printed = join(tempDir(t), 'diag.json');
  writeFileSync(printed, (await runCli(['diag', '77', ...socket, '-o', 'json'])).stdout);
  t.match(await runCli(['cases', 'add', 'printed', '--from', printed, ...words]), { code: 0, stderr: '' });
  const looked = (name: string): unknown =>
    (load(readFileSync(join(knowledge, `${name}.yaml`), 'utf8')) as { looked: unknown }).looked;
  t.same(looked('printed'), looked('live'));
  t.equal(statSync(join(knowledge, 'live.yaml')).mode & 0o022, 0);
  const healthy = await agent(t, HEALTHY);
  t.match(await runCli(['cases', 'add', 'none', '--pid', '77', ...words, ...healthy]), {
    code: 2,
    stderr: /nothing is wrong/,
  });
  t.match(await runCli(['cases', 'add', 'esc', '--from', printed, ...words, '--title', HOSTILE]), {
    code: 0,
  });
  t.notMatch((await runCli(['cases', 'list', '--knowledge', knowledge])).stdout, RAW);
  t.notMatch((await runCli(['cases', 'show', 'esc', '--knowledge', knowledge])).stdout, RAW);
});

t.test('--replay: a recording, with rules of a directory', async (t) => {
  const story = new Story().seen(100, { comm: 'train' }).stopped(100);
  const lines = [
    {
      apiVersion: 'xctl/v1',
      kind: 'Recording',
      node: 'n',
      agentVersion: '0',
      startedAt: '2026-11-23T00:00:00.000Z',
      bootEpochMs: 0,
    },
    ...story.events,
    { kind: 'RecordingEnd', endedAt: '2026-11-23T00:00:00.000Z', events: story.events.length, dropped: 0 },
  ];
  const rule = {
    apiVersion: 'xctl/v1',
    rules: [
      {
        name: 'stopped-by-somebody',
        title: 'Stopped',
        scene: 'ProcessBlocked',
        subScene: 'Stopped',
        priority: 50,
        rootCause: 'somebody stopped it',
        steps: [{ text: 'Ask who' }],
      },
    ],
  };
  const dir = tempDir(t, { 'r.jsonl': lines.map((line) => `${JSON.stringify(line)}\n`).join('') });
  const rules = tempDir(t, { 'stop.yaml': JSON.stringify(rule) });
  const replay = ['--replay', join(dir, 'r.jsonl')];
  const ran = await runCli(['diag', '100', ...replay, '--rules', rules, '-o', 'json']);
  t.match({ ...ran, stdout: '' }, { code: 0, stderr: '' });
  t.match(JSON.parse(ran.stdout), {
    answeredBy: 'rules',
    cause: 'somebody stopped it',
    steps: [{ text: 'Ask who', run: null }],
  });
  t.match(await runCli(['diag', '7', ...replay, '--rules', rules]), { code: 4, stderr: /no process 7 in/ });
  t.match(await runCli(['diag', '100', ...replay, '--rules', join(dir, 'nowhere')]), {
    code: 2,
    stderr: /cannot be read \(ENOENT\)/,
  });
  t.match(await runCli(['diag', '100', '--replay', join(dir, 'nowhere')]), { code: 2 });
});
