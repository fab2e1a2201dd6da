/** Every metric of the agent's own: name, help, labels, and where the values come from. */
import type { Definition, Labels, Series } from './definition.js';
import { ofRdma } from './definitions-rdma.js';
import { ofRules } from './definitions-rules.js';
import type { GpuCosts, MetricSources, RecordingTotals, SubprocessTotals } from './sources.js';

export function definitions(sources: MetricSources): readonly Definition[] {
  const recording = sources.recording;
  return [
    ...ofAgent(sources),
    ...ofGraph(sources),
    ...ofGpus(sources),
    ...ofRdma(sources),
    ...ofRules(sources),
    ...ofSubprocesses(sources),
    ...(recording === undefined ? [] : ofRecording(recording)),
  ];
}

function ofAgent(sources: MetricSources): readonly Definition[] {
  return [
    {
      name: 'xctl_build_info',
      help: 'Versions of the agent and of what it runs on; always 1.',
      labels: ['version', 'nodejs', 'libbpf', 'kernel'],
      read: () => [[{ ...sources.build }, 1]],
    },
    {
      name: 'xctl_events_total',
      help: 'Events by type; custom are those of --probe programs.',
      labels: ['type'],
      read: () => map(sources.events(), ([type, count]) => [{ type }, count]),
    },
    {
      name: 'xctl_events_lost_total',
      help: 'Events, samples or lines lost, by where and why.',
      labels: ['source', 'reason'],
      read: () => map(sources.lost(), ({ source, reason, count }) => [{ source, reason }, count]),
    },
    {
      name: 'xctl_probe_up',
      help: 'Whether a probe is attached (1) or off (0); xctl doctor says why.',
      labels: ['probe'],
      read: () => map(sources.probes(), ({ probe, up }) => [{ probe }, up ? 1 : 0]),
    },
    {
      name: 'xctl_bpf_program_run_seconds_total',
      help: 'Time that a BPF program ran, as the kernel measures while the agent is scraped.',
      labels: ['program'],
      read: () => map(sources.programs(), ({ program, runTimeSeconds }) => [{ program }, runTimeSeconds]),
    },
    {
      name: 'xctl_bpf_program_runs_total',
      help: 'Runs of a BPF program, as the kernel counts while the agent is scraped.',
      labels: ['program'],
      read: () => map(sources.programs(), ({ program, runs }) => [{ program }, runs]),
    },
    {
      name: 'xctl_drain_seconds_total',
      help: 'Time spent in draining the rings, decoding and the graph.',
      labels: [],
      read: () => [[{}, sources.drainSeconds()]],
    },
  ];
}

function ofGraph(sources: MetricSources): readonly Definition[] {
  return [
    {
      name: 'xctl_graph_nodes',
      help: 'Nodes in the graph by type.',
      labels: ['type'],
      read: () => byKey('type', sources.graph().nodes),
    },
    {
      name: 'xctl_graph_edges',
      help: 'Edges in the graph by type.',
      labels: ['type'],
      read: () => byKey('type', sources.graph().edges),
    },
    {
      name: 'xctl_graph_exited_processes',
      help: 'Processes that have exited and still answer.',
      labels: [],
      read: () => [[{}, sources.graph().exited]],
    },
    {
      name: 'xctl_graph_expired_total',
      help: 'Nodes that aged out as they should.',
      labels: [],
      read: () => [[{}, sources.graph().expired]],
    },
    {
      name: 'xctl_graph_evicted_total',
      help: 'What gave way before its time because a limit was reached.',
      labels: ['reason'],
      read: () => byKey('reason', sources.graph().evicted),
    },
    {
      name: 'xctl_graph_stale_events_total',
      help: 'Events about an older process that had the same pid.',
      labels: [],
      read: () => [[{}, sources.graph().stale]],
    },
  ];
}

/** What looking at GPUs costs, and their faults; not what they do. */
function ofGpus(sources: MetricSources): readonly Definition[] {
  const labels = ['gpu'];
  const each = (value: (costs: GpuCosts) => number) => (): Series =>
    sources.gpus().map((costs) => [{ gpu: `${costs.gpu}` }, value(costs)]);
  return [
    {
      name: 'xctl_gpu_looks_total',
      help: 'Looks at a GPU by NVML.',
      labels,
      read: each((costs) => costs.looks),
    },
    {
      name: 'xctl_gpu_nvml_calls_total',
      help: 'Calls of NVML about a GPU.',
      labels,
      read: each((costs) => costs.calls),
    },
    {
      name: 'xctl_gpu_nvml_seconds_total',
      help: 'Time that calls of NVML about a GPU took, most of it waiting for the driver.',
      labels,
      read: each((costs) => costs.spentSeconds),
    },
    {
      name: 'xctl_gpu_xids_total',
      help: 'Xid errors, each once, whether the kernel log, NVML or both told of it.',
      labels: ['gpu', 'xid'],
      read: () =>
        map(sources.xids(), ({ gpu, xid, count }) => [{ gpu: `${gpu ?? 'unknown'}`, xid: `${xid}` }, count]),
    },
  ];
}

function ofSubprocesses(sources: MetricSources): readonly Definition[] {
  const labels = ['subprocess'];
  const each = (value: (totals: SubprocessTotals) => number) => (): Series =>
    sources.subprocesses().map((totals, i) => [{ subprocess: `${i + 1}` }, value(totals)]);
  return [
    {
      name: 'xctl_subprocess_up',
      help: 'Whether the n-th --probe program runs.',
      labels,
      read: each((totals) => (totals.running ? 1 : 0)),
    },
    {
      name: 'xctl_subprocess_restarts_total',
      help: 'Starts of the n-th --probe program after the first.',
      labels,
      read: each((totals) => totals.restarts),
    },
    {
      name: 'xctl_subprocess_lines_total',
      help: 'Lines that the n-th --probe program printed.',
      labels,
      read: each((totals) => totals.lines),
    },
    {
      name: 'xctl_subprocess_events_total',
      help: 'Lines of the n-th --probe program that were events.',
      labels,
      read: each((totals) => totals.events),
    },
    {
      name: 'xctl_subprocess_lines_lost_total',
      help: 'Lines of the n-th --probe program that became no event, by reason.',
      labels: [...labels, 'reason'],
      read: () =>
        sources
          .subprocesses()
          .flatMap(({ lost }, i) => [...byKey('reason', lost, { subprocess: `${i + 1}` })]),
    },
  ];
}

function ofRecording(recording: () => RecordingTotals): readonly Definition[] {
  return [
    {
      name: 'xctl_recording_active',
      help: 'Whether --record still writes; 0 after a failure.',
      labels: [],
      read: () => [[{}, recording().active ? 1 : 0]],
    },
    {
      name: 'xctl_recording_events_total',
      help: 'Events written by --record.',
      labels: [],
      read: () => [[{}, recording().events]],
    },
    {
      name: 'xctl_recording_bytes_total',
      help: 'Bytes written by --record.',
      labels: [],
      read: () => [[{}, recording().bytes]],
    },
    {
      name: 'xctl_recording_dropped_total',
      help: 'Events that --record could not write.',
      labels: ['reason'],
      read: () => byKey('reason', recording().dropped),
    },
  ];
}

function* map<T>(items: Iterable<T>, to: (item: T) => readonly [Labels, number]): Series {
  for (const item of items) yield to(item);
}

function byKey(label: string, values: Readonly<Record<string, number>>, more: Labels = {}): Series {
  return map(Object.entries(values), ([key, value]) => [{ ...more, [label]: key }, value]);
}
