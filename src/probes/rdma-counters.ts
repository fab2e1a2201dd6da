/**
 * The counters of one port: how much they have grown from look to look, by what they mean. Levels say nothing (they are
 * from nobody knows when); growth counts. A counter that wraps goes on; one that was set back begins anew, and says so.
 *
 * `hw_counters/` are read at every look: one question to the device answers all of them for their `lifespan`. Each file
 * of `counters/` is a question of its own, so they are read every ten seconds and when somebody asks. What has no known
 * meaning is read when somebody wants to export it.
 */
import type { RdmaCounter } from '../events/rdma.js';
import {
  CONGESTION,
  COUNTER_DIRECTORIES,
  type CounterDirectory,
  type CounterMeaning,
  LEADERS,
  LIFESPAN,
  meaningOf,
  TROUBLE,
} from './rdma-counter-names.js';
import { CounterTrack, type Step } from './rdma-counter-track.js';
import { listSync, type Path, parseCount, type SysFile, type Sysfs } from './rdma-sysfs.js';

/** More files than any driver has. */
const MAX_FILES = 256;
const NAME = /^[ -~]{1,64}$/;
/** A file that never could be read is one that the device lacks. */
const MAX_FAILURES = 3;
/** A read from memory takes a few microseconds, a question to a card a hundred and more. */
const SLOW_READ_MS = 1;
const MAX_STRIKES = 3;
/** Congestion alone is told of this often. */
const QUIET_MS = 10_000;

export interface Growth {
  readonly windowMs: number;
  /** Of those that were read; a counter that was set back is left out. */
  readonly grew: Readonly<Partial<Record<RdmaCounter, number>>>;
  readonly trouble: number;
  readonly congestion: number;
  readonly reset: boolean;
}

interface CounterFile {
  readonly name: string;
  readonly directory: CounterDirectory;
  readonly meaning: CounterMeaning | undefined;
  readonly file: SysFile;
  readonly track: CounterTrack;
  value: number | undefined;
  failures: number;
}

/** Counters that are read together. */
class CounterSet {
  #files: readonly CounterFile[];
  #readAt: number | undefined;

  constructor(files: readonly CounterFile[]) {
    this.#files = files;
  }

  get files(): readonly CounterFile[] {
    return this.#files;
  }

  get readAt(): number {
    return this.#readAt ?? Number.NEGATIVE_INFINITY;
  }

