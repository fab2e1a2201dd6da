/**
 * What an Xid means and what to do about it: `xid(79)`. Written from NVIDIA's public catalogue of codes for
 * Ampere and later, in our own words. A code of a later driver has an answer, too.
 */
import { DEVICE } from './catalogue-device.js';
import { ENGINE } from './catalogue-engine.js';
import { LINK } from './catalogue-link.js';
import { MEMORY } from './catalogue-memory.js';
import { UNUSED } from './catalogue-unused.js';
import { WORK } from './catalogue-work.js';
import type { XidClass, XidEntry, XidTable } from './entry.js';

export interface Xid extends Omit<XidEntry, 'class'> {
  readonly code: number;
  readonly class: XidClass | 'unknown';
}

const TABLES: readonly XidTable[] = [WORK, ENGINE, MEMORY, LINK, DEVICE, UNUSED];

const CATALOGUE: ReadonlyMap<number, XidEntry> = new Map(
  TABLES.flatMap((table) => Object.entries(table).map(([code, entry]) => [Number(code), entry] as const)),
);

/** Every code that is known, in order. */
export const XID_CODES: readonly number[] = [...CATALOGUE.keys()].sort((a, b) => a - b);

/** How many rows the tables have; more than `XID_CODES` would be a code that is in two of them. */
export const XID_ROWS: number = TABLES.reduce((sum, table) => sum + Object.keys(table).length, 0);

export function xid(code: number): Xid {
  const entry = CATALOGUE.get(code);
  if (entry !== undefined) return { code, ...entry };
  return {
    code,
    name: `xid-${code}`,
    class: 'unknown',
    role: 'cause',
    means: `Xid ${code} is not known to this version; the list of Xid errors of NVIDIA may have it.`,
    immediate: 'follow-recovery-action',
    followUp: 'contact-support',
  };
}
