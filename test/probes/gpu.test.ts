/** Probe `gpu` over the double of NVML: figures, who uses them, and everything that can be missing, lost or stuck. */
import fc from 'fast-check';
import t from 'tap';
import { Library } from '../../src/ffi/native.js';
import type { GpuUseAttrs } from '../../src/events/gpu.js';
import { pciName, throttleReasons } from '../../src/probes/gpu-figures.js';
import type { NvmlXid } from '../../src/probes/gpu.js';
import { startTicks } from '../lib/proc.js';
import { until } from '../lib/until.js';
import { gpuRig } from '../nvml/rig.js';

const GIB = 2 ** 30;
const GPU3 = 'gpu:3';

t.test('what a GPU is, and every figure of it', async (t) => {
  const rig = await gpuRig(t, {
    gpu: {
      3: {
        util: [97, 41],
        usedBytes: 70 * GIB,
        temperature: 61,
        powerMw: [612_500, 700_000],
        clocks: [1980, 2619],
        reasons: 0x4 | 0x40,
        ecc: [7, 1, 19, 2],
        remap: [2, 1, 1, 0],
        pcie: [4, 8, 12],
        nvlink: [18, 1 << 5, 33, 4],
        mode: [3, 1],
      },
    },
  });
  const device = await rig.event('gpu.device', (e) => e.entity === GPU3);
  t.equal(device.value, 80 * GIB);
  t.same(device.attrs, {
    uuid: 'GPU-d0b1e003-0000-4000-8000-000000030000',
    name: 'NVIDIA H100 80GB HBM3',
    pci: '0000:4b:00.0',
    minor: 3,
    driver: '550.90.07',
    computeMode: 'exclusive-process',
    virtualization: 'passthrough',
    maxPcieGeneration: 5,
    maxPcieWidth: 16,
    powerLimitW: 700,
    links: 18,
    mig: false,
    migPending: false,
    instances: [],
  });
  const use = await rig.event('gpu.use', (e) => e.entity === GPU3);
  t.equal(use.value, 97);
  t.match(use.attrs, {
    gpuPercent: 97,
    memoryPercent: 41,
    usedBytes: 70 * GIB,
    freeBytes: 10 * GIB,
    totalBytes: 80 * GIB,
    reservedBytes: GIB / 2,
    temperatureC: 61,
    powerW: 612.5,
    powerLimitW: 700,
    smMhz: 1980,
    memoryMhz: 2619,
    throttle: ['power-cap', 'hw-thermal'],
    pcieGeneration: 4,
    pcieWidth: 8,
    processes: 0,
  });
  const health = await rig.event('gpu.health', (e) => e.entity === GPU3);
  t.equal(health.value, 1, 'a link is down');
  const { links, ...counts } = health.attrs;
  t.same(counts, {
    correctedVolatile: 7,
    uncorrectedVolatile: 1,
    correctedAggregate: 19,
    uncorrectedAggregate: 2,
    remappedCorrectable: 2,
    remappedUncorrectable: 1,
    remapPending: true,
    remapFailed: false,
    pcieReplays: 12,
  });
  t.equal(links.length, 18);
  t.same(links[5], { link: 5, up: false, replays: 0, recoveries: 4, crcErrors: 33 });
  t.same(
    links.filter(({ up }) => !up).map(({ link }) => link),
    [5],
  );
  t.equal(rig.all('gpu.device').length, 8);
  t.match(rig.check(), { status: 'ok', detail: '8 GPUs, driver 550.90.07' });
  t.match(rig.check('probe gpu/events'), { status: 'ok', detail: 'of 8 GPUs' });
  t.same(rig.all('gpu.state'), [], 'nothing to say of their state');

  rig.scenario.change({ gpu: { 3: { ecc: [7, 2, 19, 3] } } });
  const worse = await rig.next('gpu.health', (e) => e.entity === GPU3);
  t.match(worse.attrs, { uncorrectedVolatile: 2, remapPending: false });
  const told = rig.all('gpu.health').length;
  await rig.next('gpu.use', (e) => e.entity === GPU3);
  await rig.next('gpu.use', (e) => e.entity === GPU3);
  t.equal(rig.all('gpu.health').length, told, 'what has not changed is not told again');
  await rig.probe.pass(true);
  t.equal(rig.all('gpu.health').length, told + 8, 'unless it is asked for');
  for (const { looks, calls, spentMs } of rig.probe.costs())
    t.ok(looks > 0 && calls >= 9 * looks && spentMs > 0, `${looks} looks, ${calls} calls, ${spentMs} ms`);
});

