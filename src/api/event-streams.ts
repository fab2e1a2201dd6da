/**
 * The readers of `/v1/events`. The agent's event path calls in here for every event, so nothing may
 * wait, throw or grow: what a reader has not taken is bounded in bytes, and above the bound its events
 * are dropped and counted before they are even encoded.
 */
import type { ServerResponse } from 'node:http';
import { encodeEvent } from '../events/codec.js';
import type { Event } from '../events/event.js';
import type { Log } from '../util/log.js';
import { type Dropped, type EventFilter, matches } from './stream.js';

export interface StreamLimits {
  readonly maxStreams: number;
  /** What one reader may leave unread. */
  readonly maxUnreadBytes: number;
  /** A reader that stays over the bound this long is cut off. */
  readonly stalledMs: number;
}

export interface StreamStats {
  readonly open: number;
  /** Events that some reader was too slow for. */
  readonly droppedTotal: number;
  /** Readers cut off for taking nothing. */
  readonly stalledTotal: number;
}

interface Stream {
  readonly response: ServerResponse;
  readonly filter: EventFilter;
  pending: string[];
  pendingBytes: number;
  /** Not yet told to the reader. */
  dropped: number;
  droppedInAll: number;
  /** Since when it is over the bound (performance.now), 0 when it is not. */
  fullSince: number;
}

export class EventStreams {
  readonly #subscribe: (listener: (event: Event) => void) => () => void;
  readonly #limits: StreamLimits;
  readonly #log: Log;
  readonly #streams = new Set<Stream>();
  #unsubscribe: (() => void) | undefined;
  #flushing: NodeJS.Immediate | undefined;
  #droppedTotal = 0;
  #stalledTotal = 0;

  constructor(subscribe: (listener: (event: Event) => void) => () => void, limits: StreamLimits, log: Log) {
    this.#subscribe = subscribe;
    this.#limits = limits;
    this.#log = log;
  }

  get stats(): StreamStats {
    return {
      open: this.#streams.size,
      droppedTotal: this.#droppedTotal,
      stalledTotal: this.#stalledTotal,
    };
  }

  get full(): boolean {
    return this.#streams.size >= this.#limits.maxStreams;
  }

  /** Sends the head and, from now on, every event that `filter` lets through. */
  open(response: ServerResponse, filter: EventFilter): void {
    const stream: Stream = {
      response,
      filter,
      pending: [],
      pendingBytes: 0,
      dropped: 0,
      droppedInAll: 0,
      fullSince: 0,
    };
    this.#streams.add(stream);
    response.on('drain', () => this.#tellDropped(stream));
    response.on('close', () => this.#forget(stream));
    response.on('error', () => this.#forget(stream));
    response.socket?.setTimeout(0);
    response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
    response.flushHeaders();
    this.#unsubscribe ??= this.#subscribe((event) => this.#take(event));
  }

  /** Ends every stream; what is pending is still sent. */
  stop(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    this.#flush();
    for (const stream of this.#streams) stream.response.end();
  }

  #take(event: Event): void {
    let line: string | undefined;
    for (const stream of this.#streams) {
      if (!matches(stream.filter, event)) continue;
      if (stream.pendingBytes + stream.response.writableLength > this.#limits.maxUnreadBytes) {
        this.#drop(stream);
        continue;
      }
      stream.fullSince = 0;
      this.#tellDropped(stream);
      line ??= `${encodeEvent(event)}\n`;
      this.#push(stream, line);
    }
  }

  #drop(stream: Stream): void {
    stream.dropped++;
    stream.droppedInAll++;
    this.#droppedTotal++;
    const now = performance.now();
    if (stream.fullSince === 0) stream.fullSince = now;
    if (now - stream.fullSince < this.#limits.stalledMs) return;
    this.#stalledTotal++;
    this.#forget(stream);
    stream.response.destroy();
  }

  #tellDropped(stream: Stream): void {
    if (stream.dropped === 0) return;
    const notice: Dropped = { dropped: stream.dropped };
    stream.dropped = 0;
    this.#push(stream, `${JSON.stringify(notice)}\n`);
  }

  #push(stream: Stream, line: string): void {
    stream.pending.push(line);
    stream.pendingBytes += line.length;
    // One write a turn and not one an event: chunked encoding and writev cost more than the line.
    this.#flushing ??= setImmediate(() => this.#flush());
  }

  #flush(): void {
    clearImmediate(this.#flushing);
    this.#flushing = undefined;
    for (const stream of this.#streams) {
      if (stream.pending.length === 0) continue;
      const text = stream.pending.join('');
      stream.pending = [];
      stream.pendingBytes = 0;
      stream.response.write(text);
    }
  }

  #forget(stream: Stream): void {
    if (!this.#streams.delete(stream)) return;
    if (stream.droppedInAll > 0) {
      this.#log.warn('a reader of events was too slow', { dropped: stream.droppedInAll });
    }
    if (this.#streams.size > 0) return;
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
  }
}
