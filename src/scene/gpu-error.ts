/**
 * GpuError: what is wrong with a GPU, as far as it concerns one process. The driver's number for it says most; then
 * what NVML says of the GPU as a whole, and what became worse while it was watched.
 */
import type { GpuNode, Worse, Worsening } from '../graph/gpu-node.js';
import type { Fact, ProcessNode } from '../graph/model.js';
import type { StateGraph } from '../graph/state-graph.js';
import { FOLLOW_UP, IMMEDIATE } from '../xid/actions.js';
import { sxid } from '../xid/sxid.js';
import { CONFIDENCE } from './confidence.js';
import type { Fault } from './finding.js';
import { type Span, xidAdvice, type XidCause, xidCause, xidSubScene, xidText } from './gpu-xid.js';
import { count, duration } from './words.js';

/** NVML tells of its state, its counts and its events one after the other: they are of one moment. */
const TOGETHER_MS = 10_000;
/** A switch that fails takes links down on all its GPUs. */
const SWITCH_MS = 60_000;
/** Shorter: a peak, which says nothing. */
const THROTTLED_MS = 2_000;

/** @param span event times within which a fault counts; `to` is also the time it is told from */
export function gpuFault(
  graph: StateGraph,
  node: GpuNode,
  process: ProcessNode,
  span: Span,
): Fault | undefined {
  const cause = xidCause(graph, node, process, span);
  const lost = lostFault(node, span);
  if (cause !== undefined && !(cause.whose === 'program' && lost !== undefined))
    return withMore(xidFault(node, process, cause, span.to), lost, worseFault(graph, node, span));
  return lost ?? worseFault(graph, node, span);
}

/**
 * A switch that failed for good stops whoever has links to it. Where a GPU says no more than that a link of it failed,
 * the switch is why.
 */
export function switchFault(
  graph: StateGraph,
  node: GpuNode,
  found: Fault | undefined,
  span: Span,
): Fault | undefined {
  const links = node.device?.attrs.links ?? node.health?.attrs.links.length ?? 0;
  if (links === 0 || (found !== undefined && found.subScene !== 'Nvlink')) return undefined;
  const { from, to } = span;
  for (const { attrs, fact, since } of graph.host.switches.values()) {
    const { effect, means, immediate, followUp } = sxid(attrs.code, attrs.severity);
    const failed = graph.nodes.get(fact.entity);
    if ((effect !== 'fatal' && effect !== 'always-fatal') || failed === undefined) continue;
    if (since < Math.max(from, node.renewedTs) || since > to) continue;
    if (found !== undefined && Math.abs(found.began - since) > SWITCH_MS) continue;
    return {
      node: failed,
      scene: 'GpuError',
      subScene: 'Nvlink',
      summary: `${failed.id} failed ${duration(Math.max(0, to - since))} ago: SXid ${attrs.code}: ${means.replace(/\.$/, '')}`,
      confidence: CONFIDENCE.nvswitch,
      began: since,
      facts: [fact, ...(found?.facts ?? [])],
      recommendations: [IMMEDIATE[immediate], ...(followUp === 'none' ? [] : [FOLLOW_UP[followUp]])],
      strength: 'hard',
      ails: `sxid-${attrs.code}`,
    };
  }
  return undefined;
}

function xidFault(node: GpuNode, process: ProcessNode, cause: XidCause, now: number): Fault {
  const { seen, facts, whose, blame } = cause;
  const own = whose === 'program';
  const ago = duration(Math.max(0, now - seen.ts));
  const confidence =
    blame?.points === 'hardware' ? CONFIDENCE.xidAgain : own ? CONFIDENCE.xidOfProgram : CONFIDENCE.xid;
  return {
    node: own ? process : node,
    scene: 'GpuError',
    subScene: xidSubScene(seen.code),
    summary: own
      ? `its own work on ${node.id} was refused ${ago} ago: ${xidText(cause)}`
      : `${node.id} failed ${ago} ago: ${xidText(cause)}`,
    confidence,
    began: seen.ts,
    facts,
    recommendations: xidAdvice(node, cause),
    strength: 'hard',
    ails: `xid-${seen.code}`,
  };
}

