/**
 * Who has a GPU open. Device files of major 195 need the driver to be opened, so that /dev/full (1:7) and /dev/zero
 * (1:5) stand in for two GPUs here: they are matched by number in the same way, under names of the test's own.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { attrsFit } from '../../src/events/catalogue.js';
import type { Event, EventOf } from '../../src/events/event.js';
import type { GpuHolder } from '../../src/events/gpu.js';
import { BootClock } from '../../src/kernel/clock.js';
import { GpuUsers } from '../../src/probes/gpu-users.js';
import type { Probe, ProbeContext } from '../../src/probes/probe.js';
import { startTicks } from '../../src/probes/proc.js';
import { createLog } from '../../src/util/log.js';
import { workload } from '../lib/cc.js';
import { OWN_PREFIX } from '../lib/owner.js';
import { type Proc, start, startWorkload } from '../lib/proc.js';
import type { Scope } from '../lib/scope.js';
import { until } from '../lib/until.js';
import { startProbe } from './lib/rig.js';

const MEM_MAJOR = 1;
const FULL = 7;
const ZERO = 5;

function device(entity: string, minor: number | undefined, gone?: true): Event {
  const attrs = { instances: [], ...(minor !== undefined && { minor }), ...(gone && { gone }) };
  return { ts: 1, type: 'gpu.device', entity, value: 0, probe: 'gpu', attrs };
}

class UsersAlone implements Probe {
  readonly name = 'gpu';
  readonly users: GpuUsers;
  constructor(context: ProbeContext) {
    this.users = new GpuUsers(context, MEM_MAJOR);
  }
  async start(): Promise<void> {
    this.users.heed(device('gpu:0', FULL));
    this.users.heed(device('gpu:1', ZERO));
    // The object is loaded when there are GPUs.
    await until(() => this.users.look('asked'), { timeoutMs: 10_000, what: 'the first look', everyMs: 10 });
  }
  stop(): void {
    this.users.stop();
  }
  checks(): ReturnType<Probe['checks']> {
    return this.users.checks();
  }
}

/** A directory with a device file in it: another path than everybody's. */
function deviceFile(scope: Scope, minor: number): string {
  const dir = mkdtempSync(join(tmpdir(), OWN_PREFIX));
  scope.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'gpu');
  execFileSync('mknod', [path, 'c', String(MEM_MAJOR), String(minor)]);
  return path;
}

async function holding(scope: Scope, path: string): Promise<Proc> {
  const proc = await startWorkload(scope, 'storage', { mode: 'hold', path });
  await proc.ready();
  return proc;
}

interface Seen {
  readonly probe: UsersAlone;
  /** Who has it open, as told last. */
  holders(entity: string): readonly GpuHolder[];
  /** Asks until it is so. */
  until(what: string, so: () => boolean): Promise<void>;
  all(): readonly EventOf<'gpu.users'>[];
}

async function see(scope: Scope): Promise<Seen> {
  const rig = await startProbe(scope, (context) => new UsersAlone(context));
  const all = (): readonly EventOf<'gpu.users'>[] => rig.all('gpu.users');
  return {
    probe: rig.probe,
    all,
    holders: (entity) => all().findLast((event) => event.entity === entity)?.attrs.holders ?? [],
    until: async (what, so) => {
      const asked = (): boolean => rig.probe.users.look('asked') && so();
      await until(asked, { timeoutMs: 10_000, what, everyMs: 20 });
    },
  };
}

t.test('by number, whatever its name: process, start and descriptor, until it is closed', async (t) => {
  const seen = await see(t);
  const holder = await holding(t, deviceFile(t, FULL));
  const found = (): GpuHolder | undefined => seen.holders('gpu:0').find(({ pid }) => pid === holder.pid);
  await seen.until('the holder', () => found() !== undefined);
  t.match(found(), { pid: holder.pid, comm: 'storage', fd: 3 });
  t.equal(Math.floor((found()?.start ?? 0) / 1e7), startTicks(holder.pid), 'the start of that process');
  t.notOk(
    seen.holders('gpu:1').some(({ pid }) => pid === holder.pid),
    'not of the other device',
  );
  for (const event of seen.all()) t.ok(attrsFit('gpu.users', event.attrs));
  await holder.stop();
  await seen.until('its end', () => found() === undefined);
  t.same(seen.probe.checks(), []);
});

