/** `xctl why` without a pid: each root cause once, worst first, told from nearest to it. */
import t from 'tap';
import { flow, idOf, Story, stuck } from './build.js';
import { flaws } from './well-formed.js';

const A = flow(1);

function roots(story: Story): readonly (string | undefined)[] {
  return story.findings().findings.map(({ rootCause }) => rootCause?.node);
}

t.test('nothing is wrong', async (t) => {
  const story = new Story().seen(10).sleeps(10).seen(20).runs(20).seen(30).reads(30, 7).holders('pipe:7', 10);
  t.match(story.findings(), { apiVersion: 'xctl/v1', node: 'testnode', findings: [] });
  t.equal(story.findings().findings.length, 0);
});

t.test('one cause with three victims is one finding, told by the nearest', async (t) => {
  const story = new Story().seen(10).seen(20).seen(30);
  story
    .receives(10, stuck(A, story.now))
    .reads(20, 7)
    .holders('pipe:7', 10)
    .reads(30, 8)
    .holders('pipe:8', 20);
  const { findings } = story.findings();
  t.equal(findings.length, 1);
  const [only] = findings;
  t.equal(only?.target.pid, 10);
  t.equal(only?.rootCause?.node, idOf(A));
  t.match(only?.summary, /; 2 more processes wait on it$/);
  t.same(findings.flatMap(flaws), []);
});

t.test('what stands still comes first, then what has ended, then what is slow', async (t) => {
  const story = new Story().seen(10).seen(20).seen(30).seen(40);
  story.disk(10, 'sda').receives(20, stuck(A, story.now)).stopped(30).exited(40, { signal: 'SIGSEGV' });
  t.same(roots(story), ['pid:30', idOf(A), 'pid:40', 'block:sda']);
});

t.test('peers that are merely slow are for those who ask', async (t) => {
  const story = new Story().seen(10).seen(20).reads(10, 7).holders('pipe:7', 20).sleeps(20);
  t.equal(story.why(10)?.verdict, 'cause-found');
  t.same(roots(story), []);
});

t.test('crashes of one program are one finding, and only for two minutes', async (t) => {
  const story = new Story();
  for (const pid of [10, 11, 12]) story.seen(pid, { comm: 'rank' }).exited(pid, { signal: 'SIGSEGV' });
  const same = story.findings().findings;
  t.match(same, [{ summary: /^killed by SIGSEGV .*; so did 2 more of that name$/ }]);
  t.equal(same.length, 1);
  story.later(120_001).seen(1);
  t.same(roots(story), []);
  t.equal(story.why(10)?.scene, 'ProcessCrash', 'whoever asks still hears of it');
});

t.test('how people and schedulers end processes is no finding, unless it was a job', async (t) => {
  const story = new Story()
    .seen(10)
    .seen(11)
    .seen(12, { job: { rank: 0, because: 'gpu' } })
    .seen(13);
  story.exited(10, { signal: 'SIGTERM' }).exited(11, { code: 2 }).exited(12, { signal: 'SIGTERM' });
  story.exited(13, { code: 0 });
  t.same(roots(story), ['pid:12']);
});

t.test('a program that ends with a code is a finding where it wrote to what is full', async (t) => {
  const mount = { dev: '8:1', fsType: 'ext4', mountPoint: '/data', under: [], readOnly: false };
  const space = (percent: number) => {
    const attrs = { sizeBytes: 1_000, freeBytes: 1_000 - 10 * percent, inodes: 0, freeInodes: 0 };
    return story.say('storage.space', 'fs:/data', percent, attrs, 'filesystem');
  };
  const story = new Story().seen(10).seen(11).say('storage.mount', 'fs:/data', 0, mount, 'filesystem');
  story.exited(10, { code: 1, wrote: ['8:1'] }).later(50);
  space(40);
  t.same(roots(story), [], 'it has room');
  story
    .later(60_000)
    .exited(11, { code: 1, wrote: ['8:1'] })
    .later(50);
  space(100);
  t.same(roots(story), ['fs:/data']);
});

t.test('what is wrong only together is found, too', async (t) => {
  const cycle = new Story().seen(10).seen(20);
  cycle.reads(10, 7).holders('pipe:7', 20).reads(20, 8).holders('pipe:8', 10);
  t.match(cycle.findings().findings, [{ subScene: 'Deadlock' }], 'neither is wrong by itself');
  const far = new Story().seen(10).seen(20).seen(30);
  far.reads(10, 7).holders('pipe:7', 20).reads(20, 8).holders('pipe:8', 30).stopped(30);
  t.match(far.findings().findings, [
    { rootCause: { node: 'pid:30' }, summary: /; 2 more processes wait on it$/ },
  ]);
});

t.test('at most fifty', async (t) => {
  const story = new Story();
  for (let pid = 100; pid < 180; pid++) story.seen(pid).stopped(pid);
  t.equal(story.findings().findings.length, 50);
});
