/** `xctl why PID`: from a process to an answer. */
import { errorId } from '../events/ids.js';
import type { ExitedRecord } from '../graph/exited.js';
import type { ProcessNode } from '../graph/model.js';
import type { StateGraph } from '../graph/state-graph.js';
import { API_VERSION, type ChainLink, type Finding, type Target, type WhyAnswer } from './answer.js';
import { CONFIDENCE, DISCOUNT } from './confidence.js';
import { describeRecord } from './crash.js';
import { EvidenceList, timeText } from './evidence.js';
import { type Fault, type Link, type Outcome, waitedMs } from './finding.js';
import { gpuAtWork, idleGpus, idleSummary, withIdleGpus } from './gpu-idle.js';
import { STUCK_MS } from './links.js';
import { identifiedBy } from './identify.js';
import { withLog } from './log.js';
import { Walk } from './walk.js';
import { duration, nodeTypeOf, waitNote } from './words.js';

export interface AskOptions {
  /** Host name for the answer. */
  readonly node: string;
  /** Event time of boot, ms since the epoch: turns a process's start into a date. */
  readonly bootMs: number;
  /** The question named this thread of the process. */
  readonly tid?: number;
}

/** Why is `pid` stuck, slow or dead? undefined: the graph knows no such process. */
export function why(graph: StateGraph, pid: number, options: AskOptions): WhyAnswer | undefined {
  const process = graph.process(pid);
  if (process !== undefined) return answerFor(graph, process, options);
  const record = graph.exited.find(pid, graph.now - graph.limits.keepMs);
  return record === undefined ? undefined : answerForRecord(graph, record, options);
}

/** @param whole with further causes; a list of findings wants these of the few that it tells only */
export function answerFor(
  graph: StateGraph,
  process: ProcessNode,
  options: AskOptions,
  whole = true,
): WhyAnswer {
  const walk = new Walk(graph);
  const gpus = idleGpus(process, graph.now);
  const outcome = withIdleGpus(process, gpus, walk.process(process, []));
  const head = {
    apiVersion: API_VERSION,
    node: options.node,
    ts: timeText(graph.now),
    target: targetOf(process, options),
  } as const;
  const first = toFinding(withLog(graph, process, outcome), graph.now, process);
  const alternatives = whole && outcome.kind === 'fault' ? others(walk, graph, process, outcome.fault) : [];
  const summary = idleSummary(process, gpus, outcome, graph.now, first.summary);
  const asked = { process, now: graph.now, idleGpus: gpus.length, others: alternatives.length };
  return {
    ...head,
    ...first,
    summary,
    identifiedBy: identifiedBy(outcome, asked),
    ...(alternatives.length > 0 && { alternatives }),
  };
}

/** Further causes with another root, best first: two faults at once are two chains. */
function others(walk: Walk, graph: StateGraph, process: ProcessNode, given: Fault): readonly Finding[] {
  const seen = new Set([given.node]);
  const found: Finding[] = [];
  for (const outcome of walk.faults(process, [])) {
    if (outcome.fault.strength === 'soft' || seen.has(outcome.fault.node)) continue;
    seen.add(outcome.fault.node);
    found.push(toFinding(withLog(graph, process, outcome), graph.now, process));
  }
  return found.sort((a, b) => b.confidence - a.confidence).slice(0, 3);
}

function toFinding(outcome: Outcome, now: number, process: ProcessNode): Finding {
  const evidence = new EvidenceList();
  const chain = outcome.links.map((link) => chainLink(link, now, evidence));
  switch (outcome.kind) {
    case 'fault': {
      const { fault } = outcome;
      const facts = fault.facts.map((fact) => evidence.add(fact));
      if (fault.ails !== undefined) chain.push(ailment(fault, fault.ails, now));
      const last = chain.at(-1);
      return {
        verdict: 'cause-found',
        scene: fault.scene,
        subScene: fault.subScene,
        confidence: round(fault.confidence * timing(fault, outcome.links)),
        summary: fault.summary,
        rootCause: { node: fault.node.id, type: nodeTypeOf(fault.node), summary: fault.summary },
        chain:
          last === undefined
            ? chain
            : [...chain.slice(0, -1), { ...last, evidence: union(last.evidence, facts) }],
        evidence: evidence.list(),
        recommendations: fault.recommendations,
      };
    }
    case 'symptom':
      return {
        verdict: 'symptom-only',
        scene: outcome.scene,
        subScene: outcome.subScene,
        confidence: outcome.confidence,
        summary: outcome.summary(),
        rootCause: null,
        chain,
        evidence: evidence.list(),
        recommendations: [`To know more: ${outcome.needs}`],
      };
    case 'running':
      return healthy(progressText(process, now), CONFIDENCE.healthyRunning, chain, evidence);
    case 'by-design':
      return process.exit === undefined
        ? healthy(`idle: ${outcome.what}`, idleConfidence(outcome), chain, evidence)
        : healthy(endedWell(now - process.exit.ts), CONFIDENCE.healthyRunning, chain, evidence);
    case 'unknown':
      return {
        verdict: 'unknown',
        scene: null,
        subScene: null,
        confidence: 0,
        summary: outcome.summary(),
        rootCause: null,
        chain,
        evidence: evidence.list(),
        recommendations: [`To know more: ${outcome.needs}`],
      };
  }
}

