/** Whatever happens, in whatever order: every answer ends, is well-formed, and can be replayed. */
import fc from 'fast-check';
import t from 'tap';
import { findings } from '../../src/scene/findings.js';
import { why } from '../../src/scene/why.js';
import { event } from '../events/arbitrary.js';
import { StateGraph } from '../../src/graph/state-graph.js';
import { type Deed, deeds, PIDS } from './arbitrary.js';
import { OPTIONS, Story } from './build.js';
import { recorded } from './table.js';
import { flaws } from './well-formed.js';

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
    { numRuns: 400 },
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
    { numRuns: 150 },
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
    { numRuns: 100 },
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
    { numRuns: 200 },
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
      findings(graph, OPTIONS);
    }),
    { numRuns: 300 },
  );
  t.pass();
});
