/** What a walk through the graph finds, before it is put into words for an answer. */
import type { EdgeKind, Fact, GraphNode, Thread } from '../graph/model.js';
import type { Scene } from './answer.js';

/** One step of a chain. */
export interface Link {
  readonly from: GraphNode;
  readonly edge: EdgeKind;
  readonly to: GraphNode;
  /** Event time, ms. */
  readonly since: number;
  readonly facts: readonly Fact[];
  readonly tid?: number;
  readonly note: string;
}

/** A node with a fault of its own: where a walk ends well. */
export interface Fault {
  readonly node: GraphNode;
  readonly scene: Scene;
  readonly subScene: string | null;
  /** One clause: "no ACK from 10.0.0.2 for 12.4 s: 5 timeouts in a row, 1,234 bytes unacked". */
  readonly summary: string;
  readonly confidence: number;
  /** Event time (ms) at which the fault began. */
  readonly began: number;
  readonly facts: readonly Fact[];
  readonly recommendations: readonly string[];
  /**
   * `hard`: shown by the node's own state (timeouts, stopped, deadlock). `soft`: nothing is wrong
   * with the node but that others wait for it (it sleeps, computes, waits for input).
   */
  readonly strength: 'hard' | 'soft';
  /** What is wrong with the node, where that is more than its name: the chain ends `node BlockedBy error:WHAT/node`. */
  readonly ails?:
    | 'latency'
    | 'not-responding'
    | 'unreachable'
    | 'io-error'
    | 'gone'
    | 'read-only'
    | 'shut-down'
    | 'full'
    | 'cpu'
    | 'memory'
    | 'quota'
    | GpuAilment
    | RdmaAilment;
}

export type GpuAilment =
  | `xid-${number}`
  | `sxid-${number}`
  | 'lost'
  | 'hung'
  | 'ecc'
  | 'remap-pending'
  | 'remap-failed'
  | 'nvlink'
  | 'unavailable'
  | 'throttle'
  | 'out-of-memory';

export type RdmaAilment =
  | 'no-answer'
  | 'retry-exceeded'
  | 'rnr'
  | 'port-down'
  | 'link-flapping'
  | 'device-fatal'
  | 'loss'
  | 'retries'
  | 'congestion'
  | 'qp-error'
  | 'connect';

export type Outcome =
  | { readonly kind: 'fault'; readonly fault: Fault; readonly links: readonly Link[] }
  /** Runs, or ran between two samples. */
  | { readonly kind: 'running'; readonly links: readonly Link[] }
  /** Sleeps because it was written so: event loop, idle worker, timer. */
  | { readonly kind: 'by-design'; readonly what: string; readonly links: readonly Link[] }
  /** Waits for something that others decide, and who is not known on this node. */
  | {
      readonly kind: 'symptom';
      readonly scene: Scene;
      readonly subScene: string | null;
      /** Put into words only if it is the answer: a walk ends in many that are not. */
      readonly summary: () => string;
      readonly needs: string;
      readonly confidence: number;
      readonly links: readonly Link[];
    }
  /** Waits, and nothing tells for what. */
  | {
      readonly kind: 'unknown';
      readonly summary: () => string;
      readonly needs: string;
      /** The walk ended at its own bounds: nothing may be concluded from what it did not see. */
      readonly cutOff?: true;
      readonly links: readonly Link[];
    };

/** A continuous wait: how long the last two or more samples agree on, ms; 0 for a single sample. */
export function waitedMs(thread: Thread): number {
  return Math.max(0, thread.seenTs - thread.wait.attrs.since);
}

/** The present wait of a thread as evidence, with the length it has by now. */
export function waitFact(thread: Thread): Fact {
  const { wait } = thread;
  return {
    ts: thread.seenTs,
    type: wait.type,
    probe: wait.probe,
    entity: wait.entity,
    value: wait.type === 'wait.run' ? wait.attrs.runMs : waitedMs(thread),
  };
}
