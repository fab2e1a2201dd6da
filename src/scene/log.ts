/**
 * What the kernel log knows of an answer. Its lines are witnesses: they go beside what the graph has found by
 * itself, and only a CPU that is locked up is a cause of its own. A line names a thread by a number that may be
 * another's by now, a CPU, a device: each is tied to what has been so since before the line was written.
 */
import type { BlockDeviceNode, Fact, GraphNode, KernelWord, ProcessNode, Thread } from '../graph/model.js';
import type { RdmaPortNode } from '../graph/rdma-node.js';
import { portOf } from '../graph/rdma-lives.js';
import type { StateGraph } from '../graph/state-graph.js';
import { xid } from '../xid/catalogue.js';
import { CONFIDENCE } from './confidence.js';
import type { Fault, Link, Outcome } from './finding.js';
import { waitedMs, waitFact } from './finding.js';
import { saidBeforeEnd } from './gpu.js';
import { waitLink } from './links.js';
import type { Walk } from './walk.js';
import { duration, type remoteOf, waitNote } from './words.js';

/** The times of a line and of a wait differ by this much at most. */
const CLOCKS_MS = 1_000;
/** A CPU that stays locked up is told of again within this time. */
const LOCKUP_MEMORY_MS = 70_000;
/** A stall names a CPU and no thread: it is the one that has run there for so long before. */
const STALL_MS = 5_000;
/** A link, an adapter or a disk: what it did so long before a trouble may have made it. */
const BEFORE_MS = 60_000;
/** Memory that fails ends a process at once. */
const CRASH_MS = 10_000;
/** Of a thread's time without a CPU: it is waiting for that one. */
const STARVED_SHARE = 0.3;
/** A stack of devices deeper than this is a loop in a made-up recording. */
const MAX_STACK = 8;

const NOT_KNOWN = 'whether this connection uses it is not known';

type FaultOutcome = Extract<Outcome, { kind: 'fault' }>;

/**
 * The kernel's word that this very wait hangs: a number is given to another thread only after this one has
 * ended, so that it means whoever has waited since before it was written.
 */
export function hungFact(graph: StateGraph, thread: Thread): Fact | undefined {
  const said = graph.host.hung.get(thread.tid);
  if (said === undefined || thread.wait.type === 'wait.run') return undefined;
  const slackMs = Math.min(CLOCKS_MS, (said.attrs.seconds ?? 0) * 500);
  return thread.wait.attrs.since <= said.fact.ts - slackMs ? said.fact : undefined;
}

/** Nothing is known of a wait but that the kernel, too, finds it too long. */
export function hungWait(walk: Walk, thread: Thread): Outcome | undefined {
  const fact = hungFact(walk.graph, thread);
  if (fact === undefined) return undefined;
  const node = thread.edges[0]?.to ?? thread.process;
  return {
    kind: 'symptom',
    scene: 'ProcessBlocked',
    subScene: 'HungTask',
    summary: () =>
      `${waitNote(thread)} for ${duration(waitedMs(thread))}, and no signal can end it; the kernel calls it a hung task`,
    needs: `whom it waits for: the stack that the kernel printed under its line (dmesg), or /proc/${thread.tid}/stack`,
    confidence: CONFIDENCE.hungTask,
    links: [waitLink(thread, node)],
  };
}

/** A thread that runs in the kernel and does not give its CPU back. `only`: no other one is asked about. */
export function lockupFault(graph: StateGraph, process: ProcessNode, only?: Thread): Fault | undefined {
  let found: { readonly said: KernelWord; readonly thread: Thread } | undefined;
  for (const said of graph.host.lockups.values()) {
    if (graph.now - said.fact.ts > LOCKUP_MEMORY_MS) continue;
    const thread = lockedUp(process, said);
    if (thread === undefined || (only !== undefined && only !== thread)) continue;
    // Who is named is surer than who happens to be there.
    if (found === undefined || said.tid !== undefined) found = { said, thread };
  }
  if (found === undefined) return undefined;
  const { said, thread } = found;
  const began = Math.min(thread.wait.attrs.since, said.fact.ts - (said.attrs.seconds ?? 0) * 1_000);
  const name = thread.tid === process.pid ? 'it' : `its thread ${thread.tid} (${thread.wait.attrs.comm})`;
  return {
    node: process,
    scene: 'ProcessBlocked',
    subScene: 'KernelLockup',
    summary:
      `${name} has run in the kernel for ${duration(graph.now - began)} without giving back ` +
      `CPU ${said.fact.entity.slice('cpu:'.length)} (${said.attrs.class.replace('-', ' ')}, by the kernel log)`,
    confidence: said.tid === undefined ? CONFIDENCE.kernelStall : CONFIDENCE.kernelLockup,
    began,
    facts: [said.fact, waitFact(thread)],
    recommendations: [
      'Read the stack that the kernel printed under that line (dmesg): it names the driver or filesystem that does not come back',
      'No signal reaches it there; if it goes on, move the job off this node and restart the node',
    ],
    strength: 'hard',
  };
}

