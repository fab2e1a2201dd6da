/**
 * From a process to its GPUs: a fault of one that it uses, or used when it ended, is why it gets no further. One that
 * goes on computing on it afterwards is not held up by it.
 */
import { findGpu } from '../graph/gpu.js';
import type { GpuAtExit, GpuNode } from '../graph/gpu-node.js';
import type { Edge, Fact, ProcessNode } from '../graph/model.js';
import type { StateGraph } from '../graph/state-graph.js';
import { CONFIDENCE } from './confidence.js';
import { brokenMemory } from './crash.js';
import type { Fault, Link, Outcome } from './finding.js';
import { gpuFault, hungFault, switchFault, throttleFault } from './gpu-error.js';
import { oomCrash, oomWait } from './gpu-oom.js';
import { xidSymptoms, xidsOf } from './gpu-xid.js';
import { duration } from './words.js';

type FaultOutcome = Extract<Outcome, { kind: 'fault' }>;

/** A fault explains a process that lives for so long. */
const MEMORY_MS = 600_000;
/** NCCL gives up minutes after its GPU did. */
const BEFORE_END_MS = 600_000;
/** The log and NVML tell of a fault after the end that it made. */
const AFTER_END_MS = 3_000;
/** What the driver said of a process shortly before it ended. */
const OWN_MS = 60_000;
/** Work that was under way when the GPU failed still shows for a moment. */
const STILL_MS = 2_000;
/** How a program ends for an error that it was told of; other signals are somebody else's. */
const OWN_SIGNALS: ReadonlySet<string> = new Set(['SIGABRT', 'SIGSEGV', 'SIGBUS', 'SIGILL', 'SIGFPE']);

/**
 * A GPU of this process has failed.
 * @param how `surely`: it works on it. `perhaps`: it only has it open, as tools and daemons have; or all that is
 *   known is that the driver does not answer us
 */
export function gpuTrouble(
  graph: StateGraph,
  process: ProcessNode,
  gpus: readonly Edge[],
  how: 'surely' | 'perhaps',
): FaultOutcome | undefined {
  const span = { from: graph.now - MEMORY_MS, to: graph.now };
  let found: FaultOutcome | undefined;
  for (const edge of gpus) {
    const { to: node } = edge;
    if (node.type !== 'gpu' || (how === 'surely' && !hasContext(node, process, graph.now))) continue;
    const own = gpuFault(graph, node, process, span);
    const hung = how === 'perhaps' ? hungFault(node, span) : undefined;
    const fault = switchFault(graph, node, own, span) ?? own ?? hung;
    if (fault === undefined || worksOn(node, process, fault)) continue;
    if (found === undefined || fault.confidence > found.fault.confidence)
      found = { kind: 'fault', fault, links: linksTo(fault, process, node, uses(edge)) };
  }
  return found;
}

/** The fault may be the process's own, the GPU's, or that of a switch between it and others. */
function linksTo(fault: Fault, process: ProcessNode, node: GpuNode, link: Link): readonly Link[] {
  if (fault.node === process) return [];
  if (fault.node === node) return [link];
  const on: Link = {
    from: node,
    edge: 'BlockedBy',
    to: fault.node,
    since: fault.began,
    facts: fault.facts.slice(0, 1),
    note: 'its NVLinks go through it',
  };
  return [link, on];
}

/** It works, and more slowly than it could. */
export function gpuSlowed(
  graph: StateGraph,
  process: ProcessNode,
  gpus: readonly Edge[],
): Outcome | undefined {
  for (const edge of gpus) {
    const { to: node } = edge;
    if (node.type !== 'gpu' || node.idleSinceTs !== undefined) continue;
    if (!hasContext(node, process, graph.now)) continue;
    const fault = throttleFault(node, graph.now);
    if (fault !== undefined) return { kind: 'fault', fault, links: [uses(edge)] };
  }
  return undefined;
}

/** It does nothing, and the memory of a GPU of it is others'. */
export function gpuFull(process: ProcessNode, gpus: readonly Edge[]): Outcome | undefined {
  for (const edge of gpus) {
    const fault = edge.to.type === 'gpu' ? oomWait(edge.to, process) : undefined;
    if (fault !== undefined) return { kind: 'fault', fault, links: [uses(edge)] };
  }
  return undefined;
}

