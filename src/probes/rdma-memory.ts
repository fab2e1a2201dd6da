/** Registered memory by process, as the kernel side sums it up (bpf/rdma/memory.bpf.h); told when it has changed. */
import type { EventSink } from '../events/event.js';
import { processId } from '../events/ids.js';
import { decodeXctlRdmaMemory, decodeXctlRdmaMemoryKey } from '../kernel/abi.generated.js';
import type { BpfMap, LoadedObject } from '../kernel/program.js';
import { isSame } from './proc.js';

interface Told {
  readonly bytes: number;
  readonly regions: number;
}

export class RdmaMemory {
  readonly #map: BpfMap;
  readonly #sink: EventSink;
  readonly #value: Buffer;
  readonly #told = new Map<string, Told>();

  constructor(object: LoadedObject, sink: EventSink) {
    this.#map = object.map('xctl_rdma_memory');
    this.#sink = sink;
    this.#value = Buffer.alloc(this.#map.lookupSizeBytes);
  }

  pass(ts: number): void {
    for (const key of this.#map.keys()) this.#look(key, ts);
  }

  #look(bytes: Uint8Array, ts: number): void {
    if (!this.#map.lookup(bytes, this.#value)) return;
    const key = decodeXctlRdmaMemoryKey(viewOf(bytes), 0);
    const sum = decodeXctlRdmaMemory(viewOf(this.#value), 0);
    const name = `${key.pid}/${key.startNs}`;
    const told = this.#told.get(name);
    if (told?.bytes !== sum.bytes || told.regions !== sum.regions) {
      this.#told.set(name, sum);
      const attrs = { start: key.startNs, regions: sum.regions, bytes: sum.bytes };
      const entity = processId(key.pid);
      this.#sink({ ts, type: 'rdma.memory', entity, pid: key.pid, value: sum.bytes, attrs, probe: 'rdma' });
    }
    // A process that lives may register again; one that ended leaves nothing, or what others hold for it.
    if (sum.regions > 0 || isSame(key.pid, key.startNs)) return;
    this.#map.delete(bytes);
    this.#told.delete(name);
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
