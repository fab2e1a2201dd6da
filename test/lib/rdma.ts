/**
 * Two RDMA ports on one machine with a wire between them: a veth pair, Soft-RoCE (rdma_rxe) on either end, and faults on
 * demand. For guests of `make test-vm`; `rdmaMissing()` says what is lacking elsewhere.
 *
 * Left to itself nothing would go over the wire: both addresses are this machine's, so the kernel takes the way over `lo`,
 * and Soft-RoCE loops back what is for its own MAC address. Hence policy routing: what is sent here from one address to
 * the other leaves by the veth (`iif lo`: sent here), before the table of local addresses is asked; what arrives is not
 * meant by that rule, and is local. Soft-RoCE of 6.1 knows the first network namespace only: namespaces are no way out.
 */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isOrphan, OWN_PREFIX } from './owner.js';
import { type Proc, type StartOptions, startWorkload } from './proc.js';
import type { Scope } from './scope.js';
import { until } from './until.js';

const run = promisify(execFile);

const DEVICES = '/sys/class/infiniband';
/** rdma_rxe cannot be used before crc32_generic is there, and does not say that it needs it. */
const MODULES = ['crc32_generic', 'ib_uverbs', 'rdma_ucm', 'rdma_rxe', 'veth', 'sch_netem'];
const PROGRAMS = [
  '/usr/bin/ibv_rc_pingpong',
  '/usr/include/infiniband/verbs.h',
  '/usr/include/rdma/rdma_cma.h',
];
/** One routing table for each end: this plus the index of its interface. */
const TABLES = 780_000;
/** Where the rule for local addresses goes that is the very first otherwise. */
const LOCAL_PREF = 1_000;
const PORT = 1;

export type Side = 'a' | 'b';
export type Args = Readonly<Record<string, string | number>>;

export interface RdmaEnd {
  /** As in /sys/class/infiniband. */
  readonly device: string;
  readonly port: number;
  readonly netdev: string;
  readonly ipv4: string;
}

export interface PairOptions {
  /** For both: `do`, `n`, `timeout`, …; see test/workloads/rdma.c. */
  readonly both?: Args;
  readonly sender?: Args;
  readonly receiver?: Args;
  /** The sender's side; a unless said. */
  readonly from?: Side;
  readonly options?: StartOptions;
  /** Ends them; else the world's does. */
  readonly scope?: Scope;
}

export interface Pair {
  readonly sender: Proc;
  readonly receiver: Proc;
}

export interface RdmaWorld {
  readonly a: RdmaEnd;
  readonly b: RdmaEnd;
  /** Loses so many of a hundred packets that leave these ends, both unless said; 100: nothing gets through. */
  lose(percent: number, at?: Side | 'both'): Promise<void>;
  /** Nothing is lost any more. */
  heal(): Promise<void>;
  /** The interface is switched off; the other end loses its carrier, so that both ports go down. */
  down(at: Side): Promise<void>;
  up(at: Side): Promise<void>;
  /** A counter of `hw_counters` as it is now. */
  counter(at: Side, name: string): number;
  /** A workload rdma*.c that is told its device and address. */
  start(at: Side, name: string, args?: Args, options?: StartOptions): Promise<Proc>;
  /** Two `rdma` that are connected, the receiver on the other side. */
  pair(options?: PairOptions): Promise<Pair>;
}

/** What this machine lacks; undefined when nothing. Loads nothing. */
export async function rdmaMissing(): Promise<string | undefined> {
  for (const module of MODULES) {
    try {
      await run('modprobe', ['--dry-run', module]);
    } catch {
      return `no module ${module} for this kernel`;
    }
  }
  const absent = PROGRAMS.filter((path) => !existsSync(path));
  return absent.length === 0 ? undefined : `no ${absent.join(', ')} (scripts/vm/setup.sh)`;
}

/** Loads what InfiniBand and Soft-RoCE are made of. */
export async function loadRdma(): Promise<void> {
  for (const module of MODULES) await run('modprobe', [module]);
}

let made = 0;

