/** What `xctl diag PID -o json` prints: a contract that others script against (docs/diag.md). */
import type { Risk, RuleHit } from '../rules/model.js';
import type { API_VERSION, WhyAnswer } from '../scene/answer.js';
import type { CaseHit } from './case.js';

export interface Diagnosis {
  readonly apiVersion: typeof API_VERSION;
  readonly node: string;
  readonly ts: string;
  readonly target: WhyAnswer['target'];
  /** Who explains it. `graph`: nobody but `xctl why` itself. */
  readonly answeredBy: 'rules' | 'knowledge' | 'model' | 'graph';
  /** One sentence: the rule's, the case's or the model's cause, else the answer's own summary. */
  readonly cause: string;
  /** What to do, in order. */
  readonly steps: readonly DiagnosisStep[];
  /** The deterministic answer, whoever else has spoken. */
  readonly why: WhyAnswer;
  /** Who was asked, in this order: rules, knowledge, qdrant, model. */
  readonly sources: readonly SourceReport[];
  /** The first is the one that answers. */
  readonly rules: readonly RuleHit[];
  readonly cases: readonly CaseHit[];
  readonly model: ModelAnswer | null;
  /** What it posted while it was asked about; null where that was not looked at. */
  readonly posts: PostsSeen | null;
}

/** RDMA: verbs of a process for some seconds. Programs that go past libibverbs post without being seen. */
export interface PostsSeen {
  readonly windowMs: number;
  /** That it has, and to how many of them it posted. */
  readonly queuePairs: number;
  readonly postedTo: number;
  /** Work requests, and their bytes. */
  readonly posts: number;
  readonly bytes: number;
  /** Posted and not completed; null where the driver does not tell (all but Soft-RoCE). */
  readonly outstanding: number | null;
  /** Events that came too fast for this reader: then the counts are too low. */
  readonly missed: number;
  /** Why nothing was seen; null when it was looked at. */
  readonly refused: string | null;
}

export interface DiagnosisStep {
  readonly text: string;
  /** A command as its words; only rules give any. */
  readonly run: readonly string[] | null;
  /** Null: nobody has said. */
  readonly risk: Risk | null;
}

export type Source = 'rules' | 'knowledge' | 'qdrant' | 'model';

export interface SourceReport {
  readonly source: Source;
  /**
   * `used`: it answers. `no-hit`: it has nothing on this. `not-asked`: another one had answered already, or
   * nothing is wrong. `not-configured`: `detail` says how it would be. `failed`: `detail` says why.
   */
  readonly state: 'used' | 'no-hit' | 'not-asked' | 'not-configured' | 'failed';
  readonly detail: string;
}

/** What a model made of the evidence: a reading, never a proof. */
export interface ModelAnswer {
  /** `gpt-x at api.example.com` */
  readonly model: string;
  readonly cause: Claim;
  readonly claims: readonly Claim[];
  /** What to look at next, in prose; commands of a model are never shown. */
  readonly checks: readonly string[];
  /** Sentences left out because they hold a command, a link or more than prose needs. */
  readonly withheld: number;
}

export interface Claim {
  readonly text: string;
  /** Ids of `why.evidence`. */
  readonly evidence: readonly string[];
  /** Cites nothing: a guess. */
  readonly hypothesis: boolean;
}
