/**
 * Probe `tcp`: connections in trouble, their recovery and end, and whose they are.
 *
 * The kernel side (bpf/tcp.bpf.c) aggregates; every record here is a change of state or one of at
 * most four updates a second a flow, and becomes one event. What no packet tells of (a window that
 * stays closed, a recovery) a pass over the sockets finds: once a second while a flow is in trouble,
 * and every few seconds otherwise.
 */
import { getSystemErrorName } from 'node:util';
import type { Event, FlowAttrs } from '../events/event.js';
import { XctlHdrLayout, XctlKind, XctlTcpLayout } from '../kernel/abi.generated.js';
import type { LoadedObject } from '../kernel/program.js';
import { type Beat, every } from '../util/beat.js';
import type { Check } from '../util/check.js';
import { messageOf } from '../util/errors.js';
import { tcpAttrs } from './flow-attrs.js';
import type { FlowTable } from './flow-table.js';
import { Passes } from './passes.js';
import type { Probe, ProbeContext } from './probe.js';
import { forEachRecord, u64 } from './records.js';
import { tcpChecks } from './tcp-checks.js';

export interface TcpProbeOptions {
  /** Between two passes while a flow is in trouble. */
  readonly troubledPassMs: number;
  /** Between two passes otherwise: how long a closed window may go unseen. */
  readonly quietPassMs: number;
}

const DEFAULTS: TcpProbeOptions = { troubledPassMs: 1_000, quietPassMs: 4_000 };

/** Trouble that nothing was heard of for so long keeps no pass going: its socket is held by nobody. */
const TROUBLE_MEMORY_MS = 10_000;

const KINDS = [
  XctlKind.TCP_CONNECT,
  XctlKind.TCP_CONNECT_FAILED,
  XctlKind.TCP_RETRANSMIT,
  XctlKind.TCP_TIMEOUT,
  XctlKind.TCP_RECOVERED,
  XctlKind.TCP_RESET_RECEIVED,
  XctlKind.TCP_RESET_SENT,
  XctlKind.TCP_ZERO_WINDOW,
  XctlKind.TCP_STATE,
  XctlKind.TCP_CLOSE,
];

/** Whether this kernel lets the object see who sends. */
export function seesSenders({ programs }: LoadedObject): boolean {
  return programs.some(({ slot, attached }) => slot === 'send' && attached);
}

export class TcpProbe implements Probe {
  readonly name = 'tcp';
  readonly #context: ProbeContext;
  readonly #flows: FlowTable;
  readonly #options: TcpProbeOptions;
  #object: LoadedObject | undefined;
  #failure: string | undefined;
  #timer: Beat | undefined;
  /** Records of the pass that is under way, oldest first. */
  readonly #found: { readonly view: DataView; readonly at: number }[] = [];
  #lastTroubleMs = 0;
  #lastPassMs = 0;
  readonly #passes: Passes;

  /** @param flows shared with the other probes that report flows, so that ids agree. */
  constructor(context: ProbeContext, flows: FlowTable, options: TcpProbeOptions = DEFAULTS) {
    this.#context = context;
    this.#passes = new Passes('TCP sockets', context.log);
    this.#flows = flows;
    this.#options = options;
  }

  async start(): Promise<void> {
    for (const kind of KINDS) this.#context.poller.on(kind, (view, at) => this.#fromRing(view, at, kind));
    try {
      this.#object = await this.#load();
      // After everything is attached: who is seen to act wins over who merely holds the descriptor.
      this.#object.iterator('boot')?.read();
    } catch (error) {
      this.#failure = messageOf(error);
      throw error;
    }
    this.#timer = every(this.#options.troubledPassMs, () => this.#tick());
  }

  stop(): void {
    this.#timer?.stop();
    this.#timer = undefined;
    this.#object?.stop();
    this.#object = undefined;
  }

