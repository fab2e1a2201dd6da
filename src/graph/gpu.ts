/**
 * gpu.* events: what a GPU is and does, who uses it, what became worse. Faults by their number are in gpu-xids.ts.
 *
 * NVML calls a GPU by its number, `gpu:0`; the kernel log only knows its PCI address, `gpu:0000:3b:00.0`. As soon as
 * NVML tells the address of a number both are one node, and what came before under the address is joined to it.
 */
import type { EventOf, EventType } from '../events/event.js';
import type { GpuUseAttrs } from '../events/gpu.js';
import { pciAddress } from '../xid/pci.js';
import type { GpuNode, HardThrottle } from './gpu-node.js';
import { applyHolders, applyProcesses, forgetLeft } from './gpu-users.js';
import { worsened, worsenedBy } from './gpu-worse.js';
import { adoptXids, applyNvmlXid } from './gpu-xids.js';
import { factOf } from './kinds.js';
import type { StateGraph } from './state-graph.js';

type GpuType = Extract<EventType, `gpu.${string}`>;
export type GpuEvent = { [T in GpuType]: EventOf<T> }[GpuType];

const PREFIX = 'gpu:';
/** Per cent of the time: below, it does nothing that matters. */
const IDLE_PERCENT = 2;
/** Of its memory, left: nobody gets a useful piece any more. */
const FULL_SHARE = 0.03;
const HARD: ReadonlySet<string> = new Set<HardThrottle>([
  'hw-slowdown',
  'hw-thermal',
  'sw-thermal',
  'power-brake',
]);

/** The node of `gpu:0` or of `gpu:<PCI address>`, made if it is new. */
export function gpuNode(graph: StateGraph, id: string, ts: number): GpuNode | undefined {
  const known = findGpu(graph, id);
  if (known !== undefined || graph.nodes.has(id)) return known;
  const pci = pciAddress(id.slice(PREFIX.length));
  const node = graph.insert<GpuNode>({
    id,
    type: 'gpu',
    pci,
    device: undefined,
    use: undefined,
    idleSinceTs: undefined,
    full: undefined,
    lastFull: undefined,
    health: undefined,
    worse: new Map(),
    linksSeenUp: new Set(),
    state: undefined,
    trouble: undefined,
    throttle: undefined,
    users: new Map(),
    listed: false,
    xids: [],
    renewedTs: 0,
    before: undefined,
    firstTs: ts,
    lastTs: ts,
    out: [],
    in: [],
  });
  if (node !== undefined && pci !== undefined) graph.gpusByPci.set(pci, node);
  return node;
}

/** By any of its names. */
export function findGpu(graph: StateGraph, id: string): GpuNode | undefined {
  const known = graph.nodes.get(id);
  if (known?.type === 'gpu') return known;
  if (!id.startsWith(PREFIX)) return undefined;
  const pci = pciAddress(id.slice(PREFIX.length));
  return pci === undefined ? undefined : graph.gpusByPci.get(pci);
}

/** It is dropped from the graph. */
export function forgetGpu(graph: StateGraph, node: GpuNode): void {
  graph.gpus.delete(node);
  if (node.pci !== undefined && graph.gpusByPci.get(node.pci) === node) graph.gpusByPci.delete(node.pci);
}

export function applyGpu(graph: StateGraph, event: GpuEvent): void {
  const node = graph.node(event.entity, event.ts);
  if (node?.type !== 'gpu') return;
  node.lastTs = event.ts;
  switch (event.type) {
    case 'gpu.device':
      identify(graph, node, event);
      return;
    case 'gpu.use':
      applyUse(node, event);
      forgetLeft(graph, node, event.ts);
      return;
    case 'gpu.health':
      worsened(node, event);
      node.health = { attrs: event.attrs, fact: factOf(event), since: event.ts };
      return;
    case 'gpu.processes':
      applyProcesses(graph, node, event);
      return;
    case 'gpu.users':
      applyHolders(graph, node, event);
      return;
    case 'gpu.state':
      applyState(node, event);
      return;
    case 'gpu.event':
      if (event.attrs.xid !== undefined) applyNvmlXid(graph, node, event, event.attrs.xid);
      else worsenedBy(node, event);
      return;
  }
}

/** The same number can be another GPU after a driver was exchanged, the same GPU have another number. */
function identify(graph: StateGraph, node: GpuNode, event: EventOf<'gpu.device'>): void {
  node.device = { attrs: event.attrs, fact: factOf(event), since: node.device?.since ?? event.ts };
  const pci = event.attrs.pci === undefined ? undefined : pciAddress(event.attrs.pci);
  if (pci === undefined || pci === node.pci) return;
  if (node.pci !== undefined) {
    graph.gpusByPci.delete(node.pci);
    node.xids.length = 0;
    renew(node, event.ts);
  }
  const other = graph.gpusByPci.get(pci);
  node.pci = pci;
  graph.gpusByPci.set(pci, node);
  if (other === undefined || other === node) return;
  other.pci = undefined;
  adoptXids(node, other);
  if (other.device !== undefined) return;
  for (const { kind, from, event: fact } of [...other.in]) graph.connect(kind, from, node, fact);
  graph.drop(other);
}

function applyUse(node: GpuNode, event: EventOf<'gpu.use'>): void {
  const { attrs } = event;
  const fact = factOf(event);
  node.use = { attrs, fact, since: event.ts - attrs.windowMs };
  const idle = attrs.gpuPercent !== undefined && attrs.gpuPercent < IDLE_PERCENT;
  node.idleSinceTs = idle ? (node.idleSinceTs ?? event.ts) : undefined;
  node.full = isFull(attrs) ? { attrs, fact, since: node.full?.since ?? event.ts } : undefined;
  node.lastFull = node.full ?? node.lastFull;
  const reasons = attrs.throttle.filter((reason): reason is HardThrottle => HARD.has(reason));
  node.throttle =
    reasons.length === 0 ? undefined : { reasons, since: node.throttle?.since ?? event.ts, fact };
}

function isFull({ totalBytes = 0, usedBytes, freeBytes, reservedBytes = 0 }: GpuUseAttrs): boolean {
  const free = freeBytes ?? (usedBytes === undefined ? totalBytes : totalBytes - usedBytes - reservedBytes);
  return totalBytes > 0 && free <= totalBytes * FULL_SHARE;
}

function applyState(node: GpuNode, event: EventOf<'gpu.state'>): void {
  const { state, was } = event.attrs;
  const since = state === 'hung' ? event.ts - event.value : event.ts;
  node.state = { attrs: event.attrs, fact: factOf(event), since };
  if (state === 'reloaded' || (state === 'ok' && (was === 'lost' || was === 'gone'))) renew(node, event.ts);
  const well = state === 'ok' || state === 'reloaded';
  node.trouble = well ? undefined : node.state;
  if (well) return;
  // What it does is not known any more.
  node.idleSinceTs = undefined;
  node.throttle = undefined;
  node.full = undefined;
}

/** What was wrong with it is over. */
function renew(node: GpuNode, ts: number): void {
  node.renewedTs = ts;
  node.before = { state: node.trouble, worse: new Map(node.worse) };
  node.trouble = undefined;
  node.worse.clear();
  node.linksSeenUp.clear();
  node.health = undefined;
  node.lastFull = undefined;
}
