/** What it takes to evaluate a condition, and what comes out when it holds. */
import type { Fact } from '../graph/model.js';
import type { ChainNode, Subject } from './chain.js';
import type { RuleMemory } from './memory.js';

/** What a text may say of the node or the events that a condition named by `as`. */
export type Binding =
  | { readonly kind: 'node'; readonly node: ChainNode }
  | { readonly kind: 'event'; readonly entity: string; readonly count: string; readonly value: number };

export interface HeldPart {
  readonly text: string;
  readonly value: number | null;
  /** Of the answer's evidence. */
  readonly ids: readonly string[];
  /** Remembered by the rules; they may be evidence of the answer too. */
  readonly facts: readonly Fact[];
}

export interface Held {
  readonly parts: readonly HeldPart[];
  readonly bindings: readonly (readonly [string, Binding])[];
}

export interface Look {
  readonly memory: RuleMemory;
  /** Event time. */
  readonly now: number;
  /** Whether another rule holds for the same finding. */
  readonly rule: (name: string) => Held | undefined;
}

/** Undefined: it does not hold. */
export type Evaluate = (subject: Subject, look: Look) => Held | undefined;

export function held(part: HeldPart, as?: string, binding?: Binding): Held {
  return { parts: [part], bindings: as === undefined || binding === undefined ? [] : [[as, binding]] };
}

export function together(all: readonly Held[]): Held {
  return { parts: all.flatMap(({ parts }) => parts), bindings: all.flatMap(({ bindings }) => bindings) };
}
