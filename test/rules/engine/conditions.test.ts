/** What each condition means, on incidents told as events. */
import t from 'tap';
import type { Condition } from '../../../src/rules/model.js';
import { flow, idOf, Story, stuck } from '../../scene/build.js';
import { hitsOf, holds, RULE, ruleSet } from './texts.js';

const CONNECTION = flow(1);
const FLOW = idOf(CONNECTION);

/** A trainer (10) that waits for a peer whose host has not acknowledged anything for 12 s. */
function pathDown(story = new Story()): Story {
  story.seen(10, { comm: 'python3' });
  const attrs = story.owner(stuck(CONNECTION, story.now - 12_000), 10);
  story.transport('transport.timeout', attrs, 5).receives(10, attrs, { forMs: 12_000 }).pass();
  story.later(1_000).receives(10, attrs, { forMs: 13_000 }).pass();
  return story;
}

function link(story: Story, what: 'down' | 'up', id = 'net:eth0'): Story {
  return story.say(
    `topo.link_${what}`,
    id,
    0,
    { driver: 'mlx5_core', message: `eth0: link ${what}` },
    'kmsg',
  );
}

t.test('the story is what the conditions below are about', async (t) => {
  t.match(pathDown().why(10), { verdict: 'cause-found', scene: 'NetworkStall', subScene: 'PathDown' });
});

const OF_THE_FINDING: readonly (readonly [Condition, boolean])[] = [
  [{ finding: { causeType: 'flow' } }, true],
  [{ finding: { causeType: ['peer', 'process'] } }, false],
  [{ finding: { cause: 'flow:10.0.0.1:*-10.0.0.2:29500' } }, true],
  [{ finding: { cause: ['peer:*', 'flow:*:29501'] } }, false],
  [{ finding: { confidence: { min: 0.5 } } }, true],
  [{ finding: { confidence: { below: 0.5 } } }, false],
  [{ finding: { verdict: 'symptom-only' } }, false],
  [{ finding: { own: true } }, false],
  [{ finding: { own: false } }, true],
  [{ finding: { comm: 'python*' } }, true],
  [{ finding: { comm: 'python' } }, false],
  [{ finding: { state: 'running' } }, true],
  [{ finding: { ailment: '*' } }, false],
  [{ finding: { links: { min: 1 } } }, true],
  [{ node: { type: 'flow' } }, true],
  [{ node: { type: 'flow', on: 'target' } }, false],
  [{ node: { on: 'cause', attrs: { backoff: { min: 5 }, state: 'ESTAB*' } } }, true],
  [{ node: { on: 'cause', attrs: { backoff: { above: 5 } } } }, false],
  [{ node: { on: 'cause', attrs: { errno: { has: false } } } }, true],
  [{ node: { on: 'cause', attrs: { errno: { not: 'ECONNREFUSED' } } } }, false],
  [{ node: { type: ['gpu', 'qp'] } }, false],
  [
    { edge: { kind: 'WaitsOn', from: { on: 'target' }, to: { type: 'flow' }, sinceMs: { min: 10_000 } } },
    true,
  ],
  [{ edge: { kind: 'WaitsOn', to: { type: 'flow' }, sinceMs: { min: 60_000 } } }, false],
  [{ edge: { kind: 'Consumes' } }, false],
  [{ edge: { note: '*waits for data*' } }, true],
  [{ event: { type: 'transport.timeout' } }, true],
  [{ event: { type: 'transport.timeout', about: 'cause' } }, true],
  [{ event: { type: 'transport.timeout', about: 'target' } }, false],
  [{ event: { type: 'transport.timeout', where: { backoff: { min: 5 }, 'owner.last.comm': 'py*' } } }, true],
  [{ event: { type: 'transport.timeout', where: { value: { min: 6 } } } }, false],
  [{ event: { type: 'transport.timeout', within: '500ms' } }, false],
  [{ event: { type: 'wait.tcp', about: 'target', count: { min: 2 } } }, true],
  [{ event: { type: 'wait.tcp', about: 'target', count: { min: 3 } } }, false],
  [{ event: { type: 'wait.tcp', about: 'target', count: { max: 2 } } }, true],
  [{ event: { type: 'wait.tcp', count: { max: 1 } } }, false],
  [{ event: { type: ['wait.tcp', 'error.xid'], about: 'cause' } }, true],
  [{ event: { type: 'wait.tcp', about: 'cause', value: { how: 'growth', min: 1_000 } } }, true],
  [
    { event: { type: 'wait.tcp', about: 'cause', value: { how: 'mean', above: 12_499, below: 12_501 } } },
    true,
  ],
  [
    {
      event: { type: 'wait.tcp', about: 'cause', value: { of: 'flow.unackedBytes', how: 'max', min: 1_448 } },
    },
    true,
  ],
  [{ event: { type: 'wait.tcp', about: 'cause', value: { how: 'sum', above: 25_000 } } }, false],
  [{ event: { type: 'wait.tcp', about: 'node', ratePerSecond: { above: 0.003 } } }, true],
  [{ event: { type: 'error.xid', about: 'node', ratePerSecond: { below: 1 } } }, true],
  [{ event: { type: 'topo.link_down', about: 'node' } }, false],
  [{ not: { event: { type: 'topo.link_down', about: 'node' } } }, true],
  [{ any: [{ node: { type: 'gpu' } }, { node: { type: 'flow' } }] }, true],
  [{ all: [{ node: { type: 'gpu' } }, { node: { type: 'flow' } }] }, false],
];

