/** Devices of bios (dm, md): their latency by what the kernel counts for them, from made-up counters. */
import t from 'tap';
import { DiskUse } from '../../src/probes/block-use.js';
import type { DiskStats } from '../../src/probes/diskstats.js';

const STALLED_MS = 1_000;
const NOTHING: DiskStats = {
  name: 'dm-0',
  major: 254,
  minor: 0,
  reads: 0,
  readBytes: 0,
  readMs: 0,
  writes: 0,
  writtenBytes: 0,
  writeMs: 0,
  others: 0,
  inFlight: 0,
};

/** Looks once a second, as the probe does; tells what an event would say. */
class Mapped {
  #stats = NOTHING;
  #nowMs = 0;
  readonly #use = new DiskUse(NOTHING, 0);

  /** @param eachMs what each of them took */
  reads(count: number, eachMs: number) {
    this.#nowMs += 1_000;
    const stats = {
      ...this.#stats,
      reads: this.#stats.reads + count,
      readMs: this.#stats.readMs + count * eachMs,
    };
    if (this.#use.moved(stats)) this.#use.means(stats, this.#nowMs);
    this.#use.look(stats, this.#nowMs);
    this.#stats = stats;
    if (!this.#use.worthTelling(this.#nowMs, STALLED_MS)) return undefined;
    return this.#use.tell(undefined, this.#nowMs).reads;
  }
}

t.test('a device that is slower than usual is told of as long as it is', async (t) => {
  const dm = new Mapped();
  for (let second = 0; second < 10; second++) t.equal(dm.reads(100, 1), undefined, 'as ever');
  for (let round = 0; round < 3; round++) {
    const slow = dm.reads(1, 2_000);
    t.ok(slow?.ofMeans);
    t.ok(Math.abs((slow?.p99Ms ?? 0) - 2_000) < 500, `${slow?.p99Ms} ms, to a quarter of an octave`);
    t.ok((slow?.baselineMs ?? 0) < 2);
    t.equal(dm.reads(0, 0), undefined, 'between two reads nothing is known that was not before');
  }
  const healed = dm.reads(100, 1);
  t.ok((healed?.p99Ms ?? 0) < 2, 'told once that it is over');
  t.equal(dm.reads(100, 1), undefined);
});

t.test('a device that was slow from the first is told of, and does not become its own measure', async (t) => {
  const dm = new Mapped();
  dm.reads(20, 1);
  for (let round = 0; round < 100; round++) {
    const slow = dm.reads(1, 2_000);
    t.ok((slow?.p99Ms ?? 0) > 1_500);
    t.ok((slow?.baselineMs ?? 0) < 10);
  }
  t.ok((dm.reads(100, 1)?.p99Ms ?? 0) < 2, 'told once that it is over');
  for (let second = 0; second < 5; second++) t.equal(dm.reads(100, 1), undefined);
});

t.test('a moment of its own is no trouble: few reads, not long', async (t) => {
  const dm = new Mapped();
  for (let second = 0; second < 10; second++) dm.reads(100, 1);
  t.equal(dm.reads(2, 80), undefined);
});
