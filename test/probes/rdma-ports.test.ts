/** RDMA ports out of a made-up /sys, and, where the kernel has Soft-RoCE, real ones. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { Flaps, type FlapWitness } from '../../src/probes/rdma-flaps.js';
import type { DeviceChange } from '../../src/probes/rdma-devices.js';
import { Sysfs } from '../../src/probes/rdma-sysfs.js';
import { startAgent } from '../lib/agent.js';
import { createRdmaWorld, rdmaMissing } from '../lib/rdma.js';
import { until } from '../lib/until.js';
import { type Family, lint, parseExposition, sampleValue } from '../metrics/exposition.js';
import { FakeSysfs, type PortsRig, portsRig } from './lib/rdma-sysfs.js';
import { fc } from '../lib/property.js';

const run = promisify(execFile);
const PCI = '0000:3b:00.0';

/** Looks, as somebody who asks, until `condition` holds. */
function asked<T>({ ports }: PortsRig, what: string, condition: () => T): Promise<unknown> {
  return until(
    async () => {
      await ports.pass(true);
      return condition();
    },
    { timeoutMs: 20_000, what, everyMs: 5 },
  );
}

/** A card with an InfiniBand and an Ethernet port. */
function fakeCard(t: Test): FakeSysfs {
  const sys = new FakeSysfs(t);
  sys.device('mlx5_0', {
    pci: PCI,
    driver: 'mlx5_core',
    ports: [
      { hw: { local_ack_timeout_err: 0, np_cnp_sent: 0, lifespan: 0 }, standard: { link_downed: 3 } },
      { linkLayer: 'Ethernet', rate: '100 Gb/sec (4X EDR)', netdevs: ['', 'eth3'] },
    ],
  });
  sys.netdev('eth3', { pci: PCI, downs: 7 });
  return sys;
}

t.test('what a port is', async (t) => {
  const sys = fakeCard(t);
  const rig = portsRig(t, sys.dir);
  await rig.ports.pass(false);
  t.match(rig.last('rdma.port', 'rdma:mlx5_0/1'), {
    value: 400,
    probe: 'rdma',
    attrs: {
      device: 'mlx5_0',
      port: 1,
      state: 'ACTIVE',
      physState: 'LinkUp',
      linkLayer: 'InfiniBand',
      rateGbps: 400,
      driver: 'mlx5_core',
      pci: PCI,
      flaps: undefined,
      since: undefined,
      netdev: undefined,
    },
  });
  t.match(rig.last('rdma.port', 'rdma:mlx5_0/2'), {
    value: 100,
    attrs: { linkLayer: 'Ethernet', netdev: 'eth3' },
  });
  t.equal(rig.events.length, 2, 'levels are no events');
  t.match(rig.ports.checks(), [
    {
      status: 'ok',
      name: 'probe rdma/ports',
      detail: /^mlx5_0\/1 ACTIVE 400 Gbit\/s, mlx5_0\/2 ACTIVE 100 Gbit\/s/,
    },
    { status: 'degraded', detail: /mlx5_0\/2 has no counter/ },
  ]);
});

t.test('nothing there, and something that comes later', async (t) => {
  const sys = new FakeSysfs(t);
  const changes: DeviceChange[] = [];
  const rig = portsRig(t, sys.dir, { changed: (change) => void changes.push(change) });
  await rig.ports.pass(true);
  t.match(rig.ports.checks(), [{ status: 'off', detail: 'no RDMA device' }]);
  t.strictSame([rig.events, changes, rig.ports.totals()], [[], [], []]);
  sys.device('rxe0', { ports: [{ linkLayer: 'Ethernet', netdevs: ['v0'] }], files: { parent: 'v0' } });
  await asked(rig, 'the device', () => rig.last('rdma.port'));
  t.match(rig.last('rdma.port'), { entity: 'rdma:rxe0/1', attrs: { driver: 'rdma_rxe', netdev: 'v0' } });
  t.strictSame(changes, [{ added: ['rxe0'], gone: [], renamed: [] }]);
  sys.remove('rxe0');
  await asked(rig, 'its end', () => rig.last('rdma.port')?.attrs.state === 'GONE');
  t.match(rig.last('rdma.port'), { entity: 'rdma:rxe0/1', attrs: { driver: 'rdma_rxe' } });
  t.strictSame(changes[1], { added: [], gone: ['rxe0'], renamed: [] });
});

