/** Blocked processes: the answers of `xctl why` along every kind of wait, and when they let go. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { WhyAnswer } from '../../src/scene/answer.js';
import { type Agent, startAgent } from '../lib/agent.js';
import { workload } from '../lib/cc.js';
import { type Proc, start, startWorkload, type Truth } from '../lib/proc.js';
import type { Scope } from '../lib/scope.js';
import { until } from '../lib/until.js';
import { brief, chainFlaws, isWell, startE2e, untilWhy } from './lib/ask.js';
import { FREEZERS, type Freezer, makeGroup } from '../lib/cgroup.js';
import { scratch } from './lib/raw-agent.js';

let agent: Agent;

t.before(async () => {
  agent = await startAgent(t);
});

t.test('deadlocks: two threads, one thread alone, two processes over pipes', async (t) => {
  for (const mode of ['threads', 'self', 'pipes']) {
    const deadlock = await startWorkload(t, 'deadlock', { mode });
    await deadlock.ready();
    const pids = mode === 'pipes' ? deadlock.truths().map((truth) => truth.pid) : [deadlock.pid];
    for (const pid of pids) {
      const answer = await untilWhy(agent, pid, (a) => a.subScene === 'Deadlock', { what: mode });
      t.match(brief(answer), { verdict: 'cause-found', scene: 'ProcessBlocked', subScene: 'Deadlock' }, mode);
      t.same(chainFlaws(answer), [], `${mode}: the chain holds`);
      const members =
        mode === 'pipes'
          ? pids
          : deadlock
              .truths()
              .slice(0, -1)
              .map((truth) => truth.tid);
      for (const member of members) t.match(answer.summary, String(member), `${mode} names ${member}`);
      t.ok(answer.confidence >= 0.8, `${mode}: ${answer.confidence}`);
    }
    await deadlock.stop();
  }
});

t.test(
  'a stopped process is the cause, for itself and for who reads from it; gone when it goes on',
  async (t) => {
    const alone = await startWorkload(t, 'stopped', { mode: 'self' });
    await alone.ready();
    const own = await untilWhy(agent, alone.pid, (a) => a.verdict === 'cause-found', { what: 'stopped' });
    t.match(brief(own), { scene: 'ProcessBlocked', subScene: 'Stopped', root: `pid:${alone.pid}` });

    const reader = await startWorkload(t, 'stopped');
    const truth = await reader.ready();
    const [peer, pipe] = [truth.number('peer'), truth.text('pipe')];
    const answer = await untilWhy(agent, reader.pid, (a) => a.verdict === 'cause-found', {
      what: 'its child',
    });
    t.match(brief(answer), {
      scene: 'ProcessBlocked',
      subScene: 'Stopped',
      root: `pid:${peer}`,
      nodes: [`pid:${reader.pid}`, `pipe:${pipe}`, `pid:${peer}`],
    });
    t.same(chainFlaws(answer), []);
    process.kill(peer, 'SIGCONT');
    await reader.ready('resumed');
    await untilWhy(agent, reader.pid, isWell, { what: 'healthy after SIGCONT' });
  },
);

t.test('a trainer that runs is healthy, whatever its threads sleep in', async (t) => {
  const peer = await startWorkload(t, 'trainer', { role: 'peer' });
  const port = (await peer.ready('listen')).number('port');
  const trainer = await startWorkload(t, 'trainer', { port });
  await trainer.line(/kind=step step=100$/);
  for (const proc of [trainer, peer]) {
    for (let i = 0; i < 4; i++) {
      const answer = await agent.why(proc.pid);
      t.ok(isWell(answer), `question ${i + 1}: ${answer.summary}`);
    }
  }
});

interface ChainCase {
  readonly via: string;
  /** The nodes between the target and the child at fault. */
  readonly path: (truth: Truth) => readonly (string | RegExp)[];
}

const BY_OBJECT = (truth: Truth): readonly string[] => [truth.text('object')];

