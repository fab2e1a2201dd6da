/**
 * What the API answers from: looks at the kernel now, applies what it says to the graph, walks the
 * graph. Every answer is as old as the look that this file made for it.
 */
import type {
  AgentBackend,
  Asker,
  DoctorReport,
  GraphView,
  ProcessList,
  VersionInfo,
} from '../api/contract.js';
import type { Event } from '../events/event.js';
import type { StateGraph } from '../graph/state-graph.js';
import type { BootClock } from '../kernel/clock.js';
import { isSame, processOfThread } from '../probes/proc.js';
import { API_VERSION, type Findings, type WhyAnswer } from '../scene/answer.js';
import { timeText } from '../scene/evidence.js';
import { findings } from '../scene/findings.js';
import { type AskOptions, why } from '../scene/why.js';
import type { Check } from '../util/check.js';
import { NoProcessError } from '../util/errors.js';
import { hostPid } from './pid-namespace.js';
import { graphView, processList } from './views.js';

export interface BackendParts {
  readonly graph: StateGraph;
  readonly clock: BootClock;
  /** Host name for answers. */
  readonly nodeName: string;
  readonly version: () => VersionInfo;
  /** Reads the rings, then the threads: `full` every one of them. Events are in the graph when it returns. */
  readonly look: (full: boolean) => void;
  readonly healthy: () => boolean;
  readonly checks: () => readonly Check[];
  readonly subscribe: (listener: (event: Event) => void) => () => void;
  /** How long an answer took, seconds; for /metrics. */
  readonly answered: (seconds: number) => void;
}

export class Backend implements AgentBackend {
  readonly #parts: BackendParts;

  constructor(parts: BackendParts) {
    this.#parts = parts;
  }

  version(): VersionInfo {
    return this.#parts.version();
  }

  healthy(): boolean {
    return this.#parts.healthy();
  }

  async ps(): Promise<ProcessList> {
    this.#parts.look(true);
    return { ...this.#head(), processes: processList(this.#parts.graph) };
  }

  /** @throws NoProcessError also when the pid went to another process while the answer was made. */
  async why(asked: number, asker: Asker): Promise<WhyAnswer> {
    const started = performance.now();
    const pid = hostPid(asked, asker.pidNs);
    const tgid = processOfThread(pid) ?? pid;
    const options = { ...this.#options(), ...(tgid !== pid && { tid: pid }) };
    const before = this.#startOf(tgid);
    this.#parts.look(true);
    const answer = why(this.#parts.graph, tgid, options);
    if (answer === undefined) throw new NoProcessError(notFound(asked, false));
    const after = this.#startOf(tgid);
    const replaced = after !== undefined && processOfThread(tgid) !== undefined && !isSame(tgid, after);
    if (replaced || (before !== undefined && after !== undefined && before !== after)) {
      throw new NoProcessError(notFound(asked, true));
    }
    this.#parts.answered((performance.now() - started) / 1_000);
    return answer;
  }

  async findings(): Promise<Findings> {
    const started = performance.now();
    this.#parts.look(true);
    const list = findings(this.#parts.graph, this.#options());
    this.#parts.answered((performance.now() - started) / 1_000);
    return list;
  }

  async graph(): Promise<GraphView> {
    this.#parts.look(true);
    return { ...this.#head(), ...graphView(this.#parts.graph) };
  }

  async doctor(): Promise<DoctorReport> {
    return { ...this.#head(), ts: timeText(Date.now()), checks: this.#parts.checks() };
  }

  subscribe(listener: (event: Event) => void): () => void {
    return this.#parts.subscribe(listener);
  }

  #startOf(pid: number): number | undefined {
    const process = this.#parts.graph.process(pid);
    return process === undefined || process.exit !== undefined ? undefined : process.start;
  }

  #options(): AskOptions {
    return { node: this.#parts.nodeName, bootMs: this.#parts.clock.bootEpochMs };
  }

  #head() {
    return {
      apiVersion: API_VERSION,
      node: this.#parts.nodeName,
      ts: timeText(this.#parts.graph.now),
    } as const;
  }
}

function notFound(pid: number, reused: boolean): string {
  return reused
    ? `process ${pid} ended while the question was answered, and its pid is another's now`
    : `no process ${pid}, now or in the last ten minutes; xctl ps lists those there are`;
}
