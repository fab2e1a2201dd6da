/** A loaded ELF as the probes see it. */
import { NativeError } from '../util/errors.js';
import type { Libbpf } from '../ffi/libbpf.js';
import { KernelIterator } from './iterator.js';
import { KernelMap } from './map.js';
import type { Loaded } from './object-loader.js';
import type { BpfIterator, BpfMap, LoadedObject, ProgramStatus } from './program.js';

export class KernelObject implements LoadedObject {
  readonly name: string;
  readonly programs: readonly ProgramStatus[];
  readonly #bpf: Libbpf;
  readonly #loaded: Loaded;
  readonly #maps = new Map<string, BpfMap>();
  readonly #iterators = new Map<string, BpfIterator>();

  constructor(bpf: Libbpf, name: string, loaded: Loaded) {
    this.#bpf = bpf;
    this.name = name;
    this.#loaded = loaded;
    this.programs = loaded.ladder.statuses(name, loaded.attached);
    for (const { slot, candidate } of loaded.ladder.choices()) {
      const program = loaded.object.programs.get(candidate.program);
      const link = loaded.links.get(slot);
      if (program === undefined || link === undefined) continue;
      if (candidate.rung !== 'iter' && candidate.rung !== 'iter_s') continue;
      this.#iterators.set(slot, new KernelIterator(bpf, slot, candidate.rung, program, link));
    }
  }

  map(name: string): BpfMap {
    let map = this.#maps.get(name);
    if (map === undefined) {
      const handle = this.#loaded.object.maps.get(name);
      if (handle === undefined) throw new NativeError(`map ${name} of ${this.name}`, 'ENOENT');
      map = new KernelMap(this.#bpf, name, this.#bpf.mapFd(handle), this.#bpf.mapInfo(handle));
      this.#maps.set(name, map);
    }
    return map;
  }

  iterator(slot: string): BpfIterator | undefined {
    return this.#iterators.get(slot);
  }

  programFd(slot: string): number | undefined {
    const choice = this.#loaded.ladder.choices().find((c) => c.slot === slot);
    const program = choice && this.#loaded.object.programs.get(choice.candidate.program);
    return program === undefined ? undefined : this.#bpf.programFd(program);
  }

  stop(): void {
    this.#iterators.clear();
    this.#maps.clear();
    this.#loaded.object.close();
  }
}
