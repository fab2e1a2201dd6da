/** `xctl why` without a pid: what is wrong on this node, worst first. */
import type { ProcessNode } from '../graph/model.js';
import { isTroubled } from '../graph/rdma-qps.js';
import type { StateGraph } from '../graph/state-graph.js';
import { API_VERSION, type Findings, type WhyAnswer } from './answer.js';
import { timeText } from './evidence.js';
import { idleGpus } from './gpu-idle.js';
import type { Outcome } from './finding.js';
import { suspects } from './suspects.js';
import { storageCrash } from './trouble.js';
import { type AskOptions, answerFor } from './why.js';

const MAX_FINDINGS = 50;
/** Below this an answer is only given to whoever asks about the process itself. */
const MIN_CONFIDENCE = 0.7;
/** How long a crash stays in the list, ms of event time. */
const CRASH_MS = 120_000;
/** Nothing is wrong with the cause, but that others wait for it. */
const SOFT: ReadonlySet<string> = new Set(['WaitsOnPeer', 'LockHeld', 'Join']);

/**
 * Each root cause once, told from the process nearest to it, or from one whose GPU it keeps idle, with how many others
 * it holds up. Soft causes (a peer that sleeps or computes) are left out: pipelines wait all the time, and only an
 * idle GPU says that somebody minds.
 */
export function findings(graph: StateGraph, options: AskOptions): Findings {
  const candidates = candidatesOf(graph);
  const wrong = suspects(graph, candidates, isTold);
  return tell(
    graph,
    options,
    candidates.filter((process) => wrong.has(process) || idleGpus(process, graph.now).length > 0),
  );
}

/** The same, by asking about every process: what `findings` must say, too. */
export function findingsOfAll(graph: StateGraph, options: AskOptions): Findings {
  return tell(graph, options, candidatesOf(graph));
}

function candidatesOf(graph: StateGraph): readonly ProcessNode[] {
  const found: ProcessNode[] = [];
  for (const node of graph.nodes.values())
    if (node.type === 'process' && isCandidate(graph, node)) found.push(node);
  return found;
}

function tell(graph: StateGraph, options: AskOptions, processes: readonly ProcessNode[]): Findings {
  const byRoot = new Map<string, Told>();
  const victims = new Map<string, number>();
  for (const node of processes) {
    const answer = answerFor(graph, node, options, false);
    if (!isWorthTelling(answer)) continue;
    const root = rootKey(answer);
    victims.set(root, (victims.get(root) ?? 0) + 1);
    const known = byRoot.get(root);
    const one = { process: node, answer, gpus: idleGpus(node, graph.now).length };
    if (known === undefined || isBetter(one, known)) byRoot.set(root, one);
  }
  const list = [...byRoot.entries()]
    .sort(([, a], [, b]) => severity(b.answer) - severity(a.answer))
    .slice(0, MAX_FINDINGS)
    .map(([root, { process }]) =>
      withVictims(answerFor(graph, process, options), (victims.get(root) ?? 1) - 1),
    );
  return { apiVersion: API_VERSION, node: options.node, ts: timeText(graph.now), findings: list };
}

interface Told {
  readonly process: ProcessNode;
  readonly answer: WhyAnswer;
  /** That its process holds and that are idle. */
  readonly gpus: number;
}

function isBetter(one: Told, known: Told): boolean {
  if (one.gpus !== known.gpus) return one.gpus > known.gpus;
  return one.answer.chain.length < known.answer.chain.length;
}

/** Crashes of one program with one ending are one finding: a killed job is not a hundred of them. */
function rootKey(answer: WhyAnswer): string {
  if (answer.scene !== 'ProcessCrash') return answer.rootCause?.node ?? '';
  return `${answer.subScene} ${answer.target.comm} ${answer.summary}`;
}

/** Cheap test before the walk: it waits, or it ended badly a short while ago. */
function isCandidate(graph: StateGraph, process: ProcessNode): boolean {
  if (process.exit === undefined) return process.threads.size > 0;
  if (graph.now - process.exit.ts > CRASH_MS) return false;
  const { signal, core } = process.exit.attrs;
  if (process.oomKill !== undefined || core === true) return true;
  if (process.job !== undefined || process.ioError !== undefined || process.usedAtExit !== undefined)
    return true;
  if (process.gpusAtExit !== undefined || endedOfRdma(process)) return true;
  // Programs end with a code every second; only what they wrote to makes it news.
  if (process.wroteAtExit !== undefined && storageCrash(process, graph.now) !== undefined) return true;
  return (
    signal !== undefined &&
    signal !== 'SIGTERM' &&
    signal !== 'SIGINT' &&
    signal !== 'SIGPIPE' &&
    signal !== 'SIGHUP'
  );
}

/** By itself, while a queue pair of it was in trouble or it could not connect. */
function endedOfRdma({ rdma, exit }: ProcessNode): boolean {
  const signal = exit?.attrs.signal;
  if (rdma === undefined || (signal !== undefined && signal !== 'SIGABRT')) return false;
  return rdma.connect !== undefined || (rdma.failed !== undefined && isTroubled(rdma.failed));
}

/** Of a process by itself; an idle GPU may make one of a soft cause. */
function isTold(outcome: Outcome): boolean {
  return outcome.kind === 'fault' && !SOFT.has(outcome.fault.subScene ?? '');
}

function isWorthTelling(answer: WhyAnswer): boolean {
  return (
    answer.verdict === 'cause-found' &&
    answer.confidence >= MIN_CONFIDENCE &&
    (answer.scene === 'GpuUtilLow' || !SOFT.has(answer.subScene ?? ''))
  );
}

function withVictims(answer: WhyAnswer, others: number): WhyAnswer {
  if (others === 0) return answer;
  if (answer.scene === 'ProcessCrash') {
    return { ...answer, summary: `${answer.summary}; so did ${others} more of that name` };
  }
  const suffix = others === 1 ? '1 more process waits on it' : `${others} more processes wait on it`;
  return { ...answer, summary: `${answer.summary}; ${suffix}` };
}

/** What stands still can still be helped; then what has ended, then what is slow; each by how sure we are. */
function severity(answer: WhyAnswer): number {
  const order: Readonly<Record<string, number>> = {
    GpuError: 6,
    StorageIoError: 5,
    NetworkStall: 5,
    ProcessBlocked: 5,
    ProcessCrash: 4,
    GpuOom: 4,
    StorageSlow: 3,
    NetworkDrop: 2,
    GpuUtilLow: 1,
  };
  // What hangs on a port that is down stands still.
  const still = answer.subScene === 'PortDown' || answer.subScene === 'DeviceFatal';
  const rank = answer.scene === null ? 0 : (order[still ? 'NetworkStall' : answer.scene] ?? 0);
  return rank + answer.confidence;
}
