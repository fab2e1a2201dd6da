/**
 * Event ↔ one line of JSON, for recordings and for probes that are programs.
 *
 * On the wire a `custom` event carries the type that its probe wrote (`compute.step_time`), and
 * `probe` says who spoke. What a subprocess says is always `custom` in memory, whatever name it
 * wrote: `process.exit`, `wait.*` and `transport.*` of the catalogue are facts that the kernel
 * vouches for, and no program may put words into its mouth.
 */
import { attrsFit, isCatalogueType } from './catalogue.js';
import { isRecord } from './guards.js';
import { type Event, PROBE_NAMES, type ProbeName } from './event.js';
import { pidOf, processId } from './ids.js';

/** Why a line is no event. Bounded, so that it can be a metric's label. */
export const REJECTIONS = [
  'json',
  'object',
  'type',
  'ts',
  'entity',
  'pid',
  'value',
  'attrs',
  'probe',
] as const;
export type Rejection = (typeof REJECTIONS)[number];

export type Decoded =
  | { readonly ok: true; readonly event: Event }
  | { readonly ok: false; readonly reason: Rejection };

/** How far a subprocess's clock, or its buffering, may be off; other times would age the graph out. */
const MAX_PAST_MS = 60_000;
const MAX_FUTURE_MS = 1_000;

const MAX_ENTITY_LENGTH = 1024;
const MAX_PID = 2 ** 22;
const MAX_DEPTH = 8;
const MAX_VALUES = 1024;
const MAX_TEXT_LENGTH = 8192;

const TYPE =
  /^(?:compute|transport|storage|process|error|topo|intent|action|wait)\.[a-z0-9_]+(?:\.[a-z0-9_]+)*$/;
const MAX_TYPE_LENGTH = 96;
const ENTITY_KIND = /^[a-z][a-z0-9_-]{0,31}:./s;
/** Control and invisible characters; an entity is printed, logged and typed by people. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;
const RFC3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/;

/** One line without its end. */
export function encodeEvent(event: Event): string {
  const { ts, type, entity, pid, value, attrs, probe, customType } = event;
  return JSON.stringify({
    ts,
    type: type === 'custom' ? (customType ?? type) : type,
    entity,
    pid,
    value,
    attrs,
    probe,
  });
}

/** A line of a recording. Everything is checked: a recording may come from anybody. */
export function decodeEvent(line: string): Decoded {
  const raw = parse(line);
  if (!raw.ok) return raw;
  const { type, entity, pid, value, attrs, probe } = raw.fields;
  const ts = timeOf(raw.fields.ts);
  const name = type === 'custom' ? raw.fields.customType : type;
  if (!isProbe(probe)) return refuse('probe');
  // The catalogue has a family of its own (gpu.*) that programs may not use.
  if (typeof name !== 'string' || !(isType(name) || isCatalogueType(name))) return refuse('type');
  if (ts === undefined) return refuse('ts');
  // The catalogue's own ids are this project's; one of them, wait.pass, is about the node and names nothing.
  if (!isEntity(entity) && !(isCatalogueType(name) && isShortText(entity))) return refuse('entity');
  if (pid !== undefined && !isPid(pid, 0)) return refuse('pid');
  if (typeof value !== 'number' || !Number.isFinite(value)) return refuse('value');
  if (isCatalogueType(name) && probe !== 'subprocess') {
    if (!attrsFit(name, attrs)) return refuse('attrs');
    // attrsFit() ties attrs to the type, which TypeScript cannot follow through a variable.
    return { ok: true, event: { ts, type: name, entity, ...pidField(pid), value, attrs, probe } as Event };
  }
  if (!isRecord(attrs) || !isBounded(attrs)) return refuse('attrs');
  return {
    ok: true,
    event: { ts, type: 'custom', customType: name, entity, ...pidField(pid), value, attrs, probe },
  };
}

/**
 * A line that a `--probe` program printed: `{"type": "compute.step_time", "entity": "gpu:0", …}`.
 * `ts` (RFC 3339 or ms since the epoch) defaults to now and must lie within the last minute; `value`
 * defaults to 0, `attrs` to {}, `entity` to the process of `pid`, `pid` to that of `entity`.
 * @param nowMs receipt by the wall clock, which programs go by, ms since the epoch
 * @param eventNowMs receipt as event time, which does not jump when somebody sets the wall clock
 */
