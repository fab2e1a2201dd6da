/**
 * `--record FILE`: every event to a file, never at the cost of the agent. What cannot be written
 * in time is counted and left out; a full disk ends the recording and nothing else.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { encodeEvent } from '../events/codec.js';
import type { Event } from '../events/event.js';
import type { RecordingHeader, RecordingTrailer } from '../events/recording.js';
import { errnoOf, messageOf, UsageError, XctlError } from '../util/errors.js';
import type { Log } from '../util/log.js';
import { printable } from '../util/text.js';

/** Why an event is missing in a recording; a metric's label. */
export const RECORDING_LOSSES = ['buffer', 'disk'] as const;
export type RecordingLoss = (typeof RECORDING_LOSSES)[number];

export interface RecorderStats {
  /** False before start() and once the disk refused. */
  readonly active: boolean;
  readonly events: number;
  readonly bytes: number;
  readonly dropped: Readonly<Record<RecordingLoss, number>>;
}

/** Text that waits for the disk; some 30,000 flow events. */
const MAX_PENDING_CHARS = 16 * 1024 * 1024;
const FLUSH_CHARS = 256 * 1024;
const FLUSH_INTERVAL_MS = 200;
/** A hung file system must not keep the agent from ending within its two seconds. */
const STOP_TIMEOUT_MS = 1000;
/** O_EXCL: neither another's file nor a symbolic link is ever written to. */
const OPEN_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

export class Recorder {
  readonly #path: string;
  readonly #log: Log;
  #file: FileHandle | undefined;
  #timer: NodeJS.Timeout | undefined;
  #pending: string[] = [];
  #pendingChars = 0;
  #writing: Promise<void> | undefined;
  /** Where the last whole batch ends. */
  #bytes = 0;
  #events = 0;
  readonly #dropped: Record<RecordingLoss, number> = { buffer: 0, disk: 0 };

  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log.child({ component: 'record' });
  }

  /**
   * Creates the file (mode 0600) and writes the header.
   * @throws UsageError when it exists or cannot be created
   * @throws XctlError when not even the header can be written
   */
  async start(header: RecordingHeader): Promise<void> {
    const file = await create(this.#path);
    const { written, error } = await writeAll(file, Buffer.from(`${JSON.stringify(header)}\n`), 0);
    if (error !== undefined) {
      await file.close();
      throw new XctlError(`--record: cannot write ${printable(this.#path)} (${messageOf(error)})`, {
        cause: error,
      });
    }
    this.#bytes = written;
    this.#file = file;
    this.#timer = setInterval(() => this.#flush(), FLUSH_INTERVAL_MS).unref();
  }

  /** Takes an event; never waits and never throws. */
  write(event: Event): void {
    if (this.#file === undefined) {
      this.#dropped.disk++;
      return;
    }
    if (this.#pendingChars >= MAX_PENDING_CHARS) {
      if (this.#dropped.buffer++ === 0)
        this.#log.warn('the disk is slower than the events; some are not recorded');
      return;
    }
    const line = encodeEvent(event);
    this.#pending.push(line);
    this.#pendingChars += line.length;
    if (this.#pendingChars >= FLUSH_CHARS) this.#flush();
  }

  /** Writes what is left and the trailer that proves the recording whole. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    const file = this.#file;
    if (file === undefined) return;
    let giveUp: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      giveUp = setTimeout(resolve, STOP_TIMEOUT_MS, 'late');
    });
    const outcome = await Promise.race([this.#finish(), late]);
    clearTimeout(giveUp);
    this.#file = undefined;
    if (outcome === 'late')
      this.#log.warn('recording left unfinished: the disk does not answer', { file: this.#path });
  }

  stats(): RecorderStats {
    return {
      active: this.#file !== undefined,
      events: this.#events,
      bytes: this.#bytes,
      dropped: { ...this.#dropped },
    };
  }

  async #finish(): Promise<void> {
    while (this.#writing !== undefined || this.#pending.length > 0) {
      this.#flush();
      await this.#writing;
    }
    const file = this.#file;
    if (file === undefined) return;
    const trailer: RecordingTrailer = {
      kind: 'RecordingEnd',
      endedAt: new Date().toISOString(),
      events: this.#events,
      dropped: this.#dropped.buffer + this.#dropped.disk,
    };
    await this.#append(file, `${JSON.stringify(trailer)}\n`, 0);
    await file.close().catch((error: unknown) => this.#log.debug('close', { error: messageOf(error) }));
  }

  #flush(): void {
    const file = this.#file;
    if (file === undefined || this.#writing !== undefined || this.#pending.length === 0) return;
    const events = this.#pending.length;
    const text = `${this.#pending.join('\n')}\n`;
    this.#pending = [];
    this.#pendingChars = 0;
    this.#writing = this.#append(file, text, events).finally(() => {
      this.#writing = undefined;
      if (this.#pendingChars >= FLUSH_CHARS) this.#flush();
    });
  }

  /** Never rejects: a failure ends the recording, cut back to the last whole line. */
  async #append(file: FileHandle, text: string, events: number): Promise<void> {
    const bytes = Buffer.from(text, 'utf8');
    const { written, error } = await writeAll(file, bytes, this.#bytes);
    if (error === undefined) {
      this.#bytes += written;
      this.#events += events;
      return;
    }
    const whole = bytes.subarray(0, written).lastIndexOf('\n') + 1;
    const saved = countLines(bytes.subarray(0, whole));
    this.#bytes += whole;
    this.#events += saved;
    this.#dropped.disk += events - saved + this.#pending.length;
    this.#file = undefined;
    this.#pending = [];
    this.#pendingChars = 0;
    clearInterval(this.#timer);
    this.#log.error('recording stopped; the agent goes on without it', {
      file: this.#path,
      error: messageOf(error),
      events: this.#events,
    });
    // Both may fail on the disk that has just failed, and nothing depends on them.
    await file.truncate(this.#bytes).catch(() => {});
    await file.close().catch(() => {});
  }
}

async function create(path: string): Promise<FileHandle> {
  try {
    return await open(path, OPEN_FLAGS, 0o600);
  } catch (error) {
    const name = printable(path);
    switch (errnoOf(error)) {
      case 'EEXIST':
        throw new UsageError(`--record: ${name} exists already; name a new file, or remove it first`);
      case 'ENOENT':
        throw new UsageError(
          `--record: the directory of ${name} does not exist; create it, or name another file`,
        );
      default:
        throw new UsageError(`--record: cannot create ${name} (${messageOf(error)}); name another file`, {
          cause: error,
        });
    }
  }
}

/** write(2) may write less than asked, the more so on a disk that fills up. */
async function writeAll(
  file: FileHandle,
  bytes: Buffer,
  position: number,
): Promise<{ readonly written: number; readonly error?: unknown }> {
  let written = 0;
  try {
    while (written < bytes.length) {
      written += (await file.write(bytes, written, bytes.length - written, position + written)).bytesWritten;
    }
    return { written };
  } catch (error) {
    return { written, error };
  }
}

function countLines(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf('\n'); at !== -1; at = bytes.indexOf('\n', at + 1)) lines++;
  return lines;
}
