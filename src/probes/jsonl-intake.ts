/** From what a program prints to events and log lines: bounded, validated, everything counted. */
import { decodeProbeLine, REJECTIONS, type Rejection } from '../events/codec.js';
import type { EventSink } from '../events/event.js';
import { LineSplitter } from '../util/lines.js';
import type { Log } from '../util/log.js';
import { printable } from '../util/text.js';
import { TokenBucket } from '../util/throttle.js';

const MAX_LINE_BYTES = 64 * 1024;
/** Well over any sane probe, well under what would cost the node a per cent of a core. */
const MAX_EVENTS_PER_SECOND = 5000;
const MAX_LOG_LINES_PER_SECOND = 10;
const MAX_LOG_LINE_BYTES = 4096;
const MAX_LOG_LENGTH = 512;

/** Why a line became no event: no event at all, too long (`line`), or over the rate (`rate`). */
export type IntakeLoss = Rejection | 'line' | 'rate';
export const INTAKE_LOSSES: readonly IntakeLoss[] = [...REJECTIONS, 'line', 'rate'];

export interface IntakeStats {
  /** Lines on stdout, blank ones left out. */
  readonly lines: number;
  readonly events: number;
  readonly lost: Readonly<Record<IntakeLoss, number>>;
  /** Lines on stderr that were not logged for their number or length. */
  readonly logLinesDropped: number;
}

export class JsonlIntake {
  readonly stdout = new LineSplitter(MAX_LINE_BYTES, (line) => this.#takeLine(line));
  readonly stderr = new LineSplitter(MAX_LOG_LINE_BYTES, (line) => this.#takeLogLine(line));
  readonly #sink: EventSink;
  readonly #log: Log;
  readonly #eventNow: () => number;
  readonly #events = new TokenBucket(MAX_EVENTS_PER_SECOND);
  readonly #logLines = new TokenBucket(MAX_LOG_LINES_PER_SECOND);
  readonly #lost: Record<Exclude<IntakeLoss, 'line'>, number> = {
    json: 0,
    object: 0,
    type: 0,
    ts: 0,
    entity: 0,
    pid: 0,
    value: 0,
    attrs: 0,
    probe: 0,
    rate: 0,
  };
  #lines = 0;
  #accepted = 0;
  #logLinesDropped = 0;
  #told = false;

  /** @param eventNow the clock of events, ms since the epoch */
  constructor(sink: EventSink, log: Log, eventNow: () => number) {
    this.#sink = sink;
    this.#eventNow = eventNow;
    this.#log = log;
  }

  stats(): IntakeStats {
    return {
      lines: this.#lines + this.stdout.oversized,
      events: this.#accepted,
      lost: { ...this.#lost, line: this.stdout.oversized },
      logLinesDropped: this.#logLinesDropped + this.stderr.oversized,
    };
  }

  #takeLine(line: string): void {
    if (line.trim() === '') return;
    this.#lines++;
    if (!this.#events.take()) {
      this.#lose('rate', line);
      return;
    }
    const decoded = decodeProbeLine(line, Date.now(), this.#eventNow());
    if (!decoded.ok) {
      this.#lose(decoded.reason, line);
      return;
    }
    this.#accepted++;
    this.#sink(decoded.event);
  }

  #lose(reason: Rejection | 'rate', line: string): void {
    this.#lost[reason]++;
    // The first one names the mistake for whoever writes the probe; the others are a counter.
    if (this.#told) return;
    this.#told = true;
    this.#log.warn('line is no event; further ones are only counted', { reason, line: printable(line, 200) });
  }

  #takeLogLine(line: string): void {
    if (line.trim() === '') return;
    if (this.#logLines.take()) this.#log.info('stderr', { line: printable(line, MAX_LOG_LENGTH) });
    else this.#logLinesDropped++;
  }
}
