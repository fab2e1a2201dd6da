/**
 * What became worse with a GPU while it was watched: uncorrected errors counted, rows of memory, NVLinks. A count that
 * is not zero at first sight says nothing about now, and a link that was never up may be meant to be down.
 */
import type { EventOf } from '../events/event.js';
import type { GpuEventKind, GpuHealthAttrs } from '../events/gpu.js';
import type { GpuNode, Worsening } from './gpu-node.js';
import { factOf } from './kinds.js';

/** Errors with a longer pause between them are two stories. */
const PAUSE_MS = 60_000;

/** Compares with what was known; to be called before that is replaced. */
export function worsened(node: GpuNode, event: EventOf<'gpu.health'>): void {
  const { attrs, ts } = event;
  const fact = factOf(event);
  const before = node.health?.attrs;
  const errors = Math.max(
    gain(before?.uncorrectedVolatile, attrs.uncorrectedVolatile),
    gain(before?.uncorrectedAggregate, attrs.uncorrectedAggregate),
  );
  if (errors > 0) {
    const known = node.worse.get('ecc');
    const same = known !== undefined && ts - known.fact.ts < PAUSE_MS ? known : undefined;
    const count = (same?.count ?? 0) + errors;
    const says = { ...fact, value: count, detail: `uncorrected memory errors: ${count} more` };
    node.worse.set('ecc', { since: same?.since ?? ts, fact: says, count, links: [] });
  }
  turned(node, event, 'remap-pending', before?.remapPending, attrs.remapPending);
  turned(node, event, 'remap-failed', before?.remapFailed, attrs.remapFailed);
  const lost = lostLinks(node, attrs);
  if (lost.length === 0) node.worse.delete('nvlink');
  else {
    const since = node.worse.get('nvlink')?.since ?? ts;
    const says = { ...fact, detail: `NVLinks down: ${lost.join(', ')}` };
    node.worse.set('nvlink', { since, fact: says, count: lost.length, links: lost });
  }
}

/** NVML's own alarms, which come before the counts do. */
export function worsenedBy(node: GpuNode, event: EventOf<'gpu.event'>): void {
  const what = ALARMS[event.attrs.kind];
  if (what === undefined) return;
  const known = node.worse.get(what);
  if (known !== undefined && event.ts - known.fact.ts < PAUSE_MS) return;
  node.worse.set(what, {
    since: event.ts,
    fact: { ...factOf(event), detail: event.attrs.kind.replaceAll('-', ' ') },
    count: 0,
    links: [],
  });
}

const ALARMS: { readonly [K in GpuEventKind]?: Worsening } = {
  'ecc-uncorrected': 'ecc',
  poison: 'ecc',
  'poison-fatal': 'ecc',
  'row-retirement-failed': 'remap-failed',
  unavailable: 'unavailable',
};

/** Counts begin anew with the driver. */
function gain(before: number | undefined, now: number | undefined): number {
  return before === undefined || now === undefined ? 0 : Math.max(0, now - before);
}

function turned(
  node: GpuNode,
  event: EventOf<'gpu.health'>,
  what: Worsening,
  before: boolean | undefined,
  now: boolean | undefined,
): void {
  if (now === true && before === false)
    node.worse.set(what, {
      since: event.ts,
      fact: { ...factOf(event), value: 1, detail: what.replace('-', ' ') },
      count: 0,
      links: [],
    });
  if (now === false) node.worse.delete(what);
}

/** Links that were up once, and are not now. */
function lostLinks(node: GpuNode, { links }: GpuHealthAttrs): readonly number[] {
  for (const { link, up } of links) if (up) node.linksSeenUp.add(link);
  return links.filter(({ link, up }) => !up && node.linksSeenUp.has(link)).map(({ link }) => link);
}
