/** Probe `gpu` over the double, without a kernel: what it says is checked, kept and can be waited for. */
import { decodeEvent, encodeEvent } from '../../src/events/codec.js';
import type { Event, EventOf, EventType } from '../../src/events/event.js';
import { BootClock } from '../../src/kernel/clock.js';
import { type GpuOptions, GpuProbe } from '../../src/probes/gpu.js';
import type { Check } from '../../src/util/check.js';
import { createLog } from '../../src/util/log.js';
import type { Scope } from '../lib/scope.js';
import { until } from '../lib/until.js';
import { nvmlDouble } from './double/library.js';
import { type DoubleState, Scenario } from './double/scenario.js';

export interface GpuRig {
  readonly probe: GpuProbe;
  readonly scenario: Scenario;
  /** Of the events. */
  readonly clock: BootClock;
  readonly events: Event[];
  /** Lines of the log, of any level above debug. */
  readonly log: string[];
  all<T extends EventType>(type: T, pass?: (event: EventOf<T>) => boolean): EventOf<T>[];
  /** The first event of a type that passes, from now on. */
  next<T extends EventType>(type: T, pass?: (event: EventOf<T>) => boolean): Promise<EventOf<T>>;
  /** The same, now or later. */
  event<T extends EventType>(type: T, pass?: (event: EventOf<T>) => boolean): Promise<EventOf<T>>;
  check(name?: string): Check | undefined;
}

export interface RigOptions extends GpuOptions {
  /** Symbols that the library lacks. */
  readonly without?: readonly string[];
  readonly start?: boolean;
}

/** Ten times as fast as in life. */
const FAST: GpuOptions = { deadlineMs: 400, pollMs: 50, restMs: 100, retryMs: 50, lostRetryMs: 200 };

export async function gpuRig(
  scope: Scope,
  state: DoubleState,
  { without, start = true, ...options }: RigOptions = {},
): Promise<GpuRig> {
  const scenario = new Scenario(scope);
  scenario.set(state);
  const events: Event[] = [];
  const log: string[] = [];
  const nvmlPath = options.nvmlPath ?? (await nvmlDouble(without));
  const none = (): never => {
    throw new Error('probe gpu needs no kernel');
  };
  const clock = BootClock.now();
  const probe = new GpuProbe(
    {
      kernel: { load: none },
      poller: { on: none, drainAll: none },
      clock,
      sink: (event) => {
        // What it says must survive a recording.
        const decoded = decodeEvent(encodeEvent(event));
        if (!decoded.ok) throw new Error(`${decoded.reason}: ${encodeEvent(event)}`);
        events.push(event);
      },
      log: createLog('info', (line) => void log.push(line)),
      signal: new AbortController().signal,
    },
    { ...FAST, ...options, nvmlPath },
  );
  scope.teardown(() => probe.stop());
  if (start) await probe.start();
  const all = <T extends EventType>(type: T, pass: (event: EventOf<T>) => boolean = () => true) =>
    events.filter((e): e is Event & EventOf<T> => e.type === type).filter(pass);
  const wait = <T extends EventType>(
    type: T,
    pass: ((event: EventOf<T>) => boolean) | undefined,
    from: number,
  ) =>
    until(() => all(type, pass).find((e) => events.indexOf(e as Event) >= from), {
      timeoutMs: 10_000,
      what: type,
      everyMs: 5,
    });
  return {
    probe,
    scenario,
    clock,
    events,
    log,
    all,
    next: (type, pass) => wait(type, pass, events.length),
    event: (type, pass) => wait(type, pass, 0),
    check: (name = 'probe gpu') => probe.checks().find((check) => check.name === name),
  };
}
