/**
 * What several Xids say together: which one a symptom points at, and whether faults of programs (13, 31) come
 * from the program or from the GPU. Pure functions over what was seen lately.
 */
import { xid } from './catalogue.js';
import type { SmPlace } from './line.js';

export interface SeenXid {
  /** Event time, ms. */
  readonly ts: number;
  readonly gpu: string;
  readonly code: number;
  readonly pid?: number;
  /** The driver's own word: `caused by previous Xid 149`. */
  readonly causedBy?: number;
  readonly sm?: SmPlace;
}

/** A symptom comes within this after its cause. */
const BEFORE_MS = 60_000;
/** And is printed before it at times. */
const AFTER_MS = 1_000;
/** Faults of one moment: what follows the first of them is fallout. */
const BURST_MS = 5_000;

/**
 * The Xid that a symptom (43, 45, 154, …) points at: on the same GPU, the one that the driver names, else the
 * first of the faults that led up to it. undefined: none is known, and the symptom must not be called a cause.
 */
export function causeOf(symptom: SeenXid, recent: readonly SeenXid[]): SeenXid | undefined {
  if (xid(symptom.code).role === 'cause') return undefined;
  const before = recent
    .filter(
      ({ gpu, ts, code }) =>
        gpu === symptom.gpu &&
        ts >= symptom.ts - BEFORE_MS &&
        ts <= symptom.ts + AFTER_MS &&
        xid(code).role === 'cause',
    )
    .sort((a, b) => a.ts - b.ts);
  if (symptom.causedBy !== undefined) return before.findLast(({ code }) => code === symptom.causedBy);
  const burst = lastBurst(before);
  const least = Math.min(...burst.map((seen) => distance(seen, symptom)));
  return burst.find((seen) => distance(seen, symptom) === least);
}

function lastBurst(sorted: readonly SeenXid[]): readonly SeenXid[] {
  let from = sorted.length - 1;
  while (from > 0 && (sorted[from]?.ts ?? 0) - (sorted[from - 1]?.ts ?? 0) <= BURST_MS) from--;
  return sorted.slice(Math.max(0, from));
}

/** How little it explains the symptom: 0 a fault, 1 one of another program, 2 a note. */
function distance(seen: SeenXid, symptom: SeenXid): number {
  const { class: kind } = xid(seen.code);
  if (kind === 'informational') return 2;
  const other = seen.pid !== undefined && symptom.pid !== undefined && seen.pid !== symptom.pid;
  return kind === 'application' && other ? 1 : 0;
}

export interface Blame {
  readonly points: 'hardware' | 'application';
  /**
   * `once` says little. `several-tpcs`: again and again on one GPU, but never at the same place of it.
   */
  readonly how: 'one-gpu' | 'several-gpus' | 'several-tpcs' | 'once';
  /** Faults that have nothing to do with each other but the GPU. */
  readonly incidents: number;
  readonly gpus: readonly string[];
}

/** Lines about one fault of one program: dozens of Xid 13 come within milliseconds, one for each SM. */
const INCIDENT_MS = 10_000;
/** Exceptions of kernels and bad addresses: bugs of a program, unless they keep to one GPU. */
const OF_PROGRAMS: ReadonlySet<number> = new Set([13, 31]);

interface Incident {
  readonly gpu: string;
  lastTs: number;
  pid: number | undefined;
  readonly tpcs: Set<string>;
}

/**
 * Whom faults of programs point at. A bug goes wherever its program goes; a broken GPU hurts whatever program
 * comes to it. So: several GPUs, the application; again and again on one alone, the hardware, unless each time
 * at another place of it. undefined: there were none.
 */
export function blame(recent: readonly SeenXid[]): Blame | undefined {
  const incidents = incidentsOf(recent);
  const gpus = [...new Set(incidents.map(({ gpu }) => gpu))].sort();
  if (incidents.length === 0) return undefined;
  const result = { incidents: incidents.length, gpus };
  if (gpus.length > 1) return { points: 'application', how: 'several-gpus', ...result };
  if (incidents.length === 1) return { points: 'application', how: 'once', ...result };
  return samePlace(incidents)
    ? { points: 'hardware', how: 'one-gpu', ...result }
    : { points: 'application', how: 'several-tpcs', ...result };
}

function incidentsOf(recent: readonly SeenXid[]): readonly Incident[] {
  const incidents: Incident[] = [];
  const open = new Map<string, Incident>();
  for (const { ts, gpu, code, pid, sm } of recent.toSorted((a, b) => a.ts - b.ts)) {
    if (!OF_PROGRAMS.has(code)) continue;
    let incident = open.get(gpu);
    const other = incident?.pid !== undefined && pid !== undefined && incident.pid !== pid;
    if (incident === undefined || other || ts - incident.lastTs > INCIDENT_MS) {
      incident = { gpu, lastTs: ts, pid, tpcs: new Set() };
      incidents.push(incident);
      open.set(gpu, incident);
    }
    incident.lastTs = ts;
    incident.pid ??= pid;
    if (sm !== undefined) incident.tpcs.add(`${sm.gpc}/${sm.tpc}`);
  }
  return incidents;
}

/** Where a place is not known, it may be the same. */
function samePlace(incidents: readonly Incident[]): boolean {
  const [first, ...others] = incidents.filter(({ tpcs }) => tpcs.size > 0);
  if (first === undefined || others.length + 1 < incidents.length) return true;
  return [...first.tpcs].some((tpc) => others.every(({ tpcs }) => tpcs.has(tpc)));
}