/** The driver told of symptoms, and nobody of a cause. */
export function gpuSymptom(
  graph: StateGraph,
  process: ProcessNode,
  gpus: readonly Edge[],
): Outcome | undefined {
  for (const edge of gpus) {
    const { to: node } = edge;
    if (node.type !== 'gpu') continue;
    const span = { from: Math.max(graph.now - MEMORY_MS, edge.since - STILL_MS), to: graph.now };
    const last = xidSymptoms(node, process, span).at(-1);
    if (last === undefined) continue;
    const link = { ...uses(edge), facts: [edge.event, ...last.facts] };
    return {
      kind: 'symptom',
      scene: 'GpuError',
      subScene: null,
      summary: () =>
        `the driver told of Xid ${last.code} on ${node.id} ${duration(graph.now - last.ts)} ago, which follows from another fault`,
      needs: 'which fault: the lines before it in the kernel log (dmesg), and the log of the program itself',
      confidence: CONFIDENCE.gpuSymptom,
      links: [link],
    };
  }
  return undefined;
}

/** Of one that ended badly: the GPU that failed it, or had no memory for it. */
export function gpuCrash(graph: StateGraph, process: ProcessNode): FaultOutcome | undefined {
  const { exit, gpusAtExit } = process;
  if (exit === undefined || gpusAtExit === undefined || brokenMemory(process) !== undefined) return undefined;
  const { code, signal } = exit.attrs;
  if (code === 0 || (signal !== undefined && !OWN_SIGNALS.has(signal))) return undefined;
  const how = signal === undefined ? `exited with code ${code}` : `killed by ${signal}`;
  for (const find of [failedAtExit, fullAtExit]) {
    for (const at of gpusAtExit) {
      const node = findGpu(graph, at.id);
      const fault = node === undefined ? undefined : find(graph, node, process, at);
      if (node === undefined || fault === undefined) continue;
      const summary = `${how}: ${fault.summary}`;
      const link: Link = {
        from: process,
        edge: 'Consumes',
        to: node,
        since: fault.began,
        facts: [],
        note: 'used it when it ended',
      };
      const links = linksTo(fault, process, node, link);
      return { kind: 'fault', fault: { ...fault, summary, facts: [...fault.facts, exit.fact] }, links };
    }
  }
  return undefined;
}

function failedAtExit(graph: StateGraph, node: GpuNode, process: ProcessNode): Fault | undefined {
  const ended = process.exit?.ts ?? graph.now;
  const span = { from: ended - BEFORE_END_MS, to: ended + AFTER_END_MS };
  const own = gpuFault(graph, node, process, span);
  const fault = switchFault(graph, node, own, span) ?? own ?? hungFault(node, span);
  // A program's own fault is why it ended, and no fault of the GPU: evidence of a crash.
  return fault?.node === process ? undefined : fault;
}

function fullAtExit(
  _graph: StateGraph,
  node: GpuNode,
  process: ProcessNode,
  at: GpuAtExit,
): Fault | undefined {
  return oomCrash(node, process, at);
}

/** What the driver said of a process before it ended, with the words for it. */
export function saidBeforeEnd(
  graph: StateGraph,
  process: ProcessNode,
): { readonly facts: readonly Fact[]; readonly codes: readonly number[] } {
  const { exit, gpusAtExit = [] } = process;
  if (exit === undefined) return { facts: [], codes: [] };
  const span = { from: exit.ts - OWN_MS, to: exit.ts + AFTER_END_MS };
  const said = gpusAtExit.flatMap(({ id }) => {
    const node = findGpu(graph, id);
    return node === undefined ? [] : xidsOf(node, process, span);
  });
  return { facts: said.flatMap(({ facts }) => facts), codes: [...new Set(said.map(({ code }) => code))] };
}

/**
 * A CUDA program has every GPU's device open that it can see, and a context on those that it uses. A GPU that NVML
 * never listed anybody of, or that the driver's own word ties to the process, counts as one of these.
 */
function hasContext(node: GpuNode, process: ProcessNode, now: number): boolean {
  const user = node.users.get(process.pid);
  if (user === undefined || user.process !== process) return true;
  return user.context || !node.listed || now - (user.contextTs ?? 0) <= OWN_MS;
}

/** Seen to compute on it after the fault. */
function worksOn(node: GpuNode, process: ProcessNode, fault: Fault): boolean {
  const user = node.users.get(process.pid);
  const ts = node.use?.fact.ts ?? 0;
  return (user?.smPercent ?? 0) > 0 && node.trouble === undefined && ts > fault.began + STILL_MS;
}

function uses({ from, to, since, event }: Edge): Link {
  const user = to.type === 'gpu' && from.type === 'process' ? to.users.get(from.pid) : undefined;
  const note = user?.context === true ? 'has a context on it' : 'has it open';
  return { from, edge: 'Consumes', to, since, facts: [event], note };
}
