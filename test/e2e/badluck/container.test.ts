/** A container hides the host's pids and mounts: storage faults of a process in one are found all the same. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Agent, startAgent } from '../../lib/agent.js';
import { workload } from '../../lib/cc.js';
import type { Disk } from '../../lib/disks/disk.js';
import { without } from '../../lib/disks/features.js';
import { loopDisk } from '../../lib/disks/loop.js';
import { throttledDisk } from '../../lib/disks/throttle.js';
import { type Proc, start } from '../../lib/proc.js';
import { until } from '../../lib/until.js';
import { brief, chainFlaws, untilWhy } from '../lib/ask.js';
import { scratch } from '../lib/raw-agent.js';

let agent: Agent;

t.before(async () => {
  agent = await startAgent(t);
});

const MOUNT = 'mount -t ext4 -o errors=remount-ro "$0" "$1" && shift && exec "$@"';

/** The workload as pid 1 of its own pid namespace, on an ext4 that nobody else sees. */
async function contained(
  t: Test,
  disk: Disk,
  at: string,
  args: readonly string[],
  wrap: readonly string[] = [],
): Promise<{ readonly pid: number; readonly proc: Proc }> {
  execFileSync('mkfs.ext4', ['-q', '-E', 'nodiscard', disk.path]);
  mkdirSync(at);
  const unshare = ['unshare', '--pid', '--mount', '--fork', '--kill-child', '--mount-proc'];
  const words = [...unshare, 'sh', '-c', MOUNT, disk.path, at, await workload('storage'), ...args];
  const [command = '', ...rest] = [...wrap, ...words];
  const proc = await start(t, command, rest);
  const truth = await proc.ready('step');
  t.equal(truth.pid, 1, 'it knows itself as pid 1');
  const children = `/proc/${proc.pid}/task/${proc.pid}/children`;
  const pid = await until(() => Number(readFileSync(children, 'utf8').trim()) || undefined, {
    timeoutMs: 5_000,
    what: 'the pid on the host',
  });
  return { pid, proc };
}

const throttle = (await without('throttle')) ?? false;

t.test('a disk that does not answer', { skip: throttle }, async (t) => {
  const disk = await throttledDisk(t, { sizeMiB: 32 });
  const at = join(scratch(t), 'data');
  const args = ['mode=write', `path=${at}/log`, 'pace_ms=20'];
  const { pid } = await contained(t, disk, at, args, disk.wrap);
  await disk.stall();
  const answer = await untilWhy(agent, pid, (a) => a.verdict === 'cause-found', { what: 'the disk' });
  t.match(brief(answer), { scene: 'StorageSlow', root: `block:${disk.name}` }, JSON.stringify(answer));
  t.same(chainFlaws(answer), []);
  await disk.release();
});

const loop = (await without('loop')) ?? false;

t.test('its filesystem turns read-only', { skip: loop }, async (t) => {
  const disk = await loopDisk(t, { sizeMiB: 32 });
  const at = join(scratch(t), 'data');
  const { pid } = await contained(t, disk, at, ['mode=write', `path=${at}/log`, 'pace_ms=20']);
  writeFileSync(`/sys/fs/ext4/${disk.name}/trigger_fs_error`, 'test');
  const answer = await untilWhy(agent, pid, (a) => a.subScene === 'ReadOnly', { what: 'read-only' });
  t.match(answer.rootCause?.node, `fs:${at}@mnt:`, 'named with the mount namespace that has it');
  t.same(chainFlaws(answer), []);
});