  /**
   * @param textOf how a file of it is read
   * @returns undefined at first, and when there are none
   */
  async read(textOf: TextOf = ({ file }) => file.read()): Promise<Growth | undefined> {
    if (this.#files.length === 0) return undefined;
    const before = this.#readAt;
    const grew: Partial<Record<RdmaCounter, number>> = {};
    let reset = false;
    for (const file of this.#files) {
      const text = textOf(file);
      const step = take(file, typeof text === 'object' ? await text : text);
      const counter = file.meaning?.counter;
      if (step === undefined || counter === undefined) continue;
      if (step.kind === 'grew') grew[counter] = (grew[counter] ?? 0) + step.by * (file.meaning?.scale ?? 1);
      if (step.kind === 'reset') reset = true;
    }
    this.#drop();
    const now = performance.now();
    this.#readAt = now;
    if (before === undefined) return undefined;
    return {
      windowMs: Math.max(1, Math.round(now - before)),
      grew,
      trouble: sumOf(grew, TROUBLE),
      congestion: sumOf(grew, CONGESTION),
      reset,
    };
  }

  #drop(): void {
    if (!this.#files.some(({ failures }) => failures >= MAX_FAILURES)) return;
    for (const { file, failures } of this.#files) if (failures >= MAX_FAILURES) file.close();
    this.#files = this.#files.filter(({ failures }) => failures < MAX_FAILURES);
  }
}

type TextOf = (file: CounterFile) => Promise<string | undefined> | string | undefined;

function take(file: CounterFile, text: string | undefined): Step | undefined {
  const value = parseCount(text);
  if (value === undefined) {
    if (file.value === undefined) file.failures++;
    return undefined;
  }
  const step = file.track.next(value);
  if (step.kind !== 'nonsense') file.value = value;
  return step;
}

/**
 * Reads `hw_counters/`. The first read asks the device, on libuv's pool; for half a lifespan all others are answered by
 * the kernel's memory, and are read on the spot: that costs a tenth, and there are twenty of them a port.
 */
class CachedReader {
  readonly #leader: SysFile;
  #freshUntil = Number.NEGATIVE_INFINITY;
  /** Looks at which what was to be in memory took its time. */
  #strikes = 0;

  constructor(leader: SysFile) {
    this.#leader = leader;
  }

  /** Asks the device. */
  async start(lifespanMs: number): Promise<void> {
    const started = performance.now();
    this.#freshUntil = Number.NEGATIVE_INFINITY;
    if (lifespanMs === 0 || this.#strikes >= MAX_STRIKES) return;
    await this.#leader.read();
    this.#freshUntil = started + lifespanMs / 2;
  }

  read({ file }: CounterFile): Promise<string | undefined> | string | undefined {
    const started = performance.now();
    if (started >= this.#freshUntil) return file.read();
    const text = file.readNow();
    if (performance.now() - started > SLOW_READ_MS) {
      this.#strikes++;
      this.#freshUntil = Number.NEGATIVE_INFINITY;
    }
    return text;
  }

  close(): void {
    this.#leader.close();
  }
}

/** Which growth is told: trouble at once and with its own window, the rest summed up and now and then. */
class Told {
  #quiet: Growth | undefined;

  take(growth: Growth | undefined, asked: boolean): readonly Growth[] {
    if (growth === undefined) return [];
    const before = this.#quiet;
    if (growth.trouble > 0 || growth.reset) {
      this.#quiet = undefined;
      return before !== undefined && before.congestion > 0 ? [before, growth] : [growth];
    }
    const quiet = before === undefined ? growth : merged(before, growth);
    const told = asked || quiet.windowMs >= QUIET_MS;
    this.#quiet = told ? undefined : quiet;
    return told && (asked || quiet.congestion > 0) ? [quiet] : [];
  }
}

export interface CounterTotals {
  /** By meaning, from the device's own level on. */
  readonly known: ReadonlyMap<RdmaCounter, number>;
  /** As the device has them, whatever they mean. */
  readonly others: readonly {
    readonly directory: CounterDirectory;
    readonly name: string;
    readonly value: number;
  }[];
}

export interface Wanted {
  readonly asked: boolean;
  /** Those of `counters/`, too. */
  readonly slow: boolean;
  /** Those without a known meaning, too. */
  readonly others: boolean;
}

export class PortCounters {
  readonly #often: CounterSet;
  readonly #seldom: CounterSet;
  readonly #others: CounterSet;
  readonly #oftenTold = new Told();
  readonly #seldomTold = new Told();
  readonly #lifespan: SysFile;
  readonly #reader: CachedReader;
  /** Files that were left out: odd names, and more than anybody has. */
  readonly refused: number;
  lifespanMs = 0;

  /** @param dir /sys/class/infiniband/NAME/ports/1 */
  constructor(sysfs: Sysfs, dir: Path) {
    const files: CounterFile[] = [];
    let refused = 0;
    for (const directory of COUNTER_DIRECTORIES) {
      const names = listSync(`${dir()}/${directory}`).filter((name) => name !== LIFESPAN);
      const good = names.filter((name) => NAME.test(name)).slice(0, MAX_FILES);
      refused += names.length - good.length;
      const siblings = new Set(good);
      for (const name of good) {
        const meaning = meaningOf(directory, name, siblings);
        const often = directory === 'hw_counters' && meaning !== undefined;
        const file = sysfs.file(() => `${dir()}/${directory}/${name}`, often);
        const track = new CounterTrack(meaning?.bits ?? 64);
        files.push({ name, directory, meaning, file, track, value: undefined, failures: 0 });
      }
    }
    const known = files.filter(({ meaning }) => meaning !== undefined);
    this.#often = new CounterSet(known.filter(({ directory }) => directory === 'hw_counters'));
    this.#seldom = new CounterSet(known.filter(({ directory }) => directory === 'counters'));
    this.#others = new CounterSet(files.filter(({ meaning }) => meaning === undefined));
    this.#lifespan = sysfs.file(() => `${dir()}/hw_counters/${LIFESPAN}`, false);
    const own = files.filter(({ directory }) => directory === 'hw_counters').map(({ name }) => name);
    const leader = LEADERS.find((name) => own.includes(name)) ?? own[0] ?? LIFESPAN;
    this.#reader = new CachedReader(sysfs.file(() => `${dir()}/hw_counters/${leader}`));
    this.refused = refused;
  }

  /** What has to be told. Counters that are younger than their `lifespan` would be the same ones again. */
  async look({ asked, slow, others }: Wanted): Promise<readonly Growth[]> {
    if (slow) this.lifespanMs = parseCount(await this.#lifespan.read()) ?? 0;
    const told: Growth[] = [];
    if (performance.now() - this.#often.readAt > this.lifespanMs) {
      await this.#reader.start(this.lifespanMs);
      const growth = await this.#often.read((file) => this.#reader.read(file));
      told.push(...this.#oftenTold.take(growth, asked));
    }
    if (slow) told.push(...this.#seldomTold.take(await this.#seldom.read(), asked));
    if (others) await this.#others.read();
    return told;
  }

  totals(): CounterTotals {
    const known = new Map<RdmaCounter, number>();
    for (const { meaning, track, value } of this.#known()) {
      if (meaning === undefined || value === undefined) continue;
      known.set(meaning.counter, (known.get(meaning.counter) ?? 0) + track.total * meaning.scale);
    }
    const others = this.#others.files.flatMap(({ directory, name, value }) =>
      value === undefined ? [] : [{ directory, name, value }],
    );
    return { known, others };
  }

  /** Counters that stand at their end: more is not known to have happened. */
  stopped(): readonly string[] {
    return this.#known()
      .filter(({ meaning, value }) => value !== undefined && value === meaning?.stopsAt)
      .map(({ name }) => name);
  }

  /** How many are read, and how many of these mean something. */
  get size(): { readonly files: number; readonly known: number } {
    const known = this.#known().length;
    return { files: known + this.#others.files.length, known };
  }

  close(): void {
    for (const { file } of [...this.#known(), ...this.#others.files]) file.close();
    this.#lifespan.close();
    this.#reader.close();
  }

  #known(): readonly CounterFile[] {
    return [...this.#often.files, ...this.#seldom.files];
  }
}

function sumOf(grew: Growth['grew'], which: ReadonlySet<RdmaCounter>): number {
  let sum = 0;
  for (const counter of which) sum += grew[counter] ?? 0;
  return sum;
}

function merged(a: Growth, b: Growth): Growth {
  const grew: Partial<Record<RdmaCounter, number>> = { ...a.grew };
  for (const [counter, by] of Object.entries(b.grew) as [RdmaCounter, number][])
    grew[counter] = (grew[counter] ?? 0) + by;
  return {
    windowMs: a.windowMs + b.windowMs,
    grew,
    trouble: a.trouble + b.trouble,
    congestion: a.congestion + b.congestion,
    reset: a.reset || b.reset,
  };
}
