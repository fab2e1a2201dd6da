/** Whatever happens, in whatever order: the graph is sound, bounded, and a function of its events alone. */
import t from 'tap';
import { StateGraph } from '../../src/graph/state-graph.js';
import { event } from '../events/arbitrary.js';
import { type Deed, deeds } from '../scene/arbitrary.js';
import { Story } from '../scene/build.js';
import { picture, unsound } from './invariants.js';
import { fc, runs } from '../lib/property.js';

function check(story: Story): void {
  const found = unsound(story.graph);
  if (found.length > 0) throw new Error(found.join('\n'));
}

function live(story: Story, all: readonly Deed[]): void {
  for (const deed of all) {
    deed(story);
    check(story);
  }
}

t.test('edges, counts and indices agree after every event', async (t) => {
  fc.assert(
    fc.property(deeds, (all) => live(new Story(), all)),
    { numRuns: runs(200) },
  );
  t.pass();
});

t.test('… and no limit is ever exceeded, however tight', async (t) => {
  const limit = fc.integer({ min: 1, max: 12 });
  const limits = fc.record({
    maxNodes: limit,
    maxEdges: limit,
    maxExited: limit,
    keepMs: fc.constant(5_000),
  });
  fc.assert(
    fc.property(limits, deeds, (tight, all) => live(new Story(tight), all)),
    { numRuns: runs(400) },
  );
  t.pass();
});

t.test('any event that a recording can hold leaves it sound', async (t) => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), (events) => {
      const graph = new StateGraph({ maxNodes: 30, maxEdges: 30, maxExited: 10 });
      for (const one of events) graph.apply(one);
      const found = unsound(graph);
      if (found.length > 0) throw new Error(found.join('\n'));
    }),
    { numRuns: runs(300) },
  );
  t.pass();
});

t.test('who lives is who was last heard to live', async (t) => {
  type Life = { readonly pid: number; readonly start: number; readonly what: 'fork' | 'exit' };
  const life: fc.Arbitrary<Life> = fc.record({
    pid: fc.integer({ min: 1, max: 3 }),
    start: fc.integer({ min: 1, max: 4 }),
    what: fc.constantFrom('fork', 'exit'),
  });
  fc.assert(
    fc.property(fc.array(life, { maxLength: 40 }), (lives) => {
      const story = new Story();
      const alive = new Map<number, number>();
      /** The youngest of each pid that has ended. */
      const ended = new Map<number, number>();
      for (const { pid, start, what } of lives) {
        const before = alive.get(pid);
        story.later(1);
        if (what === 'fork') story.forked(pid, { start });
        // The start of the process that is meant, though it may not be the one that lives.
        else story.begin(pid, start).exited(pid);
        if (start <= (ended.get(pid) ?? 0) || (before !== undefined && before > start)) continue;
        if (what === 'fork') alive.set(pid, start);
        else {
          alive.delete(pid);
          ended.set(pid, start);
        }
      }
      for (const pid of [1, 2, 3]) {
        if (story.graph.process(pid)?.start !== alive.get(pid)) return false;
      }
      return true;
    }),
    { numRuns: runs(500) },
  );
  t.pass();
});

t.test('the same events give the same graph, and no clock is read', async (t) => {
  const now = Date.now;
  const monotonic = performance.now;
  const forbidden = (): never => {
    throw new Error('the clock was read');
  };
  fc.assert(
    fc.property(deeds, (all) => {
      const story = new Story();
      for (const deed of all) deed(story);
      const again = new StateGraph();
      try {
        Date.now = forbidden;
        performance.now = forbidden;
        for (const one of story.events) again.apply(one);
      } finally {
        Date.now = now;
        performance.now = monotonic;
      }
      return picture(again) === picture(story.graph);
    }),
    { numRuns: runs(100) },
  );
  t.pass();
});

t.test('an event is left as it was', async (t) => {
  fc.assert(
    fc.property(deeds, (all) => {
      const story = new Story();
      for (const deed of all) deed(story);
      const before = JSON.stringify(story.events);
      const graph = new StateGraph();
      for (const one of story.events) graph.apply(one);
      return JSON.stringify(story.events) === before;
    }),
    { numRuns: runs(50) },
  );
  t.pass();
});