function lockedUp(process: ProcessNode, said: KernelWord): Thread | undefined {
  if (said.tid !== undefined) {
    const thread = process.threads.get(said.tid);
    return thread !== undefined && runsSince(thread, said.fact.ts) ? thread : undefined;
  }
  // A soft lockup without a name is the idle task's.
  if (said.attrs.class === 'soft-lockup') return undefined;
  for (const thread of process.threads.values()) {
    const { cpu } = thread.wait.attrs;
    if (cpu === undefined || said.fact.entity !== `cpu:${cpu}`) continue;
    if (runsSince(thread, said.fact.ts - STALL_MS)) return thread;
  }
  return undefined;
}

/** It was not switched away from since: a thread that runs has a new `since` each time it is. */
function runsSince({ wait }: Thread, ts: number): boolean {
  return wait.type === 'wait.run' && wait.attrs.since <= ts;
}

/** The outcome with what the log has to say of it as further facts. */
export function withLog(graph: StateGraph, process: ProcessNode, outcome: Outcome): Outcome {
  const links =
    graph.host.hung.size === 0 ? outcome.links : outcome.links.map((link) => withHung(graph, link));
  if (outcome.kind !== 'fault') return links === outcome.links ? outcome : { ...outcome, links };
  const { fault } = outcome;
  const ended =
    fault.scene === 'ProcessCrash' && fault.node.type === 'process'
      ? saidBeforeEnd(graph, fault.node)
      : undefined;
  if (ended !== undefined && ended.facts.length > 0) {
    const summary = `${fault.summary}, after ${codesText(ended.codes)} of its own`;
    return { ...outcome, links, fault: { ...fault, summary, facts: [...fault.facts, ...ended.facts] } };
  }
  const said = saidOf(graph, process, outcome);
  if (said.length === 0) return links === outcome.links ? outcome : { ...outcome, links };
  const tied = fault.node.type === 'rdma-port' || fault.node.type === 'qp';
  const down = tied ? undefined : said.find(({ type }) => type === 'topo.link_down');
  const summary =
    down === undefined ? fault.summary : `${fault.summary}; ${linkText(down, fault.began)} (${NOT_KNOWN})`;
  return { ...outcome, links, fault: { ...fault, summary, facts: [...fault.facts, ...said] } };
}

/** `Xid 31 (mmu-fault)`. */
function codesText(codes: readonly number[]): string {
  return codes.map((code) => `Xid ${code} (${xid(code).name})`).join(', ');
}

function withHung(graph: StateGraph, link: Link): Link {
  const thread = link.tid === undefined ? undefined : graph.threadsByTid.get(link.tid);
  const fact = thread?.process === link.from ? hungFact(graph, thread) : undefined;
  return fact === undefined ? link : { ...link, facts: [...link.facts, fact] };
}

function saidOf(graph: StateGraph, process: ProcessNode, outcome: FaultOutcome): readonly Fact[] {
  const { fault } = outcome;
  const { node } = fault;
  switch (node.type) {
    case 'flow':
      return fault.subScene === 'ZeroWindow' || isLocal(node.attrs) ? [] : ofNetwork(graph, fault.began);
    case 'peer':
      return [
        ...(node.silent === undefined ? [] : [node.silent]),
        ...(fault.ails === 'unreachable' ? ofNetwork(graph, fault.began) : []),
      ];
    case 'block-device':
    case 'filesystem':
      return ofDisks(node, fault.began);
    case 'rdma-port':
      return ofPort(graph, node, fault.began);
    case 'qp': {
      const port = portOf(graph, node.life);
      return port === undefined ? [] : ofPort(graph, port, fault.began);
    }
    case 'process':
      if (fault.subScene === 'CpuStarved') return ofCpus(graph, starved(process, outcome));
      return node.exit === undefined ? [] : ofMemory(graph, node.exit.attrs.signal, node.exit.ts);
    default:
      return [];
  }
}