/** Of an old driver: one call a figure. */
const OLD = [
  'nvmlDeviceGetFieldValues',
  'nvmlDeviceGetMemoryInfo_v2',
  'nvmlDeviceGetCurrentClocksEventReasons',
  'nvmlDeviceGetComputeRunningProcesses_v3',
  'nvmlDeviceGetComputeRunningProcesses_v2',
  'nvmlDeviceGetPciInfo_v3',
  'nvmlDeviceGetEnforcedPowerLimit',
  'nvmlEventSetWait_v2',
];

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
    { without: OLD },
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

t.test('a function that is missing or not supported takes away its figure alone', async (t) => {
  const figures: Readonly<Record<string, readonly (keyof GpuUseAttrs)[]>> = {
    nvmlDeviceGetUtilizationRates: ['gpuPercent', 'memoryPercent'],
    nvmlDeviceGetMemoryInfo_v2: ['reservedBytes'],
    nvmlDeviceGetTemperature: ['temperatureC'],
    nvmlDeviceGetPowerUsage: ['powerW'],
    nvmlDeviceGetEnforcedPowerLimit: ['powerLimitW'],
    nvmlDeviceGetClockInfo: ['smMhz', 'memoryMhz'],
    nvmlDeviceGetCurrPcieLinkGeneration: ['pcieGeneration'],
    nvmlDeviceGetCurrPcieLinkWidth: ['pcieWidth'],
    nvmlDeviceGetComputeRunningProcesses_v3: ['processes'],
  };
  const rig = await gpuRig(t, { gpus: 1 });
  const all = Object.keys((await rig.event('gpu.use')).attrs).sort();
  rig.probe.stop();
  for (const [name, absent] of Object.entries(figures)) {
    const unsupported = name === 'nvmlDeviceGetPowerUsage' ? [name, 'field:185'] : [name];
    const without = await gpuRig(t, { gpus: 1, unsupported });
    const { attrs } = await without.event('gpu.use');
    const expected = all.filter((key) => !absent.some((one) => one === key));
    t.same(Object.keys(attrs).sort(), expected, name);
    without.probe.stop();
  }
  const fields = await gpuRig(t, {
    gpus: 1,
    unsupported: ['field:4', 'nvmlDeviceGetTotalEccErrors', 'field:165'],
  });
  const { attrs } = await fields.event('gpu.health');
  t.equal(attrs.uncorrectedVolatile, undefined);
  t.equal(attrs.correctedVolatile, 0);
  t.equal(attrs.links.length, 18, 'links by their own function');
  fields.probe.stop();

  const gone = [
    'nvmlDeviceGetTemperature',
    'nvmlDeviceGetUUID',
    'nvmlEventSetCreate',
    'nvmlDeviceGetMigMode',
  ];
  const missing = await gpuRig(t, { gpus: 2 }, { without: gone });
  t.equal((await missing.event('gpu.use')).attrs.temperatureC, undefined);
  t.match(missing.check(), { status: 'ok' });
  t.match(missing.check('probe gpu/events'), { status: 'degraded', detail: /FUNCTION_NOT_FOUND/ });
  t.match(missing.check('probe gpu/figures'), {
    status: 'degraded',
    detail: 'this library has no uuid, migMode, temperature, eventSet',
  });
});

t.test('NVLink 5 has counters of its own', async (t) => {
  const rig = await gpuRig(t, { gpus: 1, all: { nvlink: [2, 0b10, 7, 3], nvlink5: 1 } });
  t.same((await rig.event('gpu.health')).attrs.links, [
    { link: 0, up: true, receiveErrors: 7, failedRecoveries: 3 },
    { link: 1, up: false, receiveErrors: 7, failedRecoveries: 3 },
  ]);
});

