/**
 * Two hosts on one machine: a pair of network namespaces joined by a veth, and packet loss on demand.
 *
 * Whoever makes a world first removes the namespaces whose creator is dead (see owner.ts), so a test that was
 * killed leaves nothing behind for long.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { promisify } from 'node:util';
import { isOrphan, OWN_PREFIX } from './owner.js';
import { type Proc, type StartOptions, startWorkload } from './proc.js';
import type { Scope } from './scope.js';
import { until } from './until.js';

const run = promisify(execFile);

const TABLE = 'xctl_test';

export interface Host {
  readonly netns: string;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly mac: string;
}

export interface DropOptions {
  /** Whose arriving packets are dropped; both sides' unless said. */
  readonly at?: 'a' | 'b' | 'both';
  /** Only packets from or to this TCP port. */
  readonly port?: number;
  /** Only this share of them, 1 to 100. */
  readonly percent?: number;
}

export interface World {
  readonly a: Host;
  readonly b: Host;
  /** Drops TCP packets as they arrive, so that neither sender is told. Replaces an earlier drop. */
  drop(options?: DropOptions): Promise<void>;
  /** Answers TCP packets that arrive for this port with a reset. */
  reset(at: 'a' | 'b', port: number): Promise<void>;
  /** Lets everything through again. */
  undrop(): Promise<void>;
  /** `ip -n <netns of that host> …`, e.g. `ip('a', 'link', 'set', 'eth0', 'down')`. */
  ip(at: 'a' | 'b', ...args: readonly string[]): Promise<string>;
  /** A C workload that runs on that host. */
  start(
    at: 'a' | 'b',
    name: string,
    args?: Readonly<Record<string, string | number>>,
    options?: StartOptions,
  ): Promise<Proc>;
}

let made = 0;

/** @throws Error with the words of `ip` or `nft`; needs CAP_SYS_ADMIN and CAP_NET_ADMIN */
export async function createWorld(scope: Scope): Promise<World> {
  await sweep();
  const serial = made++;
  const owner = `${OWN_PREFIX}${serial}`;
  // Addresses of their own for each world: agents see all of the machine, and flows are named by address.
  const block = (process.pid * 61 + serial) & 0x3fffff;
  const net = (0x0a000000 + block * 4) >>> 0;
  const host = (side: 'a' | 'b', index: number): Host => ({
    netns: `${owner}-${side}`,
    ipv4: dotted(net + index),
    ipv6: `fd78:${(block >>> 16).toString(16)}:${(block & 0xffff).toString(16)}::${index}`,
    mac: `02:78:00:00:00:0${index}`,
  });
  const hosts = { a: host('a', 1), b: host('b', 2) } as const;

  for (const { netns } of Object.values(hosts)) {
    scope.teardown(() => removeNetns(netns));
    await run('ip', ['netns', 'add', netns]);
  }
  const end = ({ netns, mac }: Host): string[] => ['name', 'eth0', 'address', mac, 'netns', netns];
  await run('ip', ['link', 'add', ...end(hosts.a), 'type', 'veth', 'peer', ...end(hosts.b)]);
  for (const { netns, ipv4, ipv6 } of Object.values(hosts)) {
    await run('ip', ['-n', netns, 'address', 'add', `${ipv4}/30`, 'dev', 'eth0']);
    await run('ip', ['-n', netns, 'address', 'add', `${ipv6}/64`, 'dev', 'eth0', 'nodad']);
    await run('ip', ['-n', netns, 'link', 'set', 'lo', 'up']);
    await run('ip', ['-n', netns, 'link', 'set', 'eth0', 'up']);
  }
  await settle(hosts.a, hosts.b);
  await settle(hosts.b, hosts.a);

  const undrop = async (): Promise<void> => {
    for (const { netns } of Object.values(hosts))
      await nft(netns, [`add table inet ${TABLE}`, `delete table inet ${TABLE}`]);
  };
  return {
    ...hosts,
    undrop,
    drop: async ({ at = 'both', port, percent = 100 } = {}) => {
      await undrop();
      const sides = at === 'both' ? (['a', 'b'] as const) : ([at] as const);
      const share = percent >= 100 ? '' : `numgen random mod 100 < ${Math.trunc(percent)} `;
      const matches =
        port === undefined ? ['meta l4proto tcp '] : [`tcp dport ${port} `, `tcp sport ${port} `];
      for (const side of sides)
        await filter(
          hosts[side].netns,
          'prerouting',
          matches.map((m) => `${m}${share}drop`),
        );
    },
    reset: async (at, port) => {
      await undrop();
      await filter(hosts[at].netns, 'input', [`tcp dport ${port} reject with tcp reset`]);
    },
    ip: async (at, ...args) => (await run('ip', ['-n', hosts[at].netns, ...args])).stdout,
    start: (at, name, args, options) =>
      startWorkload(scope, name, args, { ...options, netns: hosts[at].netns }),
  };
}

/**
 * From here on the first packet arrives: the link is up, and who has the other address is known for good. Else on
 * a slow machine the question for it comes before the other end can hear it, and the first SYN a second late.
 */
async function settle({ netns }: Host, { ipv4, ipv6, mac }: Host): Promise<void> {
  for (const address of [ipv4, ipv6])
    await run('ip', [
      ...['-n', netns, 'neighbour', 'replace', address, 'lladdr', mac],
      ...['dev', 'eth0', 'nud', 'permanent'],
    ]);
  const isUp = async (): Promise<boolean> =>
    (await run('ip', ['-n', netns, '-o', 'link', 'show', 'dev', 'eth0'])).stdout.includes(' state UP ');
  await until(isUp, { timeoutMs: 10_000, what: `the link of ${netns}` });
}

function filter(netns: string, hook: 'prerouting' | 'input', rules: readonly string[]): Promise<void> {
  const priority = hook === 'prerouting' ? -300 : 0;
  return nft(netns, [
    `add table inet ${TABLE}`,
    `add chain inet ${TABLE} ${hook} { type filter hook ${hook} priority ${priority}; policy accept; }`,
    ...rules.map((rule) => `add rule inet ${TABLE} ${hook} ${rule}`),
  ]);
}

async function nft(netns: string, commands: readonly string[]): Promise<void> {
  await run('ip', ['netns', 'exec', netns, 'nft', commands.join('; ')]);
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.');
}

function namespaces(): string[] {
  try {
    return readdirSync('/run/netns');
  } catch {
    return []; // the directory is there from the first namespace on
  }
}

async function removeNetns(netns: string): Promise<void> {
  // In a session of its own: a second Ctrl-C goes to the whole foreground group, and must not stop this.
  // It can still hit between fork and setsid, hence more than one try.
  for (let tries = 3; tries > 0 && namespaces().includes(netns); tries--) {
    const child = spawn('ip', ['netns', 'delete', netns], { detached: true, stdio: 'ignore' });
    await once(child, 'close');
  }
  if (namespaces().includes(netns)) throw new Error(`ip netns delete ${netns} failed`);
}

/** Removes the namespaces whose creator is dead. */
export async function sweep(): Promise<void> {
  for (const netns of namespaces()) {
    if (!isOrphan(netns)) continue;
    // Two sweeps at once: the one that comes second finds nothing left to remove.
    await removeNetns(netns).catch(() => undefined);
  }
}
