/**
 * Empties both rings, by a timer: a wake-up a record would cost the workload an interrupt and the
 * agent a system call, and Node cannot watch the file descriptor anyway. The pause follows the load.
 */
import { untilBeatMs } from '../util/beat.js';
import { messageOf, XctlError } from '../util/errors.js';
import type { Log } from '../util/log.js';
import { XctlHdrLayout, XctlKindNames } from './abi.generated.js';
import type { RecordHandler } from './program.js';
import type { Ring } from './ring.js';

/** What the poller reads from; a `Kernel` is one. */
export interface RecordSource {
  readonly events: Ring;
  readonly critical: Ring;
  lost(): Readonly<Record<string, number>>;
}

export interface PollerOptions {
  readonly source: RecordSource;
  readonly log: Log;
  /** Longest pause between two passes; 500 ms. A question does not wait for it: `drainAll()`. */
  readonly restMs?: number;
  /** Called after each pass that gave at least one record, e.g. to let the graph settle. */
  readonly onBatch?: (records: number) => void;
}

/** Totals since the start. */
export interface PollerStats {
  /** By name of the kind, `tcp_retransmit`. */
  readonly records: Readonly<Record<string, number>>;
  /** Records that nobody asked for, by kind. */
  readonly unhandled: Readonly<Record<string, number>>;
  /** Records of a kind this agent does not know. */
  readonly unknownKinds: number;
  /** Records whose header contradicts their length in the ring. */
  readonly malformed: number;
  /** Handlers that threw. */
  readonly handlerErrors: number;
  /** By reason, as `Kernel.lost()`. */
  readonly lost: Readonly<Record<string, number>>;
}

const KINDS = 256;
/** One pass stops here to let the event loop breathe: some ten milliseconds of work. */
const PASS_RECORDS = 32_768;
/**
 * A wake-up on a busy node finds cold caches, which costs more than the records it comes for: measured
 * at 1,000 exec/s, most of the agent's CPU time. So few of them, and larger batches. At rest four a second
 * instead of two were a quarter of all that the agent took.
 */
const REST_MS = 500;
/** A pause may fill this share of a ring at the present rate; the rest is for bursts. */
const FILL = 1 / 16;

export class Poller {
  readonly #source: RecordSource;
  readonly #log: Log;
  readonly #restMs: number;
  readonly #onBatch: (records: number) => void;
  readonly #handlers: (RecordHandler | undefined)[] = new Array(KINDS).fill(undefined);
  readonly #counts = new Float64Array(KINDS);
  readonly #dispatch: RecordHandler;
  #malformed = 0;
  #handlerErrors = 0;
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  #lastPauseMs = 0;
  #spentMs = 0;
  #drainedMs = performance.now();

  constructor(options: PollerOptions) {
    this.#source = options.source;
    this.#log = options.log;
    this.#restMs = options.restMs ?? REST_MS;
    this.#onBatch = options.onBatch ?? (() => {});
    // Made once: a closure a pass would be garbage a pass.
    this.#dispatch = (view, at, size) => this.#record(view, at, size);
  }

