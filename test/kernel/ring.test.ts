/** The walk over memory made by hand: every wrap, discard and busy record that fast-check finds. */
import assert from 'node:assert/strict';
import t from 'tap';
import type { Mapping } from '../../src/ffi/libc.js';
import { Ring } from '../../src/kernel/ring.js';
import { fc, runs } from '../lib/property.js';

const PAGE = 64;
const SIZE = 512;

function mapping(bytes: Buffer): Mapping & { unmapped: boolean } {
  const m = {
    bytes,
    sizeBytes: bytes.length,
    unmapped: false,
    unmap: () => {
      m.unmapped = true;
    },
  };
  return m;
}

/** The kernel's side: reserves, commits, discards, as kernel/bpf/ringbuf.c does. */
class FakeRing {
  readonly consumer = mapping(Buffer.from(new ArrayBuffer(PAGE)));
  readonly producer = mapping(Buffer.from(new ArrayBuffer(PAGE + 2 * SIZE)));
  #position: bigint;

  constructor(start: bigint) {
    this.#position = start;
    this.consumer.bytes.writeBigUInt64LE(start);
    this.producer.bytes.writeBigUInt64LE(start);
  }

  ring(): Ring {
    return new Ring({ consumer: this.consumer, producer: this.producer, pageBytes: PAGE, dataBytes: SIZE });
  }

  get consumed(): bigint {
    return this.consumer.bytes.readBigUInt64LE();
  }

  get position(): bigint {
    return this.#position;
  }

  /** @returns where the header is, or undefined when there is no room. */
  reserve(payload: Uint8Array): number | undefined {
    const step = BigInt((payload.length + 8 + 7) & ~7);
    if (this.#position + step - this.consumed > BigInt(SIZE)) return undefined;
    const at = Number(this.#position % BigInt(SIZE));
    this.#writeHeader(at, (payload.length | 0x8000_0000) >>> 0);
    for (const [i, byte] of payload.entries()) this.#write(at + 8 + i, byte);
    this.#position += step;
    this.producer.bytes.writeBigUInt64LE(this.#position);
    return at;
  }

  commit(at: number, length: number, discard: boolean): void {
    this.#writeHeader(at, discard ? length | 0x4000_0000 : length);
  }

  #writeHeader(at: number, value: number): void {
    for (let i = 0; i < 4; i++) this.#write(at + i, (value >>> (8 * i)) & 0xff);
  }

  // The data pages are mapped twice.
  #write(at: number, byte: number): void {
    const low = at % SIZE;
    this.producer.bytes[PAGE + low] = byte;
    this.producer.bytes[PAGE + SIZE + low] = byte;
  }
}

const record = fc.record({
  payload: fc.uint8Array({ minLength: 1, maxLength: 120 }),
  fate: fc.constantFrom('submit', 'discard', 'later'),
});
// Near the places where the halves of the position carry.
const start = fc
  .tuple(
    fc.constantFrom(0n, 2n ** 31n, 2n ** 32n, 5n * 2n ** 32n, 2n ** 52n),
    fc.integer({ min: 0, max: 63 }),
  )
  .map(([base, back]) => (base > 512n ? base - 8n * BigInt(back) : 8n * BigInt(back)));

t.test('what goes in comes out, in order, and the space is given back', async (t) => {
  fc.assert(
    fc.property(
      start,
      fc.array(fc.array(record, { maxLength: 12 }), { maxLength: 12 }),
      (position, batches) => {
        const fake = new FakeRing(position);
        const ring = fake.ring();
        const expected: string[] = [];
        const got: string[] = [];
        for (const batch of batches) {
          const open: { at: number; length: number }[] = [];
          for (const { payload, fate } of batch) {
            const at = fake.reserve(payload);
            if (at === undefined) continue;
            if (fate === 'later') open.push({ at, length: payload.length });
            else fake.commit(at, payload.length, fate === 'discard');
            if (fate !== 'discard') expected.push(Buffer.from(payload).toString('hex'));
          }
          const take = (view: DataView, at: number, size: number): void => {
            got.push(Buffer.from(view.buffer, view.byteOffset + at, size).toString('hex'));
          };
          // Stops at the first record that is still being written …
          ring.drain(take);
          if (open.length > 0 && fake.consumed === fake.position) throw new Error('read past a busy record');
          for (const { at, length } of open) fake.commit(at, length, false);
          // … and goes on from there.
          ring.drain(take);
          if (fake.consumed !== fake.position) throw new Error('space was not given back');
          if (ring.pendingBytes !== 0) throw new Error('something is pending');
        }
        assert.deepEqual(got, expected);
      },
    ),
    { numRuns: runs(300) },
  );
  t.pass();
});

function filled(count: number): { fake: FakeRing; ring: Ring } {
  const fake = new FakeRing(0n);
  const ring = fake.ring();
  for (let i = 0; i < count; i++) fake.commit(fake.reserve(Uint8Array.of(i)) ?? 0, 1, false);
  return { fake, ring };
}

t.test('a handler that throws loses its record and no other', async (t) => {
  const { fake, ring } = filled(10);
  const seen: number[] = [];
  const given = ring.drain((view, at) => {
    const n = view.getUint8(at);
    if (n % 3 === 0) throw new Error(`record ${n}`);
    seen.push(n);
  });
  t.equal(given, 10);
  t.same(seen, [1, 2, 4, 5, 7, 8]);
  t.equal(ring.errors, 4);
  t.match(ring.lastError, { message: 'record 9' });
  t.equal(fake.consumed, fake.position);
});

t.test('maxRecords ends a batch; the next one goes on', async (t) => {
  const { ring } = filled(10);
  const seen: number[] = [];
  const take = (view: DataView, at: number): void => void seen.push(view.getUint8(at));
  t.equal(ring.drain(take, 4), 4);
  t.equal(ring.drain(take, 4), 4);
  t.equal(ring.drain(take, 4), 2);
  t.same(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

t.test('space is given back while a long batch is still read', async (t) => {
  const { fake, ring } = filled(32);
  const positions: bigint[] = [];
  ring.drain(() => void positions.push(fake.consumed));
  t.ok((positions.at(-1) ?? 0n) >= 256n);
});

t.test('a handler may stop the ring or drain it again', async (t) => {
  const { fake, ring } = filled(5);
  let seen = 0;
  ring.drain(() => {
    seen++;
    t.equal(
      ring.drain(() => seen++),
      0,
      'no record is given twice',
    );
    ring.stop();
    t.notOk(fake.producer.unmapped, 'not while it is read');
  });
  t.equal(seen, 5);
  t.ok(fake.producer.unmapped && fake.consumer.unmapped);
  t.equal(
    ring.drain(() => seen++),
    0,
  );
  t.equal(ring.pendingBytes, 0);
  ring.stop();
});
