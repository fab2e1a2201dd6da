/** What a probe is: a source of events that the agent starts, asks how it is, and stops. */
import type { EventSink, ProbeName } from '../events/event.js';
import type { BootClock } from '../kernel/clock.js';
import type { LoadedObject, RecordHandler } from '../kernel/program.js';
import type { Check } from '../util/check.js';
import type { Log } from '../util/log.js';

export interface Probe {
  readonly name: ProbeName;
  /**
   * Attaches and reports what is there already. A probe that this kernel allows in part starts and
   * says so in `checks()`.
   * @throws when nothing of it works; the other probes go on.
   */
  start(): Promise<void>;
  /** Detaches, ends timers, forgets. Safe to call twice and before `start()`. */
  stop(): void | Promise<void>;
  /** What works and what was taken away, for `xctl doctor`. */
  checks(): readonly Check[];
  /** What it could not see, by reason; each reason also at 0. A subprocess's are told apart (SubprocessTotals). */
  lost?(): Readonly<Record<string, number>>;
  /** Called after the rings were drained: gives out what was held back to keep events in order. */
  settle?(): void;
}

/** What a probe may use. The types are what is needed of `Kernel` and `Poller`, so that tests can stand in. */
export interface ProbeContext {
  readonly kernel: { load(name: string): Promise<LoadedObject> };
  readonly poller: {
    on(kind: number, handler: RecordHandler): void;
    /** Gives everything that is in the rings now to its handlers. */
    drainAll(): number;
  };
  readonly clock: BootClock;
  readonly sink: EventSink;
  readonly log: Log;
  readonly signal: AbortSignal;
}
