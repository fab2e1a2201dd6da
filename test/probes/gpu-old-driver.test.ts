/** Probe `gpu` over a library of before 2022: older names, and a call a figure. */
import t from 'tap';
import { until } from '../lib/until.js';
import { OLD_LIBRARY } from '../nvml/double/library.js';
import { gpuRig } from '../nvml/rig.js';

const GIB = 2 ** 30;

t.test('an old library tells the same by older names', async (t) => {
  const rig = await gpuRig(
    t,
    {
      gpus: 1,
      all: {
        util: [5, 6],
        ecc: [1, 2, 3, 4],
        remap: [5, 6, 0, 1],
        pcie: [3, 16, 9],
        nvlink: [4, 0b1000, 8, 9],
        reasons: 8,
        processes: [{ pid: process.pid, bytes: GIB }],
      },
    },
    { without: OLD_LIBRARY },
  );
  const { attrs: health } = await rig.event('gpu.health');
  t.same(health, {
    correctedVolatile: 1,
    uncorrectedVolatile: 2,
    correctedAggregate: 3,
    uncorrectedAggregate: 4,
    remappedCorrectable: 5,
    remappedUncorrectable: 6,
    remapPending: false,
    remapFailed: true,
    pcieReplays: 9,
    links: [0, 1, 2, 3].map((link) => ({ link, up: link !== 3, replays: 0, recoveries: 9, crcErrors: 8 })),
  });
  const { attrs: use } = await rig.event('gpu.use');
  t.match(use, { totalBytes: 80 * GIB, throttle: ['hw-slowdown'] });
  t.equal(use.reservedBytes, undefined, 'which no old function tells');
  t.match((await rig.event('gpu.device')).attrs, { pci: '0000:1b:00.0', links: 4, powerLimitW: 700 });
  const { attrs } = await rig.event('gpu.processes');
  t.match(attrs.processes, [{ pid: process.pid, memoryBytes: GIB }]);
  rig.scenario.change({ events: [[1, 0, 8, 48]] });
  t.same((await rig.event('gpu.event')).attrs, { kind: 'xid', xid: 48 });
});

t.test('what takes many calls is read seldom, and when asked for', async (t) => {
  const nvlink = (crc: number) => ({ gpus: 1, all: { nvlink: [18, 0, crc, 0] as const } });
  const rig = await gpuRig(t, nvlink(0), { without: OLD_LIBRARY });
  await rig.event('gpu.health');
  const told = (crc: number) => (e: { attrs: { links: readonly { crcErrors?: number }[] } }) =>
    e.attrs.links[17]?.crcErrors === crc;
  const callsOf = (): number => rig.probe.costs()[0]?.calls ?? 0;
  const looksOf = (): number => rig.probe.costs()[0]?.looks ?? 0;

  const before = { calls: callsOf(), looks: looksOf() };
  await until(() => looksOf() >= before.looks + 20, { timeoutMs: 20_000, what: 'twenty looks' });
  const perLook = (callsOf() - before.calls) / (looksOf() - before.looks);
  // Of the 78 calls that the counts take, two or three times in at least twenty looks.
  t.ok(perLook < 10 + (3 * 78) / 20, `${perLook.toFixed(1)} calls a look`);

  rig.scenario.set(nvlink(1));
  await rig.next('gpu.health', told(1));
  rig.scenario.set(nvlink(2));
  await rig.probe.pass(true);
  t.ok(rig.all('gpu.health').some(told(2)), 'asked for: read at once');
});

t.test('after an event they are read at once', async (t) => {
  // By themselves they would be after ten looks, which is twenty seconds here.
  const slow = { pollMs: 2_000, restMs: 2_000 };
  const rig = await gpuRig(t, { gpus: 1, all: { nvlink: [18, 0, 0, 0] } }, { without: OLD_LIBRARY, ...slow });
  await rig.event('gpu.health');
  rig.scenario.set({ gpus: 1, all: { nvlink: [18, 1, 0, 0] }, events: [[1, 0, 8, 74]] });
  t.match((await rig.next('gpu.health')).attrs.links[0], { link: 0, up: false });
});

t.test('fields that are not told this once: their functions are asked', async (t) => {
  const state = { gpus: 1, all: { ecc: [1, 2, 3, 4] as const, nvlink: [2, 0, 5, 6] as const } };
  const rig = await gpuRig(t, state);
  const { attrs } = await rig.event('gpu.health');
  rig.scenario.set({ ...state, refuse: [['nvmlDeviceGetFieldValues', 999]] });
  for (let i = 0; i < 5; i++) await rig.next('gpu.use');
  rig.scenario.set(state);
  for (let i = 0; i < 5; i++) await rig.next('gpu.use');
  const all = rig.all('gpu.health').map((e) => e.attrs);
  t.ok(all.length >= 1);
  for (const told of all) t.match(told, { correctedVolatile: 1, uncorrectedAggregate: 4 });
  t.same(all.at(-1), attrs, 'and then as before');
});
