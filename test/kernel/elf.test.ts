/** Function offsets out of shared libraries: what the compiler made, and what nobody should have made. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import t from 'tap';
import { ElfError, functionOffsets, type ReadAt } from '../../src/kernel/elf.js';
import { builtDouble } from '../nccl/doubles.js';
import { fc, runs } from '../lib/property.js';

const run = promisify(execFile);
const WANTED = new Set([
  'ncclAllReduce',
  'ncclReduce',
  'ncclCommInitRank',
  'ncclNoSuchFunction',
  'getrandom',
]);

/** What was read of it is counted: nobody may make it read more than the tables that it may have. */
function reader(file: Buffer): { readonly read: ReadAt; readonly asked: number[] } {
  const asked: number[] = [];
  return {
    asked,
    read: (offset, sizeBytes) => {
      asked.push(sizeBytes);
      return Promise.resolve(
        file.subarray(Math.min(offset, file.length), Math.min(offset + sizeBytes, file.length)),
      );
    },
  };
}

t.test('offsets are those of the functions that the library exports', async (t) => {
  const path = await builtDouble('libnccl.so.2');
  const found = await functionOffsets(reader(readFileSync(path)).read, WANTED);
  const { stdout } = await run('objdump', ['-T', path]);
  for (const name of ['ncclAllReduce', 'ncclReduce', 'ncclCommInitRank']) {
    const address = new RegExp(`^([0-9a-f]+) .*\\.text.* ${name}$`, 'm').exec(stdout)?.[1];
    if (address === undefined) throw new Error(`objdump shows no ${name}`);
    // The text segment of this library lies where it is in the file.
    t.equal(found.get(name), Number.parseInt(address, 16), name);
  }
  t.notOk(found.has('ncclNoSuchFunction'));
  t.notOk(found.has('getrandom'), 'what it only uses is not its own');
});

t.test('what is no library of this machine is refused in words', async (t) => {
  const good = readFileSync(await builtDouble('libnccl.so.2'));
  const broken = (change: (file: Buffer) => void): Buffer => {
    const file = Buffer.from(good);
    change(file);
    return file;
  };
  const cases: readonly (readonly [string, Buffer, RegExp])[] = [
    ['empty', Buffer.alloc(0), /header are cut off|header is cut off/],
    ['text', Buffer.from('#!/bin/sh\n'.repeat(20)), /no ELF/],
    ['32 bits', broken((file) => file.writeUInt8(1, 4)), /64 bits/],
    ['an object file', broken((file) => file.writeUInt16LE(1, 16)), /no shared library/],
    ['another machine', broken((file) => file.writeUInt16LE(8, 18)), /another kind of machine/],
    ['no sections', broken((file) => file.writeUInt16LE(0, 60)), /no section headers/],
    ['cut in half', good.subarray(0, good.length / 2), /cut off/],
  ];
  for (const [name, file, words] of cases) {
    const error: unknown = await functionOffsets(reader(file).read, WANTED).catch((e: unknown) => e);
    t.ok(error instanceof ElfError, name);
    t.match(error, { message: words }, name);
  }
});

t.test('bytes changed at random give offsets inside the file, or an ElfError', async (t) => {
  const good = readFileSync(await builtDouble('libnccl.so.2'));
  const headers = good.readUInt32LE(40);
  // Where it matters: the header, the program headers, the section headers.
  const at = fc.oneof(fc.nat(1_023), fc.integer({ min: headers, max: good.length - 1 }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(at, fc.nat(255)), { minLength: 1, maxLength: 12 }),
      async (changes) => {
        const file = Buffer.from(good);
        for (const [offset, byte] of changes) file[offset] = byte;
        const { read, asked } = reader(file);
        try {
          const found = await functionOffsets(read, WANTED);
          for (const offset of found.values()) if (!(offset >= 0 && offset < 2 ** 53)) return false;
        } catch (error) {
          if (!(error instanceof ElfError)) throw error;
        }
        return asked.every((sizeBytes) => sizeBytes <= 16 * 1024 * 1024);
      },
    ),
    { numRuns: runs(500) },
  );
  t.pass();
});