t.test('each process once, however often it has it open; one that has several is told of each', async (t) => {
  const seen = await see(t);
  const [full, zero] = [deviceFile(t, FULL), deviceFile(t, ZERO)];
  const script = 'exec 5<"$0" 7<"$0" 8<"$1"; echo open; exec sleep 1000';
  const holder = await start(t, 'setpriv', ['--pdeathsig', 'KILL', 'sh', '-c', script, full, zero]);
  await holder.line(/^open$/);
  const of = (entity: string): readonly GpuHolder[] =>
    seen.holders(entity).filter(({ pid }) => pid === holder.pid);
  await seen.until('the holder', () => of('gpu:0').some(({ comm }) => comm === 'sleep'));
  t.match(of('gpu:0'), [{ fd: 5 }]);
  t.match(of('gpu:1'), [{ fd: 8 }]);
});

t.test('the agent is no user', async (t) => {
  const fd = openSync(deviceFile(t, FULL), 'r');
  t.teardown(() => closeSync(fd));
  const other = await holding(t, deviceFile(t, FULL));
  const seen = await see(t);
  await seen.until('the other', () => seen.holders('gpu:0').some(({ pid }) => pid === other.pid));
  t.notOk(seen.holders('gpu:0').some(({ pid }) => pid === process.pid));
});

t.test('in a container: its own mounts and pids, its own device file', async (t) => {
  const seen = await see(t);
  const program = await workload('storage');
  const script = `mount -t tmpfs none /mnt && mknod /mnt/card c ${MEM_MAJOR} ${FULL} && exec "$0" mode=hold path=/mnt/card`;
  const namespaces = ['unshare', '--mount', '--pid', '--fork', '--kill-child'];
  const container = await start(t, 'setpriv', [
    '--pdeathsig',
    'KILL',
    ...namespaces,
    'sh',
    '-c',
    script,
    program,
  ]);
  const inside = await container.ready();
  t.equal(inside.pid, 1, 'it calls itself 1');
  const host = Number(readFileSync(`/proc/${container.pid}/task/${container.pid}/children`, 'utf8').trim());
  await seen.until('the container', () => seen.holders('gpu:0').some(({ pid }) => pid === host));
});

t.test('looks are rare, unless something changes or somebody asks', async (t) => {
  const { probe, all } = await see(t);
  const { users } = probe;
  await until(() => users.look('asked'), { timeoutMs: 5_000, what: 'a look for who asks' });
  const before = users.stats.passes;
  t.notOk(users.look('asked'), 'many who ask at once get one look');
  t.notOk(users.look('used'), 'there was one within ten seconds');
  const list = (pids: readonly number[]): Event => ({
    ts: 1,
    type: 'gpu.processes',
    entity: 'gpu:0',
    value: 0,
    probe: 'gpu',
    attrs: { processes: pids.map((pid) => ({ pid })) },
  });
  users.heed(list([process.pid]));
  await until(() => users.stats.passes > before, { timeoutMs: 10_000, what: "a look for NVML's new list" });
  const then = users.stats.passes;
  users.heed(list([process.pid]));
  t.equal(users.stats.passes, then, 'the same list is no reason');
  const holder = await holding(t, deviceFile(t, FULL));
  await until(() => users.look('asked'), { timeoutMs: 5_000, what: 'another look' });
  t.ok(all().some(({ attrs }) => attrs.holders.some(({ pid }) => pid === holder.pid)));
  users.heed(device('gpu:0', FULL, true));
  const told = all().length;
  await until(() => users.look('asked'), { timeoutMs: 5_000, what: 'a look without it' });
  t.same(
    all()
      .slice(told)
      .filter(({ entity }) => entity === 'gpu:0'),
    [],
    'nothing is told of a GPU that is gone',
  );
});

t.test('without BPF: said in doctor, and nothing else is lost', async (t) => {
  const events: Event[] = [];
  const users = new GpuUsers({
    kernel: { load: () => Promise.reject(new Error('EPERM; needs CAP_BPF')) },
    clock: BootClock.now(),
    sink: (event) => void events.push(event),
    log: createLog('error', () => {}),
  });
  t.teardown(() => users.stop());
  t.same(users.checks(), [], 'nothing is said where there are no GPUs');
  users.heed(device('gpu:0', 0));
  const check = await until(() => users.checks()[0], { timeoutMs: 5_000, what: 'the check' });
  t.match(check, { status: 'degraded', name: 'probe gpu/users', detail: /NVML alone \(EPERM/ });
  t.notOk(users.look('asked'));
  t.same(events, []);
});
