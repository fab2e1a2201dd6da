/**
 * Flows by socket cookie: one lookup gives a record its node id and the parts that never change,
 * so that a record of a known flow costs no string.
 *
 * The id is plain (`flow:10.0.0.1:4000-10.0.0.2:29500`) because people type it. Two containers may
 * use the same addresses; the flow that comes second gets `@NETNS` for as long as it lives.
 */
import type { SocketOwner } from '../events/event.js';
import { flowId } from '../events/ids.js';
import { XctlFlowLayout, XctlOwnerLayout } from '../kernel/abi.generated.js';
import { formatAddress } from './address.js';

export interface FlowEntry {
  /** Node id. */
  readonly id: string;
  readonly family: 4 | 6;
  readonly local: string;
  readonly lport: number;
  readonly remote: string;
  readonly rport: number;
  /** Inode of the network namespace. */
  readonly netns: number;
  /** What flow-attrs.ts decoded last, to be used again while the bytes are the same. */
  readonly memo: FlowMemo;
}

export interface FlowMemo {
  /** `struct xctl_owner` as words, and what it says. */
  readonly ownerWords: Uint32Array;
  owner: SocketOwner;
  /** Seen by the tcp probe on this socket. */
  retransmits: number;
  timeouts: number;
}

/** The tuple as the words it arrived in, to notice a socket that connects again elsewhere. */
interface Known extends FlowEntry {
  cookie: number;
  readonly ports: number;
  readonly words: Uint32Array;
  seenMs: number;
}

export interface FlowTableLimits {
  /** Flows kept; beyond it those that were not heard of for the shortest of times are let go first. */
  readonly maxFlows: number;
  /** Event time without a record after which a flow is let go. */
  readonly idleMs: number;
}

const DEFAULT_LIMITS: FlowTableLimits = { maxFlows: 65_536, idleMs: 120_000 };

/** Nobody is known. */
export const NO_OWNER: SocketOwner = {};

const AF_INET = 2;
const { cookie: COOKIE, netns: NETNS, family: FAMILY, lport: LPORT, rport: RPORT } = XctlFlowLayout;
const { laddr: LADDR, raddr: RADDR } = XctlFlowLayout;

export class FlowTable {
  readonly #limits: FlowTableLimits;
  readonly #byCookie = new Map<number, Known>();
  readonly #byId = new Map<string, Known>();
  #sweptMs = 0;

  constructor(limits: FlowTableLimits = DEFAULT_LIMITS) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#byId.size;
  }

  /**
   * The flow of the `struct xctl_flow` at byte `at`.
   * @param tsMs event time of its record; flows age by it.
   */
  entry(view: DataView, at: number, tsMs: number): FlowEntry {
    const cookie = view.getUint32(at + COOKIE, true) + view.getUint32(at + COOKIE + 4, true) * 0x1_0000_0000;
    const known = cookie === 0 ? undefined : this.#byCookie.get(cookie);
    if (known !== undefined) {
      if (sameTuple(known, view, at)) {
        known.seenMs = tsMs;
        return known;
      }
      this.#remove(known);
    }
    return this.#add(view, at, cookie, tsMs);
  }

  /** The socket is closed: its id is free for the next one. */
  forget(entry: FlowEntry): void {
    const known = this.#byId.get(entry.id);
    if (known === entry) this.#remove(known);
  }

  #add(view: DataView, at: number, cookie: number, tsMs: number): Known {
    if (tsMs - this.#sweptMs > this.#limits.idleMs || this.#byId.size >= this.#limits.maxFlows) {
      this.#sweep(tsMs);
    }
    const v4 = view.getUint16(at + FAMILY, true) === AF_INET;
    const local = formatAddress(view, at + LADDR, v4);
    const remote = formatAddress(view, at + RADDR, v4);
    const lport = view.getUint16(at + LPORT, true);
    const rport = view.getUint16(at + RPORT, true);
    const netns = view.getUint32(at + NETNS, true);
    const plain = flowId(local, lport, remote, rport);
    const other = this.#byId.get(plain);
    const id = other === undefined || other.netns === netns ? plain : `${plain}@${netns}`;
    const same = this.#byId.get(id);
    if (same !== undefined) {
      // Seen before without its cookie, or now without it: it is the same socket.
      if (same.cookie === 0 || cookie === 0 || same.cookie === cookie) {
        if (same.cookie === 0 && cookie !== 0) {
          same.cookie = cookie;
          this.#byCookie.set(cookie, same);
        }
        same.seenMs = tsMs;
        return same;
      }
      this.#remove(same);
    }
    const known: Known = {
      id,
      family: v4 ? 4 : 6,
      local,
      lport,
      remote,
      rport,
      netns,
      memo: {
        ownerWords: new Uint32Array(XctlOwnerLayout.sizeBytes / 4),
        owner: NO_OWNER,
        retransmits: 0,
        timeouts: 0,
      },
      cookie,
      ports: portsOf(view, at),
      words: wordsOf(view, at),
      seenMs: tsMs,
    };
    this.#byId.set(id, known);
    if (cookie !== 0) this.#byCookie.set(cookie, known);
    return known;
  }

  #remove(known: Known): void {
    if (this.#byId.get(known.id) === known) this.#byId.delete(known.id);
    if (this.#byCookie.get(known.cookie) === known) this.#byCookie.delete(known.cookie);
  }

  #sweep(tsMs: number): void {
    this.#sweptMs = tsMs;
    for (const known of this.#byId.values()) {
      if (tsMs - known.seenMs > this.#limits.idleMs) this.#remove(known);
    }
    // Still full: the oldest quarter goes, so that the next one is not due at the next record.
    let excess = this.#byId.size - Math.floor(this.#limits.maxFlows * 0.75);
    if (this.#byId.size < this.#limits.maxFlows) return;
    for (const known of this.#byId.values()) {
      if (excess-- <= 0) break;
      this.#remove(known);
    }
  }
}

function portsOf(view: DataView, at: number): number {
  return view.getUint16(at + LPORT, true) * 0x1_0000 + view.getUint16(at + RPORT, true);
}

function wordsOf(view: DataView, at: number): Uint32Array {
  const words = new Uint32Array(8);
  for (let i = 0; i < 4; i++) {
    words[i] = view.getUint32(at + LADDR + i * 4, true);
    words[4 + i] = view.getUint32(at + RADDR + i * 4, true);
  }
  return words;
}

function sameTuple(known: Known, view: DataView, at: number): boolean {
  if (known.ports !== portsOf(view, at)) return false;
  const words = known.words;
  const last = known.family === 4 ? 1 : 4;
  for (let i = 0; i < last; i++) {
    if (words[i] !== view.getUint32(at + LADDR + i * 4, true)) return false;
    if (words[4 + i] !== view.getUint32(at + RADDR + i * 4, true)) return false;
  }
  return (known.family === 4) === (view.getUint16(at + FAMILY, true) === AF_INET);
}
