/**
 * What the double answers, as a file that can change while it is used. Lines:
 *
 *     driver 550.90.07          init CODE (of nvmlInit)       calls CODE (of every other call)
 *     gpus N                    generation N (another one: every call fails until the library is started anew)
 *     refresh_ms N              stride N (bytes of an entry of the process list, by its newest function)
 *     unsupported FUNCTION      unsupported field:ID           refuse FUNCTION CODE (another code)
 *     hang GPU FUNCTION         GPU -1: whichever, -2: of the library; FUNCTION *: all
 *     event SEQ GPU TYPE DATA [GI CI [COUNT]]       once (or so often, one after the other), in the order of SEQ
 *     gpu N KEY VALUES          N -1: all; for KEY see Gpu below
 */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../lib/root.js';
import type { Scope } from '../../lib/scope.js';

const NONE = 0xffff_ffff;

export interface DoubleProcess {
  readonly pid: number;
  readonly bytes: number;
  readonly gi?: number;
  readonly ci?: number;
  readonly sm?: number;
  readonly memory?: number;
}

export interface DoubleGpu {
  /** NVML's code for every call about it. */
  readonly code?: number;
  /** Which GPU it is: its uuid and PCI address. */
  readonly serial?: number;
  readonly util?: readonly [gpu: number, memory: number];
  readonly usedBytes?: number;
  readonly temperature?: number;
  readonly powerMw?: readonly [draw: number, limit: number];
  readonly clocks?: readonly [sm: number, memory: number];
  readonly reasons?: number;
  /** Volatile corrected, uncorrected; aggregate corrected, uncorrected. */
  readonly ecc?: readonly [number, number, number, number];
  /** Correctable, uncorrectable, pending, failed. */
  readonly remap?: readonly [number, number, number, number];
  readonly pcie?: readonly [generation: number, width: number, replays: number];
  readonly nvlink?: readonly [links: number, downBits: number, crc: number, recoveries: number];
  /** Its links are NVLink 5: other counters. */
  readonly nvlink5?: 1;
  /** Compute mode, virtualization mode. */
  readonly mode?: readonly [number, number];
  readonly mig?: readonly [current: number, pending: number];
  /** Slices 0: a free slot. */
  readonly instances?: readonly (readonly [gi: number, ci: number, slices: number, mib: number])[];
  readonly processes?: readonly DoubleProcess[];
}

export interface DoubleState {
  readonly driver?: string;
  readonly init?: number;
  readonly calls?: number;
  readonly gpus?: number;
  readonly generation?: number;
  readonly refreshMs?: number;
  readonly stride?: number;
  readonly unsupported?: readonly string[];
  readonly refuse?: readonly (readonly [call: string, code: number])[];
  readonly hang?: readonly (readonly [gpu: number, call: string])[];
  readonly events?: readonly (readonly number[])[];
  /** Of all GPUs, then of single ones. */
  readonly all?: DoubleGpu;
  readonly gpu?: Readonly<Record<number, DoubleGpu>>;
}

export class Scenario {
  readonly path: string;
  #writes = 0;
  #state: DoubleState = {};

  /** Nothing hangs any more when the scope ends: a call that never returns would keep the test from ending. */
  constructor(scope: Scope) {
    const parent = join(ROOT, 'build', 'test');
    mkdirSync(parent, { recursive: true });
    const directory = mkdtempSync(join(parent, 'nvml-'));
    this.path = join(directory, 'scenario');
    this.set({});
    process.env.XCTL_NVML_SCENARIO = this.path;
    // The double takes a file that is gone for one in which nothing hangs.
    scope.teardown(() => rmSync(directory, { recursive: true, force: true }));
  }

  /** In place of all that was said before. */
  set(state: DoubleState): void {
    this.#state = state;
    // Renamed: the double never sees half of it, and always sees that it is another file.
    const next = `${this.path}.${++this.#writes}`;
    writeFileSync(next, `${textOf(state).join('\n')}\n`);
    renameSync(next, this.path);
  }

  /** On top of it. */
  change(state: DoubleState): void {
    this.set({ ...this.#state, ...state });
  }
}

function textOf(state: DoubleState): string[] {
  const { driver, init, calls, gpus, generation, refreshMs, stride } = state;
  const single = { driver, init, calls, gpus, generation, refresh_ms: refreshMs ?? 0, stride };
  return [
    ...Object.entries(single)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => `${key} ${value}`),
    ...(state.unsupported ?? []).map((name) => `unsupported ${name}`),
    ...(state.refuse ?? []).map(([name, code]) => `refuse ${name} ${code}`),
    ...(state.hang ?? []).map(([gpu, call]) => `hang ${gpu} ${call}`),
    ...(state.events ?? []).map((event) => `event ${event.join(' ')}`),
    ...gpuText(-1, state.all ?? {}),
    ...Object.entries(state.gpu ?? {}).flatMap(([index, gpu]) => gpuText(Number(index), gpu)),
  ];
}

function gpuText(index: number, gpu: DoubleGpu): string[] {
  const { instances = [], processes = [], usedBytes, powerMw, ...rest } = gpu;
  const figures = { ...rest, memory: usedBytes, power: powerMw };
  return [
    ...Object.entries(figures)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => `gpu ${index} ${key} ${typeof value === 'object' ? value.join(' ') : value}`),
    ...instances.map((one) => `gpu ${index} instance ${one.join(' ')}`),
    ...processes.map(
      ({ pid, bytes, gi = NONE, ci = NONE, sm = 0, memory = 0 }) =>
        `gpu ${index} process ${pid} ${bytes} ${gi} ${ci} ${sm} ${memory}`,
    ),
  ];
}
