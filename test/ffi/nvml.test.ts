/** NVML's binding against the double: layouts by a C compiler, names of functions new and old, calls that hang. */
import t from 'tap';
import { Pinned } from '../../src/ffi/memory.js';
import { pendingCalls } from '../../src/ffi/native.js';
import { Nvml } from '../../src/ffi/nvml.js';
import { nvmlHint, nvmlName } from '../../src/ffi/nvml-errors.js';
import {
  available,
  EVENT_DATA,
  FIELD_VALUE,
  fieldValue,
  instance,
  MEMORY_V2,
  PCI_INFO,
  PROCESS_V2,
  read,
  structVersion,
} from '../../src/ffi/nvml-structs.js';
import { NativeError } from '../../src/util/errors.js';
import { until } from '../lib/until.js';
import { nvmlDouble } from '../nvml/double/library.js';
import { Scenario } from '../nvml/double/scenario.js';

const GPU0 = 1;

t.test('structures are read as a C compiler laid them out', async (t) => {
  const scenario = new Scenario(t);
  const nvml = new Nvml(await nvmlDouble());
  scenario.set({
    gpu: { 0: { usedBytes: 3 * 2 ** 30, processes: [{ pid: 4242, bytes: 5 * 2 ** 33, gi: 3, ci: 1 }] } },
    events: [[1, 0, 8, 13]],
  });
  t.equal(await nvml.call('init'), 0);
  const out = new Pinned(128);

  out.view.setUint32(0, structVersion(MEMORY_V2.sizeBytes, 2), true);
  t.equal(await nvml.call('memoryV2', GPU0, out), 0, 'the version word is right');
  t.same(read(out, MEMORY_V2), {
    version: 0x0200_0028,
    total: 80 * 2 ** 30,
    reserved: 512 * 2 ** 20,
    free: 77 * 2 ** 30,
    used: 3 * 2 ** 30,
  });
  t.equal(await nvml.call('pci', GPU0, out), 0);
  t.same(read(out, PCI_INFO), { domain: 0, bus: 0x1b, device: 0 });

  const count = new Pinned(8);
  count.view.setUint32(0, 4, true);
  t.equal(await nvml.call('processes', GPU0, count, out), 0);
  t.equal(count.view.getUint32(0, true), 1);
  t.same(read(out, PROCESS_V2), { pid: 4242, usedBytes: 5 * 2 ** 33, gpuInstance: 3, computeInstance: 1 });

  const field = new Pinned(FIELD_VALUE.sizeBytes);
  field.view.setUint32(0, 142, true);
  t.equal(await nvml.call('fields', GPU0, 1, field), 0);
  t.equal(fieldValue(field, 0), 0, 'of a value of 32 bits only those count');

  t.equal(await nvml.call('eventSet', out), 0);
  const set = out.readU64(0);
  scenario.change({ events: [[2, 0, 8, 79]] });
  t.equal(await nvml.call('eventWait', set, out, 0), 0);
  t.same(read(out, EVENT_DATA), {
    device: GPU0,
    type: 8,
    data: 79,
    gpuInstance: 0xffff_ffff,
    computeInstance: 0xffff_ffff,
  });
  t.equal(instance(0xffff_ffff), undefined);
  t.equal(available(2 ** 64), undefined);
  t.equal(await nvml.call('eventWait', set, out, 0), 10, 'once');
});

t.test('older names are found where the newer are missing; what has none is a code', async (t) => {
  const scenario = new Scenario(t);
  scenario.set({});
  const old = [
    'nvmlInit_v2',
    'nvmlDeviceGetCount_v2',
    'nvmlDeviceGetHandleByIndex_v2',
    'nvmlDeviceGetPciInfo_v3',
    'nvmlDeviceGetPciInfo_v2',
    'nvmlDeviceGetCurrentClocksEventReasons',
    'nvmlDeviceGetComputeRunningProcesses_v3',
    'nvmlDeviceGetMemoryInfo_v2',
    'nvmlDeviceGetProcessUtilization',
  ];
  const nvml = new Nvml(await nvmlDouble(old));
  t.equal(nvml.nameOf('init'), 'nvmlInit');
  t.equal(nvml.nameOf('pci'), 'nvmlDeviceGetPciInfo');
  t.equal(nvml.nameOf('clockReasons'), 'nvmlDeviceGetCurrentClocksThrottleReasons');
  t.equal(nvml.nameOf('processes'), 'nvmlDeviceGetComputeRunningProcesses_v2');
  t.same(nvml.missing(), ['memoryV2', 'processSamples']);
  t.equal(await nvml.call('init'), 0);
  const out = new Pinned(128);
  t.equal(await nvml.call('memoryV2', GPU0, out), 13);
  t.equal(await nvml.call('pci', GPU0, out), 0);
  t.equal(read(out, PCI_INFO).bus, 0x1b);
});

t.test('no library, and one that is no NVML', async (t) => {
  t.throws(() => new Nvml('libnvidia-ml.so.404'), new NativeError('dlopen libnvidia-ml.so.404', 'ENOENT'));
  t.throws(
    () => new Nvml('libbpf.so.1'),
    new NativeError('dlsym nvmlInit_v2', 'ENOSYS', 'libbpf.so.1 is no NVML'),
  );
});

t.test('a call that hangs holds a thread and not the event loop', async (t) => {
  const scenario = new Scenario(t);
  const nvml = new Nvml(await nvmlDouble());
  t.equal(await nvml.call('init'), 0);
  scenario.set({ hang: [[0, 'nvmlDeviceGetTemperature']] });
  const out = new Pinned(8);
  const before = pendingCalls();
  let code: number | undefined;
  void nvml.call('temperature', GPU0, 0, out).then((value) => {
    code = value;
  });
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  await until(() => ticks >= 20, { timeoutMs: 5_000, what: 'the event loop' });
  clearInterval(timer);
  t.equal(code, undefined);
  t.equal(pendingCalls(), before + 1);
  t.equal(await nvml.call('temperature', GPU0 + 1, 0, new Pinned(8)), 0, 'another GPU answers');
  scenario.set({});
  await until(() => code === 0, { timeoutMs: 5_000, what: 'the call' });
  t.equal(out.view.getUint32(0, true), 30);
  t.equal(pendingCalls(), before);
});

t.test('codes have names and hints', async (t) => {
  t.equal(nvmlName(15), 'GPU_IS_LOST');
  t.equal(nvmlName(999), 'UNKNOWN');
  t.equal(nvmlName(77), 'code 77');
  t.match(nvmlHint(18), /two versions/);
  t.equal(nvmlHint(3), undefined);
});
