/**
 * A node far larger than any real one, made of events only: 100,000 graph nodes and a million edges.
 * Most of it is training jobs; beside them stands every shape that makes the walk work: chains longer
 * than it goes, crowds on one pipe, processes with a thousand threads, large poll sets, a parent of
 * thousands, and a tangle in which everybody waits for everybody.
 */
import type { StateGraph } from '../../src/graph/state-graph.js';
import { Teller } from './graph-tell.js';

/** Pids by what makes them hard to answer for. */
export interface World {
  readonly jobs: readonly number[];
  readonly threaded: readonly number[];
  readonly chained: readonly number[];
  readonly hubs: readonly number[];
  readonly pollers: readonly number[];
  readonly tangled: readonly number[];
}

const SIZES = {
  jobs: 750,
  threaded: 60,
  chains: 40,
  crowds: 100,
  pollers: 200,
  tangled: 1_000,
  children: 4_000,
};
type Sizes = Readonly<typeof SIZES>;

const TRAINERS_A_JOB = 4;
const THREADS_A_TRAINER = 64;
const WORKERS_A_TRAINER = 8;
const THREADS_A_WORKER = 4;
const FLOWS_A_TRAINER = 2;
/** Pipes that everybody in the job has inherited: standard output, the log, the launcher's own. */
const PIPES_OF_ALL = 12;
const THREADS_THREADED = 1_000;
const HOLDERS_A_CROWD = 1_000;
const CHAIN_LENGTH = 100;
/** As many as the sampler reports of one set (XCTL_SET_MAX). */
const MEMBERS_A_SET = 64;
const THREADS_TANGLED = 10;
const HOLDERS_TANGLED = 14;

/** @param scale 1 for a million edges. */
export function buildWorld(graph: StateGraph, scale = 1): World {
  const scaled = Object.entries(SIZES).map(([name, size]) => [name, Math.ceil(size * scale)]);
  return new Builder(graph, { ...SIZES, ...Object.fromEntries(scaled) }).build();
}

class Builder {
  readonly #tell: Teller;
  readonly #sizes: Sizes;
  readonly #root: number;

  constructor(graph: StateGraph, sizes: Sizes) {
    this.#tell = new Teller(graph);
    this.#sizes = sizes;
    this.#root = this.#tell.process(1);
  }

  build(): World {
    const jobs = Array.from({ length: this.#sizes.jobs }, () => this.#job()).flat();
    return {
      jobs,
      threaded: this.#threaded(jobs),
      chained: this.#chains(),
      hubs: this.#hubs(jobs),
      pollers: this.#pollers(jobs),
      tangled: this.#tangle(),
    };
  }

  /** A launcher, its trainers, and their data workers, as torchrun and a DataLoader make them. */
  #job(): readonly number[] {
    const tell = this.#tell;
    const launcher = tell.process(this.#root);
    const trainers = tell.processes(TRAINERS_A_JOB, launcher);
    const all = [launcher, ...trainers];
    for (const trainer of trainers) all.push(...this.#trainer(trainer));
    for (let i = 0; i < PIPES_OF_ALL; i++) tell.reads(launcher, tell.thread(), tell.pipe(all));
    tell.anyChild(launcher);
    return all;
  }

  #trainer(pid: number): readonly number[] {
    const tell = this.#tell;
    for (let i = 0; i < FLOWS_A_TRAINER; i++) {
      tell.receives(pid, i === 0 && tell.dice.roll(2) === 0 ? pid : tell.thread(), tell.flow(pid));
    }
    const workers = tell.processes(WORKERS_A_TRAINER, pid);
    for (const [i, worker] of workers.entries()) {
      // A fork inherits the pipes of those forked before it.
      const index = tell.pipe([pid, ...workers.slice(i)]);
      const data = tell.pipe([...workers.slice(i), pid]);
      tell.reads(worker, worker, index);
      for (let n = 1; n < THREADS_A_WORKER; n++) tell.futex(worker, tell.thread(), 1);
      tell.reads(pid, tell.thread(), data);
    }
    for (let n = WORKERS_A_TRAINER + FLOWS_A_TRAINER; n < THREADS_A_TRAINER; n++) {
      const tid = tell.thread();
      if (n % 16 === 0) tell.runs(pid, tid);
      else if (n % 16 === 1) tell.lock(pid, tid, pid);
      else tell.futex(pid, tid, n % 4);
    }
    return workers;
  }

  #threaded(others: readonly number[]): readonly number[] {
    const tell = this.#tell;
    const pids = tell.processes(this.#sizes.threaded, this.#root);
    const pipes = Array.from({ length: 100 }, () => tell.pipe([tell.any(others)]));
    for (const pid of pids) {
      tell.futex(pid, pid, 1);
      for (let n = 1; n < THREADS_THREADED; n++) {
        const tid = tell.thread();
        if (n % 4 === 0) tell.reads(pid, tid, pipes[n % pipes.length] ?? '');
        else if (n % 4 === 1) tell.lock(pid, tid, pid);
        else tell.futex(pid, tid, n % 7);
      }
    }
    return pids;
  }

  /** Each reads from a pipe that only the next one writes to; the last one from a connection. */
  #chains(): readonly number[] {
    const tell = this.#tell;
    const chain = (): readonly number[] => {
      const pids = tell.processes(CHAIN_LENGTH, this.#root);
      for (const [n, pid] of pids.entries()) {
        const next = pids[n + 1];
        if (next === undefined) tell.receives(pid, pid, tell.flow(pid));
        else tell.reads(pid, pid, tell.pipe([next]));
      }
      return pids;
    };
    return Array.from({ length: this.#sizes.chains }, chain).flat();
  }

  /** Readers of pipes that a thousand have open, and a parent of thousands. */
  #hubs(others: readonly number[]): readonly number[] {
    const tell = this.#tell;
    const crowd = (_: unknown, i: number): number => {
      const reader = tell.process(this.#root);
      const holders = Array.from(
        { length: HOLDERS_A_CROWD },
        (_, n) => others[(i * 97 + n) % others.length] ?? 0,
      );
      tell.reads(reader, reader, tell.pipe([...new Set(holders)]));
      return reader;
    };
    const readers = Array.from({ length: this.#sizes.crowds }, crowd);
    const parent = tell.process(this.#root);
    for (const child of tell.processes(this.#sizes.children, parent)) tell.futex(child, child, 1);
    tell.anyChild(parent);
    return [...readers, parent];
  }

  #pollers(others: readonly number[]): readonly number[] {
    const tell = this.#tell;
    const pids = tell.processes(this.#sizes.pollers, this.#root);
    for (const pid of pids) {
      const member = (_: unknown, i: number): number | string =>
        i % 2 === 0 ? tell.flow(pid) : tell.pipe([tell.any(others)]);
      tell.polls(pid, Array.from({ length: MEMBERS_A_SET }, member));
    }
    return pids;
  }

  /** Whoever is asked about, the walk never comes to an end. */
  #tangle(): readonly number[] {
    const tell = this.#tell;
    const pids = tell.processes(this.#sizes.tangled, this.#root);
    const holders = (): number[] => Array.from({ length: HOLDERS_TANGLED }, () => tell.any(pids));
    const pipes = pids.map(() => tell.pipe(holders()));
    for (const pid of pids) {
      for (let n = 0; n < THREADS_TANGLED; n++) {
        tell.reads(pid, n === 0 ? pid : tell.thread(), pipes[tell.dice.roll(pipes.length)] ?? '');
      }
    }
    return pids;
  }
}