  /**
   * Sets what is done with records of a kind (`XctlKind.TCP_RETRANSMIT`). The handler must copy what
   * it keeps; what it throws is counted and the record is gone.
   */
  on(kind: number, handler: RecordHandler): void {
    if (kind <= 0 || kind >= KINDS) throw new XctlError(`record kind ${kind} is out of range`);
    if (this.#handlers[kind] !== undefined) throw new XctlError(`record kind ${kind} has a handler already`);
    this.#handlers[kind] = handler;
  }

  /** One pass over both rings, critical first. @returns records given to handlers or counted. */
  drain(): number {
    const started = performance.now();
    const critical = this.#source.critical.drain(this.#dispatch);
    const records = critical + this.#source.events.drain(this.#dispatch, PASS_RECORDS);
    if (records > 0) this.#onBatch(records);
    this.#drainedMs = performance.now();
    this.#spentMs += this.#drainedMs - started;
    return records;
  }

  /** Time spent in draining, decoding and handlers since the start, ms. */
  get spentMs(): number {
    return this.#spentMs;
  }

  /** Since the rings were last read, ms: more than the longest pause means that the loop hangs. */
  get idleMs(): number {
    return performance.now() - this.#drainedMs;
  }

  /**
   * Empties both rings now, at most what they hold; for a question that must not be answered from
   * the facts of a moment ago.
   */
  drainAll(): number {
    let total = 0;
    for (;;) {
      const records = this.drain();
      total += records;
      if (records < PASS_RECORDS || total > 64 * PASS_RECORDS) return total;
    }
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#schedule(0);
  }

  /** Drains what is left. */
  stop(): void {
    if (!this.#running) return;
    this.#running = false;
    clearTimeout(this.#timer);
    this.drainAll();
  }

  stats(): PollerStats {
    const records: Record<string, number> = {};
    const unhandled: Record<string, number> = {};
    let unknownKinds = 0;
    for (let kind = 0; kind < KINDS; kind++) {
      const count = this.#counts[kind] ?? 0;
      if (count === 0) continue;
      const name = XctlKindNames[kind];
      if (name === undefined) unknownKinds += count;
      else if (this.#handlers[kind] === undefined) unhandled[name] = count;
      else records[name] = count;
    }
    const handlerErrors = this.#handlerErrors;
    return {
      records,
      unhandled,
      unknownKinds,
      malformed: this.#malformed,
      handlerErrors,
      lost: this.#source.lost(),
    };
  }

  #schedule(delayMs: number): void {
    // At rest in step with the probes' own looks: one wake-up for all.
    const pauseMs = delayMs === this.#restMs ? untilBeatMs(delayMs) : delayMs;
    this.#timer = setTimeout(() => this.#turn(), pauseMs);
  }

  #turn(): void {
    if (!this.#running) return;
    const elapsedMs = Math.max(1, this.idleMs);
    const fill = this.#fill();
    const records = this.drain();
    // The shortest timer is a millisecond, which a ring that filled up during the pass may not have.
    if (records >= PASS_RECORDS || this.#fill() > FILL) setImmediate(() => this.#turn());
    else this.#schedule(this.#pauseMs(fill / elapsedMs));
  }

  /** How full the fuller ring is, 0 to 1. */
  #fill(): number {
    const { events, critical } = this.#source;
    return Math.max(events.pendingBytes / events.sizeBytes, critical.pendingBytes / critical.sizeBytes);
  }

  /**
   * No more than twice the pause before: a ring found empty once, between two bursts, says little.
   * @param rate share of the fuller ring that fills in a millisecond.
   */
  #pauseMs(rate: number): number {
    const longestMs = Math.min(this.#restMs, 2 * this.#lastPauseMs + 1);
    this.#lastPauseMs = rate === 0 ? longestMs : Math.min(longestMs, Math.floor(FILL / rate));
    return this.#lastPauseMs;
  }

  #record(view: DataView, at: number, size: number): void {
    if (size < XctlHdrLayout.sizeBytes || view.getUint16(at + XctlHdrLayout.size, true) !== size) {
      this.#malformed++;
      return;
    }
    const kind = view.getUint16(at + XctlHdrLayout.kind, true);
    const slot = kind < KINDS ? kind : 0;
    this.#counts[slot] = (this.#counts[slot] ?? 0) + 1;
    const handler = this.#handlers[slot];
    if (handler === undefined) return;
    try {
      handler(view, at, size);
    } catch (error) {
      this.#handlerErrors++;
      // The first of each power of two: an error in every record must not flood the log.
      if ((this.#handlerErrors & (this.#handlerErrors - 1)) === 0) {
        const stack = error instanceof Error ? error.stack : undefined;
        this.#log.error('record handler failed', {
          kind: XctlKindNames[kind] ?? kind,
          error: messageOf(error),
          stack,
          count: this.#handlerErrors,
        });
      }
    }
  }
}
