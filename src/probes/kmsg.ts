/**
 * Probe `kmsg`: what the kernel says of its hardware, its filesystems and itself, in /dev/kmsg.
 *
 * At start the whole ring is read: the agent may come after the disk has died. Of that only the last ten
 * minutes count, each line at its own time. Then whatever is new, once a second and at every `why`.
 *
 * Only the kernel's own lines count (facility 0): the kernel gives another one to whoever writes to the
 * device, so nobody can make up a fault. A flood costs slices of `SLICE_MS` with pauses between them; what
 * the ring overwrites meanwhile is counted, as is every line that was not looked at for another reason.
 * Lines about GPUs are always looked at: one that floods the log must not hide another that dies.
 */
import { setImmediate as yieldLoop } from 'node:timers/promises';
import type { Event } from '../events/event.js';
import { type Beat, every } from '../util/beat.js';
import type { Check } from '../util/check.js';
import { messageOf } from '../util/errors.js';
import { printable } from '../util/text.js';
import { TokenBucket } from '../util/throttle.js';
import { KmsgClock } from './kmsg-clock.js';
import { KmsgLimit } from './kmsg-limit.js';
import { Places, type PlacesOptions } from './kmsg-places.js';
import { type KmsgReader, openKmsg, RECORD_BYTES } from './kmsg-reader.js';
import { headOf, type KmsgHead, type KmsgLine, lineOf } from './kmsg-record.js';
import { gpuFault, gpuKey } from './kmsg-rules-gpu.js';
import { type Found, recognise } from './kmsg-rules.js';
import type { Probe, ProbeContext } from './probe.js';

/** Between two looks, ms. */
const PASS_MS = 1_000;
/** What one look may take of the event loop, and how long the others have it before the next of a flood. */
const SLICE_MS = 5;
const PAUSE_MS = 10;
/** Between two looks at the time. */
const RECORDS_A_TIME = 32;
/** Of what was there at start; `start()` waits no longer than this for it. */
const HISTORY_MS = 10 * 60_000;
const START_MS = 2_000;
/** The kernel's lines that are compared with the rules: a bound on what a screaming driver may cost. */
const LINES_PER_SECOND = 5_000;
const MESSAGE_CHARS = 256;

export interface KmsgOptions extends PlacesOptions {
  readonly path?: string;
  /** For tests. */
  readonly open?: (path: string) => KmsgReader;
}

export interface KmsgStats {
  readonly records: number;
  /** Written by programs, and refused for that. */
  readonly fromUsers: number;
  /** Became an event, or was counted into one. */
  readonly recognised: number;
  readonly suppressed: number;
  readonly slices: number;
  readonly spentMs: number;
}

/** Lines that were not looked at, by reason. */
export type KmsgLosses = {
  /** The ring went round before they were read. */
  readonly overwritten: number;
  readonly malformed: number;
  /** More than `LINES_PER_SECOND`. */
  readonly rate: number;
  /** Reads that failed. */
  readonly failed: number;
};

export class KmsgProbe implements Probe {
  readonly name = 'kmsg';
  readonly #context: ProbeContext;
  readonly #path: string;
  readonly #options: KmsgOptions;
  readonly #clock: KmsgClock;
  readonly #limit = new KmsgLimit<Event>((event, suppressed) => this.#tell(event, suppressed));
  readonly #bucket = new TokenBucket(LINES_PER_SECOND);
  readonly #bytes = Buffer.alloc(RECORD_BYTES);
  readonly #stats = { records: 0, fromUsers: 0, recognised: 0, suppressed: 0, slices: 0, spentMs: 0 };
  readonly #lost = { overwritten: 0, malformed: 0, rate: 0, failed: 0 };
  #reader: KmsgReader | undefined;
  #places: Places | undefined;
  #failure: string | undefined;
  #timer: Beat | undefined;
  #soon: NodeJS.Timeout | undefined;
  #nextSeq: number | undefined;
  /** When the log was last seen to have nothing more; undefined until its history has been read. */
  #emptyAtNs: number | undefined;

