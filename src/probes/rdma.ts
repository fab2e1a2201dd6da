/**
 * Probe `rdma`: ports and their counters, queue pairs with their owners and peers, what they send again, connections,
 * registered memory. docs/rdma.md says what can be known of which device.
 *
 * Ports and counters come from sysfs (rdma-ports.ts). All else is told by programs in InfiniBand's own modules, which
 * come and go: they are loaded when those are there (rdma-objects.ts). A node without RDMA costs three calls a second.
 */
import type { Event } from '../events/event.js';
import { peerId, processId, qpId, rdmaPortId } from '../events/ids.js';
import { XctlHdrLayout, XctlKind } from '../kernel/abi.generated.js';
import type { LoadedObject } from '../kernel/program.js';
import { type Beat, every } from '../util/beat.js';
import type { Check } from '../util/check.js';
import { Passes } from './passes.js';
import type { Probe, ProbeContext } from './probe.js';
import { RdmaMemory } from './rdma-memory.js';
import { RdmaModules, type RdmaObject } from './rdma-modules.js';
import { isQpError } from './rdma-names.js';
import { RdmaObjects } from './rdma-objects.js';
import { RdmaPorts, type RdmaPortsOptions } from './rdma-ports.js';
import type { DeviceChange } from './rdma-devices.js';
import { type KnownQp, RdmaQps } from './rdma-qps.js';
import {
  asyncEventOf,
  completionOf,
  connectionEventOf,
  idOf,
  qpChangeOf,
  type RdmaId,
  retryOf,
} from './rdma-records.js';
import { u64 } from './records.js';

const PASS_MS = 1_000;
/** A queue pair that has retried is looked after for as long: what is over, and what was held back. */
const TROUBLE_MS = 3_000;
/** Of the node, where neither a process nor a peer is known. */
const NODE = 'node';

export interface RdmaOptions {
  /** /sys */
  readonly sysDir?: string;
  readonly ports?: Partial<RdmaPortsOptions>;
}

export class RdmaProbe implements Probe {
  readonly name = 'rdma';
  readonly stats: Passes;
  readonly ports: RdmaPorts;
  readonly #context: ProbeContext;
  readonly #objects: RdmaObjects;
  readonly #qps: RdmaQps;
  /** Queue pairs that retry, or did a moment ago: entity → event time of the last. */
  readonly #troubled = new Map<string, { ts: number; open: boolean }>();
  #memory: RdmaMemory | undefined;
  #beat: Beat | undefined;
  #dropped = 0;

