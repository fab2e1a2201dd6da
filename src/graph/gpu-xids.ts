/**
 * Faults of GPUs by their number. The kernel log and NVML tell the same one in their own words, a second apart and in
 * either order: it is one fault here, with what both know of it (the log its process, NVML its MIG instance).
 *
 * Counted here and not where the events come in: both are facts that a recording keeps and evidence that an answer
 * shows, and only here is it known that `gpu:0000:3b:00.0` is `gpu:0`. A replay counts them alike.
 */
import type { EventOf } from '../events/event.js';
import { xid } from '../xid/catalogue.js';
import { Once, type XidSource } from '../xid/once.js';
import type { GpuNode, GpuXid } from './gpu-node.js';
import { named, saidOf } from './host.js';
import type { Fact } from './model.js';
import { factOf } from './kinds.js';
import type { StateGraph } from './state-graph.js';

/** Two sources are so far apart at most about one fault. */
const WINDOW_MS = 5_000;
/** Of one GPU; and of one code, so that what an application does over and over pushes nothing else out. */
const MAX_XIDS = 96;
const MAX_OF_CODE = 16;
const MAX_FACTS = 3;
/** Those that a limit held back came after the one before, at most so long ago. */
const HELD_MS = 60_000;
const MAX_COUNTS = 4_096;

export interface XidCount {
  /** NVML's number; undefined: only the kernel log knew the GPU then. */
  readonly gpu: number | undefined;
  /** `other`: none that the catalogue has. */
  readonly xid: number | 'other';
  readonly count: number;
}

/** How many there were since the start. */
export class XidLedger {
  readonly once = new Once();
  readonly #counts = new Map<string, XidCount>();

  add(node: GpuNode, code: number, more: number): void {
    const index = /^gpu:(\d{1,4})$/.exec(node.id)?.[1];
    const gpu = index === undefined ? undefined : Number(index);
    const label = xid(code).class === 'unknown' ? 'other' : code;
    const key = `${index ?? ''} ${label}`;
    const known = this.#counts.get(key);
    if (known === undefined && this.#counts.size >= MAX_COUNTS) return;
    this.#counts.set(key, { gpu, xid: label, count: (known?.count ?? 0) + more });
  }

  counts(): readonly XidCount[] {
    return [...this.#counts.values()];
  }
}

/** An Xid in the kernel log. */
export function applyXid(graph: StateGraph, event: EventOf<'error.xid'>): void {
  const node = graph.node(event.entity, event.ts);
  if (node?.type !== 'gpu') return;
  node.lastTs = Math.max(node.lastTs, event.ts);
  const { code, toldBy, pci: _, suppressed = 0, ...said } = event.attrs;
  const more = { ...said, ...(event.pid !== undefined && { pid: event.pid }) };
  tell(graph, node, { code, ts: event.ts, source: toldBy, count: 1 + suppressed, more, fact: saidOf(event) });
  const process = named(graph, event.pid, event.ts);
  if (process === undefined) return;
  if (process.exit === undefined) graph.connect('Consumes', process, node, factOf(event));
  else if (process.gpusAtExit?.some(({ id }) => id === node.id) !== true)
    process.gpusAtExit = [...(process.gpusAtExit ?? []), { id: node.id }];
}

/** The same by NVML's event set, which knows no process. */
export function applyNvmlXid(
  graph: StateGraph,
  node: GpuNode,
  event: EventOf<'gpu.event'>,
  code: number,
): void {
  const { gi, ci, suppressed = 0 } = event.attrs;
  const more = { ...(gi !== undefined && { gi }), ...(ci !== undefined && { ci }) };
  const count = 1 + suppressed;
  tell(graph, node, { code, ts: event.ts, source: 'nvml', count, more, fact: factOf(event) });
}

type More = Partial<Omit<GpuXid, 'code' | 'ts' | 'count' | 'sources' | 'facts'>>;

interface Told {
  readonly code: number;
  readonly ts: number;
  readonly source: XidSource;
  readonly count: number;
  readonly more: More;
  readonly fact: Fact;
}

function tell(graph: StateGraph, node: GpuNode, { code, ts, source, count, more, fact }: Told): void {
  const { xids } = node;
  const before = xids.findLast((one) => one.code === code && one.sources.has(source));
  const sinceTs = count === 1 ? ts : Math.max(ts - HELD_MS, before?.ts ?? 0);
  const gpu = node.pci ?? node.id;
  const fresh = graph.xids.once.tell({ source, gpu, code, ts, count, sinceTs });
  if (fresh > 0) {
    graph.xids.add(node, code, fresh);
    insert(xids, { ...more, code, ts, count: fresh, sources: new Set([source]), facts: [fact] });
    return;
  }
  const at = xids.findIndex(
    (one) => one.code === code && !one.sources.has(source) && Math.abs(one.ts - ts) <= WINDOW_MS,
  );
  const known = xids[at];
  if (known === undefined) return;
  xids[at] = {
    ...known,
    ...more,
    sources: new Set([...known.sources, source]),
    facts: [...known.facts, fact].slice(0, MAX_FACTS),
  };
}

/** In the order of their times: a line that was held up may be older than what is known. */
function insert(xids: GpuXid[], one: GpuXid): void {
  let at = xids.length;
  while (at > 0 && (xids[at - 1]?.ts ?? 0) > one.ts) at--;
  xids.splice(at, 0, one);
  const same = xids.filter(({ code }) => code === one.code);
  const [oldest] = same;
  if (same.length > MAX_OF_CODE && oldest !== undefined) xids.splice(xids.indexOf(oldest), 1);
  if (xids.length > MAX_XIDS) xids.shift();
}

/** What was told under its address before its number was known. */
export function adoptXids(node: GpuNode, other: GpuNode): void {
  for (const one of other.xids) insert(node.xids, one);
  other.xids.length = 0;
}