/** Of one moment: what else was seen is evidence. */
function withMore(fault: Fault | undefined, ...others: readonly (Fault | undefined)[]): Fault | undefined {
  if (fault === undefined) return undefined;
  const more = others.filter(
    (other) => other !== undefined && Math.abs(other.began - fault.began) <= TOGETHER_MS,
  );
  return { ...fault, facts: [...fault.facts, ...more.flatMap((other) => other?.facts ?? [])] };
}

function lostFault(node: GpuNode, { to }: Span): Fault | undefined {
  const trouble = renewedAfter(node, to) ? node.before?.state : node.trouble;
  if (trouble === undefined || trouble.attrs.state === 'hung' || trouble.since > to) return undefined;
  const { state, reason, scope } = trouble.attrs;
  const gone = state === 'gone';
  const said = reason === undefined ? '' : ` (NVML: ${reason})`;
  const ago = duration(Math.max(0, to - trouble.since));
  const reset = reason === 'RESET_REQUIRED';
  return {
    node,
    scene: 'GpuError',
    subScene: reset || (gone && scope === 'library') ? null : 'OffBus',
    summary: reset
      ? `${node.id} has failed and does nothing until it is reset${said}, for ${ago}`
      : gone && scope === 'library'
        ? `the driver of ${node.id} was taken away${said}, ${ago} ago`
        : gone
          ? `${node.id} is not there any more${said}, for ${ago}`
          : `${node.id} does not answer its driver any more${said}, for ${ago}`,
    confidence: gone ? CONFIDENCE.gpuGone : CONFIDENCE.gpuLost,
    began: trouble.since,
    facts: [trouble.fact],
    recommendations:
      gone && scope === 'library'
        ? [
            'See who unloaded or exchanged the driver: dmesg, the package manager’s log; start the job again after',
          ]
        : [IMMEDIATE[reset ? 'reset-gpu' : 'reboot'], FOLLOW_UP['contact-support']],
    strength: 'hard',
    ails: 'lost',
  };
}

/**
 * NVML does not come back with an answer about it. Others may get theirs: it explains a wait that nothing else does,
 * and no progress that is made all the same.
 */
export function hungFault(node: GpuNode, { to }: Span): Fault | undefined {
  const { trouble } = node;
  if (trouble === undefined || trouble.attrs.state !== 'hung' || trouble.since > to) return undefined;
  const { call, scope } = trouble.attrs;
  const what = scope === 'library' ? 'its driver answers nobody' : 'its driver does not answer about it';
  const asked = call === undefined ? '' : ` (${call})`;
  return {
    node,
    scene: 'GpuError',
    subScene: null,
    summary: `${node.id} hangs: ${what}${asked} for ${duration(Math.max(0, to - trouble.since))}`,
    confidence: CONFIDENCE.gpuHung,
    began: trouble.since,
    facts: [trouble.fact],
    recommendations: ['See the kernel log for what the driver waits for; reset the GPU, or reboot the node'],
    strength: 'hard',
    ails: 'hung',
  };
}

const ORDER: readonly Worsening[] = ['ecc', 'remap-failed', 'nvlink', 'unavailable', 'remap-pending'];

/** The first of what became worse: the rest is what came of it. */
function worseFault(graph: StateGraph, node: GpuNode, span: Span): Fault | undefined {
  const worse = renewedAfter(node, span.to) ? node.before?.worse : node.worse;
  if (worse === undefined) return undefined;
  let first: readonly [Worsening, Worse] | undefined;
  const facts: Fact[] = [];
  for (const what of ORDER) {
    const one = worse.get(what);
    if (one === undefined || one.fact.ts < span.from || one.since > span.to) continue;
    facts.push(one.fact);
    if (first === undefined || one.since < first[1].since) first = [what, one];
  }
  if (first === undefined) return undefined;
  const [what, one] = first;
  const own = describe(node, what, one, duration(Math.max(0, span.to - one.since)));
  const more = what === 'nvlink' ? switchFacts(graph, one.since) : [];
  return {
    ...own,
    node,
    scene: 'GpuError',
    began: one.since,
    facts: [...new Set([one.fact, ...facts]), ...more],
    strength: 'hard',
    ails: what,
  };
}

