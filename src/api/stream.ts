/**
 * `/v1/events`: one JSON object a line (src/events/codec.ts, encodeEvent). A reader that is too slow
 * loses events, never in silence: where they are missing stands a line `{"dropped": N}`.
 */
import type { Event } from '../events/event.js';
import { UsageError } from '../util/errors.js';
import { parsePid } from './paths.js';

/** An event as the wire has it: `type` is what the probe wrote, also for `custom`. */
export interface WireEvent {
  readonly ts: number;
  readonly type: string;
  readonly entity: string;
  readonly pid?: number;
  readonly value: number;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly probe: string;
}

export interface Dropped {
  readonly dropped: number;
}

export type StreamLine = WireEvent | Dropped;

export function isDropped(line: StreamLine): line is Dropped {
  return 'dropped' in line;
}

/** Absent parts let everything through. */
export interface EventFilter {
  /** Whole types (`transport.retransmit`) or families (`transport`). */
  readonly types?: readonly string[];
  readonly pid?: number;
}

const TYPE = /^[a-z]+(?:\.[a-z0-9_]+)*$/;
const MAX_TYPES = 32;

export function matches(filter: EventFilter, event: Event): boolean {
  if (filter.pid !== undefined && event.pid !== filter.pid) return false;
  if (filter.types === undefined) return true;
  const type = event.type === 'custom' ? (event.customType ?? event.type) : event.type;
  return filter.types.some((wanted) => type === wanted || type.startsWith(`${wanted}.`));
}

export function filterToQuery(filter: EventFilter): string {
  const query = new URLSearchParams();
  if (filter.types !== undefined) query.set('type', filter.types.join(','));
  if (filter.pid !== undefined) query.set('pid', String(filter.pid));
  return query.toString();
}

/** @throws UsageError */
export function filterOfQuery(query: URLSearchParams): EventFilter {
  const type = query.get('type');
  const pid = query.get('pid');
  return {
    ...(type !== null && { types: parseTypes(type) }),
    ...(pid !== null && { pid: checkPid(pid) }),
  };
}

/** `transport,wait.tcp` → both. @throws UsageError */
export function parseTypes(text: string): readonly string[] {
  const types = text.split(',').filter((type) => type !== '');
  if (types.length === 0 || types.length > MAX_TYPES || !types.every((type) => TYPE.test(type))) {
    throw new UsageError('event types are a family or a whole type, e.g. transport or wait.tcp,process.exit');
  }
  return types;
}

/** One line of the stream; undefined when it is not one (another version's, cut short). */
export function parseStreamLine(line: string): StreamLine | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  if ('dropped' in parsed)
    return typeof parsed.dropped === 'number' ? { dropped: parsed.dropped } : undefined;
  return isWireEvent(parsed) ? parsed : undefined;
}

function isWireEvent(parsed: object): parsed is WireEvent {
  const event: Partial<Record<keyof WireEvent, unknown>> = parsed;
  return (
    typeof event.ts === 'number' &&
    typeof event.type === 'string' &&
    typeof event.entity === 'string' &&
    typeof event.value === 'number' &&
    typeof event.probe === 'string' &&
    typeof event.attrs === 'object' &&
    event.attrs !== null &&
    (event.pid === undefined || typeof event.pid === 'number')
  );
}

function checkPid(text: string): number {
  const pid = parsePid(text);
  if (pid === undefined) throw new UsageError('pid must be a number from 1 to 4194304');
  return pid;
}