t.test('down and up: since when, how often', async (t) => {
  const sys = fakeCard(t);
  const rig = portsRig(t, sys.dir);
  const first = (): ReturnType<typeof rig.last<'rdma.port'>> => rig.last('rdma.port', 'rdma:mlx5_0/1');
  await rig.ports.pass(false);
  const begun = first()?.ts ?? Number.NaN;
  sys.state('mlx5_0', '1: DOWN');
  await asked(rig, 'DOWN', () => first()?.attrs.state === 'DOWN');
  const down = first();
  t.match(down?.attrs, { flaps: 1 });
  const since = down?.attrs.since ?? Number.NaN;
  t.ok(since >= begun - 1 && since <= (down?.ts ?? 0) + 1, 'when it was seen');
  t.strictSame(down?.attrs.flapTimes, [since]);
  sys.state('mlx5_0', '4: ACTIVE');
  await asked(rig, 'ACTIVE', () => first()?.attrs.state === 'ACTIVE');
  t.match(first()?.attrs, { flaps: 1 }, 'it went down once');
  t.ok((first()?.attrs.since ?? 0) >= since);
  sys.state('mlx5_0', '5: ACTIVE_DEFER');
  await asked(rig, 'ACTIVE_DEFER', () => first()?.attrs.state === 'ACTIVE_DEFER');
  t.match(first()?.attrs, { flaps: 1 }, 'that is not down');
});

t.test(
  'a flap between two looks: the interface, the counter and the driver tell, and it is one',
  async (t) => {
    const sys = fakeCard(t);
    const rig = portsRig(t, sys.dir);
    await rig.ports.pass(true);
    sys.set('class/net/eth3/carrier_down_count', 9);
    await asked(
      rig,
      'flaps of the interface',
      () => rig.last('rdma.port', 'rdma:mlx5_0/2')?.attrs.flaps === 2,
    );
    t.equal(rig.last('rdma.port', 'rdma:mlx5_0/2')?.attrs.state, 'ACTIVE');
    t.type(rig.last('rdma.port', 'rdma:mlx5_0/2')?.attrs.since, 'number', 'not since as long');

    const at = rig.last('rdma.port')?.ts ?? 0;
    rig.ports.heard('mlx5_0', 'PORT_ERR', 1, at);
    rig.ports.heard('mlx5_0', 'PORT_ACTIVE', 1, at + 1);
    sys.standard('mlx5_0', { link_downed: 4 });
    const first = (): ReturnType<typeof rig.last<'rdma.port'>> => rig.last('rdma.port', 'rdma:mlx5_0/1');
    await asked(rig, 'the flap', () => first()?.attrs.flaps);
    t.match(first()?.attrs, {
      flaps: 1,
      flapTimes: [Math.round(at)],
      since: Math.round(at + 1),
      state: 'ACTIVE',
    });
    sys.standard('mlx5_0', { link_downed: 5 });
    await asked(rig, 'the next', () => first()?.attrs.flaps === 2);
    t.match(
      rig.ports.totals().map(({ flaps }) => flaps),
      [2, 2],
    );
  },
);