t.test('a virtual GPU tells little, and that is all', async (t) => {
  const little = [
    'nvmlDeviceGetFieldValues',
    'nvmlDeviceGetTotalEccErrors',
    'nvmlDeviceGetRemappedRows',
    'nvmlDeviceGetPcieReplayCounter',
    'nvmlDeviceGetCurrPcieLinkGeneration',
    'nvmlDeviceGetCurrPcieLinkWidth',
    'nvmlDeviceGetTemperature',
    'nvmlDeviceGetPowerUsage',
    'nvmlDeviceGetEnforcedPowerLimit',
    'nvmlDeviceGetClockInfo',
    'nvmlDeviceGetNvLinkState',
    'nvmlDeviceGetProcessUtilization',
    'nvmlDeviceGetSupportedEventTypes',
  ];
  const rig = await gpuRig(t, { gpus: 1, unsupported: little, all: { mode: [2, 2], util: [30, 3] } });
  t.match((await rig.event('gpu.device')).attrs, { virtualization: 'vgpu', computeMode: 'prohibited' });
  const { attrs, value } = await rig.event('gpu.use');
  t.equal(value, 30);
  t.match(attrs, { totalBytes: 80 * GIB, temperatureC: undefined, powerW: undefined, smMhz: undefined });
  t.same((await rig.event('gpu.health')).attrs, { links: [] });
  t.match(rig.check(), { status: 'ok' });
  t.match(rig.check('probe gpu/events'), { status: 'degraded', detail: /NOT_SUPPORTED.*kernel log/ });
  const [before] = rig.probe.costs();
  await rig.next('gpu.use');
  await rig.next('gpu.use');
  const [after] = rig.probe.costs();
  const [calls, looks] = [
    (after?.calls ?? 0) - (before?.calls ?? 0),
    (after?.looks ?? 0) - (before?.looks ?? 0),
  ];
  t.ok(calls <= 5 * looks, `${calls} calls in ${looks} looks: what is not supported is not asked for again`);
});

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

t.test('a GPU that is lost, and comes back; the others go on', async (t) => {
  for (const [code, reason] of [
    [15, 'GPU_IS_LOST'],
    [16, 'RESET_REQUIRED'],
    [999, 'UNKNOWN'],
  ] as const) {
    const rig = await gpuRig(t, { gpus: 4 });
    await rig.event('gpu.use', (e) => e.entity === GPU3);
    rig.scenario.set({ gpus: 4, gpu: { 3: { code } } });
    const lost = await rig.next('gpu.state');
    t.equal(lost.entity, GPU3);
    t.match(lost.attrs, { state: 'lost', was: 'ok', reason, scope: 'gpu', call: /^nvml/ });
    t.match(rig.check(), { status: 'degraded', detail: /; GPU 3 is lost$/ });
    await rig.next('gpu.use', (e) => e.entity === 'gpu:0');
    rig.scenario.set({ gpus: 4 });
    const back = await rig.next('gpu.state');
    t.match(back, { entity: GPU3, attrs: { state: 'ok', was: 'lost' } });
    t.ok(back.value > 0, `after ${back.value} ms`);
    t.match(rig.check(), { status: 'ok' });
    rig.probe.stop();
  }
});

t.test('a GPU that was lost before the agent came', async (t) => {
  const rig = await gpuRig(t, { gpus: 2, gpu: { 1: { code: 15 } } });
  const lost = await rig.event('gpu.state');
  t.match(lost, {
    entity: 'gpu:1',
    attrs: { state: 'lost', reason: 'GPU_IS_LOST', call: 'nvmlDeviceGetHandleByIndex_v2' },
  });
  await rig.event('gpu.use', (e) => e.entity === 'gpu:0');
  rig.scenario.set({ gpus: 2 });
  t.match(await rig.next('gpu.state'), { entity: 'gpu:1', attrs: { state: 'ok', was: 'lost' } });
  t.equal(rig.all('gpu.state', (e) => e.entity === 'gpu:0').length, 0, 'the other one was ok all the time');
});

