/**
 * What the programs cost the node, from /proc/self/fdinfo. The kernel measures run time only while
 * somebody holds the switch, and measuring costs some 20 ns a run: hold it while it is asked for.
 */
import { closeSync, readFileSync } from 'node:fs';
import type { Libbpf } from '../ffi/libbpf.js';
import type { LoadedObject, Rung } from './program.js';

export interface ProgramRunStats {
  readonly object: string;
  readonly slot: string;
  readonly rung: Rung;
  /** While statistics were on, since the program was loaded. */
  readonly runTimeSeconds: number;
  readonly runs: number;
  /** Runs that the kernel skipped because the program was already running on that CPU: losses. */
  readonly missed: number;
}

/** Of every program that is in use. A program whose fdinfo cannot be read is left out. */
export function programRunStats(objects: readonly LoadedObject[]): ProgramRunStats[] {
  return objects.flatMap((object) =>
    object.programs.flatMap(({ slot, rung }) => {
      const fd = object.programFd(slot);
      if (rung === null || fd === undefined) return [];
      const info = readFdInfo(fd);
      return info === undefined ? [] : [{ object: object.name, slot, rung, ...info }];
    }),
  );
}

type RunStats = Pick<ProgramRunStats, 'runTimeSeconds' | 'runs' | 'missed'>;

/** Of the program behind `fd`; undefined when it cannot be read. */
export function readFdInfo(fd: number): RunStats | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
  } catch {
    return undefined;
  }
  return parseFdInfo(text);
}

/** @param text of /proc/self/fdinfo/N of a BPF program. */
export function parseFdInfo(text: string): RunStats {
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return {
    runTimeSeconds: field('run_time_ns') / 1e9,
    runs: field('run_cnt'),
    missed: field('recursion_misses'),
  };
}

/** Keeps the kernel measuring for as long as somebody asks: each `touch()` holds it for `holdMs`. */
export class RunTimeMeter {
  readonly #bpf: Libbpf;
  readonly #holdMs: number;
  #fd: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(bpf: Libbpf, holdMs = 60_000) {
    this.#bpf = bpf;
    this.#holdMs = holdMs;
  }

  get measuring(): boolean {
    return this.#fd !== undefined;
  }

  /** @throws NativeError without CAP_SYS_ADMIN, or before Linux 5.8. */
  touch(): void {
    this.#fd ??= this.#bpf.enableStats();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.stop(), this.#holdMs).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
