/** A process that wants to run and may not: others have the CPU, or its cgroup's limit is used up. */
import type { ProcessNode, Thread } from '../graph/model.js';
import type { StateGraph } from '../graph/state-graph.js';
import { CONFIDENCE } from './confidence.js';
import type { Fault, Outcome } from './finding.js';
import { waitFact } from './finding.js';
import { blocked, type Ties } from './links.js';
import { cgroupOf, duration, who } from './words.js';

/** Throttled in this part of its periods, and for this share of the time. */
const THROTTLED_PERIODS = 0.25;
const THROTTLED_SHARE = 0.1;
/** Told every five seconds while it is so. */
const THROTTLE_MEMORY_MS = 8_000;
/** One that had this part of what others had is named as the cause. */
const DOMINANT = 0.5;
const NAMED = 3;

type FaultOutcome = Extract<Outcome, { kind: 'fault' }>;

export function cpuFault(
  graph: StateGraph,
  process: ProcessNode,
  cgroups: Ties['cgroups'],
): FaultOutcome | undefined {
  return throttled(graph, process, cgroups) ?? starved(graph, process);
}

function throttled(
  graph: StateGraph,
  process: ProcessNode,
  cgroups: Ties['cgroups'],
): FaultOutcome | undefined {
  for (const cgroup of cgroups) {
    const { throttle } = cgroup;
    if (throttle === undefined || graph.now - throttle.fact.ts > THROTTLE_MEMORY_MS) continue;
    const { periods, throttledPeriods, throttledMs, windowMs, quotaMs, periodMs } = throttle.attrs;
    if (throttledPeriods < THROTTLED_PERIODS * periods || throttledMs < THROTTLED_SHARE * windowMs) continue;
    // A member that sleeps anyway is not held back.
    if (process.delayShare < THROTTLED_SHARE && !wantsToRun(process)) continue;
    const fault: Fault = {
      node: cgroup,
      scene: 'ProcessBlocked',
      subScene: 'CpuThrottled',
      summary:
        `its cgroup may use ${(quotaMs / periodMs).toFixed(2)} CPUs (${duration(quotaMs)} each ${duration(periodMs)}) and was throttled in ` +
        `${percent(throttledPeriods / periods)} of the periods: ${duration(throttledMs)} lost in the last ${duration(windowMs)}`,
      confidence: CONFIDENCE.cpuThrottled,
      began: throttle.since,
      facts: [throttle.fact],
      recommendations: [
        `Raise the CPU limit of ${cgroupOf(process, cgroup)} (cpu.max; in Kubernetes resources.limits.cpu)`,
      ],
      strength: 'hard',
      ails: 'quota',
    };
    const link = blocked(process, cgroup, throttle.since, 'its CPU limit holds it back', [throttle.fact]);
    return { kind: 'fault', fault, links: [link] };
  }
  return undefined;
}

function starved(graph: StateGraph, process: ProcessNode): FaultOutcome | undefined {
  const { delayShare, cpuShare, starvedTs: began } = process;
  if (began === undefined) return undefined;
  const thread = mostStarved(process);
  if (thread === undefined) return undefined;
  const rivals = rivalsOf(graph, thread);
  const total = rivals.reduce((sum, { share }) => sum + share, 0);
  const [first] = rivals;
  const dominant =
    first !== undefined && first.process !== process && first.share >= DOMINANT * total ? first : undefined;
  const own = first?.process === process && first.share >= DOMINANT * total;
  const names = rivals.slice(0, NAMED).map((rival) => `${who(rival.process)} ${percent(rival.share)}`);
  const summary =
    `it waits for a CPU ${percent(Math.min(1, delayShare))} of the time and gets ${percent(cpuShare)} of one` +
    (own ? `; its own ${process.threads.size} threads compete` : '') +
    (names.length > 0
      ? `; instead of it ran: ${names.join(', ')}`
      : '; no process on this node ran instead: the host may withhold its CPUs');
  const fault: Fault = {
    node: dominant?.process ?? process,
    scene: 'ProcessBlocked',
    subScene: 'CpuStarved',
    summary,
    confidence: names.length > 0 ? CONFIDENCE.cpuStarved : CONFIDENCE.cpuStarved * 0.85,
    began,
    facts: [waitFact(thread)],
    recommendations: own
      ? ['Give it as many threads as it has CPUs (OMP_NUM_THREADS, DataLoader num_workers), or more CPUs']
      : [
          'Pin the job to CPUs of its own (cpuset, numactl, static CPU manager), or move or lower what runs beside it',
        ],
    strength: 'hard',
    ...(dominant === undefined && { ails: 'cpu' as const }),
  };
  const links =
    dominant === undefined
      ? []
      : [
          blocked(
            process,
            dominant.process,
            began,
            `has the CPU instead (${percent(dominant.share)} of one)`,
            [],
          ),
        ];
  return { kind: 'fault', fault, links };
}

interface Rival {
  readonly process: ProcessNode;
  share: number;
}

/** Who used the CPUs that this thread may run on; most first. */
function rivalsOf(graph: StateGraph, thread: Thread): readonly Rival[] {
  const { cpu, cpus } = thread.wait.attrs;
  const found = new Map<ProcessNode, Rival>();
  for (const other of graph.threadsByTid.values()) {
    if (other === thread || other.cpuShare < 0.01) continue;
    if (cpus === 1 && other.wait.attrs.cpu !== undefined && other.wait.attrs.cpu !== cpu) continue;
    const rival = found.get(other.process) ?? { process: other.process, share: 0 };
    rival.share += other.cpuShare;
    found.set(other.process, rival);
  }
  return [...found.values()].sort((a, b) => b.share - a.share);
}

function mostStarved(process: ProcessNode): Thread | undefined {
  let found: Thread | undefined;
  for (const thread of process.threads.values()) {
    if (found === undefined || thread.delayShare > found.delayShare) found = thread;
  }
  return found;
}

function wantsToRun(process: ProcessNode): boolean {
  for (const { wait } of process.threads.values()) if (wait.type === 'wait.run') return true;
  return false;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