/** Links that were down when the trouble began, and adapters that failed. Which of them a flow uses is not known. */
function ofNetwork(graph: StateGraph, began: number): readonly Fact[] {
  const found: Fact[] = [];
  for (const { down, up } of graph.host.links.values()) {
    if (!bears(down.ts, began) || (up !== undefined && up.ts < began - CLOCKS_MS)) continue;
    found.push(doubtful(down));
    if (up !== undefined) found.push(doubtful(up));
  }
  for (const { attrs, fact } of graph.host.hardware.values()) {
    const ids = [fact.entity, ...attrs.about];
    if (bears(fact.ts, began) && ids.some((id) => id.startsWith('net:') || id.startsWith('rdma:')))
      found.push(doubtful(fact));
  }
  return found;
}

/** Of an RDMA port it is known which interface it is on: what the log says of that is of it. */
function ofPort(graph: StateGraph, { id, port }: RdmaPortNode, began: number): readonly Fact[] {
  const names = new Set([id, ...(port?.attrs.netdev === undefined ? [] : [`net:${port.attrs.netdev}`])]);
  const found: Fact[] = [];
  for (const { down, up } of graph.host.links.values()) {
    if (!names.has(down.entity) || !bears(down.ts, began)) continue;
    found.push(down);
    if (up !== undefined) found.push(up);
  }
  for (const { attrs, fact } of graph.host.hardware.values())
    if (bears(fact.ts, began) && [fact.entity, ...attrs.about].some((id) => names.has(id))) found.push(fact);
  return found;
}

/** It happened before what it is to explain, and not long before. */
function bears(ts: number, began: number): boolean {
  return ts >= began - BEFORE_MS && ts <= began + CLOCKS_MS;
}

function doubtful(fact: Fact): Fact {
  return { ...fact, detail: `${fact.detail ?? ''}; ${NOT_KNOWN}` };
}

function linkText(down: Fact, began: number): string {
  const beforeMs = began - down.ts;
  return `${down.entity} went down ${beforeMs < CLOCKS_MS ? 'then' : `${duration(beforeMs)} before`}`;
}

function isLocal(attrs: Parameters<typeof remoteOf>[0] | undefined): boolean {
  return (
    attrs === undefined ||
    attrs.local === attrs.remote ||
    attrs.remote.startsWith('127.') ||
    attrs.remote === '::1'
  );
}

/** Of the node or of what it lies on. */
function ofDisks(node: GraphNode, began: number, depth = 0): readonly Fact[] {
  const own = node.type === 'block-device' ? ofDisk(node, began) : [];
  if (depth >= MAX_STACK) return own;
  const below = node.out.flatMap(({ kind, to }) =>
    kind === 'Consumes' && (to.type === 'block-device' || to.type === 'filesystem')
      ? ofDisks(to, began, depth + 1)
      : [],
  );
  return [...own, ...below];
}

/** What the log says of a disk also comes while the trouble lasts: time-outs are told of late. */
function ofDisk({ hardware }: BlockDeviceNode, began: number): readonly Fact[] {
  return hardware === undefined || hardware.fact.ts < began - BEFORE_MS ? [] : [hardware.fact];
}

/** The CPUs that a process waits for. */
function ofCpus(graph: StateGraph, process: ProcessNode): readonly Fact[] {
  const { lockups, hardware } = graph.host;
  if (lockups.size + hardware.size === 0) return [];
  const cpus = new Set<string>();
  for (const { wait, delayShare } of process.threads.values())
    if (delayShare >= STARVED_SHARE) cpus.add(`cpu:${wait.attrs.cpu}`);
  return [...lockups.values(), ...hardware.values()]
    .map(({ fact }) => fact)
    .filter(({ entity, ts }) => cpus.has(entity) && graph.now - ts <= LOCKUP_MEMORY_MS);
}

function starved(process: ProcessNode, { fault, links }: FaultOutcome): ProcessNode {
  const end = fault.ails === undefined ? links.at(-1)?.from : fault.node;
  return end?.type === 'process' ? end : process;
}

/** Uncorrected errors of memory or CPU around a crash that they may have made. */
function ofMemory(graph: StateGraph, signal: string | undefined, endedTs: number): readonly Fact[] {
  if (signal !== 'SIGBUS' && signal !== 'SIGSEGV' && signal !== 'SIGILL') return [];
  const found: Fact[] = [];
  for (const { attrs, fact } of graph.host.hardware.values()) {
    const bad = attrs.severity === 'uncorrected' || attrs.severity === 'fatal';
    if (bad && (attrs.class === 'mce' || attrs.class === 'edac') && Math.abs(fact.ts - endedTs) <= CRASH_MS)
      found.push({
        ...fact,
        detail: `${fact.detail ?? ''}; whether it was this process's memory is not known`,
      });
  }
  return found;
}
