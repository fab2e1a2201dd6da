/** error.*, topo.* and compute.* events: the host's hardware, limits of cgroups, memory and pressure. */
import type { EventOf, EventType, ProcessRef } from '../events/event.js';
import type { CgroupNode, Edge } from './model.js';
import { factOf, type StateGraph } from './state-graph.js';

type HostType = Exclude<Extract<EventType, `${'error' | 'topo' | 'compute'}.${string}`>, 'error.fs'>;
export type HostEvent = { [T in HostType]: EventOf<T> }[HostType];

/** News of the kernel log that stay as evidence. */
const MAX_NEWS = 64;

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
    case 'error.kernel': {
      if (event.pid === undefined) break;
      const process = graph.process(event.pid) ?? graph.threadsByTid.get(event.pid)?.process;
      if (process !== undefined) process.kernelFact = { fact: factOf(event), attrs: event.attrs };
      break;
    }
    case 'error.hw':
      for (const id of [event.entity, ...event.attrs.about]) {
        const node = id.startsWith('block:') ? graph.nodes.get(id) : undefined;
        if (node?.type !== 'block-device') continue;
        const since = node.hardware?.since ?? event.ts;
        node.hardware = { attrs: event.attrs, fact: factOf(event), since };
      }
      break;
    case 'error.xid':
    case 'error.sxid':
    case 'topo.link_down':
    case 'topo.link_up':
      break;
  }
  graph.host.news.push(factOf(event));
  if (graph.host.news.length > MAX_NEWS) graph.host.news.shift();
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
