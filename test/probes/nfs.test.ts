import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { EventOf } from '../../src/events/event.js';
import { Devices } from '../../src/probes/devices.js';
import { FilesystemProbe } from '../../src/probes/filesystem.js';
import { FlowTable } from '../../src/probes/flow-table.js';
import { Mounts } from '../../src/probes/mounts.js';
import { type Sample, ServerState } from '../../src/probes/nfs.js';
import { parseMountstats } from '../../src/probes/nfs-stats.js';
import { WaitsProbe } from '../../src/probes/waits.js';
import { createNfs, nfsMissing } from '../lib/nfs.js';
import { type Proc, start } from '../lib/proc.js';
import type { Scope } from '../lib/scope.js';
import { until } from '../lib/until.js';
import { type Rig, startProbe } from './lib/rig.js';
import { fc } from '../lib/property.js';

const PYTHON = '/usr/bin/python3';

const STATS = `device /dev/vda mounted on / with fstype ext4
device 10.0.0.2:/ mounted on /mnt/my\\040data with fstype nfs4 statvers=1.1
	opts:	rw,vers=4.2,rsize=524288,nconnect=2
	age:	13
	sec:	flavor=1,pseudoflavor=1
	RPC iostats version: 1.1  p/v: 100003/4 (nfs)
	xprt:	tcp 0 0 2 0 7 30 25 1 40 0 5 0 10
	xprt:	tcp 803 1 1 0 0 3 3 0 3 0 2 0 0
	per-op statistics
	        NULL: 1 1 0 44 24 0 0 0 0
	        READ: 3 5 1 180 112 1 50 70 0
	     GETATTR: 4 4 0 620 960 0 14406 14410 0

device proc mounted on /proc with fstype proc
device nas:/a mounted on /nas with fstype nfs statvers=1.0
	xprt:	udp 990 1 12 11 0 30 0
	per-op statistics
	        READ: 3 5 1 180 112 1 50 70
`;

t.test('mountstats', async (t) => {
  t.same(parseMountstats(STATS), [
    {
      mountPoint: '/mnt/my data',
      connects: 3,
      sends: 33,
      receives: 28,
      operations: 8,
      transmissions: 10,
      rttMs: 14456,
      execMs: 14480,
    },
    {
      mountPoint: '/nas',
      connects: 0,
      sends: 12,
      receives: 11,
      operations: 3,
      transmissions: 5,
      rttMs: 50,
      execMs: 70,
    },
  ]);
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...STATS.split('\n'), 'device a mounted on b', '\txprt:\ttcp x 1', '')),
      (lines) => {
        const numbers = parseMountstats(lines.join('\n')).flatMap(({ sends, receives, execMs }) => [
          sends,
          receives,
          execMs,
        ]);
        return numbers.every((number) => Number.isFinite(number));
      },
    ),
  );
});

