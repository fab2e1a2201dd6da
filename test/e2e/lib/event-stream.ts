/** `xctl events -f -o json` beside a test: what a real agent says, as its readers get it. */
import { join } from 'node:path';
import { isDropped, parseStreamLine, type WireEvent } from '../../../src/api/stream.js';
import { type Agent, WITHOUT_TAP } from '../../lib/agent.js';
import { type Proc, start } from '../../lib/proc.js';
import { ROOT } from '../../lib/root.js';
import type { Scope } from '../../lib/scope.js';
import { until } from '../../lib/until.js';

export interface EventStream {
  readonly proc: Proc;
  /** All that came so far. */
  events(): readonly WireEvent[];
  /** The first event that fits, now or later. */
  find(fits: (event: WireEvent) => boolean, what: string, timeoutMs?: number): Promise<WireEvent>;
}

/** Comes back when the stream runs. `types` as `xctl events --type` takes them; they must include `wait`. */
export async function streamEvents(scope: Scope, agent: Agent, types: string): Promise<EventStream> {
  const proc = await start(
    scope,
    join(ROOT, 'bin', 'xctl'),
    [...['events', '-f', '-o', 'json', '--type', types, '--socket', agent.socket]],
    { wrap: WITHOUT_TAP },
  );
  let read = 0;
  const events: WireEvent[] = [];
  const take = (): readonly WireEvent[] => {
    for (; read < proc.stdout.length; read++) {
      const line = parseStreamLine(proc.stdout[read] ?? '');
      if (line !== undefined && !isDropped(line)) events.push(line);
    }
    return events;
  };
  const stream: EventStream = {
    proc,
    events: take,
    find: (fits, what, timeoutMs = 10_000) =>
      until(() => take().find(fits), { timeoutMs, what: `an event: ${what}`, everyMs: 20 }),
  };
  // The sampler's passes come once a second: the first one proves that the stream is up.
  await stream.find((event) => event.type === 'wait.pass', 'the first pass');
  return stream;
}
