/** Probes on the real kernel, without the agent around them: what they say is kept and can be waited for. */
import { join } from 'node:path';
import type { Event, EventOf, EventType } from '../../../src/events/event.js';
import { BootClock } from '../../../src/kernel/clock.js';
import { Kernel } from '../../../src/kernel/kernel.js';
import { Poller } from '../../../src/kernel/poller.js';
import type { Probe, ProbeContext } from '../../../src/probes/probe.js';
import { createLog } from '../../../src/util/log.js';
import { ROOT } from '../../lib/root.js';
import type { Scope } from '../../lib/scope.js';
import { until } from '../../lib/until.js';

export interface Rig<P extends Probe> {
  readonly probe: P;
  readonly kernel: Kernel;
  readonly poller: Poller;
  readonly events: Event[];
  /** All events of a type so far that pass. */
  all<T extends EventType>(type: T, pass?: (event: EventOf<T>) => boolean): EventOf<T>[];
  /** The first event of a type that passes, now or within `timeoutMs` (10 s). */
  event<T extends EventType>(
    type: T,
    pass?: (event: EventOf<T>) => boolean,
    timeoutMs?: number,
  ): Promise<EventOf<T>>;
}

/** Starts one probe; it is stopped when the scope ends. */
export async function startProbe<P extends Probe>(
  scope: Scope,
  make: (context: ProbeContext) => P,
  eventsBytes?: number,
  uprobeMulti = true,
): Promise<Rig<P>> {
  const abort = new AbortController();
  const log = createLog(process.env.XCTL_TEST_LOG === undefined ? 'error' : 'debug');
  const kernel = await Kernel.open({
    log,
    bpfDir: join(ROOT, 'dist/bpf'),
    uprobeMulti,
    ...(eventsBytes !== undefined && { eventsBytes }),
  });
  const poller = new Poller({ source: kernel, log, onBatch: () => probe.settle?.() });
  const events: Event[] = [];
  const context: ProbeContext = {
    kernel,
    poller,
    clock: BootClock.now(),
    sink: (event) => void events.push(event),
    log,
    signal: abort.signal,
  };
  const probe = make(context);
  scope.teardown(async () => {
    abort.abort();
    await probe.stop();
    poller.stop();
    kernel.stop();
  });
  await probe.start();
  poller.start();
  const all = <T extends EventType>(type: T, pass: (event: EventOf<T>) => boolean = () => true) =>
    events.filter((e): e is Event & EventOf<T> => e.type === type).filter(pass);
  return {
    probe,
    kernel,
    poller,
    events,
    all,
    event: (type, pass, timeoutMs = 10_000) =>
      until(() => all(type, pass)[0], { timeoutMs, what: `${type} from ${probe.name}`, everyMs: 10 }),
  };
}
