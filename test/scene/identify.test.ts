/** An answer says how its scene was identified: in sentences that are true of it. */
import t from 'tap';
import type { WhyAnswer } from '../../src/scene/answer.js';
import { flow, Story, stuck } from './build.js';
import { device, use, users } from './gpu-story.js';
import { RULE_STORIES } from '../rules/stories/all.js';
import { storyOf } from '../rules/recordings.js';

function told(tell: (s: Story) => unknown, pid = 10): string {
  const s = new Story();
  tell(s);
  return (s.why(pid)?.identifiedBy ?? []).join('\n');
}

t.test('where the chain ends, what came first, and that the host was asked before the network', async (t) => {
  const text = told((s) =>
    s
      .seen(10)
      .receives(10, stuck(flow(1), s.now - 12_000))
      .pass(),
  );
  t.match(
    text,
    /^flow:\S+, the deepest of the chain that has one, has a fault of its own: NetworkStall\/PathDown$/m,
  );
  t.match(text, /^it began 12\.0 s ago, before the wait that it explains$/m);
  t.match(text, /^the host was looked at first and is not it: 10 \(p10\) waited for a CPU 0 % of the time/m);
});

t.test('a fault that is younger than the wait is told to be', async (t) => {
  const text = told((s) => s.seen(10).receives(10, stuck(flow(1), s.now - 1_000), { forMs: 60_000 }));
  t.match(text, /^it began 1\.0 s ago, 59\.0 s after the wait that it explains$/m);
});

t.test('nothing is wrong with who merely does not act', async (t) => {
  const text = told((s) => s.seen(10).seen(20).reads(10, 7).holders('pipe:7', 20).sleeps(20));
  t.match(text, /^the chain ends at 20 \(p20\), and nothing on it has a fault of its own/);
});

t.test('an idle GPU is called a symptom, and a second cause is counted', async (t) => {
  const text = told((s) => {
    use(users(device(s.seen(10).seen(20)), 0, [10, 10]), 0, { gpuPercent: 90 });
    for (let i = 0; i < 6; i++) use(s.later(1_000), 0, { gpuPercent: 0 });
    s.reads(10, 7).holders('pipe:7', 20).stopped(20);
    s.receives(10, stuck(flow(1), s.now - 2_000), { tid: 11 }).pass();
  });
  t.match(text, /^an idle GPU is a symptom/m);
  t.match(text, /^1 more with a fault of its own: see the alternatives$/m);
});

t.test('no cause is claimed where none is known', async (t) => {
  t.match(
    told((s) => s.seen(10).receives(10, flow(1))),
    /^nothing that it waits for shows a fault of its own/,
  );
  t.match(
    told((s) => s.seen(10).futex(10)),
    /^it waits, and no fact tells for what/,
  );
  t.match(
    told((s) => s.seen(10).sleeps(10)),
    /^what it waits in is how idle programs wait/,
  );
  t.match(
    told((s) => s.seen(10).runs(10)),
    /^it makes progress/,
  );
});

t.test('every answer of a process that is known has it, short and without gaps', async (t) => {
  const answers = RULE_STORIES.flatMap(({ hit, miss }) =>
    [hit, miss].map((one) => storyOf(one).why(one.ask)),
  );
  for (const answer of answers.filter((one): one is WhyAnswer => one?.target.state === 'running')) {
    const said = answer.identifiedBy ?? [];
    t.ok(said.length > 0 && said.length <= 5, answer.summary);
    t.notMatch(said.join('\n'), /undefined|NaN|\[object/);
  }
});
