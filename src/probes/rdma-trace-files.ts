/**
 * Copies of provider libraries with a probe in them. Containers bring their own, so each file (device and inode) is one,
 * whoever maps it under whatever name.
 */
import type { LoadedObject, UprobeLink } from '../kernel/program.js';
import { errnoOf, messageOf } from '../util/errors.js';
import type { FoundBy, MappedProvider, Place, ProviderPlaces, QpHandle } from './rdma-trace-places.js';
import { ENTRY_BYTES, entryPoint } from './uprobe-entry.js';
import { openMapped, pathOf, readerOf, Uprobes } from './uprobe-file.js';

/** A node has a few images. */
export const MAX_FILES = 16;
const MAX_REFUSED = 1_024;
/** Files that only bear the name of a provider, or cannot be read; more are not told of. */
const MAX_FAILED = 64;
/** Files that nothing tells of yet; more are not counted. */
const MAX_UNTOLD = 1_024;

export type ProviderState = 'traced' | 'taken off' | 'failed';

export interface TracedProvider {
  readonly mapped: MappedProvider;
  /** What the program knows the file by, from 1; 0 where it has no probe. */
  readonly index: number;
  state: ProviderState;
  readonly by?: FoundBy;
  /** Its function begins with an instruction that costs a second trap. */
  readonly stepped: boolean;
  readonly failure?: string;
  link?: UprobeLink;
}

export class TracedProviders {
  readonly #uprobes: Uprobes;
  readonly #places: ProviderPlaces;
  readonly #files = new Map<string, TracedProvider>();
  readonly #refused = new Set<string>();
  readonly #untold = new Set<string>();
  #last = 0;
  #off = false;

  constructor(object: LoadedObject, places: ProviderPlaces) {
    this.#uprobes = new Uprobes(object);
    this.#places = places;
  }

  get files(): readonly TracedProvider[] {
    return [...this.#files.values()];
  }

  get refused(): number {
    return this.#refused.size;
  }

  /** Files that are mapped, of which nothing tells that anybody uses them, nor where their function is. */
  get untold(): number {
    return this.#untold.size;
  }

  get #failed(): number {
    return this.files.filter(({ state }) => state === 'failed').length;
  }

  /** A probe in some file is dear. */
  get stepped(): boolean {
    return this.files.some(({ stepped, state }) => stepped && state === 'traced');
  }

  get uprobes(): Uprobes {
    return this.#uprobes;
  }

  /** Nothing is left to do for the file. */
  knows(key: string): boolean {
    return this.#off || this.#refused.has(key) || this.#files.has(key);
  }

  /** Whether posts through the file are counted. */
  counts(index: number): boolean {
    return this.files.some((file) => file.index === index && file.state === 'traced');
  }

  /**
   * Puts the probe into a file that has none yet. Never throws: what went wrong is kept with the file.
   * @param handles queue pairs of the process
   */
  async add(pid: number, mapped: MappedProvider, handles: readonly QpHandle[]): Promise<void> {
    if (this.knows(mapped.key)) return;
    try {
      const place = await this.#places.find(pid, mapped, handles);
      if (place !== undefined) await this.#attach(pid, mapped, place);
      else if (this.#untold.size < MAX_UNTOLD) this.#untold.add(mapped.key);
    } catch (error) {
      // Gone with its process: whoever maps it next is asked again.
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return;
      if (this.#failed < MAX_FAILED)
        this.#keep({ mapped, index: 0, state: 'failed', stepped: false, failure: messageOf(error) });
    }
  }

  /** Takes the probes out of all files, for good. */
  async stop(): Promise<void> {
    this.#off = true;
    const links: UprobeLink[] = [];
    for (const file of this.#files.values()) {
      if (file.link !== undefined) links.push(file.link);
      delete file.link;
      if (file.state === 'traced') file.state = 'taken off';
    }
    await Promise.all(links.map((link) => link.detach()));
  }

  async #attach(pid: number, mapped: MappedProvider, place: Place): Promise<void> {
    if (this.#files.size - this.#failed >= MAX_FILES) {
      if (this.#refused.size < MAX_REFUSED) this.#refused.add(mapped.key);
      return;
    }
    const handle = await openMapped(pid, mapped);
    try {
      const { offset, stepped } = entryPoint(place.offset, await readerOf(handle)(place.offset, ENTRY_BYTES));
      const index = ++this.#last;
      const link = await this.#uprobes.attach('verbs_post', {
        path: pathOf(handle),
        offsets: [offset],
        atReturn: false,
        cookie: index,
      });
      // Taken off meanwhile.
      if (this.#off) await link.detach();
      else this.#keep({ mapped, index, state: 'traced', by: place.by, stepped, link });
    } finally {
      await handle.close();
    }
  }

  #keep(file: TracedProvider): void {
    this.#untold.delete(file.mapped.key);
    this.#files.set(file.mapped.key, file);
  }
}
