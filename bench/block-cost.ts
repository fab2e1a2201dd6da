/**
 * What the agent costs others' storage: fio's 4k random reads, one at a time, on a loop device over a file in memory,
 * in windows with and without. One fio runs through all of them, and the kernel counts its reads, so that neither
 * starting it nor the machine's slow drift is measured. What the agent is, is switched in two parts:
 *
 *   programs  those of bpf/block.bpf.c, attached and detached under the running fio; no other one sees a request
 *   looks     the agent's own work, a whole agent that is stopped (SIGSTOP) and let go on
 *
 * How many reads there are in a second wanders by a tenth with where the scheduler wakes whom, a hundred times what is
 * looked for. What programs take is CPU time of those who read, the thread of fio and the device's worker, and that is
 * steady: so theirs is measured as CPU time a read, and is a share of what a read takes, for it comes to that as it is.
 * Programs that do nothing are measured in the same rounds: that much is the price of being there at all. What runs while
 * nobody does, an interrupt that finds the CPU idle, is in nobody's CPU time, though, so the kernel's own account of the
 * programs' run time is taken as well, less that of the empty ones, which is the account's own clocks, and the larger of
 * both counts. The agent's own work can make reads longer in two ways: those who read compute longer, for their caches are cold, or they wait for
 * a CPU that the agent is on. Both are in the kernel's account of them, so it is measured as the sum of both a read.
 */
import { execFile, spawn } from 'node:child_process';
import { closeSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Kernel } from '../src/kernel/kernel.js';
import { createLog } from '../src/util/log.js';
import type { Disk } from '../test/lib/disks/disk.js';
import { loopDisk } from '../test/lib/disks/loop.js';
import { openScope } from '../test/lib/scope.js';
import { type Programs, programs } from './lib/programs.js';
import { progress, report } from './lib/report.js';
import { rounded } from './lib/stats.js';
import { type Cost, compare, looks } from './lib/windows.js';
import { buildBpf } from './producer/build.js';

const command = promisify(execFile);

const ASKED = 0.01;
const RUN_TIME_MS = 10_000;
const isOnRequests = (program: string): boolean =>
  program === 'submit__tp_btf' || program === 'complete__tp_btf';

const scope = openScope();

/** fio is a Debian package; a benchmark is not worth failing for want of it where it can be had. */
async function requireFio(): Promise<void> {
  try {
    await command('fio', ['--version']);
  } catch {
    progress('installing fio');
    await command('apt-get', ['install', '-y', '--no-install-recommends', 'fio']);
  }
}

/** Random reads without an end, one at a time, in one process. @returns its pid */
async function reading(disk: Disk): Promise<number> {
  const fio = spawn(
    'fio',
    [
      ...['--name=reads', `--filename=${disk.path}`, '--readonly', '--rw=randread', '--bs=4k', '--direct=1'],
      ...['--ioengine=libaio', '--iodepth=1', '--norandommap', '--randrepeat=0', '--thread'],
      // Left to the scheduler it wanders, and the figure with it by half.
      ...['--time_based', '--runtime=3600', '--cpus_allowed=1'],
    ],
    { stdio: 'ignore' },
  );
  const ended = new Promise<void>((done) => fio.once('exit', () => done()));
  scope.teardown(async () => {
    fio.kill('SIGKILL');
    await ended;
  });
  const began = reads(disk);
  const deadline = performance.now() + 20_000;
  while (reads(disk) - began < 10_000) {
    if (performance.now() > deadline || fio.pid === undefined) throw new Error('fio does not read');
    await sleep(100, undefined, { signal: scope.signal });
  }
  return fio.pid ?? 0;
}

/** Reads that the device has completed; Documentation/block/stat.rst. */
function reads(disk: Disk): number {
  const stat = readFileSync(`/sys/block/${disk.path.slice('/dev/'.length)}/stat`, 'latin1');
  return Number(stat.trim().split(/\s+/)[0]);
}

/** Of fio's threads and of the workers that any device may have work for. */
function readersMs(fio: number): { readonly running: number; readonly runnable: number } {
  const threads = readdirSync(`/proc/${fio}/task`).map((tid) => `/proc/${fio}/task/${tid}`);
  let [running, waiting] = [0, 0];
  for (const dir of [...threads, ...unboundWorkers().map((pid) => `/proc/${pid}`)]) {
    const [runNs = 0, delayNs = 0] = schedStat(dir);
    running += runNs / 1e6;
    waiting += delayNs / 1e6;
  }
  return { running, runnable: running + waiting };
}

