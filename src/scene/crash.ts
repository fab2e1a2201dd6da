/** ProcessCrash: why a process that ended did so. */
import type { ExitAttrs } from '../events/event.js';
import type { ExitedRecord } from '../graph/exited.js';
import type { Fact, FilesystemNode, OomKill, ProcessNode } from '../graph/model.js';
import { endingOf, signalNumber } from '../util/signals.js';
import { CONFIDENCE } from './confidence.js';
import { isUnseen } from './filesystem.js';
import type { Fault } from './finding.js';
import { bytes } from './words.js';

/** Between a kill and the end that it makes: a core dump takes its time. */
const KILL_MS = 30_000;

/** undefined: it ended well (exit code 0). */
export function crashFault(process: ProcessNode): Fault | undefined {
  const { exit, oomKill } = process;
  if (exit === undefined) return undefined;
  const ending = describeEnding(exit.attrs);
  if (ending === undefined) return undefined;
  const broken = brokenMemory(process);
  if (broken !== undefined) {
    return {
      node: process,
      scene: 'ProcessCrash',
      subScene: 'MemoryFailure',
      summary: `${ending.summary}: memory that it used has failed in hardware`,
      confidence: CONFIDENCE.memoryFailure,
      began: exit.ts,
      facts: [broken, exit.fact],
      recommendations: [
        'Take the node out of service and test its memory; the EDAC counters name the module: ras-mc-ctl --errors',
        'Start the job again elsewhere: nothing is known to be wrong with it',
      ],
      strength: 'hard',
    };
  }
  const unseen = (process.wroteAtExit ?? []).filter((node) => isUnseen(node, exit.ts));
  const killedByOom = oomKill !== undefined && exit.attrs.signal === 'SIGKILL';
  return {
    node: process,
    scene: 'ProcessCrash',
    subScene: killedByOom ? 'HostOom' : ending.subScene,
    summary: killedByOom ? oomSummary(process, oomKill) : ending.summary,
    confidence: killedByOom
      ? CONFIDENCE.oomKill
      : unseen.length > 0
        ? CONFIDENCE.crashUnexplained
        : ending.confidence,
    began: exit.ts,
    facts: killedByOom ? oomFacts(oomKill, exit.fact) : [exit.fact],
    recommendations: killedByOom
      ? oomAdvice(oomKill)
      : [...ending.recommendations, ...unseen.slice(0, 1).map(unseenAdvice)],
    strength: 'hard',
  };
}

/** A reason that nobody has looked at. */
function unseenAdvice({ id }: FilesystemNode): string {
  return `See whether ${id.slice('fs:'.length)} is full or failing: it had files open for writing there, and how full it was is not known`;
}

/** The kernel's word that it killed this process for memory that failed. */
export function brokenMemory({ exit, memoryFailure }: ProcessNode): Fact | undefined {
  if (exit === undefined || memoryFailure === undefined) return undefined;
  const { signal } = exit.attrs;
  if (signal !== 'SIGBUS' && signal !== 'SIGKILL') return undefined;
  // A process may handle the signal, and end for another reason later.
  return exit.ts - memoryFailure.ts > KILL_MS ? undefined : memoryFailure;
}

function oomSummary(process: ProcessNode, { attrs, consumers }: OomKill): string {
  const cgroup = attrs.limited ?? process.cgroup ?? attrs.cgroup;
  const size = attrs.rssBytes === undefined ? '' : ` while it had ${bytes(attrs.rssBytes)}`;
  const of = cgroup === undefined ? '' : ` in cgroup ${cgroup}`;
  const why =
    attrs.limitBytes === undefined
      ? of
      : `: cgroup ${cgroup ?? '?'} had used up its limit of ${bytes(attrs.limitBytes)}`;
  const largest = (consumers?.attrs.processes ?? []).slice(0, 3);
  const names = largest.map(({ pid, comm, rssBytes }) => `${pid} (${comm}) ${bytes(rssBytes)}`).join(', ');
  return `killed by the kernel's OOM killer${size}${why}${names === '' ? '' : `; the largest on the node were ${names}`}`;
}

function oomFacts({ fact, consumers }: OomKill, exit: Fact): readonly Fact[] {
  return consumers === undefined ? [fact, exit] : [fact, consumers.fact, exit];
}

function oomAdvice({ attrs }: OomKill): readonly string[] {
  return attrs.limitBytes === undefined && attrs.rssBytes !== undefined
    ? [
        'The node itself ran out of memory: give jobs limits that add up to less than it has',
        'See which process grew: the kernel log lists all with their sizes',
      ]
    : [
        'Raise the memory limit of its cgroup, or lower what the process needs',
        'A DataLoader needs less with fewer workers, a smaller prefetch_factor, or data shared between them',
      ];
}

export interface Ended {
  readonly subScene: 'Signal' | 'ExitCode';
  readonly summary: string;
  readonly confidence: number;
  readonly recommendations: readonly string[];
}

export function describeEnding(attrs: Pick<ExitAttrs, 'code' | 'signal' | 'core'>): Ended | undefined {
  if (attrs.signal !== undefined) {
    const core = attrs.core === true ? ', core dumped' : '';
    return {
      subScene: 'Signal',
      summary: `killed by ${attrs.signal} (signal ${signalNumber(attrs.signal)}${core})`,
      confidence: CONFIDENCE.crashSignal,
      recommendations: signalAdvice(attrs.signal),
    };
  }
  const code = attrs.code ?? 0;
  if (code === 0) return undefined;
  return {
    subScene: 'ExitCode',
    summary:
      code > 128
        ? `exited with code ${code} (a shell's way to say signal ${code - 128})`
        : `exited with code ${code}`,
    confidence: CONFIDENCE.crashCode,
    recommendations: ["Read the end of the process's own log: it ended by itself"],
  };
}

export function describeRecord(record: ExitedRecord): Ended | undefined {
  return describeEnding(endingOf(record.status));
}

function signalAdvice(signal: string): readonly string[] {
  switch (signal) {
    case 'SIGSEGV':
    case 'SIGBUS':
    case 'SIGILL':
    case 'SIGFPE':
    case 'SIGABRT':
    case 'SIGTRAP':
    case 'SIGSYS':
      return ['Look for its core dump: coredumpctl info, or kernel.core_pattern'];
    case 'SIGKILL':
      return ['Somebody sent it: the scheduler (time limit, preemption), the container runtime, or a person'];
    case 'SIGTERM':
    case 'SIGINT':
    case 'SIGHUP':
      return ['It was asked to end: see the scheduler or whoever stopped the job'];
    default:
      return [];
  }
}
