/** Probe `gpu`: GPUs and drivers that go and come back, and those that were never there. */
import t from 'tap';
import { until } from '../lib/until.js';
import { gpuRig } from '../nvml/rig.js';

const GPU3 = 'gpu:3';

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

t.test(
  'a driver that is updated under the agent: gone with the reason, and back when library and driver fit',
  async (t) => {
    const rig = await gpuRig(t, { gpus: 2 });
    await rig.event('gpu.use', (e) => e.entity === 'gpu:1');
    rig.scenario.set({ gpus: 2, calls: 18, init: 18 });
    await until(() => rig.check()?.status === 'failed', { timeoutMs: 5_000, what: 'the check' });
    t.match(rig.check(), { detail: /LIB_RM_VERSION_MISMATCH; .*two versions.*restart xctl-agent/ });
    t.same(
      rig.all('gpu.state').map(({ entity, attrs }) => [entity, attrs.state, attrs.reason]),
      [
        ['gpu:0', 'gone', 'LIB_RM_VERSION_MISMATCH'],
        ['gpu:1', 'gone', 'LIB_RM_VERSION_MISMATCH'],
      ],
    );
    rig.scenario.set({ gpus: 2 });
    await rig.next('gpu.state', (e) => e.entity === 'gpu:1' && e.attrs.state === 'ok');
    t.match(rig.check(), { status: 'ok' });
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
