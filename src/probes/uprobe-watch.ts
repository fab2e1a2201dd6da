/**
 * Finds the files that processes map, of those that a probe looks for. A library may be loaded long after the start
 * (dlopen), so that each process is looked at again and again, ever less often; once a file is known, every later
 * process that maps it needs no look.
 *
 * One process at a time, on libuv's pool: its memory map waits for its memory lock, which a stuck process may never
 * give back. Then the search ends there, which is said, and nothing else does.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { isSame } from './proc.js';
import type { MappedFile } from './uprobe-maps.js';

export interface WatchOptions {
  /** After the first look, the next; then ever twice as long until `maxMs`. */
  readonly firstMs: number;
  readonly maxMs: number;
}

/** A start imports for some seconds before it makes its first communicator. */
const DEFAULT: WatchOptions = { firstMs: 250, maxMs: 60_000 };
/** Candidates; a node has some hundred processes of jobs. */
const MAX_WATCHED = 4_096;
/** USER_HZ: /proc counts in these. */
const TICK_NS = 10_000_000;
const MAX_MAPS_BYTES = 8 * 1024 * 1024;
const MAPS_PIECE_BYTES = 64 * 1024;
/** A look that takes longer hangs. */
const HUNG_MS = 10_000;

interface Watched<F> {
  readonly pid: number;
  readonly start: number;
  /** performance.now() from which on it is due. */
  dueAt: number;
  pauseMs: number;
  /** What was found in it when it was last looked at. */
  libraries: readonly F[];
}

export class MapWatch<F extends MappedFile> {
  readonly stats = { looks: 0, failures: 0, dropped: 0 };
  readonly #options: WatchOptions;
  readonly #parse: (maps: string) => readonly F[];
  readonly #found: (pid: number, file: F) => Promise<void>;
  readonly #watched = new Map<number, Watched<F>>();
  #busySince: number | undefined;
  #busyPid = 0;
  #stopped = false;

  /** @param parse the files in the text of a memory map. @param found one of them, at every look again */
  constructor(
    parse: (maps: string) => readonly F[],
    found: (pid: number, file: F) => Promise<void>,
    options: Partial<WatchOptions> = {},
  ) {
    this.#parse = parse;
    this.#found = found;
    this.#options = { ...DEFAULT, ...options };
  }

  get size(): number {
    return this.#watched.size;
  }

  /** Processes that map `name`, as far as they were looked at. */
  users(name: F['library']): number {
    let users = 0;
    for (const { libraries } of this.#watched.values())
      if (libraries.some(({ library }) => library === name)) users++;
    return users;
  }

  /** The process that a look hangs at. */
  get hungAt(): number | undefined {
    const since = this.#busySince;
    return since !== undefined && performance.now() - since > HUNG_MS ? this.#busyPid : undefined;
  }

  watch(pid: number, start: number): void {
    const known = this.#watched.get(pid);
    // By clock ticks: not everybody who names a process knows more.
    if (known !== undefined && ticksOf(known.start) === ticksOf(start)) return;
    if (known === undefined && this.#watched.size >= MAX_WATCHED) {
      this.stats.dropped++;
      return;
    }
    const { firstMs } = this.#options;
    this.#watched.set(pid, { pid, start, dueAt: performance.now(), pauseMs: firstMs, libraries: [] });
  }

  forget(pid: number): void {
    this.#watched.delete(pid);
  }

  /** Something about it has changed (it was executed anew): looks soon. */
  renew(pid: number): void {
    const watched = this.#watched.get(pid);
    if (watched === undefined) return;
    watched.pauseMs = this.#options.firstMs;
    watched.dueAt = performance.now();
  }

  /** More is known of what is looked for. */
  renewAll(): void {
    for (const pid of this.#watched.keys()) this.renew(pid);
  }

  stop(): void {
    this.#stopped = true;
    this.#watched.clear();
  }

  /** Looks at all that are due, unless it still does. */
  async turn(): Promise<void> {
    if (this.#busySince !== undefined) return;
    const due = [...this.#watched.values()].filter(({ dueAt }) => dueAt <= performance.now());
    try {
      for (const watched of due) {
        if (this.#stopped) return;
        this.#busySince = performance.now();
        this.#busyPid = watched.pid;
        await this.#look(watched);
      }
    } finally {
      this.#busySince = undefined;
    }
  }

  async #look(watched: Watched<F>): Promise<void> {
    const { pid, start } = watched;
    this.stats.looks++;
    watched.dueAt = performance.now() + watched.pauseMs;
    watched.pauseMs = Math.min(this.#options.maxMs, watched.pauseMs * 2);
    try {
      const text = await readMaps(pid);
      if (!isSame(pid, start)) {
        if (this.#watched.get(pid) === watched) this.#watched.delete(pid);
        return;
      }
      watched.libraries = this.#parse(text);
      for (const library of watched.libraries) {
        if (this.#stopped) return;
        await this.#found(pid, library);
      }
    } catch {
      // It ended, or is not ours to look at; the former is the rule.
      if (isSame(pid, start)) this.stats.failures++;
      else if (this.#watched.get(pid) === watched) this.#watched.delete(pid);
    }
  }
}

function ticksOf(start: number): number {
  return Math.floor(start / TICK_NS);
}

/** /proc/PID/maps, as far as 8 MiB go. On a thread of the pool: it waits for the process's memory lock. */
export async function readMaps(pid: number | 'self'): Promise<string> {
  let file: FileHandle | undefined;
  try {
    file = await open(`/proc/${pid}/maps`, 'r');
    const pieces: Buffer[] = [];
    let used = 0;
    while (used < MAX_MAPS_BYTES) {
      const piece = Buffer.alloc(MAPS_PIECE_BYTES);
      const { bytesRead } = await file.read(piece, 0, piece.length, null);
      if (bytesRead === 0) break;
      pieces.push(piece.subarray(0, bytesRead));
      used += bytesRead;
    }
    return Buffer.concat(pieces).toString('latin1');
  } finally {
    await file?.close();
  }
}