t.test('flaps: no witness invents any, and they are forgotten', async (t) => {
  const witness = fc.constantFrom<FlapWitness>('looks', 'events', 'carrier', 'counter');
  fc.assert(
    fc.property(fc.array(fc.tuple(witness, fc.nat({ max: 5 }))), (said) => {
      const flaps = new Flaps();
      const by = new Map<FlapWitness, number>();
      for (const [who, times] of said) {
        by.set(who, (by.get(who) ?? 0) + times);
        flaps.add(who, times, 1_000);
      }
      return flaps.total === Math.max(0, ...by.values());
    }),
  );
  const flaps = new Flaps();
  flaps.add('looks', 1, 1_000);
  flaps.add('looks', 1, 300_000);
  t.match(flaps.recent(300_000), { flaps: 2, flapTimes: [1_000, 300_000] });
  t.match(flaps.recent(700_000), { flaps: 1, flapTimes: [300_000] });
  t.strictSame(flaps.recent(1_000_000), {});
  t.equal(flaps.total, 2);
  flaps.add('counter', 1_000_000, 2_000_000);
  t.ok((flaps.recent(2_000_000).flaps ?? 0) <= 64, 'bounded');
});

t.test('a renamed device keeps what is known of it; two may swap names', async (t) => {
  const sys = fakeCard(t);
  const changes: DeviceChange[] = [];
  sys.device('mlx5_1', { ports: [{ state: '1: DOWN', hw: { out_of_buffer: 5 } }] });
  const rig = portsRig(t, sys.dir, { changed: (change) => void changes.push(change) });
  await rig.ports.pass(false);
  sys.rename('mlx5_0', 'ibp59');
  sys.hw('ibp59', { local_ack_timeout_err: 4 });
  await asked(rig, 'the new name', () => rig.last('rdma.port', 'rdma:ibp59/1'));
  t.equal(rig.last('rdma.port', 'rdma:mlx5_0/1')?.attrs.state, 'GONE');
  t.strictSame(changes.at(-1), { added: [], gone: [], renamed: [{ from: 'mlx5_0', to: 'ibp59' }] });
  await asked(rig, 'what grew', () => rig.all('rdma.counters').some((e) => e.attrs.grew.timeouts === 4));
  t.equal(rig.all('rdma.counters').find((e) => e.value === 4)?.entity, 'rdma:ibp59/1');
  sys.standard('ibp59', { link_downed: 4 });
  await asked(rig, 'files that are not kept open', () => rig.last('rdma.port', 'rdma:ibp59/1')?.attrs.flaps);

  sys.rename('ibp59', 'x');
  sys.rename('mlx5_1', 'ibp59');
  sys.rename('x', 'mlx5_1');
  await asked(rig, 'the swap', () => rig.last('rdma.port', 'rdma:ibp59/1')?.attrs.state === 'DOWN');
  t.equal(rig.last('rdma.port', 'rdma:mlx5_1/1')?.attrs.state, 'ACTIVE');
  t.strictSame(rig.ports.devices.toSorted(), ['ibp59', 'mlx5_1']);
});

t.test('the name of one that went is given to the next', async (t) => {
  const sys = new FakeSysfs(t);
  sys.device('rxe0', { ports: [{ hw: { retry_exceeded_err: 9 } }] });
  const rig = portsRig(t, sys.dir);
  await rig.ports.pass(true);
  // Moved away first, so that the new one cannot have its inode.
  sys.rename('rxe0', '../old');
  sys.device('rxe0', { ports: [{ hw: { retry_exceeded_err: 0 }, state: '1: DOWN' }] });
  await asked(rig, 'the next', () => rig.last('rdma.port')?.attrs.state === 'DOWN');
  const states = rig.all('rdma.port').map((e) => e.attrs.state);
  t.strictSame([...new Set(states)], ['ACTIVE', 'GONE', 'DOWN']);
  t.equal(rig.last('rdma.port')?.attrs.flaps, undefined, 'another device');
  t.notOk(
    rig.all('rdma.counters').some((e) => e.attrs.reset),
    'and other counters',
  );
});