  constructor(context: ProbeContext, options: KmsgOptions = {}) {
    this.#context = context;
    this.#path = options.path ?? '/dev/kmsg';
    this.#options = options;
    this.#clock = new KmsgClock(context.clock);
  }

  async start(): Promise<void> {
    try {
      this.#reader = (this.#options.open ?? openKmsg)(this.#path);
    } catch (error) {
      this.#failure = messageOf(error);
      throw error;
    }
    this.#places = new Places(this.#options);
    const until = performance.now() + START_MS;
    while (!this.#slice() && performance.now() < until && !this.#context.signal.aborted) await yieldLoop();
    if (this.#reader === undefined) throw new Error(this.#failure ?? 'stopped');
    this.#timer = every(PASS_MS, () => this.pass());
  }

  stop(): void {
    this.#timer?.stop();
    clearTimeout(this.#soon);
    this.#timer = undefined;
    this.#soon = undefined;
    this.#reader?.close();
    this.#reader = undefined;
  }

  stats(): KmsgStats {
    return { ...this.#stats };
  }

  lost(): KmsgLosses {
    return { ...this.#lost };
  }

  checks(): readonly Check[] {
    const name = 'probe kmsg';
    if (this.#failure !== undefined) return [{ status: 'failed', name, detail: this.#failure }];
    if (this.#reader === undefined) return [{ status: 'off', name, detail: 'not started' }];
    if (this.#stats.records === 0)
      return [
        { status: 'degraded', name, detail: `${this.#path} has nothing in it: it is not the kernel's log` },
      ];
    const lost = Object.entries(this.#lost).filter(([, count]) => count > 0);
    const summary: Check = { status: 'ok', name, detail: `${this.#path}, kernel lines only` };
    return lost.length === 0
      ? [summary]
      : [
          summary,
          {
            status: 'degraded',
            name: `${name}/lost`,
            detail: `lines not read: ${lost.map(([reason, count]) => `${count} ${reason}`).join(', ')}`,
          },
        ];
  }

  /**
   * One look now, of a few ms at most. The events of what it read are out when this returns.
   * @returns whether nothing was left to read
   */
  pass(): boolean {
    if (this.#reader === undefined) return false;
    const done = this.#slice();
    this.#limit.settle(this.#now());
    if (!done && this.#reader !== undefined && this.#soon === undefined) {
      this.#soon = setTimeout(() => {
        this.#soon = undefined;
        this.pass();
      }, PAUSE_MS);
      this.#soon.unref();
    }
    return done;
  }

  /** Reads until nothing is left or the slice is over. @returns whether nothing is left */
  #slice(): boolean {
    const reader = this.#reader;
    if (reader === undefined) return true;
    const started = performance.now();
    this.#stats.slices++;
    try {
      do {
        for (let i = 0; i < RECORDS_A_TIME; i++) if (!this.#read(reader)) return true;
      } while (performance.now() - started < SLICE_MS);
      return false;
    } catch (error) {
      this.#lost.failed++;
      this.#failure = `${this.#path}: ${messageOf(error)}`;
      this.#context.log.error('the kernel log cannot be read any more', { error: this.#failure });
      this.stop();
      return true;
    } finally {
      this.#stats.spentMs += performance.now() - started;
    }
  }

  /** @returns false: nothing is left */
  #read(reader: KmsgReader): boolean {
    const beforeNs = this.#clock.nowNs();
    const read = reader.read(this.#bytes);
    switch (read) {
      case 'empty':
        this.#emptyAtNs = beforeNs;
        return false;
      case 'overwritten':
        // How many, the sequence number of the next one tells.
        return true;
      case 'too-long':
        this.#lost.malformed++;
        if (this.#nextSeq !== undefined) this.#nextSeq++;
        return true;
      default:
        this.#record(read);
        return true;
    }
  }

  #record(length: number): void {
    this.#stats.records++;
    const head = headOf(this.#bytes, length);
    if (head === undefined) {
      this.#lost.malformed++;
      return;
    }
    if (this.#nextSeq !== undefined && head.seq > this.#nextSeq)
      this.#lost.overwritten += head.seq - this.#nextSeq;
    this.#nextSeq = head.seq + 1;
    // Also of a user's line: its time is the kernel's, and tells how the clocks stand.
    const ts = this.#clock.eventTime(head.timeUs, this.#emptyAtNs);
    if (head.facility !== 0) {
      this.#stats.fromUsers++;
      return;
    }
    if (this.#emptyAtNs === undefined && this.#now() - ts > HISTORY_MS) return;
    this.#line(head, length, ts);
  }

  #line(head: KmsgHead, length: number, ts: number): void {
    const line = lineOf(this.#bytes, head, length);
    const found = gpuFault(line.text) ?? this.#compare(line);
    if (found === undefined) return;
    this.#stats.recognised++;
    this.#limit.offer(keyOf(found), ts, eventOf(found, ts, printable(line.text.trim(), MESSAGE_CHARS)));
  }

  /** A device or filesystem that is gone: its name can be given to another one at once. */
  forget(entity: string): void {
    this.#limit.forget((key) => key.endsWith(`/${entity}`));
  }

  #compare(line: KmsgLine): Found | undefined {
    if (this.#places === undefined) return undefined;
    if (this.#bucket.take()) return recognise(line, this.#places);
    this.#lost.rate++;
    return undefined;
  }

  #now(): number {
    return this.#context.clock.toEpochMs(this.#context.clock.nowNs());
  }

  #tell(event: Event, suppressed: number): void {
    this.#stats.suppressed += suppressed;
    this.#context.sink(suppressed === 0 ? event : withSuppressed(event, suppressed));
  }
}

/** What counts as the same thing. Of a state the key has no state: the last one must come. */
function keyOf(found: Found): string {
  if (found.type === 'error.xid' || found.type === 'error.sxid') return gpuKey(found);
  return 'class' in found ? `${found.type}/${found.class}/${found.entity}` : `${found.type}/${found.entity}`;
}

function eventOf(found: Found, ts: number, message: string): Event {
  const common = { ts, entity: found.entity, value: 1, probe: 'kmsg' } as const;
  switch (found.type) {
    case 'error.hw': {
      const { class: kind, severity, about = [] } = found;
      return { ...common, type: 'error.hw', attrs: { class: kind, severity, message, about } };
    }
    case 'error.kernel': {
      const { class: kind, pid, comm, seconds } = found;
      return {
        ...common,
        type: 'error.kernel',
        ...(pid !== undefined && { pid }),
        attrs: {
          class: kind,
          message,
          ...(comm !== undefined && { comm }),
          ...(seconds !== undefined && { seconds }),
        },
      };
    }
    case 'error.fs':
      return {
        ...common,
        type: 'error.fs',
        attrs: {
          class: found.class,
          fsType: found.fsType,
          ...(found.op !== undefined && { op: found.op }),
          message,
        },
      };
    case 'error.xid': {
      const { pid, attrs } = found;
      return { ...common, type: 'error.xid', ...(pid !== undefined && { pid }), attrs };
    }
    case 'error.sxid':
      return { ...common, type: 'error.sxid', attrs: found.attrs };
    case 'topo.link': {
      const attrs = { message, ...(found.driver !== undefined && { driver: found.driver }) };
      return { ...common, type: found.up ? 'topo.link_up' : 'topo.link_down', attrs };
    }
    case 'storage.server':
      return {
        ...common,
        type: 'storage.server',
        attrs: { server: printable(found.server, MESSAGE_CHARS), responding: found.responding },
      };
  }
}

function withSuppressed(event: Event, suppressed: number): Event {
  const value = event.value + suppressed;
  switch (event.type) {
    case 'error.hw':
      return { ...event, value, attrs: { ...event.attrs, suppressed } };
    case 'error.kernel':
      return { ...event, value, attrs: { ...event.attrs, suppressed } };
    case 'error.fs':
      return { ...event, value, attrs: { ...event.attrs, suppressed } };
    case 'error.xid':
      return { ...event, value, attrs: { ...event.attrs, suppressed } };
    case 'error.sxid':
      return { ...event, value, attrs: { ...event.attrs, suppressed } };
    default:
      return { ...event, value };
  }
}