t.test('a call that hangs: its GPU hangs, the loop is free, the others go on', async (t) => {
  const rig = await gpuRig(t, { gpus: 4 });
  await rig.event('gpu.use', (e) => e.entity === GPU3);
  rig.scenario.change({ hang: [[3, 'nvmlDeviceGetClockInfo']] });
  let worstMs = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    worstMs = Math.max(worstMs, performance.now() - last);
    last = performance.now();
  }, 5);
  const hung = await rig.next('gpu.state');
  t.match(hung, {
    entity: GPU3,
    value: 400,
    attrs: { state: 'hung', call: 'nvmlDeviceGetClockInfo', scope: 'gpu' },
  });
  for (let i = 0; i < 5; i++)
    for (const gpu of ['gpu:0', 'gpu:1', 'gpu:2']) await rig.next('gpu.use', (e) => e.entity === gpu);
  clearInterval(timer);
  t.ok(worstMs < 200, `the loop was away for ${worstMs} ms at most`);
  t.equal(rig.all('gpu.state').length, 1, 'told once');
  const asked = performance.now();
  t.equal(await rig.probe.pass(true), true);
  t.ok(performance.now() - asked < 1_000, 'a question does not wait for it');
  t.equal(rig.probe.stats.missedDeadlines, 1, 'no further call was made about it');
  rig.scenario.set({ gpus: 4 });
  t.match(await rig.next('gpu.state'), { entity: GPU3, attrs: { state: 'ok', was: 'hung' } });
});

t.test('one is lost, one hangs: the third is looked at all the same', async (t) => {
  const rig = await gpuRig(t, { gpus: 3, gpu: { 1: { code: 15 } } });
  await rig.event('gpu.use', (e) => e.entity === 'gpu:2');
  rig.scenario.change({ hang: [[0, '*']] });
  await rig.event('gpu.state', (e) => e.entity === 'gpu:0' && e.attrs.state === 'hung');
  for (let i = 0; i < 8; i++) await rig.next('gpu.use', (e) => e.entity === 'gpu:2');
  rig.scenario.set({ gpus: 3 });
  for (const gpu of ['gpu:0', 'gpu:1'])
    await rig.event('gpu.state', (e) => e.entity === gpu && e.attrs.state === 'ok');
  t.equal(rig.all('gpu.state', (e) => e.entity === 'gpu:2').length, 0);
});

t.test('two calls that hang: the library hangs, nothing piles up, and all come back', async (t) => {
  const rig = await gpuRig(t, { gpus: 6 });
  await rig.event('gpu.use', (e) => e.entity === 'gpu:5');
  rig.scenario.change({ hang: [[-1, 'nvmlDeviceGetTemperature']] });
  await until(() => rig.all('gpu.state').length === 6, { timeoutMs: 10_000, what: 'six hung GPUs' });
  t.same(
    rig.all('gpu.state').map((e) => [e.attrs.state, e.attrs.scope]),
    [...Array(2).fill(['hung', 'gpu']), ...Array(4).fill(['hung', 'library'])],
  );
  t.match(rig.check(), { status: 'degraded', detail: /no call comes back: the driver hangs/ });
  t.equal(rig.probe.stats.missedDeadlines, 2);
  rig.scenario.set({ gpus: 6 });
  await until(() => rig.all('gpu.state', (e) => e.attrs.state === 'ok').length === 6, {
    timeoutMs: 10_000,
    what: 'six GPUs again',
  });
  t.match(rig.check(), { status: 'ok' });
});

t.test('threads that something else holds are no fault of a GPU', async (t) => {
  const rig = await gpuRig(t, { gpus: 2 });
  await rig.event('gpu.use', (e) => e.entity === 'gpu:1');
  // As files on a dead server would hold them.
  const usleep = Library.open(undefined).bind('usleep', 'i32', ['u32']);
  const held = Promise.all(Array.from({ length: 8 }, () => usleep.callAsync(900_000)));
  await until(() => /no thread is free/.test(rig.check()?.detail ?? ''), {
    timeoutMs: 5_000,
    what: 'the check',
  });
  await held;
  await rig.next('gpu.use');
  await rig.next('gpu.use');
  t.same(rig.all('gpu.state'), []);
  t.equal(rig.probe.stats.missedDeadlines, 0);
  t.match(rig.check(), { status: 'ok' });
});

