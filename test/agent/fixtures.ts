/** What the agent's tests share: folders, a log to look into, waiting for a condition. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Event } from '../../src/events/event.js';
import { createLog, type Log } from '../../src/util/log.js';

/** Anything with a teardown, such as a tap test. */
interface Teardown {
  teardown(fn: () => unknown): void;
}

export function tempFolder(t: Teardown): string {
  const folder = mkdtempSync(join(tmpdir(), 'xctl-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * A file system that holds `size` (as for mount(8)), in the mount namespace of a process that dies
 * with this one: a test that is killed leaves nothing mounted. Reached through that process's root.
 */
export async function tinyDisk(t: Teardown, size: string): Promise<string> {
  const folder = tempFolder(t);
  const script = 'mount -t tmpfs -o size="$1" xctl-test "$2" && echo mounted && exec sleep infinity';
  const holder = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', 'unshare', '--mount', 'sh', '-c', script, 'sh', size, folder],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  t.teardown(() => holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
  return join(`/proc/${holder.pid}/root`, folder);
}

export interface KeptLog {
  readonly log: Log;
  readonly lines: Record<string, unknown>[];
}

export function keptLog(): KeptLog {
  const lines: Record<string, unknown>[] = [];
  return { lines, log: createLog('debug', (line) => void lines.push(JSON.parse(line))) };
}

export function customEvent(n: number, text = ''): Event {
  return {
    ts: 1_800_000_000_000 + n,
    type: 'custom',
    customType: 'compute.step_time',
    entity: 'gpu:0',
    value: n,
    attrs: { text },
    probe: 'subprocess',
  };
}
