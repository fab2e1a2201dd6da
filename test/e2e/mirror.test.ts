/**
 * Mirrors with real faults below them: what a member does not do another one does, so that nobody is told of it as a
 * cause; it is evidence where the mirror is part of one.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import t from 'tap';
import { type Agent, startAgent } from '../lib/agent.js';
import type { Disk } from '../lib/disks/disk.js';
import { dmDisk } from '../lib/disks/dm.js';
import { type Feature, without } from '../lib/disks/features.js';
import { loopDisk } from '../lib/disks/loop.js';
import { mirror } from '../lib/disks/md.js';
import { scsiDisk } from '../lib/disks/scsi.js';
import { startWorkload } from '../lib/proc.js';
import type { Scope } from '../lib/scope.js';
import { until } from '../lib/until.js';
import { chainFlaws, isWell, untilWhy } from './lib/ask.js';
import { FAILS, SOUND } from './lib/bio-faults.js';
import { streamEvents } from './lib/event-stream.js';

const run = promisify(execFile);
/** Questions in a row that are to give no cause. */
const QUESTIONS = 5;

let agent: Agent;

t.before(async () => {
  agent = await startAgent(t);
});

async function lacking(...features: readonly Feature[]): Promise<string | false> {
  return (await without(...features)) ?? false;
}

/** Reads of it, past the page cache unless said. */
async function reader(scope: Scope, { path }: Disk, more: Readonly<Record<string, number>> = {}) {
  const victim = await startWorkload(scope, 'storage', { mode: 'read', path, pace_ms: 5, ...more });
  await victim.ready('step');
  return victim;
}

function degraded({ name }: Disk): boolean {
  return readFileSync(`/sys/block/${name}/md/degraded`, 'utf8').trim() === '1';
}

// The mirror that fails comes last: the next one would have its name, and the log's word counts for a minute.
t.test(
  'a read that fails below, and succeeds on the other member',
  { skip: await lacking('loop', 'md', 'scsi_debug') },
  async (t) => {
    const bad = await scsiDisk(t);
    const good = await loopDisk(t, { sizeMiB: 32 });
    const md = await mirror(t, [bad, good]);
    const stream = await streamEvents(t, agent, 'storage,wait');
    const victim = await reader(t, md, { block: 1 << 20 });
    // 6.1 may try the bad sectors over and over: without an end to it nothing here could be undone.
    t.teardown(() => md.fail(bad).catch(() => undefined));
    const failed = await stream.find(
      ({ type, entity }) => type === 'storage.error' && entity === `block:${bad.name}`,
      'a failed request of the member',
      60_000,
    );
    t.equal(failed.pid, victim.pid, 'it was the reader’s');
    for (let i = 0; i < QUESTIONS; i++) {
      const answer = await agent.why(victim.pid);
      t.not(answer.scene, 'StorageIoError', `it was told of no error: ${answer.summary}`);
    }
    await md.fail(bad);
    await untilWhy(agent, victim.pid, isWell, { what: 'the other member', timeoutMs: 60_000 });
    t.same(victim.truths('error'), [], 'all that it asked for it got');
  },
);

t.test(
  'a member fails, then the other one does not answer, then fails too',
  { skip: await lacking('loop', 'dm', 'dm-flakey', 'md') },
  async (t) => {
    const first = await dmDisk(t, SOUND, await loopDisk(t));
    const second = await dmDisk(t, SOUND, await loopDisk(t));
    const md = await mirror(t, [first, second]);
    const stream = await streamEvents(t, agent, 'error,wait');
    const victim = await reader(t, md);

    await first.reload(FAILS);
    await until(
      async () => {
        await run('dd', ['if=/dev/zero', `of=${md.path}`, 'bs=4096', 'count=1', 'oflag=direct']);
        return degraded(md);
      },
      { timeoutMs: 20_000, what: 'the mirror to give the member up' },
    );
    const lost = await stream.find(
      ({ type, entity }) => type === 'error.hw' && entity === `block:${first.name}`,
      'the member that failed',
    );
    t.match(lost.attrs, { class: 'md', severity: 'uncorrected', about: [`block:${md.name}`] });
    for (let i = 0; i < QUESTIONS; i++) {
      const answer = await agent.why(victim.pid);
      t.ok(isWell(answer), `a mirror without a member is no cause: ${answer.summary}`);
    }
    t.same(victim.truths('error'), [], 'and it is not: every read succeeded');

    await second.stall();
    const stalled = await untilWhy(
      agent,
      victim.pid,
      ({ scene, rootCause }) => scene === 'StorageSlow' && rootCause?.node === `block:${second.name}`,
      { what: 'the member that holds back' },
    );
    t.equal(stalled.subScene, 'Suspended');
    t.same(chainFlaws(stalled), []);
    t.ok(
      stalled.evidence.some(({ type, entity }) => type === 'error.hw' && entity === `block:${first.name}`),
      `that the other one is lost is evidence: ${JSON.stringify(stalled.evidence)}`,
    );
    await second.release();
    await untilWhy(agent, victim.pid, isWell, { what: 'let go', timeoutMs: 60_000 });

    await victim.stop();
    const cached = await reader(t, md, { direct: 0 });
    await second.reload(FAILS);
    await cached.ready('error');
    const failed = await untilWhy(agent, cached.pid, (a) => a.verdict === 'cause-found', {
      what: 'the mirror that has no member left',
    });
    t.match(failed, { scene: 'StorageIoError', rootCause: { node: `block:${md.name}` } });
    t.same(chainFlaws(failed), []);
  },
);
