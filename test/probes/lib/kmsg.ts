/** Probe `kmsg` over a log that a test writes: records as /dev/kmsg gives them, one read after the other. */
import type { Event } from '../../../src/events/event.js';
import { BootClock, monotonicRawNs } from '../../../src/kernel/clock.js';
import { KmsgProbe, type KmsgOptions } from '../../../src/probes/kmsg.js';
import type { KmsgRead, KmsgReader } from '../../../src/probes/kmsg-reader.js';
import type { ProbeContext } from '../../../src/probes/probe.js';
import { createLog } from '../../../src/util/log.js';
import type { Scope } from '../../lib/scope.js';

/** What a /dev/kmsg gives out, one read after the other. */
export class Script implements KmsgReader {
  readonly #reads: (string | Exclude<KmsgRead, number> | Error)[] = [];
  #seq = 0;
  closed = false;

  push(...reads: (string | Exclude<KmsgRead, number> | Error)[]): void {
    this.#reads.push(...reads);
  }

  /** A record of the kernel, made now. */
  line(text: string, { facility = 0, skip = 0, ageMs = 0, more = '' } = {}): void {
    this.#seq += skip + 1;
    const timeUs = Math.round(monotonicRawNs() / 1e3 - ageMs * 1e3);
    this.push(`${facility * 8 + 3},${this.#seq},${timeUs},-;${text}\n${more}`);
  }

  read(into: Buffer): KmsgRead {
    const next = this.#reads.shift() ?? 'empty';
    if (next instanceof Error) throw next;
    if (next === 'empty' || next === 'overwritten' || next === 'too-long') return next;
    return into.write(next, 'latin1');
  }

  close(): void {
    this.closed = true;
  }
}

export interface Running {
  readonly probe: KmsgProbe;
  readonly events: Event[];
}

export async function running(scope: Scope, options: KmsgOptions = {}): Promise<Running> {
  const events: Event[] = [];
  const abort = new AbortController();
  const context: ProbeContext = {
    kernel: { load: () => Promise.reject(new Error('needs no program')) },
    poller: { on: () => undefined, drainAll: () => 0 },
    clock: BootClock.now(),
    sink: (event) => void events.push(event),
    log: createLog('error', () => undefined),
    signal: abort.signal,
  };
  const probe = new KmsgProbe(context, options);
  scope.teardown(() => probe.stop());
  await probe.start();
  return { probe, events };
}

export const scripted = (scope: Scope, script: Script): Promise<Running> =>
  running(scope, { open: () => script });
