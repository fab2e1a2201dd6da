/** Probe `gpu`: how often it looks, and that it stops. */
import t from 'tap';
import { until } from '../lib/until.js';
import { gpuRig } from '../nvml/rig.js';

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
