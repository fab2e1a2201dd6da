/**
 * What a rule is: as it is written in a file (docs/rules.md, rules/schema.json), and what comes out when
 * it holds for an answer. A rule names no new cause: it recognises what the graph found, adds what the
 * events of the last minutes or days say about it, and knows what to do.
 */
import type { Evidence, Scene } from '../scene/answer.js';

/** One file: `rules:`, a list. */
export interface RuleDocument {
  readonly apiVersion: 'xctl/v1';
  readonly rules: readonly Rule[];
}

export interface Rule {
  /** Unique over all files: `nccl-peer-stopped`. */
  readonly name: string;
  /** One line for lists. */
  readonly title: string;
  /** It is only asked about findings of these scenes. */
  readonly scene: Scene | readonly Scene[];
  /** And of these sub-scenes, where given. */
  readonly subScene?: string | readonly string[];
  /** 0 to 100: of several rules that hold, the highest is told first. */
  readonly priority: number;
  /** Absent: scene and sub-scene say it all. */
  readonly when?: Condition;
  /** One sentence, with placeholders: `{cause.id} is full`. */
  readonly rootCause: string;
  /** What to do, in order, what only reads first. */
  readonly steps: readonly Step[];
  /** Events that belong to the story: the last of each is shown where there was one. */
  readonly evidence?: readonly EventSelector[];
  /** Where it makes sense at all. What is not known is no reason against it. */
  readonly applies?: Applicability;
  /** Where it is written up, for people. */
  readonly references?: readonly string[];
}

export interface Step {
  /** With placeholders, as are the words of `run`. */
  readonly text: string;
  /** A command as its words; nobody gives it to a shell. */
  readonly run?: readonly string[];
  /** Of the step. Absent: `read-only`. */
  readonly risk?: Risk;
}

export const RISKS = ['read-only', 'disruptive', 'destructive'] as const;
/** `disruptive`: somebody's work is interrupted. `destructive`: something is lost for good. */
export type Risk = (typeof RISKS)[number];

export interface Applicability {
  /** `>=5.15 <6.9`: of the running kernel. */
  readonly kernel?: string;
  /** The node has (or has not) a GPU; an RDMA device. */
  readonly gpu?: boolean;
  readonly rdma?: boolean;
  /** These probes run: without them its conditions would never be seen. */
  readonly probes?: readonly string[];
}

/** Exactly one key each. */
export type Condition =
  | { readonly all: readonly Condition[] }
  | { readonly any: readonly Condition[] }
  | { readonly not: Condition }
  /** The other rule holds for the same finding, its scene included. */
  | { readonly rule: string }
  | { readonly finding: FindingTest }
  | { readonly node: NodeTest }
  | { readonly edge: EdgeTest }
  | { readonly event: EventTest };

/** `*` stands for any run of characters, the rest for itself, from the first to the last character. */
export type Glob = string;
/** `500ms`, `30s`, `10m`, `24h`, `7d`. */
export type DurationText = string;

/** What the answer says of the finding as a whole. */
export interface FindingTest {
  readonly verdict?: OneOrMore<'cause-found' | 'symptom-only'>;
  readonly subScene?: OneOrMore<string>;
  readonly confidence?: Range;
  /** Type of the root cause's node: `process`, `peer`, `block-device`, `gpu`, … */
  readonly causeType?: OneOrMore<string>;
  readonly cause?: OneOrMore<Glob>;
  /** What ails the cause: `latency`, `full`, `xid-79`, …: the end of the chain, `error:WHAT/…`. */
  readonly ailment?: OneOrMore<Glob>;
  /** The cause is the asked process itself. */
  readonly own?: boolean;
  /** Name of the asked process. */
  readonly comm?: OneOrMore<Glob>;
  readonly state?: 'running' | 'exited';
  readonly links?: Range;
}

/** Some node of the chain. */
export interface NodeTest {
  /** `chain` (the default): any node of it, target and cause included. */
  readonly on?: 'chain' | 'target' | 'cause';
  readonly type?: OneOrMore<string>;
  readonly id?: OneOrMore<Glob>;
  /** As `xctl graph -o json` shows them (graph/attributes.ts). */
  readonly attrs?: FieldTests;
  /** Its name in texts: `{NAME.id}`. */
  readonly as?: string;
}

/** Some link of the chain. */
export interface EdgeTest {
  readonly kind?: 'Consumes' | 'WaitsOn' | 'BlockedBy';
  readonly from?: NodeTest;
  readonly to?: NodeTest;
  /** How long it has been so, ms. */
  readonly sinceMs?: Range;
  readonly note?: OneOrMore<Glob>;
}

