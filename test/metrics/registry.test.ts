import t from 'tap';
import { EVENT_TYPES } from '../../src/events/catalogue.js';
import { StateGraph } from '../../src/graph/state-graph.js';
import { EventTotals } from '../../src/metrics/event-totals.js';
import { createMetrics } from '../../src/metrics/registry.js';
import type { MetricSources, RecordingTotals } from '../../src/metrics/sources.js';
import { customEvent } from '../agent/fixtures.js';
import { lint, parseExposition, sampleValue } from './exposition.js';

const totals = new EventTotals();
totals.observe(customEvent(1));
totals.observe(customEvent(2));

function sources(changes: Partial<MetricSources> = {}): MetricSources {
  const graph = new StateGraph();
  graph.apply(customEvent(1));
  return {
    build: { version: '1.2.3', nodejs: process.version, libbpf: '1.1.2', kernel: '6.18.0 "odd"\\name' },
    events: () => totals,
    lost: () => [
      { source: 'ring', reason: 'events_full', count: 3 },
      { source: 'ring', reason: 'critical_full', count: 0 },
    ],
    graph: () => graph.stats(),
    programs: () => [{ program: 'tcp/retransmit', runTimeSeconds: 0.25, runs: 1000 }],
    probes: () => [
      { probe: 'tcp', up: true },
      { probe: 'waits', up: false },
    ],
    subprocesses: () => [{ running: true, restarts: 2, lines: 10, events: 9, lost: { json: 1, rate: 0 } }],
    gpus: () => [{ gpu: 0, looks: 3, calls: 40, spentSeconds: 0.25 }],
    xids: () => [
      { gpu: 0, xid: 79, count: 1 },
      { gpu: undefined, xid: 'other' as const, count: 2 },
    ],
    rdma: () => ({
      ports: [
        {
          device: 'mlx5_0',
          port: 1,
          up: true,
          flaps: 2,
          known: new Map([
            ['timeouts', 7],
            ['rnrReceived', 0],
            ['txBytes', 4096],
          ] as const),
          others: [{ directory: 'hw_counters', name: 'Rx atomics', value: 5 }],
        },
        { device: 'odd "name"\\', port: 2, up: false, flaps: 0, known: new Map(), others: [] },
      ],
      looks: 10,
      spentSeconds: 0.5,
    }),
    rules: () => ({
      rules: 40,
      refusedFiles: 1,
      loads: 3,
      failedLoads: 1,
      asked: 5,
      answered: 4,
      memory: { series: 7, taken: 9 },
    }),
    drainSeconds: () => 1.5,
    ...changes,
  };
}

t.test('the whole text is what Prometheus takes', async (t) => {
  const recording: RecordingTotals = {
    active: false,
    events: 5,
    bytes: 500,
    dropped: { disk: 7, buffer: 0 },
  };
  const metrics = createMetrics(sources({ recording: () => recording }));
  t.teardown(() => metrics.stop());
  metrics.observeWhy(0.003);
  metrics.observeWhy(99);
  t.equal(metrics.contentType, 'text/plain; version=0.0.4; charset=utf-8');
  for (let scrape = 1; scrape <= 3; scrape++) {
    const families = parseExposition(await metrics.render());
    t.strictSame(lint(families.filter(({ name }) => name.startsWith('xctl_'))), [], `scrape ${scrape}`);
    const values: readonly [string, Record<string, string>, number][] = [
      ['xctl_build_info', { version: '1.2.3', libbpf: '1.1.2' }, 1],
      ['xctl_events_total', { type: 'custom' }, 2],
      ['xctl_events_total', { type: 'transport.retransmit' }, 0],
      ['xctl_events_lost_total', { source: 'ring', reason: 'events_full' }, 3],
      ['xctl_events_lost_total', { source: 'ring', reason: 'critical_full' }, 0],
      ['xctl_bpf_program_run_seconds_total', { program: 'tcp/retransmit' }, 0.25],
      ['xctl_bpf_program_runs_total', { program: 'tcp/retransmit' }, 1000],
      ['xctl_probe_up', { probe: 'tcp' }, 1],
      ['xctl_probe_up', { probe: 'waits' }, 0],
      ['xctl_graph_evicted_total', { reason: 'nodes' }, 0],
      ['xctl_subprocess_up', { subprocess: '1' }, 1],
      ['xctl_subprocess_restarts_total', { subprocess: '1' }, 2],
      ['xctl_subprocess_lines_lost_total', { subprocess: '1', reason: 'json' }, 1],
      ['xctl_recording_active', {}, 0],
      ['xctl_recording_dropped_total', { reason: 'disk' }, 7],
      ['xctl_gpu_xids_total', { gpu: '0', xid: '79' }, 1],
      ['xctl_gpu_xids_total', { gpu: 'unknown', xid: 'other' }, 2],
      ['xctl_rdma_port_up', { device: 'mlx5_0', port: '1' }, 1],
      ['xctl_rdma_port_up', { port: '2' }, 0],
      ['xctl_rdma_port_flaps_total', { device: 'mlx5_0' }, 2],
      ['xctl_rdma_counter_total', { device: 'mlx5_0', counter: 'timeouts' }, 7],
      ['xctl_rdma_counter_total', { device: 'mlx5_0', counter: 'rnr_received' }, 0],
      ['xctl_rdma_bytes_total', { device: 'mlx5_0', direction: 'tx' }, 4096],
      ['xctl_rdma_driver_counter', { directory: 'hw_counters', counter: 'Rx atomics' }, 5],
      ['xctl_rdma_looks_total', {}, 10],
      ['xctl_rdma_look_seconds_total', {}, 0.5],
      ['xctl_drain_seconds_total', {}, 1.5],
      ['xctl_why_duration_seconds_count', {}, 2],
    ];
    for (const [name, labels, value] of values)
      t.equal(sampleValue(families, name, labels), value, `${name} ${JSON.stringify(labels)}`);
    t.ok((sampleValue(families, 'process_resident_memory_bytes') ?? 0) > 1e6);
    t.type(sampleValue(families, 'nodejs_eventloop_lag_seconds'), 'number');
  }
});

