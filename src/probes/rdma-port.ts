/**
 * One port of an RDMA device: its state, since when, how often its link went down, and its counters. A look asks for the
 * state; all else is read again when that has changed, when somebody asks, and once a minute.
 */
import type { Event } from '../events/event.js';
import { rdmaPortId } from '../events/ids.js';
import type { PortState, RdmaPortAttrs } from '../events/rdma.js';
import { type Growth, PortCounters } from './rdma-counters.js';
import { Flaps } from './rdma-flaps.js';
import {
  netdevOf,
  type Path,
  type Placement,
  parseCount,
  parseLinkLayer,
  parsePhysState,
  parseRateGbps,
  parseState,
  type SysFile,
  type Sysfs,
} from './rdma-sysfs.js';

const DESCRIBE_MS = 60_000;
const SLOW_MS = 10_000;
/** Counters without a known meaning are only for whoever exports them. */
const EXPORTED_MS = 60_000;

export interface PortParts {
  readonly sysfs: Sysfs;
  /** /sys/class/infiniband/NAME */
  readonly dir: Path;
  readonly port: number;
  readonly placement: Placement;
  /** Event time, ms. */
  readonly now: () => number;
  readonly tell: (event: Event) => void;
}

type Description = Pick<RdmaPortAttrs, 'physState' | 'linkLayer' | 'rateGbps' | 'netdev'>;

export class RdmaPort {
  readonly #parts: PortParts;
  readonly counters: PortCounters;
  readonly flaps = new Flaps();
  readonly #stateFile: SysFile;
  #device: string;
  #state: PortState | undefined;
  #since: number | undefined;
  /** The driver told of a change since the last look, at this event time. */
  #heardAt: number | undefined;
  /** Its link went down since the last look, by another witness than the state. */
  #flapped = false;
  #description: Description = {};
  #describedAt = Number.NEGATIVE_INFINITY;
  #carrier: { readonly name: string; readonly file: SysFile; last: number | undefined } | undefined;
  #slowAt = Number.NEGATIVE_INFINITY;
  #exportedAt = Number.NEGATIVE_INFINITY;
  #told = '';
  #closed = false;

  constructor(parts: PortParts, device: string) {
    this.#parts = parts;
    this.#device = device;
    const dir = (): string => `${parts.dir()}/ports/${parts.port}`;
    this.counters = new PortCounters(parts.sysfs, dir);
    this.#stateFile = parts.sysfs.file(() => `${dir()}/state`);
  }

  get port(): number {
    return this.#parts.port;
  }

  get device(): string {
    return this.#device;
  }

  get state(): PortState | undefined {
    return this.#state;
  }

  get rateGbps(): number | undefined {
    return this.#description.rateGbps;
  }

