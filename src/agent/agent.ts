/**
 * The composition root: builds every part, joins them, starts them in order, stops them.
 *
 * Rings → poller → probes → hub → graph (and recording, counters, streams); questions come in through
 * the API and are answered by `Backend`. A probe that cannot start takes away what it knows and
 * nothing else.
 */
import { hostname, release } from 'node:os';
import type { VersionInfo } from '../api/contract.js';
import { ApiServer } from '../api/server.js';
import { RECORDING_VERSION } from '../events/recording.js';
import { StateGraph } from '../graph/state-graph.js';
import { BootClock } from '../kernel/clock.js';
import { Kernel } from '../kernel/kernel.js';
import { Poller } from '../kernel/poller.js';
import { RunTimeMeter } from '../kernel/prog-stats.js';
import type { AgentMetrics } from '../metrics/registry.js';
import type { ProbeContext } from '../probes/probe.js';
import { SubprocessProbe } from '../probes/subprocess.js';
import { packageRules } from '../rules/directory.js';
import type { Surroundings } from '../rules/model.js';
import { messageOf, RefusedError, XctlError } from '../util/errors.js';
import type { Log } from '../util/log.js';
import { packageVersion } from '../util/version.js';
import { Backend } from './backend.js';
import { bpfDirectory } from './bpf-directory.js';
import { BuiltinProbes, NEED_BPF, NEED_NO_BPF } from './builtin-probes.js';
import type { AgentConfig } from './config.js';
import { agentChecks } from './doctor.js';
import { EventHub } from './event-hub.js';
import { MetricsServer } from './http-metrics.js';
import { metricSources } from './metric-sources.js';
import { ProbeSet } from './probe-set.js';
import { Recorder } from './record.js';
import { RuleStore } from './rule-store.js';

/** The event loop or the rings are stuck when nothing was read for so long. */
const STALLED_MS = 10_000;

export class Agent {
  readonly #config: AgentConfig;
  readonly #log: Log;
  readonly #clock = BootClock.now();
  readonly #graph = new StateGraph();
  readonly #hub: EventHub;
  readonly #probes: ProbeSet;
  readonly #subprocesses: SubprocessProbe[] = [];
  readonly #api: ApiServer;
  readonly #rules: RuleStore;
  /** What stop() undoes, last first. */
  readonly #undo: (() => void | Promise<void>)[] = [];
  #kernel: Kernel | undefined;
  #kernelFailure: string | undefined;
  #poller: Poller | undefined;
  #meter: RunTimeMeter | undefined;
  #builtin: BuiltinProbes | undefined;
  #recorder: Recorder | undefined;
  #metrics: AgentMetrics | undefined;
  #ready = false;

  constructor(config: AgentConfig, log: Log) {
    this.#config = config;
    this.#log = log;
    this.#hub = new EventHub(this.#graph, log);
    this.#probes = new ProbeSet(log);
    this.#rules = new RuleStore(config.rules ?? packageRules(), log);
    this.#api = new ApiServer({ socketPath: config.socket, backend: this.#backend(), log });
  }