  constructor(context: ProbeContext, options: RdmaOptions = {}) {
    this.#context = context;
    this.stats = new Passes('queue pairs', context.log);
    this.#qps = new RdmaQps(context.sink);
    this.#objects = new RdmaObjects(context, new RdmaModules(options.sysDir), {
      loaded: (name, object) => this.#loaded(name, object),
      left: (name) => this.#left(name),
    });
    this.ports = new RdmaPorts(context, {
      used: () => this.#qps.size > 0,
      changed: (change) => this.#changed(change),
      ...options.ports,
    });
  }

  async start(): Promise<void> {
    const { poller } = this.#context;
    poller.on(XctlKind.RDMA_QP, (view, at) => this.#qp(view, at));
    poller.on(XctlKind.RDMA_RETRY, (view, at) => this.#retry(view, at));
    poller.on(XctlKind.RDMA_COMPLETION, (view, at) => this.#completion(view, at));
    poller.on(XctlKind.RDMA_ASYNC, (view, at) => this.#async(view, at));
    poller.on(XctlKind.RDMA_CM, (view, at) => this.#connection(view, at));
    await this.ports.start();
    await this.#objects.turn();
    this.#beat = every(PASS_MS, () => this.#turn());
  }

  stop(): void {
    this.#beat?.stop();
    this.#beat = undefined;
    this.ports.stop();
    this.#objects.stop();
  }

  /** One look at what the programs keep; ports are looked at by `ports.pass`, which may have to wait for a device. */
  pass(full: boolean): void {
    this.stats.run(() => this.#pass(full));
  }

  checks(): readonly Check[] {
    const [summary, ...rest] = this.#objects.checks();
    const ports = this.ports.checks();
    return [
      ...(summary === undefined ? [] : [summary]),
      ...ports,
      ...rest,
      ...this.#losses(),
      ...this.stats.checks(this.name),
    ];
  }

  lost(): Readonly<Record<string, number>> {
    return {
      pass: this.stats.failures,
      qp: this.#qps.stats.dropped,
      record: this.#dropped,
      ...this.ports.lost(),
    };
  }

  get #now(): number {
    const { clock } = this.#context;
    return clock.toEpochMs(clock.nowNs());
  }

  #turn(): void {
    void this.#objects.turn();
    this.pass(false);
  }

  #pass(full: boolean): void {
    const ts = this.#now;
    this.#memory?.pass(ts);
    for (const [entity, { ts: last, open }] of this.#troubled)
      if (!open && ts - last > TROUBLE_MS) this.#troubled.delete(entity);
    if (this.#troubled.size === 0 && !full) return;
    const retries = this.#objects.get('rdma_rxe')?.iterator('retries');
    if (retries === undefined) return;
    retries.read();
    // It tells through the ring.
    if (full) this.#context.poller.drainAll();
  }

  #losses(): readonly Check[] {
    if (this.#qps.stats.dropped === 0) return [];
    const detail = `${this.#qps.stats.dropped} queue pairs were too many and are not known`;
    return [{ status: 'degraded', name: 'probe rdma/qps', detail }];
  }

  #loaded(name: RdmaObject, object: LoadedObject): void {
    this.ports.soon();
    if (name !== 'rdma') return;
    this.#memory = new RdmaMemory(object, this.#context.sink);
    this.stats.run(() => {
      object.iterator('seen')?.read();
      this.#context.poller.drainAll();
    });
  }

  #left(name: RdmaObject): void {
    this.ports.soon();
    if (name !== 'rdma') return;
    this.#memory = undefined;
    // The modules are gone, and with them all that was made through them.
    this.#context.poller.drainAll();
    this.#qps.clear(this.#now);
    this.#troubled.clear();
  }

  #changed({ gone, renamed }: DeviceChange): void {
    if (gone.length === 0 && renamed.length === 0) return;
    this.#context.poller.drainAll();
    const ts = this.#now;
    for (const device of gone) this.#qps.deviceGone(ts, device);
    for (const { from, to } of renamed) this.#qps.deviceRenamed(ts, from, to);
  }

  #qp(view: DataView, at: number): void {
    const change = qpChangeOf(view, at);
    if (change === undefined) this.#dropped++;
    else this.#qps.apply(this.#ts(view, at), idOf(view, at), change);
  }

  #retry(view: DataView, at: number): void {
    const ts = this.#ts(view, at);
    const qp = this.#qpOf(ts, idOf(view, at));
    if (qp === undefined) return;
    const { sinceNs, ...counts } = retryOf(view, at);
    const entity = qpId(qp.device, qp.qpn);
    this.#troubled.set(entity, { ts, open: sinceNs !== 0 && qp.state !== 'ERR' && qp.state !== 'DESTROYED' });
    this.#sink(qp, {
      ts,
      type: 'rdma.retry',
      entity,
      value: counts.retries,
      probe: 'rdma',
      attrs: {
        ...aboutOf(qp),
        ...counts,
        ...(sinceNs !== 0 && { since: this.#context.clock.toEpochMs(sinceNs) }),
      },
    });
  }

  #completion(view: DataView, at: number): void {
    const ts = this.#ts(view, at);
    const qp = this.#qpOf(ts, idOf(view, at));
    if (qp === undefined) return;
    const attrs = { ...aboutOf(qp), ...completionOf(view, at) };
    const entity = qpId(qp.device, qp.qpn);
    this.#sink(qp, { ts, type: 'rdma.completion', entity, value: 1, attrs, probe: 'rdma' });
  }

  #async(view: DataView, at: number): void {
    const ts = this.#ts(view, at);
    const id = idOf(view, at);
    const event = asyncEventOf(view, at);
    if (id.qpn === 0) {
      this.#deviceEvent(ts, id, event);
      return;
    }
    const qp = this.#qpOf(ts, id);
    if (qp === undefined) return;
    const attrs = { ...aboutOf(qp), event };
    const entity = qpId(qp.device, qp.qpn);
    this.#sink(qp, { ts, type: 'rdma.async', entity, value: 0, attrs, probe: 'rdma' });
    if (isQpError(event)) this.#qps.failed(ts, id);
  }

  /** Of a port, a device, or a completion queue, which has an owner. */
  #deviceEvent(ts: number, { device, port, owner }: RdmaId, event: string): void {
    this.#context.sink({
      ts,
      type: 'rdma.async',
      entity: port === undefined ? `rdma:${device}` : rdmaPortId(device, port),
      ...(owner !== undefined && { pid: owner.pid }),
      value: 0,
      probe: 'rdma',
      attrs: {
        device,
        event,
        ...(port !== undefined && { port }),
        ...(owner !== undefined && { start: owner.start }),
      },
    });
    if (owner === undefined) this.ports.heard(device, event, port, ts);
  }

  #connection(view: DataView, at: number): void {
    const { owner, device, qpn } = idOf(view, at);
    const connection = connectionEventOf(view, at);
    const { remote, status } = connection;
    const peer = remote === undefined ? NODE : peerId(remote);
    this.#context.sink({
      ts: this.#ts(view, at),
      type: 'rdma.cm',
      entity: owner === undefined ? peer : processId(owner.pid),
      ...(owner !== undefined && { pid: owner.pid }),
      value: Math.abs(status),
      probe: 'rdma',
      attrs: {
        ...connection,
        ...(owner !== undefined && { start: owner.start }),
        ...(device !== '' && { device }),
        ...(qpn !== 0 && { qpn }),
      },
    });
  }

  #qpOf(ts: number, id: RdmaId): KnownQp | undefined {
    const qp = this.#qps.find(ts, id);
    if (qp === undefined) this.#dropped++;
    return qp;
  }

  #sink({ owner }: KnownQp, event: Event): void {
    this.#context.sink(owner === undefined ? event : { ...event, pid: owner.pid });
  }

  #ts(view: DataView, at: number): number {
    return this.#context.clock.toEpochMs(u64(view, at + XctlHdrLayout.tsNs));
  }
}

function aboutOf({ device, qpn, generation, owner }: KnownQp) {
  return { device, qpn, generation, ...(owner !== undefined && { start: owner.start }) };
}
