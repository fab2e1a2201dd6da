/**
 * A real NFS server and a mount of it, on one machine: the server (nfsd, mountd) in one network namespace of a
 * World, the client in the other, so that the server can be made to fall silent (drop packets) or to end (stop
 * its threads). The mount is in the mount namespace of the tests.
 *
 * Needs the kernel's client and server (modules are loaded) and the programs of nfs-kernel-server and
 * nfs-common; `nfsMissing()` says what is lacking. Everything is also undone when the test was killed: mounts
 * carry their creator's name, and whoever makes the next one removes those whose creator is dead.
 */
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isOrphan, OWN_PREFIX } from './owner.js';
import { start } from './proc.js';
import type { Scope } from './scope.js';
import { createWorld, type World } from './world.js';

const run = promisify(execFile);

const PROGRAMS = ['/usr/sbin/rpc.nfsd', '/usr/sbin/rpc.mountd', '/usr/sbin/exportfs', '/usr/sbin/mount.nfs'];
const BASE = '/run';
const THREADS = 4;
export const NFS_PORT = 2049;

export interface NfsOptions {
  /** `4.2` unless said; 3 would need rpcbind. */
  readonly version?: '4.0' | '4.1' | '4.2';
  /** Further mount options, `soft,timeo=10`. */
  readonly options?: string;
  /** TCP connections of the mount. */
  readonly connections?: number;
}

export interface Nfs {
  readonly world: World;
  /** Where the export is mounted. */
  readonly mountPoint: string;
  /** What the server exports, as a directory of this machine: reading and writing there asks no server. */
  readonly exported: string;
  /** Address of the server. */
  readonly server: string;
  /** The server is not heard any more: packets from and to its port are dropped. */
  silence(): Promise<void>;
  /** It is heard again. */
  speak(): Promise<void>;
  /** The server ends: its connections are closed, new ones refused. */
  halt(): Promise<void>;
  /** And starts again. */
  resume(): Promise<void>;
}

/** What this machine lacks for a server and a client; undefined when nothing. */
export async function nfsMissing(): Promise<string | undefined> {
  const absent = PROGRAMS.filter((path) => !existsSync(path));
  if (absent.length > 0) return `no ${absent.join(', ')} (packages nfs-kernel-server, nfs-common)`;
  for (const module of ['nfsv4', 'nfsd']) await run('modprobe', [module]).catch(() => undefined);
  const known = readFileSync('/proc/filesystems', 'utf8').split(/\s+/);
  const lacking = ['nfs4', 'nfsd'].filter((type) => !known.includes(type));
  return lacking.length === 0 ? undefined : `the kernel has no ${lacking.join(' and no ')}`;
}

/** @throws Error with the words of what failed; ask `nfsMissing` before */
export async function createNfs(scope: Scope, options: NfsOptions = {}): Promise<Nfs> {
  await sweepMounts();
  const world = await createWorld(scope);
  const dir = mkdtempSync(join(BASE, `${OWN_PREFIX}nfs-`));
  const [exported, mountPoint, control] = ['export', 'mount', 'nfsd'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  for (const path of [exported, mountPoint, control]) mkdirSync(path);
  scope.teardown(() => remove(dir));
  const inServer = (...words: readonly string[]) => inNetns(world.b.netns, words);

  await run('mount', ['-t', 'tmpfs', '-o', 'size=256m', 'xctl-export', exported]);
  // Its own view of the server's network namespace; the tools look at the usual place.
  await inServer('mount', '-t', 'nfsd', 'nfsd', '/proc/fs/nfsd');
  scope.teardown(() => run('umount', ['-l', '/proc/fs/nfsd']).catch(() => undefined));
  await mountTool(scope, world);
  const threads = '/proc/fs/nfsd/threads';
  scope.teardown(() => inServer('rpc.nfsd', '0').catch(() => undefined));
  const share = 'rw,no_root_squash,insecure,no_subtree_check,fsid=0,async';
  await inServer('exportfs', '-i', '-o', share, `*:${exported}`);
  scope.teardown(() => inServer('exportfs', '-u', `*:${exported}`).catch(() => undefined));
  writeFileSync('/proc/fs/nfsd/nfsv4gracetime', '10');
  writeFileSync('/proc/fs/nfsd/nfsv4leasetime', '10');
  const serve = async (): Promise<void> => {
    await inServer('rpc.nfsd', '-N', '3', String(THREADS));
    endGrace();
  };
  await serve();

  const nfsOptions = [`vers=${options.version ?? '4.2'}`, `nconnect=${options.connections ?? 1}`];
  if (options.options !== undefined) nfsOptions.push(options.options);
  // Before the mount is made: then it also goes when that hangs.
  scope.teardown(() => unmount(mountPoint));
  const words = ['mount', '-t', 'nfs4', '-o', nfsOptions.join(','), `${world.b.ipv4}:/`, mountPoint];
  await inNetns(world.a.netns, words);

  return {
    world,
    mountPoint,
    exported,
    server: world.b.ipv4,
    silence: () => world.drop({ at: 'both', port: NFS_PORT }),
    speak: () => world.undrop(),
    halt: async () => writeFileSync(threads, '0'),
    resume: serve,
  };
}

/** Answers what the kernel's server asks: who may mount what. */
async function mountTool(scope: Scope, world: World): Promise<void> {
  mkdirSync('/var/lib/nfs', { recursive: true });
  const enter = ['nsenter', `--net=/run/netns/${world.b.netns}`, 'setpriv', '--pdeathsig', 'KILL'];
  await start(scope, '/usr/sbin/rpc.mountd', ['-F', '-N', '3'], { wrap: enter });
}

/** Clients would wait for the end of the time in which old ones may come back. */
function endGrace(): void {
  try {
    writeFileSync('/proc/fs/nfsd/v4_end_grace', 'Y');
  } catch {
    // Without a record of its clients, as in a network namespace of its own, the server has no such time.
  }
}

/** In the network namespace only: what is mounted must be seen by everybody. */
async function inNetns(netns: string, words: readonly string[]): Promise<void> {
  await run('nsenter', [`--net=/run/netns/${netns}`, ...words], { timeout: 120_000 });
}

/** By force and at once: a plain umount waits for the server. */
async function unmount(mountPoint: string): Promise<void> {
  // -f ends what is on its way with an error, one request after the other.
  for (let tries = 0; tries < 5 && isMounted(mountPoint); tries++) {
    const mode = tries < 2 ? '-f' : '-l';
    await run('umount', [mode, '-i', mountPoint], { timeout: 10_000 }).catch(() => undefined);
  }
}

function isMounted(path: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${path} `);
}

async function remove(dir: string): Promise<void> {
  for (const name of ['mount', 'export', 'nfsd']) {
    const path = join(dir, name);
    if (isMounted(path)) await run('umount', ['-l', '-i', path]).catch(() => undefined);
    if (existsSync(path)) rmdirSync(path);
  }
  rmdirSync(dir);
}

/** Removes what the tests left whose process is dead. */
async function sweepMounts(): Promise<void> {
  for (const name of readdirSync(BASE)) {
    if (!isOrphan(name) || !name.includes('nfs-')) continue;
    await unmount(join(BASE, name, 'mount'));
    // Somebody else may sweep at the same time.
    await remove(join(BASE, name)).catch(() => undefined);
  }
}