/** Every way to wait for another process; the fault at its end is that the child is stopped. */
const CHAINS: readonly ChainCase[] = [
  { via: 'pipe-read', path: BY_OBJECT },
  { via: 'pipe-write', path: BY_OBJECT },
  { via: 'unix', path: BY_OBJECT },
  { via: 'flock', path: (truth) => [new RegExp(`^file:\\d+:\\d+${truth.text('object')}$`)] },
  { via: 'child', path: () => [] },
  { via: 'join', path: BY_OBJECT },
  { via: 'lock', path: BY_OBJECT },
];

t.test('chains end at the process that is stopped', async (t) => {
  await Promise.all(CHAINS.map((one) => checkChain(t, one)));
});

async function checkChain(t: Test, { via, path }: ChainCase): Promise<void> {
  const waiter = await startE2e(t, 'chain', { via, child: 'stopped' });
  const truth = await waiter.ready();
  const child = `pid:${truth.number('child')}`;
  const isRight = (a: WhyAnswer): boolean => a.verdict === 'cause-found' && a.rootCause?.node === child;
  const answer = await untilWhy(agent, waiter.pid, isRight, { what: `${via}: ${child} is the cause` });
  t.match(brief(answer), { scene: 'ProcessBlocked', subScene: 'Stopped', rootType: 'process' }, via);
  t.same(chainFlaws(answer), [], via);
  const { nodes } = brief(answer);
  t.equal(nodes.at(-1), child, `${via} ends at the child`);
  for (const step of path(truth)) {
    const passes = nodes.some((node) => (typeof step === 'string' ? node === step : step.test(node)));
    t.ok(passes, `${via} passes ${step}`);
  }
  t.ok(answer.confidence >= 0.85, `${via}: ${answer.confidence}`);
  await waiter.stop();
}

t.test('a chain through a shell: sh waits for its child, which waits for its own', async (t) => {
  const program = await workload('stopped');
  const shell = await start(t, 'setpriv', ['--pdeathsig', 'KILL', 'sh', '-c', `${program}; true`]);
  const truth = await shell.ready();
  const answer = await untilWhy(agent, shell.pid, (a) => a.verdict === 'cause-found', { what: 'through sh' });
  const peer = `pid:${truth.number('peer')}`;
  t.match(brief(answer), {
    subScene: 'Stopped',
    root: peer,
    nodes: [`pid:${shell.pid}`, `pid:${truth.pid}`, `pipe:${truth.text('pipe')}`, peer],
  });
});

t.test(
  'a lock held by a thread that sleeps, and a thread that does not end: known, with less certainty',
  async (t) => {
    for (const [via, scene] of [
      ['lock', 'LockHeld'],
      ['join', 'Join'],
    ] as const) {
      const waiter = await startE2e(t, 'chain', { via, child: 'idle' });
      const truth = await waiter.ready();
      const answer = await untilWhy(agent, waiter.pid, (a) => a.verdict !== 'healthy' && a.chain.length > 0, {
        what: `${via}: not healthy`,
      });
      // The child that sleeps has no fault of its own: it may be named as the end, never surely.
      t.ok(answer.confidence < 0.85, `${scene}: ${answer.confidence}`);
      t.same(chainFlaws(answer), []);
      t.ok(brief(answer).nodes.includes(truth.text('object')), `${via} goes on to the pipe`);
      await waiter.stop();
    }
  },
);

t.test('a traced process: its tracer is named', async (t) => {
  const waiter = await startE2e(t, 'chain', { via: 'pipe-read', child: 'traced' });
  const truth = await waiter.ready();
  const child = truth.number('child');
  for (const pid of [child, waiter.pid]) {
    const answer = await untilWhy(agent, pid, (a) => a.verdict === 'cause-found', { what: 'traced' });
    t.match(brief(answer), { scene: 'ProcessBlocked', subScene: 'Stopped', root: `pid:${child}` });
    t.match(answer.rootCause?.summary, `tracer (pid ${truth.number('tracer')})`);
  }
});