t.test('the interface of that name here is another one', async (t) => {
  const sys = new FakeSysfs(t);
  const port = { linkLayer: 'Ethernet', netdevs: ['v0'] } as const;
  sys.device('rxe0', { ports: [port], files: { parent: 'v0', node_guid: 'b08c:1aff:fe22:3344' } });
  sys.netdev('v0', { address: '02:00:00:00:00:01', downs: 1 });
  const rig = portsRig(t, sys.dir);
  await rig.ports.pass(true);
  sys.set('class/net/v0/carrier_down_count', 5);
  sys.state('rxe0', '1: DOWN');
  await asked(rig, 'DOWN', () => rig.last('rdma.port')?.attrs.state === 'DOWN');
  t.equal(rig.last('rdma.port')?.attrs.flaps, 1, 'its carrier says nothing');
  sys.netdev('v1', { address: 'b2:8c:1a:22:33:44', downs: 1 });
  sys.set('class/infiniband/rxe0/ports/1/gid_attrs/ndevs/0', 'v1');
  await rig.ports.pass(true);
  await asked(rig, 'v1', () => rig.last('rdma.port')?.attrs.netdev === 'v1');
  sys.set('class/net/v1/carrier_down_count', 5);
  await asked(rig, 'flaps of the right one', () => (rig.last('rdma.port')?.attrs.flaps ?? 0) >= 4);
});

t.test('hostile names, too many ports, nonsense in the files', async (t) => {
  const sys = new FakeSysfs(t);
  sys.device('\u001b[31mred', { ports: [{ state: 'x', linkLayer: 'Ethernet', netdevs: ['../../etc'] }] });
  sys.device('reps', { ports: Array.from({ length: 70 }, () => ({ state: '4: ACTIVE' })) });
  const rig = portsRig(t, sys.dir);
  await rig.ports.pass(true);
  const text = JSON.stringify(rig.events);
  t.ok(rig.all('rdma.port').length === 64, `${rig.all('rdma.port').length}`);
  t.notOk(/\\u001b|etc/.test(text));
  t.match(
    rig.ports.checks().find(({ detail }) => detail.includes('too many')),
    { status: 'degraded', detail: '7 ports are too many and not looked at' },
  );
  for (const { detail } of rig.ports.checks()) t.ok(detail.length < 1_000);
});

t.test('a device that does not answer holds up nobody else', async (t) => {
  const sys = new FakeSysfs(t);
  for (const name of ['a', 'b', 'c', 'd']) sys.device(name, { ports: [{ hw: { out_of_buffer: 0 } }] });
  // What hangs in the pool would keep the process alive; what stands in for it does not.
  const alive = setInterval(() => {}, 1_000);
  t.teardown(() => clearInterval(alive));
  const dead = new Set<string>();
  const waiting: (() => void)[] = [];
  const stuck = async (fd: number): Promise<void> => {
    const path = readlinkSync(`/proc/self/fd/${fd}`);
    if ([...dead].some((name) => path.includes(`/infiniband/${name}/`)))
      await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const plain = new Sysfs(sys.dir);
  const sysfs = new Sysfs(sys.dir, async (fd, into) => {
    await stuck(fd);
    const text = await plain.once(`/proc/self/fd/${fd}`);
    return into.write(text ?? '', 'latin1');
  });
  const rig = portsRig(t, sys.dir, { sysfs, hungMs: 250 });
  await rig.ports.pass(true);
  dead.add('a');
  sys.state('b', '1: DOWN');
  await asked(rig, 'b', () => rig.last('rdma.port', 'rdma:b/1')?.attrs.state === 'DOWN');
  t.match(
    rig.ports.checks().find(({ status }) => status === 'degraded'),
    { detail: 'a does not answer: its firmware hangs' },
  );
  t.equal(waiting.length, 1, 'it is not asked again');

  dead.add('b');
  await asked(rig, 'b to hang', () => waiting.length === 2);
  sys.state('c', '1: DOWN');
  const missed = rig.ports.lost().hung ?? 0;
  await asked(rig, 'looks that are not taken', () => (rig.ports.lost().hung ?? 0) > missed + 8);
  t.equal(rig.last('rdma.port', 'rdma:c/1')?.attrs.state, 'ACTIVE', 'two threads wait, and no third');
  t.equal(waiting.length, 2);

  dead.clear();
  for (const go of waiting) go();
  await asked(rig, 'c', () => rig.last('rdma.port', 'rdma:c/1')?.attrs.state === 'DOWN');
  t.notOk(rig.ports.checks().some(({ detail }) => detail.includes('does not answer')));
  t.equal(rig.ports.lost().failed, 0);
});

t.test('stopped: no word more, no descriptor left', async (t) => {
  const sys = fakeCard(t);
  const opened = (): number =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(sys.dir);
      } catch {
        return false;
      }
    }).length;
  const rig = portsRig(t, sys.dir, { pollMs: 10 });
  await rig.ports.start();
  t.ok(opened() > 0);
  sys.state('mlx5_0', '1: DOWN');
  await until(() => rig.last('rdma.port', 'rdma:mlx5_0/1')?.attrs.state === 'DOWN', {
    timeoutMs: 10_000,
    what: 'the beat',
  });
  const looking = rig.ports.pass(true);
  rig.ports.stop();
  rig.ports.stop();
  await looking;
  await until(() => opened() === 0, { timeoutMs: 5_000, what: 'descriptors to be closed' });
  const said = rig.events.length;
  sys.state('mlx5_0', '4: ACTIVE');
  rig.ports.heard('mlx5_0', 'PORT_ACTIVE', 1, 0);
  await rig.ports.pass(true);
  t.equal(rig.events.length, said);
});

