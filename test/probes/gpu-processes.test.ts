/** Probe `gpu`: who uses a GPU, in whole ones and in MIG instances. */
import t from 'tap';
import { startTicks } from '../lib/proc.js';
import { gpuRig } from '../nvml/rig.js';

const GIB = 2 ** 30;

t.test('processes: memory and use, in entries of either length, more than fit, and gone', async (t) => {
  const two = [
    { pid: process.pid, bytes: 3 * GIB, sm: 40, memory: 10 },
    { pid: 1, bytes: 5 * GIB, sm: 50, memory: 20 },
  ];
  for (const stride of [24, 32]) {
    const rig = await gpuRig(t, { gpus: 1, stride, all: { processes: two } });
    const { attrs, value } = await rig.event(
      'gpu.processes',
      (e) => e.attrs.processes[0]?.smPercent !== undefined,
    );
    t.equal(value, 8 * GIB);
    t.match(attrs.processes, [
      { pid: 1, memoryBytes: 5 * GIB, smPercent: 50, memoryPercent: 20 },
      { pid: process.pid, memoryBytes: 3 * GIB, smPercent: 40, memoryPercent: 10 },
    ]);
    t.equal(`${attrs.processes[1]?.startTicks}`, startTicks(process.pid), 'with its start');
    t.equal(attrs.processes[0]?.gi, undefined);
    rig.probe.stop();
  }
  const many = Array.from({ length: 250 }, (_, i) => ({
    pid: 2 ** 21 + i,
    bytes: GIB + i,
    sm: 30,
    memory: 1,
  }));
  const rig = await gpuRig(t, { gpus: 1, all: { processes: many } });
  const { attrs, value } = await rig.event('gpu.processes');
  t.equal(attrs.processes.length, 250);
  t.equal(
    value,
    many.reduce((sum, { bytes }) => sum + bytes, 0),
  );
  t.match(attrs.processes[0], { pid: 2 ** 21 + 249, smPercent: 30, startTicks: undefined });
  rig.scenario.set({ gpus: 1 });
  const none = await rig.next('gpu.processes');
  t.same(none.attrs.processes, [], 'their end is told');
  t.equal(none.value, 0);
});

t.test('a list that the driver refreshes once a second is told when it does', async (t) => {
  const rig = await gpuRig(t, { gpus: 1, refreshMs: 600 });
  await rig.event('gpu.use', (e) => e.attrs.processes === 0);
  rig.scenario.set({ gpus: 1, refreshMs: 600, all: { util: [80, 1], processes: [{ pid: 1, bytes: GIB }] } });
  const busy = await rig.next('gpu.use', (e) => e.value === 80);
  t.equal(busy.attrs.processes, 0, 'used, by nobody so far');
  const told = await rig.next('gpu.processes');
  t.match(told.attrs.processes, [{ pid: 1 }]);
});

t.test('MIG: instances, who is in them, and a layout that changes under the agent', async (t) => {
  const layout = (...instances: (readonly [number, number, number, number])[]) => ({
    mig: [1, 1] as const,
    instances,
  });
  const rig = await gpuRig(t, {
    gpus: 1,
    all: {
      ...layout([1, 0, 3, 40_192], [0, 0, 0, 0], [5, 0, 2, 19_968]),
      processes: [{ pid: 1, bytes: GIB, gi: 5, ci: 0 }],
    },
  });
  const device = await rig.event('gpu.device');
  t.match(device.attrs, { mig: true, migPending: true });
  t.same(
    device.attrs.instances.map(({ uuid, ...rest }) => ({ ...rest, named: uuid?.startsWith('MIG-') })),
    [
      { gi: 1, ci: 0, slices: 3, memoryBytes: 40_192 * 2 ** 20, named: true },
      { gi: 5, ci: 0, slices: 2, memoryBytes: 19_968 * 2 ** 20, named: true },
    ],
    'an empty slot between them ends nothing',
  );
  t.equal((await rig.event('gpu.use')).attrs.gpuPercent, undefined, 'which NVML does not tell of such a GPU');
  t.match((await rig.event('gpu.processes')).attrs.processes, [{ pid: 1, gi: 5, ci: 0 }]);

  rig.scenario.set({ gpus: 1, all: layout([9, 0, 7, 80_000]), events: [[1, 0, 0x100, 0]] });
  const changed = await rig.next('gpu.device');
  t.match(changed.attrs.instances, [{ gi: 9, slices: 7 }]);
  t.ok(rig.all('gpu.event', (e) => e.attrs.kind === 'mig-changed').length === 1);

  // Without the event: a process in an instance that nobody knew.
  rig.scenario.set({
    gpus: 1,
    all: { ...layout([2, 0, 1, 9_728]), processes: [{ pid: 1, bytes: GIB, gi: 2, ci: 0 }] },
  });
  t.match((await rig.next('gpu.device')).attrs.instances, [{ gi: 2, slices: 1 }]);

  rig.scenario.set({ gpus: 1, all: { util: [9, 9], mig: [0, 0] }, events: [[2, 0, 0x100, 0]] });
  t.match((await rig.next('gpu.device')).attrs, { mig: false, instances: [] });
  t.equal((await rig.next('gpu.use')).value, 9, 'what was not supported is asked for again');
});
