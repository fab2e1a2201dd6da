/**
 * The whole way of a record at full load: kernel → ring → poller → tcp probe → hub → graph, for ten
 * seconds. The agent's side runs on one core, all of its threads; the producer, a process of its own,
 * on the other.
 *
 * Bar: 1 M events/s, every record either in the graph or counted as lost, resident memory flat after
 * the first second.
 */
import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { EventHub } from '../src/agent/event-hub.js';
import { StateGraph } from '../src/graph/state-graph.js';
import { BootClock } from '../src/kernel/clock.js';
import { Poller } from '../src/kernel/poller.js';
import type { LoadedObject } from '../src/kernel/program.js';
import { FlowTable } from '../src/probes/flow-table.js';
import type { ProbeContext } from '../src/probes/probe.js';
import { TcpProbe } from '../src/probes/tcp.js';
import { createLog } from '../src/util/log.js';
import { progress, report } from './lib/report.js';
import { rounded } from './lib/stats.js';
import { openProducer } from './producer/producer.js';

const SECONDS = 10;
/** What the producer makes: a little above the bar, so that a pause must be caught up with. */
const RECORDS_PER_SECOND = 1_050_000;
const ASKED_PER_SECOND = 1_000_000;
/** As many records a system call, so that each call goes round all of them. */
const FLOWS = 1_024;
/** The first for the agent's side, the second for the producer; one machine with one core shares it. */
const [OURS, THEIRS] = availableParallelism() > 1 ? [0, 1] : [0, 0];
/** Growth that is allocator noise: the young generation and the ring's own pages come and go. */
const FLAT_MB = 16;
const MB = 1e6;

const log = createLog('warn');

/** Stands for the loaded `tcp` object: the records come from the producer, nothing is attached. */
const nothingAttached: LoadedObject = {
  name: 'tcp',
  programs: [{ object: 'tcp', slot: 'send', rung: 'tp_btf', attached: true, reason: null, attempts: [] }],
  map: (name) => {
    throw new Error(`no map ${name}`);
  },
  iterator: () => undefined,
  programFd: () => undefined,
  stop: () => {},
};

/** Every thread of this process; children inherit it. */
function pinTo(cpu: number): void {
  execFileSync('taskset', ['-a', '-c', '-p', String(cpu), String(process.pid)]);
}

interface Sample {
  readonly atS: number;
  readonly rssMb: number;
}

const { kernel, producer } = await openProducer({ log });
try {
  const graph = new StateGraph();
  const hub = new EventHub(graph, log);
  const clock = BootClock.now();
  const poller = new Poller({ source: kernel, log });
  const context: ProbeContext = {
    kernel: { load: async () => nothingAttached },
    poller,
    clock,
    sink: hub.sink,
    log,
    signal: new AbortController().signal,
  };
  const probe = new TcpProbe(context, new FlowTable());
  await probe.start();
  poller.start();

  pinTo(THEIRS);
  const run = producer.start({
    seconds: SECONDS,
    flows: FLOWS,
    batch: FLOWS,
    recordsPerSecond: RECORDS_PER_SECOND,
  });
  pinTo(OURS);

  const eventsSoFar = (): number => [...hub.totals].reduce((sum, [, total]) => sum + total, 0);
  const began = performance.now();
  const cpuBefore = process.cpuUsage();
  const samples: Sample[] = [];
  const sampler = setInterval(() => {
    samples.push({ atS: (performance.now() - began) / 1000, rssMb: process.memoryUsage.rss() / MB });
  }, 250);
  const totals = await run.done;
  const cpu = process.cpuUsage(cpuBefore);
  const drainedInTime = eventsSoFar();
  const wallS = (performance.now() - began) / 1000;
  clearInterval(sampler);
  // What the ring still holds.
  for (let before = -1; before !== eventsSoFar(); await sleep(50)) before = eventsSoFar();
  poller.stop();
  probe.stop();

  const events = eventsSoFar();
  const lost = kernel.lost().events_full ?? 0;
  const perSecond = drainedInTime / wallS;
  const cpuS = (cpu.user + cpu.system) / 1e6;
  const rssAt = (s: number): number =>
    samples.reduce((best, sample) => (Math.abs(sample.atS - s) < Math.abs(best.atS - s) ? sample : best), {
      atS: Number.NEGATIVE_INFINITY,
      rssMb: Number.NaN,
    }).rssMb;
  const later = samples.filter(({ atS }) => atS >= 1).map(({ rssMb }) => rssMb);
  const growthMb = Math.max(...later) - rssAt(1);
  const unaccounted = totals.submitted - events;
  const { handlerErrors, malformed } = poller.stats();
  const rate = {
    name: 'ring → decode → graph, events a second on one core',
    asked: `>= ${ASKED_PER_SECOND} events/s for ${SECONDS} s, none lost unless counted`,
    measured: Math.round(perSecond),
    unit: 'events/s',
    ok:
      perSecond >= ASKED_PER_SECOND &&
      unaccounted === 0 &&
      lost === totals.refused &&
      hub.failures === 0 &&
      handlerErrors === 0 &&
      malformed === 0,
    cpuNsPerEvent: rounded((cpuS * 1e9) / drainedInTime),
    cpuPercent: rounded((cpuS / wallS) * 100),
    produced: totals.submitted + totals.refused,
    events,
    lost,
    unaccounted,
    seconds: rounded(wallS),
  };
  const memory = {
    name: 'ring → decode → graph, growth of resident memory after the first second',
    asked: `flat: <= ${FLAT_MB} MB`,
    measured: rounded(growthMb),
    unit: 'MB',
    ok: growthMb <= FLAT_MB,
    rss1sMb: rounded(rssAt(1)),
    rss5sMb: rounded(rssAt(5)),
    rss10sMb: rounded(rssAt(10)),
    nodes: graph.nodes.size,
    edges: graph.edges.total,
  };
  report(rate);
  report(memory);
  if (!rate.ok || !memory.ok) {
    progress('the machine must have its cores to itself for this one');
    process.exitCode = 1;
  }
} finally {
  kernel.stop();
}
