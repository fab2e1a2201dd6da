/**
 * The agent's metrics in the Prometheus text format. Every number is pulled at the scrape. Label
 * values come from fixed sets: never a pid, port, address, path or command line.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { MetricSources, RecordingTotals } from './sources.js';

export interface AgentMetrics {
  /** Of what render() gives: text format 0.0.4. OpenMetrics is left out: prom-client 15 renames counters for good once asked for it. */
  readonly contentType: string;
  render(): Promise<string>;
  /** One question answered, seconds. */
  observeWhy(seconds: number): void;
  stop(): void;
}

/** Answers are to come in under a second; the bar inside the agent is 5 ms. */
const WHY_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** Half of the defaults is about libuv handles, and external memory is nonsense under ffi-napi: it books 1 GiB a pointer. */
const UNWANTED = [
  'nodejs_external_memory_bytes',
  'nodejs_active_handles',
  'nodejs_active_handles_total',
  'nodejs_active_requests',
  'nodejs_active_requests_total',
  'nodejs_active_resources',
  'nodejs_active_resources_total',
];

type Series = Iterable<readonly [labels: Readonly<Record<string, string>>, value: number]>;

export function createMetrics(sources: MetricSources): AgentMetrics {
  const registry = new Registry();
  // The lag timer ticks this often for as long as the agent runs.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 50 });
  for (const name of UNWANTED) registry.removeSingleMetric(name);
  addAgent(registry, sources);
  addGraph(registry, sources);
  addSubprocesses(registry, sources);
  if (sources.recording !== undefined) addRecording(registry, sources.recording);
  const why = new Histogram({
    name: 'xctl_why_duration_seconds',
    help: 'Time to answer one `why` inside the agent.',
    buckets: WHY_BUCKETS,
    registers: [registry],
  });
  return {
    contentType: registry.contentType,
    render: () => registry.metrics(),
    observeWhy: (seconds) => why.observe(seconds),
    stop: () => registry.clear(),
  };
}

function addAgent(registry: Registry, sources: MetricSources): void {
  gauge(
    registry,
    'xctl_build_info',
    'Versions of the agent and of what it runs on; always 1.',
    ['version', 'nodejs', 'libbpf', 'kernel'],
    () => [[sources.build, 1]],
  );
  counter(
    registry,
    'xctl_events_total',
    'Events by type; `custom` are those of subprocess probes.',
    ['type'],
    () => map(sources.events(), ([type, count]) => [{ type }, count]),
  );
  counter(
    registry,
    'xctl_events_lost_total',
    'Events, samples or lines lost, by where and why.',
    ['source', 'reason'],
    () => map(sources.lost(), ({ source, reason, count }) => [{ source, reason }, count]),
  );
  gauge(
    registry,
    'xctl_probe_up',
    'Whether a probe is attached (1) or off (0); xctl doctor says why.',
    ['probe'],
    () => map(sources.probes(), ({ probe, up }) => [{ probe }, up ? 1 : 0]),
  );
  counter(
    registry,
    'xctl_bpf_program_run_seconds_total',
    'Time that a BPF program ran in the kernel; the kernel measures while the agent is scraped.',
    ['program'],
    () => map(sources.programs(), ({ program, runTimeSeconds }) => [{ program }, runTimeSeconds]),
  );
  counter(
    registry,
    'xctl_bpf_program_runs_total',
    'Runs of a BPF program; the kernel measures while the agent is scraped.',
    ['program'],
    () => map(sources.programs(), ({ program, runs }) => [{ program }, runs]),
  );
  counter(
    registry,
    'xctl_drain_seconds_total',
    'Time spent in draining rings, decoding and the graph.',
    [],
    () => [[{}, sources.drainSeconds()]],
  );
}

function addGraph(registry: Registry, sources: MetricSources): void {
  gauge(registry, 'xctl_graph_nodes', 'Nodes in the graph by type.', ['type'], () =>
    byKey('type', sources.graph().nodes),
  );
  gauge(registry, 'xctl_graph_edges', 'Edges in the graph by type.', ['type'], () =>
    byKey('type', sources.graph().edges),
  );
  gauge(registry, 'xctl_graph_exited_processes', 'Exited processes that still answer.', [], () => [
    [{}, sources.graph().exited],
  ]);
  counter(registry, 'xctl_graph_expired_total', 'Nodes that aged out as they should.', [], () => [
    [{}, sources.graph().expired],
  ]);
  counter(
    registry,
    'xctl_graph_evicted_total',
    'What gave way early because a limit was reached.',
    ['reason'],
    () => byKey('reason', sources.graph().evicted),
  );
  counter(
    registry,
    'xctl_graph_stale_events_total',
    'Events about an older process of the same pid.',
    [],
    () => [[{}, sources.graph().stale]],
  );
}

