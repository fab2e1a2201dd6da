/** Probe `gpu` over the double of NVML: what a GPU is and every figure of it, and whatever takes one away. */
import t from 'tap';
import { COMPUTE_MODES, GPU_VIRTUALIZATIONS, type GpuUseAttrs } from '../../src/events/gpu.js';
import { computeMode, pciName, throttleReasons, virtualization } from '../../src/probes/gpu-figures.js';
import { gpuRig } from '../nvml/rig.js';
import { fc } from '../lib/property.js';

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

t.test('a figure that may not be read is absent, and is there again when it may', async (t) => {
  const NO_PERMISSION = 4;
  const rig = await gpuRig(t, {
    gpus: 1,
    refuse: [
      ['nvmlDeviceGetClockInfo', NO_PERMISSION],
      ['nvmlDeviceGetComputeRunningProcesses_v3', NO_PERMISSION],
    ],
  });
  const { attrs } = await rig.event('gpu.use');
  t.match(attrs, { temperatureC: 30, smMhz: undefined, memoryMhz: undefined, processes: undefined });
  t.same([rig.all('gpu.state'), rig.all('gpu.processes')], [[], []], 'which is no fault of the GPU');
  t.match(rig.check(), { status: 'ok' });
  rig.scenario.set({ gpus: 1 });
  t.match((await rig.next('gpu.use', (e) => e.attrs.smMhz !== undefined)).attrs, {
    smMhz: 345,
    processes: 0,
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

t.test('reasons by name, addresses as the kernel spells them', async (t) => {
  t.same(throttleReasons(0), []);
  t.same(throttleReasons(0x1ff).length, 9);
  t.equal(pciName(0x10, 0xaf, 0x1f), '0010:af:1f.0');
  t.same([0, 1, 2, 3, 4].map(computeMode), [...COMPUTE_MODES, undefined], 'one of the future has no name');
  t.same([0, 1, 2, 3, 4, 5].map(virtualization), [...GPU_VIRTUALIZATIONS, undefined]);
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 31 }), (bits) => {
      const names = throttleReasons(bits);
      return new Set(names).size === names.length && names.includes('power-brake') === ((bits & 0x80) !== 0);
    }),
  );
});
