/** An idle GPU is a symptom: whoever keeps it idle is named, and nobody where it is idle by design. */
import t from 'tap';
import type { GpuProcess, GpuUseAttrs } from '../../src/events/gpu.js';
import { flow, Story } from './build.js';
import { flaws } from './well-formed.js';
import { fc } from '../lib/property.js';

const GPU = 'gpu:0';
const TRAINER = 10;
const WORKER = 20;

/** One look at a GPU a second. */
class GpuStory extends Story {
  processes(...list: readonly (number | GpuProcess)[]): this {
    const processes = list.map((one) => (typeof one === 'number' ? { pid: one, memoryBytes: 1e9 } : one));
    return this.say('gpu.processes', GPU, 0, { processes }, 'gpu');
  }

  use(percent: number | undefined, more: Partial<GpuUseAttrs> = {}): this {
    const attrs = {
      ...(percent !== undefined && { gpuPercent: percent }),
      throttle: [],
      windowMs: 1_000,
      ...more,
    };
    return this.say('gpu.use', GPU, percent ?? 0, attrs, 'gpu');
  }

  opened(...pids: readonly number[]): this {
    const holders = pids.map((pid) => ({ pid, start: pid * 1_000, comm: `p${pid}`, fd: 9 }));
    return this.say('gpu.users', GPU, pids.length, { holders }, 'gpu');
  }

  /** It worked, and then did nothing for so long. */
  idle(forMs: number): this {
    this.use(90);
    for (let left = forMs; left >= 0; left -= 1_000) this.later(1_000).use(0);
    return this;
  }
}

function training(): GpuStory {
  return new GpuStory().seen(TRAINER, { comm: 'trainer' }).seen(WORKER, { comm: 'worker' });
}

/** The trainer reads a pipe that the worker should fill. */
function starvedByWorker(story: GpuStory): GpuStory {
  return story.reads(TRAINER, 7, { forMs: 5_000 }).holders('pipe:7', WORKER);
}

t.test('what is broken keeps its scene; the GPU stands in front and in the evidence', async (t) => {
  const story = starvedByWorker(training().processes(TRAINER).idle(5_000)).stopped(WORKER).pass();
  const answer = story.why(TRAINER);
  t.match(answer, {
    verdict: 'cause-found',
    scene: 'ProcessBlocked',
    subScene: 'Stopped',
    rootCause: { node: `pid:${WORKER}` },
    summary:
      /^GPU 0 idle for 5\.0 s, its process 10 \(trainer\): its main thread reads from an empty pipe; 20 \(worker\): stopped by/,
  });
  t.match(answer?.rootCause?.summary, /^stopped by/, 'the cause is the cause alone');
  const idle = answer?.evidence.find(({ type }) => type === 'gpu.use');
  t.match(idle, { entity: GPU, value: 0, detail: 'no kernel ran on it for 5.0 s' });
  t.ok(idle && answer?.chain[0]?.evidence.includes(idle.id), 'under the first link');
  t.same(answer && flaws(answer), []);
});

t.test('the list tells it once, from the process with the GPU', async (t) => {
  const story = starvedByWorker(training().processes(TRAINER).idle(5_000)).stopped(WORKER).pass();
  const { findings } = story.findings();
  t.equal(findings.length, 1);
  t.match(findings[0], {
    target: { pid: TRAINER },
    summary: /^GPU 0 idle for .*; 1 more process waits on it$/,
  });
});

t.test('one who merely does not act: GpuUtilLow, and in the list because of the GPU', async (t) => {
  const without = starvedByWorker(training()).sleeps(WORKER).pass();
  t.match(without.why(TRAINER), { scene: 'ProcessBlocked', subScene: 'WaitsOnPeer' });
  t.same(without.findings().findings, []);
  const story = starvedByWorker(training().processes(TRAINER).idle(5_000)).sleeps(WORKER).pass();
  t.match(story.why(TRAINER), {
    verdict: 'cause-found',
    scene: 'GpuUtilLow',
    subScene: 'WaitsOnPeer',
    rootCause: { node: `pid:${WORKER}` },
  });
  t.match(story.findings().findings, [{ scene: 'GpuUtilLow', target: { pid: TRAINER } }]);
});

t.test('nobody known: a symptom that names the thread', async (t) => {
  const story = training().processes(TRAINER).idle(5_000).futex(TRAINER, { forMs: 5_000 }).pass();
  const answer = story.why(TRAINER);
  t.match(answer, { verdict: 'symptom-only', scene: 'GpuUtilLow', rootCause: null });
  t.match(answer?.chain, [{ from: `pid:${TRAINER}`, tid: TRAINER }]);
  t.same(answer && flaws(answer), []);
  t.same(story.findings().findings, []);
});

