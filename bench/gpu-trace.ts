/**
 * What one call of a function costs more with probe `gpu-trace` on it than without, over the doubles of libnccl and
 * libcuda; and how long it takes to put the probes in and to take them out.
 *
 * The doubles do nothing, so that the difference is all the probe's. The prices in src/probes/gpu-trace-budget.ts are
 * from here: a price that is too low by half is a bar that is missed.
 */
import type { Event } from '../src/events/event.js';
import { BootClock } from '../src/kernel/clock.js';
import { Kernel } from '../src/kernel/kernel.js';
import { Poller } from '../src/kernel/poller.js';
import { GpuTraceProbe } from '../src/probes/gpu-trace.js';
import { COST_NS } from '../src/probes/gpu-trace-budget.js';
import type { TraceClass } from '../src/probes/gpu-trace-functions.js';
import { createLog } from '../src/util/log.js';
import { workload } from '../test/lib/cc.js';
import { type Proc, start, startTicks } from '../test/lib/proc.js';
import { openScope } from '../test/lib/scope.js';
import { until } from '../test/lib/until.js';
import { doubles } from '../test/nccl/doubles.js';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../test/lib/root.js';
import { report } from './lib/report.js';
import { rounded } from './lib/stats.js';

const CLASS_OF: Readonly<Record<string, TraceClass>> = {
  ncclAllReduce: 'enqueue',
  ncclAllGather: 'enqueue',
  ncclReduce: 'enqueue',
  ncclSend: 'enqueue',
  ncclCommUserRank: 'ask',
  cuStreamSynchronize: 'sync',
  // With the destroy behind it: two calls of the class.
  ncclCommInitRank: 'comm',
};
/** A machine may be so much dearer than the one that the prices are from. */
const SLACK = 1.5;
const TICK_NS = 10_000_000;

const scope = openScope();

/** ns by function, of the next round. */
async function measured(proc: Proc): Promise<ReadonlyMap<string, number>> {
  const from = proc.stdout.length;
  proc.kill('SIGUSR1');
  await until(() => proc.stdout.slice(from).includes('round'), { timeoutMs: 120_000, what: 'a round' });
  const found = new Map<string, number>();
  for (const line of proc.stdout.slice(from)) {
    const [, name, ns] = /^call (\w+) ([\d.]+)$/.exec(line) ?? [];
    if (name !== undefined) found.set(name, Number(ns));
  }
  return found;
}

async function main(): Promise<void> {
  const { nccl, cuda } = await doubles(scope);
  const proc = await start(scope, await workload('gpu_calls', 'bench/c/gpu_calls.c'), [
    `nccl=${nccl}`,
    `cuda=${cuda}`,
  ]);
  await proc.ready();
  const without = await measured(proc);

  const log = createLog('warn');
  const kernel = await Kernel.open({ log, bpfDir: join(ROOT, 'dist/bpf') });
  const poller = new Poller({ source: kernel, log });
  const { signal } = scope;
  const context = { kernel, poller, clock: BootClock.now(), sink: (_event: Event) => {}, log, signal };
  // Nothing is taken off: the price is what is asked for.
  const probe = new GpuTraceProbe(context, { budgetShare: 1e9, watch: { firstMs: 1, maxMs: 1 } });
  scope.teardown(async () => {
    await probe.stop();
    poller.stop();
    kernel.stop();
  });
  await probe.start();
  poller.start();
  const attaching = performance.now();
  probe.watch(proc.pid, Number(startTicks(proc.pid)) * TICK_NS);
  await until(() => /^2 libraries/.test(probe.checks()[0]?.detail ?? ''), {
    timeoutMs: 30_000,
    what: 'the probes',
  });
  const attachMs = performance.now() - attaching;
  const withProbe = await measured(proc);

  for (const [name, ns] of withProbe) {
    const more = ns - (without.get(name) ?? 0);
    const one = CLASS_OF[name] ?? 'comm';
    const price = COST_NS[one] * (one === 'comm' ? 2 : 1);
    report({
      name: `gpu-trace, a call of ${name}`,
      asked: `<= ${SLACK} x the price of its class`,
      measured: rounded(more),
      unit: 'ns',
      ok: more <= price * SLACK,
      price,
      without: rounded(without.get(name) ?? 0),
    });
  }

  const stopping = performance.now();
  await probe.stop();
  const stopMs = performance.now() - stopping;
  const left = await until(
    async () => {
      const after = await measured(proc);
      const most = Math.max(...[...after].map(([name, ns]) => ns - (without.get(name) ?? 0)));
      return most < 300 ? most : undefined;
    },
    { timeoutMs: 30_000, what: 'nothing to be left' },
  );
  const goneMs = performance.now() - stopping;
  report({
    name: 'gpu-trace, taken off',
    asked: '<= 1.5 s until nothing is left of it',
    measured: rounded(goneMs),
    unit: 'ms',
    ok: goneMs <= 1_500,
    leftNs: rounded(left),
    stopMs: rounded(stopMs),
    attachMs: rounded(attachMs),
  });
}

if (process.env.UV_THREADPOOL_SIZE === undefined) {
  // As bin/xctl-agent has it, and too late to be set in a process that has begun.
  const env = { ...process.env, UV_THREADPOOL_SIZE: '16' };
  const { status } = spawnSync(process.execPath, process.argv.slice(1), { env, stdio: 'inherit' });
  process.exitCode = status ?? 1;
} else {
  try {
    await main();
  } finally {
    await scope.close();
  }
}
