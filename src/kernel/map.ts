/** A map of a loaded object, over libbpf's calls; its buffers are made once and used for every call. */
import { bpfError, type Libbpf, type MapInfo } from '../ffi/libbpf.js';
import { Pinned } from '../ffi/memory.js';
import { errnoName } from '../ffi/native.js';
import type { BpfMap } from './program.js';

export class KernelMap implements BpfMap {
  readonly name: string;
  readonly fd: number;
  readonly keySizeBytes: number;
  readonly valueSizeBytes: number;
  readonly lookupSizeBytes: number;
  readonly #bpf: Libbpf;
  readonly #maxEntries: number;
  readonly #key: Pinned;
  readonly #nextKey: Pinned;
  readonly #value: Pinned;

  constructor(bpf: Libbpf, name: string, fd: number, info: MapInfo) {
    this.#bpf = bpf;
    this.name = name;
    this.fd = fd;
    this.keySizeBytes = info.keySizeBytes;
    this.valueSizeBytes = info.valueSizeBytes;
    // The kernel rounds each CPU's value up to 8 bytes.
    this.lookupSizeBytes = info.perCpu
      ? Math.ceil(info.valueSizeBytes / 8) * 8 * bpf.possibleCpus
      : info.valueSizeBytes;
    this.#maxEntries = info.maxEntries;
    this.#key = new Pinned(info.keySizeBytes);
    this.#nextKey = new Pinned(info.keySizeBytes);
    this.#value = new Pinned(this.lookupSizeBytes);
  }

  lookup(key: Uint8Array, out: Uint8Array): boolean {
    this.#key.bytes.set(key);
    const code = this.#bpf.lookup(this.fd, this.#key, this.#value);
    if (code !== 0 && errnoName(code) === 'ENOENT') return false;
    if (code !== 0) throw bpfError(`bpf_map_lookup_elem ${this.name}`, code);
    out.set(this.#value.bytes);
    return true;
  }

  update(key: Uint8Array, value: Uint8Array): void {
    this.#key.bytes.set(key);
    this.#value.bytes.fill(0).set(value);
    const code = this.#bpf.update(this.fd, this.#key, this.#value);
    if (code !== 0) throw bpfError(`bpf_map_update_elem ${this.name}`, code);
  }

  delete(key: Uint8Array): boolean {
    this.#key.bytes.set(key);
    const code = this.#bpf.delete(this.fd, this.#key);
    if (code !== 0 && errnoName(code) === 'ENOENT') return false;
    if (code !== 0) throw bpfError(`bpf_map_delete_elem ${this.name}`, code);
    return true;
  }

  keys(): Uint8Array[] {
    const found: Uint8Array[] = [];
    let code = this.#bpf.nextKey(this.fd, undefined, this.#nextKey);
    // A walk starts over when the key it stands on is deleted meanwhile; the bound ends it all the same.
    while (code === 0 && found.length < this.#maxEntries) {
      found.push(Uint8Array.from(this.#nextKey.bytes));
      this.#key.bytes.set(this.#nextKey.bytes);
      code = this.#bpf.nextKey(this.fd, this.#key, this.#nextKey);
    }
    if (code !== 0 && errnoName(code) !== 'ENOENT') throw bpfError(`bpf_map_get_next_key ${this.name}`, code);
    return found;
  }
}
