/** StateGraph by example: what each fact adds, replaces and takes away, and what gives way when it is full. */
import t from 'tap';
import type { FlowNode, ProcessNode } from '../../src/graph/model.js';
import type { StateGraph } from '../../src/graph/state-graph.js';
import { closedWindow, flow, idOf, Story, stuck } from '../scene/build.js';
import { unsound } from './invariants.js';

const A = flow(1);
const KEEP_MS = 600_000;

function flowNode(graph: StateGraph, attrs = A): FlowNode {
  const node = graph.nodes.get(idOf(attrs));
  if (node?.type !== 'flow') throw new Error('no flow');
  return node;
}

function processNode(graph: StateGraph, pid: number): ProcessNode {
  const node = graph.process(pid);
  if (node === undefined) throw new Error(`no process ${pid}`);
  return node;
}

/** `from Kind to` of every edge. */
function edgesOf(graph: StateGraph): readonly string[] {
  return [...graph.nodes.values()].flatMap((node) =>
    node.out.map(({ kind, to }) => `${node.id} ${kind} ${to.id}`),
  );
}

/** Lets `ms` go by with a pass a second that sees `tids`, so that ageing has its turns. */
function passes(story: Story, ms: number, tids: readonly number[] = []): void {
  for (let left = ms; left > 0; left -= 10_000) story.later(Math.min(left, 10_000)).pass(tids);
}

t.test('processes', async (t) => {
  t.test('a younger process retires the one that had its pid', async (t) => {
    const story = new Story().seen(10, { start: 100 }).reads(10, 7).later(5).seen(10, { start: 200 });
    t.equal(processNode(story.graph, 10).start, 200);
    t.equal(processNode(story.graph, 10).threads.size, 0);
    t.same(edgesOf(story.graph), []);
    t.equal(story.graph.exited.find(10, 0), undefined, 'how the first one ended was not heard');
    t.same(unsound(story.graph), []);
  });

  t.test('an event about an older process is stale', async (t) => {
    const story = new Story().seen(10, { start: 200 }).seen(10, { start: 100 }).exited(10);
    t.equal(processNode(story.graph, 10).exit, undefined);
    t.equal(story.graph.stats().stale, 2);
  });

  t.test('exec forgets the waits of the program before', async (t) => {
    const story = new Story().seen(10).reads(10, 7).futex(10, { tid: 11 });
    t.equal(story.graph.edges.counts.WaitsOn, 2);
    story.execed(10, { comm: 'next' });
    t.equal(story.graph.edges.counts.WaitsOn, 0);
    t.equal(story.graph.threadsByTid.size, 0);
    t.equal(processNode(story.graph, 10).comm, 'next');
  });

  t.test('exit removes all that it held and waited for', async (t) => {
    const story = new Story().seen(10).seen(20).reads(10, 7).holders('pipe:7', 20);
    story.transport('transport.state', story.owner(A, 20));
    t.same(edgesOf(story.graph), [
      'pid:10 WaitsOn pipe:7',
      `pid:20 Consumes ${idOf(A)}`,
      'pipe:7 BlockedBy pid:20',
    ]);
    story.exited(20, { signal: 'SIGKILL' });
    t.same(edgesOf(story.graph), ['pid:10 WaitsOn pipe:7']);
    t.match(processNode(story.graph, 20).exit, { attrs: { signal: 'SIGKILL' } });
  });

  t.test('a socket in trouble does not bring its dead owner back', async (t) => {
    const story = new Story().seen(10).exited(10).later(1_000);
    story.transport('transport.timeout', story.owner(stuck(A, story.now), 10), 3);
    story.sleeps(10).holders('pipe:7', 10).seen(10);
    t.equal(story.graph.process(10), undefined);
    t.equal(story.graph.stats().stale, 4);
    t.match(story.why(10), { target: { state: 'exited' }, verdict: 'healthy' });
  });

  t.test('children are known by parent pid and start', async (t) => {
    const story = new Story().seen(10).seen(11, { ppid: 10 });
    t.same(
      [...(processNode(story.graph, 10).children ?? [])].map(({ pid }) => pid),
      [11],
    );
    story.seen(20).seen(11, { ppid: 20 });
    t.same([...(processNode(story.graph, 10).children ?? [])], []);
    t.same(
      [...(processNode(story.graph, 20).children ?? [])].map(({ pid }) => pid),
      [11],
    );
    story.exited(11);
    t.same([...(processNode(story.graph, 20).children ?? [])], []);
  });

  t.test('a parent that is heard of after its child still gets it', async (t) => {
    const story = new Story().seen(11, { ppid: 10 }).seen(10).seen(11, { ppid: 10 });
    t.equal(processNode(story.graph, 10).children?.size, 1);
  });
});