t.test('NVML that hangs while it starts holds up nothing', async (t) => {
  const began = performance.now();
  const rig = await gpuRig(t, { hang: [[-2, 'nvmlInit_v2']] }, { start: false });
  await rig.probe.start();
  t.ok(performance.now() - began < 3_000, 'the agent starts');
  const failed = await until(() => (rig.check()?.status === 'failed' ? rig.check() : undefined), {
    timeoutMs: 5_000,
    what: 'the check',
  });
  t.equal(failed.detail, 'nvmlInit_v2 does not come back: the driver hangs');
  t.equal(await rig.probe.pass(true), false);
  t.same(rig.events, []);
  rig.scenario.set({});
  await rig.event('gpu.use');
  t.match(rig.check(), { status: 'ok' });
});

t.test(
  'the driver is exchanged: gone, reloaded, ok; a GPU that is not there any more stays gone',
  async (t) => {
    const rig = await gpuRig(t, { gpus: 3 });
    await rig.event('gpu.use', (e) => e.entity === 'gpu:2');
    rig.scenario.set({ gpus: 2, generation: 1, init: 9 });
    await until(() => rig.check()?.status === 'failed', { timeoutMs: 5_000, what: 'the check' });
    t.match(rig.check(), {
      detail:
        'nvmlInit_v2: DRIVER_NOT_LOADED; the library is here and the kernel driver is not: load it (modprobe nvidia)',
    });
    t.same(
      rig.all('gpu.state').map((e) => e.attrs),
      [0, 1, 2].map(() => rig.all('gpu.state')[0]?.attrs),
    );
    t.match(rig.all('gpu.state')[0]?.attrs, { state: 'gone', reason: 'UNINITIALIZED', scope: 'library' });
    t.match(await rig.event('gpu.device', (e) => e.attrs.gone === true), { value: 0 });
    rig.scenario.set({ gpus: 2, generation: 1, driver: '560.1' });
    await rig.next('gpu.state', (e) => e.attrs.state === 'ok' && e.entity === 'gpu:1');
    t.same(
      rig.all('gpu.state', (e) => e.entity === 'gpu:1').map((e) => e.attrs.state),
      ['gone', 'reloaded', 'ok'],
    );
    t.equal(rig.all('gpu.state', (e) => e.entity === 'gpu:2').length, 1);
    t.match(rig.all('gpu.device').at(-1)?.attrs, { driver: '560.1' });
    t.match(rig.check(), { status: 'degraded', detail: '2 GPUs, driver 560.1; GPU 2 is gone' });
  },
);

t.test('library and driver that do not fit, no driver, no permission: reasons, no noise', async (t) => {
  const cases = [
    [9, /^nvmlInit_v2: DRIVER_NOT_LOADED; .*modprobe nvidia/],
    [18, /^nvmlInit_v2: LIB_RM_VERSION_MISMATCH; .*two versions.*restart xctl-agent/],
    [4, /^nvmlInit_v2: NO_PERMISSION; .*\/dev\/nvidiactl/],
    [999, /^nvmlInit_v2: UNKNOWN; .*kernel log/],
  ] as const;
  for (const [init, detail] of cases) {
    const rig = await gpuRig(t, { init });
    t.match(rig.check(), { status: 'failed', detail });
    t.same(rig.events, []);
    t.same(rig.log, []);
    rig.scenario.set({});
    await rig.event('gpu.use');
    t.match(rig.check(), { status: 'ok', detail: /^8 GPUs/ }, rig.check()?.detail ?? '');
    rig.probe.stop();
  }
  const rig = await gpuRig(t, { gpus: 2, gpu: { 1: { code: 4 } } });
  await rig.event('gpu.use', (e) => e.entity === 'gpu:0');
  t.match(rig.check(), { status: 'degraded', detail: /2 GPUs, .*; GPU 1: no access to its device file/ });
  t.same(rig.all('gpu.state'), [], 'which is no fault of the GPU');
});

