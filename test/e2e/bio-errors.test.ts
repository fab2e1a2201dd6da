/** Failures that leave no trace but EIO in the program itself: nothing is made up of them (docs/facts.md). */
import { execFile } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { type Agent, startAgent } from '../lib/agent.js';
import type { Disk } from '../lib/disks/disk.js';
import { dmDisk } from '../lib/disks/dm.js';
import { without } from '../lib/disks/features.js';
import { loopDisk } from '../lib/disks/loop.js';
import { startWorkload } from '../lib/proc.js';
import { FAILS, SOUND } from './lib/bio-faults.js';
import { mountExt4 } from './lib/faults.js';

const run = promisify(execFile);
const skip = (await without('loop', 'dm', 'dm-flakey')) ?? false;

let agent: Agent;

t.before(async () => {
  agent = await startAgent(t);
});

/** What the kernel log has said of failures on a device. */
async function said({ name }: Disk): Promise<readonly string[]> {
  const { stdout } = await run('dmesg');
  return stdout.split('\n').filter((line) => line.includes(name) && /error|fail/i.test(line));
}

t.test('direct reads of a mapped device', { skip }, async (t) => {
  const disk = await dmDisk(t, SOUND, await loopDisk(t));
  const victim = await startWorkload(t, 'storage', { mode: 'read', path: disk.path, pace_ms: 5 });
  await victim.ready('step');
  const before = (await said(disk)).length;
  await disk.reload(FAILS);
  await victim.ready('error');
  const answer = await agent.why(victim.pid);
  const lines = (await said(disk)).slice(before);
  t.comment(`the log has ${lines.length} lines of it; why: ${answer.verdict}, ${answer.summary}`);
  t.same(lines, [], 'the kernel is silent');
  t.not(answer.scene, 'StorageIoError', 'and so is xctl');
});

t.test('reads of file data through the page cache', { skip }, async (t) => {
  const disk = await dmDisk(t, SOUND, await loopDisk(t, { sizeMiB: 32 }));
  const at = await mountExt4(t, disk);
  const path = join(at, 'data');
  const fd = openSync(path, 'w');
  writeSync(fd, randomFillSync(Buffer.alloc(8 << 20)));
  fdatasyncSync(fd);
  closeSync(fd);
  // 6.1 cannot fail reads alone, and the time of the last access would be written.
  await run('mount', ['-o', 'remount,ro', at]);
  const victim = await startWorkload(t, 'storage', { mode: 'read', path, direct: 0, pace_ms: 5 });
  await victim.ready('step');
  const before = (await said(disk)).length;
  await disk.reload(FAILS);
  await victim.ready('error');
  const answer = await agent.why(victim.pid);
  const lines = (await said(disk)).slice(before);
  t.comment(`the log has ${lines.length} lines of it; why: ${answer.verdict}, ${answer.summary}`);
  t.same(lines, [], 'the kernel is silent');
  t.not(answer.scene, 'StorageIoError', 'and so is xctl');
});
