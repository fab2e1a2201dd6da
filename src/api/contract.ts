/** What the agent answers over its socket; shared by server, client and CLI. */
import type { Event } from '../events/event.js';
import type { DiagnosisInput } from '../rules/diagnosis-input.js';
import type { API_VERSION, Findings, WhyAnswer } from '../scene/answer.js';
import type { Check } from '../util/check.js';

export type { DiagnosisInput } from '../rules/diagnosis-input.js';
export type { Check } from '../util/check.js';

export interface ProcessRow {
  readonly pid: number;
  readonly ppid: number;
  readonly comm: string;
  /** The process's own main wait in words: `pipe:81234 (read)`, `running`, `poll of 12`. */
  readonly waitsFor: string;
  /** How long, ms; null when it runs. */
  readonly sinceMs: number | null;
  readonly threads: number;
  readonly job: string | null;
  readonly rank: number | null;
  readonly container: string | null;
  readonly state: 'running' | 'exited';
}

export interface ProcessList {
  readonly apiVersion: typeof API_VERSION;
  readonly node: string;
  readonly ts: string;
  readonly processes: readonly ProcessRow[];
}

export interface GraphNode {
  readonly id: string;
  readonly type: string;
  readonly attrs: Readonly<Record<string, string | number | boolean | null>>;
}

export interface GraphEdge {
  readonly kind: 'Consumes' | 'WaitsOn' | 'BlockedBy';
  readonly from: string;
  readonly to: string;
  readonly since: string;
}

export interface GraphView {
  readonly apiVersion: typeof API_VERSION;
  readonly node: string;
  readonly ts: string;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
}

export interface DoctorReport {
  readonly apiVersion: typeof API_VERSION;
  readonly node: string;
  readonly ts: string;
  readonly checks: readonly Check[];
}

export interface VersionInfo {
  readonly version: string;
  readonly node: string;
  readonly libbpf: string | null;
  readonly kernel: string;
}

/** The namespace that the asker's pids are numbers of: inode of /proc/self/ns/pid, 0 when unknown. */
export interface Asker {
  readonly pidNs: number;
}

/** A spell of `--rdma-trace`; `always`: the agent was started with it. */
export interface VerbsSpellView {
  readonly state: 'begun' | 'always';
  readonly seconds: number;
}

/** What the server needs from the agent. Failures are XctlError subclasses. */
export interface AgentBackend {
  version(): VersionInfo;
  healthy(): boolean;
  ps(): Promise<ProcessList>;
  /** @throws NoProcessError */
  why(pid: number, asker: Asker): Promise<WhyAnswer>;
  findings(): Promise<Findings>;
  /** The same answer, with the rules that hold for it. @throws NoProcessError */
  diagnosis(pid: number, asker: Asker): Promise<DiagnosisInput>;
  graph(): Promise<GraphView>;
  doctor(): Promise<DoctorReport>;
  /** Looks at what is posted to queue pairs for so long; what it finds is in events and answers. @throws UsageError RefusedError */
  traceVerbs(seconds: number): Promise<VerbsSpellView>;
  /** Events from now on; returns the way to stop. A slow reader is the server's matter. */
  subscribe(listener: (event: Event) => void): () => void;
}

/** Error body: `{ "error": { "code": "no-process", "message": "…" } }`. */
export interface ErrorBody {
  readonly error: {
    readonly code: 'no-process' | 'refused' | 'usage' | 'internal';
    readonly message: string;
  };
}