/** @throws Error with the words of what failed; ask `rdmaMissing` before */
export async function createRdmaWorld(scope: Scope): Promise<RdmaWorld> {
  await loadRdma();
  await sweepRdma();
  const serial = made++;
  // Addresses of their own for each world, as in world.ts, and none of those.
  const net = (0x64400000 + ((process.pid * 61 + serial) & 0xfffff) * 4) >>> 0;
  const end = (side: Side, index: number): RdmaEnd => ({
    device: `${OWN_PREFIX}${serial}${side}`,
    port: PORT,
    netdev: `xr${serial}${side}-${process.pid}`,
    ipv4: [24, 16, 8, 0].map((shift) => ((net + index) >>> shift) & 0xff).join('.'),
  });
  const ends = { a: end('a', 1), b: end('b', 2) } as const;
  const { a, b } = ends;
  scope.teardown(() => remove(ends));
  await run('ip', ['link', 'add', a.netdev, 'type', 'veth', 'peer', 'name', b.netdev]);
  await localLater();
  for (const { netdev, ipv4 } of [a, b]) {
    for (const [name, value] of [
      ['rp_filter', '0'],
      ['accept_local', '1'],
    ] as const)
      writeFileSync(`/proc/sys/net/ipv4/conf/${netdev}/${name}`, value);
    await run('ip', ['address', 'add', `${ipv4}/30`, 'dev', netdev]);
    await run('ip', ['link', 'set', netdev, 'up']);
  }
  await way(a, b);
  await way(b, a);
  for (const { device, netdev } of [a, b])
    await run('rdma', ['link', 'add', device, 'type', 'rxe', 'netdev', netdev]);
  await usable(a);
  await usable(b);

  const startAt = (
    side: Side,
    name: string,
    args: Args = {},
    options?: StartOptions,
    within = scope,
  ): Promise<Proc> =>
    startWorkload(within, name, { dev: ends[side].device, addr: ends[side].ipv4, ...args }, options);
  const heal = async (): Promise<void> => {
    for (const { netdev } of [a, b])
      await run('tc', ['qdisc', 'delete', 'dev', netdev, 'root']).catch(() => undefined);
  };
  return {
    a,
    b,
    heal,
    lose: async (percent, at = 'both') => {
      for (const side of at === 'both' ? (['a', 'b'] as const) : [at]) {
        const qdisc = ['netem', 'loss', `${percent}%`];
        await run('tc', ['qdisc', 'replace', 'dev', ends[side].netdev, 'root', ...qdisc]);
      }
    },
    down: async (at) => {
      await run('ip', ['link', 'set', ends[at].netdev, 'down']);
    },
    up: async (at) => {
      await run('ip', ['link', 'set', ends[at].netdev, 'up']);
      await way(a, b);
      await way(b, a);
      await usable(a);
      await usable(b);
    },
    counter: (at, name) => counterOf(ends[at], name),
    start: (side, name, args, options) => startAt(side, name, args, options),
    pair: async ({ both = {}, sender, receiver, from = 'a', options, scope: own } = {}) => {
      const to = from === 'a' ? 'b' : 'a';
      const listener = await startAt(to, 'rdma', { role: 'listen', ...both, ...receiver }, options, own);
      const port = (await listener.ready('listen')).number('port');
      const args = { role: 'connect', port, ...both, ...sender };
      const connector = await startAt(from, 'rdma', args, options, own);
      await listener.ready();
      await connector.ready();
      return { sender: connector, receiver: listener };
    },
  };
}

/** Queue pairs that a workload has said it has: own number and the other side's. */
export function queuePairs(proc: Proc): readonly { readonly qpn: number; readonly peer: number }[] {
  return proc.truths('qp').map((truth) => ({ qpn: truth.number('qpn'), peer: truth.number('peer') }));
}

export function counterOf({ device, port }: RdmaEnd, name: string): number {
  return Number(readFileSync(`${DEVICES}/${device}/ports/${port}/hw_counters/${name}`, 'latin1').trim());
}

/** Until somebody accepts TCP connections there: other people's programs say that to a buffer of theirs. */
export async function listening(port: number): Promise<void> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const entry = new RegExp(`:${hex} [0-9A-F]+:0000 0A `);
  await until(() => ['tcp', 'tcp6'].some((name) => entry.test(readFileSync(`/proc/net/${name}`, 'latin1'))), {
    timeoutMs: 10_000,
    what: `a listener at port ${port}`,
  });
}

