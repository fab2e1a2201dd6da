/**
 * The agent's metrics in the Prometheus text format. Every number is pulled at the scrape. Label
 * values come from fixed sets: never a pid, port, address, path or command line.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Definition } from './definition.js';
import { definitions } from './definitions.js';
import type { MetricSources } from './sources.js';

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

/** libuv's handles help nobody here, and external memory is nonsense under ffi-napi: it books 1 GiB a pointer. */
const UNWANTED = [
  'nodejs_external_memory_bytes',
  'nodejs_active_handles',
  'nodejs_active_handles_total',
  'nodejs_active_requests',
  'nodejs_active_requests_total',
  'nodejs_active_resources',
  'nodejs_active_resources_total',
];
/** The lag is measured by a timer that ticks for as long as the agent runs. */
const LAG_PRECISION_MS = 50;

export function createMetrics(sources: MetricSources): AgentMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_PRECISION_MS });
  for (const name of UNWANTED) registry.removeSingleMetric(name);
  for (const definition of definitions(sources)) add(registry, definition);
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

/** reset() first: what is no more must vanish rather than stay at its last value. */
function add(registry: Registry, { name, help, labels, read }: Definition): void {
  const options = { name, help, labelNames: [...labels], registers: [registry] };
  if (name.endsWith('_total')) {
    new Counter({
      ...options,
      collect() {
        this.reset();
        for (const [of, value] of read()) this.inc(of, value);
      },
    });
  } else {
    new Gauge({
      ...options,
      collect() {
        this.reset();
        for (const [of, value] of read()) this.set(of, value);
      },
    });
  }
}
