/**
 * The attach ladder: which program fills each slot. It only ever climbs down, one refused rung at a
 * time and one slot at a time, and remembers why; the kernel is asked elsewhere (object-loader.ts).
 */
import { printable } from '../util/text.js';
import type { ProgramStatus, RungAttempt } from './program.js';
import type { Candidate, Slot } from './slots.js';

/** Why a rung was refused, without the rung. */
export type Refusal = Omit<RungAttempt, 'rung'>;

export interface Choice {
  readonly slot: string;
  readonly candidate: Candidate;
}

interface State {
  readonly slot: Slot;
  next: number;
  readonly attempts: RungAttempt[];
}

const REASON_MAX = 300;

export class Ladder {
  readonly #states: readonly State[];

  constructor(slots: readonly Slot[]) {
    this.#states = slots.map((slot) => ({ slot, next: 0, attempts: [] }));
  }

  /** The present rung of every slot that has one left. */
  choices(): Choice[] {
    return this.#states.flatMap(({ slot, next }) => {
      const candidate = slot.candidates[next];
      return candidate === undefined ? [] : [{ slot: slot.name, candidate }];
    });
  }

  /** The slot's present rung was refused; the next one takes its place. @returns false when none is left. */
  refuse(slot: string, refusal: Refusal): boolean {
    const state = this.#states.find((s) => s.slot.name === slot);
    const candidate = state?.slot.candidates[state.next];
    if (state === undefined || candidate === undefined) return false;
    const reason = printable(refusal.reason, REASON_MAX);
    state.attempts.push({ ...refusal, reason, rung: candidate.rung });
    state.next++;
    return state.next < state.slot.candidates.length;
  }

  /** Climbs down wherever `judge` says that the present rung cannot work. */
  prune(judge: (candidate: Candidate) => Refusal | undefined): void {
    for (const { slot } of this.#states) {
      for (;;) {
        const choice = this.choices().find((c) => c.slot === slot.name);
        const refusal = choice === undefined ? undefined : judge(choice.candidate);
        if (refusal === undefined) break;
        this.refuse(slot.name, refusal);
      }
    }
  }

  /** @param attached slots that are in use now. */
  statuses(object: string, attached: ReadonlySet<string>): ProgramStatus[] {
    return this.#states.map(({ slot, next, attempts }) => {
      const rung = slot.candidates[next]?.rung ?? null;
      return {
        object,
        slot: slot.name,
        rung,
        attached: rung !== null && attached.has(slot.name),
        reason: summary(attempts),
        attempts: [...attempts],
      };
    });
  }
}

function summary(attempts: readonly RungAttempt[]): string | null {
  if (attempts.length === 0) return null;
  return attempts.map((a) => `${a.rung}: ${a.reason}`).join('; ');
}