t.test('what has ended', async (t) => {
  for (const [how, code] of [
    ['well', 0],
    ['badly', 3],
  ] as const) {
    t.test(`${how}: answers for ten minutes of event time, then is gone`, async (t) => {
      const story = new Story().seen(10).seen(1).sleeps(1).exited(10, { code });
      passes(story, KEEP_MS - 1, [1]);
      t.equal(story.why(10)?.target.state, 'exited');
      passes(story, 2_000, [1]);
      t.equal(story.why(10), undefined);
      t.ok(story.graph.process(1));
    });
  }

  t.test('without the sampler, too', async (t) => {
    const story = new Story()
      .seen(10)
      .exited(10, { code: 3 })
      .later(KEEP_MS + 1);
    story.transport('transport.state', A);
    t.equal(story.graph.process(10), undefined);
    t.equal(story.graph.stats().expired, 1);
  });

  t.test('a process whose exit was lost goes when no pass has seen it for as long', async (t) => {
    const story = new Story().seen(10).sleeps(10).seen(1).sleeps(1).pass();
    story.later(1_000).pass([1]);
    t.ok(story.graph.process(10));
    passes(story, KEEP_MS + 1_000, [1]);
    t.equal(story.graph.process(10), undefined);
    t.ok(story.graph.process(1));
  });

  t.test('without passes nobody is taken for dead', async (t) => {
    const story = new Story()
      .seen(10)
      .later(KEEP_MS * 2)
      .transport('transport.state', A);
    t.ok(story.graph.process(10));
  });

  t.test('flows and pipes go when nobody has waited on them for as long', async (t) => {
    const story = new Story().seen(1).reads(1, 7).seen(2).reads(2, 8).transport('transport.state', A);
    story.later(1_000).sleeps(2);
    passes(story, KEEP_MS + 2_000, [1, 2]);
    t.same([...story.graph.nodes.keys()].sort(), ['pid:1', 'pid:2', 'pipe:7']);
    t.equal(story.graph.stats().expired, 2);
  });
});

