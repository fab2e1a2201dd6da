/**
 * Which Xid of a GPU explains what a process suffers. Informational codes explain nothing; a symptom (43, 45, 154)
 * points at another code and is never the cause; a fault of a program (13, 31) is that program's own, unless it comes
 * again and again on one GPU alone.
 */
import type { GpuNode, GpuXid } from '../graph/gpu-node.js';
import type { Fact, ProcessNode } from '../graph/model.js';
import type { StateGraph } from '../graph/state-graph.js';
import { FOLLOW_UP, IMMEDIATE, RECOVERY_ACTIONS } from '../xid/actions.js';
import { type Xid, xid } from '../xid/catalogue.js';
import { type Blame, blame, causeOf, type SeenXid } from '../xid/cause.js';
import { LINK_DOWN, nvlinkAdvice } from '../xid/nvlink5.js';

/** Faults of programs that are hours apart can be of one broken GPU. */
const BLAME_MS = 12 * 3_600_000;
/** Faults of one moment: what follows the first of them is fallout. */
const BURST_MS = 5_000;
/** What a fault brings with it comes within this. */
const FALLOUT_MS = 60_000;
const MAX_FACTS = 6;

/** Event times within which it counts. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface XidCause {
  readonly seen: GpuXid;
  readonly entry: Xid;
  /** `program`: this process's own doing. */
  readonly whose: 'gpu' | 'program';
  readonly blame: Blame | undefined;
  /** The cause's own first, then what it brought with it. */
  readonly facts: readonly Fact[];
  /** Codes that came with it. */
  readonly fallout: readonly number[];
}

export type XidSubScene = 'Ecc' | 'Nvlink' | 'OffBus' | null;

const ECC: ReadonlySet<number> = new Set([48, 64, 92, 94, 95, 140, 157, 161, 168, 171, 172]);
const NVLINK: ReadonlySet<number> = new Set([74, 136, 144, 145, 146, 147, 148, 149, 150, 166, 170]);
/** Of programs, by their numbers: both say what their kernels did. */
const OF_PROGRAMS: ReadonlySet<number> = new Set([13, 31]);

export function xidSubScene(code: number): XidSubScene {
  if (code === 79) return 'OffBus';
  if (ECC.has(code)) return 'Ecc';
  return NVLINK.has(code) ? 'Nvlink' : null;
}

/** The Xid that explains what `process` suffers from this GPU. */
export function xidCause(
  graph: StateGraph,
  node: GpuNode,
  process: ProcessNode,
  span: Span,
): XidCause | undefined {
  const recent = within(node, span);
  const causes = recent.filter((one) => isFault(one) && concerns(one, node, process));
  const found = pointedAt(node, recent, causes) ?? firstOf(causes);
  if (found === undefined) return undefined;
  const entry = xid(found.code);
  const blamed = OF_PROGRAMS.has(found.code) ? blame(allSeen(graph, span.to)) : undefined;
  const own = entry.class === 'application' && blamed?.points !== 'hardware';
  const others = recent.filter(
    (one) => one !== found && one.ts >= found.ts - BURST_MS && one.ts <= found.ts + FALLOUT_MS,
  );
  return {
    seen: found,
    entry,
    whose: own ? 'program' : 'gpu',
    blame: blamed,
    facts: [...found.facts, ...others.flatMap(({ facts }) => facts)].slice(0, MAX_FACTS),
    fallout: [...new Set(others.map(({ code }) => code))].filter((code) => code !== found.code),
  };
}

/** Symptoms alone: something went wrong with the work of this process, and nothing tells what. */
export function xidSymptoms(node: GpuNode, process: ProcessNode, span: Span): readonly GpuXid[] {
  return within(node, span).filter(
    (one) =>
      xid(one.code).role === 'symptom' &&
      (one.pid === undefined ? one.code === 154 : one.pid === process.pid),
  );
}

/** What the driver said of this very process, whatever it means: evidence for its end. */
export function xidsOf(node: GpuNode, process: ProcessNode, span: Span): readonly GpuXid[] {
  return within(node, span).filter(({ pid, code }) => {
    const { class: kind, role } = xid(code);
    return pid === process.pid && (kind === 'application' || role === 'symptom');
  });
}

