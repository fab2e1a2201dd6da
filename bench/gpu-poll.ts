/**
 * What looking at eight busy GPUs costs, with every figure, by the double of NVML: CPU time at a look a second, and
 * resident memory over an hour's worth of looks (3,600), made one right after the other. Both again with a library of
 * before 2022, which has no fields and wants a call a figure.
 *
 * The double answers at once and its own time counts too. What a real driver does in a call is not in this.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Event } from '../src/events/event.js';
import { BootClock } from '../src/kernel/clock.js';
import { GpuProbe } from '../src/probes/gpu.js';
import { createLog } from '../src/util/log.js';
import { rssBytes } from '../test/lib/proc.js';
import { openScope } from '../test/lib/scope.js';
import { nvmlDouble, OLD_LIBRARY } from '../test/nvml/double/library.js';
import { Scenario } from '../test/nvml/double/scenario.js';
import { report } from './lib/report.js';
import { rounded } from './lib/stats.js';

const GPUS = 8;
const MEASURE_S = 30;
/** V8 compiles and collects for a while after the rush. */
const SETTLE_S = 20;
const LOOKS = 3_600;
/** Not measured: V8 compiles and sizes its heap. */
const WARM_UP_LOOKS = 2 * LOOKS;
const MB = 1e6;
const GIB = 2 ** 30;

const scope = openScope();

async function measure(of: string, without: readonly string[] = []): Promise<void> {
  const scenario = new Scenario(scope);
  scenario.set({
    gpus: GPUS,
    refreshMs: 1_000,
    all: {
      util: [97, 60],
      usedBytes: 70 * GIB,
      powerMw: [640_000, 700_000],
      processes: [
        { pid: process.pid, bytes: 60 * GIB, sm: 90, memory: 50 },
        { pid: 1, bytes: 9 * GIB, sm: 5, memory: 1 },
      ],
    },
  });
  let events = 0;
  const none = (): never => {
    throw new Error('not used');
  };
  const probe = new GpuProbe(
    {
      kernel: { load: none },
      poller: { on: none, drainAll: none },
      clock: BootClock.now(),
      sink: (_event: Event) => void events++,
      log: createLog('warn'),
      signal: scope.signal,
    },
    { nvmlPath: await nvmlDouble(without) },
  );
  scope.teardown(() => probe.stop());
  await probe.start();
  const looks = (): number => probe.costs().reduce((sum, cost) => sum + cost.looks, 0);
  const calls = (): number => probe.costs().reduce((sum, cost) => sum + cost.calls, 0);

  for (let i = 0; i < WARM_UP_LOOKS; i++) await probe.pass(false);
  globalThis.gc?.();
  const rssBefore = rssBytes(process.pid) ?? 0;
  const [looksBefore, callsBefore] = [looks(), calls()];
  const burst = process.cpuUsage();
  for (let i = 0; i < LOOKS; i++) await probe.pass(false);
  const burstCpu = process.cpuUsage(burst);
  const [made, called] = [looks() - looksBefore, calls() - callsBefore];
  globalThis.gc?.();
  const grownMb = ((rssBytes(process.pid) ?? 0) - rssBefore) / MB;
  report({
    name: `GPU polls, memory${of}`,
    asked: '<= 5 MB more after an hour of polls',
    measured: rounded(grownMb),
    unit: 'MB',
    ok: grownMb <= 5 && made >= LOOKS * GPUS,
    looks: made,
    rssMb: rounded(rssBefore / MB),
    callsPerLook: rounded(called / made),
    cpuUsPerLook: rounded((burstCpu.user + burstCpu.system) / made),
  });

  await sleep(SETTLE_S * 1_000, undefined, { signal: scope.signal });
  const [lookedBefore, saidBefore] = [looks(), events];
  const used = process.cpuUsage();
  await sleep(MEASURE_S * 1_000, undefined, { signal: scope.signal });
  const { user, system } = process.cpuUsage(used);
  const percent = ((user + system) / 1e6 / MEASURE_S) * 100;
  const perSecond = (looks() - lookedBefore) / GPUS / MEASURE_S;
  report({
    name: `poll of ${GPUS} GPUs at 1 Hz, CPU${of}`,
    asked: '<= 0.5 % of a core',
    measured: rounded(percent),
    unit: '% of a core',
    ok: percent <= 0.5 && perSecond > 0.9,
    looksPerSecond: rounded(perSecond),
    eventsPerSecond: rounded((events - saidBefore) / MEASURE_S),
    seconds: MEASURE_S,
  });
  probe.stop();
}

try {
  await measure('');
  await measure(', old library', OLD_LIBRARY);
} finally {
  await scope.close();
}