export function decodeProbeLine(line: string, nowMs: number, eventNowMs: number = nowMs): Decoded {
  const raw = parse(line);
  if (!raw.ok) return raw;
  const { type, value = 0, attrs = {} } = raw.fields;
  if (!isType(type)) return refuse('type');
  const ts = raw.fields.ts === undefined ? nowMs : timeOf(raw.fields.ts);
  if (ts === undefined || ts < nowMs - MAX_PAST_MS || ts > nowMs + MAX_FUTURE_MS) return refuse('ts');
  const named = raw.fields.pid;
  if (named !== undefined && !isPid(named, 1)) return refuse('pid');
  const entity = raw.fields.entity ?? (named === undefined ? undefined : processId(named));
  if (!isEntity(entity) || UNPRINTABLE.test(entity)) return refuse('entity');
  const meant = entity.startsWith('pid:') ? pidOf(entity) : named;
  // `pid:007` and `pid:0x7` would be second names of `pid:7`.
  if (entity.startsWith('pid:') && !(isPid(meant, 1) && entity === processId(meant))) return refuse('entity');
  if (named !== undefined && named !== meant) return refuse('pid');
  if (typeof value !== 'number' || !Number.isFinite(value)) return refuse('value');
  if (!isRecord(attrs) || !isBounded(attrs)) return refuse('attrs');
  return {
    ok: true,
    event: {
      ts: eventNowMs - Math.max(0, nowMs - ts),
      type: 'custom',
      customType: type,
      entity,
      ...pidField(meant),
      value,
      attrs,
      probe: 'subprocess',
    },
  };
}

type Parsed =
  | { readonly ok: true; readonly fields: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly reason: Rejection };

function parse(line: string): Parsed {
  let fields: unknown;
  try {
    fields = JSON.parse(line);
  } catch {
    return refuse('json');
  }
  return isRecord(fields) ? { ok: true, fields } : refuse('object');
}

function refuse(reason: Rejection): { readonly ok: false; readonly reason: Rejection } {
  return { ok: false, reason };
}

function isType(name: unknown): name is string {
  return typeof name === 'string' && name.length <= MAX_TYPE_LENGTH && TYPE.test(name);
}

function isProbe(name: unknown): name is ProbeName {
  const names: readonly unknown[] = PROBE_NAMES;
  return names.includes(name);
}

function isEntity(entity: unknown): entity is string {
  return isShortText(entity) && ENTITY_KIND.test(entity);
}

function isShortText(entity: unknown): entity is string {
  return typeof entity === 'string' && entity.length <= MAX_ENTITY_LENGTH;
}

function isPid(pid: unknown, min: number): pid is number {
  return typeof pid === 'number' && Number.isInteger(pid) && pid >= min && pid <= MAX_PID;
}

/** exactOptionalPropertyTypes: an absent pid is an absent key. */
function pidField(pid: number | undefined): { readonly pid?: number } {
  return pid === undefined ? {} : { pid };
}

/** Ms since the epoch from a number or an RFC 3339 text; undefined for anything else. */
function timeOf(ts: unknown): number | undefined {
  const ms = typeof ts === 'string' && RFC3339.test(ts) ? Date.parse(ts) : ts;
  return typeof ms === 'number' && ms >= 0 && ms < 8.64e15 ? ms : undefined;
}

/**
 * Whether free attributes are small enough to keep: JSON.stringify recurses, so depth counts, and
 * a key `__proto__` would change an object's prototype in whoever copies them key by key.
 */
function isBounded(attrs: Readonly<Record<string, unknown>>): boolean {
  let left = MAX_VALUES;
  const fits = (value: unknown, depth: number): boolean => {
    if (--left < 0) return false;
    if (typeof value === 'string') return value.length <= MAX_TEXT_LENGTH;
    if (typeof value === 'number') return Number.isFinite(value);
    if (typeof value !== 'object' || value === null) return true;
    if (depth === 0) return false;
    if (Array.isArray(value)) return value.every((item) => fits(item, depth - 1));
    return Object.entries(value).every(
      ([key, item]) => key !== '__proto__' && key.length <= MAX_TEXT_LENGTH && fits(item, depth - 1),
    );
  };
  return fits(attrs, MAX_DEPTH);
}
