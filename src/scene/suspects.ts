/**
 * Which processes a list of findings has to walk for. Most processes of a node wait for one another and for nothing that
 * is wrong, and the walk of each goes through the same knot again. So each is looked at alone first (a *scout*: the walk
 * itself, in which every other process is a stand-in that knows nothing), which tells what is wrong with it by itself and
 * whom its walk would ask. Only who can get from there to something wrong is walked for.
 *
 * It leaves out nothing that `why` would tell (test/scene/properties.test.ts compares): what is wrong at the end of a chain
 * is wrong without the chain, too. Two things are not, and are told apart: a cycle is wrong only as a whole, and a rank
 * that is behind only beside its peers.
 */
import type { ProcessNode, Thread } from '../graph/model.js';
import type { StateGraph } from '../graph/state-graph.js';
import { isNamed, isOnlyWorker } from './deadlock.js';
import type { Outcome } from './finding.js';
import { type Scout, type Step, Walk } from './walk.js';

/** Asked about as a whole, or by the one thread that must act. */
type Asked = ProcessNode | Thread;

/** What nothing is known of, and what only waits its turn: a walk goes on in other ways behind each. */
const STAND_INS: readonly Outcome[] = [
  { kind: 'unknown', summary: () => '', needs: '', cutOff: true, links: [] },
  { kind: 'running', links: [] },
  { kind: 'by-design', what: '', links: [] },
];
const [NOTHING_KNOWN] = STAND_INS;

/**
 * @param processes those whose answers are wanted
 * @param isWrong whether such an outcome is to be told
 * @returns those of them whose walk may end in one
 */
export function suspects(
  graph: StateGraph,
  processes: readonly ProcessNode[],
  isWrong: (outcome: Outcome) => boolean,
): ReadonlySet<ProcessNode> {
  const scouting = new Scouting(graph, isWrong);
  for (const process of processes) scouting.add(process);
  const wrong = scouting.reaching();
  return new Set(processes.filter((process) => wrong.has(process)));
}

class Scouting {
  readonly #graph: StateGraph;
  readonly #isWrong: (outcome: Outcome) => boolean;
  /** Everybody who was or is to be scouted, with those whose walk asks about it. */
  readonly #askers = new Map<Asked, Asked[]>();
  readonly #wrong = new Set<Asked>();
  /** Whom a thread's wait leads to: where it may close a cycle. */
  readonly #next = new Map<Thread, Set<Asked>>();

  constructor(graph: StateGraph, isWrong: (outcome: Outcome) => boolean) {
    this.#graph = graph;
    this.#isWrong = isWrong;
  }

  add(asked: Asked): void {
    if (!this.#askers.has(asked)) this.#askers.set(asked, []);
  }

  /** Everybody who is wrong, and whoever's walk gets there. */
  reaching(): ReadonlySet<Asked> {
    // It grows while it is gone through.
    for (const asked of this.#askers.keys()) this.#scout(asked);
    this.#findCycles();
    const reached = new Set(this.#wrong);
    for (const asked of reached) for (const asker of this.#askers.get(asked) ?? []) reached.add(asker);
    return reached;
  }

  #scout(asked: Asked): void {
    const { process, thread } = isThread(asked)
      ? { process: asked.process, thread: asked }
      : { process: asked, thread: undefined };
    if (isBesideOthers(process)) this.#wrong.add(asked);
    // Only what is known by queue pairs is asked about in an order that depends on answers.
    const standIns = process.rdma !== undefined || hasQueuePair(process) ? STAND_INS : [NOTHING_KNOWN];
    for (const path of contextsOf(process))
      for (const standIn of standIns)
        if (standIn !== undefined) this.#look(asked, process, thread, path, standIn);
  }

  /** One walk of `process`, in which everybody else is `standIn`. */
  #look(
    asked: Asked,
    process: ProcessNode,
    thread: Thread | undefined,
    path: readonly Step[],
    standIn: Outcome,
  ): void {
    const asks = new Set<Asked>();
    const scout: Scout = (other, steps, which) => {
      const from = steps.at(-1)?.thread;
      if (from !== undefined) this.#leads(from, which ?? other);
      if (other === process) return undefined;
      asks.add(which ?? other);
      return standIn;
    };
    const walk = new Walk(this.#graph, scout);
    const outcome = walk.process(process, path, thread);
    if (this.#isWrong(outcome) || walk.exhausted) this.#wrong.add(asked);
    for (const other of asks) {
      this.add(other);
      this.#askers.get(other)?.push(asked);
    }
  }

  #leads(from: Thread, to: Asked): void {
    const known = this.#next.get(from);
    if (known === undefined) this.#next.set(from, new Set([to]));
    else known.add(to);
  }

  /** Threads from which a cycle of waits can be reached that `deadlock.ts` might call one: all others lead to an end. */
  #findCycles(): void {
    const before = new Map<Thread, Thread[]>();
    const left = new Map<Thread, number>();
    for (const [from, targets] of this.#next) {
      let count = 0;
      for (const to of this.#membersOf(from, targets)) {
        count++;
        const known = before.get(to);
        if (known === undefined) before.set(to, [from]);
        else known.push(from);
      }
      left.set(from, count);
    }
    const ended = [...left].flatMap(([thread, count]) => (count === 0 ? [thread] : []));
    for (const thread of ended) {
      left.delete(thread);
      for (const from of before.get(thread) ?? []) {
        const count = (left.get(from) ?? 1) - 1;
        left.set(from, count);
        if (count === 0) ended.push(from);
      }
    }
    for (const thread of left.keys())
      for (const asked of [thread, thread.process]) if (this.#askers.has(asked)) this.#wrong.add(asked);
  }

  /** Which threads can stand behind `from` in a cycle. */
  #membersOf(from: Thread, targets: ReadonlySet<Asked>): readonly Thread[] {
    const found: Thread[] = [];
    for (const to of targets) {
      const threads = isThread(to) ? [to] : to.threads.values();
      for (const thread of threads)
        if (this.#next.has(thread) && (isNamed(from) || isOnlyWorker(thread))) found.push(thread);
    }
    return found;
  }
}

/** By itself; and a rank as another one of its job asks about it, when it does not ask back (poll-peers.ts). */
function contextsOf(process: ProcessNode): readonly (readonly Step[])[] {
  return process.job === undefined ? [[]] : [[], [{ process: { ...process }, thread: undefined }]];
}

function isThread(asked: Asked): asked is Thread {
  return 'tid' in asked;
}

/** One of its communicators has a rank that is behind. */
function isBesideOthers(process: ProcessNode): boolean {
  return process.out.some(
    ({ to }) =>
      to.type === 'communicator' &&
      [...to.members.values()].some(({ behindSince }) => behindSince !== undefined),
  );
}

function hasQueuePair(process: ProcessNode): boolean {
  return process.out.some(({ to }) => to.type === 'qp');
}
