/** What scenarios are built from: a pair of hosts with a rank on each, and chains of waits through anything. */
import type { Scope } from '../lib/scope.js';
import { workload } from '../lib/cc.js';
import { type Proc, type StartOptions, start, type Truth as Line } from '../lib/proc.js';
import { createWorld, type World } from '../lib/world.js';
import type { Dice } from './dice.js';
import type { Cause } from './scenario.js';

export type Family = 4 | 6;

export interface Training {
  readonly world: World;
  readonly host: string;
  readonly port: number;
  readonly peer: Proc;
  readonly trainer: Proc;
  /** Its data worker, and the pipes between the two. */
  readonly worker: number;
  readonly dataPipe: string;
  /** The gradient connection, by its names from the trainer's end and from the peer's. */
  readonly flow: string;
  readonly reverse: string;
  readonly flows: readonly string[];
}

/** `flow:…` of a connection as its owner printed it: from its own end, or as the other end sees it. */
export function flowOf(line: Line, end: 'own' | 'other' = 'own'): string {
  const [local, remote] = [line.text('local'), line.text('remote')];
  return end === 'own' ? `flow:${local}-${remote}` : `flow:${remote}-${local}`;
}

export interface TrainingOptions {
  readonly family?: Family;
  readonly peerWrap?: readonly string[];
  readonly trainerWrap?: readonly string[];
}

/** Two ranks on two hosts that train: gradients over TCP, batches from a worker; sizes and pace by the dice. */
export async function training(scope: Scope, dice: Dice, options: TrainingOptions = {}): Promise<Training> {
  const world = await createWorld(scope);
  const host = options.family === 6 ? world.b.ipv6 : world.b.ipv4;
  const grad = dice.pick([4_096, 65_536, 262_144]);
  const pace = dice.between(3, 20);
  const peer = await world.start(
    'b',
    'trainer',
    { role: 'peer', host, grad, port: dice.between(20_000, 29_999) },
    wrapped(options.peerWrap),
  );
  const port = (await peer.ready('listen')).number('port');
  const trainer = await world.start('a', 'trainer', { host, port, grad, pace }, wrapped(options.trainerWrap));
  const conn = await trainer.ready('connected');
  const worker = await trainer.ready('worker');
  await trainer.line(/kind=step step=100$/);
  const [flow, reverse] = [flowOf(conn), flowOf(conn, 'other')];
  return {
    ...{ world, host, port, peer, trainer, flow, reverse, flows: [flow, reverse] },
    worker: worker.pid,
    dataPipe: `pipe:${worker.text('data_pipe')}`,
  };
}

function wrapped(wrap: readonly string[] | undefined): StartOptions {
  return wrap === undefined ? {} : { wrap };
}

export type Via = 'pipe' | 'unix' | 'lock' | 'cond';

export interface RelayOptions extends StartOptions {
  readonly via?: readonly Via[];
  readonly args?: Readonly<Record<string, string | number>>;
}

export interface Relay {
  readonly proc: Proc;
  readonly pid: number;
  /** Who makes the tokens; the top itself where no link leads to another process. */
  readonly leaf: number;
  /** The processes from the top down to the leaf's. */
  readonly pids: readonly number[];
  /** Pipes and sockets on the way, as node ids, from the top down. */
  readonly objects: readonly string[];
}

/** test/lab/workloads/relay.c; comes back when the first token has come through. */
export async function relay(scope: Scope, options: RelayOptions = {}): Promise<Relay> {
  const proc = await startRelay(scope, options);
  await proc.ready();
  return relayOf(proc);
}

export async function startRelay(
  scope: Scope,
  { via = [], args = {}, ...rest }: RelayOptions,
): Promise<Proc> {
  const all = { ...(via.length > 0 && { via: via.join(',') }), ...args };
  const words = Object.entries(all).map(([key, value]) => `${key}=${value}`);
  return start(scope, await workload('lab-relay', 'test/lab/workloads/relay.c'), words, rest);
}

export function relayOf(proc: Proc): Relay {
  const hops = proc.truths('hop').sort((a, b) => a.number('level') - b.number('level'));
  const children = hops.map((hop) => hop.number('child')).filter((pid) => pid > 0);
  const pids = [proc.pid, ...children];
  return {
    ...{ proc, pid: proc.pid, pids },
    leaf: pids.at(-1) ?? proc.pid,
    objects: hops.map((hop) => hop.text('object')).filter((object) => object.includes(':')),
  };
}

/** Some links, none of them two locks in a row: a thread that holds two is another story. */
export function someVia(dice: Dice, least: number, most: number): readonly Via[] {
  const found: Via[] = [];
  const count = dice.between(least, most);
  while (found.length < count) found.push(dice.pick<Via>(['pipe', 'unix']));
  return found;
}

export const pathDown = (flows: readonly string[]): Cause => ({
  scene: 'NetworkStall',
  subScene: 'PathDown',
  root: flows,
});

export const stopped = (pid: number): Cause => ({
  scene: 'ProcessBlocked',
  subScene: 'Stopped',
  root: `pid:${pid}`,
});

export function signal(pid: number, name: NodeJS.Signals): () => Promise<void> {
  return async () => {
    process.kill(pid, name);
  };
}

/** Nothing to be done: it is so from the start. */
export const already = async (): Promise<void> => undefined;

export const well = () => ({ causes: [] }) as const;