t.test('waits', async (t) => {
  t.test('a thread that a pass did not see has ended', async (t) => {
    const story = new Story().seen(10).sleeps(10).reads(10, 7, { tid: 11 }).reads(10, 8, { tid: 12 }).pass();
    story.later(1_000).pass([10, 12]);
    t.same([...processNode(story.graph, 10).threads.keys()], [10, 12]);
    t.same(edgesOf(story.graph), ['pid:10 WaitsOn pipe:8']);
  });

  t.test('the same sleep keeps its edge, another one replaces it', async (t) => {
    const story = new Story().seen(10).reads(10, 7, { forMs: 0 });
    const since = story.now;
    story.later(1_000).reads(10, 7, { forMs: 1_000 });
    const [edge] = processNode(story.graph, 10).out;
    t.match(edge, { since, event: { ts: since + 1_000, value: 1_000 } });
    story.later(1_000).reads(10, 8);
    t.same(edgesOf(story.graph), ['pid:10 WaitsOn pipe:8']);
    story.later(1_000).runs(10);
    t.same(edgesOf(story.graph), []);
  });

  t.test('holders are replaced, not added to', async (t) => {
    const story = new Story().seen(1).seen(2).seen(3).holders('pipe:7', 1, 2).holders('pipe:7', 2, 3);
    t.same([...edgesOf(story.graph)].sort(), ['pipe:7 BlockedBy pid:2', 'pipe:7 BlockedBy pid:3']);
    story.holders('pipe:7');
    t.same(edgesOf(story.graph), []);
  });

  t.test("a lock's owner is one, the last that was read", async (t) => {
    const story = new Story().seen(10).sleeps(10).sleeps(10, { tid: 11 }).sleeps(10, { tid: 12 });
    story.lock(10, 1, 11).lock(10, 1, 12);
    const lock = story.graph.nodes.get('lock:10/0x1');
    t.same(
      lock?.out.map(({ to, tid }) => [to.id, tid]),
      [['pid:10', 12]],
    );
  });

  t.test('a wait for any child is on each that lives', async (t) => {
    const story = new Story().seen(10).seen(11, { ppid: 10 }).seen(12, { ppid: 10 }).waitsForChild(10, 0);
    t.same(edgesOf(story.graph), ['pid:10 WaitsOn pid:11', 'pid:10 WaitsOn pid:12']);
    story.exited(11, { code: 1 }).later(1_000).waitsForChild(10, 0, { forMs: 6_000 });
    t.same(edgesOf(story.graph), ['pid:10 WaitsOn pid:12']);
  });

  t.test('a tid that moves to another process leaves the first', async (t) => {
    const story = new Story().seen(10).seen(20).reads(10, 7, { tid: 33 }).reads(20, 8, { tid: 33 });
    t.equal(processNode(story.graph, 10).threads.size, 0);
    t.same(edgesOf(story.graph), ['pid:20 WaitsOn pipe:8']);
  });

  t.test('CPU time between two passes is the share of a core', async (t) => {
    const story = new Story().seen(10).runs(10, { runMs: 100 }).runs(10, { tid: 11, runMs: 50 }).pass();
    story.later(2_000).runs(10, { runMs: 600 }).runs(10, { tid: 11, runMs: 550 }).pass();
    t.equal(processNode(story.graph, 10).cpuShare, 0.5);
    story.later(2_000).pass([10, 11]);
    t.equal(processNode(story.graph, 10).cpuShare, 0);
  });

  t.test('of a process, or thread, that has just begun all CPU time counts', async (t) => {
    const story = new Story().forked(10).later(10).execed(10).later(190).runs(10, { runMs: 150 }).pass();
    t.equal(processNode(story.graph, 10).cpuShare, 0.75, 'at its first sample');
    story.later(1_000).runs(10, { runMs: 150 }).runs(10, { tid: 11, runMs: 500 }).pass();
    t.equal(processNode(story.graph, 10).cpuShare, 0.5, 'a thread that the last pass did not see');
    story.later(1_000).runs(10, { runMs: 150 }).runs(10, { tid: 12, runMs: 90_000 }).pass([11]);
    t.equal(processNode(story.graph, 10).cpuShare, 0, 'one that was only missed has a longer past');
  });

  t.test('what it used before it executed another program does not count twice', async (t) => {
    const story = new Story().forked(10).later(1_000).runs(10, { runMs: 400 }).pass();
    story.later(500).execed(10).later(500).runs(10, { runMs: 800 }).pass();
    t.equal(processNode(story.graph, 10).cpuShare, 0);
    story.later(1_000).runs(10, { runMs: 900 }).pass();
    t.equal(processNode(story.graph, 10).cpuShare, 0.1);
  });

  t.test('starved since the first of the windows in a row in which it was', async (t) => {
    const story = new Story().seen(10);
    let delayMs = 0;
    const second = (delayed: number): number | undefined => {
      delayMs += delayed;
      story.later(1_000).wait('wait.run', 10, 'pid:10', { delayMs }, { runMs: 1, forMs: 0 }).pass([]);
      return processNode(story.graph, 10).starvedTs;
    };
    second(0);
    t.equal(second(100), undefined);
    const began = story.now;
    t.equal(second(900), began);
    t.equal(second(600), began);
    t.equal(second(0), undefined);
    t.equal(second(900), story.now - 1_000);
  });

  t.test('a sample of a process that has ended says nothing', async (t) => {
    const story = new Story().seen(10).exited(10, { code: 1 }).reads(10, 7);
    t.equal(processNode(story.graph, 10).threads.size, 0);
    t.same(edgesOf(story.graph), []);
  });
});

