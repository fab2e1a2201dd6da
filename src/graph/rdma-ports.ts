/**
 * rdma.port and rdma.counters events: is the port up, when did it go down, what have its counters counted of late. The
 * driver's own event (PORT_ERR) may come before /sys is looked at again: either one tells.
 */
import type { EventOf } from '../events/event.js';
import { rdmaPortId } from '../events/ids.js';
import type { PortState } from '../events/rdma.js';
import type { Edge, Fact } from './model.js';
import type { PortDown, RdmaPortNode } from './rdma-node.js';
import { factOf } from './kinds.js';
import type { StateGraph } from './state-graph.js';

/** Falls are counted over this. */
export const FALLS_MS = 600_000;
const MAX_FALLS = 64;
/** Told by two sources, it is one fall. */
const SAME_FALL_MS = 1_500;
const WINDOWS_MS = 60_000;
const MAX_WINDOWS = 128;

export function newPort(graph: StateGraph, id: string, ts: number): RdmaPortNode | undefined {
  return graph.insert<RdmaPortNode>({
    id,
    type: 'rdma-port',
    port: undefined,
    down: undefined,
    lastDown: undefined,
    falls: [],
    windows: [],
    tellsQps: false,
    fatal: undefined,
    renamed: undefined,
    firstTs: ts,
    lastTs: ts,
    out: [],
    in: [],
  });
}

export function findPort(graph: StateGraph, device: string, port: number): RdmaPortNode | undefined {
  const node = graph.nodes.get(rdmaPortId(device, port));
  return node?.type === 'rdma-port' ? node : undefined;
}

export function applyPort(graph: StateGraph, event: EventOf<'rdma.port'>): void {
  const node = graph.node(event.entity, event.ts);
  if (node?.type !== 'rdma-port') return;
  const { attrs, ts } = event;
  node.lastTs = ts;
  const fact = { ...factOf(event), detail: stateWords(attrs.state, attrs.physState) };
  const before = node.port?.attrs.state;
  node.port = { attrs, fact, since: before === attrs.state ? (node.port?.since ?? ts) : ts };
  for (const fall of attrs.flapTimes ?? []) addFall(node, fall, ts);
  if (isUp(attrs.state)) {
    node.fatal = undefined;
    node.renamed = undefined;
    rise(graph, node, ts);
    for (const old of graph.rdma.ports) if (isGone(old) && isSame(old, node)) rename(graph, old, node, ts);
  } else if (isDown(attrs.state)) {
    fall(graph, node, attrs.state, Math.min(ts, attrs.since ?? ts), before ?? attrs.since, fact);
  }
  if (attrs.state !== 'GONE') return;
  for (const other of graph.rdma.ports)
    if (other.down === undefined && !isGone(other) && isSame(other, node)) rename(graph, node, other, ts);
  for (const edge of [...node.in]) graph.edges.remove(edge);
}

/** A device that is renamed is gone under one name and there under another: the port was never down. */
function rename(graph: StateGraph, old: RdmaPortNode, now: RdmaPortNode, ts: number): void {
  const { down } = old;
  rise(graph, old, ts);
  old.lastDown = undefined;
  old.renamed = now.id;
  const last = old.falls.at(-1);
  if (down !== undefined && last === down.since) old.falls.pop();
}

function isGone({ port }: RdmaPortNode): boolean {
  return port?.attrs.state === 'GONE';
}

/** The same hardware, or on the same interface: what the kernel does not rename along. */
function isSame(one: RdmaPortNode, other: RdmaPortNode): boolean {
  const [a, b] = [one.port?.attrs, other.port?.attrs];
  if (one === other || a === undefined || b === undefined || a.port !== b.port) return false;
  if (a.pci !== undefined || b.pci !== undefined) return a.pci === b.pci;
  return a.netdev !== undefined && a.netdev === b.netdev && a.driver === b.driver;
}

