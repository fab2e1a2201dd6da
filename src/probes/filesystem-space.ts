/**
 * How full the local filesystems are, without ever waiting for one.
 *
 * statfs(2) on a dead device or server does not return, and each such call holds one of the four threads that all
 * file operations of the agent share. So only local filesystems are asked, by paths that lead over nothing else;
 * one at a time, the one first that a process wrote to that has just ended badly; one that does not answer in time is hung and is not asked again before it has; and with
 * two hung ones nothing is asked at all.
 */
import { statfs } from 'node:fs/promises';
import type { SpaceAttrs } from '../events/storage.js';
import { isLocal } from './filesystem-kinds.js';
import type { Filesystem } from './mounts.js';

const PERIOD_MS = 5_000;
/** Of those that are nearly full. */
const CLOSE_PERIOD_MS = 2_000;
const DEADLINE_MS = 2_000;
const MAX_HUNG = 2;
/** Between two looks at one that somebody's end depends on: a node may fail a thousand times a second. */
const HURRY_MS = 200;
/** Asked in one tick at most: a node may have a thousand small tmpfs, and each call costs some 80 us. */
const A_TICK = 4;
/** … and for a question, of those not asked within `FRESH_MS`: with hundreds of mounts a tick comes by once a minute. */
const A_QUESTION = 64;
const FRESH_MS = 1_000;
/** Per cent of blocks or inodes in use that are told of when they are crossed. */
const LEVELS = [90, 95, 99, 100] as const;
/** So far below a level it counts as left, per cent. */
const HYSTERESIS = 1;
/** Mounted read-only by nature: always full. */
const FULL_BY_NATURE = new Set(['squashfs', 'iso9660', 'udf', 'erofs', 'cramfs', 'romfs']);

export type AskSpace = (path: string) => Promise<StatfsNumbers>;

/** As statfs(2) gives them. */
export interface StatfsNumbers {
  readonly bsize: bigint;
  readonly blocks: bigint;
  readonly bfree: bigint;
  readonly bavail: bigint;
  readonly files: bigint;
  readonly ffree: bigint;
}

/** Per cent in use, and the level it has reached (0: below all). */
export interface Space {
  readonly attrs: SpaceAttrs;
  readonly percent: number;
}

interface State {
  fs: Filesystem;
  level: number;
  askedMs: number;
  /** Asked, and has not answered: since when. */
  sinceMs: number | undefined;
  hung: boolean;
  /** Somebody wants to know, since the last call began. */
  wanted: boolean;
}

export interface SpaceStats {
  asked: number;
  failed: number;
  hung: number;
}

export class SpaceWatch {
  readonly stats: SpaceStats = { asked: 0, failed: 0, hung: 0 };
  readonly #pathOf: (fs: Filesystem) => string | undefined;
  readonly #tell: (fs: Filesystem, space: Space) => void;
  readonly #ask: AskSpace;
  readonly #now: () => number;
  readonly #states = new Map<number, State>();
  /** The one call that is on its way and not late yet. */
  #current: State | undefined;
  /** What may still be asked in this tick. */
  #budget = 0;
  /** A question is open: who asked is told when all are asked that may be. */
  #question: { readonly asked: Promise<void>; readonly done: () => void } | undefined;
  #stopped = false;

  constructor(
    tell: (fs: Filesystem, space: Space) => void,
    pathOf: (fs: Filesystem) => string | undefined,
    ask: AskSpace = (path) => statfs(path, { bigint: true }),
    now: () => number = () => performance.now(),
  ) {
    this.#tell = tell;
    this.#pathOf = pathOf;
    this.#ask = ask;
    this.#now = now;
  }

  found(fs: Filesystem): void {
    if (!isLocal(fs) || fs.readOnly || fs.remote || FULL_BY_NATURE.has(fs.fsType)) {
      this.gone(fs);
      return;
    }
    const known = this.#states.get(fs.dev);
    if (known !== undefined) known.fs = fs;
    else {
      const state = {
        fs,
        level: 0,
        askedMs: Number.NEGATIVE_INFINITY,
        sinceMs: undefined,
        hung: false,
        wanted: false,
      };
      this.#states.set(fs.dev, state);
    }
  }

  gone(fs: Filesystem): void {
    const state = this.#states.get(fs.dev);
    // A hung one stays for the account of threads until its call is back.
    if (state !== undefined && !state.hung) this.#states.delete(fs.dev);
  }

