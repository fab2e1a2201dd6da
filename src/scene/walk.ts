/**
 * The walk: from a process along what its threads wait for, to whoever does not wait any more.
 * The order of reasoning is the one in docs/reasoning.md:
 * thread → resource → who holds or serves it → what that one waits for; a cycle is a deadlock;
 * a poll set is a set; the deepest node with a fault of its own is the cause.
 *
 * Bounded by `MAX_DEPTH` and `MAX_STEPS`, so that its cost does not depend on the size of the graph.
 */
import type { GraphNode, ProcessNode, Thread } from '../graph/model.js';
import type { StateGraph } from '../graph/state-graph.js';
import { hangsOnOthers } from '../graph/waits.js';
import { besideTheFlow } from './beside.js';
import { CONFIDENCE, DISCOUNT } from './confidence.js';
import { cpuFault } from './cpu.js';
import { crashFault } from './crash.js';
import { deadlockFault } from './deadlock.js';
import type { Fault, Outcome } from './finding.js';
import { waitedMs } from './finding.js';
import { followWait } from './follow.js';
import { PROGRESS_CPU_SHARE, type Ties, tiesOf } from './links.js';
import { unlessGpuWorks } from './gpu-idle.js';
import { gpuCrash, gpuFull, gpuSlowed, gpuSymptom, gpuTrouble } from './gpu.js';
import { haltFault } from './halt.js';
import { loggedSuspicion } from './io-log.js';
import { gpuSync, ncclWait, spinShare } from './nccl.js';
import { lockupFault } from './log.js';
import { memoryFault } from './memory.js';
import { oftenOn } from './often.js';
import { pollPeers } from './poll-peers.js';
import { rdmaStall } from './rdma.js';
import { rdmaConnecting, rdmaCrash } from './rdma-end.js';
import { rdmaSlow } from './rdma-slow.js';
import { rdmaDoubt, rdmaPeer } from './rdma-wait.js';
import { storageCrash, storageTrouble } from './trouble.js';
import { duration, who } from './words.js';

const MAX_DEPTH = 24;
const MAX_STEPS = 1_000;
/** Of one process's threads, how many are followed; the longest waits first. */
const MAX_THREADS = 128;
/** Where a walk has been: the processes and threads from the target down to here. */
export interface Step {
  readonly process: ProcessNode;
  readonly thread: Thread | undefined;
}

type FaultOutcome = Extract<Outcome, { kind: 'fault' }>;

/** Asked before each process but the first: what to take for its outcome; undefined: walk on (scene/suspects.ts). */
export type Scout = (
  process: ProcessNode,
  path: readonly Step[],
  thread: Thread | undefined,
) => Outcome | undefined;

export class Walk {
  readonly graph: StateGraph;
  readonly now: number;
  readonly #orders = new Map<ProcessNode, readonly Thread[]>();
  /** Outcomes that this walk may use again: nothing below them led back or was cut off. */
  readonly #settled = new Map<ProcessNode, Outcome>();
  readonly #scout: Scout | undefined;
  #ledBack = false;
  #steps = 0;

  constructor(graph: StateGraph, scout?: Scout) {
    this.graph = graph;
    this.now = graph.now;
    this.#scout = scout;
  }

  /** The budget is spent: whoever still has alternatives to try need not. */
  get exhausted(): boolean {
    return this.#steps > MAX_STEPS;
  }

