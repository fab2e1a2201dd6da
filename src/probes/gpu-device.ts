/**
 * One GPU over time: from looks at it to the events that are worth telling, and the state it is in. It is known by its
 * number; the same number can be another GPU after the driver was exchanged.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Event, EventCatalogue, EventType } from '../events/event.js';
import type {
  GpuDeviceAttrs,
  GpuHealthAttrs,
  GpuProcess,
  GpuState,
  GpuStateAttrs,
  GpuUseAttrs,
} from '../events/gpu.js';
import { gpuId } from '../events/ids.js';
import type { GpuLook, GpuReader } from './gpu-reader.js';
import type { NvmlProcess } from './gpu-process-list.js';

const MAX_PROCESSES = 256;
/** What does not change is told again so often, for whoever came late. */
const AGAIN_MS = 10_000;

export type Tell = (event: Event) => void;
/** Name and start of a process, from /proc. */
export type NameProcess = (pid: number) => Pick<GpuProcess, 'startTicks' | 'comm'>;

export interface Trouble {
  readonly reason?: string;
  readonly call?: string;
  readonly scope?: GpuStateAttrs['scope'];
}

export class GpuDevice {
  readonly index: number;
  /** Undefined: it has no handle now. */
  reader: GpuReader | undefined;
  attrs: GpuDeviceAttrs = { instances: [] };
  /** performance.now() of the last look; undefined before the first. */
  lookedAt: number | undefined;
  identifiedAt = Number.NEGATIVE_INFINITY;
  /** Something has happened that its counts may tell: read at the next look, whatever that costs. */
  recount = true;
  /** Somebody uses it, as of the last look. */
  busy = false;
  readonly stats = { looks: 0, spentMs: 0, calls: 0 };
  readonly #tell: Tell;
  readonly #now: () => number;
  readonly #name: NameProcess;
  #state: GpuState = 'ok';
  #stateSince: number;
  #health: GpuHealthAttrs | undefined;
  #processes: readonly GpuProcess[] | undefined;
  #processesTs = 0;

  /** @param now event time, ms */
  constructor(index: number, tell: Tell, now: () => number, name: NameProcess) {
    this.index = index;
    this.#tell = tell;
    this.#now = now;
    this.#name = name;
    this.#stateSince = now();
  }

  get state(): GpuState {
    return this.#state;
  }

  get id(): string {
    return gpuId(this.index);
  }

  /** What it is; told when that has changed. */
  identified(attrs: GpuDeviceAttrs, totalBytes: number, again: boolean): void {
    const same = isDeepStrictEqual(attrs, this.attrs);
    this.attrs = attrs;
    if (!same || again) this.#emit('gpu.device', totalBytes, attrs);
  }

  looked(look: GpuLook, full: boolean): void {
    const at = performance.now();
    const windowMs = this.lookedAt === undefined ? 0 : at - this.lookedAt;
    this.lookedAt = at;
    this.stats.looks++;
    this.busy = (look.processes?.length ?? 0) > 0 || (look.gpuPercent ?? 0) > 0;
    this.enter('ok');
    const { counts, processes, ...use } = look;
    const powerLimitW = this.attrs.powerLimitW;
    const attrs: GpuUseAttrs = {
      ...use,
      ...(powerLimitW !== undefined && { powerLimitW }),
      ...(processes !== undefined && { processes: processes.length }),
      windowMs,
    };
    this.#emit('gpu.use', use.gpuPercent ?? 0, attrs);
    if (full || (counts !== this.#health && !isDeepStrictEqual(counts, this.#health))) {
      this.#health = counts;
      this.#emit('gpu.health', counts.links.filter((link) => !link.up).length, counts);
    }
    if (processes !== undefined) this.#tellProcesses(processes, full);
  }

  /** Into another state, if it is another one. */
  enter(state: GpuState, { reason, call, scope = 'gpu' }: Trouble = {}, sinceMs = 0): void {
    const was = this.#state;
    if (was === state) return;
    const ts = this.#now();
    const lastedMs = ts - this.#stateSince;
    this.#state = state;
    this.#stateSince = ts;
    const value = state === 'hung' ? sinceMs : was === 'ok' ? 0 : lastedMs;
    this.#emit('gpu.state', Math.max(0, value), {
      state,
      was,
      ...(reason !== undefined && { reason }),
      ...(call !== undefined && { call }),
      scope,
    });
    if (state === 'gone') this.#emit('gpu.device', 0, { ...this.attrs, gone: true });
    if (state === 'ok' || state === 'reloaded') return;
    // What was known of it is not known any more.
    this.busy = false;
    this.#health = undefined;
    this.#processes = undefined;
  }

  #tellProcesses(list: readonly NvmlProcess[], full: boolean): void {
    const largest = [...list].sort((a, b) => (b.memoryBytes ?? 0) - (a.memoryBytes ?? 0));
    const processes = largest.slice(0, MAX_PROCESSES).map((one) => ({ ...one, ...this.#name(one.pid) }));
    const ts = this.#now();
    const old = ts - this.#processesTs >= AGAIN_MS && processes.length > 0;
    if (!full && !old && isDeepStrictEqual(processes, this.#processes ?? [])) return;
    this.#processes = processes;
    this.#processesTs = ts;
    const bytes = list.reduce((sum, { memoryBytes = 0 }) => sum + memoryBytes, 0);
    this.#emit('gpu.processes', bytes, { processes });
  }

  #emit<T extends EventType>(type: T, value: number, attrs: EventCatalogue[T]): void {
    // Each type with its own attributes: TypeScript does not follow that through T.
    this.#tell({ ts: this.#now(), type, entity: this.id, value, probe: 'gpu', attrs } as unknown as Event);
  }
}
