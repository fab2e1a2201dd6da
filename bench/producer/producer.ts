/**
 * Records at full speed, made in the kernel by the macros that the probes use.
 *
 *     const { kernel, producer } = await openProducer({ log });
 *     producer.run({ records: 1000, flows: 10 });                   // in this process, at once
 *     const run = producer.start({ flows: 5000, seconds: 10 });     // in its own, at full speed
 *     …                                                             // drain kernel.events meanwhile
 *     const { submitted, refused } = await run.done;
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Pinned } from '../../src/ffi/memory.js';
import { bpfError } from '../../src/ffi/libbpf.js';
import { Kernel, type KernelOptions } from '../../src/kernel/kernel.js';
import type { LoadedObject } from '../../src/kernel/program.js';
import { buildBpf, buildC } from './build.js';

/** What a record is: `struct xctl_tcp` (XCTL_TCP_STATE), or the small `struct xctl_wait_same`. */
export type Shape = 'tcp' | 'small' | 'critical';
const SHAPES: readonly Shape[] = ['tcp', 'small', 'critical'];

export interface ProduceTotals {
  readonly submitted: number;
  readonly discarded: number;
  /** The ring had no room. */
  readonly refused: number;
}

export interface ProduceSpec {
  readonly records: number;
  /** Flows that the records go round; 1. */
  readonly flows?: number;
  readonly shape?: Shape;
  /** Each n-th record is discarded after it was reserved; none. */
  readonly discardEvery?: number;
  /** Number of the first record: `tcp.bytesAcked`, or `hdr.tsNs` of a small one; 0. */
  readonly first?: number;
}

export interface StartSpec {
  readonly seconds: number;
  readonly flows?: number;
  readonly shape?: Shape;
  /** 0, the default: as fast as it goes. */
  readonly recordsPerSecond?: number;
  /** Records a system call; 512. */
  readonly batch?: number;
}

export interface ProducerRun {
  /** Totals, with the seconds it ran. */
  readonly done: Promise<ProduceTotals & { readonly seconds: number }>;
  /** Ends it early; `done` still gives the totals. */
  stop(): void;
}

// struct produce_args of producer.bpf.c and struct bpf_test_run_opts of libbpf.
const ARGS = {
  records: 0,
  flows: 4,
  discardEvery: 8,
  shape: 12,
  first: 16,
  submitted: 24,
  discarded: 32,
  refused: 40,
};
const ARGS_BYTES = 48;
const OPTIONS = { size: 0, ctxIn: 32, ctxSizeIn: 48 };
const OPTIONS_BYTES = 80;

export class Producer {
  readonly object: LoadedObject;
  readonly #kernel: Kernel;
  readonly #programFd: number;
  readonly #args = new Pinned(ARGS_BYTES);
  readonly #options = new Pinned(OPTIONS_BYTES);

  constructor(kernel: Kernel, object: LoadedObject) {
    const fd = object.programFd('produce');
    if (fd === undefined) throw new Error('the program `produce` is not loaded');
    this.object = object;
    this.#kernel = kernel;
    this.#programFd = fd;
    this.#options.writeAddress(OPTIONS.size, OPTIONS_BYTES);
    this.#options.writeAddress(OPTIONS.ctxIn, this.#args.address);
    this.#options.view.setUint32(OPTIONS.ctxSizeIn, ARGS_BYTES, true);
  }

  /** Makes records on this thread and returns when they are in the ring. */
  run(spec: ProduceSpec): ProduceTotals {
    const { view } = this.#args;
    this.#args.bytes.fill(0);
    view.setUint32(ARGS.records, spec.records, true);
    view.setUint32(ARGS.flows, spec.flows ?? 1, true);
    view.setUint32(ARGS.discardEvery, spec.discardEvery ?? 0, true);
    view.setUint32(ARGS.shape, SHAPES.indexOf(spec.shape ?? 'tcp'), true);
    this.#args.writeAddress(ARGS.first, spec.first ?? 0);
    const code = this.#kernel.bpf.testRun(this.#programFd, this.#options);
    if (code !== 0) throw bpfError('bpf_prog_test_run_opts', code);
    return {
      submitted: this.#args.readU64(ARGS.submitted),
      discarded: this.#args.readU64(ARGS.discarded),
      refused: this.#args.readU64(ARGS.refused),
    };
  }

  /** Makes records from another process. */
  start(spec: StartSpec): ProducerRun {
    const words = [
      fdInfo(this.#programFd, 'prog_id'),
      spec.seconds,
      spec.batch ?? 512,
      spec.flows ?? 1,
      SHAPES.indexOf(spec.shape ?? 'tcp'),
      spec.recordsPerSecond ?? 0,
    ];
    const child = spawn(buildC('bench/producer/producer.c'), words.map(String), {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    const done = new Promise<ProduceTotals & { seconds: number }>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => {
        if (code === 0) resolve(JSON.parse(output));
        else reject(new Error(`producer ended with code ${code}`));
      });
    });
    return { done, stop: () => void child.kill('SIGTERM') };
  }
}

/** A kernel with the producer in it and nothing else. */
export async function openProducer(
  options: Omit<KernelOptions, 'bpfDir'>,
): Promise<{ readonly kernel: Kernel; readonly producer: Producer }> {
  const bpfDir = buildBpf('bench/producer/producer.bpf.c');
  const kernel = await Kernel.open({ ...options, bpfDir });
  return { kernel, producer: new Producer(kernel, await kernel.load('producer')) };
}

/** A number from /proc/self/fdinfo, `prog_id` or `map_id`: what another process opens the same by. */
export function fdInfo(fd: number, field: string): number {
  const text = readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
  const found = new RegExp(`^${field}:\\s*(\\d+)`, 'm').exec(text)?.[1];
  if (found === undefined) throw new Error(`no ${field} in fdinfo of ${fd}`);
  return Number(found);
}
