/** A process that reclaims memory instead of working: its cgroup is at a limit, or the node is short. */
import type { CgroupNode, ProcessNode, Reading, Thread, ThreadWait } from '../graph/model.js';
import type { MemoryLimitAttrs } from '../events/host.js';
import type { StateGraph } from '../graph/state-graph.js';
import { CONFIDENCE } from './confidence.js';
import type { Fault, Outcome } from './finding.js';
import { waitFact } from './finding.js';
import { blocked, type Ties } from './links.js';
import { bytes, cgroupOf, count, duration } from './words.js';

const LIMIT_MEMORY_MS = 8_000;
/** Share of the last ten seconds, in per cent, in which everybody waited for memory. */
const PRESSED_PERCENT = 10;

type FaultOutcome = Extract<Outcome, { kind: 'fault' }>;

export function memoryFault(
  graph: StateGraph,
  process: ProcessNode,
  cgroups: Ties['cgroups'],
): FaultOutcome | undefined {
  const limit = overLimit(cgroups, graph.now);
  const { pressure } = graph.host;
  const short = pressure !== undefined && pressure.attrs.memoryFull >= PRESSED_PERCENT;
  if (limit === undefined && !short) return undefined;
  const stalled = threadThat(process, ({ attrs }) => attrs.memStall === true);
  if (limit !== undefined) {
    // memory.high makes its processes sleep without a mark where the kernel keeps no PSI.
    const thread =
      stalled ??
      threadThat(process, ({ type, attrs }) => type === 'wait.other' && attrs.what === 'the kernel');
    if (thread !== undefined) {
      const { cgroup, memory } = limit;
      return {
        kind: 'fault',
        fault: limitFault(cgroup, memory, process, graph.now, waitFact(thread)),
        links: [blocked(process, cgroup, memory.since, 'reclaims memory for its limit', [waitFact(thread)])],
      };
    }
  }
  if (stalled === undefined || !short) return undefined;
  const fault = nodeFault(graph, process, waitFact(stalled), pressure.fact);
  const note = 'has the most of the memory that the node is short of';
  const links = fault.node === process ? [] : [blocked(process, fault.node, fault.began, note, [])];
  return { kind: 'fault', fault, links };
}

function overLimit(
  cgroups: Ties['cgroups'],
  now: number,
): { readonly cgroup: CgroupNode; readonly memory: Reading<MemoryLimitAttrs> } | undefined {
  for (const cgroup of cgroups) {
    const { memory } = cgroup;
    if (memory === undefined || now - memory.fact.ts > LIMIT_MEMORY_MS) continue;
    if (memory.attrs.highEvents + memory.attrs.maxEvents > 0) return { cgroup, memory };
  }
  return undefined;
}

function threadThat(process: ProcessNode, waits: (wait: ThreadWait) => boolean): Thread | undefined {
  for (const thread of process.threads.values()) if (waits(thread.wait)) return thread;
  return undefined;
}

function limitFault(
  cgroup: CgroupNode,
  { attrs, since, fact }: Reading<MemoryLimitAttrs>,
  process: ProcessNode,
  now: number,
  wait: Fault['facts'][number],
): Fault {
  const high = attrs.highEvents > 0 && attrs.highBytes !== undefined;
  const limit = high
    ? `memory.high of ${bytes(attrs.highBytes ?? 0)}`
    : `limit of ${bytes(attrs.limitBytes ?? 0)}`;
  const times = count(high ? attrs.highEvents : attrs.maxEvents, 'time');
  return {
    node: cgroup,
    scene: 'ProcessBlocked',
    subScene: 'MemoryLimit',
    summary:
      `its cgroup uses ${bytes(attrs.usageBytes)} and has a ${limit}: over it ${times} in the last ${duration(attrs.windowMs)}, ` +
      `for ${duration(now - since)} now, and it reclaims instead of working`,
    confidence: CONFIDENCE.memoryLimit,
    began: since,
    facts: [fact, wait],
    recommendations: [
      `Raise the memory limit of ${cgroupOf(process, cgroup)}, or lower what its processes need`,
    ],
    strength: 'hard',
    ails: 'memory',
  };
}

function nodeFault(
  graph: StateGraph,
  process: ProcessNode,
  wait: Fault['facts'][number],
  pressure: Fault['facts'][number],
): Fault {
  const consumers = graph.host.consumers;
  const [largest] = consumers?.attrs.processes ?? [];
  const culprit = largest === undefined ? undefined : graph.process(largest.pid);
  const names = (consumers?.attrs.processes ?? [])
    .slice(0, 3)
    .map(({ pid, comm, rssBytes }) => `${pid} (${comm}) ${bytes(rssBytes)}`);
  return {
    node: culprit ?? process,
    scene: 'ProcessBlocked',
    subScene: 'MemoryPressure',
    summary: `the node is short of memory and it reclaims instead of working; the largest: ${names.join(', ')}`,
    confidence: CONFIDENCE.memoryPressure,
    began: graph.host.pressure?.since ?? graph.now,
    facts: consumers === undefined ? [pressure, wait] : [pressure, wait, consumers.fact],
    recommendations: ['Move or end what is not needed on this node; give the largest a limit of its own'],
    strength: 'hard',
    ails: 'memory',
  };
}
