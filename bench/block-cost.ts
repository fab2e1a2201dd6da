/**
 * What the agent costs others' storage: fio's 4k random reads on a loop device over a file in memory, in pairs
 * of windows with and without. One fio runs through all of them, and the kernel counts its reads, so that neither
 * starting it nor the machine's slow drift is measured. What the agent is, is switched in two parts:
 *
 *   programs  those of bpf/block.bpf.c, attached and detached under the running fio; no other one sees a request
 *   looks     the agent's own work, a whole agent that is stopped (SIGSTOP) and let go on
 *
 * The bar is their sum at fio's own default of one read at a time. Beside it, with 16 reads at a time: then both
 * cores are full and nothing is waited for, so that every nanosecond shows. Programs that do nothing are measured in the
 * same rounds: that much is the price of being there at all.
 */
import { execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Libbpf, LinkHandle } from '../src/ffi/libbpf.js';
import { Kernel } from '../src/kernel/kernel.js';
import { createLog } from '../src/util/log.js';
import type { Disk } from '../test/lib/disks/disk.js';
import { loopDisk } from '../test/lib/disks/loop.js';
import { openScope } from '../test/lib/scope.js';
import { progress, report } from './lib/report.js';
import { rounded } from './lib/stats.js';
import { compare, looks, type Switch, shown } from './lib/windows.js';
import { buildBpf } from './producer/build.js';

const run = promisify(execFile);

const ASKED = 0.01;
/** Of windows; the guard is after each switch. */
const WINDOWS = { windowMs: 250, guardMs: 30 };
const PROGRAMS: ReadonlySet<string> = new Set(['submit__tp_btf', 'complete__tp_btf']);

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

/** Random reads without an end, in one process. @returns stops them */
async function reading(disk: Disk, depth: number): Promise<() => Promise<void>> {
  const fio = spawn(
    'fio',
    [
      ...['--name=reads', `--filename=${disk.path}`, '--readonly', '--rw=randread', '--bs=4k', '--direct=1'],
      ...['--ioengine=libaio', `--iodepth=${depth}`, '--norandommap', '--randrepeat=0', '--thread'],
      ...['--time_based', '--runtime=3600'],
      // Left to the scheduler it wanders, and the figure with it by half.
      ...(depth === 1 ? ['--cpus_allowed=1'] : []),
    ],
    { stdio: 'ignore' },
  );
  const ended = new Promise<void>((done) => fio.once('exit', () => done()));
  const stop = async (): Promise<void> => {
    fio.kill('SIGKILL');
    await ended;
  };
  scope.teardown(stop);
  const began = reads(disk);
  const deadline = performance.now() + 20_000;
  while (reads(disk) - began < 10_000) {
    if (performance.now() > deadline) throw new Error('fio does not read');
    await sleep(100, undefined, { signal: scope.signal });
  }
  return stop;
}

/** Reads that the device has completed; Documentation/block/stat.rst. */
function reads(disk: Disk): number {
  const stat = readFileSync(`/sys/block/${disk.path.slice('/dev/'.length)}/stat`, 'latin1');
  return Number(stat.trim().split(/\s+/)[0]);
}

/** The two programs of an object that see requests. */
function programs(bpf: Libbpf, path: string): Switch {
  const object = bpf.openObject(path);
  scope.teardown(() => bpf.closeObject(object));
  const all = bpf.programs(object);
  const chosen = all.filter((program) => PROGRAMS.has(bpf.programName(program)));
  for (const program of all) bpf.setAutoload(program, chosen.includes(program));
  const errno = bpf.loadObject(object);
  if (errno !== 0 || chosen.length !== PROGRAMS.size)
    throw new Error(`${path} cannot be loaded here (${errno})`);
  let links: LinkHandle[] = [];
  const off = (): void => {
    for (const link of links) bpf.destroyLink(link);
    links = [];
  };
  scope.teardown(off);
  return {
    on: () => {
      if (links.length === 0) links = chosen.map((program) => bpf.attach(program));
    },
    off,
  };
}

async function main(): Promise<void> {
  await requireFio();
  const empty = join(buildBpf('bench/c/empty.bpf.c'), 'empty.bpf.o');
  const disk = await loopDisk(scope, { sizeMiB: 64, dir: '/dev/shm' });
  const kernel = await Kernel.open({ log: createLog('error'), bpfDir: 'dist/bpf' });
  scope.teardown(() => kernel.stop());
  const ours = programs(kernel.bpf, 'dist/bpf/block.bpf.o');
  const nothing = programs(kernel.bpf, empty);

  const count = (): number => reads(disk);

  const attached = { ours, nothing };

  let stop = await reading(disk, 1);
  progress('block-cost: programs, one read at a time');
  const alone = await compare(count, attached, { ...WINDOWS, timeMs: 360_000 }, scope.signal);
  progress('block-cost: the agent, one read at a time');
  const agent = await looks(scope);
  const { looking } = await compare(
    count,
    { looking: agent },
    { ...WINDOWS, windowMs: 500, timeMs: 180_000 },
    scope.signal,
  );
  await agent.stop();
  await stop();

  stop = await reading(disk, 16);
  progress('block-cost: programs, 16 reads at a time');
  const full = await compare(count, attached, { ...WINDOWS, timeMs: 60_000 }, scope.signal);
  await stop();

  const share = alone.ours.share + looking.share;
  report({
    name: 'cost to fio 4k random reads on a loop device',
    asked: `<= ${ASKED * 100} %`,
    measured: rounded(share * 100),
    unit: '%',
    ok: share <= ASKED,
    programs: shown(alone.ours),
    emptyPrograms: shown(alone.nothing),
    looks: shown(looking),
    depth16: { programs: shown(full.ours), emptyPrograms: shown(full.nothing) },
  });
}

try {
  await main();
} finally {
  await scope.close();
}