t.test('who uses a filesystem, and who could write to it', async (t) => {
  const story = new Story().seen(10).seen(11);
  const holder = (pid: number, mode: 'r' | 'rw') => ({
    pid,
    start: 1_000 * pid,
    comm: `p${pid}`,
    fd: 3,
    mode,
  });
  story.say('storage.users', 'fs:/data', 2, { holders: [holder(10, 'rw'), holder(11, 'r')] }, 'filesystem');
  const node = story.graph.nodes.get('fs:/data');
  if (node?.type !== 'filesystem') throw new Error('no filesystem');
  t.same([...node.writers], [10]);
  t.same(
    node.in.map(({ from, event }) => [from.id, event.value]),
    [
      ['pid:10', 2],
      ['pid:11', 2],
    ],
    'the evidence is what the event says',
  );
  const users = (): readonly string[] => node.in.map(({ from }) => from.id).sort();
  story.later(5_000);
  story.say('storage.users', 'fs:/data', 1, { holders: [holder(11, 'r')] }, 'filesystem');
  t.same(users(), ['pid:10', 'pid:11'], 'who has closed it just now may have met its errors');
  t.same([...node.writers], [10]);
  story.later(6_000);
  story.say('storage.users', 'fs:/data', 1, { holders: [holder(11, 'r')] }, 'filesystem');
  t.same(users(), ['pid:11']);
  t.same([...node.writers], []);
});

t.test('trouble of a flow', async (t) => {
  const kind = (story: Story): string | undefined => flowNode(story.graph).trouble?.kind;

  t.test('timeouts set it, an ACK clears it and is remembered', async (t) => {
    const story = new Story();
    story.transport('transport.timeout', stuck(A, story.now - 3_000), 5);
    t.match(flowNode(story.graph).trouble, { kind: 'timeout', since: story.now - 3_000 });
    t.same(edgesOf(story.graph), [`${idOf(A)} BlockedBy peer:10.0.0.2`]);
    story.later(1_000).transport('transport.recovered', A, 4_000);
    t.equal(kind(story), undefined);
    t.match(flowNode(story.graph).lastTrouble, { kind: 'timeout', until: story.now });
    t.same(edgesOf(story.graph), []);
  });

  t.test('it began when it first began', async (t) => {
    const story = new Story();
    const began = story.now;
    story.transport('transport.timeout', { ...A, backoff: 1, unackedBytes: 1 }, 1).later(4_000);
    story.transport('transport.timeout', { ...A, backoff: 4, unackedBytes: 1 }, 4);
    t.equal(flowNode(story.graph).trouble?.since, began);
  });

  t.test('a sample of a waiting thread is a witness as good', async (t) => {
    const story = new Story().seen(10).receives(10, stuck(A, 0));
    t.equal(kind(story), 'timeout');
    story.later(1_000).receives(10, A);
    t.equal(kind(story), undefined);
  });

  t.test('a backoff with nothing in flight is no timeout', async (t) => {
    t.equal(kind(new Story().transport('transport.state', { ...A, backoff: 2 })), undefined);
  });

  t.test('a window is closed when it takes nothing of what waits', async (t) => {
    t.equal(kind(new Story().transport('transport.zero_window', closedWindow(A), 9_000)), 'zero-window');
    const unprobed = { ...closedWindow(A), probesOut: 0 };
    t.equal(kind(new Story().transport('transport.state', unprobed)), 'zero-window');
    t.equal(kind(new Story().transport('transport.state', { ...A, sndWndBytes: 0 })), undefined);
    const story = new Story().transport('transport.zero_window', closedWindow(A), 1);
    t.equal(kind(story.later(10).transport('transport.state', A)), undefined);
  });

  t.test('a retransmit is remembered for five seconds and no longer', async (t) => {
    const story = new Story().transport('transport.retransmit', { ...A, retransmits: 1 }, 1);
    t.equal(kind(story.later(5_000).transport('transport.state', A)), 'retransmit');
    t.equal(kind(story.later(1).transport('transport.state', A)), undefined);
  });

  t.test('a close ends it, but not what ended the connection', async (t) => {
    const story = new Story();
    story.transport('transport.timeout', story.seen(10).owner(stuck(A, story.now), 10), 5);
    story.transport('transport.close', A);
    t.equal(kind(story), undefined);
    t.same(edgesOf(story.graph), [], 'nobody owns it any more');
    t.equal(kind(new Story().transport('transport.reset', A).transport('transport.close', A)), 'reset');
    const refused = new Story().transport('transport.connect_failed', A, 250);
    t.equal(kind(refused.transport('transport.close', A)), 'connect-failed');
    t.equal(flowNode(refused.graph).errno, 'ECONNREFUSED');
    t.equal(flowNode(refused.graph).trouble?.since, refused.now - 250);
  });

  t.test('the next connection of the same address pair starts anew', async (t) => {
    const story = new Story().transport('transport.connect_failed', A, 250).later(1_000);
    story.transport('transport.connect', A, 3);
    const { trouble, errno, closedTs, connectMs } = flowNode(story.graph);
    t.same(
      { trouble, errno, closedTs, connectMs },
      { trouble: undefined, errno: undefined, closedTs: undefined, connectMs: 3 },
    );
  });

  t.test('the owner is who sent last', async (t) => {
    const story = new Story().seen(10).seen(20);
    story.transport('transport.state', story.owner(A, 10)).transport('transport.state', story.owner(A, 20));
    t.same(edgesOf(story.graph), [`pid:20 Consumes ${idOf(A)}`]);
    story.transport('transport.state', A);
    t.same(edgesOf(story.graph), [`pid:20 Consumes ${idOf(A)}`], 'not to know is not to deny');
  });
});

