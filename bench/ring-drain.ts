/**
 * Time to take a record out of the ring: the JavaScript walk against libbpf's own C consumer, on
 * rings of the same size with the same records, in turns, so that a noisy machine is noisy for both.
 *
 * Bar: at most three times libbpf's time a record, none of 3 million lost.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Ring } from '../src/kernel/ring.js';
import { createLog } from '../src/util/log.js';
import { buildC } from './producer/build.js';
import { fdInfo, openProducer } from './producer/producer.js';
import { report } from './lib/report.js';
import { median, rounded } from './lib/stats.js';

/** 32 bytes each in a ring of 2 MiB, the agent's own size: a round nearly fills it. */
const RECORDS_A_ROUND = 60_000;
/** For the compiler here and the page tables there. */
const WARM_UP_ROUNDS = 60;
const ROUNDS = 50;
const RECORD_HEADER = { pid: 8, kind: 12 };

interface Drained {
  readonly records: number;
  /** Of pid, kind and size over all records, modulo 2^32: shows that both sides read the same. */
  readonly sum: number;
  readonly ns: number;
}

/** libbpf in C, in its own process; it answers one line a drain. */
class Peer {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;

  constructor(mapId: number) {
    this.#child = spawn(buildC('bench/ring_peer.c', ['-lbpf']), [String(mapId)]);
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.#child.stderr.pipe(process.stderr);
  }

  async ready(): Promise<void> {
    await this.#line();
  }

  async drain(): Promise<Drained> {
    this.#child.stdin.write('drain\n');
    const [records = 0, sum = 0, ns = 0] = (await this.#line()).split(' ').map(Number);
    return { records, sum, ns };
  }

  stop(): void {
    this.#child.kill();
  }

  async #line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('ring_peer ended');
    return value;
  }
}

let sum = 0;
function onRecord(view: DataView, at: number, size: number): void {
  const pid = view.getUint32(at + RECORD_HEADER.pid, true);
  // An int32, as a heap number would be allocated for each record.
  sum = (sum + pid + view.getUint16(at + RECORD_HEADER.kind, true) + size) | 0;
}

function drainHere(ring: Ring): Drained {
  sum = 0;
  const start = process.hrtime.bigint();
  const records = ring.drain(onRecord);
  const ns = Number(process.hrtime.bigint() - start);
  return { records, sum: sum >>> 0, ns };
}

// A ring has one consumer, so each side has its own, filled by the same program.
const here = await openProducer({ log: createLog('warn') });
const there = await openProducer({ log: createLog('warn') });
const peer = new Peer(fdInfo(there.producer.object.map('xctl_events').fd, 'map_id'));
try {
  await peer.ready();
  const ours: number[] = [];
  const theirs: number[] = [];
  let drained = 0;
  let produced = 0;
  let agree = true;
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    const spec = { records: RECORDS_A_ROUND, shape: 'small' } as const;
    // Filled just before it is drained: both find as much of it in the cache.
    const made = here.producer.run(spec).submitted;
    const mine = drainHere(here.kernel.events);
    const madeThere = there.producer.run(spec).submitted;
    const peers = await peer.drain();
    agree &&= mine.sum === peers.sum && mine.records === made && peers.records === madeThere;
    if (round < WARM_UP_ROUNDS) continue;
    produced += made;
    drained += mine.records;
    ours.push(mine.ns / mine.records);
    theirs.push(peers.ns / peers.records);
  }
  const ratio = median(ours) / median(theirs);
  const lost = (here.kernel.lost().events_full ?? 0) + produced - drained;
  const ok = ratio <= 3 && lost === 0 && drained >= 3_000_000 && agree;
  report({
    name: 'ring drain, JavaScript against libbpf in C',
    asked: '<= 3 x, none lost',
    measured: rounded(ratio),
    unit: 'x',
    ok,
    recordNs: rounded(median(ours)),
    libbpfRecordNs: rounded(median(theirs)),
    records: drained,
    lost,
    rounds: ROUNDS,
  });
  if (!ok) process.exitCode = 1;
} finally {
  peer.stop();
  here.kernel.stop();
  there.kernel.stop();
}
