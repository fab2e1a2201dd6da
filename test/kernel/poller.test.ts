/** Poller, rings and counters on a real ring buffer with a real producer in the kernel. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { openProducer } from '../../bench/producer/producer.js';
import {
  decodeXctlTcp,
  XctlHdrLayout,
  XctlKind,
  XctlTcpLayout,
  XctlTcpStateLayout,
} from '../../src/kernel/abi.generated.js';
import { BootClock } from '../../src/kernel/clock.js';
import { Poller } from '../../src/kernel/poller.js';
import { parseFdInfo, programRunStats, RunTimeMeter } from '../../src/kernel/prog-stats.js';
import { createLog } from '../../src/util/log.js';
import { until } from '../lib/until.js';

const BYTES_ACKED = XctlTcpLayout.tcp + XctlTcpStateLayout.bytesAcked;
const quiet = createLog('error', () => {});

function u64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}

t.test('records come whole and in order through many turns of the ring, without the discarded', async (t) => {
  const { kernel, producer } = await openProducer({ log: quiet, eventsBytes: 64 * 1024 });
  t.teardown(() => kernel.stop());
  const poller = new Poller({ source: kernel, log: quiet });
  const got: number[] = [];
  poller.on(XctlKind.TCP_STATE, (view, at, size) => {
    if (size !== XctlTcpLayout.sizeBytes) throw new Error(`size ${size}`);
    got.push(u64(view, at + BYTES_ACKED));
  });
  const expected: number[] = [];
  for (let first = 0; first < 5000; first += 101) {
    const made = producer.run({ records: 101, flows: 3, discardEvery: 5, first });
    t.same(made, { submitted: 80, discarded: 21, refused: 0 });
    for (let i = 0; i < 101; i++) if (i % 5 !== 0) expected.push(first + i);
    poller.drain();
  }
  t.same(got, expected);
  t.equal(kernel.events.pendingBytes, 0);
  t.match(poller.stats(), {
    records: { tcp_state: expected.length },
    unknownKinds: 0,
    malformed: 0,
    handlerErrors: 0,
  });
});

t.test('a record decodes to what the program put into it; the rest is zero', async (t) => {
  const { kernel, producer } = await openProducer({ log: quiet });
  t.teardown(() => kernel.stop());
  const clock = BootClock.now();
  const before = Date.now();
  // Twice round the ring, so that its memory is used.
  for (let i = 0; i < 20; i++) {
    producer.run({ records: 1000, shape: 'small' });
    kernel.events.drain(() => {});
  }
  producer.run({ records: 8, flows: 8, first: 2 ** 40 });
  const records: ReturnType<typeof decodeXctlTcp>[] = [];
  kernel.events.drain((view, at) => void records.push(decodeXctlTcp(view, at)));
  const record = records[7];
  if (record === undefined) throw new Error('no record');
  t.match(record, {
    hdr: { pid: 1007, kind: XctlKind.TCP_STATE, size: XctlTcpLayout.sizeBytes },
    flow: { cookie: 8, family: 2, lport: 20007, rport: 29500 },
    owner: { lastPid: 1007, comm: 'producer', lastStartNs: 1007e9 },
    tcp: { bytesAcked: 2 ** 40 + 7, packetsOut: 7, unackedBytes: 7 * 1448, skErr: 0 },
  });
  t.same([...record.flow.raddr].slice(0, 5), [10, 0, 0, 7, 0]);
  const ms = clock.toEpochMs(record.hdr.tsNs);
  t.ok(ms >= before - 5 && ms <= Date.now() + 5, 'its time is now');
});

t.test('a full ring: produced = consumed + lost, exactly, in both rings', async (t) => {
  const { kernel, producer } = await openProducer({
    log: quiet,
    eventsBytes: 64 * 1024,
    criticalBytes: 16 * 1024,
  });
  t.teardown(() => kernel.stop());
  const poller = new Poller({ source: kernel, log: quiet });
  let produced = 0;
  let refused = 0;
  for (const shape of ['tcp', 'small', 'critical', 'tcp', 'critical'] as const) {
    const made = producer.run({ records: 5000, shape, flows: 7 });
    produced += made.submitted + made.refused;
    refused += made.refused;
    poller.drainAll();
  }
  const { lost, unhandled } = poller.stats();
  const consumed = (unhandled.tcp_state ?? 0) + (unhandled.wait_same ?? 0);
  t.ok(refused > 0);
  t.equal((lost.events_full ?? 0) + (lost.critical_full ?? 0), refused);
  t.ok((lost.critical_full ?? 0) > 0 && (lost.events_full ?? 0) > 0);
  t.equal(consumed + refused, produced);
  t.equal(produced, 25_000);
});

t.test('the same with the producer in another process, while we read', async (t) => {
  const { kernel, producer } = await openProducer({ log: quiet, eventsBytes: 256 * 1024 });
  t.teardown(() => kernel.stop());
  const poller = new Poller({ source: kernel, log: quiet, restMs: 5 });
  let consumed = 0;
  poller.on(XctlKind.TCP_STATE, () => {
    consumed++;
  });
  poller.start();
  const { submitted, refused } = await producer.start({ seconds: 0.5, flows: 100 }).done;
  poller.stop();
  t.ok(submitted > 0);
  t.equal(consumed, submitted);
  t.equal(kernel.lost().events_full, refused);
});

t.test(
  'handlers: errors are counted, unknown kinds and malformed records too, none stops the rest',
  async (t) => {
    const { kernel, producer } = await openProducer({ log: quiet });
    t.teardown(() => kernel.stop());
    const lines: string[] = [];
    const poller = new Poller({ source: kernel, log: createLog('error', (line) => void lines.push(line)) });
    let batches = 0;
    const counting = new Poller({ source: kernel, log: quiet, onBatch: (n) => (batches += n) });
    poller.on(XctlKind.TCP_STATE, () => {
      throw new Error('handler');
    });
    t.throws(() => poller.on(XctlKind.TCP_STATE, () => {}), { message: /has a handler already/ });
    t.throws(() => poller.on(0, () => {}), { message: /out of range/ });
    t.throws(() => poller.on(256, () => {}), { message: /out of range/ });
    producer.run({ records: 100 });
    producer.run({ records: 10, shape: 'critical' });
    t.equal(poller.drain(), 110);
    t.match(poller.stats(), {
      handlerErrors: 100,
      unhandled: { wait_same: 10 },
      records: { tcp_state: 100 },
    });
    t.equal(kernel.events.errors, 0, 'the poller has them, not the ring');
    t.equal(lines.length, 7, 'the log has the first of each power of two');
    producer.run({ records: 3 });
    counting.drain();
    t.equal(batches, 3);
  },
);

t.test('the timer drains by itself', async (t) => {
  const { kernel, producer } = await openProducer({ log: quiet });
  t.teardown(() => kernel.stop());
  const poller = new Poller({ source: kernel, log: quiet });
  poller.start();
  poller.start();
  producer.run({ records: 1000, shape: 'small' });
  await until(() => (poller.stats().unhandled.wait_same === 1000 ? true : undefined), {
    timeoutMs: 10_000,
    what: '1000 records',
  });
  producer.run({ records: 5, shape: 'critical' });
  poller.stop();
  poller.stop();
  t.equal(poller.stats().unhandled.wait_same, 1005, 'what was left is taken by stop()');
});

t.test('steady state: no new pointer, no memory that stays', async (t) => {
  setFlagsFromString('--expose-gc');
  const gc: () => void = runInNewContext('gc');
  const { kernel, producer } = await openProducer({ log: quiet });
  t.teardown(() => kernel.stop());
  const poller = new Poller({ source: kernel, log: quiet });
  let sum = 0;
  poller.on(XctlKind.WAIT_SAME, (view, at) => {
    sum = (sum + view.getUint32(at + XctlHdrLayout.pid, true)) | 0;
  });
  const second = (): void => {
    for (let i = 0; i < 20; i++) {
      producer.run({ records: 2000, shape: 'small' });
      poller.drain();
      poller.stats();
    }
  };
  second();
  gc();
  const before = process.memoryUsage();
  for (let i = 0; i < 10; i++) second();
  gc();
  const after = process.memoryUsage();
  // One new address would be 1 GiB of it.
  t.ok(
    Math.abs(after.external - before.external) < 1024 * 1024,
    `external ${before.external} → ${after.external}`,
  );
  t.ok(after.heapUsed - before.heapUsed < 4 * 1024 * 1024, `heap ${before.heapUsed} → ${after.heapUsed}`);
  t.equal(poller.stats().records.wait_same, 440_000);
  t.not(sum, 0);
});

t.test('what a program costs is measured while somebody asks', async (t) => {
  const { kernel, producer } = await openProducer({ log: quiet });
  t.teardown(() => kernel.stop());
  const meter = new RunTimeMeter(kernel.bpf);
  t.teardown(() => meter.stop());
  producer.run({ records: 100 });
  const [idle] = programRunStats(kernel.objects);
  meter.touch();
  meter.touch();
  t.ok(meter.measuring);
  producer.run({ records: 1000 });
  producer.run({ records: 1000 });
  const [busy] = programRunStats(kernel.objects);
  t.match(busy, { object: 'producer', slot: 'produce', rung: 'other', missed: 0 });
  t.equal((busy?.runs ?? 0) - (idle?.runs ?? 0), 2);
  t.ok((busy?.runTimeSeconds ?? 0) > (idle?.runTimeSeconds ?? 0));
  meter.stop();
  t.notOk(meter.measuring);
  t.same(parseFdInfo('prog_type:\t26\nrun_time_ns:\t1500000000\nrun_cnt:\t3\nrecursion_misses:\t2\n'), {
    runTimeSeconds: 1.5,
    runs: 3,
    missed: 2,
  });
});
