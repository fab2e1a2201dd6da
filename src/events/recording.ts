/**
 * A recording: every event of an agent's life as JSON lines, between a header that says where and
 * when it was made and a trailer that proves it whole. Written by agent/record.ts, read here.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { errnoOf, messageOf, UsageError } from '../util/errors.js';
import { LineSplitter } from '../util/lines.js';
import { printable } from '../util/text.js';
import { isRecord, number, optional, shape, text } from './guards.js';
import { decodeEvent, type Rejection } from './codec.js';
import type { Event } from './event.js';

export const RECORDING_VERSION = 'xctl/v1';

/** First line. */
export interface RecordingHeader {
  readonly apiVersion: typeof RECORDING_VERSION;
  readonly kind: 'Recording';
  /** Host name. */
  readonly node: string;
  /** Of the agent that wrote it. */
  readonly agentVersion: string;
  /** RFC 3339. */
  readonly startedAt: string;
  /** Epoch ms at boot, as when it was started (kernel/clock.ts): turns ProcessRef.start into a date. */
  readonly bootEpochMs: number;
}

/** Last line, absent when the agent was killed or the disk filled up. */
export interface RecordingTrailer {
  readonly kind: 'RecordingEnd';
  /** RFC 3339. */
  readonly endedAt: string;
  /** Lines between header and trailer. */
  readonly events: number;
  /** Events that the agent had to leave out. */
  readonly dropped: number;
}

/** What became of the lines read so far; final once the iteration is over. */
export interface RecordingSummary {
  readonly events: number;
  /** Lines that are no event, by reason; `line` is one over the bound. */
  readonly rejected: Readonly<Partial<Record<Rejection | 'line', number>>>;
  /** The file ends in the middle of a line. */
  readonly truncated: boolean;
  /** Null: no trailer, so the end is missing. */
  readonly trailer: RecordingTrailer | null;
}

/** A full pass over 100,000 threads is the longest line that an agent writes: about 1 MB. */
const MAX_LINE_BYTES = 4 * 1024 * 1024;
const CHUNK_BYTES = 256 * 1024;

const isTrailer = shape<RecordingTrailer>({
  kind: (value): value is 'RecordingEnd' => value === 'RecordingEnd',
  endedAt: text,
  events: number,
  dropped: number,
});
const isHeaderOfAnyVersion = shape<{ apiVersion: string; kind: 'Recording'; agentVersion?: string }>({
  apiVersion: text,
  kind: (value): value is 'Recording' => value === 'Recording',
  agentVersion: optional(text),
});
const isHeader = shape<RecordingHeader>({
  apiVersion: (value): value is typeof RECORDING_VERSION => value === RECORDING_VERSION,
  kind: (value): value is 'Recording' => value === 'Recording',
  node: text,
  agentVersion: text,
  startedAt: text,
  bootEpochMs: number,
});

export class RecordingReader implements AsyncIterable<Event> {
  readonly header: RecordingHeader;
  readonly #lines: Lines;
  readonly #rejected: Partial<Record<Rejection | 'line', number>> = {};
  #events = 0;
  #trailer: RecordingTrailer | null = null;

  private constructor(header: RecordingHeader, lines: Lines) {
    this.header = header;
    this.#lines = lines;
  }

  /**
   * Opens `path` and reads its header.
   * @throws UsageError when it cannot be read, is no recording, or is one of another version
   */
  static async open(path: string): Promise<RecordingReader> {
    const lines = await Lines.open(path);
    try {
      return new RecordingReader(headerOf(await lines.next(), path), lines);
    } catch (error) {
      await lines.close();
      throw error;
    }
  }

  /** The events in the order written; to be iterated once. Bad lines are counted and left out. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Event, void, undefined> {
    try {
      for (let batch = await this.#lines.batch(); batch !== undefined; batch = await this.#lines.batch()) {
        for (const line of batch) {
          const decoded = decodeEvent(line);
          if (decoded.ok) {
            this.#events++;
            yield decoded.event;
          } else if (!this.#readTrailer(line)) {
            this.#rejected[decoded.reason] = (this.#rejected[decoded.reason] ?? 0) + 1;
          }
        }
      }
    } finally {
      await this.#lines.close();
    }
  }

  summary(): RecordingSummary {
    const { oversized, truncated } = this.#lines;
    return {
      events: this.#events,
      rejected: oversized === 0 ? { ...this.#rejected } : { ...this.#rejected, line: oversized },
      truncated,
      trailer: this.#trailer,
    };
  }

  #readTrailer(line: string): boolean {
    if (!line.includes('"RecordingEnd"')) return false;
    const trailer = parseOrNull(line);
    if (!isTrailer(trailer)) return false;
    this.#trailer = trailer;
    return true;
  }
}

function headerOf(line: string | undefined, path: string): RecordingHeader {
  const name = printable(path);
  const header = line === undefined ? null : parseOrNull(line);
  if (isHeader(header)) return header;
  if (isHeaderOfAnyVersion(header) && header.apiVersion !== RECORDING_VERSION) {
    const [writer, version] = [printable(header.agentVersion ?? '?', 32), printable(header.apiVersion, 32)];
    throw new UsageError(
      `${name} is a recording of format ${version} (xctl-agent ${writer}), this program reads ${RECORDING_VERSION}; replay it with that version`,
    );
  }
  throw new UsageError(`${name} is not a recording: its first line is no header of \`xctl-agent --record\``);
}

function parseOrNull(line: string): unknown {
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

/** The file's lines, a chunk's worth at a time so that memory stays flat. */
class Lines {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  readonly #splitter = new LineSplitter(MAX_LINE_BYTES, (line) => void this.#ready.push(line));
  #ready: string[] = [];
  #ended = false;

  private constructor(file: FileHandle, path: string) {
    this.#file = file;
    this.#path = path;
  }

  static async open(path: string): Promise<Lines> {
    try {
      return new Lines(await open(path, 'r'), path);
    } catch (error) {
      throw unreadable(path, error);
    }
  }

  get oversized(): number {
    return this.#splitter.oversized;
  }

  get truncated(): boolean {
    return this.#ended && this.#splitter.pendingBytes > 0;
  }

  /** The first line; the rest of its chunk stays for batch(). */
  async next(): Promise<string | undefined> {
    while (this.#ready.length === 0 && (await this.#fill())) {}
    return this.#ready.shift();
  }

  async batch(): Promise<readonly string[] | undefined> {
    while (this.#ready.length === 0) if (!(await this.#fill())) return undefined;
    const batch = this.#ready;
    this.#ready = [];
    return batch;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #fill(): Promise<boolean> {
    try {
      const { bytesRead } = await this.#file.read(this.#chunk, 0, CHUNK_BYTES, null);
      // push() keeps views of what it is given, and this chunk is read into again.
      if (bytesRead > 0) this.#splitter.push(Buffer.from(this.#chunk.subarray(0, bytesRead)));
      else this.#ended = true;
      return bytesRead > 0;
    } catch (error) {
      throw unreadable(this.#path, error);
    }
  }
}

function unreadable(path: string, cause: unknown): UsageError {
  const why = errnoOf(cause) ?? messageOf(cause);
  return new UsageError(
    `cannot read ${printable(path)} (${why}); name a file that \`xctl-agent --record\` wrote`,
    {
      cause,
    },
  );
}
