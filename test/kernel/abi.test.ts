import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import type { AbiField } from '../../src/kernel/abi-read.js';
import * as abi from '../../src/kernel/abi.generated.js';
import { ROOT } from '../lib/root.js';
import { fc, runs } from '../lib/property.js';

type StructName = keyof typeof abi.abiStructs;
const NAMES = Object.keys(abi.abiStructs) as StructName[];

function isStruct(name: string): name is StructName {
  return name in abi.abiStructs;
}

/** A value of the field, as the decoder gives it. */
function fieldValue(field: AbiField): fc.Arbitrary<unknown> {
  switch (field.code) {
    case 'u8':
      return fc.integer({ min: 0, max: 0xff });
    case 'u16':
      return fc.integer({ min: 0, max: 0xffff });
    case 'u32':
      return fc.integer({ min: 0, max: 0xffff_ffff });
    case 'u64':
      return fc.maxSafeNat();
    case 's8':
      return fc.integer({ min: -0x80, max: 0x7f });
    case 's16':
      return fc.integer({ min: -0x8000, max: 0x7fff });
    case 's32':
      return fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
    case 'text':
      return textOf(field, /\0/g);
    case 'words':
      return textOf(field, /\0+$/);
    case 'bytes':
      return fc.uint8Array({ minLength: field.length ?? 0, maxLength: field.length ?? 0 });
    case 'u32s':
      return listOf(field, fc.integer({ min: 0, max: 0xffff_ffff }));
    case 'u64s':
      return listOf(field, fc.maxSafeNat());
    case 'struct':
      return recordOf(field.struct ?? '');
  }
}

function listOf(field: AbiField, one: fc.Arbitrary<number>): fc.Arbitrary<number[]> {
  const length = field.length ?? 0;
  return fc.array(one, { minLength: length, maxLength: length });
}

function textOf(field: AbiField, without: RegExp): fc.Arbitrary<string> {
  return fc
    .string({ unit: 'binary', maxLength: field.length ?? 0 })
    .map((s) => s.replace(without, ''))
    .filter((s) => Buffer.byteLength(s) <= (field.length ?? 0));
}

function recordOf(name: string): fc.Arbitrary<Readonly<Record<string, unknown>>> {
  if (!isStruct(name)) throw new Error(`no struct ${name}`);
  return fc.record(Object.fromEntries(abi.abiStructs[name].fields.map((f) => [f.name, fieldValue(f)])), {
    noNullPrototype: true,
  });
}

/** The kernel's side of it, written from the table and not from the decoder. */
function encode(name: string, value: Readonly<Record<string, unknown>>, bytes: Buffer, at: number): void {
  if (!isStruct(name)) throw new Error(`no struct ${name}`);
  for (const field of abi.abiStructs[name].fields) {
    const to = at + field.offset;
    const v = value[field.name];
    if (field.code === 'struct')
      encode(field.struct ?? '', v as Readonly<Record<string, unknown>>, bytes, to);
    else if (field.code === 'text' || field.code === 'words') bytes.write(String(v), to, 'utf8');
    else if (field.code === 'bytes') bytes.set(v as Uint8Array, to);
    else if (field.code === 'u32s')
      (v as number[]).forEach((n, i) => void bytes.writeUInt32LE(n, to + 4 * i));
    else if (field.code === 'u64s')
      (v as number[]).forEach((n, i) => void bytes.writeBigUInt64LE(BigInt(n), to + 8 * i));
    else if (field.code === 'u64') bytes.writeBigUInt64LE(BigInt(v as number), to);
    else if (field.code.startsWith('u')) bytes.writeUIntLE(v as number, to, Number(field.code.slice(1)) / 8);
    else bytes.writeIntLE(v as number, to, Number(field.code.slice(1)) / 8);
  }
}

const DECODERS: Readonly<Record<string, unknown>> = abi;

t.test('every decoder reads back what was written, wherever it lies', async (t) => {
  for (const name of NAMES) {
    const decode = DECODERS[`decode${name}`];
    if (typeof decode !== 'function') throw new Error(`no decoder of ${name}`);
    const { sizeBytes } = abi.abiStructs[name];
    fc.assert(
      fc.property(recordOf(name), fc.integer({ min: 0, max: 64 }), (value, at) => {
        const bytes = Buffer.alloc(sizeBytes + 128);
        encode(name, value, bytes, at);
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        assert.deepEqual(decode(view, at), value);
      }),
      { numRuns: runs(40) },
    );
    t.pass(name);
  }
});

t.test('any bytes decode to something: a hostile comm is text, not a crash', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 512, maxLength: 512 }), (bytes) => {
      const { comm } = abi.decodeXctlWait(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0);
      return typeof comm === 'string' && !comm.includes('\0') && comm.length <= 16;
    }),
  );
  t.pass();
});

t.test('what is decoded is a copy', async (t) => {
  const bytes = Buffer.alloc(abi.XctlFlowLayout.sizeBytes, 1);
  const flow = abi.decodeXctlFlow(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0);
  bytes.fill(2);
  t.equal(flow.laddr[0], 1);
});

t.test('the committed file is what the header gives', async (t) => {
  execFileSync(process.execPath, [join(ROOT, 'scripts/gen-abi.mjs'), '--check'], { stdio: 'pipe' });
  t.equal(abi.XctlKind.TCP_RETRANSMIT, 18);
  t.equal(abi.XctlKindNames[18], 'tcp_retransmit');
  t.equal(abi.XctlTcpLayout.flow, abi.XctlHdrLayout.sizeBytes);
});
