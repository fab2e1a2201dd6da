/** ProcessCrash: why a process that ended did so. */
import type { ExitAttrs } from '../events/event.js';
import type { ExitedRecord } from '../graph/exited.js';
import type { ProcessNode } from '../graph/model.js';
import { endingOf, signalNumber } from '../util/signals.js';
import { CONFIDENCE } from './confidence.js';
import type { Fault } from './finding.js';

/** undefined: it ended well (exit code 0). */
export function crashFault(process: ProcessNode): Fault | undefined {
  const { exit, oomKill } = process;
  if (exit === undefined) return undefined;
  const ending = describeEnding(exit.attrs);
  if (ending === undefined) return undefined;
  const killedByOom = oomKill !== undefined && exit.attrs.signal === 'SIGKILL';
  return {
    node: process,
    scene: 'ProcessCrash',
    subScene: killedByOom ? 'HostOom' : ending.subScene,
    summary: killedByOom
      ? `killed by the kernel's OOM killer${process.cgroup === undefined ? '' : ` in cgroup ${process.cgroup}`}`
      : ending.summary,
    confidence: killedByOom ? CONFIDENCE.oomKill : ending.confidence,
    began: exit.ts,
    facts: killedByOom ? [oomKill, exit.fact] : [exit.fact],
    recommendations: killedByOom
      ? [
          'Raise the memory limit of its cgroup, or lower what the process needs',
          'See the kernel log for the size it had',
        ]
      : ending.recommendations,
    strength: 'hard',
  };
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