export function applyCounters(graph: StateGraph, event: EventOf<'rdma.counters'>): void {
  const node = graph.node(event.entity, event.ts);
  if (node?.type !== 'rdma-port') return;
  node.lastTs = event.ts;
  const { windows } = node;
  // What was counted before a reset is another story.
  if (event.attrs.reset === true) windows.length = 0;
  const { windowMs, grew } = event.attrs;
  const detail = Object.entries(grew)
    .filter(([, by]) => (by ?? 0) > 0)
    .map(([name, by]) => `${name} +${by}`)
    .join(', ');
  windows.push({ ts: event.ts, windowMs, grew, fact: { ...factOf(event), detail } });
  while (windows.length > MAX_WINDOWS || (windows[0]?.ts ?? event.ts) < event.ts - WINDOWS_MS)
    windows.shift();
}

/** The driver's word on a port, before /sys is looked at. */
export function portEvent(graph: StateGraph, event: EventOf<'rdma.async'>): void {
  const { device, port, event: what } = event.attrs;
  const fact = { ...factOf(event), detail: what };
  if (what === 'DEVICE_FATAL') {
    for (const node of graph.rdma.ports) if (deviceOf(node) === device) node.fatal = fact;
    return;
  }
  const node = port === undefined ? undefined : graph.node(rdmaPortId(device, port), event.ts);
  if (node?.type !== 'rdma-port') return;
  node.lastTs = event.ts;
  if (what === 'PORT_ERR') fall(graph, node, what, event.ts, node.port?.attrs.state ?? event.ts, fact);
  if (what === 'PORT_ACTIVE') rise(graph, node, event.ts);
}

export function deviceOf(node: RdmaPortNode): string {
  return node.id.slice('rdma:'.length, Math.max('rdma:'.length, node.id.lastIndexOf('/')));
}

/** @param before what says that it was up: without, it may have been down for ever */
function fall(
  graph: StateGraph,
  node: RdmaPortNode,
  state: string,
  since: number,
  before: unknown,
  fact: Fact,
): void {
  const known = node.down;
  if (known === undefined) {
    node.down = { state, since, seen: before !== undefined, fact };
    if (before !== undefined) addFall(node, since, fact.ts);
  } else {
    node.down = { ...known, state: state === 'PORT_ERR' ? known.state : state, fact };
  }
  blockAll(graph, node, node.down);
}

function rise(graph: StateGraph, node: RdmaPortNode, ts: number): void {
  if (node.down === undefined) return;
  node.lastDown = { ...node.down, until: ts };
  node.down = undefined;
  for (let i = node.in.length - 1; i >= 0; i--) {
    const edge = node.in[i];
    if (edge?.kind === 'BlockedBy') graph.edges.remove(edge);
  }
}

/** Every queue pair on it is held up. */
function blockAll(graph: StateGraph, node: RdmaPortNode, down: PortDown): void {
  const blocked = new Set(node.in.flatMap(({ kind, from }) => (kind === 'BlockedBy' ? [from] : [])));
  const users = node.in.filter(({ kind, from }) => kind === 'Consumes' && !blocked.has(from));
  for (const { from } of users) block(graph, from, node, down);
}

export function block(graph: StateGraph, from: Edge['from'], node: RdmaPortNode, down: PortDown): void {
  if (graph.mayAddEdge()) graph.edges.add('BlockedBy', from, node, down.since, down.fact);
}

function addFall(node: RdmaPortNode, ts: number, now: number): void {
  const { falls } = node;
  if (ts > now || ts < now - FALLS_MS) return;
  if (!falls.some((known) => Math.abs(known - ts) < SAME_FALL_MS)) {
    falls.push(ts);
    falls.sort((a, b) => a - b);
  }
  while (falls.length > MAX_FALLS || (falls[0] ?? now) < now - FALLS_MS) falls.shift();
}

function isUp(state: PortState): boolean {
  return state === 'ACTIVE' || state === 'ACTIVE_DEFER';
}

/** NOP says nothing. */
function isDown(state: PortState): boolean {
  return !isUp(state) && state !== 'NOP';
}

function stateWords(state: PortState, physState: string | undefined): string {
  return physState === undefined ? state : `${state} (${physState})`;
}
