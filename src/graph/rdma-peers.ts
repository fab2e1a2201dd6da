/**
 * Which two queue pairs of this node talk to each other. A queue pair names its peer by address and number; both are
 * given out anew, and two containers may have one address. So a pair counts only if each names the other's number, at
 * least one names the other's address, and nothing known contradicts. Once found it stays: whoever had the number when
 * the connection was made is the peer, also after it is gone and the number belongs to somebody else.
 */
import type { RdmaPortNode, QpKnown, QpLife } from './rdma-node.js';

/** Of one address and number: more of them are two containers with one address, and nobody is picked. */
const MAX_ALIKE = 8;

export class RdmaIndex {
  /** Few, and looked through when a device is in trouble. */
  readonly ports = new Set<RdmaPortNode>();
  /** By own address and number; by the peer's. */
  readonly #own = new Map<string, Set<QpLife>>();
  readonly #peer = new Map<string, Set<QpLife>>();
  readonly #keys = new WeakMap<QpLife, Keys>();
  readonly #pairs = new WeakMap<QpLife, QpLife>();

  /** The other end on this node, dead or alive; undefined: it is elsewhere, or not known. */
  peerOf(life: QpLife): QpLife | undefined {
    return this.#pairs.get(life);
  }

  /** What is known of its ends has changed. */
  update(life: QpLife): void {
    const { local, qpn, remote, remoteQpn } = life.attrs;
    const keys: Keys = {
      own: local === undefined ? undefined : keyOf(local, qpn),
      peer: remote === undefined || remoteQpn === undefined ? undefined : keyOf(remote, remoteQpn),
    };
    const before = this.#keys.get(life);
    if (before?.own !== keys.own || before?.peer !== keys.peer) {
      this.forget(life);
      this.#keys.set(life, keys);
      add(this.#own, keys.own, life);
      add(this.#peer, keys.peer, life);
    }
    const known = this.#pairs.get(life);
    if (known !== undefined) {
      if (arePeers(life.attrs, known.attrs)) return;
      this.unpair(life);
    }
    const found = this.#find(life, keys);
    if (found === undefined) return;
    this.#pairs.set(life, found);
    this.#pairs.set(found, life);
  }

  /** It will connect to somebody else. */
  unpair(life: QpLife): void {
    const other = this.#pairs.get(life);
    this.#pairs.delete(life);
    if (other !== undefined && other.gone === undefined && this.#pairs.get(other) === life)
      this.#pairs.delete(other);
  }

  /** It is found by its numbers no more; its peer still knows it. */
  forget(life: QpLife): void {
    const keys = this.#keys.get(life);
    if (keys === undefined) return;
    this.#keys.delete(life);
    remove(this.#own, keys.own, life);
    remove(this.#peer, keys.peer, life);
  }

  #find(life: QpLife, keys: Keys): QpLife | undefined {
    const found = new Set<QpLife>();
    // Whom it names; and who names it.
    for (const other of this.#named(this.#own, keys.peer))
      if (other !== life && arePeers(life.attrs, other.attrs)) found.add(other);
    for (const other of this.#named(this.#peer, keys.own))
      if (other !== life && arePeers(life.attrs, other.attrs)) found.add(other);
    const [only] = found;
    return found.size === 1 ? only : undefined;
  }

  #named(index: ReadonlyMap<string, ReadonlySet<QpLife>>, key: string | undefined): Iterable<QpLife> {
    const alike = key === undefined ? undefined : index.get(key);
    return alike === undefined || alike.size > MAX_ALIKE ? [] : alike;
  }
}

interface Keys {
  readonly own: string | undefined;
  readonly peer: string | undefined;
}

function keyOf(address: string, qpn: number): string {
  return `${qpn} ${address}`;
}

function arePeers(a: QpKnown, b: QpKnown): boolean {
  if (a.remoteQpn !== b.qpn || b.remoteQpn !== a.qpn) return false;
  const ab = agree(a.remote, b.local);
  const ba = agree(b.remote, a.local);
  return ab !== false && ba !== false && (ab === true || ba === true);
}

function agree(one: string | undefined, other: string | undefined): boolean | undefined {
  return one === undefined || other === undefined ? undefined : one === other;
}

function add(index: Map<string, Set<QpLife>>, key: string | undefined, life: QpLife): void {
  if (key === undefined) return;
  const alike = index.get(key);
  if (alike === undefined) index.set(key, new Set([life]));
  else alike.add(life);
}

function remove(index: Map<string, Set<QpLife>>, key: string | undefined, life: QpLife): void {
  if (key === undefined) return;
  const alike = index.get(key);
  alike?.delete(life);
  if (alike?.size === 0) index.delete(key);
}