t.test('limits', async (t) => {
  t.test('at maxNodes what is over gives way, and is counted', async (t) => {
    const story = new Story({ maxNodes: 4 });
    for (let n = 0; n < 10; n++) story.later(1).transport('transport.state', flow(n));
    t.equal(story.graph.nodes.size, 4);
    t.equal(story.graph.stats().evicted.nodes, 6);
    t.same(unsound(story.graph), []);
  });

  t.test('what lives does not: what is new is refused, and counted', async (t) => {
    const story = new Story({ maxNodes: 4 });
    for (let pid = 1; pid <= 10; pid++) story.later(1).seen(pid);
    t.same([...story.graph.nodes.keys()], ['pid:1', 'pid:2', 'pid:3', 'pid:4']);
    t.equal(story.graph.stats().evicted.nodes, 6);
  });

  t.test('at maxEdges known facts are refreshed and new ones refused, and counted', async (t) => {
    const story = new Story({ maxEdges: 2 });
    for (const pid of [1, 2, 3]) story.seen(pid);
    story.holders('pipe:7', 1, 2).later(1_000).holders('pipe:7', 1, 2, 3);
    t.same(edgesOf(story.graph), ['pipe:7 BlockedBy pid:1', 'pipe:7 BlockedBy pid:2']);
    t.equal(story.graph.nodes.get('pipe:7')?.out[0]?.event.ts, story.now);
    story.reads(3, 8).transport('transport.state', story.owner(A, 3));
    t.equal(story.graph.edges.total, 2);
    t.equal(story.graph.stats().evicted.edges, 3);
  });

  t.test('at maxExited the oldest gives way, and is counted when it goes too early', async (t) => {
    const story = new Story({ maxExited: 3 });
    for (let pid = 1; pid <= 5; pid++) story.later(1_000).forked(pid).exited(pid);
    const known = [1, 2, 3, 4, 5].filter((pid) => story.why(pid) !== undefined);
    t.same(known, [3, 4, 5]);
    t.equal(story.graph.stats().exited, 3);
    t.equal(story.graph.stats().evicted.exited, 2);
  });
});
