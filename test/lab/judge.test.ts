/** Who judges the judge: the right answer is right, and each way to be wrong is found. */
import t from 'tap';
import type { ChainLink, Finding, WhyAnswer } from '../../src/scene/answer.js';
import { API_VERSION } from '../../src/scene/answer.js';
import { judge } from './judge.js';
import type { Truth } from './scenario.js';

function link(from: string, to: string): ChainLink {
  return { from, edge: 'WaitsOn', to, sinceMs: 5_000, evidence: ['e1'] };
}

const FOUND: Finding = {
  verdict: 'cause-found',
  scene: 'ProcessBlocked',
  subScene: 'Stopped',
  confidence: 0.95,
  summary: 'stopped by SIGSTOP',
  rootCause: { node: 'pid:2', type: 'process', summary: 'stopped by SIGSTOP' },
  chain: [link('pid:1', 'pipe:7'), link('pipe:7', 'pid:2')],
  evidence: [
    { id: 'e1', ts: '', probe: 'waits', type: 'wait.pipe', entity: 'pipe:7', value: 5_000, unit: 'ms' },
  ],
  recommendations: [],
};

const CALM: Finding = {
  ...FOUND,
  verdict: 'healthy',
  scene: null,
  subScene: null,
  rootCause: null,
  chain: [],
};

function answer(finding: Partial<Finding> = {}, alternatives: readonly Finding[] = []): WhyAnswer {
  const target = { pid: 1, startTime: '', comm: 'trainer', state: 'running' } as const;
  const head = { apiVersion: API_VERSION, node: 'n', ts: '', target } as const;
  return { ...head, ...FOUND, ...finding, ...(alternatives.length > 0 && { alternatives }) };
}

const STOPPED: Truth = {
  causes: [
    { scene: 'ProcessBlocked', subScene: 'Stopped', root: 'pid:2', via: ['pid:1', /^pipe:/, 'pid:2'] },
  ],
};

t.test('the right answer', async (t) => {
  t.match(judge(STOPPED, answer()), { right: true, topRight: true, sceneRight: true, wrongCause: false });
});

t.test('a wrong root is a wrong cause, whatever its scene', async (t) => {
  const wrong = judge(STOPPED, answer({ rootCause: { node: 'pid:3', type: 'process', summary: '' } }));
  t.match(wrong, { right: false, topRight: false, sceneRight: true, wrongCause: true });
});

t.test('the right node under another scene is a wrong cause too', async (t) => {
  const wrong = judge(STOPPED, answer({ scene: 'NetworkStall', subScene: null }));
  t.match(wrong, { right: false, topRight: false, sceneRight: false, wrongCause: true });
});

t.test('another sub-scene is a flaw, and the cause is right', async (t) => {
  const vague = judge(STOPPED, answer({ subScene: 'WaitsOnPeer' }));
  t.match(vague, { right: false, topRight: true, wrongCause: false });
  t.match(vague.flaws[0], 'sub-scene WaitsOnPeer instead of Stopped');
});

t.test('a chain that leaves a step out, or has them in another order', async (t) => {
  const truth: Truth = {
    causes: [
      { scene: 'ProcessBlocked', subScene: 'Stopped', root: 'pid:2', via: ['pipe:7', 'pipe:8', 'pid:2'] },
    ],
  };
  t.match(judge(truth, answer()).flaws[0], 'the chain does not pass pipe:8');
  const turned: Truth = {
    causes: [{ scene: 'ProcessBlocked', subScene: 'Stopped', root: 'pid:2', via: ['pid:2', 'pipe:7'] }],
  };
  t.equal(judge(turned, answer()).right, false);
});

t.test(
  'nothing is wrong: naming a cause is an alarm, and so is not knowing unless that is allowed',
  async (t) => {
    const calm: Truth = { causes: [] };
    t.match(judge(calm, answer(CALM)), { right: true, topRight: true, wrongCause: false });
    t.match(judge(calm, answer()), { right: false, topRight: false, wrongCause: true });
    const unknown = answer({ ...CALM, verdict: 'unknown' });
    t.match(judge(calm, unknown), { right: false, topRight: true, wrongCause: false });
    t.match(judge({ causes: [], verdicts: ['healthy', 'unknown'] }, unknown), { right: true });
  },
);

t.test('nobody can know the cause: a symptom is right, a name is not', async (t) => {
  const truth: Truth = { causes: [{ scene: 'NetworkStall', subScene: 'PeerSlow' }] };
  const symptom = {
    ...CALM,
    verdict: 'symptom-only',
    scene: 'NetworkStall',
    subScene: 'PeerSlow',
  } as const;
  t.match(judge(truth, answer(symptom)), { right: true, topRight: true });
  t.match(judge(truth, answer({ scene: 'NetworkStall', subScene: 'PeerSlow' })), {
    topRight: false,
    wrongCause: true,
  });
});

t.test('two faults: the second must be told as well, and the order counts where it is said', async (t) => {
  const flow: Finding = {
    ...FOUND,
    scene: 'NetworkStall',
    subScene: 'PathDown',
    rootCause: { node: 'flow:a-b', type: 'flow', summary: '' },
  };
  const causes = [
    { scene: 'NetworkStall', subScene: 'PathDown', root: ['flow:a-b', 'flow:b-a'] },
    { scene: 'ProcessBlocked', subScene: 'Stopped', root: 'pid:2' },
  ] as const;
  t.match(judge({ causes, order: 'any' }, answer({}, [flow])), { right: true, topRight: true });
  t.match(judge({ causes, order: 'any' }, answer()), { right: false, topRight: true });
  t.match(judge({ causes }, answer({}, [flow])), { right: false, topRight: false, wrongCause: false });
  t.match(judge({ causes }, answer(flow, [FOUND])), { right: true });
});

t.test('an answer that contradicts itself is never right', async (t) => {
  const torn = judge(STOPPED, answer({ chain: [link('pid:1', 'pipe:7'), link('pipe:8', 'pid:2')] }));
  t.match(torn, { right: false });
  t.match(torn.flaws[0], 'does not follow');
});
