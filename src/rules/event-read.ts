/** What a rule means by a name in an event: `value` is the event's own number, the rest are its attributes. */
import type { Event } from '../events/event.js';
import { read } from './field-test.js';

export type ReadEvent = (event: Event) => unknown;

/** Made once for each path: it runs for every event of a type. */
export function eventReader(path: readonly string[]): ReadEvent {
  const [name, ...deeper] = path;
  if (name === undefined) return () => undefined;
  if (deeper.length > 0) return ({ attrs }) => read(attrs, path);
  if (name === 'value') return ({ value }) => value;
  return ({ attrs }) => {
    const own: Readonly<Record<string, unknown>> = attrs as typeof attrs & Readonly<Record<string, unknown>>;
    return own[name];
  };
}