const skip = (await rdmaMissing()) ?? false;

t.test('Soft-RoCE', { skip }, async (t) => {
  const world = await createRdmaWorld(t);
  const changes: DeviceChange[] = [];
  const rig = portsRig(t, '/sys', { changed: (change) => void changes.push(change) });
  const a = `rdma:${world.a.device}/1`;
  const b = `rdma:${world.b.device}/1`;
  await rig.ports.pass(true);
  for (const [id, end] of [
    [a, world.a],
    [b, world.b],
  ] as const)
    t.match(rig.last('rdma.port', id)?.attrs, {
      device: end.device,
      state: 'ACTIVE',
      physState: 'LinkUp',
      linkLayer: 'Ethernet',
      driver: 'rdma_rxe',
      netdev: end.netdev,
      pci: undefined,
    });

  await t.test('what grows is what the device has counted', async (t) => {
    const sum = (name: 'retries' | 'txPackets'): number =>
      rig.all('rdma.counters', a).reduce((total, { attrs }) => total + (attrs.grew[name] ?? 0), 0);
    const before = world.counter('a', 'completer_retry_err') - sum('retries');
    const { sender, receiver } = await world.pair({ both: { do: 'ping', timeout: 10 } });
    await sender.ready('step');
    await world.lose(10);
    await asked(rig, 'retries', () => sum('retries') > 20);
    await world.heal();
    await sender.stop();
    await receiver.stop();
    await asked(
      rig,
      'all of them',
      () => before + sum('retries') === world.counter('a', 'completer_retry_err'),
    );
    t.ok(sum('txPackets') > sum('retries'));
    const totals = rig.ports.totals().find(({ device }) => device === world.a.device);
    t.equal(totals?.known.get('retries'), world.counter('a', 'completer_retry_err'));
    await asked(rig, 'counters without a meaning', () =>
      rig.ports.totals().some(({ others }) => others.some(({ name }) => name === 'rdma_sends')),
    );
  });

  await t.test('the agent: /metrics and doctor', async (t) => {
    const metrics = ['--metrics-port', '0', '--metrics-address', '127.0.0.1'];
    const agent = await startAgent(t, { args: ['--probes', 'rdma', ...metrics], readyTimeoutMs: 60_000 });
    const port = agent.log().find(({ msg }) => msg === 'metrics listening')?.port;
    const scrape = async (): Promise<readonly Family[]> =>
      parseExposition(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text());
    const at = { device: world.a.device, port: '1' };
    const families = await until(
      async () => {
        const seen = await scrape();
        return sampleValue(seen, 'xctl_rdma_driver_counter', { ...at, counter: 'rdma_sends' }) === undefined
          ? undefined
          : seen;
      },
      { timeoutMs: 60_000, what: 'counters without a meaning', everyMs: 500 },
    );
    t.strictSame(lint(families.filter(({ name }) => name.startsWith('xctl_'))), []);
    t.equal(sampleValue(families, 'xctl_rdma_port_up', at), 1);
    t.equal(
      sampleValue(families, 'xctl_rdma_counter_total', { ...at, counter: 'retries' }),
      world.counter('a', 'completer_retry_err'),
    );
    t.ok((sampleValue(families, 'xctl_rdma_packets_total', { ...at, direction: 'tx' }) ?? 0) > 0);
    const doctor = await agent.xctl('doctor');
    t.match(doctor.stdout, new RegExp(`rdma/ports.*${world.a.device}/1 ACTIVE`));
    await agent.stop();
  });

  await t.test('down, up, and down and up between two looks', async (t) => {
    await world.down('a');
    await asked(rig, 'DOWN', () => rig.last('rdma.port', b)?.attrs.state === 'DOWN');
    await asked(rig, 'DOWN', () => rig.last('rdma.port', a)?.attrs.state === 'DOWN');
    t.match(rig.last('rdma.port', b)?.attrs, { flaps: 1, netdev: world.b.netdev });
    await world.up('a');
    await asked(rig, 'ACTIVE', () => rig.last('rdma.port', b)?.attrs.state === 'ACTIVE');
    t.match(rig.last('rdma.port', b)?.attrs, { flaps: 1 });
    await world.down('a');
    await world.up('a');
    await world.down('a');
    await world.up('a');
    await asked(rig, 'flaps', () => rig.last('rdma.port', b)?.attrs.flaps === 3);
    t.equal(rig.last('rdma.port', b)?.attrs.state, 'ACTIVE');
  });

  await t.test('renamed', async (t) => {
    const name = `${world.a.device}x`;
    await run('rdma', ['dev', 'set', world.a.device, 'name', name]);
    await asked(rig, 'the new name', () => rig.last('rdma.port', `rdma:${name}/1`));
    t.equal(rig.last('rdma.port', a)?.attrs.state, 'GONE');
    t.strictSame(changes.at(-1)?.renamed, [{ from: world.a.device, to: name }]);
    t.notOk(rig.all('rdma.counters', `rdma:${name}/1`).some(({ attrs }) => attrs.reset));
    await run('rdma', ['dev', 'set', name, 'name', world.a.device]);
    await asked(rig, 'the old name', () => rig.last('rdma.port', a)?.attrs.state === 'ACTIVE');
  });

  await t.test('taken away while its files are open, and the module, too', async (t) => {
    for (const end of [world.a, world.b]) await run('rdma', ['link', 'delete', end.device]);
    await asked(rig, 'the end', () => rig.last('rdma.port', b)?.attrs.state === 'GONE');
    t.equal(rig.last('rdma.port', a)?.attrs.state, 'GONE');
    const again = portsRig(t, '/sys');
    await run('rdma', ['link', 'add', world.a.device, 'type', 'rxe', 'netdev', world.a.netdev]);
    await asked(again, 'the device', () => again.last('rdma.port', a));
    // Not looked at in between: files of what is gone are still open.
    await run('rdma', ['link', 'delete', world.a.device]);
    await run('modprobe', ['-r', 'rdma_rxe']);
    t.notOk(existsSync('/sys/module/rdma_rxe'), 'nothing held it');
    await asked(again, 'the end', () => again.last('rdma.port', a)?.attrs.state === 'GONE');
  });
});
