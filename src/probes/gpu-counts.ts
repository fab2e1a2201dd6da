/**
 * A GPU's counts of errors, its replaced rows and its NVLinks. One call brings them all (nvmlDeviceGetFieldValues);
 * what it does not tell is asked for by the function that does, where there is one. Without the fields (drivers of
 * before 2022) that is 78 calls a GPU with 18 links: then they are read at some looks only, and when there is a reason.
 */
import type { GpuHealthAttrs, NvlinkAttrs } from '../events/gpu.js';
import { Pinned } from '../ffi/memory.js';
import { NVML_SUCCESS, isAbsent } from '../ffi/nvml-errors.js';
import { FIELD_VALUE, fieldCode, fieldValue } from '../ffi/nvml-structs.js';
import type { Caller } from './gpu-caller.js';
import {
  COUNT_FIELDS,
  type CountField,
  ECC_ARGUMENTS,
  ECC_COUNTS,
  FIELD,
  LINK_COUNTER,
  LINK_FIELD,
  LINK_FIELDS,
  type LinkField,
  MAX_LINKS,
  REMAP_COUNTS,
} from './gpu-figures.js';

export type Counts = GpuHealthAttrs;

/** Looks from one reading of what the fields do not tell to the next. */
const OTHERS_EVERY = 10;

const MAX_FIELDS = COUNT_FIELDS.length + 2 + MAX_LINKS * LINK_FIELDS.length;

interface Wanted {
  readonly id: number;
  readonly scope: number;
  readonly figure: CountField | 'links' | 'power' | LinkField;
}

type MutableLink = { -readonly [K in keyof NvlinkAttrs]: NvlinkAttrs[K] };

/** By one call each: what the fields do not tell. */
interface Others {
  readonly counts: ReadonlyMap<CountField, number>;
  readonly links: readonly Partial<NvlinkAttrs>[];
  /** Any call was made for it. */
  readonly asked: boolean;
}
const NONE: Others = { counts: new Map(), links: [], asked: false };

export class CountReader {
  readonly #caller: Caller;
  readonly #device: number;
  readonly #values = new Pinned(MAX_FIELDS * FIELD_VALUE.sizeBytes);
  readonly #cells = [new Pinned(8), new Pinned(8), new Pinned(8), new Pinned(8)] as const;
  #wanted: readonly Wanted[] = [];
  #links = 0;
  /** What the fields told last, in the order of `#wanted`, and what was made of it. */
  #told: (number | undefined)[] = [];
  #last: Counts | undefined;
  #others: Others = NONE;
  #looks = 0;
  /** As the fields told it last; undefined where they do not. */
  powerMw: number | undefined;

  constructor(caller: Caller, device: number) {
    this.#caller = caller;
    this.#device = device;
  }

  /**
   * Looks anew which fields and links there are.
   * @returns links
   * @throws NvmlFailure
   */
  async findLinks(): Promise<number> {
    const counts = COUNT_FIELDS.map((figure) => ({ id: FIELD[figure], scope: 0, figure }));
    this.#want([...counts, { id: FIELD.links, scope: 0, figure: 'links' }]);
    await this.#fields();
    const links = this.#told[this.#wanted.findIndex(({ figure }) => figure === 'links')];
    this.#links = links === undefined ? await this.#countLinks() : Math.min(links, MAX_LINKS);
    const of = (link: number): Wanted[] =>
      LINK_FIELDS.map((figure) => ({ id: LINK_FIELD[figure], scope: link, figure }));
    const power: Wanted = { id: FIELD.power, scope: 0, figure: 'power' };
    this.#want([...counts, power, ...Array.from({ length: this.#links }, (_, link) => of(link)).flat()]);
    return this.#links;
  }

