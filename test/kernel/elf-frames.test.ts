/** Where functions of a stripped library begin, and which build it is. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ElfError, functionOffsets, type ReadAt } from '../../src/kernel/elf.js';
import { beginsFunction, buildIdOf } from '../../src/kernel/elf-frames.js';
import { OWN_PREFIX } from '../lib/owner.js';
import { fc } from '../lib/property.js';

const SOURCE = `
int one(int n) { return n < 2 ? n : one(n - 1) + one(n - 2); }
int two(int n) { volatile int k = n; return k * 3; }
`;

function library(t: Test, ...flags: readonly string[]): string {
  const dir = mkdtempSync(join(tmpdir(), OWN_PREFIX));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const source = join(dir, 'two.c');
  const to = join(dir, 'libtwo.so');
  writeFileSync(source, SOURCE);
  execFileSync('gcc', ['-O1', '-shared', '-fPIC', '-o', to, source, ...flags]);
  execFileSync('strip', [to]);
  return to;
}

async function reading(t: Test, path: string): Promise<ReadAt> {
  const handle = await open(path, 'r');
  t.teardown(() => handle.close());
  return async (offset, sizeBytes) => {
    const buffer = Buffer.alloc(sizeBytes);
    const { bytesRead } = await handle.read(buffer, 0, sizeBytes, offset);
    return buffer.subarray(0, bytesRead);
  };
}

t.test('a function begins where it does, and nowhere else', async (t) => {
  const read = await reading(t, library(t));
  const offsets = await functionOffsets(read, new Set(['one', 'two']));
  t.equal(offsets.size, 2);
  for (const [name, offset] of offsets) {
    t.equal(await beginsFunction(read, offset), true, name);
    for (const amid of [1, 2, 3, 5])
      t.equal(await beginsFunction(read, offset + amid), false, `${name}+${amid}`);
  }
  t.equal(await beginsFunction(read, 0), false, 'no code');
  t.equal(await beginsFunction(read, 1e9), false, 'beyond the file');
});

t.test('the build id is that of the linker', async (t) => {
  const id = '0123456789abcdef0123456789abcdef01234567';
  t.equal(await buildIdOf(await reading(t, library(t, `-Wl,--build-id=0x${id}`))), id);
  t.equal(await buildIdOf(await reading(t, library(t, '-Wl,--build-id=none'))), undefined);
});

t.test('a library without unwind tables tells nothing', async (t) => {
  const read = await reading(
    t,
    library(t, '-fno-asynchronous-unwind-tables', '-fno-unwind-tables', '-Wl,--no-eh-frame-hdr'),
  );
  const offset = (await functionOffsets(read, new Set(['one']))).get('one') ?? 0;
  await t.rejects(beginsFunction(read, offset), ElfError);
});

t.test('a file that lies: an answer or an ElfError, whatever its bytes are', async (t) => {
  const path = library(t);
  const handle = await open(path, 'r');
  t.teardown(() => handle.close());
  const whole = await handle.readFile();
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 8 }),
      async (edits) => {
        const bytes = Buffer.from(whole);
        // Mostly where the tables are.
        for (const [at, value] of edits) bytes[value % 2 === 0 ? at % 1_024 : at] = value;
        const read: ReadAt = async (offset, sizeBytes) => bytes.subarray(offset, offset + sizeBytes);
        try {
          await beginsFunction(read, 0x1100);
          await buildIdOf(read);
        } catch (error) {
          return error instanceof ElfError;
        }
        return true;
      },
    ),
  );
  t.pass();
});
