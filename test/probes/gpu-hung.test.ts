/** Probe `gpu`: calls of NVML that do not come back. */
import t from 'tap';
import { Library } from '../../src/ffi/native.js';
import { until } from '../lib/until.js';
import { gpuRig } from '../nvml/rig.js';

const GPU3 = 'gpu:3';

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

t.test('a question does not wait for a call that is late, long before it is said to hang', async (t) => {
  const rig = await gpuRig(t, { gpus: 4 }, { deadlineMs: 30_000 });
  await rig.event('gpu.use', (e) => e.entity === GPU3);
  rig.scenario.change({ hang: [[3, 'nvmlDeviceGetClockInfo']] });
  for (let i = 0; i < 5; i++) await rig.next('gpu.use', (e) => e.entity === 'gpu:0');
  const told = rig.all('gpu.health', (e) => e.entity === 'gpu:1').length;
  t.equal(await rig.probe.pass(true), true);
  t.equal(rig.all('gpu.health', (e) => e.entity === 'gpu:1').length, told + 1, 'the others were looked at');
  t.same(rig.all('gpu.state'), [], 'nobody knows yet that it hangs');
  rig.scenario.set({ gpus: 4 });
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

t.test('the wait for events hangs: figures go on, and doctor says so', async (t) => {
  const rig = await gpuRig(t, { gpus: 2 });
  await rig.event('gpu.use');
  rig.scenario.change({ hang: [[-2, 'nvmlEventSetWait_v2']] });
  await until(() => rig.check('probe gpu/events')?.status === 'degraded', {
    timeoutMs: 20_000,
    what: 'the check',
  });
  t.match(rig.check('probe gpu/events'), { detail: 'the wait for events does not come back' });
  await rig.next('gpu.use', (e) => e.entity === 'gpu:1');
  t.same(rig.all('gpu.state'), []);
  rig.scenario.set({ gpus: 2, events: [[1, 1, 8, 13]] });
  t.match(await rig.next('gpu.event'), { entity: 'gpu:1', attrs: { xid: 13 } });
  t.match(rig.check('probe gpu/events'), { status: 'ok' });
});
