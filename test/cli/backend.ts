/** An agent without a kernel under it: says what it is told to say. */
import type {
  AgentBackend,
  Asker,
  DiagnosisInput,
  DoctorReport,
  GraphView,
  ProcessList,
  VerbsSpellView,
  VersionInfo,
} from '../../src/api/contract.js';
import type { Event } from '../../src/events/event.js';
import type { RuleSetState } from '../../src/rules/model.js';
import type { Findings, WhyAnswer } from '../../src/scene/answer.js';
import { NoProcessError } from '../../src/util/errors.js';
import { DOCTOR, FINDINGS, GRAPH, PS, VERSION, WHY } from './answers.js';

const NO_RULES: RuleSetState = {
  directory: null,
  loadedAt: WHY.ts,
  rules: 0,
  files: [],
  refused: [],
};

export class ScriptedBackend implements AgentBackend {
  readonly asked: { readonly pid: number; readonly asker: Asker }[] = [];
  /** Seconds that posts were to be looked at. */
  readonly traced: number[] = [];
  readonly #listeners = new Set<(event: Event) => void>();
  answers: {
    ps: ProcessList;
    findings: Findings;
    graph: GraphView;
    doctor: DoctorReport;
    version: VersionInfo;
    why: (pid: number) => Promise<WhyAnswer>;
    diagnosis: (pid: number) => Promise<DiagnosisInput>;
    traceVerbs: (seconds: number) => Promise<VerbsSpellView>;
  } = {
    ps: PS,
    findings: FINDINGS,
    graph: GRAPH,
    doctor: DOCTOR,
    version: VERSION,
    why: async (pid) => {
      if (pid === WHY.target.pid) return WHY;
      throw new NoProcessError(`no process ${pid}`);
    },
    diagnosis: async (pid) => {
      const answer = await this.answers.why(pid);
      const { apiVersion, node, ts } = answer;
      return { apiVersion, node, ts, answer, hits: [], rules: NO_RULES, queuePairs: 0 };
    },
    traceVerbs: async (seconds) => ({ state: 'begun', seconds }),
  };
  isHealthy = true;

  version(): VersionInfo {
    return this.answers.version;
  }

  healthy(): boolean {
    return this.isHealthy;
  }

  async ps(): Promise<ProcessList> {
    return this.answers.ps;
  }

  why(pid: number, asker: Asker): Promise<WhyAnswer> {
    this.asked.push({ pid, asker });
    return this.answers.why(pid);
  }

  diagnosis(pid: number, asker: Asker): Promise<DiagnosisInput> {
    this.asked.push({ pid, asker });
    return this.answers.diagnosis(pid);
  }

  async findings(): Promise<Findings> {
    return this.answers.findings;
  }

  async graph(): Promise<GraphView> {
    return this.answers.graph;
  }

  async doctor(): Promise<DoctorReport> {
    return this.answers.doctor;
  }

  traceVerbs(seconds: number): Promise<VerbsSpellView> {
    this.traced.push(seconds);
    return this.answers.traceVerbs(seconds);
  }

  subscribe(listener: (event: Event) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  get subscribers(): number {
    return this.#listeners.size;
  }

  say(event: Event): void {
    for (const listener of this.#listeners) listener(event);
  }
}
