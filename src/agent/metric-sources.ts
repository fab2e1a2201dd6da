/** The agent's counters, where they are kept, in the shape that /metrics reads. */
import type { VersionInfo } from '../api/contract.js';
import type { ApiServer } from '../api/server.js';
import type { StateGraph } from '../graph/state-graph.js';
import type { Kernel } from '../kernel/kernel.js';
import type { Poller } from '../kernel/poller.js';
import { programRunStats, type RunTimeMeter } from '../kernel/prog-stats.js';
import type { Loss, MetricSources, ProgramRuns, RdmaTotals } from '../metrics/sources.js';
import type { GpuProbe } from '../probes/gpu.js';
import type { RdmaPorts } from '../probes/rdma-ports.js';
import type { SubprocessProbe } from '../probes/subprocess.js';
import type { EventHub } from './event-hub.js';
import type { ProbeSet } from './probe-set.js';
import type { Recorder } from './record.js';
import type { RuleStore } from './rule-store.js';

/** Functions where the part comes to life after the metrics do. */
export interface MetricParts {
  readonly version: () => VersionInfo;
  readonly hub: EventHub;
  readonly graph: StateGraph;
  readonly kernel: () => Kernel | undefined;
  readonly meter: () => RunTimeMeter | undefined;
  readonly poller: () => Poller | undefined;
  readonly probes: ProbeSet;
  readonly subprocesses: readonly SubprocessProbe[];
  readonly recorder: () => Recorder | undefined;
  readonly recording: boolean;
  readonly api: ApiServer;
  readonly gpu: () => GpuProbe | undefined;
  readonly rdmaPorts: () => RdmaPorts | undefined;
  readonly rules: RuleStore;
}

export function metricSources(parts: MetricParts): MetricSources {
  return {
    /** Asked at each scrape: libbpf is loaded after the metrics are made. */
    get build() {
      const { version, node, libbpf, kernel } = parts.version();
      return { version, nodejs: node, libbpf: libbpf ?? 'none', kernel };
    },
    events: () => parts.hub.totals,
    lost: () => losses(parts),
    graph: () => parts.graph.stats(),
    programs: () => programs(parts),
    probes: () => parts.probes.states(),
    subprocesses: () => parts.subprocesses.map((probe) => probe.stats()),
    ...(parts.recording && { recording: () => recordingTotals(parts) }),
    gpus: () =>
      (parts.gpu()?.costs() ?? []).map(({ gpu, looks, calls, spentMs }) => ({
        gpu,
        looks,
        calls,
        spentSeconds: spentMs / 1_000,
      })),
    xids: () => parts.graph.xids.counts(),
    rdma: () => rdmaTotals(parts.rdmaPorts()),
    rules: () => parts.rules.stats(),
    drainSeconds: () => (parts.poller()?.spentMs ?? 0) / 1_000,
  };
}

function* losses(parts: MetricParts): Generator<Loss> {
  for (const [reason, count] of Object.entries(parts.kernel()?.lost() ?? {}))
    yield { source: 'kernel', reason, count };
  const poller = parts.poller()?.stats();
  yield { source: 'decoder', reason: 'handler', count: poller?.handlerErrors ?? 0 };
  yield { source: 'decoder', reason: 'malformed', count: poller?.malformed ?? 0 };
  yield { source: 'decoder', reason: 'unknown_kind', count: poller?.unknownKinds ?? 0 };
  yield* parts.probes.lost();
  yield { source: 'graph', reason: 'failed', count: parts.hub.failures };
  yield { source: 'graph', reason: 'stale', count: parts.graph.stats().stale };
  yield { source: 'rules', reason: 'series', count: parts.rules.stats().memory.evicted };
  yield { source: 'api', reason: 'slow_reader', count: parts.api.stats.droppedTotal };
}

/** Asking is what keeps the kernel measuring (RunTimeMeter): unscraped, the programs run untimed. */
function programs(parts: MetricParts): readonly ProgramRuns[] {
  const kernel = parts.kernel();
  if (kernel === undefined) return [];
  try {
    parts.meter()?.touch();
  } catch {
    // Without CAP_SYS_ADMIN nothing is measured and the totals stay at 0.
  }
  return programRunStats(kernel.objects).map(({ object, slot, runTimeSeconds, runs }) => ({
    program: `${object}/${slot}`,
    runTimeSeconds,
    runs,
  }));
}

function rdmaTotals(ports: RdmaPorts | undefined): RdmaTotals {
  if (ports === undefined) return { ports: [], looks: 0, spentSeconds: 0 };
  return { ports: ports.totals(), looks: ports.stats.looks, spentSeconds: ports.stats.spentMs / 1_000 };
}

function recordingTotals(parts: MetricParts) {
  return parts.recorder()?.stats() ?? { active: false, events: 0, bytes: 0, dropped: {} };
}
