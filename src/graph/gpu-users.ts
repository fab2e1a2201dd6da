/**
 * Who uses a GPU: by NVML, who has a context there, with its memory; by the open files, who has its device open. Both
 * are `Consumes` edges. NVML gives the pid alone, and the start of that process where the probe could see it.
 */
import type { EventOf } from '../events/event.js';
import type { GpuProcess } from '../events/gpu.js';
import type { GpuAtExit, GpuHolding, GpuNode, GpuUser } from './gpu-node.js';
import type { ProcessNode } from './model.js';
import { ensureProcess } from './process.js';
import { factOf } from './kinds.js';
import type { StateGraph } from './state-graph.js';

/** Who left it a moment ago may have done so because of what is wrong with it. */
const LEFT_MS = 30_000;
/** Growth is counted over this. */
const GROWTH_MS = 60_000;
const MAX_MARKS = 16;
/** Clock tick: the unit of `startTicks`. */
const TICK_NS = 1e7;
/** A look so old says nothing about the end of a process. */
const FULL_MS = 5_000;

export function applyProcesses(graph: StateGraph, node: GpuNode, event: EventOf<'gpu.processes'>): void {
  const fact = factOf(event);
  const seen = new Set<number>();
  for (const told of event.attrs.processes) {
    seen.add(told.pid);
    const process = processOf(graph, told, event.ts);
    const known = knownUser(node, told.pid, process, told.comm);
    node.users.set(told.pid, {
      pid: told.pid,
      process,
      comm: told.comm ?? process?.comm ?? known?.comm ?? '',
      firstTs: known?.firstTs ?? event.ts,
      context: true,
      contextTs: event.ts,
      open: known?.open ?? false,
      memoryBytes: told.memoryBytes,
      smPercent: told.smPercent,
      gi: told.gi,
      ...growth(known, told.memoryBytes ?? 0, event.ts, node.listed),
      leftTs: undefined,
    });
    if (process !== undefined) graph.connect('Consumes', process, node, fact);
  }
  node.listed = true;
  for (const user of node.users.values()) {
    if (!user.context || seen.has(user.pid)) continue;
    node.users.set(user.pid, { ...user, context: false, ...(!user.open && { leftTs: event.ts }) });
  }
  forgetLeft(graph, node, event.ts);
}

/** Who has its device open; `gpu.processes` says more of those that also have a context. */
export function applyHolders(graph: StateGraph, node: GpuNode, event: EventOf<'gpu.users'>): void {
  const fact = factOf(event);
  const { holders } = event.attrs;
  const seen = new Set<number>();
  for (const holder of holders) {
    seen.add(holder.pid);
    const process = ensureProcess(graph, holder, holder.comm, fact.ts);
    if (process === undefined || process.exit !== undefined) continue;
    const known = knownUser(node, holder.pid, process, holder.comm);
    node.users.set(holder.pid, {
      pid: holder.pid,
      process,
      comm: holder.comm,
      firstTs: known?.firstTs ?? fact.ts,
      context: known?.context ?? false,
      contextTs: known?.contextTs,
      open: true,
      memoryBytes: known?.memoryBytes,
      smPercent: known?.smPercent,
      gi: known?.gi,
      grownBytes: known?.grownBytes ?? 0,
      grewTs: known?.grewTs,
      marks: known?.marks ?? [],
      leftTs: undefined,
    });
    graph.connect('Consumes', process, node, fact);
  }
  for (const user of node.users.values()) {
    if (!user.open || seen.has(user.pid)) continue;
    node.users.set(user.pid, { ...user, open: false, ...(!user.context && { leftTs: fact.ts }) });
  }
  forgetLeft(graph, node, fact.ts);
}

/** NVML has the pid alone; its start, where the probe could see it, tells whether it is the one of that number. */
function processOf(graph: StateGraph, told: GpuProcess, ts: number): ProcessNode | undefined {
  const process = graph.process(told.pid);
  if (process === undefined || process.exit !== undefined) return undefined;
  if (told.startTicks === undefined) return process.firstTs <= ts ? process : undefined;
  return Math.floor(process.start / TICK_NS) === told.startTicks ? process : undefined;
}

/** A number that was given out anew is another user. */
function knownUser(
  node: GpuNode,
  pid: number,
  process: ProcessNode | undefined,
  comm = '',
): GpuUser | undefined {
  const known = node.users.get(pid);
  if (known === undefined) return undefined;
  if (known.process !== undefined && process !== undefined)
    return known.process === process ? known : undefined;
  return known.comm === '' || comm === '' || known.comm === comm ? known : undefined;
}

/** @param listed its users were known before: whoever is new got all of it now */
function growth(
  known: GpuUser | undefined,
  bytes: number,
  ts: number,
  listed: boolean,
): Pick<GpuUser, 'grownBytes' | 'grewTs' | 'marks'> {
  const before = known?.marks ?? [];
  const last = before.at(-1)?.bytes ?? (listed ? 0 : bytes);
  const all = before.length > 0 ? [...before] : [{ ts, bytes: last }];
  if (bytes !== last) all.push({ ts, bytes });
  // The one before the window tells where the window began.
  while (all.length > 1 && (all[1]?.ts ?? ts) <= ts - GROWTH_MS) all.shift();
  while (all.length > MAX_MARKS) all.splice(1, 1);
  return {
    grownBytes: Math.max(0, bytes - (all[0]?.bytes ?? bytes)),
    grewTs: bytes > last ? ts : known?.grewTs,
    marks: all,
  };
}

export function forgetLeft(graph: StateGraph, node: GpuNode, ts: number): void {
  for (const user of node.users.values()) {
    const leftTs = user.leftTs ?? user.process?.exit?.ts;
    if (leftTs !== undefined && ts - leftTs > LEFT_MS) node.users.delete(user.pid);
  }
  for (let i = node.in.length - 1; i >= 0; i--) {
    const edge = node.in[i];
    if (edge?.kind !== 'Consumes' || edge.from.type !== 'process') continue;
    if (node.users.get(edge.from.pid)?.process !== edge.from && ts - edge.event.ts > LEFT_MS)
      graph.edges.remove(edge);
  }
}

/** Those that use it now. */
export function usersOf(node: GpuNode): readonly GpuUser[] {
  return [...node.users.values()].filter(
    ({ leftTs, process }) => leftTs === undefined && process?.exit === undefined,
  );
}

function holdings(node: GpuNode): readonly GpuHolding[] {
  return [...node.users.values()].map(({ process: _process, marks: _marks, ...holding }) => holding);
}

/** Of a process that ends: faults of its GPUs may be told of after the end that they made. */
export function gpusAtExit(process: ProcessNode, ts: number): readonly GpuAtExit[] | undefined {
  const gpus: GpuAtExit[] = [];
  for (const { kind, to } of process.out) {
    if (kind !== 'Consumes' || to.type !== 'gpu') continue;
    const full = to.lastFull !== undefined && ts - to.lastFull.fact.ts <= FULL_MS ? to.lastFull : undefined;
    gpus.push({ id: to.id, ...(full !== undefined && { full, users: holdings(to) }) });
  }
  return gpus.length === 0 ? undefined : gpus;
}