/** A client's counters as the kernel keeps them. */
class Client {
  #sample: { -readonly [K in keyof Sample]: Sample[K] } = {
    ts: 1_000_000,
    mountPoint: '/',
    connects: 1,
    sends: 100,
    receives: 98,
    operations: 90,
    transmissions: 91,
    rttMs: 90,
    execMs: 95,
  };
  readonly state = new ServerState();

  get ts(): number {
    return this.#sample.ts;
  }

  /** A second later, with so much more of each. */
  step(
    more: Partial<
      Record<'connects' | 'sends' | 'receives' | 'operations' | 'transmissions' | 'rttMs', number>
    > = {},
    waitingTs?: number,
  ) {
    this.#sample.ts += 1_000;
    for (const key of ['connects', 'sends', 'receives', 'operations', 'rttMs'] as const)
      this.#sample[key] += more[key] ?? 0;
    this.#sample.transmissions += more.transmissions ?? more.operations ?? 0;
    return this.state.add({ ...this.#sample }, waitingTs, false);
  }

  /** So many calls, all answered. */
  calls(count: number) {
    return this.step({ sends: count, receives: count, operations: count, rttMs: count });
  }
}

t.test('a server that answers is not silent, whatever was lost before', async (t) => {
  const client = new Client();
  for (let i = 0; i < 5; i++) t.equal(client.calls(10), undefined);
  for (let i = 0; i < 5; i++) t.equal(client.step(), undefined, 'nor an idle one');
});

t.test('silent: since the first request without an answer, until there is one', async (t) => {
  const client = new Client();
  client.calls(10);
  client.step();
  t.equal(client.step({ sends: 2 }), undefined, 'only just sent');
  t.match(client.step(), { value: 1000, attrs: { outstanding: 2 } });
  t.match(client.step({ sends: 1 }), { value: 2000, attrs: { outstanding: 3 } });
  t.match(
    client.step({ operations: 1 }),
    { value: 3000, attrs: { outstanding: 2 } },
    'one caller was killed',
  );
  // It is back: what was sent is sent again on a new connection.
  t.match(client.step({ connects: 1, sends: 2, receives: 2, operations: 2, transmissions: 4 }), { value: 0 });
  for (let i = 0; i < 20; i++) t.equal(client.step(), undefined, 'and an idle mount of it is not silent');
  client.step({ sends: 1 });
  t.match(client.step(), { value: 1000, attrs: { outstanding: 1 } }, 'silent again');
});

t.test('down: nothing is sent, but somebody tries to connect', async (t) => {
  const client = new Client();
  client.calls(3);
  t.equal(client.step({ connects: 1 }), undefined);
  t.match(client.step({ connects: 1 }), { value: 1000 });
  t.match(client.step(), { value: 2000 });
  t.match(client.step({ connects: 1, sends: 1, receives: 1, operations: 1 }), { value: 0 });
  t.equal(client.step(), undefined);
});

t.test('down or silent before the agent came: a thread waits and no answer comes', async (t) => {
  const client = new Client();
  client.step();
  const since = client.ts;
  client.step({}, since);
  t.match(client.step({}, since), { value: 2000 });
  t.match(client.step({ sends: 1 }, since), { value: 3000 }, 'what is sent is no answer');
  t.match(client.step({ sends: 1, receives: 1, operations: 1 }, since), { value: 0 });
});

t.test('slow: far from its own usual round trip', async (t) => {
  const client = new Client();
  for (let i = 0; i < 10; i++) client.calls(10);
  const slow = client.step({ sends: 10, receives: 10, operations: 10, rttMs: 5_000 });
  t.equal(slow?.value, 0, 'it answers');
  t.ok((slow?.attrs.rttMs ?? 0) > 10);
  t.ok(client.calls(10), 'told once more when it is over');
  t.equal(client.calls(10), undefined);
});

const missing = (await nfsMissing()) ?? false;

interface Probes {
  readonly mounts: Mounts;
  readonly files: Rig<FilesystemProbe>;
  readonly waits: Rig<WaitsProbe>;
}

async function probes(t: Scope): Promise<Probes> {
  const mounts = new Mounts();
  const files = await startProbe(t, (context) => new FilesystemProbe(context, mounts));
  const waits = await startProbe(
    t,
    (context) => new WaitsProbe(context, new FlowTable(), new Devices(mounts)),
  );
  return { mounts, files, waits };
}

/** What a pass now finds it to wait for. */
function waitOf(proc: Proc, { waits }: Probes): EventOf<'wait.disk'> | undefined {
  const before = waits.events.length;
  waits.probe.pass(true);
  return waits.events
    .slice(before)
    .find((e): e is EventOf<'wait.disk'> => e.type === 'wait.disk' && e.pid === proc.pid);
}

async function held(proc: Proc, entity: string, all: Probes): Promise<EventOf<'wait.disk'>> {
  return until(() => [waitOf(proc, all)].find((wait) => wait?.entity === entity), {
    timeoutMs: 5_000,
    what: `a wait of ${proc.pid} for ${entity}`,
    everyMs: 200,
  });
}

const ENOUGH = 10_000;

t.test('a server that falls silent and speaks again', { skip: missing }, async (t) => {
  const nfs = await createNfs(t);
  for (const name of ['a', 'b', 'c']) writeFileSync(join(nfs.exported, name), 'hello');
  mkdirSync(join(nfs.exported, 'dir'));
  const all = await probes(t);
  const id = `fs:${nfs.mountPoint}`;
  const mount = await all.files.event('storage.mount', (e) => e.entity === id);
  t.match(mount.attrs, { fsType: 'nfs4', server: nfs.server, under: [], readOnly: false });
  const go = join('/run', `${nfs.world.a.netns}-go`);
  t.teardown(() => rmSync(go, { force: true }));
  const waiting = `import os,sys,time
print("ready", flush=True)
while not os.path.exists("${go}"): time.sleep(0.05)
`;
  const opened = (how: string): string =>
    `import os\nfd = os.open("${nfs.mountPoint}/a", os.O_RDWR)\n${waiting}${how}`;
  const workers = {
    read: opened('os.read(fd, 5)'),
    fsync: opened('os.write(fd, b"x"); os.fsync(fd)'),
    fstat: opened('os.fstat(fd)'),
    open: `${waiting}os.open("${nfs.mountPoint}/b", os.O_RDONLY)`,
    stat: `${waiting}os.stat("${nfs.mountPoint}/c")`,
    listdir: `${waiting}os.listdir("${nfs.mountPoint}/dir")`,
    unlink: `${waiting}os.unlink("${nfs.mountPoint}/c2")`,
    mkdir: `${waiting}os.mkdir("${nfs.mountPoint}/new")`,
  };
  const procs = new Map<string, Proc>();
  for (const [name, code] of Object.entries(workers)) procs.set(name, await start(t, PYTHON, ['-c', code]));
  for (const proc of procs.values()) await proc.line(/^ready/);
  await nfs.silence();
  writeFileSync(go, '');
  const silent = await all.files.event('storage.rpc', (e) => e.entity === id && e.value >= 1_000, ENOUGH);
  t.ok(silent.attrs.outstanding > 0, `${silent.attrs.outstanding} outstanding`);
  t.equal(silent.attrs.server, nfs.server);

  // statfs there hangs, and nothing of the probe does.
  let back = false;
  const hung = statfs(nfs.mountPoint).finally(() => {
    back = true;
  });
  for (const full of [false, true]) t.ok(all.files.probe.pass(full), 'a pass comes back');
  t.notOk(back, 'statfs hangs');
  t.same(
    all.files.probe.checks().filter(({ status }) => status !== 'ok'),
    [],
  );

  for (const [name, proc] of procs) {
    if (name === 'fstat' || name === 'unlink' || name === 'mkdir') {
      const found = waitOf(proc, all);
      t.comment(`${name}: ${found?.entity ?? 'not known'}`);
      if (found !== undefined) t.equal(found.entity, id, name);
      continue;
    }
    const wait = await held(proc, id, all);
    t.equal(wait.entity, id, name);
  }
  const grown = await all.files.event('storage.rpc', (e) => e.entity === id && e.value >= 5_000, ENOUGH);
  t.ok(grown.value > silent.value);
  await nfs.speak();
  await hung;
  const seen = all.files.events.length;
  await until(
    () =>
      all.files.events
        .slice(seen - 1)
        .some((e) => e.type === 'storage.rpc' && e.entity === id && e.value === 0),
    { timeoutMs: 30_000, what: 'the answer' },
  );
  // In one go: the probe's own passes come between any two awaits.
  const after = all.files.all('storage.rpc').length;
  t.ok(all.files.probe.pass(true), 'a pass');
  const last = all.files.all('storage.rpc').at(-1);
  t.equal(all.files.all('storage.rpc').length, after + 1, 'a full pass tells of every mount');
  t.match(last, { value: 0, entity: id });
  t.ok((last?.attrs.rttMs ?? 0) >= 0);
  t.ok(readdirSync(nfs.mountPoint).length > 0);
});

t.test('a server that ends and starts again', { skip: missing }, async (t) => {
  const nfs = await createNfs(t);
  writeFileSync(join(nfs.exported, 'a'), 'hello');
  const all = await probes(t);
  const id = `fs:${nfs.mountPoint}`;
  await nfs.halt();
  const reader = await start(t, 'cat', [join(nfs.mountPoint, 'a')]);
  const down = await all.files.event('storage.rpc', (e) => e.entity === id && e.value >= 1_000, ENOUGH);
  t.equal(down.attrs.server, nfs.server);
  t.equal((await held(reader, id, all)).entity, id);
  await nfs.resume();
  await reader.exited;
  await all.files.event('storage.rpc', (e) => e.entity === id && e.value === 0 && e.ts > down.ts, 30_000);
});

t.test('a server that was dead before the agent came', { skip: missing }, async (t) => {
  const nfs = await createNfs(t);
  writeFileSync(join(nfs.exported, 'a'), 'hello');
  await nfs.silence();
  const reader = await start(t, 'cat', [join(nfs.mountPoint, 'a')]);
  await until(() => readFileSync(`/proc/${reader.pid}/stat`, 'utf8').includes(') D '), {
    timeoutMs: 10_000,
    what: 'a held reader',
  });
  const all = await probes(t);
  const id = `fs:${nfs.mountPoint}`;
  t.equal((await held(reader, id, all)).entity, id);
  await all.files.event('storage.rpc', (e) => e.entity === id && e.value >= 1_000, ENOUGH);
  await nfs.speak();
  await reader.exited;
  await all.files.event('storage.rpc', (e) => e.entity === id && e.value === 0, 30_000);
});
