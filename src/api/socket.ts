/**
 * The agent's unix socket: `root:xctl 0660`, or `0600` where there is no group `xctl`.
 *
 * It is bound under a hidden name, given its rights, and then linked to its real name. So nobody ever
 * sees it with wider rights, two agents that start together cannot both win (link(2) refuses an existing
 * name), and Node, which unlinks what it bound, cannot unlink a successor's socket.
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  type Stats,
  unlinkSync,
} from 'node:fs';
import { request } from 'node:http';
import type { Server } from 'node:net';
import { dirname, join } from 'node:path';
import { errnoOf, messageOf, RefusedError, UsageError } from '../util/errors.js';
import type { Log } from '../util/log.js';
import { PATHS } from './paths.js';

/** sun_path of struct sockaddr_un holds 108 bytes with its NUL. */
const MAX_PATH_BYTES = 107;
const PROBE_TIMEOUT_MS = 500;
const GROUP = 'xctl';

export interface SocketOptions {
  readonly path: string;
  readonly log: Log;
  /** `/etc/group`, unless a test says otherwise. */
  readonly groupFile?: string;
}

export interface ClaimedSocket {
  /** Removes the socket, unless somebody else's is at the path by now. */
  release(): void;
}

/**
 * Makes `server` listen at `path`.
 * @throws RefusedError another agent answers there, something that is no socket is there, no permission
 * @throws UsageError the path is too long for a socket
 */
export async function claimSocket(server: Server, options: SocketOptions): Promise<ClaimedSocket> {
  const { path, log } = options;
  const hidden = hiddenName(path);
  if (Math.max(Buffer.byteLength(path), Buffer.byteLength(hidden)) > MAX_PATH_BYTES) {
    throw new UsageError(`socket path ${path} is too long; a unix socket takes ${MAX_PATH_BYTES} bytes`);
  }
  const gid = gidOf(GROUP, options.groupFile ?? '/etc/group');
  try {
    makeDirectory(dirname(path), gid);
    await listen(server, hidden);
    try {
      restrict(hidden, gid, log);
      await publish(hidden, path, log);
    } finally {
      removeIfThere(hidden);
    }
  } catch (error) {
    throw explain(error, path);
  }
  const ours = lstatSync(path);
  return { release: () => releaseIfOurs(path, ours) };
}

function hiddenName(path: string): string {
  return join(dirname(path), `.${randomBytes(4).toString('hex')}`);
}

function explain(error: unknown, path: string): unknown {
  const errno = errnoOf(error);
  if (errno !== 'EACCES' && errno !== 'EPERM' && errno !== 'EROFS') return error;
  return new RefusedError(
    `cannot make the socket ${path} (${errno}); run as root or choose another with --socket`,
    {
      cause: error,
    },
  );
}

/** A directory that is there already keeps its rights: they are its owner's decision. */
function makeDirectory(path: string, gid: number | undefined): void {
  if (existsSync(path)) return;
  mkdirSync(path, { recursive: true, mode: 0o750 });
  if (gid !== undefined && process.getuid?.() === 0) chownSync(path, 0, gid);
  // mkdir's mode is subject to the umask; the group must be able to pass.
  chmodSync(path, 0o750);
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // bind(2) happens inside listen(), so the umask covers it and nothing else.
    const umask = process.umask(0o177);
    try {
      server.listen(path, () => {
        server.removeListener('error', reject);
        resolve();
      });
    } finally {
      process.umask(umask);
    }
  });
}

function restrict(path: string, gid: number | undefined, log: Log): void {
  if (gid === undefined) {
    log.info('no group xctl in /etc/group: the socket is for its owner only', { mode: '0600' });
    return;
  }
  try {
    chownSync(path, process.getuid?.() ?? 0, gid);
    chmodSync(path, 0o660);
  } catch (error) {
    log.warn('the socket cannot be given to group xctl: it is for its owner only', {
      error: messageOf(error),
    });
  }
}

async function publish(hidden: string, path: string, log: Log): Promise<void> {
  for (;;) {
    try {
      linkSync(hidden, path);
      return;
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
    await removeStale(path, log);
  }
}

/** @throws RefusedError unless nobody answers at the socket */
async function removeStale(path: string, log: Log): Promise<void> {
  const found = statOf(path);
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new RefusedError(`${path} is there and is no socket; remove it or choose another with --socket`);
  }
  const answer = await whoAnswers(path);
  if (answer.state === 'gone') return;
  if (answer.state === 'answers') throw anotherAgent(path, answer.pid);
  // Moved aside before it is removed: an agent that started in between has another inode and gets it back.
  const aside = hiddenName(path);
  try {
    renameSync(path, aside);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
  const moved = lstatSync(aside);
  try {
    if (moved.ino !== found.ino || moved.dev !== found.dev) {
      linkSync(aside, path);
      throw anotherAgent(path, undefined);
    }
  } finally {
    unlinkSync(aside);
  }
  log.warn('removed a stale socket', { path });
}

function anotherAgent(path: string, pid: number | undefined): RefusedError {
  return new RefusedError(`another xctl-agent${pid === undefined ? '' : ` (pid ${pid})`} answers at ${path}`);
}

type Answer =
  | { readonly state: 'answers'; readonly pid: number | undefined }
  | { readonly state: 'stale' }
  | { readonly state: 'gone' };

/** Everything but a refused connection counts as an answer: a hung agent is still an agent. */
function whoAnswers(path: string): Promise<Answer> {
  return new Promise((resolve) => {
    const ask = request({ socketPath: path, path: PATHS.health, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        if (body.length < 1024) body += text;
      });
      response.on('end', () => resolve({ state: 'answers', pid: pidOfHealth(body) }));
      response.on('error', () => resolve({ state: 'answers', pid: undefined }));
    });
    ask.setTimeout(PROBE_TIMEOUT_MS, () => ask.destroy());
    ask.on('error', (error) => {
      const errno = errnoOf(error);
      if (errno === 'ECONNREFUSED') resolve({ state: 'stale' });
      else if (errno === 'ENOENT') resolve({ state: 'gone' });
      else resolve({ state: 'answers', pid: undefined });
    });
    ask.end();
  });
}

function pidOfHealth(body: string): number | undefined {
  try {
    const health: unknown = JSON.parse(body);
    if (typeof health !== 'object' || health === null || !('pid' in health)) return undefined;
    return typeof health.pid === 'number' ? health.pid : undefined;
  } catch {
    return undefined;
  }
}

/** Read from the file and not asked of NSS: Node cannot, and the package makes the group locally. */
function gidOf(group: string, file: string): number | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
  const gid = new RegExp(`^${group}:[^:]*:(\\d+):`, 'm').exec(text)?.[1];
  return gid === undefined ? undefined : Number(gid);
}

function statOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

function releaseIfOurs(path: string, ours: Stats): void {
  const found = statOf(path);
  if (found?.ino === ours.ino && found.dev === ours.dev) removeIfThere(path);
}