  /**
   * Runs until `signal` aborts, then stops everything within two seconds.
   * @throws RefusedError another agent has the socket; UsageError the recording's file cannot be
   *   made; XctlError the metrics port is taken.
   */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await this.#start(signal);
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      });
    } catch (error) {
      // Told to stop while starting: that is no failure.
      if (!signal.aborted) throw error;
    } finally {
      await this.#stop();
    }
  }

  /** Reads the rule files again: SIGHUP. */
  reload(): void {
    void this.#rules.reload().catch((error: unknown) => {
      this.#log.error('reloading failed', { error: messageOf(error) });
    });
  }

  async #start(signal: AbortSignal): Promise<void> {
    await this.#api.start();
    await this.#startMetrics();
    await this.#startRecorder();
    await this.#startRules();
    if (this.#config.probes.some((name) => !NEED_NO_BPF.has(name))) await this.#openKernel(signal);
    await this.#startProbes(signal);
    await this.#startSubprocesses(signal);
    signal.throwIfAborted();
    this.#ready = true;
    const probes = Object.fromEntries(this.#probes.states().map(({ probe, state }) => [probe, state]));
    this.#log.info('ready', { socket: this.#config.socket, pid: process.pid, probes });
  }

  #backend(): Backend {
    return new Backend({
      graph: this.#graph,
      clock: this.#clock,
      nodeName: hostname(),
      version: () => this.#version(),
      look: (full) => this.#builtin?.look(full),
      healthy: () => this.#healthy(),
      checks: () =>
        agentChecks({
          kernel: this.#kernel,
          kernelFailure: this.#kernelFailure,
          poller: this.#poller,
          probes: this.#probes,
          graph: this.#graph,
          recorder: this.#recorder,
          rules: this.#rules,
        }),
      traceVerbs: async (seconds) => {
        if (this.#builtin === undefined) throw new RefusedError('the agent is only just starting');
        return this.#builtin.traceVerbs(seconds);
      },
      diagnose: (answer) => this.#rules.match(answer, this.#graph, this.#surroundings()),
      subscribe: (listener) => this.#hub.subscribe(listener),
      answered: (seconds) => this.#metrics?.observeWhy(seconds),
    });
  }

  /** What rules may ask of this node. */
  #surroundings(): Surroundings {
    const running = this.#probes.states().filter(({ up }) => up);
    return {
      kernel: release(),
      gpu: this.#graph.gpus.size > 0,
      rdma: (this.#graph.nodeCounts.get('rdma-port') ?? 0) > 0,
      // Of several programs each is one of its own: `subprocess 2`.
      probes: new Set(running.map(({ probe }) => probe.replace(/ \d+$/, ''))),
    };
  }

  #version(): VersionInfo {
    const libbpf = this.#kernel?.bpf.version ?? null;
    return { version: packageVersion(), node: process.version, libbpf, kernel: release() };
  }

  async #startMetrics(): Promise<void> {
    if (this.#config.metrics === undefined) return;
    // prom-client costs memory and start-up time that an agent without a metrics port does not owe.
    const { createMetrics } = await import('../metrics/registry.js');
    const metrics = createMetrics(
      metricSources({
        version: () => this.#version(),
        hub: this.#hub,
        graph: this.#graph,
        kernel: () => this.#kernel,
        meter: () => this.#meter,
        poller: () => this.#poller,
        probes: this.#probes,
        subprocesses: this.#subprocesses,
        recorder: () => this.#recorder,
        recording: this.#config.record !== undefined,
        api: this.#api,
        gpu: () => this.#builtin?.gpu,
        rdmaPorts: () => this.#builtin?.rdma?.ports,
        rules: this.#rules,
      }),
    );
    const pages = {
      contentType: metrics.contentType,
      render: () => metrics.render(),
      healthy: () => this.#healthy(),
      ready: () => this.#ready,
    };
    const server = new MetricsServer(this.#config.metrics, pages, this.#log);
    this.#metrics = metrics;
    this.#undo.push(() => metrics.stop());
    await server.start();
    this.#undo.push(() => server.stop());
  }

  async #startRecorder(): Promise<void> {
    if (this.#config.record === undefined) return;
    const recorder = new Recorder(this.#config.record, this.#log);
    await recorder.start({
      apiVersion: RECORDING_VERSION,
      kind: 'Recording',
      node: hostname(),
      agentVersion: packageVersion(),
      startedAt: new Date().toISOString(),
      bootEpochMs: this.#clock.bootEpochMs,
    });
    this.#recorder = recorder;
    const unsubscribe = this.#hub.subscribe((event) => recorder.write(event));
    this.#undo.push(async () => {
      unsubscribe();
      await recorder.stop();
    });
  }

  /** Before the first probe: what that one says is remembered too. */
  async #startRules(): Promise<void> {
    const rules = this.#rules;
    await rules.start();
    const unsubscribe = this.#hub.subscribe((event) => rules.observe(event));
    this.#undo.push(() => {
      unsubscribe();
      rules.stop();
    });
  }

  async #openKernel(signal: AbortSignal): Promise<void> {
    try {
      const kernel = await Kernel.open({ log: this.#log, bpfDir: bpfDirectory(), signal });
      const meter = new RunTimeMeter(kernel.bpf);
      this.#kernel = kernel;
      this.#meter = meter;
      this.#undo.push(() => kernel.stop());
      this.#undo.push(() => meter.stop());
    } catch (error) {
      signal.throwIfAborted();
      this.#kernelFailure = messageOf(error);
      this.#log.error('no BPF program can run', { error: this.#kernelFailure });
      for (const name of this.#config.probes)
        if (NEED_BPF.has(name)) this.#probes.refuse(name, this.#kernelFailure);
    }
  }

  async #startProbes(signal: AbortSignal): Promise<void> {
    const { sink } = this.#hub;
    const common = { clock: this.#clock, sink, log: this.#log, signal };
    const context: ProbeContext = { ...common, ...this.#rings() };
    const { nvml } = this.#config;
    const builtin = new BuiltinProbes(context, nvml === undefined ? {} : { nvml });
    this.#builtin = builtin;
    this.#undo.push(() => builtin.stop());
    const possible = this.#config.probes.filter((name) => this.#kernel !== undefined || !NEED_BPF.has(name));
    // Before the first: what one finds when it starts may be where another has to look.
    const unsubscribe = this.#hub.subscribe((event) => builtin.heed(event));
    for (const name of possible) await this.#probes.start(builtin.make(name), signal);
    const poller = this.#poller;
    if (poller !== undefined) {
      poller.start();
      this.#undo.push(() => poller.stop());
    }
    this.#undo.push(unsubscribe);
  }

  /** Where programs and their records come from. Without BPF there are none, and each probe says what that takes away. */
  #rings(): Pick<ProbeContext, 'kernel' | 'poller'> {
    const source = this.#kernel;
    if (source === undefined) {
      const reason = this.#kernelFailure ?? 'BPF is not used';
      const kernel = { load: () => Promise.reject(new XctlError(reason)) };
      return { kernel, poller: { on: () => {}, drainAll: () => 0 } };
    }
    // What a probe held back to keep events in order goes out after each pass over the rings.
    const poller = new Poller({ source, log: this.#log, onBatch: () => this.#probes.settle() });
    this.#poller = poller;
    return { kernel: source, poller };
  }

  async #startSubprocesses(signal: AbortSignal): Promise<void> {
    const { sink } = this.#hub;
    const eventNow = (): number => this.#clock.toEpochMs(this.#clock.nowNs());
    for (const [index, argv] of this.#config.subprocesses.entries()) {
      const probe = new SubprocessProbe({ argv, number: index + 1, sink, log: this.#log, eventNow });
      this.#subprocesses.push(probe);
      await this.#probes.start(probe, signal);
    }
  }

  #healthy(): boolean {
    return this.#poller === undefined || this.#poller.idleMs < STALLED_MS;
  }

  async #stop(): Promise<void> {
    this.#ready = false;
    // Both may take their time; together they take no longer than the slower one.
    await Promise.all([this.#api.stop(), this.#probes.stop()]);
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) {
      try {
        await undo();
      } catch (error) {
        this.#log.warn('stopping', { error: messageOf(error) });
      }
    }
  }
}
