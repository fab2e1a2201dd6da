/**
 * All queue pairs of this node as they are now, put together from what each change said; and the events that this
 * makes. Known by the index of their device, which a new name does not change, and by their number, which is given
 * out again: `generation` tells the one from the next.
 */
import type { EventSink } from '../events/event.js';
import { qpId } from '../events/ids.js';
import type { QpState, QpType, RdmaQpAttrs } from '../events/rdma.js';
import type { QpChange, QpConnection, RdmaId, RdmaOwner } from './rdma-records.js';

/** As many as the kernel side remembers. */
const MAX_QPS = 16_384;
/** Of those that are gone, for what is still said of them. */
const MAX_GONE = 1_024;

export interface KnownQp {
  device: string;
  readonly index: number;
  readonly qpn: number;
  readonly generation: number;
  type: QpType;
  readonly owner: RdmaOwner | undefined;
  state: QpState;
  port: number | undefined;
  connection: QpConnection;
}

export class RdmaQps {
  readonly stats = { dropped: 0 };
  readonly #sink: EventSink;
  readonly #qps = new Map<string, KnownQp>();
  readonly #gone = new Map<string, KnownQp>();
  /** Device by index. */
  readonly #names = new Map<number, string>();
  #generation = 0;

  constructor(sink: EventSink) {
    this.#sink = sink;
  }

  get size(): number {
    return this.#qps.size;
  }

  all(): Iterable<KnownQp> {
    return this.#qps.values();
  }

  apply(ts: number, id: RdmaId, change: QpChange): void {
    this.#heed(ts, id);
    switch (change.change) {
      case 'create':
        this.#create(ts, id, change);
        return;
      case 'destroy':
        this.#destroy(ts, id, change.exiting);
        return;
      case 'seen':
      case 'modify':
        this.#modify(ts, id, change);
        return;
      case 'error':
        this.failed(ts, id);
        return;
    }
  }

  /** It went into ERR without being asked to: told once. */
  failed(ts: number, id: RdmaId): void {
    const qp = this.find(ts, id);
    if (qp === undefined || qp.state === 'ERR' || qp.state === 'DESTROYED') return;
    qp.state = 'ERR';
    this.#tell(ts, qp, 'error');
  }

  /**
   * The queue pair that a record is about; one that nobody knew of is told as seen. Just after its end it is the one
   * that has ended.
   * @returns undefined when there are too many
   */
  find(ts: number, id: RdmaId): KnownQp | undefined {
    this.#heed(ts, id);
    const known = this.#qps.get(keyOf(id)) ?? this.#gone.get(keyOf(id));
    if (known !== undefined) return known;
    const qp = this.#add(id, 'OTHER', 'UNKNOWN');
    if (qp !== undefined) this.#tell(ts, qp, 'seen');
    return qp;
  }

  /** The device is gone, and all that was made on it. */
  deviceGone(ts: number, device: string): void {
    for (const qp of [...this.#qps.values()]) if (qp.device === device) this.#end(ts, qp, false);
    for (const [index, name] of this.#names) if (name === device) this.#names.delete(index);
  }

  /** What it is called now; its queue pairs go by the new name from here on. */
  deviceRenamed(ts: number, from: string, to: string): void {
    for (const [index, name] of [...this.#names]) if (name === from) this.#rename(ts, index, to);
  }

  /** Nothing is known any more. */
  clear(ts: number): void {
    for (const qp of [...this.#qps.values()]) this.#end(ts, qp, false);
    this.#gone.clear();
    this.#names.clear();
  }

  #create(ts: number, id: RdmaId, { type }: QpChange): void {
    const old = this.#qps.get(keyOf(id));
    // Its end was lost.
    if (old !== undefined) this.#end(ts, old, false);
    this.#gone.delete(keyOf(id));
    const qp = this.#add(id, type, 'RESET');
    if (qp !== undefined) this.#tell(ts, qp, 'create');
  }

  #modify(ts: number, id: RdmaId, change: QpChange): void {
    const qp = this.#qps.get(keyOf(id)) ?? this.#add(id, change.type, 'UNKNOWN');
    if (qp === undefined) return;
    qp.type = change.type;
    if (change.errno !== undefined) {
      this.#tell(ts, qp, 'modify', { errno: change.errno });
      return;
    }
    if (change.state !== undefined) qp.state = change.state;
    if (id.port !== undefined) qp.port = id.port;
    // What it was connected to is over.
    const kept = change.state === 'RESET' ? {} : qp.connection;
    qp.connection = { ...kept, ...change.connection };
    this.#tell(ts, qp, change.change);
  }

  #destroy(ts: number, id: RdmaId, exiting: boolean): void {
    const qp = this.#qps.get(keyOf(id));
    // Nobody was told of it.
    if (qp !== undefined) this.#end(ts, qp, exiting);
  }

  #end(ts: number, qp: KnownQp, exiting: boolean): void {
    const key = keyOf(qp);
    this.#qps.delete(key);
    qp.state = 'DESTROYED';
    this.#tell(ts, qp, 'destroy', exiting ? { exiting: true } : {});
    this.#gone.delete(key);
    this.#gone.set(key, qp);
    if (this.#gone.size <= MAX_GONE) return;
    const [oldest] = this.#gone.keys();
    if (oldest !== undefined) this.#gone.delete(oldest);
  }

  #add(id: RdmaId, type: QpType, state: QpState): KnownQp | undefined {
    if (this.#qps.size >= MAX_QPS) {
      this.stats.dropped++;
      return undefined;
    }
    const qp: KnownQp = {
      device: id.device,
      index: id.index,
      qpn: id.qpn,
      generation: ++this.#generation,
      type,
      owner: id.owner,
      state,
      port: id.port,
      connection: {},
    };
    this.#qps.set(keyOf(id), qp);
    return qp;
  }

  /** The name in a record is the device's as of then. */
  #heed(ts: number, { index, device }: RdmaId): void {
    const known = this.#names.get(index);
    if (known === undefined) this.#names.set(index, device);
    else if (known !== device) this.#rename(ts, index, device);
  }

  /** Under its old name each is gone, under the new one it was there before. */
  #rename(ts: number, index: number, to: string): void {
    this.#names.set(index, to);
    for (const qp of this.#qps.values()) {
      if (qp.index !== index || qp.device === to) continue;
      const { state } = qp;
      qp.state = 'DESTROYED';
      this.#tell(ts, qp, 'destroy');
      qp.device = to;
      qp.state = state;
      this.#tell(ts, qp, 'seen');
    }
  }

  #tell(
    ts: number,
    qp: KnownQp,
    change: RdmaQpAttrs['change'],
    more: Pick<RdmaQpAttrs, 'errno' | 'exiting'> = {},
  ): void {
    const { owner, device, qpn, port, type, state, generation } = qp;
    this.#sink({
      ts,
      type: 'rdma.qp',
      entity: qpId(device, qpn),
      ...(owner !== undefined && { pid: owner.pid }),
      value: 0,
      probe: 'rdma',
      attrs: {
        device,
        qpn,
        ...(port !== undefined && { port }),
        type,
        state,
        ...(owner !== undefined && { start: owner.start, comm: owner.comm }),
        ...(owner?.netns !== undefined && { netns: owner.netns }),
        change,
        generation,
        ...qp.connection,
        ...more,
      },
    });
  }
}

function keyOf({ index, qpn }: Pick<RdmaId, 'index' | 'qpn'>): string {
  return `${index}/${qpn}`;
}
