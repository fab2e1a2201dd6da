/** Where every event passes: counted, put into the graph, recorded, and given to who listens. */
import type { Event } from '../events/event.js';
import type { StateGraph } from '../graph/state-graph.js';
import { EventTotals } from '../metrics/event-totals.js';
import { messageOf } from '../util/errors.js';
import type { Log } from '../util/log.js';

type Listener = (event: Event) => void;

export class EventHub {
  readonly totals = new EventTotals();
  /** As probes take it: never throws. */
  readonly sink: Listener = (event) => this.#take(event);
  readonly #apply: Listener;
  readonly #log: Log;
  readonly #listeners = new Set<Listener>();
  #failures = 0;

  constructor(graph: StateGraph, log: Log) {
    this.#apply = (event) => graph.apply(event);
    this.#log = log.child({ component: 'events' });
  }

  /** Events that the graph or a listener failed on. */
  get failures(): number {
    return this.#failures;
  }

  /** @returns ends the subscription */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #take(event: Event): void {
    this.totals.observe(event);
    this.#guarded(event, this.#apply);
    // Recorded and streamed also when the graph failed on it: that is how the failure can be replayed.
    for (const listener of this.#listeners) this.#guarded(event, listener);
  }

  #guarded(event: Event, take: Listener): void {
    try {
      take(event);
    } catch (error) {
      this.#failures++;
      // The first of each power of two: an error in every event must not flood the log.
      if ((this.#failures & (this.#failures - 1)) !== 0) return;
      this.#log.error('event failed', {
        type: event.type,
        error: messageOf(error),
        stack: error instanceof Error ? error.stack : undefined,
        count: this.#failures,
      });
    }
  }
}