t.test('by design: a notebook that sleeps or polls holds an idle GPU and is healthy', async (t) => {
  const asleep = training().processes(TRAINER).idle(60_000).sleeps(TRAINER).pass();
  t.match(asleep.why(TRAINER), {
    verdict: 'healthy',
    scene: null,
    summary: /^idle: sleeps .*; GPU 0, which it holds, is idle for 1 min 0 s$/,
  });
  const polls = training().processes(TRAINER).idle(60_000).polls(TRAINER, ['pipe:1', 'pipe:2']).pass();
  t.match(polls.why(TRAINER), { verdict: 'healthy' });
  t.same(asleep.findings().findings, []);
});

t.test('a GPU that works is progress, whatever the main thread waits for', async (t) => {
  const story = starvedByWorker(training().processes(TRAINER).use(90)).sleeps(WORKER).pass();
  t.match(story.why(TRAINER), { verdict: 'healthy', summary: 'makes progress: gpu:0 works (90 %)' });
  const broken = starvedByWorker(training().processes(TRAINER).use(90)).stopped(WORKER).pass();
  t.match(broken.why(TRAINER), { verdict: 'cause-found', subScene: 'Stopped' }, 'a collective spins as well');
});

t.test('whose work it is', async (t) => {
  const of = (list: readonly GpuProcess[]): string | undefined =>
    starvedByWorker(
      training()
        .processes(...list)
        .use(90),
    )
      .sleeps(WORKER)
      .pass()
      .why(TRAINER)?.verdict;
  t.equal(
    of([
      { pid: TRAINER, smPercent: 50 },
      { pid: WORKER, smPercent: 40 },
    ]),
    'healthy',
  );
  t.equal(
    of([
      { pid: TRAINER, smPercent: 0 },
      { pid: WORKER, smPercent: 90 },
    ]),
    'cause-found',
  );
  t.equal(of([{ pid: TRAINER }, { pid: WORKER }]), 'cause-found', 'of two on it, nobody is known to work');
});

t.test('who holds it: by its context, and by its open device only where NVML lists nobody', async (t) => {
  const has = (story: GpuStory): boolean =>
    /^GPU 0 idle/.test(starvedByWorker(story).stopped(WORKER).pass().why(TRAINER)?.summary ?? '');
  t.ok(has(training().processes(TRAINER).idle(5_000)));
  t.ok(has(training().opened(TRAINER).idle(5_000)), 'NVML tells no list');
  t.notOk(has(training().opened(TRAINER).processes(WORKER).idle(5_000)), 'a CUDA program has all GPUs open');
  t.notOk(has(training().idle(5_000)), 'nobody holds it');
  t.notOk(has(training().processes(TRAINER).idle(5_000).processes()), 'it has left');
});

t.test('idle is what is known to be, and for a while', async (t) => {
  const idle = (story: GpuStory): boolean =>
    /^GPU 0 idle/.test(starvedByWorker(story).stopped(WORKER).pass().why(TRAINER)?.summary ?? '');
  t.notOk(idle(training().processes(TRAINER).idle(1_000)), 'a pause between two steps');
  t.notOk(
    idle(training().processes(TRAINER).use(undefined).later(9_000).use(undefined)),
    'MIG tells nothing',
  );
  t.notOk(idle(training().processes(TRAINER).idle(5_000).later(20_000)), 'old news');
  t.notOk(idle(training().idle(60_000).processes(TRAINER)), 'it was idle before, under nobody');
  const lost = training().processes(TRAINER).idle(5_000);
  lost.say('gpu.state', GPU, 0, { state: 'lost', was: 'ok', scope: 'gpu' }, 'gpu');
  t.notOk(idle(lost), 'a lost GPU is more than idle');
});

t.test('several GPUs of one process are told together', async (t) => {
  const story = training();
  for (let second = 0; second < 5; second++) {
    for (const id of ['gpu:10', 'gpu:0', 'gpu:2']) {
      story.say('gpu.processes', id, 0, { processes: [{ pid: TRAINER }] }, 'gpu');
      story.say('gpu.use', id, 0, { gpuPercent: 0, throttle: [], windowMs: 1_000 }, 'gpu');
    }
    story.later(1_000);
  }
  const answer = starvedByWorker(story).stopped(WORKER).pass().why(TRAINER);
  t.match(answer?.summary, /^GPUs 0, 2 and 10 idle for 5\.0 s, their process 10 \(trainer\): /);
});

