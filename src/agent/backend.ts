/**
 * What the API answers from: looks at the kernel now, applies what it says to the graph, walks the
 * graph. Every answer is as old as the look that this file made for it.
 */
import type {
  AgentBackend,
  Asker,
  DiagnosisInput,
  DoctorReport,
  GraphView,
  ProcessList,
  VerbsSpellView,
  VersionInfo,
} from '../api/contract.js';
import type { Event } from '../events/event.js';
import { queuePairsOf } from '../graph/rdma.js';
import type { StateGraph } from '../graph/state-graph.js';
import type { BootClock } from '../kernel/clock.js';
import { isSame, processOfThread } from '../probes/proc.js';
import { API_VERSION, type Findings, type WhyAnswer } from '../scene/answer.js';
import { timeText } from '../scene/evidence.js';
import { findings } from '../scene/findings.js';
import { type AskOptions, why } from '../scene/why.js';
import type { Check } from '../util/check.js';
import { NoProcessError, RefusedError, type XctlError } from '../util/errors.js';
import { hostPid } from './pid-namespace.js';
import { graphView, processList } from './views.js';

export interface BackendParts {
  readonly graph: StateGraph;
  readonly clock: BootClock;
  /** Host name for answers. */
  readonly nodeName: string;
  readonly version: () => VersionInfo;
  /** Reads the rings, then the threads: `full` every one of them. Events are in the graph when it is done. */
  readonly look: (full: boolean) => Promise<void> | undefined;
  readonly healthy: () => boolean;
  readonly checks: () => readonly Check[];
  readonly traceVerbs: (seconds: number) => Promise<VerbsSpellView>;
  /** The rules that hold for an answer just given. */
  readonly diagnose: (answer: WhyAnswer) => Pick<DiagnosisInput, 'hits' | 'rules'>;
  readonly subscribe: (listener: (event: Event) => void) => () => void;
  /** How long an answer took, seconds; for /metrics. */
  readonly answered: (seconds: number) => void;
}

/** Without all of these nothing is known of processes, whatever the kernel log or the mounts say. */
const SEERS: ReadonlySet<string> = new Set(['probe process', 'probe tcp', 'probe waits']);

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
    await this.#parts.look(true);
    return { ...this.#head(), processes: processList(this.#parts.graph) };
  }

  /**
   * @throws NoProcessError also when the pid went to another process while the answer was made.
   * @throws RefusedError the process is there, but no probe tells of it.
   */
  async why(asked: number, asker: Asker): Promise<WhyAnswer> {
    const started = performance.now();
    const pid = hostPid(asked, asker.pidNs);
    const tgid = processOfThread(pid) ?? pid;
    const options = { ...this.#options(), ...(tgid !== pid && { tid: pid }) };
    const before = this.#startOf(tgid);
    await this.#parts.look(true);
    const answer = why(this.#parts.graph, tgid, options);
    if (answer === undefined) throw this.#unanswered(asked, tgid);
    const after = this.#startOf(tgid);
    const replaced = after !== undefined && processOfThread(tgid) !== undefined && !isSame(tgid, after);
    if (replaced || (before !== undefined && after !== undefined && before !== after)) {
      throw new NoProcessError(notFound(asked, true));
    }
    this.#parts.answered((performance.now() - started) / 1_000);
    return answer;
  }

  /** @throws NoProcessError RefusedError as `why` */
  async diagnosis(asked: number, asker: Asker): Promise<DiagnosisInput> {
    const answer = await this.why(asked, asker);
    const queuePairs = queuePairsOf(this.#parts.graph.process(answer.target.pid));
    return { ...this.#head(), answer, ...this.#parts.diagnose(answer), queuePairs };
  }

  /** @throws RefusedError no probe runs: an empty list would be taken for good news. */
  async findings(): Promise<Findings> {
    const started = performance.now();
    const { blind } = this.#sight();
    if (blind !== undefined) throw new RefusedError(`the agent sees nothing (${blind}); see xctl doctor`);
    await this.#parts.look(true);
    const list = findings(this.#parts.graph, this.#options());
    this.#parts.answered((performance.now() - started) / 1_000);
    return list;
  }

  async graph(): Promise<GraphView> {
    await this.#parts.look(true);
    return { ...this.#head(), ...graphView(this.#parts.graph) };
  }

  async doctor(): Promise<DoctorReport> {
    return { ...this.#head(), ts: timeText(Date.now()), checks: this.#parts.checks() };
  }

  traceVerbs(seconds: number): Promise<VerbsSpellView> {
    return this.#parts.traceVerbs(seconds);
  }

  subscribe(listener: (event: Event) => void): () => void {
    return this.#parts.subscribe(listener);
  }

  /** "No such process" is said only of one that is not there: an agent without its probes knows none. */
  #unanswered(asked: number, tgid: number): XctlError {
    if (processOfThread(tgid) === undefined) return new NoProcessError(notFound(asked, false));
    const missing = this.#sight().missing ?? 'it has only just started, or is a thread of the kernel';
    return new RefusedError(
      `process ${asked} is there, but nothing is known of it (${missing}); see xctl doctor`,
    );
  }

  /** `missing`: the first probe that does not run, with the reason; `blind`: the same, when no process is seen by any. */
  #sight(): { readonly missing?: string; readonly blind?: string } {
    const probes = this.#parts.checks().filter(({ name }) => /^(kernel|probe \w+)$/.test(name));
    const down = probes.find(({ status }) => status === 'failed' || status === 'off');
    if (down === undefined) return {};
    const missing = `${down.name}: ${down.detail}`;
    const seesSome = probes.some(
      ({ name, status }) => SEERS.has(name) && (status === 'ok' || status === 'degraded'),
    );
    return seesSome ? { missing } : { missing, blind: missing };
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
