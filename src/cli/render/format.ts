/** Values, units and times in the words of the answers. */
import { duration } from '../../scene/words.js';

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

/** A value with its unit: `12400 ms` → `12.4 s`, `12345 bytes` → `12,345 bytes (12.1 KiB)`. */
export function quantity(value: number, unit: string): string {
  if (unit === 'ms') return duration(value);
  const number = grouped(value);
  if (unit === '') return number;
  const big = unit === 'bytes' && Math.abs(value) >= 10_240 ? ` (${binary(value)})` : '';
  return `${number} ${unit}${big}`;
}

/** RFC 3339 as `2026-11-23 01:02:03Z`, without the fraction. Anything else stays as it is. */
export function dateTime(ts: string): string {
  return ts.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?/, '$1 $2');
}

/** The time of day, with ms; with the date too when it is not the day of `today`. */
export function clock(ts: string, today: string): string {
  const [, date, time] = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d{1,3})?)/.exec(ts) ?? [];
  if (date === undefined || time === undefined) return ts;
  return today.startsWith(date) ? time : `${date} ${time}`;
}

/** When something began that has lasted for `ms` at `now` (RFC 3339): `01:01:50`, and `22 Nov 23:59:02` of another day. */
export function sinceTime(now: string, ms: number): string {
  const began = new Date(Date.parse(now) - ms);
  if (Number.isNaN(began.getTime())) return '?';
  const text = began.toISOString();
  const time = text.slice(11, 19);
  if (text.slice(0, 10) === now.slice(0, 10)) return time;
  return `${began.getUTCDate()} ${MONTHS[began.getUTCMonth()] ?? ''} ${time}`;
}

/** `0.94` → `94 % sure`. */
export function sureness(confidence: number): string {
  return `${Math.round(confidence * 100)} % sure`;
}

/** How long before `now` (both RFC 3339); undefined when that makes no sense. */
export function age(since: string, now: string): string | undefined {
  const ms = Date.parse(now) - Date.parse(since);
  return ms >= 0 ? duration(ms) : undefined;
}

/** `12345.6789` → `12,345.679`. toLocaleString() would do, but loads ICU's tables: 17 ms. */
function grouped(value: number): string {
  const [whole = '', fraction] = String(Math.round(value * 1000) / 1000).split('.');
  const commas = whole.replace(/\B(?=(?:\d{3})+$)/g, ',');
  return fraction === undefined ? commas : `${commas}.${fraction}`;
}

function binary(bytes: number): string {
  const units = ['KiB', 'MiB', 'GiB', 'TiB'] as const;
  let value = bytes / 1024;
  let at = 0;
  while (Math.abs(value) >= 1024 && at < units.length - 1) {
    value /= 1024;
    at++;
  }
  return `${value.toFixed(1)} ${units[at]}`;
}
