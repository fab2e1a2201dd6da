/** Communicators in the graph: whatever is said of them, it stays sound, and who is behind is behind. */
import t from 'tap';
import type { CommState } from '../../src/events/nccl.js';
import { Story } from '../scene/build.js';
import { unsound } from './invariants.js';
import { fc, runs } from '../lib/property.js';

const PIDS = [10, 20, 30];
const STATES: readonly CommState[] = ['init', 'ready', 'failed', 'finalized', 'destroyed', 'aborted'];

type Deed = (story: Story) => unknown;

const pid = fc.constantFrom(...PIDS);
const comm = fc.constantFrom('comm:00000000000000aa', 'comm:00000000000000bb', 'comm:10/0x7f00');
const handle = fc.constantFrom('0x7f00', '0x7f10');
const start = (p: number): number => p * 1_000;

const deed: fc.Arbitrary<Deed> = fc.oneof(
  fc.tuple(pid, comm, handle, fc.constantFrom(...STATES), fc.nat(3)).map(
    ([p, id, h, state, rank]): Deed =>
      (s) =>
        s.say(
          'nccl.comm',
          id,
          4,
          { start: start(p), state, call: 'x', tid: p, rank, ...(state !== 'init' && { handle: h }) },
          'gpu-trace',
          p,
        ),
  ),
  fc.tuple(pid, comm, handle, fc.nat(5), fc.boolean()).map(
    ([p, id, h, collectives, stopped]): Deed =>
      (s) =>
        s.say(
          'nccl.enqueue',
          id,
          collectives,
          { start: start(p), handle: h, collectives, p2p: 0, ...(stopped && { stopped: true as const }) },
          'gpu-trace',
          p,
        ),
  ),
  fc.tuple(pid, fc.boolean()).map(
    ([p, over]): Deed =>
      (s) =>
        s.say(
          'wait.gpu',
          `pid:${p}`,
          1,
          { start: start(p), tid: p, what: 'x', since: s.now, ...(over && { over: true as const }) },
          'gpu-trace',
          p,
        ),
  ),
  pid.map(
    (p): Deed =>
      (s) =>
        s.runs(p),
  ),
  pid.map(
    (p): Deed =>
      (s) =>
        s.pass([p]),
  ),
  pid.map(
    (p): Deed =>
      (s) =>
        s.exited(p, { signal: 'SIGKILL' }),
  ),
  fc.integer({ min: 1, max: 5_000 }).map(
    (ms): Deed =>
      (s) =>
        s.later(ms),
  ),
);

t.test('any order of what can be said', async (t) => {
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 60 }), (deeds) => {
      const story = new Story({ maxNodes: 8, maxEdges: 6 });
      for (const one of deeds) {
        one(story);
        const flaws = unsound(story.graph);
        if (flaws.length > 0) throw new Error(flaws.join('; '));
        for (const node of story.graph.nodes.values()) {
          if (node.type !== 'communicator') continue;
          const most = Math.max(0, ...[...node.members.values()].map(({ collectives }) => collectives));
          for (const member of node.members.values()) {
            if (member.behindSince === undefined) continue;
            if (!node.counted || member.collectives >= most) throw new Error('behind, and is not');
          }
        }
      }
      for (const p of PIDS) story.why(p);
    }),
    { numRuns: runs(300) },
  );
  t.pass();
});

t.test('who is gone waits for no GPU, and who was never seen neither', async (t) => {
  const s = new Story().seen(10).runs(10);
  const wait = { start: 10_000, tid: 10, what: 'cuCtxSynchronize', since: s.now };
  s.say('wait.gpu', 'pid:10', 1, wait, 'gpu-trace', 10);
  t.equal(s.graph.threadsByTid.get(10)?.gpuWait?.what, 'cuCtxSynchronize');
  s.say('wait.gpu', 'pid:10', 1, { ...wait, tid: 11 }, 'gpu-trace', 10);
  t.notOk(s.graph.threadsByTid.has(11));
  s.say('wait.gpu', 'pid:10', 1, { ...wait, start: 1, over: true }, 'gpu-trace', 10);
  t.ok(s.graph.threadsByTid.get(10)?.gpuWait, 'an older process of that number');
  s.say('wait.gpu', 'pid:10', 1, { ...wait, over: true }, 'gpu-trace', 10);
  t.equal(s.graph.threadsByTid.get(10)?.gpuWait, undefined);
});
