/**
 * Two ranks of a real training (train.py) on two hosts, that is in two network namespaces: PyTorch from Debian's
 * python3-torch, a torchrun for each host, gradients over gloo, and a DataLoader worker for each rank.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Proc, start } from '../lib/proc.js';
import { ROOT } from '../lib/root.js';
import type { Scope } from '../lib/scope.js';
import { until } from '../lib/until.js';
import { createWorld, type World } from '../lib/world.js';
import type { Dice } from './dice.js';

const PYTHON = '/usr/bin/python3';
const TORCH = '/usr/lib/python3/dist-packages/torch';
/** Of a rank that there is not: the default of PyTorch 1.13, a flag of zero, is not found by Python 3.11. */
const NO_REDIRECTION = ['--redirects', '9:1', '--tee', '9:1'];
/** Four interpreters that load PyTorch at once on two busy CPUs. */
const START_MS = 120_000;
const END_MS = 30_000;

export interface Rank {
  readonly pid: number;
  /** The process that loads its data. */
  readonly worker: number;
  /** What the rank prints comes by its torchrun. */
  readonly launcher: Proc;
  kill(signal: NodeJS.Signals): void;
}

export interface Training {
  readonly world: World;
  /** Of the rank on host a, that is the first, and on host b. */
  readonly ranks: readonly [Rank, Rank];
  /** Connections between the two, by either name. */
  readonly flows: readonly RegExp[];
}

export interface RankOptions {
  /** What its worker reads; none: data is made up. */
  readonly path?: string;
  /** Put before its torchrun. */
  readonly wrap?: readonly string[];
}

export async function trainingMissing(): Promise<string | undefined> {
  return existsSync(TORCH) && existsSync(PYTHON) ? undefined : 'no PyTorch (package python3-torch)';
}

/** Both make steps when this returns. What is said of the second rank is not of the first. */
export async function train(scope: Scope, dice: Dice, second: RankOptions = {}): Promise<Training> {
  const world = await createWorld(scope);
  const port = dice.between(20_000, 29_999);
  const paceMs = dice.between(5, 40);
  const starting = (['a', 'b'] as const).map((side, index) => {
    const { path = '', wrap = [] } = index === 1 ? second : {};
    const torchrun = [
      ...['-m', 'torch.distributed.run', '--nnodes', '2', '--nproc_per_node', '1', ...NO_REDIRECTION],
      ...['--node_rank', String(index), '--master_addr', world.a.ipv4, '--master_port', String(port)],
    ];
    const words = [...torchrun, join(ROOT, 'test/lab/train.py'), `path=${path}`, `pace_ms=${paceMs}`];
    // Control groups first: `ip netns exec` puts another /sys in the place of theirs.
    const enter = ['ip', 'netns', 'exec', world[side].netns];
    return start(scope, PYTHON, words, {
      wrap: [...wrap, ...enter, 'setpriv', '--pdeathsig', 'KILL'],
      env: { GLOO_SOCKET_IFNAME: 'eth0', OMP_NUM_THREADS: '1', PYTHONDONTWRITEBYTECODE: '1' },
    });
  });
  const [one, other] = await Promise.all(starting);
  if (one === undefined || other === undefined) throw new Error('two ranks are started');
  // Of both at once: where one of them ends, the other one waits for it in vain.
  const ranks = await Promise.all([running(one), running(other)] as const);
  const [a, b] = [world.a.ipv4, world.b.ipv4].map((address) => address.replaceAll('.', '\\.'));
  return {
    world,
    ranks,
    flows: [new RegExp(`^flow:${a}:\\d+-${b}:`), new RegExp(`^flow:${b}:\\d+-${a}:`)],
  };
}

async function running(launcher: Proc): Promise<Rank> {
  await launcher.line(/kind=step step=20$/, START_MS);
  const { pid } = await launcher.ready();
  const worker = (await launcher.ready('worker')).number('worker');
  return { pid, worker, launcher, kill: (signal) => process.kill(pid, signal) };
}

/** Dead, and at most not yet waited for by its parent. */
export async function ended(pid: number): Promise<void> {
  await until(() => isDead(pid), { timeoutMs: END_MS, what: `the end of ${pid}` });
}

function isDead(pid: number): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).startsWith('Z');
  } catch {
    return true;
  }
}