  /** Ids of filesystems that have not answered. */
  get hung(): readonly string[] {
    return [...this.#states.values()].filter(({ hung }) => hung).map(({ fs }) => fs.id);
  }

  /** Nothing is asked any more: too many have not answered. */
  get blind(): boolean {
    return this.hung.length >= MAX_HUNG;
  }

  /** Call it once a second: asks those that are due, one after the other. */
  tick(): void {
    this.#budget = Math.max(this.#budget, A_TICK);
    this.#next();
  }

  /** Somebody wants an answer now. Resolves when they have been asked: do not wait for it without a limit. */
  refresh(): Promise<void> {
    if (this.#question === undefined) {
      let done = (): void => {};
      const asked = new Promise<void>((resolve) => {
        done = resolve;
      });
      this.#question = { asked, done };
      this.#budget = A_QUESTION;
    }
    const { asked } = this.#question;
    this.#next();
    return asked;
  }

  /** A process that wrote there has ended badly: it is asked next, and the answer told whatever it is. */
  hurry({ dev }: Pick<Filesystem, 'dev'>): void {
    const state = this.#states.get(dev);
    if (state === undefined) return;
    state.wanted = true;
    this.#budget = Math.max(this.#budget, 1);
    this.#next();
  }

  #next(): void {
    const nowMs = this.#now();
    if (this.#current !== undefined) {
      if (nowMs - (this.#current.sinceMs ?? nowMs) < DEADLINE_MS) return;
      this.#current.hung = true;
      this.#current = undefined;
      this.stats.hung++;
    }
    const mayAsk = !this.#stopped && !this.blind && this.#budget > 0;
    const next = mayAsk ? this.#due(nowMs) : undefined;
    if (next === undefined) {
      this.#answered();
      return;
    }
    this.#budget--;
    void this.#look(next, nowMs);
  }

  #answered(): void {
    this.#question?.done();
    this.#question = undefined;
    // What a question left over is not for the next tick.
    this.#budget = Math.min(this.#budget, A_TICK);
  }

  stop(): void {
    this.#stopped = true;
    this.#states.clear();
    this.#answered();
  }

  #due(nowMs: number): State | undefined {
    let best: State | undefined;
    let most = 1;
    for (const state of this.#states.values()) {
      if (state.hung || state.sinceMs !== undefined) continue;
      if (state.wanted && nowMs - state.askedMs >= HURRY_MS) return state;
      const overdue = (nowMs - state.askedMs) / this.#periodMs(state);
      if (overdue < most) continue;
      best = state;
      most = overdue;
      // Never asked: the first of them.
      if (most === Number.POSITIVE_INFINITY) break;
    }
    return best;
  }

  #periodMs({ level }: State): number {
    if (this.#question !== undefined) return FRESH_MS;
    return level > 0 ? CLOSE_PERIOD_MS : PERIOD_MS;
  }

  async #look(state: State, nowMs: number): Promise<void> {
    const { wanted } = state;
    this.#current = state;
    state.wanted = false;
    state.askedMs = nowMs;
    state.sinceMs = nowMs;
    this.stats.asked++;
    let space: Space | undefined;
    try {
      const path = this.#pathOf(state.fs);
      if (path !== undefined) space = spaceOf(await this.#ask(path));
    } catch {
      this.stats.failed++; // unmounted or its process ended since
    }
    state.sinceMs = undefined;
    state.hung = false;
    if (this.#current === state) this.#current = undefined;
    // Gone or another one by now.
    if (this.#stopped || this.#states.get(state.fs.dev) !== state) return;
    if (space !== undefined) this.#judge(state, space, wanted);
    this.#next();
  }

  #judge(state: State, space: Space, wanted: boolean): void {
    const level = levelOf(space.percent, state.level);
    if (!wanted && level === state.level && level < 100) return;
    state.level = level;
    this.#tell(state.fs, space);
  }
}

/** The highest level reached; one that was reached is left only when it is clearly undercut. */
export function levelOf(percent: number, before: number): number {
  let level = 0;
  for (const one of LEVELS) {
    if (percent >= (one <= before && one < 100 ? one - HYSTERESIS : one)) level = one;
  }
  return level;
}

/** undefined for one without a size: nothing can be full there. */
export function spaceOf(s: StatfsNumbers): Space | undefined {
  if (s.blocks <= 0n) return undefined;
  const used = s.blocks - s.bfree;
  // As df counts: what is kept for root is not there for others.
  const blocks = share(Number(used), Number(used + s.bavail), s.bavail <= 0n);
  const inodes = s.files <= 0n ? 0 : share(Number(s.files - s.ffree), Number(s.files), s.ffree <= 0n);
  return {
    percent: Math.max(blocks, inodes),
    attrs: {
      sizeBytes: Number(s.blocks * s.bsize),
      freeBytes: Math.max(0, Number(s.bavail * s.bsize)),
      inodes: Math.max(0, Number(s.files)),
      freeInodes: Math.max(0, Number(s.ffree)),
    },
  };
}

/** 100 only when nothing is left: ENOSPC is a fact, 99.9 % is not. */
function share(used: number, all: number, none: boolean): number {
  if (none) return 100;
  return all <= 0 ? 0 : Math.min(99.99, (used / all) * 100);
}