/** One clause: `Xid 79 (fallen-off-bus): The GPU does not answer …`. */
export function xidText({ seen, entry, blame: blamed, fallout }: XidCause): string {
  const { nvlink } = seen;
  const unit =
    nvlink === undefined
      ? ''
      : `; unit ${nvlink.unit}, ${nvlink.fatal ? 'fatal' : 'not fatal'}` +
        (nvlink.link === undefined ? '' : `, link ${nvlink.link}`) +
        (nvlink.reason === undefined
          ? ''
          : `: ${LINK_DOWN[nvlink.reason]?.says ?? 'for a reason not known'}`) +
        (nvlink.injected ? '; somebody injected it' : '');
  const again =
    blamed?.points === 'hardware'
      ? `; ${blamed.incidents} times on this GPU and on no other, which points to its hardware`
      : blamed?.how === 'several-gpus'
        ? `; so it was on ${blamed.gpus.length} GPUs, which points to the application`
        : '';
  const then = fallout.length === 0 ? '' : `; with it Xid ${fallout.join(', ')}`;
  return `Xid ${seen.code} (${entry.name}): ${entry.means.replace(/\.$/, '')}${unit}${again}${then}`;
}

/** What the driver asks for goes before what the catalogue says of the code. */
export function xidAdvice(node: GpuNode, { seen, entry }: XidCause): readonly string[] {
  const asked = node.xids.findLast(
    ({ recovery, ts }) => recovery !== undefined && ts >= seen.ts - BURST_MS,
  )?.recovery;
  const advice = seen.nvlink === undefined ? entry : nvlinkAdvice(seen.nvlink);
  const immediate = asked === undefined || asked === 'none' ? advice.immediate : RECOVERY_ACTIONS[asked];
  return [IMMEDIATE[immediate], ...(advice.followUp === 'none' ? [] : [FOLLOW_UP[advice.followUp]])];
}

function within(node: GpuNode, { from, to }: Span): readonly GpuXid[] {
  // What was before a reset is over for whoever came after it.
  const start = node.renewedTs <= to ? Math.max(from, node.renewedTs) : from;
  return node.xids.filter(({ ts }) => ts >= start && ts <= to);
}

function isFault(one: GpuXid): boolean {
  const { role, class: kind, immediate } = xid(one.code);
  if (role === 'symptom' || kind === 'informational' || kind === 'unused') return false;
  if (one.nvlink !== undefined) return nvlinkAdvice(one.nvlink).immediate !== 'ignore';
  return immediate !== 'ignore';
}

/** A fault of a program is of that one; memory that lost one program's data stops that one. */
function concerns(one: GpuXid, node: GpuNode, process: ProcessNode): boolean {
  const user = node.users.get(process.pid);
  // Another part of the GPU, which does not know of it.
  if (one.gi !== undefined && user?.gi !== undefined && one.gi !== user.gi) return false;
  if (one.pid === process.pid) return true;
  const single = xid(one.code).class === 'application' || one.code === 94;
  return !single || (one.pid === undefined && node.users.size <= 1);
}

/** What the driver itself names as the cause of a symptom. */
function pointedAt(node: GpuNode, recent: readonly GpuXid[], causes: readonly GpuXid[]): GpuXid | undefined {
  const seen = recent.map((one) => seenOf(node, one));
  for (const symptom of seen.toReversed()) {
    if (symptom.causedBy === undefined) continue;
    const cause = causeOf(symptom, seen);
    const found = cause === undefined ? undefined : recent[seen.indexOf(cause)];
    if (found !== undefined && causes.includes(found)) return found;
  }
  return undefined;
}

/** The first of the last burst; a fault of the GPU before one of a program. */
function firstOf(causes: readonly GpuXid[]): GpuXid | undefined {
  const ofGpu = causes.filter(({ code }) => xid(code).class !== 'application');
  const some = ofGpu.length > 0 ? ofGpu : causes;
  let at = some.length - 1;
  while (at > 0 && (some[at]?.ts ?? 0) - (some[at - 1]?.ts ?? 0) <= BURST_MS) at--;
  return some[at];
}

function allSeen(graph: StateGraph, to: number): readonly SeenXid[] {
  return [...graph.gpus].flatMap((node) =>
    node.xids.filter(({ ts }) => ts <= to && ts >= to - BLAME_MS).map((one) => seenOf(node, one)),
  );
}

function seenOf({ id }: GpuNode, { ts, code, pid, causedBy, sm }: GpuXid): SeenXid {
  return {
    ts,
    gpu: id,
    code,
    ...(pid !== undefined && { pid }),
    ...(causedBy !== undefined && { causedBy }),
    ...(sm !== undefined && { sm }),
  };
}