function addSubprocesses(registry: Registry, sources: MetricSources): void {
  const numbered = () => sources.subprocesses().map((totals, i) => ({ totals, subprocess: String(i + 1) }));
  gauge(registry, 'xctl_subprocess_up', 'Whether the n-th --probe program runs.', ['subprocess'], () =>
    map(numbered(), ({ totals, subprocess }) => [{ subprocess }, totals.running ? 1 : 0]),
  );
  counter(
    registry,
    'xctl_subprocess_restarts_total',
    'Starts of the n-th --probe program after the first.',
    ['subprocess'],
    () => map(numbered(), ({ totals, subprocess }) => [{ subprocess }, totals.restarts]),
  );
  counter(
    registry,
    'xctl_subprocess_lines_total',
    'Lines that the n-th --probe program printed.',
    ['subprocess'],
    () => map(numbered(), ({ totals, subprocess }) => [{ subprocess }, totals.lines]),
  );
  counter(
    registry,
    'xctl_subprocess_events_total',
    'Lines of the n-th --probe program that were events.',
    ['subprocess'],
    () => map(numbered(), ({ totals, subprocess }) => [{ subprocess }, totals.events]),
  );
  counter(
    registry,
    'xctl_subprocess_lines_rejected_total',
    'Lines of the n-th --probe program that became no event.',
    ['subprocess', 'reason'],
    () =>
      numbered().flatMap(({ totals, subprocess }) =>
        Object.entries(totals.lost).map(([reason, count]) => [{ subprocess, reason }, count] as const),
      ),
  );
  gauge(registry, 'xctl_recording_active', 'Whether --record still writes; 0 after a failure.', [], () =>
    map(recordings(sources), (recording) => [{}, recording.active ? 1 : 0]),
  );
  counter(registry, 'xctl_recording_events_total', 'Events written by --record.', [], () =>
    map(recordings(sources), (recording) => [{}, recording.events]),
  );
  counter(registry, 'xctl_recording_bytes_total', 'Bytes written by --record.', [], () =>
    map(recordings(sources), (recording) => [{}, recording.bytes]),
  );
  counter(registry, 'xctl_recording_dropped_total', 'Events that --record could not write.', ['reason'], () =>
    recordings(sources).flatMap((recording) => [...byKey('reason', recording.dropped)]),
  );
}

/** None or one, so that an agent without --record has no such series. */
function recordings(sources: MetricSources) {
  const recording = sources.recording();
  return recording === undefined ? [] : [recording];
}

function* map<T>(
  items: Iterable<T>,
  to: (item: T) => readonly [Readonly<Record<string, string>>, number],
): Series {
  for (const item of items) yield to(item);
}

function byKey(label: string, values: Readonly<Record<string, number>>): Series {
  return map(Object.entries(values), ([key, value]) => [{ [label]: key }, value]);
}

function gauge(
  registry: Registry,
  name: string,
  help: string,
  labelNames: string[],
  read: () => Series,
): void {
  new Gauge({
    name,
    help,
    labelNames,
    registers: [registry],
    // Reset: what is no more must vanish rather than stay at its last value.
    collect() {
      this.reset();
      for (const [labels, value] of read()) this.set(labels, value);
    },
  });
}

function counter(
  registry: Registry,
  name: string,
  help: string,
  labelNames: string[],
  read: () => Series,
): void {
  new Counter({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      this.reset();
      for (const [labels, value] of read()) this.inc(labels, value);
    },
  });
}
}

function addRecording(registry: Registry, recording: () => RecordingTotals): void {
  gauge(registry, 'xctl_recording_active', 'Whether --record still writes; 0 after a failure.', [], () => [[{}, recording().active ? 1 : 0]]);
  counter(registry, 'xctl_recording_events_total', 'Events written by --record.', [], () => [[{}, recording().events]]);
  counter(registry, 'xctl_recording_bytes_total', 'Bytes written by --record.', [], () => [[{}, recording().bytes]]);
  counter(registry, 'xctl_recording_dropped_total', 'Events that --record could not write.', ['reason'], () =>
    byKey('reason', recording().dropped),
  );
}

function* map<T>(
  items: Iterable<T>,
  to: (item: T) => readonly [Readonly<Record<string, string>>, number],
): Series {
  for (const item of items) yield to(item);
}

function byKey(label: string, values: Readonly<Record<string, number>>): Series {
  return map(Object.entries(values), ([key, value]) => [{ [label]: key }, value]);
}

function gauge(
  registry: Registry,
  name: string,
  help: string,
  labelNames: string[],
  read: () => Series,
): void {
  new Gauge({
    name,
    help,
    labelNames,
    registers: [registry],
    // Reset: what is no more must vanish rather than stay at its last value.
    collect() {
      this.reset();
      for (const [labels, value] of read()) this.set(labels, value);
    },
  });
}

function counter(
  registry: Registry,
  name: string,
  help: string,
  labelNames: string[],
  read: () => Series,
): void {
  new Counter({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      this.reset();
      for (const [labels, value] of read()) this.inc(labels, value);
    },
  });
}