  /**
   * One pass over all sockets now: recoveries, closed windows and held-back updates as events.
   * @returns records found; 0 also when it fails, which is counted.
   */
  pass(): number {
    let found = 0;
    this.#passes.run(() => {
      found = this.#pass();
    });
    return found;
  }

  #pass(): number {
    const iterator = this.#object?.iterator('flush');
    if (iterator === undefined) return 0;
    this.#lastPassMs = Date.now();
    // What the rings hold is partly older and partly younger than what the pass found.
    const found = forEachRecord(iterator.read().bytes, (view, at) => this.#found.push({ view, at }));
    this.#context.poller.drainAll();
    this.#settleBefore(Number.POSITIVE_INFINITY);
    return found;
  }

  checks(): readonly Check[] {
    return [...tcpChecks(this.#object, this.#failure), ...this.#passes.checks('tcp')];
  }

  lost(): Readonly<Record<string, number>> {
    return { pass: this.#passes.failures };
  }

  async #load(): Promise<LoadedObject> {
    const { kernel } = this.#context;
    const object = await kernel.load('tcp');
    if (seesSenders(object)) return object;
    // At once: without that hook it would call a child's bytes those of whoever connected.
    object.stop();
    // Neither hook before the bytes are queued: the one after they are is better than none.
    const late = await kernel.load('tcp_late');
    if (seesSenders(late)) return late;
    late.stop();
    return kernel.load('tcp');
  }

  #tick(): void {
    const now = Date.now();
    const troubled = now - this.#lastTroubleMs < TROUBLE_MEMORY_MS;
    if (!troubled && now - this.#lastPassMs < this.#options.quietPassMs) return;
    this.pass();
  }

  #fromRing(view: DataView, at: number, kind: number): void {
    if (this.#found.length > 0) this.#settleBefore(u64(view, at + XctlHdrLayout.tsNs));
    this.#record(view, at, kind);
  }

  /** Gives out what the pass found before `tsNs`. */
  #settleBefore(tsNs: number): void {
    const found = this.#found;
    let out = 0;
    for (let next = found[0]; next !== undefined; next = found[++out]) {
      const { view, at } = next;
      if (u64(view, at + XctlHdrLayout.tsNs) >= tsNs) break;
      this.#record(view, at, view.getUint16(at + XctlHdrLayout.kind, true));
    }
    found.splice(0, out);
  }

  #record(view: DataView, at: number, kind: number): void {
    const ts = this.#context.clock.toEpochMs(u64(view, at + XctlHdrLayout.tsNs));
    const flow = this.#flows.entry(view, at + XctlTcpLayout.flow, ts);
    const sinceNs = u64(view, at + XctlTcpLayout.sinceNs);
    const since = sinceNs === 0 ? undefined : this.#context.clock.toEpochMs(sinceNs);
    const attrs = tcpAttrs(flow, view, at, since);
    const event = toEvent(kind, ts, flow.id, attrs, view, at);
    if (event === undefined) return;
    const pid = view.getUint32(at + XctlHdrLayout.pid, true);
    if (pid !== 0) event.pid = pid;
    this.#context.sink(event);
    switch (kind) {
      case XctlKind.TCP_CLOSE:
      case XctlKind.TCP_CONNECT_FAILED:
        this.#flows.forget(flow);
        break;
      case XctlKind.TCP_RETRANSMIT:
      case XctlKind.TCP_TIMEOUT:
      case XctlKind.TCP_ZERO_WINDOW:
      case XctlKind.TCP_STATE:
        this.#lastTroubleMs = ts;
        break;
    }
  }
}

/** Not yet given out: its pid is still to be set. */
type Draft = Event & { pid?: number };

function toEvent(
  kind: number,
  ts: number,
  entity: string,
  attrs: FlowAttrs,
  view: DataView,
  at: number,
): Draft | undefined {
  const probe = 'tcp';
  switch (kind) {
    case XctlKind.TCP_CONNECT:
      return { ts, type: 'transport.connect', entity, value: latencyMs(view, at), attrs, probe };
    case XctlKind.TCP_CONNECT_FAILED: {
      const errno = errnoName(view.getUint32(at + XctlTcpLayout.err, true));
      const value = latencyMs(view, at);
      return { ts, type: 'transport.connect_failed', entity, value, attrs: { ...attrs, errno }, probe };
    }
    case XctlKind.TCP_RETRANSMIT:
      return { ts, type: 'transport.retransmit', entity, value: attrs.totalRetrans, attrs, probe };
    case XctlKind.TCP_TIMEOUT:
      return { ts, type: 'transport.timeout', entity, value: attrs.backoff, attrs, probe };
    case XctlKind.TCP_RECOVERED: {
      const value = attrs.since === undefined ? 0 : Math.max(0, ts - attrs.since);
      return { ts, type: 'transport.recovered', entity, value, attrs, probe };
    }
    case XctlKind.TCP_RESET_RECEIVED:
      return reset('received', ts, entity, attrs);
    case XctlKind.TCP_RESET_SENT:
      return reset('sent', ts, entity, attrs);
    case XctlKind.TCP_ZERO_WINDOW:
      return { ts, type: 'transport.zero_window', entity, value: attrs.writeQueueBytes, attrs, probe };
    case XctlKind.TCP_STATE:
      return { ts, type: 'transport.state', entity, value: attrs.unackedBytes, attrs, probe };
    case XctlKind.TCP_CLOSE:
      return { ts, type: 'transport.close', entity, value: 0, attrs, probe };
    default:
      return undefined;
  }
}

function reset(direction: 'sent' | 'received', ts: number, entity: string, attrs: FlowAttrs): Event {
  return { ts, type: 'transport.reset', entity, value: 0, attrs: { ...attrs, direction }, probe: 'tcp' };
}

function latencyMs(view: DataView, at: number): number {
  return u64(view, at + XctlTcpLayout.latencyNs) / 1e6;
}

/** 111 → `ECONNREFUSED`; `UNKNOWN` where the kernel gave none. */
function errnoName(errno: number): string {
  return errno === 0 ? 'UNKNOWN' : getSystemErrorName(-errno);
}