t.test('no library: off, and not a word', async (t) => {
  const rig = await gpuRig(t, {}, { nvmlPath: 'libnvidia-ml.so.404' });
  t.match(rig.probe.checks(), [{ status: 'off', name: 'probe gpu', detail: /^no libnvidia-ml.so.1 here/ }]);
  t.same([rig.events, rig.log], [[], []]);
  t.equal(await rig.probe.pass(true), false);
  t.same(rig.probe.costs(), []);
  const wrong = await gpuRig(t, {}, { nvmlPath: 'libbpf.so.1' });
  t.match(wrong.check(), { status: 'failed', detail: /libbpf.so.1 is no NVML/ });
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

t.test('XIDs and other events, each once, of the right GPU', async (t) => {
  const xids: NvmlXid[] = [];
  const rig = await gpuRig(t, { gpus: 4 }, { onXid: (xid) => void xids.push(xid) });
  await rig.event('gpu.use', (e) => e.entity === GPU3);
  const began = performance.now();
  rig.scenario.change({
    events: [
      [1, 3, 8, 79],
      [2, 1, 8, 94, 5, 0],
      [3, 0, 2, 0],
      [4, 12, 8, 48],
      [5, 2, 4, 0],
    ],
  });
  await rig.event('gpu.event', (e) => e.attrs.kind === 'ecc-uncorrected');
  t.ok(performance.now() - began < 1_000, 'at once');
  t.same(
    rig.all('gpu.event').map((e) => [e.entity, e.value, e.attrs]),
    [
      [GPU3, 79, { kind: 'xid', xid: 79 }],
      ['gpu:1', 94, { kind: 'xid', xid: 94, gi: 5, ci: 0 }],
      ['gpu:0', 1, { kind: 'ecc-uncorrected' }],
    ],
  );
  await until(() => rig.probe.stats.unknownEvents === 1, { timeoutMs: 5_000, what: 'the event of no GPU' });
  t.match(xids, [
    { entity: GPU3, index: 3, pci: '0000:4b:00.0', xid: 79 },
    { entity: 'gpu:1', index: 1, pci: '0000:2b:00.0', xid: 94, gi: 5, ci: 0 },
  ]);
});

t.test('looked at often while something uses it, seldom at rest', async (t) => {
  const rig = await gpuRig(t, { gpus: 1 }, { pollMs: 50, restMs: 500 });
  const windows = async (looks: number): Promise<number[]> => {
    const from = rig.all('gpu.use').length;
    await until(() => rig.all('gpu.use').length >= from + looks, { timeoutMs: 10_000, what: 'looks' });
    return rig
      .all('gpu.use')
      .slice(from + 1)
      .map((e) => e.attrs.windowMs);
  };
  const median = (list: number[]): number => list.sort((a, b) => a - b)[list.length >> 1] ?? 0;
  const rest = median(await windows(4));
  t.ok(rest >= 400, `${rest} ms at rest`);
  rig.scenario.set({ gpus: 1, all: { util: [50, 1] } });
  await rig.next('gpu.use', (e) => e.value === 50);
  const busy = median(await windows(6));
  t.ok(busy < 200, `${busy} ms in use`);
});

t.test('stopped: no word more, and it can be stopped twice', async (t) => {
  const rig = await gpuRig(t, { gpus: 2 });
  await rig.event('gpu.use');
  rig.probe.stop();
  rig.probe.stop();
  const said = rig.events.length;
  rig.scenario.set({ gpus: 2, all: { util: [1, 1] }, events: [[1, 0, 8, 13]] });
  t.equal(await rig.probe.pass(true), false);
  const again = await gpuRig(t, { gpus: 2 });
  await again.event('gpu.use');
  t.equal(rig.events.length, said);
});

t.test('reasons by name, addresses as the kernel spells them', async (t) => {
  t.same(throttleReasons(0), []);
  t.same(throttleReasons(0x1ff).length, 9);
  t.equal(pciName(0x10, 0xaf, 0x1f), '0010:af:1f.0');
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 31 }), (bits) => {
      const names = throttleReasons(bits);
      return new Set(names).size === names.length && names.includes('power-brake') === ((bits & 0x80) !== 0);
    }),
  );
});
