/** Whatever happens, in whatever order: every answer ends, is well-formed, and can be replayed. */
import t from 'tap';
import { findings, findingsOfAll } from '../../src/scene/findings.js';
import { why } from '../../src/scene/why.js';
import { event } from '../events/arbitrary.js';
import { StateGraph } from '../../src/graph/state-graph.js';
import { type Deed, deeds, PIDS } from './arbitrary.js';
import type { JobAttrs } from '../../src/events/event.js';
import { flow, idOf, OPTIONS, Story } from './build.js';
import { device, health, use, users } from './gpu-story.js';
import { recorded } from './table.js';
import { flaws } from './well-formed.js';
import { fc, runs } from '../lib/property.js';

function lived(all: readonly Deed[]): Story {
  const story = new Story();
  for (const deed of all) deed(story);
  return story;
}

t.test('every answer is well-formed', async (t) => {
  fc.assert(
    fc.property(deeds, (all) => {
      const story = lived(all);
      const found = PIDS.flatMap((pid) => {
        const answer = story.why(pid);
        return answer === undefined ? [] : flaws(answer).map((flaw) => `why ${pid}: ${flaw}`);
      });
      const listed = story.findings().findings;
      found.push(...listed.flatMap(flaws));
      found.push(
        ...listed.filter(({ verdict }) => verdict !== 'cause-found').map(() => 'a finding without a cause'),
      );
      if (found.length > 0) throw new Error(found.join('\n'));
    }),
    { numRuns: runs(400) },
  );
  t.pass();
});

t.test('a recording gives the same answers', async (t) => {
  fc.assert(
    fc.property(deeds, (all) => {
      const story = lived(all);
      const replayed = recorded(story);
      for (const pid of PIDS) {
        const [a, b] = [story.why(pid), why(replayed, pid, OPTIONS)].map((answer) => JSON.stringify(answer));
        if (a !== b) throw new Error(`why ${pid}\n${a}\n${b}`);
      }
      const [a, b] = [story.findings(), findings(replayed, OPTIONS)].map((list) => JSON.stringify(list));
      if (a !== b) throw new Error(`findings\n${a}\n${b}`);
    }),
    { numRuns: runs(150) },
  );
  t.pass();
});

t.test('asking changes nothing', async (t) => {
  fc.assert(
    fc.property(deeds, (all) => {
      const story = lived(all);
      const before = PIDS.map((pid) => JSON.stringify(story.why(pid)));
      story.findings();
      return PIDS.every((pid, i) => JSON.stringify(story.why(pid)) === before[i]);
    }),
    { numRuns: runs(100) },
  );
  t.pass();
});

t.test('a finding is what whoever asks about its process is told', async (t) => {
  fc.assert(
    fc.property(deeds, (all) => {
      const story = lived(all);
      return story.findings().findings.every((finding) => {
        const { summary: _, ...rest } = finding;
        const { summary, ...asked } = story.why(finding.target.pid) ?? { summary: '' };
        return JSON.stringify(rest) === JSON.stringify(asked) && finding.summary.startsWith(summary);
      });
    }),
    { numRuns: runs(200) },
  );
  t.pass();
});

t.test('who is not walked for has nothing to tell', async (t) => {
  fc.assert(
    fc.property(deeds, (all) => {
      const { graph } = lived(all);
      return JSON.stringify(findings(graph, OPTIONS)) === JSON.stringify(findingsOfAll(graph, OPTIONS));
    }),
    { numRuns: runs(1_000) },
  );
  t.pass();
});

const JOB: JobAttrs = { because: 'launcher', launcher: 'torchrun', id: 'none', worldSize: 4 };

/** Ranks that wait for each other as gloo's do, some on GPUs that are slowed, in the middle of whatever else happens. */
function gang(story: Story, ranks: readonly number[], hot: readonly number[]): void {
  for (const rank of ranks) story.seen(rank, { job: JOB });
  for (const rank of hot) {
    device(story, rank);
    users(story, rank, [rank, 10, 50]);
    health(story, rank);
  }
  for (let i = 0; i < 9; i++) {
    story.later(1_000);
    for (const rank of hot) use(story, rank, { gpuPercent: 80, throttle: ['sw-thermal'], temperatureC: 93 });
  }
  for (const rank of ranks) {
    const others = ranks.filter((other) => other !== rank);
    story.futex(rank, { forMs: 6_000 }).polls(rank, [flow(rank)], { tid: 100 + rank, forMs: 8 });
    story.holders(idOf(flow(rank)), ...others);
  }
  story.pass();
}

t.test('nor has one of many ranks', async (t) => {
  const some = fc.uniqueArray(fc.integer({ min: 1, max: 4 }), { minLength: 1 });
  fc.assert(
    fc.property(deeds, some, fc.subarray([1, 2, 3, 4]), (all, ranks, hot) => {
      const story = lived(all);
      gang(story, ranks, hot);
      const { graph } = story;
      return JSON.stringify(findings(graph, OPTIONS)) === JSON.stringify(findingsOfAll(graph, OPTIONS));
    }),
    { numRuns: runs(500), examples: [[[], [1, 2], [2]]] },
  );
  t.pass();
});

t.test('any event that a recording can hold is taken, and any pid answered for', async (t) => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), (events) => {
      const graph = new StateGraph();
      for (const one of events) graph.apply(one);
      for (const node of [...graph.nodes.values()]) {
        if (node.type === 'process') why(graph, node.pid, OPTIONS);
      }
      const [some, every] = [findings(graph, OPTIONS), findingsOfAll(graph, OPTIONS)];
      if (JSON.stringify(some) !== JSON.stringify(every))
        throw new Error('findings that nobody was walked for');
    }),
    { numRuns: runs(300) },
  );
  t.pass();
});
