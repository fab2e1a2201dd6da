/** `xctl doctor`: what works here, what was taken away and why, and what was lost. */
import { release } from 'node:os';
import type { StateGraph } from '../graph/state-graph.js';
import type { Kernel } from '../kernel/kernel.js';
import type { Poller } from '../kernel/poller.js';
import type { Check } from '../util/check.js';
import { INIT_PID_NS, pidNamespaceOf } from './pid-namespace.js';
import type { ProbeSet } from './probe-set.js';
import type { Recorder } from './record.js';
import type { RuleStore } from './rule-store.js';

export interface DoctorParts {
  readonly kernel: Kernel | undefined;
  readonly kernelFailure: string | undefined;
  readonly poller: Poller | undefined;
  readonly probes: ProbeSet;
  readonly graph: StateGraph;
  readonly recorder: Recorder | undefined;
  readonly rules: RuleStore;
}

export function agentChecks(parts: DoctorParts): readonly Check[] {
  return [
    kernelCheck(parts),
    ...pidNamespaceCheck(),
    ...parts.probes.checks(),
    ...lossChecks(parts),
    graphCheck(parts.graph),
    ...parts.rules.checks(),
    ...recordingCheck(parts.recorder),
  ];
}

function kernelCheck({ kernel, kernelFailure }: DoctorParts): Check {
  const name = 'kernel';
  if (kernelFailure !== undefined) return { status: 'failed', name, detail: kernelFailure };
  if (kernel === undefined) return { status: 'off', name, detail: 'no probe that needs BPF was asked for' };
  return { status: 'ok', name, detail: `Linux ${release()}, libbpf ${kernel.bpf.version}` };
}

/** The kernel counts pids as the host does; in a container without hostPID /proc counts others. */
function pidNamespaceCheck(): readonly Check[] {
  const own = pidNamespaceOf('self');
  if (own === INIT_PID_NS || own === 0) return [];
  const detail = "the agent is not in the host's pid namespace: set hostPID: true (or docker run --pid=host)";
  return [{ status: 'degraded', name: 'pid namespace', detail }];
}

function lossChecks({ kernel, poller }: DoctorParts): readonly Check[] {
  if (kernel === undefined || poller === undefined) return [];
  const lost = Object.entries(kernel.lost()).filter(([, count]) => count > 0);
  const stats = poller.stats();
  const records = Object.values(stats.records).reduce((sum, count) => sum + count, 0);
  const ring: Check =
    lost.length === 0
      ? { status: 'ok', name: 'rings', detail: `${records} records, none lost` }
      : {
          status: 'degraded',
          name: 'rings',
          detail: `${records} records; lost ${lost.map(([reason, count]) => `${count} (${reason})`).join(', ')}`,
        };
  const bad = stats.handlerErrors + stats.malformed + stats.unknownKinds;
  if (bad === 0) return [ring];
  const detail = `${stats.handlerErrors} failed, ${stats.malformed} malformed, ${stats.unknownKinds} of unknown kind`;
  return [ring, { status: 'degraded', name: 'decoder', detail }];
}

function graphCheck(graph: StateGraph): Check {
  const { evicted, nodes, edges, exited } = graph.stats();
  const size = `${sum(nodes)} nodes, ${sum(edges)} edges, ${exited} exited processes`;
  const gone = sum(evicted);
  if (gone === 0) return { status: 'ok', name: 'graph', detail: size };
  const what = Object.entries(evicted)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${count} ${kind}`);
  return {
    status: 'degraded',
    name: 'graph',
    detail: `${size}; at its limit: ${what.join(', ')} dropped early`,
  };
}

function recordingCheck(recorder: Recorder | undefined): readonly Check[] {
  if (recorder === undefined) return [];
  const { active, events, dropped } = recorder.stats();
  const lost = sum(dropped);
  const detail = `${events} events written, ${lost} dropped`;
  if (!active) return [{ status: 'failed', name: 'recording', detail: `stopped: ${detail}` }];
  return [{ status: lost === 0 ? 'ok' : 'degraded', name: 'recording', detail }];
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
