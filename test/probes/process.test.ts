import { execFile, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import type { EventOf } from '../../src/events/event.js';
import { ProcessProbe } from '../../src/probes/process.js';
import { workload } from '../lib/cc.js';
import { OWN_PREFIX } from '../lib/owner.js';
import { start, startTicks, startWorkload } from '../lib/proc.js';
import { until } from '../lib/until.js';
import { type Rig, startProbe } from './lib/rig.js';

const PYTHON = '/usr/bin/python3';
const run = promisify(execFile);

const ofPid = (pid: number) => (event: { readonly pid?: number }) => event.pid === pid;

function startsAt(pid: number): number {
  return Number(startTicks(pid));
}

const ticksOf = (startNs: number): number => Math.floor(startNs / 1e7);

t.test('processes that ran before are seen, with parent, start and command line', async (t) => {
  const sleeper = await start(t, 'sleep', ['1000.5']);
  const rig = await startProbe(t, (c) => new ProcessProbe(c));
  const seen = await rig.event('process.seen', ofPid(sleeper.pid));
  t.same(seen.attrs.cmdline, ['sleep', '1000.5']);
  t.equal(seen.attrs.comm, 'sleep');
  t.equal(seen.attrs.ppid, process.pid);
  t.equal(ticksOf(seen.attrs.start), startsAt(sleeper.pid));
  t.equal(ticksOf(seen.attrs.parentStart ?? 0), startsAt(process.pid));
  t.equal(seen.attrs.uid, 0);
  t.notOk(rig.all('process.seen', (e) => e.attrs.comm === 'kthreadd')[0], 'kernel threads are no processes');
  t.equal(rig.all('process.seen', ofPid(sleeper.pid)).length, 1);
  t.ok(
    rig.probe.checks().every((c) => c.status === 'ok'),
    'everything attached',
  );
});

t.test('life of a process, in order', async (t) => {
  const rig = await startProbe(t, (c) => new ProcessProbe(c));
  const child = await startWorkload(t, 'exiter', { code: 7 });
  const exit = await rig.event('process.exit', ofPid(child.pid));
  t.equal(exit.value, 7);
  t.equal(exit.attrs.code, 7);
  t.equal(exit.attrs.signal, undefined);
  const mine = rig.events.filter((e) => e.pid === child.pid && e.type.startsWith('process.'));
  t.same(
    mine.map((e) => e.type),
    ['process.fork', 'process.exec', 'process.exit'],
  );
  const starts = new Set(mine.map((e) => (e as EventOf<'process.exit'>).attrs.start));
  t.equal(starts.size, 1, 'one identity from fork to exit');
  const exec = await rig.event('process.exec', ofPid(child.pid));
  t.equal(basename(exec.attrs.cmdline?.[0] ?? ''), 'exiter');
  t.equal(exec.attrs.cmdline?.[1], 'code=7');
  const times = mine.map((e) => e.ts);
  t.same(
    times,
    [...times].sort((a, b) => a - b),
  );
});

t.test('how it ended: code, signal, core', async (t) => {
  const rig = await startProbe(t, (c) => new ProcessProbe(c));
  const exitOf = async (args: Record<string, number>): Promise<EventOf<'process.exit'>> => {
    const child = await startWorkload(t, 'exiter', args, { cwd: t.testdir() });
    return rig.event('process.exit', ofPid(child.pid));
  };
  t.match((await exitOf({ code: 0 })).attrs, { code: 0, signal: undefined });
  t.match((await exitOf({ code: 255 })).attrs, { code: 255 });
  const killed = await exitOf({ signal: 9 });
  t.match(killed.attrs, { signal: 'SIGKILL', code: undefined, core: undefined });
  t.equal(killed.value, 137);
  t.match((await exitOf({ signal: 15 })).attrs, { signal: 'SIGTERM' });
  const aborted = await exitOf({ signal: 6, core: 0 });
  t.match(aborted.attrs, { signal: 'SIGABRT', core: undefined });
  const pattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8').trim();
  if (/^[|/]/.test(pattern)) {
    t.comment(`core dumps go to ${pattern}: not asserted`);
  } else {
    t.match((await exitOf({ signal: 11, core: 1 })).attrs, { signal: 'SIGSEGV', core: true });
  }
});

t.test(
  'one that ends badly by itself says what it had open for writing; who was killed or ends well does not',
  async (t) => {
    const rig = await startProbe(t, (c) => new ProcessProbe(c));
    const dir = t.testdir({ log: '', data: '' });
    const { dev } = statSync(dir);
    // As makedev(3) has it; the kernel's own numbers are told.
    const text = `${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`;
    const exitOf = async (script: string): Promise<EventOf<'process.exit'>> => {
      const child = await start(t, 'sh', ['-c', `cd ${dir}; ${script}`]);
      return rig.event('process.exit', ofPid(child.pid));
    };
    t.same((await exitOf('exec 7>>log 8<data; exit 3')).attrs.wrote, [text]);
    t.same((await exitOf('exec 7>>log 8>>data; kill -ABRT $$')).attrs.wrote, [text], 'once');
    t.equal((await exitOf('exec 8<data; exit 3')).attrs.wrote, undefined, 'it only read');
    t.equal((await exitOf('exec 7>>log; kill -KILL $$')).attrs.wrote, undefined);
    t.equal((await exitOf('exec 7>>log; exit 0')).attrs.wrote, undefined);
  },
);

t.test('threads are not processes: one exit, when the last one is gone', async (t) => {
  const rig = await startProbe(t, (c) => new ProcessProbe(c));
  const script = `
import threading, ctypes, os
libc = ctypes.CDLL(None)
def last():
    import time; time.sleep(0.2); os._exit(5)
threading.Thread(target=last).start()
for _ in range(8): threading.Thread(target=lambda: None).start()
libc.syscall(60, 0)  # the main thread only
`;
  const child = await start(t, PYTHON, ['-c', script]);
  const exit = await rig.event('process.exit', ofPid(child.pid));
  t.equal(exit.attrs.code, 5);
  t.equal(rig.all('process.exit', ofPid(child.pid)).length, 1);
  t.equal(rig.all('process.fork', ofPid(child.pid)).length, 1);
  t.same(
    rig.all('process.fork', (e) => e.attrs.ppid === child.pid),
    [],
  );
});

t.test('hostile names and long command lines', async (t) => {
  const rig = await startProbe(t, (c) => new ProcessProbe(c));
  const dir = t.testdir();
  const evil = `${dir}/a\x1b]0;)\n b`;
  symlinkSync('/bin/true', evil);
  const args = ['', '\x1b[31m', 'x'.repeat(4096), 'never seen'];
  const child = spawn(evil, args, { stdio: 'ignore' });
  const exec = await rig.event('process.exec', ofPid(child.pid ?? -1));
  t.equal(exec.attrs.comm, 'a\x1b]0;)\n b');
  t.same(exec.attrs.cmdline?.slice(0, 1), [evil]);
  t.ok((exec.attrs.cmdline ?? []).join('\0').length <= 192);
  await rig.event('process.exit', ofPid(child.pid ?? -1));
});

t.test('an OOM kill names the victim and its cgroup', async (t) => {
  // Version 2 where it is mounted alone, else the memory hierarchy of version 1.
  const v2 = existsSync('/sys/fs/cgroup/cgroup.controllers');
  const root = v2 ? '/sys/fs/cgroup' : '/sys/fs/cgroup/memory';
  const parent = `${root}/${OWN_PREFIX}pod`;
  const leaf = `${parent}/leaf`;
  try {
    mkdirSync(parent);
    t.teardown(() => rmdirSync(parent));
    for (const above of v2 ? [root, parent] : []) writeFileSync(`${above}/cgroup.subtree_control`, '+memory');
    mkdirSync(leaf);
    t.teardown(() => rmdirSync(leaf));
  } catch (error) {
    t.comment(`no memory cgroup to make here: ${error}`);
    return;
  }
  writeFileSync(`${leaf}/${v2 ? 'memory.max' : 'memory.limit_in_bytes'}`, String(32 * 1024 * 1024));
  const rig = await startProbe(t, (c) => new ProcessProbe(c));
  const hog = await start(t, '/bin/sh', [
    '-c',
    `echo $$ > ${leaf}/cgroup.procs && exec ${PYTHON} -c 'a = bytearray(256 << 20); print(len(a))'`,
  ]);
  const kill = await rig.event('process.oom_kill', ofPid(hog.pid));
  t.equal(kill.attrs.cgroup, `${OWN_PREFIX}pod/leaf`);
  t.match(kill.attrs.comm, /^python3/);
  const exit = await rig.event('process.exit', ofPid(hog.pid));
  t.equal(exit.attrs.signal, 'SIGKILL');
  t.equal(kill.attrs.start, exit.attrs.start);
  t.ok(rig.events.indexOf(kill) < rig.events.indexOf(exit), 'the cause comes first');
});

t.test(
  'short processes as fast as they come: each is counted, none is looked at, none is kept',
  async (t) => {
    const rig = await startProbe(t, (c) => new ProcessProbe(c));
    const path = await workload('true');
    const before = rig.probe.live;
    const spawner = await startWorkload(t, 'spawner', { path, rate: 10_000, seconds: 4 });
    await spawner.ready('all');
    const done = await spawner.ready('done');
    const count = done.number('count');
    t.comment(`${count} processes in 4 s`);
    // By start time: whoever outlives the spawner has another parent at its end.
    const ours = (type: 'process.exec' | 'process.exit' | 'process.fork'): number => {
      const forks = rig.all('process.fork', (e) => e.attrs.ppid === spawner.pid);
      const starts = new Set(forks.map((e) => e.attrs.start));
      return rig.all(type, (e) => starts.has(e.attrs.start)).length;
    };
    await until(() => ours('process.exit') >= count, {
      timeoutMs: 10_000,
      what: `${count} exits`,
      everyMs: 200,
    });
    t.equal(ours('process.exit'), count);
    t.equal(ours('process.exec'), count);
    t.equal(ours('process.fork'), count);
    t.same(
      Object.values(rig.poller.stats().lost).filter((n) => n > 0),
      [],
      'nothing lost',
    );
    t.same(
      rig.all('process.info', (e) => e.attrs.ppid === spawner.pid),
      [],
    );
    t.ok(rig.probe.live <= before + count / 10, `${rig.probe.live} live, ${before} before`);
  },
);

function end(pid: number | undefined): void {
  if (pid !== undefined && startTicks(pid) !== undefined) process.kill(pid, 'SIGKILL');
}

async function infoOf(rig: Rig<ProcessProbe>, pid: number): Promise<EventOf<'process.info'>> {
  return rig.event('process.info', ofPid(pid));
}

t.test('a process that lives is looked at: cgroup, and the job that its launcher started', async (t) => {
  const rig = await startProbe(t, (c) => new ProcessProbe(c));
  const dir = t.testdir({
    torchrun: `import subprocess\nsubprocess.run(['/bin/sh', '-c', 'sleep 1000; true'], stdout=-3, stderr=-3)\n`,
  });
  const plain = await start(t, 'sleep', ['1000'], { env: { RANK: '3', SLURM_JOB_ID: '77' } });
  const launcher = await start(t, PYTHON, ['-u', `${dir}/torchrun`, '--nnodes=2'], {
    env: { RANK: '3', LOCAL_RANK: '1', WORLD_SIZE: '16', SLURM_JOB_ID: '77', API_KEY: 'secret' },
  });
  const shell = await rig.event('process.exec', (e) => e.attrs.ppid === launcher.pid);
  t.teardown(() => end(shell.pid));
  const info = await infoOf(rig, shell.pid ?? -1);
  t.same(info.attrs.job, {
    because: 'launcher',
    launcher: 'torchrun',
    id: '77',
    rank: 3,
    localRank: 1,
    worldSize: 16,
  });
  const grandchild = await rig.event('process.exec', (e) => e.attrs.ppid === shell.pid);
  t.teardown(() => end(grandchild.pid));
  t.equal((await infoOf(rig, grandchild.pid ?? -1)).attrs.job?.rank, 3);
  t.equal((await infoOf(rig, plain.pid)).attrs.job, undefined, 'of no job: its environment is not read');
  t.equal((await infoOf(rig, launcher.pid)).attrs.job, undefined, 'the launcher itself has no rank');
  t.type(info.attrs.cgroup, 'string');
  t.notOk(JSON.stringify(rig.events).includes('secret'));
});

t.test('a launcher that is older than the agent', async (t) => {
  const dir = t.testdir({ mpirun: `#!/bin/sh\nsleep 1000 >/dev/null 2>&1 &\nwait\n` });
  await run('chmod', ['+x', `${dir}/mpirun`]);
  const launcher = await start(t, `${dir}/mpirun`, [], {
    env: { OMPI_COMM_WORLD_RANK: '0', OMPI_COMM_WORLD_SIZE: '2' },
  });
  await until(() => readFileSync(`/proc/${launcher.pid}/task/${launcher.pid}/children`, 'utf8').trim(), {
    timeoutMs: 5000,
    what: 'a child of mpirun',
  });
  const rig = await startProbe(t, (c) => new ProcessProbe(c));
  const child = await rig.event('process.seen', (e) => e.attrs.ppid === launcher.pid);
  t.teardown(() => end(child.pid));
  const info = await infoOf(rig, child.pid ?? -1);
  t.same(info.attrs.job, { because: 'launcher', launcher: 'mpirun', rank: 0, worldSize: 2 });
});
