/** error.*, topo.* and compute.* events: the host's hardware, limits of cgroups, memory and pressure. */
import type { Event, EventOf, EventType, ProcessRef } from '../events/event.js';
import { pidOf } from '../events/ids.js';
import { applyXid } from './gpu-xids.js';
import type { CgroupNode, Edge, Fact, ProcessNode } from './model.js';
import { factOf } from './kinds.js';
import type { StateGraph } from './state-graph.js';

type HostType = Exclude<Extract<EventType, `${'error' | 'topo' | 'compute'}.${string}`>, 'error.fs'>;
export type HostEvent = { [T in HostType]: EventOf<T> }[HostType];

/** Of what the kernel log says, so much is kept of each kind: the oldest gives way. */
const MAX_SAID = 64;
/** Between a line of the log and the end of the process that it names. */
const KILL_MS = 30_000;
/** A fatal fault of an NVSwitch is followed by others that it made. */
const SWITCH_MS = 60_000;
/** By how much the times of a line and of what it is about may differ. */
const CLOCKS_MS = 1_000;

export function newCgroup(graph: StateGraph, id: string, ts: number): CgroupNode | undefined {
  return graph.insert<CgroupNode>({
    id,
    type: 'cgroup',
    throttle: undefined,
    memory: undefined,
    firstTs: ts,
    lastTs: ts,
    out: [],
    in: [],
  });
}

export function applyHost(graph: StateGraph, event: HostEvent): void {
  switch (event.type) {
    case 'compute.pressure':
      graph.host.pressure = { attrs: event.attrs, fact: factOf(event), since: event.ts };
      return;
    case 'compute.consumers':
      graph.host.consumers = { attrs: event.attrs, fact: factOf(event), since: event.ts };
      return;
    case 'compute.throttle':
    case 'compute.memory':
      applyLimit(graph, event);
      return;
    case 'error.kernel':
      applyKernel(graph, event);
      return;
    case 'error.hw':
      applyHardware(graph, event);
      return;
    case 'error.xid':
      applyXid(graph, event);
      return;
    case 'error.sxid':
      applySxid(graph, event);
      return;
    case 'topo.link_down':
      remember(graph.host.links, event.entity, { down: saidOf(event), up: undefined });
      return;
    case 'topo.link_up': {
      const known = graph.host.links.get(event.entity);
      if (known !== undefined) remember(graph.host.links, event.entity, { ...known, up: saidOf(event) });
      return;
    }
  }
}

/** A line's own words stay with it. */
export function saidOf(event: Extract<Event, { readonly attrs: { readonly message: string } }>): Fact {
  return { ...factOf(event), detail: event.attrs.message };
}

function applyKernel(graph: StateGraph, event: EventOf<'error.kernel'>): void {
  const { host } = graph;
  const said = { fact: saidOf(event), attrs: event.attrs, tid: event.pid };
  switch (event.attrs.class) {
    case 'hung-task':
      if (event.pid !== undefined) remember(host.hung, event.pid, said);
      return;
    case 'soft-lockup':
    case 'hard-lockup':
    case 'rcu-stall':
      if (event.entity.startsWith('cpu:'))
        remember(host.lockups, `${event.attrs.class} ${event.entity}`, said);
      return;
    case 'oom': {
      const process = named(graph, event.pid, event.ts);
      // The probe that is at the OOM killer itself knows more.
      if (process === undefined || process.oomKill !== undefined) return;
      const attrs = { start: process.start, comm: process.comm };
      process.oomKill = { fact: said.fact, attrs, consumers: host.consumers };
      return;
    }
    case 'bug':
      return;
  }
}

/** What a switch corrected, or says after a fatal fault, hides nothing worse. */
function applySxid(graph: StateGraph, event: EventOf<'error.sxid'>): void {
  const { switches } = graph.host;
  const node = graph.resource(event.entity, event.ts);
  if (node !== undefined) node.lastTs = Math.max(node.lastTs, event.ts);
  const known = switches.get(event.entity);
  const fatal = known?.attrs.severity === 'fatal' && event.ts - known.since < SWITCH_MS;
  if (event.attrs.severity === 'correctable' || fatal) return;
  remember(switches, event.entity, { attrs: event.attrs, fact: saidOf(event), since: event.ts });
}

function applyHardware(graph: StateGraph, event: EventOf<'error.hw'>): void {
  const fact = saidOf(event);
  const reading = { attrs: event.attrs, fact, since: event.ts };
  const ids = [event.entity, ...event.attrs.about];
  for (const id of ids) {
    const node = id.startsWith('block:') ? graph.nodes.get(id) : undefined;
    if (node?.type === 'block-device') node.hardware = reading;
    const process = named(graph, pidOf(id), event.ts);
    if (process !== undefined) process.memoryFailure = fact;
  }
  if (ids.some((id) => /^(?:node$|cpu:|edac:|net:|rdma:)/.test(id)))
    remember(graph.host.hardware, event.entity, reading);
}

/**
 * The process that a line names by the number of one of its threads. A line that is older than what bears
 * the number now was about another one, as was one long after the end.
 */
export function named(graph: StateGraph, tid: number | undefined, ts: number): ProcessNode | undefined {
  if (tid === undefined) return undefined;
  const process = graph.threadsByTid.get(tid)?.process ?? graph.process(tid);
  if (process === undefined || process.firstTs > ts + CLOCKS_MS) return undefined;
  return process.exit !== undefined && ts - process.exit.ts > KILL_MS ? undefined : process;
}

/** The newest last. */
function remember<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= MAX_SAID) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}

/** A limit that holds its processes back is in their way; one that does not is only there. */
function applyLimit(graph: StateGraph, event: EventOf<'compute.throttle'> | EventOf<'compute.memory'>): void {
  const node = graph.node(event.entity, event.ts);
  if (node?.type !== 'cgroup') return;
  node.lastTs = event.ts;
  const fact = factOf(event);
  if (event.type === 'compute.throttle') {
    const since =
      node.throttle !== undefined && node.throttle.fact.value > 0 ? node.throttle.since : event.ts;
    node.throttle = { attrs: event.attrs, fact, since };
  } else {
    const since = node.memory !== undefined && isPressed(node.memory.attrs) ? node.memory.since : event.ts;
    node.memory = { attrs: event.attrs, fact, since };
  }
  const holds =
    (node.throttle !== undefined && node.throttle.fact.value > 0) ||
    (node.memory !== undefined && isPressed(node.memory.attrs));
  hold(graph, node, holds ? event.attrs.members : [], event);
}

function isPressed(attrs: EventOf<'compute.memory'>['attrs']): boolean {
  return attrs.highEvents > 0 || attrs.maxEvents > 0 || attrs.oomEvents > 0;
}

function hold(
  graph: StateGraph,
  node: CgroupNode,
  members: readonly ProcessRef[],
  event: EventOf<'compute.throttle'> | EventOf<'compute.memory'>,
): void {
  const keep = new Set<Edge>();
  for (const { pid, start } of members) {
    const process = graph.process(pid);
    if (process === undefined || process.start !== start || process.exit !== undefined) continue;
    const edge = graph.connect('BlockedBy', process, node, factOf(event));
    if (edge !== undefined) keep.add(edge);
  }
  for (let i = node.in.length - 1; i >= 0; i--) {
    const edge = node.in[i];
    if (edge !== undefined && edge.from.type === 'process' && !keep.has(edge)) graph.edges.remove(edge);
  }
}
