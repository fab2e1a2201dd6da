/** What `xctl diag PID` starts from: the answer, the rules that hold for it, and which rules there are. */
import type { API_VERSION, WhyAnswer } from '../scene/answer.js';
import type { RuleHit, RuleSetState } from './model.js';

export interface DiagnosisInput {
  readonly apiVersion: typeof API_VERSION;
  /** Host name. */
  readonly node: string;
  /** RFC 3339. */
  readonly ts: string;
  readonly answer: WhyAnswer;
  /** For the answer's own finding first, then for its alternatives; by priority. */
  readonly hits: readonly RuleHit[];
  readonly rules: RuleSetState;
  /** RDMA: those that it has now. */
  readonly queuePairs: number;
}