for (const [condition, expected] of OF_THE_FINDING) {
  t.test(`${JSON.stringify(condition)} ${expected ? 'holds' : 'does not hold'}`, async (t) => {
    t.equal(holds(pathDown(), 10, condition), expected);
  });
}

t.test('events of the whole machine, and of no other node of the chain', async (t) => {
  const story = pathDown();
  link(story, 'down');
  t.equal(holds(story, 10, { event: { type: 'topo.link_down', about: 'node' } }), true);
  t.equal(holds(story, 10, { event: { type: 'topo.link_down', about: 'node', entity: 'net:ib*' } }), false);
  t.equal(holds(story, 10, { event: { type: 'topo.link_down' } }), false);
});

t.test('it came, went and came again: three times in the window, each apart', async (t) => {
  const again: Condition = {
    event: { type: 'topo.link_down', about: 'node', within: '1h', recurs: { times: 3, apart: '1m' } },
  };
  const after = (...gapsMs: readonly number[]): boolean => {
    const story = link(new Story(), 'down');
    for (const gapMs of gapsMs) link(story.later(gapMs), 'down');
    return holds(pathDown(story.later(1_000)), 10, again);
  };
  t.equal(after(61_000, 61_000), true);
  t.equal(after(2_000, 30_000), false, 'all of them one time');
  t.equal(after(2_000, 30_000, 61_000), false, 'two');
  t.equal(after(30_000, 61_000, 59_000, 600_000), true, 'three');
  t.equal(after(4_000_000, 61_000), false, 'the first of them is too long ago');
});

const FAULT = { code: 31, toldBy: 'line', pci: '0000:3b:00.0', message: 'Xid 31' } as const;

t.test('what a process did before this one had its pid is not counted', async (t) => {
  const story = new Story();
  story.seen(10, { comm: 'old' });
  story.say('error.xid', 'gpu:0', 1, FAULT, 'kmsg', 10);
  story.exited(10, { code: 0 }).later(60_000);
  story.forked(10, { start: 99_000_000_000, comm: 'new' });
  const attrs = story.owner(stuck(CONNECTION, story.now - 12_000), 10);
  story.transport('transport.timeout', attrs, 5).receives(10, attrs, { forMs: 12_000 }).pass();
  story.later(1_000).receives(10, attrs, { forMs: 13_000 }).pass();
  t.match(story.why(10), { scene: 'NetworkStall' });
  const seen: Condition = { event: { type: 'error.xid', about: 'target' } };
  t.equal(holds(story, 10, seen), false);
  story.say('error.xid', 'gpu:0', 1, FAULT, 'kmsg', 10);
  t.equal(holds(story, 10, seen), true);
});

t.test('events that a --probe program wrote are only found by their own name', async (t) => {
  const story = pathDown();
  const { now } = story;
  story.apply({
    ts: now,
    type: 'custom',
    customType: 'topo.link_down',
    entity: 'net:eth0',
    value: 0,
    attrs: {},
    probe: 'subprocess',
  });
  t.equal(holds(story, 10, { event: { type: 'topo.link_down', about: 'node' } }), false);
  t.equal(holds(story, 10, { event: { type: 'custom:topo.link_down', about: 'node' } }), true);
});

t.test('another rule holds with its own scene and conditions', async (t) => {
  const rules = ruleSet(
    { name: 'a', priority: 10, when: { event: { type: 'topo.link_down', about: 'node' } } },
    { name: 'b', priority: 90, when: { rule: 'a' } },
    { name: 'c', priority: 80, when: { not: { rule: 'a' } } },
  );
  const story = pathDown();
  t.same(
    hitsOf(story, 10, rules).map(({ rule }) => rule),
    ['c'],
  );
  link(story, 'down');
  t.same(
    hitsOf(story, 10, rules).map(({ rule }) => rule),
    ['b', 'a'],
  );
});

