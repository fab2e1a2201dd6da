/**
 * Copies of libnccl and libcuda with probes in them. Containers bring their own, so each file is one, whoever maps it
 * under whatever name; probes in a file work in every process that maps it, now and later.
 */
import type { FileHandle } from 'node:fs/promises';
import { functionOffsets, type ReadAt } from '../kernel/elf.js';
import type { LoadedObject, UprobeLink } from '../kernel/program.js';
import { errnoOf, messageOf } from '../util/errors.js';
import { TRACED, type TraceClass, type TracedFunction } from './gpu-trace-functions.js';
import type { MappedLibrary } from './gpu-trace-maps.js';
import { ENTRY_BYTES, entryPoint } from './uprobe-entry.js';
import { openMapped, pathOf, readerOf, Uprobes } from './uprobe-file.js';

/** Of both libraries together: a node has a few images, and each file holds some sixty descriptors. */
export const MAX_FILES = 16;

export interface TracedFile {
  readonly mapped: MappedLibrary;
  /** What the programs know the file by; from 1. */
  readonly index: number;
  readonly links: Map<TraceClass, UprobeLink[]>;
  /** Classes with a function that begins with an instruction which costs a second trap. */
  readonly stepped: Set<TraceClass>;
  /** Functions that it should have and does not export. */
  readonly missing: readonly string[];
  /** Why it is looked at in part or not at all. */
  failure: string | undefined;
  /** Every place that it can be looked at in is; that takes a moment. */
  complete: boolean;
}

export class TracedFiles {
  readonly #uprobes: Uprobes;
  readonly #files = new Map<string, TracedFile>();
  readonly #off = new Set<TraceClass>();
  /** Files beyond MAX_FILES. */
  readonly #refused = new Set<string>();

  constructor(object: LoadedObject) {
    this.#uprobes = new Uprobes(object);
  }

  get files(): readonly TracedFile[] {
    return [...this.#files.values()];
  }

  get refused(): number {
    return this.#refused.size;
  }

  knows(key: string): boolean {
    return this.#files.has(key) || this.#refused.has(key);
  }

  /** Whether every enqueue in the file is counted. */
  counts(index: number): boolean {
    const file = this.files.find((candidate) => candidate.index === index);
    return file === undefined || (file.links.has('enqueue') && !this.#off.has('enqueue'));
  }

  /** Classes that are dear in some file. */
  get stepped(): ReadonlySet<TraceClass> {
    return new Set(this.files.flatMap((file) => [...file.stepped]));
  }

  /** Puts probes into a file that is not known yet. Never throws: what went wrong is kept with the file. */
  async add(pid: number, mapped: MappedLibrary): Promise<void> {
    if (this.knows(mapped.key)) return;
    if (this.#files.size >= MAX_FILES) {
      if (this.#refused.size < 1_024) this.#refused.add(mapped.key);
      return;
    }
    const index = this.#files.size + 1;
    let handle: FileHandle;
    try {
      handle = await openMapped(pid, mapped);
    } catch (error) {
      // Gone with its process: whoever maps it next is asked again.
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return;
      this.#files.set(mapped.key, fileOf(mapped, index, [], `cannot be read (${messageOf(error)})`));
      return;
    }
    try {
      await this.#attach(handle, mapped, index);
    } catch (error) {
      this.#files.set(mapped.key, fileOf(mapped, index, [], messageOf(error)));
    } finally {
      await handle.close();
    }
  }

  /** Takes one class of probes out of all files. */
  async takeOff(name: TraceClass): Promise<void> {
    this.#off.add(name);
    const links = this.files.flatMap((file) => file.links.get(name) ?? []);
    for (const file of this.#files.values()) file.links.delete(name);
    await Promise.all(links.map((link) => link.detach()));
  }

  async stop(): Promise<void> {
    const links = this.files.flatMap((file) => [...file.links.values()].flat());
    for (const file of this.#files.values()) file.links.clear();
    await Promise.all(links.map((link) => link.detach()));
  }

  async #attach(handle: FileHandle, mapped: MappedLibrary, index: number): Promise<void> {
    const functions = TRACED.filter(({ library }) => library === mapped.library);
    const read = readerOf(handle);
    const offsets = await functionOffsets(read, new Set(functions.map(({ symbol }) => symbol)));
    const missing = functions
      .filter(({ symbol, optional }) => optional !== true && !offsets.has(symbol))
      .map(({ symbol }) => symbol);
    const file = fileOf(mapped, index, missing, undefined);
    this.#files.set(mapped.key, file);
    const path = pathOf(handle);
    const without = new Set(this.#off);
    // Some of the enqueues without the others would make a rank look behind that is not.
    if (functions.some((one) => one.class === 'enqueue' && missing.includes(one.symbol)))
      without.add('enqueue');
    for (const group of await groupsOf(functions, offsets, file, read)) {
      if (without.has(group.class)) continue;
      try {
        const links = await this.#attachGroup(file, group, path);
        file.links.set(group.class, [...(file.links.get(group.class) ?? []), ...links]);
      } catch (error) {
        file.failure = `${group.symbols.join(', ')}: ${messageOf(error)}`;
        if (group.class !== 'enqueue') continue;
        without.add('enqueue');
        await this.#drop(file, 'enqueue');
      }
    }
    file.complete = true;
  }

  async #attachGroup(file: TracedFile, group: Group, path: string): Promise<UprobeLink[]> {
    const places = { path, offsets: group.offsets, cookie: file.index };
    const links: UprobeLink[] = [];
    try {
      // The return first: no entry may leave a mark that nothing takes away.
      if (group.atReturn !== undefined)
        links.push(await this.#uprobes.attach(group.atReturn, { ...places, atReturn: true }));
      links.push(await this.#uprobes.attach(group.entry, { ...places, atReturn: false }));
      return links;
    } catch (error) {
      for (const link of links) await link.detach();
      throw error;
    }
  }

  async #drop(file: TracedFile, name: TraceClass): Promise<void> {
    const links = file.links.get(name) ?? [];
    file.links.delete(name);
    await Promise.all(links.map((link) => link.detach()));
  }
}

/** Functions of one file that one pair of programs is for. */
interface Group {
  readonly class: TraceClass;
  readonly entry: string;
  readonly atReturn: string | undefined;
  readonly offsets: number[];
  readonly symbols: string[];
}

async function groupsOf(
  functions: readonly TracedFunction[],
  offsets: ReadonlyMap<string, number>,
  file: TracedFile,
  read: ReadAt,
): Promise<readonly Group[]> {
  const groups = new Map<string, Group>();
  for (const { symbol, entry, atReturn, class: name } of functions) {
    const offset = offsets.get(symbol);
    if (offset === undefined) continue;
    const point = entryPoint(offset, await read(offset, ENTRY_BYTES));
    if (point.stepped) file.stepped.add(name);
    const group = groups.get(entry) ?? { class: name, entry, atReturn, offsets: [], symbols: [] };
    groups.set(entry, group);
    // Two names of one function are one place.
    if (group.offsets.includes(point.offset)) continue;
    group.offsets.push(point.offset);
    group.symbols.push(symbol);
  }
  return [...groups.values()];
}

function fileOf(
  mapped: MappedLibrary,
  index: number,
  missing: readonly string[],
  failure: string | undefined,
): TracedFile {
  const complete = failure !== undefined;
  return { mapped, index, links: new Map(), stepped: new Set(), missing, failure, complete };
}
