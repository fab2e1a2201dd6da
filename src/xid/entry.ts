/** The shape of what is known of a code. The tables are in catalogue-*.ts, what to do in actions.ts. */
import type { FollowUp, Immediate } from './actions.js';

/**
 * Who is at fault when this code appears alone. `informational`: nobody. `unused`: drivers for GPUs since
 * Ampere do not report it.
 */
export type XidClass = 'hardware' | 'driver' | 'application' | 'informational' | 'unused';

/** `symptom`: something else went wrong first, and this is never to be named as the cause; see cause.ts. */
export type XidRole = 'cause' | 'symptom';

export interface XidEntry {
  /** Short, stable, unique: for labels and ids. */
  readonly name: string;
  readonly class: XidClass;
  readonly role: XidRole;
  /** One sentence, for somebody who has never seen the code. */
  readonly means: string;
  /** What brings the GPU back into service. */
  readonly immediate: Immediate;
  /** What finds out why, or keeps it from coming again. */
  readonly followUp: FollowUp;
}

export type XidTable = Readonly<Record<number, XidEntry>>;