t.test('every type of event has its series from the start', async (t) => {
  const metrics = createMetrics(sources({ events: () => new EventTotals() }));
  t.teardown(() => metrics.stop());
  const events = parseExposition(await metrics.render()).find(({ name }) => name === 'xctl_events_total');
  t.strictSame(events?.samples.map(({ labels }) => labels.type).sort(), [...EVENT_TYPES].sort());
});

t.test('what is no more vanishes; what is not asked for is not there', async (t) => {
  let probes = [{ probe: 'tcp', up: true }];
  const metrics = createMetrics(sources({ probes: () => probes }));
  t.teardown(() => metrics.stop());
  t.equal(sampleValue(parseExposition(await metrics.render()), 'xctl_probe_up', { probe: 'tcp' }), 1);
  probes = [];
  const families = parseExposition(await metrics.render());
  t.equal(sampleValue(families, 'xctl_probe_up', { probe: 'tcp' }), undefined);
  t.equal(sampleValue(families, 'xctl_recording_active'), undefined, 'no --record');
  t.notOk(
    families.some(({ name }) => name.includes('external_memory')),
    'nonsense under ffi-napi',
  );
});

t.test('no label that can grow', async (t) => {
  const metrics = createMetrics(sources());
  t.teardown(() => metrics.stop());
  const allowed = [
    // At most 64: GPUs of one node.
    'gpu',
    // At most 64 ports of RDMA devices; names of their counters, which drivers fix.
    'device',
    'port',
    'direction',
    'directory',
    'counter',
    // Codes of the catalogue, and one name for all others.
    'xid',
    'type',
    'source',
    'reason',
    'program',
    'probe',
    'subprocess',
    'version',
    'nodejs',
    'libbpf',
    'kernel',
    // `ok`, `failed`.
    'result',
    'le',
  ];
  for (const { name, samples } of parseExposition(await metrics.render())) {
    if (!name.startsWith('xctl_')) continue;
    for (const { labels } of samples)
      for (const label of Object.keys(labels)) t.ok(allowed.includes(label), `${name} ${label}`);
  }
});

t.test('the checker itself complains', async (t) => {
  t.throws(() => parseExposition('a 1'), /no end/);
  t.throws(() => parseExposition('a 1\n'), /not under its TYPE/);
  t.throws(() => parseExposition('# TYPE a gauge\na{b="c} 1\n'), /bad label/);
  t.throws(() => parseExposition('# TYPE a gauge\na x\n'), /bad value/);
  t.throws(() => parseExposition('# TYPE a gauge\na 1\n# TYPE a gauge\n'), /after its samples/);
  const text = '# HELP a_ms x\n# TYPE a_ms counter\na_ms{l="1"} 1\na_ms{l="1"} -1\n';
  t.match(lint(parseExposition(text)).join('; '), /_total.*not a base unit.*twice.*-1 in a counter/);
});