for (const freezer of FREEZERS) {
  const skip = existsSync(`${freezer.root}/cgroup.procs`) ? false : `no freezer of ${freezer.name} here`;
  t.test(`a frozen process (${freezer.name}), asked itself and over a pipe`, { skip }, async (t) => {
    const waiter = await startE2e(t, 'chain', { via: 'pipe-read', child: 'idle' });
    const child = (await waiter.ready()).number('child');
    const group = await freezerGroup(t, freezer, child);
    writeFileSync(join(group, freezer.file), freezer.freeze);
    for (const pid of [child, waiter.pid]) {
      const answer = await untilWhy(agent, pid, (a) => a.rootCause?.summary.includes('frozen') === true, {
        what: 'frozen',
      });
      t.match(brief(answer), { verdict: 'cause-found', scene: 'ProcessBlocked', root: `pid:${child}` });
    }
    writeFileSync(join(group, freezer.file), freezer.thaw);
    await untilWhy(agent, child, isWell, { what: 'healthy once thawed' });
  });
}

/** A group of its own for one process, which leaves it at the end. */
async function freezerGroup(scope: Scope, { root, file, thaw }: Freezer, pid: number): Promise<string> {
  const group = await makeGroup(scope, root, 'frozen', (made) => {
    writeFileSync(join(made, file), thaw);
    if (existsSync(`/proc/${pid}`)) writeFileSync(join(root, 'cgroup.procs'), String(pid));
  });
  writeFileSync(join(group, 'cgroup.procs'), String(pid));
  return group;
}

t.test('a poll set is a set: none is picked out of it without a fault of its own', async (t) => {
  const idle = await startE2e(t, 'chain', { via: 'poll', child: 'idle' });
  await idle.ready();
  const server = await startWorkload(t, 'waits', { kinds: 'poll,epoll,select' });
  await server.ready();
  // Long enough for every wait to count as settled.
  await until(async () => ((await longestWaitMs(idle)) ?? 0) > 2500, {
    timeoutMs: 15_000,
    what: 'a long wait',
  });
  for (const proc of [idle, server]) {
    const answer = await agent.why(proc.pid);
    t.not(answer.verdict, 'cause-found', answer.summary);
    t.equal(answer.rootCause, null);
  }
});

t.test('a member of a poll set whose other end is stopped is followed', async (t) => {
  const poller = await startE2e(t, 'chain', { via: 'poll', child: 'stopped' });
  const truth = await poller.ready();
  const child = `pid:${truth.number('child')}`;
  const answer = await untilWhy(agent, poller.pid, (a) => a.verdict === 'cause-found', {
    what: 'its member',
  });
  t.match(brief(answer), {
    subScene: 'Stopped',
    root: child,
    nodes: [`pid:${poller.pid}`, `poll:${poller.pid}/${poller.pid}`, truth.text('object'), child],
  });
  t.ok(answer.confidence < 0.9, `one of a set is less sure: ${answer.confidence}`);
});

/** How long the main thread has waited, by `xctl ps`. */
async function longestWaitMs(proc: Proc): Promise<number | undefined> {
  const { stdout } = await agent.xctl('ps', '-o', 'json');
  const { processes } = JSON.parse(stdout) as { processes: { pid: number; sinceMs: number | null }[] };
  return processes.find((row) => row.pid === proc.pid)?.sinceMs ?? undefined;
}

t.test('a writer in uninterruptible sleep names its block device', { skip: canLoop() }, async (t) => {
  const dir = scratch(t);
  const image = join(dir, 'image');
  execFileSync('truncate', ['-s', '16M', image]);
  execFileSync('mkfs.ext4', ['-q', '-F', image]);
  mkdirSync(join(dir, 'mnt'));
  const disk = await startE2e(t, 'frozen_disk', { image, dir: join(dir, 'mnt') });
  const truth = await disk.ready();
  const isDisk = (a: WhyAnswer): boolean => a.verdict === 'cause-found' && a.scene === 'StorageSlow';
  const answer = await untilWhy(agent, truth.number('writer'), isDisk, { what: 'the device' });
  t.match(brief(answer), { root: `block:${truth.text('device')}`, rootType: 'block-device' });
  t.same(chainFlaws(answer), []);
});

function canLoop(): string | false {
  try {
    execFileSync('losetup', ['--find'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'no loop devices here';
  }
}