  /**
   * @param full with all that takes a call of its own
   * @returns the very object of last time when all of it is the same
   * @throws NvmlFailure
   */
  async read(full: boolean): Promise<Counts> {
    const changed = await this.#fields();
    const due = full || this.#looks % OTHERS_EVERY === 0;
    this.#looks = due ? 1 : this.#looks + 1;
    if (due && (changed || this.#last === undefined || this.#others.asked)) {
      this.#others = await this.#ask();
      if (this.#others.asked) this.#last = undefined;
    }
    if (!changed && this.#last !== undefined) return this.#last;
    this.#last = this.#made();
    return this.#last;
  }

  /** What the fields tell, and what was asked for besides. */
  #made(): Counts {
    const counts = new Map([...this.#others.counts, ...this.#toldCounts()]);
    const told = this.#toldLinks();
    const links = told.map((link, i) => ({ ...this.#others.links[i], ...link }));
    return {
      ...Object.fromEntries([...counts].filter(([name]) => !isFlag(name))),
      ...(counts.has('remapPending') && { remapPending: counts.get('remapPending') !== 0 }),
      ...(counts.has('remapFailed') && { remapFailed: counts.get('remapFailed') !== 0 }),
      links: links.filter((link): link is MutableLink => link.up !== undefined),
    };
  }

  #toldCounts(): Map<CountField, number> {
    const counts = new Map<CountField, number>();
    for (const [i, { figure }] of this.#wanted.entries()) {
      const value = this.#told[i];
      if (value !== undefined && isCount(figure)) counts.set(figure, value);
    }
    return counts;
  }

  #toldLinks(): readonly Partial<MutableLink>[] {
    const links = Array.from({ length: this.#links }, (_, link): Partial<MutableLink> => ({ link }));
    for (const [i, { figure, scope }] of this.#wanted.entries()) {
      const [value, link] = [this.#told[i], links[scope]];
      if (value === undefined || link === undefined || !isLinkField(figure)) continue;
      if (figure === 'up') link.up = value === 1;
      else link[figure] = value;
    }
    return links;
  }

  async #ask(): Promise<Others> {
    const before = this.#caller.calls;
    const counts = this.#toldCounts();
    await this.#ecc(counts);
    await this.#remapped(counts);
    await this.#replays(counts);
    const links = this.#toldLinks();
    for (const link of links) await this.#link(link);
    return { counts, links, asked: this.#caller.calls !== before };
  }

  #want(wanted: readonly Wanted[]): void {
    this.#wanted = wanted;
    this.#told = [];
    this.#last = undefined;
    this.#looks = 0;
    // NVML leaves these two as they are, and fills in the rest.
    for (const [i, { id, scope }] of wanted.entries()) {
      this.#values.view.setUint32(i * FIELD_VALUE.sizeBytes, id, true);
      this.#values.view.setUint32(i * FIELD_VALUE.sizeBytes + 4, scope, true);
    }
  }

  /**
   * All wanted ones in one call; those that this GPU does not have are not wanted any more.
   * @returns whether anything is not as it was
   */
  async #fields(): Promise<boolean> {
    const wanted = this.#wanted;
    if (wanted.length === 0) return false;
    const code = await this.#caller.ask('fields', [this.#device, wanted.length, this.#values]);
    this.powerMw = undefined;
    if (code !== NVML_SUCCESS) {
      const told = this.#told.length > 0;
      this.#told = [];
      if (told) this.#looks = 0;
      return told;
    }
    let changed = this.#told.length !== wanted.length;
    let absent = false;
    for (let i = 0; i < wanted.length; i++) {
      const at = i * FIELD_VALUE.sizeBytes;
      const value = fieldValue(this.#values, at);
      absent ||= value === undefined && isAbsent(fieldCode(this.#values, at));
      // Not told any more: what is told besides must be asked for now.
      if (value === undefined && this.#told[i] !== undefined) this.#looks = 0;
      // It is never twice the same, and no count.
      if (wanted[i]?.figure === 'power') this.powerMw = value;
      else changed ||= value !== this.#told[i];
      this.#told[i] = value;
    }
    if (absent) this.#forget(wanted);
    return changed;
  }

  #forget(wanted: readonly Wanted[]): void {
    const told = this.#told;
    const there = wanted.map((_, i) => !isAbsent(fieldCode(this.#values, i * FIELD_VALUE.sizeBytes)));
    this.#want(wanted.filter((_, i) => there[i]));
    this.#told = told.filter((_, i) => there[i]);
  }

  async #ecc(counts: Map<CountField, number>): Promise<void> {
    for (const name of ECC_COUNTS) {
      if (counts.has(name)) continue;
      const [type, counter] = ECC_ARGUMENTS[name];
      const [cell] = this.#cells;
      const code = await this.#caller.ask('eccErrors', [this.#device, type, counter, cell], name);
      if (code === NVML_SUCCESS) counts.set(name, cell.readU64(0));
    }
  }

  async #remapped(counts: Map<CountField, number>): Promise<void> {
    if (REMAP_COUNTS.every((name) => counts.has(name))) return;
    const cells = this.#cells;
    const code = await this.#caller.ask('remappedRows', [this.#device, ...cells]);
    if (code !== NVML_SUCCESS) return;
    for (const [i, name] of REMAP_COUNTS.entries()) counts.set(name, cells[i]?.view.getUint32(0, true) ?? 0);
  }

  async #replays(counts: Map<CountField, number>): Promise<void> {
    if (counts.has('pcieReplays')) return;
    const [cell] = this.#cells;
    const code = await this.#caller.ask('pcieReplays', [this.#device, cell]);
    if (code === NVML_SUCCESS) counts.set('pcieReplays', cell.view.getUint32(0, true));
  }

  /** What the fields did not tell of a link: dozens of calls a GPU, on drivers of before 2022. */
  async #link(link: Partial<MutableLink>): Promise<void> {
    const number = link.link ?? 0;
    const [cell] = this.#cells;
    if (link.up === undefined) {
      const code = await this.#caller.ask('nvlinkState', [this.#device, number, cell]);
      if (code === NVML_SUCCESS) link.up = cell.view.getUint32(0, true) === 1;
    }
    if (link.receiveErrors !== undefined) return;
    for (const [name, counter] of LINK_COUNTERS) {
      if (link[name] !== undefined) continue;
      const code = await this.#caller.ask(
        'nvlinkErrors',
        [this.#device, number, counter, cell],
        `nvlink ${name}`,
      );
      if (code === NVML_SUCCESS) link[name] = cell.readU64(0);
    }
  }

  /** Without the field: links answer until one does not. */
  async #countLinks(): Promise<number> {
    for (let link = 0; link < MAX_LINKS; link++) {
      const code = await this.#caller.plain('nvlinkState', [this.#device, link, this.#cells[0]]);
      if (code !== NVML_SUCCESS) return link;
    }
    return MAX_LINKS;
  }
}

const LINK_COUNTERS = [
  ['replays', LINK_COUNTER.replays],
  ['recoveries', LINK_COUNTER.recoveries],
  ['crcErrors', LINK_COUNTER.crcErrors],
] as const;

function isCount(figure: Wanted['figure']): figure is CountField {
  return figure in FIELD && figure !== 'links' && figure !== 'power';
}

function isLinkField(figure: Wanted['figure']): figure is LinkField {
  return figure in LINK_FIELD;
}

function isFlag(name: string): boolean {
  return name === 'remapPending' || name === 'remapFailed';
}
