/** Rule hits and the input of a diagnosis, as the agent gives them. */
import type { Helpers } from '../../src/diag/diagnose.js';
import type { DiagnosisInput } from '../../src/rules/diagnosis-input.js';
import type { RuleHit, RuleSetState } from '../../src/rules/model.js';
import type { WhyAnswer } from '../../src/scene/answer.js';

/** Neither cases nor a model. */
export const NO_HELPERS: Helpers = {
  knowledge: undefined,
  remoteCases: undefined,
  model: undefined,
  offline: false,
  signal: new AbortController().signal,
};

export const HIT: RuleHit = {
  rule: 'network-path-down',
  title: 'Nothing comes back from the peer',
  source: 'network.yaml:12',
  priority: 80,
  finding: 0,
  scene: 'NetworkStall',
  subScene: 'PeerSilent',
  confidence: 0.94,
  rootCause: '10.0.0.2 answers nothing: the host or the way to it is down',
  steps: [
    { text: 'See whether it is up', run: ['ping', '-c', '3', '10.0.0.2'], risk: 'read-only' },
    { text: 'Restart the job without that host', run: null, risk: 'disruptive' },
    { text: 'Look for a rule that drops it', run: ['nft', 'list', "it's all"], risk: 'read-only' },
  ],
  conditions: [
    { text: 'ailment of the cause', value: null, evidence: ['e2'] },
    { text: '3 × topo.link_down about net:eth0 within 24h', value: 3, evidence: ['r1'] },
  ],
  evidence: [
    {
      id: 'r1',
      ts: '2026-11-23T00:59:00.000Z',
      probe: 'kmsg',
      type: 'topo.link_down',
      entity: 'net:eth0',
      value: 0,
      unit: '',
      detail: 'mlx5_core 0000:3b:00.0 eth0: Link down',
    },
  ],
  related: [],
  references: ['docs/rules.md'],
  unchecked: [],
};

export const RULES: RuleSetState = {
  directory: '/usr/lib/xctl/rules',
  loadedAt: '2026-11-23T00:00:00.000Z',
  rules: 44,
  files: ['network.yaml'],
  refused: [],
};

export function inputOf(answer: WhyAnswer, hits: readonly RuleHit[] = []): DiagnosisInput {
  const { apiVersion, node, ts } = answer;
  return { apiVersion, node, ts, answer, hits, rules: RULES, queuePairs: 0 };
}