/** What is sent here from one end to the other goes over the wire, and who is there is known for good. */
async function way(from: RdmaEnd, to: RdmaEnd): Promise<void> {
  // A link that is down has lost all of it.
  const table = String(tableOf(from.netdev));
  const rule = ['iif', 'lo', 'from', from.ipv4, 'to', to.ipv4, 'lookup', table];
  const { stdout } = await run('ip', ['rule', 'list', 'table', table]);
  if (stdout.trim() === '') await run('ip', ['rule', 'add', 'pref', '10', ...rule]);
  await run('ip', ['route', 'replace', to.ipv4, 'dev', from.netdev, 'src', from.ipv4, 'table', table]);
  const mac = readFileSync(`/sys/class/net/${to.netdev}/address`, 'latin1').trim();
  const neighbour = [to.ipv4, 'lladdr', mac, 'dev', from.netdev, 'nud', 'permanent'];
  await run('ip', ['neighbour', 'replace', ...neighbour]);
}

function tableOf(netdev: string): number {
  return TABLES + Number(readFileSync(`/sys/class/net/${netdev}/ifindex`, 'latin1'));
}

/** Our rules come before the one for local addresses. */
async function localLater(): Promise<void> {
  const { stdout } = await run('ip', ['rule', 'list']);
  if (!stdout.startsWith('0:')) return;
  await run('ip', ['rule', 'add', 'pref', String(LOCAL_PREF), 'lookup', 'local']);
  await run('ip', ['rule', 'delete', 'pref', '0']);
}

/** And back, after the last world. */
async function localFirst(): Promise<void> {
  const { stdout } = await run('ip', ['rule', 'list']);
  if (stdout.startsWith('0:') || stdout.includes(`lookup ${TABLES / 1_000}`)) return;
  await run('ip', ['rule', 'add', 'pref', '0', 'lookup', 'local']);
  await run('ip', ['rule', 'delete', 'pref', String(LOCAL_PREF)]);
}

/** Active, and its address is known to it. */
async function usable(end: RdmaEnd): Promise<void> {
  const state = join(DEVICES, end.device, `ports/${end.port}/state`);
  await until(() => readFileSync(state, 'latin1').includes('ACTIVE') && gidIndex(end) !== undefined, {
    timeoutMs: 10_000,
    what: `${end.device} to be usable with ${end.ipv4}`,
  });
}

/** Where its address is in the port's table; programs want to be told. */
export function gidIndex({ device, port, ipv4 }: RdmaEnd): number | undefined {
  const hex = ipv4
    .split('.')
    .map((byte) => Number(byte).toString(16).padStart(2, '0'))
    .join('');
  const gid = `:ffff:${hex.slice(0, 4)}:${hex.slice(4)}`;
  const table = join(DEVICES, device, `ports/${port}/gids`);
  const found = readdirSync(table).find((index) => gidOf(join(table, index)).endsWith(gid));
  return found === undefined ? undefined : Number(found);
}

function gidOf(path: string): string {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    // A place in the table that has none.
    return '';
  }
}

async function remove(
  ends: Readonly<Record<Side, { readonly device: string; readonly netdev: string }>>,
): Promise<void> {
  for (const { device, netdev } of Object.values(ends)) {
    // It waits for whoever has the device open.
    if (existsSync(`${DEVICES}/${device}`))
      await run('rdma', ['link', 'delete', device], { timeout: 20_000 });
    if (!existsSync(`/sys/class/net/${netdev}`)) continue;
    const table = String(tableOf(netdev));
    await run('ip', ['rule', 'delete', 'table', table]).catch(() => undefined);
    await run('ip', ['route', 'flush', 'table', table]).catch(() => undefined);
  }
  // The other end goes with it.
  if (existsSync(`/sys/class/net/${ends.a.netdev}`)) await run('ip', ['link', 'delete', ends.a.netdev]);
  await localFirst();
}

/** Removes the ports whose creator is dead. */
export async function sweepRdma(): Promise<void> {
  for (const device of existsSync(DEVICES) ? readdirSync(DEVICES) : []) {
    if (!isOrphan(device) || !device.endsWith('a')) continue;
    const of = (side: Side) => {
      const [, pid = '', serial = ''] = /^xctl-(\d+)-\d+-(\d+)/.exec(device) ?? [];
      return { device: `${device.slice(0, -1)}${side}`, netdev: `xr${serial}${side}-${pid}` };
    };
    // Two sweeps at once: the one that comes second finds nothing left to remove.
    await remove({ a: of('a'), b: of('b') }).catch(() => undefined);
  }
}