function healthy(
  summary: string,
  confidence: number,
  chain: readonly ChainLink[],
  evidence: EvidenceList,
): Finding {
  return {
    verdict: 'healthy',
    scene: null,
    subScene: null,
    confidence,
    summary,
    rootCause: null,
    chain,
    evidence: evidence.list(),
    recommendations: [],
  };
}

/** What it waits on, where it waits on anything, is in the links. */
function idleConfidence({ links }: Extract<Outcome, { kind: 'by-design' }>): number {
  return links.length === 0 ? CONFIDENCE.healthyAsleep : CONFIDENCE.healthyIdle;
}

function endedWell(agoMs: number): string {
  return `ended with exit code 0, ${duration(agoMs)} ago`;
}

function progressText(process: ProcessNode, now: number): string {
  const main = process.threads.get(process.pid);
  const gpu = gpuAtWork(process, now);
  if (gpu !== undefined) return `makes progress: ${gpu.id} works (${gpu.use?.attrs.gpuPercent ?? 0} %)`;
  if (process.cpuShare >= 0.01) return `makes progress: ${(process.cpuShare * 100).toFixed(0)} % of a core`;
  if (main === undefined) return 'makes progress';
  if (main.wait.type === 'wait.run') return 'runs';
  return waitedMs(main) < STUCK_MS
    ? `makes progress: its waits are short (now it ${waitNote(main)})`
    : `makes progress: its main thread ${waitNote(main)} while others run`;
}

function chainLink(link: Link, now: number, evidence: EvidenceList): ChainLink {
  return {
    from: link.from.id,
    edge: link.edge,
    to: link.to.id,
    sinceMs: Math.max(0, Math.round(now - link.since)),
    evidence: link.facts.map((fact) => evidence.add(fact)),
    ...(link.tid !== undefined && { tid: link.tid }),
    note: link.note,
  };
}

/** The last link of a chain: the cause, and what is wrong with it. */
function ailment(fault: Fault, what: string, now: number): ChainLink {
  return {
    from: fault.node.id,
    edge: 'BlockedBy',
    to: errorId(what, fault.node.id),
    sinceMs: Math.max(0, Math.round(now - fault.began)),
    evidence: [],
    note: what.replaceAll('-', ' '),
  };
}

/** A fault that began long after the wait it is to explain is a worse explanation. */
function timing(fault: Fault, links: readonly Link[]): number {
  const [first] = links;
  // Using a GPU or a queue pair is no wait that its fault would have to be older than.
  if (
    first === undefined ||
    fault.strength === 'soft' ||
    (first.edge === 'Consumes' && (first.to.type === 'gpu' || first.to.type === 'qp'))
  )
    return 1;
  const waitSince = first.since;
  const lateMs = 5_000;
  return fault.began > waitSince + lateMs ? DISCOUNT.lateFault : 1;
}

function targetOf(process: ProcessNode, options: AskOptions): Target {
  return {
    pid: process.pid,
    startTime: startText(process.start, options),
    comm: process.comm,
    state: process.exit === undefined ? 'running' : 'exited',
    ...(options.tid !== undefined && options.tid !== process.pid && { tid: options.tid }),
  };
}

function answerForRecord(graph: StateGraph, record: ExitedRecord, options: AskOptions): WhyAnswer {
  const ended = describeRecord(record);
  const ago = duration(graph.now - record.exitTs);
  const head = {
    apiVersion: API_VERSION,
    node: options.node,
    ts: timeText(graph.now),
    target: {
      pid: record.pid,
      startTime: startText(record.start, options),
      comm: record.comm,
      state: 'exited',
    },
    chain: [],
    evidence: [],
  } as const;
  if (ended === undefined) {
    return {
      ...head,
      verdict: 'healthy',
      scene: null,
      subScene: null,
      confidence: CONFIDENCE.healthyRunning,
      summary: endedWell(graph.now - record.exitTs),
      rootCause: null,
      recommendations: [],
    };
  }
  return {
    ...head,
    verdict: 'cause-found',
    scene: 'ProcessCrash',
    subScene: ended.subScene,
    confidence: ended.confidence,
    summary: `${ended.summary}, ${ago} ago`,
    rootCause: { node: `pid:${record.pid}`, type: 'process', summary: ended.summary },
    recommendations: ended.recommendations,
  };
}

function startText(startNs: number, options: AskOptions): string {
  return timeText(options.bootMs + startNs / 1e6);
}

function union(a: readonly string[], b: readonly string[]): readonly string[] {
  return [...new Set([...a, ...b])];
}

function round(confidence: number): number {
  return Math.round(confidence * 100) / 100;
}
