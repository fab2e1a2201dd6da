/** Runs a table of incidents: each is told, asked about, replayed from its recording and asked again. */
import t from 'tap';
import { decodeEvent, encodeEvent } from '../../src/events/codec.js';
import { StateGraph } from '../../src/graph/state-graph.js';
import type { WhyAnswer } from '../../src/scene/answer.js';
import { why } from '../../src/scene/why.js';
import { OPTIONS, Story } from './build.js';
import { flaws } from './well-formed.js';

export interface Expected {
  readonly verdict: WhyAnswer['verdict'];
  /** `Scene` or `Scene/SubScene`; absent where there is none. */
  readonly scene?: string;
  /** Node id of the root cause. */
  readonly root?: string;
  /** Nodes of the chain, the target first. */
  readonly chain?: readonly string[];
  readonly confidence?: number;
  readonly summary?: RegExp;
  /** Roots of the further causes. */
  readonly alternatives?: readonly string[];
}

export interface Case {
  readonly name: string;
  readonly tell: (story: Story) => void;
  readonly ask: number;
  readonly expect: Expected;
}

export function table(cases: readonly Case[]): void {
  for (const { name, tell, ask, expect } of cases) {
    t.test(name, async (t) => {
      const story = new Story();
      tell(story);
      const answer = story.why(ask);
      if (answer === undefined) throw new Error(`no answer for ${ask}`);
      t.same(flaws(answer), [], 'well-formed');
      t.equal(answer.verdict, expect.verdict, answer.summary);
      t.equal(sceneOf(answer), expect.scene, 'scene');
      t.equal(answer.rootCause?.node, expect.root, 'root');
      if (expect.chain !== undefined) t.same(nodesOf(answer), expect.chain, 'chain');
      if (expect.confidence !== undefined) t.equal(answer.confidence, expect.confidence, 'confidence');
      if (expect.summary !== undefined) t.match(answer.summary, expect.summary);
      t.same(
        (answer.alternatives ?? []).map(({ rootCause }) => rootCause?.node),
        expect.alternatives ?? [],
        'alternatives',
      );
      t.same(why(recorded(story), ask, OPTIONS), answer, 'the same from a recording');
    });
  }
}

/** The graph that the story's events give after a trip through the recording's format. */
export function recorded(story: Story): StateGraph {
  const graph = new StateGraph(story.graph.limits);
  for (const event of story.events) {
    const decoded = decodeEvent(encodeEvent(event));
    if (!decoded.ok) throw new Error(`${event.type} does not survive a recording: ${decoded.reason}`);
    graph.apply(decoded.event);
  }
  return graph;
}

function sceneOf({ scene, subScene }: WhyAnswer): string | undefined {
  if (scene === null) return undefined;
  return subScene === null ? scene : `${scene}/${subScene}`;
}

function nodesOf({ chain }: WhyAnswer): readonly string[] {
  const [first] = chain;
  return first === undefined ? [] : [first.from, ...chain.map(({ to }) => to)];
}