/** Which events, about what, how long ago. */
export interface EventSelector {
  /** Of the catalogue (docs/facts.md), or what a `--probe` program writes. */
  readonly type: OneOrMore<string>;
  /**
   * `chain` (the default): of any node of the chain, target and cause included. `node`: of anything on this
   * machine.
   */
  readonly about?: 'chain' | 'target' | 'cause' | 'node';
  readonly entity?: OneOrMore<Glob>;
  /** By attribute: `class`, `flow.backoff`; `value` is the event's own number. */
  readonly where?: FieldTests;
  /** How far back. Absent: 10m. */
  readonly within?: DurationText;
}

/** Without count, rate, value or recurs: there was one. Several: all of them hold. */
export interface EventTest extends EventSelector {
  /** How many in `within`. */
  readonly count?: Range;
  /** How many a second, over `within`. */
  readonly ratePerSecond?: Range;
  /** A number of the events in `within`. */
  readonly value?: Range & {
    /** Absent: the event's own number. */
    readonly of?: string;
    /** `growth`: of the last over the first. Absent: `last`. */
    readonly how?: Statistic;
  };
  /** It came, went and came again: N times in `within`. */
  readonly recurs?: {
    readonly times: number;
    /** Closer together they are one time. Absent: 1m. */
    readonly apart?: DurationText;
  };
  /** Its name in texts: `{NAME.count}`, `{NAME.value}`, `{NAME.entity}`. */
  readonly as?: string;
}

export const STATISTICS = ['last', 'min', 'max', 'mean', 'sum', 'growth'] as const;
export type Statistic = (typeof STATISTICS)[number];

export type OneOrMore<T> = T | readonly T[];

/** At least one key; `min` and `max` include the number itself, `above` and `below` do not. */
export interface Range {
  readonly min?: number;
  readonly max?: number;
  readonly above?: number;
  readonly below?: number;
}

export type Scalar = string | number | boolean;
/** A value (text may hold `*`), one of several, or bounds; `has: false`: it is absent. `not`: none of these. */
export type FieldTest =
  | Scalar
  | readonly Scalar[]
  | (Range & { readonly not?: OneOrMore<Scalar>; readonly has?: boolean });
/** By path: `class`, `flow.backoff`, `links.up` (through a list: any of its members). */
export type FieldTests = Readonly<Record<string, FieldTest>>;

/** Where a rule stands, for messages. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** A rule that holds for one of an answer's findings. */
export interface RuleHit {
  readonly rule: string;
  readonly title: string;
  /** `gpu.yaml:12` */
  readonly source: string;
  readonly priority: number;
  /** Which finding it explains: 0 the answer's own, n `alternatives[n - 1]`. */
  readonly finding: number;
  readonly scene: Scene;
  readonly subScene: string | null;
  /** The finding's. */
  readonly confidence: number;
  readonly rootCause: string;
  readonly steps: readonly HitStep[];
  /** Those that held, in the order of the rule. */
  readonly conditions: readonly HeldCondition[];
  /** Facts beside the answer's own evidence, `r1`, `r2`, …: numbered over all hits of one answer. */
  readonly evidence: readonly Evidence[];
  /** Ids (`e…`, `r…`) of facts that belong to the story without being a condition of it. */
  readonly related: readonly string[];
  readonly references: readonly string[];
  /** What it would need to be certain to apply here and what is not known: `kernel >=5.15`. */
  readonly unchecked: readonly string[];
}

export interface HitStep {
  readonly text: string;
  /** Null: none was given, or it could not be filled in safely. */
  readonly run: readonly string[] | null;
  readonly risk: Risk;
}

export interface HeldCondition {
  /** In words: `3 × error.xid about gpu:0 within 24h`. */
  readonly text: string;
  /** What was measured against the bound; null where there is no number in it. */
  readonly value: number | null;
  /** Ids of evidence, the answer's (`e1`) or the hit's (`r1`). */
  readonly evidence: readonly string[];
}

/** What a set of rule files came to: for doctor, `xctl rules` and `xctl diag`. */
export interface RuleSetState {
  /** Null: none was named, and the package has none. */
  readonly directory: string | null;
  /** RFC 3339. */
  readonly loadedAt: string;
  readonly rules: number;
  readonly files: readonly string[];
  readonly refused: readonly RefusedFile[];
}

export interface RefusedFile {
  readonly file: string;
  /** `gpu.yaml:12:5: …`, one line each. */
  readonly errors: readonly string[];
}

/** What of the node is known where rules are matched; absent: not known. */
export interface Surroundings {
  /** `6.1.0-18-amd64` */
  readonly kernel?: string;
  readonly gpu?: boolean;
  readonly rdma?: boolean;
  /** Those that run. */
  readonly probes?: ReadonlySet<string>;
}
