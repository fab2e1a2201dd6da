/**
 * What the agent costs others' storage: fio's 4k random reads on a loop device over a file in memory, with the agent
 * and without it, in pairs. Phases run on, on, off, off, …, as in cost.ts; a phase is the mean of short slices.
 * Also reported: what each of its programs takes a request, by the kernel's own account.
 */
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Kernel } from '../src/kernel/kernel.js';
import { programRunStats, RunTimeMeter } from '../src/kernel/prog-stats.js';
import { createLog } from '../src/util/log.js';
import { startAgent } from '../test/lib/agent.js';
import { type Disk, loopDisk } from '../test/lib/disks.js';
import { openScope } from '../test/lib/scope.js';
import { progress, report } from './lib/report.js';
import { mean, median, medianInterval, rounded } from './lib/stats.js';

const run = promisify(execFile);

const ASKED = 0.01;
const MIN_PAIRS = 12;
const MAX_PAIRS = 80;
const TIME_MS = 5 * 60_000;
/** Narrow enough: half the interval, as a share. */
const NARROW = 0.004;
const SLICE_S = 1;
const SLICES = 3;
/** See cost.ts. */
const SETTLE_MS = 10_000;

interface Pair {
  readonly on: number;
  readonly off: number;
}

const scope = openScope();

/** fio is a Debian package; a benchmark is not worth failing for want of it where it can be had. */
async function requireFio(): Promise<void> {
  try {
    await run('fio', ['--version']);
  } catch {
    progress('installing fio');
    await run('apt-get', ['install', '-y', '--no-install-recommends', 'fio']);
  }
}

async function fio(disk: Disk, seconds: number): Promise<number> {
  const { stdout } = await run(
    'fio',
    [
      ...['--name=reads', `--filename=${disk.path}`, '--readonly', '--rw=randread', '--bs=4k', '--direct=1'],
      ...['--ioengine=libaio', '--iodepth=1', '--norandommap', '--randrepeat=0'],
      ...['--time_based', `--runtime=${seconds}`, '--output-format=json'],
    ],
    { signal: scope.signal, timeout: 60_000, maxBuffer: 16 * 1024 * 1024 },
  );
  const parsed = JSON.parse(stdout) as { jobs: { read: { iops: number } }[] };
  const iops = parsed.jobs[0]?.read.iops;
  if (iops === undefined) throw new Error('fio reported no reads');
  return iops;
}

async function phase(disk: Disk): Promise<number> {
  const slices: number[] = [];
  for (let slice = 0; slice < SLICES; slice++) slices.push(await fio(disk, SLICE_S));
  return mean(slices);
}

async function withAgent(disk: Disk): Promise<readonly [number, number]> {
  const agent = await startAgent(scope);
  await sleep(SETTLE_MS, undefined, { signal: scope.signal });
  const phases = [await phase(disk), await phase(disk)] as const;
  await agent.stop();
  return phases;
}

function costs(pairs: readonly Pair[]): readonly number[] {
  return pairs.map(({ on, off }) => 1 - on / off);
}

function narrow(pairs: readonly Pair[]): boolean {
  const { low, high } = medianInterval(costs(pairs));
  return (high - low) / 2 <= NARROW;
}

/** Nanoseconds of each program a run; measuring itself is some 20 of them. */
async function programs(disk: Disk): Promise<Readonly<Record<string, number>>> {
  const kernel = await Kernel.open({ log: createLog('error'), bpfDir: 'dist/bpf' });
  try {
    const object = await kernel.load('block');
    const meter = new RunTimeMeter(kernel.bpf);
    meter.touch();
    await fio(disk, 3);
    const stats = programRunStats([object]).filter(({ runs }) => runs > 0);
    meter.stop();
    return Object.fromEntries(stats.map((s) => [s.slot, rounded((s.runTimeSeconds / s.runs) * 1e9)]));
  } finally {
    kernel.stop();
  }
}

async function main(): Promise<void> {
  await requireFio();
  const disk = await loopDisk(scope, { sizeMiB: 64, dir: '/dev/shm' });
  await phase(disk);

  const pairs: Pair[] = [];
  const deadline = performance.now() + TIME_MS;
  let off = await phase(disk);
  while (pairs.length < MAX_PAIRS && performance.now() < deadline) {
    if (pairs.length >= MIN_PAIRS && narrow(pairs)) break;
    const [first, second] = await withAgent(disk);
    pairs.push({ on: first, off });
    pairs.push({ on: second, off: await phase(disk) });
    off = await phase(disk);
    if (pairs.length % 10 === 0) progress(`block-cost: ${pairs.length} pairs`);
  }
  const lost = costs(pairs);
  const { low, high } = medianInterval(lost);
  report({
    name: 'cost to fio 4k random reads on a loop device',
    asked: `<= ${ASKED * 100} %`,
    measured: rounded(median(lost) * 100),
    unit: '%',
    ok: median(lost) <= ASKED,
    interval95: [rounded(low * 100), rounded(high * 100)],
    pairs: pairs.length,
    off: rounded(median(pairs.map((pair) => pair.off))),
    on: rounded(median(pairs.map((pair) => pair.on))),
    figureUnit: 'IOPS',
    programNs: await programs(disk),
  });
}

try {
  await main();
} finally {
  await scope.close();
}