t.test('a hit says why, with evidence, and what to do', async (t) => {
  const rules = ruleSet({
    when: {
      all: [
        { node: { type: 'flow', as: 'way' } },
        { event: { type: 'topo.link_down', about: 'node', entity: 'net:*', as: 'fell', count: { min: 1 } } },
        { event: { type: 'transport.timeout', about: 'cause' } },
      ],
    },
    rootCause:
      '{fell.id} fell {fell.count} times; {target.comm} ({target.pid}) waits on {way.name} of {peer.name}: {{{scene}}}',
    steps: [
      { text: 'Look at {fell.name}.', run: ['ip', 'link', 'show', 'dev', '{fell.name}'] },
      { text: 'Ask {gpu.name}.', run: ['nvidia-smi', '-i', '{gpu.name}'], risk: 'disruptive' },
    ],
    evidence: [{ type: 'topo.link_up', about: 'node', within: '1h' }],
    applies: { kernel: '>=99.0', gpu: true },
    references: ['docs/reasoning.md'],
  });
  const story = link(link(pathDown(), 'up').later(5), 'down');
  const [hit] = hitsOf(story, 10, rules);
  t.match(hit, {
    rule: 'path-down',
    finding: 0,
    scene: 'NetworkStall',
    subScene: 'PathDown',
    rootCause: `net:eth0 fell 1 times; python3 (10) waits on ${FLOW.slice(5)} of (unknown): {NetworkStall/PathDown}`,
    steps: [
      { text: 'Look at eth0.', run: ['ip', 'link', 'show', 'dev', 'eth0'], risk: 'read-only' },
      { text: 'Ask (unknown).', run: null, risk: 'disruptive' },
    ],
    conditions: [
      { text: /^flow:.* is type flow/, value: null },
      { text: '1 (at least 1) of topo.link_down about net:eth0 within 10m', value: 1, evidence: ['r1'] },
      { text: `there was transport.timeout about ${FLOW} within 10m`, value: 1 },
    ],
    evidence: [
      { id: 'r1', type: 'topo.link_down', entity: 'net:eth0', detail: 'eth0: link down' },
      { id: 'r2', type: 'topo.link_up' },
    ],
    related: ['r2'],
    references: ['docs/reasoning.md'],
    unchecked: ['kernel >=99.0', 'a GPU'],
  });
  const own = story.why(10)?.evidence.find(({ type }) => type === 'transport.timeout');
  t.same(hit?.conditions[2]?.evidence, [own?.id], 'a fact that the answer has is not told twice');
  t.same(hitsOf(story, 10, rules, { kernel: '6.1.0-18-amd64' }), [], 'it is known not to apply');
  t.same(hitsOf(story, 10, rules, { gpu: false }), []);
  t.equal(hitsOf(story, 10, rules, { kernel: '100.2.1', gpu: true }).length, 1);
});

t.test('a hostile name is shown harmless, and in no command', async (t) => {
  const story = new Story();
  const comm = '$(reboot)\u001b[2J';
  story.seen(10, { comm });
  const attrs = story.owner(stuck(CONNECTION, story.now - 12_000), 10);
  story.transport('transport.timeout', attrs, 5).receives(10, attrs, { forMs: 12_000 }).pass();
  story.later(1_000).receives(10, attrs, { forMs: 13_000 }).pass();
  const rules = ruleSet({
    rootCause: '{target.comm} waits',
    steps: [
      { text: 'See {target.comm}.', run: ['pgrep', '{target.comm}'] },
      { text: 'See.', run: ['cat', '/proc/{target.pid}/stack'] },
    ],
  });
  t.match(hitsOf(story, 10, rules), [
    {
      rootCause: '$(reboot)\\x1b[2J waits',
      steps: [
        { text: 'See $(reboot)\\x1b[2J.', run: null },
        { text: 'See.', run: ['cat', '/proc/10/stack'] },
      ],
    },
  ]);
});

t.test('priority, then what asks for more, then the name', async (t) => {
  const when: Condition = { node: { type: 'flow' } };
  const rules = ruleSet(
    { name: 'd', priority: 5 },
    { name: 'c', priority: 50 },
    { name: 'b', priority: 50 },
    { name: 'a', priority: 50, when },
    { name: 'other-scene', scene: 'GpuError', subScene: 'Ecc' },
    { name: 'other-sub-scene', subScene: 'ZeroWindow' },
    { name: 'both', scene: ['GpuError', 'NetworkStall'], priority: 90 },
  );
  t.same(
    hitsOf(pathDown(), 10, rules).map(({ rule }) => rule),
    ['both', 'a', 'b', 'c', 'd'],
  );
  t.equal(RULE.priority, 50);
});