type Described = Pick<Fault, 'subScene' | 'summary' | 'confidence' | 'recommendations'>;

function describe({ id }: GpuNode, what: Worsening, { count: errors, links }: Worse, ago: string): Described {
  switch (what) {
    case 'ecc':
      return {
        subScene: 'Ecc',
        summary:
          `memory of ${id} lost data ${ago} ago: ` +
          (errors > 0 ? count(errors, 'uncorrected error') : 'an uncorrected error, by NVML'),
        confidence: CONFIDENCE.gpuMemory,
        recommendations: [IMMEDIATE['reset-or-drain'], FOLLOW_UP['check-ecc-threshold']],
      };
    case 'remap-failed':
      return {
        subScene: 'Ecc',
        summary: `a bad row of the memory of ${id} could not be replaced, ${ago} ago`,
        confidence: CONFIDENCE.gpuMemory,
        recommendations: [IMMEDIATE['reset-gpu'], FOLLOW_UP['contact-support']],
      };
    case 'remap-pending':
      return {
        subScene: 'Ecc',
        summary: `a row of the memory of ${id} failed ${ago} ago, and is replaced only by a reset`,
        confidence: CONFIDENCE.rowRemap,
        recommendations: [IMMEDIATE['reset-or-drain'], FOLLOW_UP['check-ecc-threshold']],
      };
    case 'nvlink':
      return {
        subScene: 'Nvlink',
        summary: `NVLink ${links.join(', ')} of ${id} went down ${ago} ago`,
        confidence: CONFIDENCE.nvlinkDown,
        recommendations: [IMMEDIATE['reset-gpu'], FOLLOW_UP['check-signal-and-cables']],
      };
    case 'unavailable':
      return {
        subScene: null,
        summary: `${id} is not available any more, by NVML, for ${ago}`,
        confidence: CONFIDENCE.gpuUnavailable,
        recommendations: [IMMEDIATE['follow-recovery-action'], FOLLOW_UP['contact-support']],
      };
  }
}

/** NVSwitches that complained around then: which of them the link goes to is not known. */
function switchFacts(graph: StateGraph, ts: number): readonly Fact[] {
  return [...graph.host.switches.values()]
    .map(({ fact }) => fact)
    .filter((fact) => Math.abs(fact.ts - ts) <= SWITCH_MS);
}

/** It protects itself: slower than it could be, for as long as that goes on. */
export function throttleFault(node: GpuNode, now: number): Fault | undefined {
  const { throttle, use } = node;
  if (throttle === undefined || now - throttle.since < THROTTLED_MS) return undefined;
  const { reasons, since, fact } = throttle;
  const hot = reasons.includes('hw-thermal') || reasons.includes('sw-thermal');
  const { temperatureC, smMhz } = use?.attrs ?? {};
  const why = hot ? 'heat' : reasons.includes('power-brake') ? 'its power supply' : 'a hardware slowdown';
  const figures = [
    ...(temperatureC === undefined ? [] : [`${temperatureC} °C`]),
    ...(smMhz === undefined ? [] : [`SM clock ${smMhz} MHz`]),
  ];
  const shown = figures.length === 0 ? '' : `, ${figures.join(', ')}`;
  return {
    node,
    scene: 'GpuError',
    subScene: hot ? 'Thermal' : null,
    summary: `${node.id} has been slowed for ${duration(now - since)} because of ${why} (${reasons.join(', ')}${shown})`,
    confidence: CONFIDENCE.gpuThrottled,
    began: since,
    facts: [{ ...fact, detail: `slowed: ${reasons.join(', ')}${shown}` }],
    recommendations: hot
      ? [FOLLOW_UP['check-cooling'], 'Move the job off this node if it does not cool down']
      : [
          'See the power supply of the node and of the board: cables, PSU, the BMC’s log; nvidia-smi -q -d POWER,PERFORMANCE',
        ],
    strength: 'hard',
    ails: 'throttle',
  };
}

/** It was reset since: what was wrong with it then is over. */
function renewedAfter(node: GpuNode, to: number): boolean {
  return node.renewedTs > to;
}
