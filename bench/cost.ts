/**
 * What the agent costs others: loopback TCP throughput, a pipe ping-pong, fork+exec; each peer by itself, running
 * through, in pairs of windows with and without. What the agent is, is switched in two parts:
 *
 *   programs  those that stay attached (`tcp`, `process`), attached and detached; their records are read afterwards
 *   looks     the agent's own work, a whole agent that is stopped (SIGSTOP) and let go on; what its programs
 *             gathered meanwhile is digested before the window begins
 *
 * The bar is their sum. No program is attached to a pipe: its first part is the method's own error.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Kernel } from '../src/kernel/kernel.js';
import { seesSenders } from '../src/probes/tcp.js';
import { createLog } from '../src/util/log.js';
import { openScope } from '../test/lib/scope.js';
import { loadersChoice, together } from './lib/programs.js';
import { progress, report } from './lib/report.js';
import { rounded } from './lib/stats.js';
import { compare, looks, type Switch, shown } from './lib/windows.js';
import { buildC } from './producer/build.js';

const PEERS = [
  { program: 'tcp_throughput', name: 'cost to loopback TCP throughput', unit: 'bytes' },
  { program: 'pipe_pingpong', name: 'cost to a pipe ping-pong', unit: 'round trips' },
  { program: 'fork_exec', name: 'cost to fork+exec', unit: 'processes' },
] as const;

const ASKED = 0.01;
const PROGRAMS = { windowMs: 250, guardMs: 30, timeMs: 100_000 };
/** The guard is what a stopped agent needs to catch up. */
const LOOKS = { windowMs: 1_000, guardMs: 300, timeMs: 120_000 };

const scope = openScope();

interface Peer {
  readonly count: () => number;
  stop(): Promise<void>;
}

async function startPeer(program: string): Promise<Peer> {
  const path = buildC(`bench/c/${program}.c`, ['-static']);
  const dir = mkdtempSync(join(tmpdir(), 'xctl-cost-'));
  scope.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const counter = join(dir, 'count');
  writeFileSync(counter, Buffer.alloc(8));
  const fd = openSync(counter, 'r');
  const bytes = Buffer.alloc(8);
  const count = (): number => {
    readSync(fd, bytes, 0, 8, 0);
    return Number(bytes.readBigUInt64LE());
  };
  const child = spawn(path, [counter], { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise<void>((done) => child.once('exit', () => done()));
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  scope.teardown(stop);
  const deadline = performance.now() + 10_000;
  while (count() === 0) {
    if (performance.now() > deadline) throw new Error(`${program} does nothing`);
    await sleep(20, undefined, { signal: scope.signal });
  }
  return { count, stop };
}

/** The real objects, each on the rungs that it has here; of the two for TCP the one that the probe would choose. */
async function agents(kernel: Kernel): Promise<Switch> {
  const tcp = await kernel.load('tcp');
  const early = seesSenders(tcp);
  tcp.stop();
  const names = [early ? 'tcp' : 'tcp_late', 'process'];
  return together(await Promise.all(names.map((name) => loadersChoice(scope, kernel, name))));
}

async function main(): Promise<void> {
  const kernel = await Kernel.open({ log: createLog('error'), bpfDir: 'dist/bpf' });
  scope.teardown(() => kernel.stop());
  const programs = await agents(kernel);
  for (const { program, name, unit } of PEERS) {
    const peer = await startPeer(program);
    progress(`${name}: programs`);
    const { attached } = await compare(peer.count, { attached: programs }, PROGRAMS, scope.signal);
    progress(`${name}: the agent's own work`);
    const agent = await looks(scope);
    const { looking } = await compare(peer.count, { looking: agent }, LOOKS, scope.signal);
    await agent.stop();
    await peer.stop();
    const share = attached.share + looking.share;
    report({
      name,
      asked: `<= ${ASKED * 100} %`,
      measured: rounded(share * 100),
      unit: '%',
      ok: share <= ASKED,
      programs: shown(attached),
      looks: shown(looking),
      counted: unit,
    });
  }
}

try {
  await main();
} finally {
  await scope.close();
}