  /**
   * Why `process` makes no progress. `thread`: the one that matters (it holds the lock, it is
   * joined); else all of them, the main thread first.
   */
  process(process: ProcessNode, path: readonly Step[], thread?: Thread): Outcome {
    if (++this.#steps > MAX_STEPS || path.length > MAX_DEPTH) return this.#tooFar(process);
    const standIn = path.length === 0 ? undefined : this.#scout?.(process, path, thread);
    if (standIn !== undefined) return standIn;
    const failed =
      storageCrash(process, this.now) ?? gpuCrash(this.graph, process) ?? rdmaCrash(this, process, path);
    if (failed !== undefined) return failed;
    const crash = crashFault(process);
    if (crash !== undefined) return { kind: 'fault', fault: crash, links: [] };
    if (process.exit !== undefined) return { kind: 'by-design', what: 'has ended', links: [] };
    const halt = haltFault(process, this.now);
    if (halt !== undefined) return { kind: 'fault', fault: halt, links: [] };
    const lockup = lockupFault(this.graph, process, thread);
    if (lockup !== undefined) return { kind: 'fault', fault: lockup, links: [] };
    const cycle = deadlockFault(process, path, thread, this.now);
    if (cycle !== undefined) {
      this.#ledBack = true;
      return { kind: 'fault', fault: cycle, links: [] };
    }
    // Back where we came from, and no deadlock: what it waits for elsewhere is being followed already.
    if (path.some((step) => (thread === undefined ? step.process === process : step.thread === thread))) {
      this.#ledBack = true;
      return unknown(() => `${who(process)} is where the chain came from`, 'which of its threads should act');
    }
    if (thread !== undefined) return this.thread(thread, path);
    const known = this.#settled.get(process);
    if (known !== undefined) return known;
    const ties = tiesOf(process);
    const { cgroups } = ties;
    // The host first: who may not run, or reclaims memory, is late for everything else. But no CPU brings back a GPU that
    // has failed.
    const host = cpuFault(this.graph, process, cgroups) ?? memoryFault(this.graph, process, cgroups);
    if (host !== undefined) {
      const first = gpuTrouble(this.graph, process, ties.gpus, 'surely') ?? host;
      this.#settled.set(process, first);
      return first;
    }
    const elsewhere = this.#ledBack;
    this.#ledBack = false;
    const shown = this.#allThreads(process, ties, path);
    const outcome =
      ncclWait(this, process, path, shown) ??
      unlessGpuWorks(process, this.now, gpuSync(process, this.now, shown) ?? shown);
    if (!this.#ledBack && !this.exhausted) this.#settled.set(process, outcome);
    this.#ledBack ||= elsewhere;
    return outcome;
  }

  /** What one thread waits for, to the end. */
  thread(thread: Thread, path: readonly Step[]): Outcome {
    if (++this.#steps > MAX_STEPS) return this.#tooFar(thread.process);
    const here: Step = { process: thread.process, thread };
    return followWait(this, thread, [...path, here]);
  }

  /** All outcomes of a process's threads that are causes, strongest first; for ranking several. */
  faults(process: ProcessNode, path: readonly Step[]): readonly FaultOutcome[] {
    const found: FaultOutcome[] = [];
    for (const thread of this.#order(process)) {
      if (this.exhausted) break;
      const outcome = oftenOn(this, thread, path) ?? this.thread(thread, path);
      if (outcome.kind === 'fault') found.push(outcome);
      found.push(...besideTheFlow(this, thread));
    }
    const ties = tiesOf(process);
    const { gpus, qps } = ties;
    // Whoever is stopped meets it as soon as it goes on.
    const storage = storageTrouble(process, ties, this.now);
    if (storage !== undefined) found.push(storage);
    const gpu = gpuTrouble(this.graph, process, gpus, 'surely');
    if (gpu !== undefined) found.push(gpu);
    const rdma = rdmaStall(this, process, qps, path, false);
    if (rdma !== undefined) found.push(rdma);
    return found;
  }

  #tooFar(process: ProcessNode): Outcome {
    this.#ledBack = true;
    return {
      ...unknown(
        () => `the chain goes on past ${who(process)}`,
        'a shorter chain: ask for a process nearer its end',
      ),
      cutOff: true,
    };
  }

  #allThreads(process: ProcessNode, ties: Ties, path: readonly Step[]): Outcome {
    const order = this.#order(process);
    const [main, ...siblings] = order;
    if (main === undefined) {
      return unknown(
        () => `no thread of ${who(process)} has been sampled yet`,
        'another pass of the sampler',
      );
    }
    const progress = process.cpuShare - spinShare(process, this.now) >= PROGRESS_CPU_SHARE;
    const trouble = storageTrouble(process, ties, this.now);
    const mainOutcome = oftenOn(this, main, path) ?? this.thread(main, path);
    // A thread that spins for a GPU that has failed uses a CPU: that is no progress.
    const gpu = gpuTrouble(this.graph, process, ties.gpus, 'surely');
    if (gpu !== undefined && !(isHard(mainOutcome) && began(mainOutcome) < gpu.fault.began)) return gpu;
    // Whoever polls for a completion that does not come uses a CPU, too.
    const rdma = rdmaStall(this, process, ties.qps, path, progress);
    if (rdma !== undefined && !(isHard(mainOutcome) && began(mainOutcome) < rdma.fault.began)) return rdma;
    if (mainOutcome.kind === 'fault' && isHard(mainOutcome)) {
      return progress && !isDeadlock(mainOutcome.fault) ? despiteProgress(mainOutcome) : mainOutcome;
    }
    const fromSibling = this.#sibling(main, siblings, path, progress, hangsOnOthers(main));
    if (trouble !== undefined && (fromSibling?.kind !== 'fault' || !isHard(fromSibling))) {
      return progress ? despiteProgress(trouble) : trouble;
    }
    if (fromSibling?.kind === 'fault' && isHard(fromSibling)) return fromSibling;
    const late =
      rdmaSlow(this, process, ties.qps, path, progress) ??
      (progress ? undefined : rdmaConnecting(this, process));
    if (late?.kind === 'fault') return late;
    if (fromSibling?.kind === 'fault') return fromSibling;
    // Its GPU works, if slowly: whom a thread waits for meanwhile is not why.
    const slow = gpuSlowed(this.graph, process, ties.gpus);
    if (slow !== undefined) return slow;
    if (fromSibling !== undefined && fromSibling.kind !== 'running') return fromSibling;
    const slowed =
      rdmaPeer(this, process, ties.qps, path, progress) ?? (mainOutcome.kind === 'fault' ? undefined : late);
    if (slowed !== undefined) return slowed;
    if (fromSibling !== undefined) return fromSibling;
    if (progress) return { kind: 'running', links: [] };
    return (
      loggedSuspicion(ties.failing, this.now) ??
      this.#gpuDoubt(process, ties, mainOutcome) ??
      rdmaDoubt(this, process, ties.qps, main, mainOutcome) ??
      mainOutcome
    );
  }

  /** What its GPUs have to say where nothing is known for sure. */
  #gpuDoubt(process: ProcessNode, { gpus }: Ties, main: Outcome): Outcome | undefined {
    if (gpus.length === 0 || main.kind === 'fault') return undefined;
    const perhaps = main.kind === 'unknown' ? gpuTrouble(this.graph, process, gpus, 'perhaps') : undefined;
    return perhaps ?? gpuFull(process, gpus) ?? gpuSymptom(this.graph, process, gpus);
  }