t.test(
  'it computes on the CPU meanwhile: told after a while, and only if it used the GPU before',
  async (t) => {
    const computes = (story: GpuStory): GpuStory => {
      story.runs(TRAINER, { runMs: 0, forMs: 0 }).pass();
      return story.later(1_000).use(0).runs(TRAINER, { runMs: 990, forMs: 0 }).pass();
    };
    t.match(computes(training().processes(TRAINER).idle(15_000)).why(TRAINER), {
      verdict: 'symptom-only',
      scene: 'GpuUtilLow',
      subScene: 'HostBound',
      summary:
        /^GPU 0 idle for 16\.0 s, its process 10 \(trainer\): thread 10 \(trainer\) computes on the CPU/,
    });
    t.match(computes(training().processes(TRAINER).idle(4_000)).why(TRAINER), { verdict: 'healthy' });
    const loads = training().processes(TRAINER).use(0).later(15_000).use(0);
    t.match(computes(loads).why(TRAINER), { verdict: 'healthy' }, 'it has only just come');
  },
);

/** The connections of one process to one address, each refused. */
function refused(story: GpuStory, tries: number, pauseMs = 1_000): GpuStory {
  const owner = { created: { pid: TRAINER, start: TRAINER * 1_000, how: 'connect' as const } };
  for (let i = 0; i < tries; i++)
    story.later(pauseMs).transport('transport.connect_failed', flow(i, { owner, state: 'CLOSE' }));
  return story;
}

t.test('it tries to connect again and again, and sleeps between: the address is named', async (t) => {
  const story = (tries: number, pauseMs?: number): GpuStory =>
    refused(training().processes(TRAINER).idle(5_000), tries, pauseMs).use(0).sleeps(TRAINER, { forMs: 200 });
  const answer = story(5).pass().why(TRAINER);
  t.match(answer, {
    verdict: 'cause-found',
    scene: 'NetworkStall',
    subScene: 'Refused',
    summary:
      /10\.0\.0\.2:29500 refuses its connections: nobody listens there \(ECONNREFUSED, 5 tries in 4\.0 s\)$/,
  });
  t.same(answer && flaws(answer), []);
  t.match(story(2).pass().why(TRAINER), { verdict: 'healthy' }, 'not yet a loop');
  t.match(story(3, 40_000).pass().why(TRAINER), { verdict: 'healthy' }, 'three stories and no loop');
  const over = story(5).later(20_000).use(0).sleeps(TRAINER, { forMs: 20_000 }).pass();
  t.match(over.why(TRAINER), { verdict: 'healthy' }, 'it has given up');
  const through = story(5).transport('transport.connect', {
    ...flow(9),
    owner: { created: { pid: TRAINER, start: TRAINER * 1_000, how: 'connect' } },
  });
  t.match(through.pass().why(TRAINER), { verdict: 'healthy' }, 'it got through');
  const loop = refused(training().processes(TRAINER).idle(5_000), 5)
    .use(0)
    .polls(TRAINER, ['pipe:1', 'pipe:2']);
  t.match(loop.pass().why(TRAINER), { verdict: 'healthy' }, 'an event loop may try for what nobody needs');
  const busy = refused(training().processes(TRAINER).use(90), 5, 500).use(90).sleeps(TRAINER, { forMs: 200 });
  t.match(busy.pass().why(TRAINER), { verdict: 'healthy' }, 'its GPU works: nobody waits for that address');
});

t.test('a worker that has died, and a pipe that its reader keeps open itself', async (t) => {
  const story = (): GpuStory =>
    training().processes(TRAINER).forked(WORKER, { comm: 'worker', ppid: TRAINER });
  const reads = (s: GpuStory): GpuStory =>
    s.reads(TRAINER, 7, { forMs: 3_000 }).holders('pipe:7', TRAINER).pass();
  const died = reads(story().idle(3_000).exited(WORKER, { signal: 'SIGKILL' }).later(2_000).use(0));
  const answer = died.why(TRAINER);
  t.match(answer, {
    verdict: 'cause-found',
    scene: 'ProcessCrash',
    rootCause: {
      node: `pid:${WORKER}`,
      summary: /^20 \(worker\) has died \(killed by SIGKILL.* has the other end open itself$/,
    },
    summary: /^GPU 0 idle for .*its main thread reads from an empty pipe; 20 \(worker\) has died/,
  });
  t.same(
    answer?.chain.map(({ to }) => to),
    ['pipe:7', `pid:${WORKER}`],
  );
  t.same(answer && flaws(answer), []);
  const well = reads(story().idle(3_000).exited(WORKER).later(2_000).use(0));
  t.match(
    well.why(TRAINER),
    { verdict: 'symptom-only', scene: 'GpuUtilLow' },
    'it ended well: nobody is accused',
  );
});

t.test('for any length of idleness and any share of work', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 100 }), (seconds, percent) => {
      const story = training().processes(TRAINER).use(90);
      for (let i = 0; i <= seconds; i++) story.later(1_000).use(percent);
      const answer = starvedByWorker(story).stopped(WORKER).pass().why(TRAINER);
      const told = /^GPU 0 idle/.test(answer?.summary ?? '');
      return answer?.rootCause?.node === `pid:${WORKER}` && told === (percent < 2 && seconds >= 2);
    }),
  );
});