  async look(asked: boolean): Promise<void> {
    const now = performance.now();
    const state = parseState(await this.#stateFile.read()) ?? this.#state;
    const changed = state !== this.#state;
    const describe = changed || asked || now - this.#describedAt >= DESCRIBE_MS;
    if (describe) await this.#describe(now);
    this.#lookAtCarrier();
    if (this.#closed || state === undefined) return;
    this.#become(state);
    const slow = asked || now - this.#slowAt >= SLOW_MS;
    if (slow) this.#slowAt = now;
    const others = slow && now - this.#exportedAt < EXPORTED_MS;
    const growths = await this.counters.look({ asked, slow, others });
    if (this.#closed) return;
    for (const growth of growths) this.#count(growth);
    this.#tellPort(describe);
    for (const growth of growths) this.#tellGrowth(growth);
  }

  /** An event of the driver about this port. A look follows. */
  heard(event: string, ts: number): void {
    this.#heardAt = ts;
    if (event === 'PORT_ERR' && this.flaps.add('events', 1, ts)) this.#flapped = true;
  }

  /** Somebody reads the totals: those of unknown meaning are wanted, too. */
  exported(): void {
    this.#exportedAt = performance.now();
  }

  /** Its device has another name now: what is known of it stays. `left` was told before. */
  renamed(device: string): void {
    this.#device = device;
    this.#told = '';
    if (this.#state !== undefined) this.#tellPort(false);
  }

  /** There is no port of this name any more: its device was taken away or renamed. */
  left(): void {
    if (this.#state !== undefined) this.#emit({ ...this.#attrs(), state: 'GONE' });
  }

  close(): void {
    this.#closed = true;
    this.#stateFile.close();
    this.#carrier?.file.close();
    this.counters.close();
  }

  #become(state: PortState): void {
    const at = this.#heardAt ?? this.#parts.now();
    const flapped = this.#flapped;
    this.#heardAt = undefined;
    this.#flapped = false;
    if (state === this.#state) {
      // Down and up again between two looks: the same state, but not since as long.
      if (flapped && state === 'ACTIVE') this.#since = at;
      return;
    }
    if (this.#state === 'ACTIVE' && state !== 'ACTIVE_DEFER') this.flaps.add('looks', 1, at);
    if (this.#state !== undefined) this.#since = at;
    this.#state = state;
  }

  #count({ grew }: Growth): void {
    const now = this.#parts.now();
    const fresh = this.flaps.add('counter', grew.linkDowned ?? 0, now);
    if (fresh && this.#state === 'ACTIVE') this.#since = now;
  }

  /** How often the interface below lost its carrier: in the kernel's memory, and counted by it. */
  #lookAtCarrier(): void {
    const carrier = this.#carrier;
    if (carrier === undefined) return;
    const count = parseCount(carrier.file.readNow());
    if (count === undefined) return;
    const times = carrier.last === undefined ? 0 : count - carrier.last;
    carrier.last = count;
    if (this.flaps.add('carrier', times, this.#heardAt ?? this.#parts.now())) this.#flapped = true;
  }

  async #describe(now: number): Promise<void> {
    const { sysfs, port } = this.#parts;
    const dir = this.#parts.dir();
    const of = (file: string): Promise<string | undefined> => sysfs.once(`${dir}/ports/${port}/${file}`);
    const physState = parsePhysState(await of('phys_state'));
    const rateGbps = parseRateGbps(await of('rate'));
    const linkLayer = parseLinkLayer(await of('link_layer'));
    const netdev = linkLayer === 'Ethernet' ? await netdevOf(sysfs, dir, port) : undefined;
    this.#describedAt = now;
    this.#description = {
      ...(physState !== undefined && { physState }),
      ...(linkLayer !== undefined && { linkLayer }),
      ...(rateGbps !== undefined && { rateGbps }),
      ...(netdev !== undefined && { netdev: netdev.name }),
    };
    const name = netdev?.here === true ? netdev.name : undefined;
    if (name === this.#carrier?.name || this.#closed) return;
    this.#carrier?.file.close();
    const file = sysfs.file(() => `${sysfs.dir}/class/net/${name}/carrier_down_count`);
    this.#carrier = name === undefined ? undefined : { name, file, last: undefined };
  }

  #attrs(): RdmaPortAttrs {
    return {
      device: this.#device,
      port: this.#parts.port,
      state: this.#state ?? 'NOP',
      ...this.#description,
      ...this.#parts.placement,
      ...this.flaps.recent(this.#parts.now()),
      ...(this.#since !== undefined && { since: Math.round(this.#since) }),
    };
  }

  /** Again when it was read anew, so that a graph that forgets what is old does not forget it. */
  #tellPort(again: boolean): void {
    const attrs = this.#attrs();
    const text = JSON.stringify(attrs);
    if (text === this.#told && !again) return;
    this.#told = text;
    this.#emit(attrs);
  }

  #emit(attrs: RdmaPortAttrs): void {
    const entity = rdmaPortId(this.#device, this.#parts.port);
    const value = attrs.rateGbps ?? 0;
    this.#parts.tell({ ts: this.#parts.now(), type: 'rdma.port', entity, value, attrs, probe: 'rdma' });
  }

  #tellGrowth({ windowMs, grew, trouble, reset }: Growth): void {
    const entity = rdmaPortId(this.#device, this.#parts.port);
    const attrs = { device: this.#device, port: this.#parts.port, windowMs, grew };
    this.#parts.tell({
      ts: this.#parts.now(),
      type: 'rdma.counters',
      entity,
      value: trouble,
      attrs: { ...attrs, ...(reset && { reset }) },
      probe: 'rdma',
    });
  }
}
