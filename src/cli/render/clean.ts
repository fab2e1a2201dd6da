/** Nothing that came from outside reaches a terminal raw. Done once, in front of every renderer. */
import { printable } from '../../util/text.js';

/** `value` with every string in it made printable. */
export function clean<T>(value: T): T;
export function clean(value: unknown): unknown {
  if (typeof value === 'string') return printable(value);
  if (Array.isArray(value)) return value.map((item: unknown) => clean(item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [printable(key), clean(item)]));
}
