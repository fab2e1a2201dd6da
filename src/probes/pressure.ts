/**
 * Pressure stall information: the share of time in which somebody, or everybody, waited for CPU, I/O
 * or memory. The kernel may be built without it, or have it switched off: its files are then not
 * there, or refuse to be read.
 */
import { readFileSync } from 'node:fs';
import type { PressureAttrs } from '../events/host.js';
import { errnoOf } from '../util/errors.js';

const RESOURCES = ['cpu', 'io', 'memory'] as const;

export interface Stall {
  readonly some: number;
  readonly full: number;
}

const NONE: Stall = { some: 0, full: 0 };

/**
 * The averages of ten seconds, per cent.
 * @param text of a file: `some avg10=0.14 avg60=0.12 avg300=0.15 total=40309684`, and a line of `full`
 *   but for the CPU of older kernels.
 */
export function stallOf(text: string): Stall {
  return { some: averageOf(text, 'some'), full: averageOf(text, 'full') };
}

function averageOf(text: string, kind: keyof Stall): number {
  const start = `${kind} avg10=`;
  const line = text.split('\n').find((one) => one.startsWith(start));
  const share = Number(line?.slice(start.length).split(' ', 1)[0]);
  return Number.isFinite(share) ? Math.min(100, Math.max(0, share)) : 0;
}

export class Pressure {
  readonly #directory: string;
  #missing: string | undefined;

  constructor(directory = '/proc/pressure') {
    this.#directory = directory;
  }

  /** Why there is none; undefined as long as there is some. Known once `read()` was called. */
  get missing(): string | undefined {
    return this.#missing;
  }

  /** @returns undefined where this kernel keeps none. */
  read(): PressureAttrs | undefined {
    const stalls = RESOURCES.map((resource) => this.#stall(resource));
    if (stalls.every((stall) => stall === undefined)) return undefined;
    this.#missing = undefined;
    const [cpu = NONE, io = NONE, memory = NONE] = stalls;
    return {
      cpuSome: cpu.some,
      ioSome: io.some,
      ioFull: io.full,
      memorySome: memory.some,
      memoryFull: memory.full,
    };
  }

  #stall(resource: string): Stall | undefined {
    try {
      return stallOf(readFileSync(`${this.#directory}/${resource}`, 'utf8'));
    } catch (error) {
      this.#missing = reasonOf(errnoOf(error));
      return undefined;
    }
  }
}

function reasonOf(errno: string | undefined): string {
  switch (errno) {
    case 'ENOENT':
      return 'this kernel has no pressure stall information (CONFIG_PSI)';
    case 'EOPNOTSUPP':
      return 'pressure stall information is switched off (boot with psi=1)';
    default:
      return `pressure stall information cannot be read: ${errno ?? 'unknown error'}`;
  }
}

/** The largest share of them. */
export function worstOf(pressure: PressureAttrs): number {
  return Math.max(
    pressure.cpuSome,
    pressure.ioSome,
    pressure.ioFull,
    pressure.memorySome,
    pressure.memoryFull,
  );
}