/** Time on a CPU and time that it waited for one, ns: Documentation/scheduler/sched-stats.rst. Who has ended counts no more. */
function schedStat(dir: string): readonly number[] {
  try {
    return readFileSync(`${dir}/schedstat`, 'latin1').split(' ').map(Number);
  } catch {
    return [];
  }
}

function unboundWorkers(): readonly string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/comm`, 'latin1').startsWith('kworker/u');
    } catch {
      return false;
    }
  });
}

/** Of the readers' time a read, what was added, as a share of what a read takes. */
function ofRead(cost: Cost, readNs: number): { readonly share: number; readonly shown: object } {
  const readersNs = 1e9 / cost.off;
  const added = (share: number): number => (readersNs * share) / (1 - share);
  const percent = (share: number): number => rounded((added(share) / readNs) * 100);
  return {
    share: added(cost.share) / readNs,
    shown: {
      percent: percent(cost.share),
      interval95: [percent(cost.interval.low), percent(cost.interval.high)],
      addedNs: rounded(added(cost.share)),
      readersNsARead: rounded(readersNs),
      rounds: cost.rounds,
    },
  };
}

/** What the programs run for a read, ns, by the kernel's own account. */
async function runTimeOf(kernel: Kernel, ours: Programs, count: () => number): Promise<number> {
  const measuring = kernel.bpf.enableStats();
  try {
    await ours.on();
    const from = { ns: ours.runTimeNs(), reads: count() };
    await sleep(RUN_TIME_MS, undefined, { signal: scope.signal });
    return (ours.runTimeNs() - from.ns) / (count() - from.reads);
  } finally {
    await ours.off();
    closeSync(measuring);
  }
}

async function main(): Promise<void> {
  await requireFio();
  const empty = join(buildBpf('bench/c/empty.bpf.c'), 'empty.bpf.o');
  const disk = await loopDisk(scope, { sizeMiB: 64, dir: '/dev/shm' });
  const kernel = await Kernel.open({ log: createLog('error'), bpfDir: 'dist/bpf' });
  scope.teardown(() => kernel.stop());
  const attached = {
    ours: programs(scope, kernel.bpf, 'dist/bpf/block.bpf.o', isOnRequests),
    nothing: programs(scope, kernel.bpf, empty, isOnRequests),
  };
  const fio = await reading(disk);
  const count = (): number => reads(disk);

  progress('block-cost: programs');
  const from = { reads: count(), ms: performance.now() };
  const cpu = await compare(
    count,
    attached,
    { windowMs: 250, guardMs: 30, timeMs: 360_000, clock: () => readersMs(fio).running },
    scope.signal,
  );
  const readNs = ((performance.now() - from.ms) * 1e6) / (count() - from.reads);
  const runNs = {
    ours: await runTimeOf(kernel, attached.ours, count),
    nothing: await runTimeOf(kernel, attached.nothing, count),
  };
  progress("block-cost: the agent's own work");
  const agent = await looks(scope);
  const { looking } = await compare(
    count,
    { looking: agent },
    { windowMs: 1_000, guardMs: 100, timeMs: 420_000, clock: () => readersMs(fio).runnable },
    scope.signal,
  );
  await agent.stop();

  const ours = ofRead(cpu.ours, readNs);
  const own = ofRead(looking, readNs);
  const share = Math.max(ours.share, (runNs.ours - runNs.nothing) / readNs) + own.share;
  report({
    name: 'cost to fio 4k random reads on a loop device',
    asked: `<= ${ASKED * 100} %`,
    measured: rounded(share * 100),
    unit: '%',
    ok: share <= ASKED,
    readNs: rounded(readNs),
    programs: ours.shown,
    runTimeNsARead: { ours: rounded(runNs.ours), nothing: rounded(runNs.nothing) },
    emptyPrograms: ofRead(cpu.nothing, readNs).shown,
    looks: own.shown,
  });
}

try {
  await main();
} finally {
  await scope.close();
}
