/**
 * What NVML's event set told, as events: of the same thing five at once, then one in twelve seconds with the count of
 * the others, as the kernel log is told of (kmsg-limit.ts). A GPU that raises ten thousand XIDs a second is heard each
 * time, and counted; nobody is told of it ten thousand times.
 */
import type { Event, EventOf } from '../events/event.js';
import type { GpuEventAttrs } from '../events/gpu.js';
import { gpuId } from '../events/ids.js';
import { KmsgLimit } from './kmsg-limit.js';

export class GpuEvents {
  /** Of GPUs that are known. */
  heard = 0;
  readonly #limit: KmsgLimit<EventOf<'gpu.event'>>;

  constructor(tell: (event: Event) => void) {
    this.#limit = new KmsgLimit((event, suppressed) =>
      tell(suppressed === 0 ? event : { ...event, attrs: { ...event.attrs, suppressed } }),
    );
  }

  /** @param ts event time, ms */
  offer(index: number, ts: number, attrs: GpuEventAttrs): void {
    this.heard++;
    const { kind, xid, gi = '', ci = '' } = attrs;
    const entity = gpuId(index);
    const key = [entity, kind, xid ?? '', gi, ci].join('/');
    this.#limit.offer(key, ts, { ts, type: 'gpu.event', entity, value: xid ?? 1, probe: 'gpu', attrs });
  }

  /** Tells what was held back and may be told by now. */
  settle(ts: number): void {
    this.#limit.settle(ts);
  }
}
