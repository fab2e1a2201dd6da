/** Events by type, counted on the hot path: an array slot each, and no label hashing. */
import { EVENT_TYPES } from '../events/catalogue.js';
import type { Event, EventType } from '../events/event.js';

export class EventTotals {
  readonly #slots: ReadonlyMap<EventType, number> = new Map(EVENT_TYPES.map((type, slot) => [type, slot]));
  readonly #totals = new Float64Array(EVENT_TYPES.length);

  observe(event: Event): void {
    const slot = this.#slots.get(event.type);
    if (slot !== undefined) this.#totals[slot] = (this.#totals[slot] ?? 0) + 1;
  }

  /** Every type of the catalogue, also those that never came. */
  *[Symbol.iterator](): Generator<readonly [EventType, number], void, undefined> {
    for (const [type, slot] of this.#slots) yield [type, this.#totals[slot] ?? 0];
  }
}
