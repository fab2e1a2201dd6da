/** A loaded ELF as the probes see it. */
import { NativeError } from '../util/errors.js';
import type { Libbpf, ProgramHandle } from '../ffi/libbpf.js';
import { linkUprobes, type UprobePlaces, unlinkUprobes, unlinkUprobesAsync } from '../ffi/uprobe-multi.js';
import { KernelIterator } from './iterator.js';
import { KernelMap } from './map.js';
import type { Loaded } from './object-loader.js';
import type { BpfIterator, BpfMap, LoadedObject, ProgramStatus, UprobeLink } from './program.js';

interface Attached {
  close(): void;
  closeAsync(): Promise<void>;
}

export class KernelObject implements LoadedObject {
  readonly name: string;
  readonly programs: readonly ProgramStatus[];
  readonly #bpf: Libbpf;
  readonly #loaded: Loaded;
  readonly #maps = new Map<string, BpfMap>();
  readonly #iterators = new Map<string, BpfIterator>();
  readonly #uprobes = new Set<Attached>();
  #stopped = false;

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
    if (this.#stopped) throw this.#gone(`map ${name}`);
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
    // What libbpf has freed must not be asked.
    if (this.#stopped) return undefined;
    const choice = this.#loaded.ladder.choices().find((c) => c.slot === slot);
    const program = choice && this.#loaded.object.programs.get(choice.candidate.program);
    return program === undefined ? undefined : this.#bpf.programFd(program);
  }

  async attachUprobe(slot: string, places: UprobePlaces): Promise<UprobeLink> {
    const choice = this.#loaded.ladder.choices().find((c) => c.slot === slot);
    const program = choice && this.#loaded.object.programs.get(choice.candidate.program);
    if (program === undefined || this.#stopped) throw this.#gone(`uprobe ${slot}`);
    const bpf = this.#bpf;
    const links: Attached[] = [];
    if (this.#loaded.uprobeMulti) {
      const fd = await linkUprobes(bpf.programFd(program), places);
      links.push({ close: () => unlinkUprobes(fd), closeAsync: () => unlinkUprobesAsync(fd) });
    } else {
      await this.#attachEach(program, places, links);
    }
    // Stopped meanwhile: nobody else knows of them.
    if (this.#stopped) {
      await Promise.all(links.map((link) => link.closeAsync()));
      throw this.#gone(`uprobe ${slot}`);
    }
    for (const link of links) this.#uprobes.add(link);
    const detach = async (link: Attached): Promise<void> => {
      if (this.#uprobes.delete(link)) await link.closeAsync();
    };
    return { detach: async () => void (await Promise.all(links.map(detach))) };
  }

  async #attachEach(program: ProgramHandle, places: UprobePlaces, links: Attached[]): Promise<void> {
    const bpf = this.#bpf;
    try {
      for (const offset of places.offsets) {
        const link = await bpf.attachUprobeAsync(program, { ...places, offset });
        links.push({ close: () => bpf.destroyLink(link), closeAsync: () => bpf.destroyLinkAsync(link) });
      }
    } catch (error) {
      await Promise.all(links.map((link) => link.closeAsync()));
      throw error;
    }
  }

  #gone(what: string): NativeError {
    return new NativeError(`${what} of ${this.name}`, 'ENOENT');
  }

  stop(): void {
    this.#stopped = true;
    for (const link of this.#uprobes) link.close();
    this.#uprobes.clear();
    this.#iterators.clear();
    this.#maps.clear();
    this.#loaded.object.close();
  }
}