  /**
   * A sibling explains the process when its fault is hard, or when the main thread waits on a
   * condition, a join or a lock and so hangs from somebody else in the process.
   */
  #sibling(
    main: Thread,
    siblings: readonly Thread[],
    path: readonly Step[],
    progress: boolean,
    mainHangs: boolean,
  ): Outcome | undefined {
    let hard: FaultOutcome | undefined;
    let soft: Outcome | undefined;
    let symptom: Outcome | undefined;
    let busy = false;
    for (const thread of siblings) {
      if (this.exhausted) break;
      const outcome = oftenOn(this, thread, path) ?? this.thread(thread, path);
      if (outcome.kind === 'fault' && isDeadlock(outcome.fault)) return outcome;
      if (progress) continue;
      if (outcome.kind === 'running') busy = true;
      // The thread nearest to the fault tells the shortest story.
      if (outcome.kind === 'fault' && isHard(outcome)) {
        if (hard === undefined || outcome.links.length < hard.links.length)
          hard = viaSibling(outcome, main, thread);
      } else if (outcome.kind === 'fault') soft ??= viaSibling(outcome, main, thread);
      if (outcome.kind === 'symptom') symptom ??= viaSibling(outcome, main, thread);
    }
    if (hard !== undefined) return hard;
    const peer = progress ? undefined : pollPeers(this, main, siblings, path);
    if (peer !== undefined) return peer;
    if (!mainHangs) return undefined;
    if (busy) return { kind: 'running', links: [] };
    return soft ?? symptom;
  }

  /** Main thread first, then the longest waits. */
  #order(process: ProcessNode): readonly Thread[] {
    const known = this.#orders.get(process);
    if (known !== undefined) return known;
    const main = process.threads.get(process.pid);
    const order = [...process.threads.values()];
    order.sort((a, b) => rank(a, main) - rank(b, main) || a.tid - b.tid);
    if (order.length > MAX_THREADS) order.length = MAX_THREADS;
    this.#orders.set(process, order);
    return order;
  }
}

function unknown(summary: () => string, needs: string): Extract<Outcome, { kind: 'unknown' }> {
  return { kind: 'unknown', summary, needs, links: [] };
}

function isHard(outcome: Outcome): boolean {
  return outcome.kind === 'fault' && outcome.fault.strength === 'hard';
}

function began(outcome: Outcome): number {
  return outcome.kind === 'fault' ? outcome.fault.began : Number.POSITIVE_INFINITY;
}

function isDeadlock(fault: Fault): boolean {
  return fault.subScene === 'Deadlock' && fault.confidence >= CONFIDENCE.deadlockPipes;
}

/** The main thread itself is stuck while others burn CPU: spinning helpers, most likely, but not surely. */
function despiteProgress(outcome: FaultOutcome): FaultOutcome {
  const confidence = outcome.fault.confidence * DISCOUNT.othersRun;
  return { ...outcome, fault: { ...outcome.fault, confidence } };
}

function rank(thread: Thread, main: Thread | undefined): number {
  return thread === main ? -1 : thread.wait.attrs.since;
}

/** The chain as the sibling sees it, its first link saying what the main thread does meanwhile. */
function viaSibling<O extends Extract<Outcome, { kind: 'fault' | 'symptom' }>>(
  outcome: O,
  main: Thread,
  sibling: Thread,
): O {
  if (main === sibling || main.wait.type === 'wait.run') return outcome;
  const [first, ...rest] = outcome.links;
  if (first === undefined) return outcome;
  const note = `${first.note}; the main thread has waited for ${duration(waitedMs(main))} (${main.wait.type.slice(5)})`;
  const links = [{ ...first, note }, ...rest];
  if (outcome.kind === 'fault') {
    return {
      ...outcome,
      links,
      fault: { ...outcome.fault, confidence: outcome.fault.confidence * DISCOUNT.sibling },
    };
  }
  return { ...outcome, links };
}

/** Whether a node can be followed further. */
export function isProcess(node: GraphNode): node is ProcessNode {
  return node.type === 'process';
}
