/** An agent without a kernel under it: says what it is told to say. */
import type {
  AgentBackend,
  Asker,
  DoctorReport,
  GraphView,
  ProcessList,
  VersionInfo,
} from '../../src/api/contract.js';
import type { Event } from '../../src/events/event.js';
import type { Findings, WhyAnswer } from '../../src/scene/answer.js';
import { NoProcessError } from '../../src/util/errors.js';
import { DOCTOR, FINDINGS, GRAPH, PS, VERSION, WHY } from './answers.js';

export class ScriptedBackend implements AgentBackend {
  readonly asked: { readonly pid: number; readonly asker: Asker }[] = [];
  readonly #listeners = new Set<(event: Event) => void>();
  answers: {
    ps: ProcessList;
    findings: Findings;
    graph: GraphView;
    doctor: DoctorReport;
    version: VersionInfo;
    why: (pid: number) => Promise<WhyAnswer>;
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

  async findings(): Promise<Findings> {
    return this.answers.findings;
  }

  async graph(): Promise<GraphView> {
    return this.answers.graph;
  }

  async doctor(): Promise<DoctorReport> {
    return this.answers.doctor;
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
