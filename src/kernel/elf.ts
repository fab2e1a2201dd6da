/**
 * Where functions are in a shared library: its .dynsym, read in a few pieces. The file is whatever a process has
 * mapped under the name of a library, so every number in it is checked before it is used, and every table is bounded.
 */
import { endianness } from 'node:os';
import { XctlError } from '../util/errors.js';

/** The file is no shared library of this machine, or not one that can be read. */
export class ElfError extends XctlError {
  override readonly name = 'ElfError';
}

/** Bytes of the file; fewer where it ends. */
export type ReadAt = (offset: number, sizeBytes: number) => Promise<Buffer>;

const HEADER_BYTES = 64;
const SECTION_BYTES = 64;
const SEGMENT_BYTES = 56;
const SYMBOL_BYTES = 24;
const MAX_SECTIONS = 4_096;
const MAX_SEGMENTS = 512;
/** libcuda has some 2,000. */
const MAX_SYMBOLS = 1 << 18;
const MAX_NAMES_BYTES = 16 * 1024 * 1024;
/** What is looked for is shorter. */
const MAX_NAME_BYTES = 64;
/** Beyond 2^53 no file is. */
const MAX_OFFSET = 2 ** 53;

const ELFCLASS64 = 2;
const ELFDATA2LSB = 1;
const ET_EXEC = 2;
const ET_DYN = 3;
const SHT_DYNSYM = 11;
const PT_LOAD = 1;
const PF_X = 1;
const STT_FUNC = 2;
const MACHINES: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };

/** A program header. */
export interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly sizeBytes: number;
}

/**
 * @param wanted names of functions
 * @returns their offsets in the file; those that it does not export are left out
 * @throws ElfError
 */
export async function functionOffsets(
  read: ReadAt,
  wanted: ReadonlySet<string>,
): Promise<ReadonlyMap<string, number>> {
  const header = await readHeader(read);
  const segments = executed(await readSegments(read, header));
  const { symbols, names } = await dynamicSymbols(read, header);
  const found = new Map<string, number>();
  for (let at = 0; at + SYMBOL_BYTES <= symbols.length; at += SYMBOL_BYTES) {
    const type = symbols.readUInt8(at + 4) & 0xf;
    // An undefined one is somebody else's; what an IFUNC points to is not what is called.
    if (type !== STT_FUNC || symbols.readUInt16LE(at + 6) === 0) continue;
    const name = nameAt(names, symbols.readUInt32LE(at), wanted);
    if (name === undefined || found.has(name)) continue;
    const offset = offsetOf(segments, u64(symbols, at + 8));
    if (offset !== undefined) found.set(name, offset);
  }
  return found;
}

/** @throws ElfError when it is no shared library of this machine */
export async function readHeader(read: ReadAt): Promise<Buffer> {
  const header = await exactly(read, 0, HEADER_BYTES, 'header');
  if (header.readUInt32BE(0) !== 0x7f454c46) throw new ElfError('no ELF file');
  if (header[4] !== ELFCLASS64 || header[5] !== ELFDATA2LSB || endianness() !== 'LE')
    throw new ElfError('not of 64 bits, little endian');
  const type = header.readUInt16LE(16);
  if (type !== ET_DYN && type !== ET_EXEC) throw new ElfError('no shared library');
  if (header.readUInt16LE(18) !== MACHINES[process.arch]) throw new ElfError('of another kind of machine');
  return header;
}

export async function readSegments(read: ReadAt, header: Buffer): Promise<readonly Segment[]> {
  const count = header.readUInt16LE(56);
  if (header.readUInt16LE(54) !== SEGMENT_BYTES || count > MAX_SEGMENTS)
    throw new ElfError('its program headers are not in order');
  const table = await exactly(read, u64(header, 32), count * SEGMENT_BYTES, 'program headers');
  const segments: Segment[] = [];
  for (let at = 0; at < table.length; at += SEGMENT_BYTES) {
    segments.push({
      type: table.readUInt32LE(at),
      flags: table.readUInt32LE(at + 4),
      offset: u64(table, at + 8),
      address: u64(table, at + 16),
      sizeBytes: u64(table, at + 32),
    });
  }
  return segments;
}

/** Those with code. */
export function executed(segments: readonly Segment[]): readonly Segment[] {
  return segments.filter(({ type, flags }) => type === PT_LOAD && (flags & PF_X) !== 0);
}

async function dynamicSymbols(
  read: ReadAt,
  header: Buffer,
): Promise<{ readonly symbols: Buffer; readonly names: Buffer }> {
  const count = header.readUInt16LE(60);
  if (count === 0) throw new ElfError('it has no section headers');
  if (header.readUInt16LE(58) !== SECTION_BYTES || count > MAX_SECTIONS)
    throw new ElfError('its section headers are not in order');
  const table = await exactly(read, u64(header, 40), count * SECTION_BYTES, 'section headers');
  for (let at = 0; at < table.length; at += SECTION_BYTES) {
    if (table.readUInt32LE(at + 4) !== SHT_DYNSYM) continue;
    const link = table.readUInt32LE(at + 40);
    if (link >= count) break;
    const sizeBytes = u64(table, at + 32);
    const namesBytes = u64(table, link * SECTION_BYTES + 32);
    if (sizeBytes > MAX_SYMBOLS * SYMBOL_BYTES || namesBytes > MAX_NAMES_BYTES)
      throw new ElfError('its symbol table is too large');
    return {
      symbols: await exactly(read, u64(table, at + 24), sizeBytes, 'symbols'),
      names: await exactly(read, u64(table, link * SECTION_BYTES + 24), namesBytes, 'names'),
    };
  }
  throw new ElfError('it has no dynamic symbols');
}

/** The wanted name that begins at `at`. */
function nameAt(names: Buffer, at: number, wanted: ReadonlySet<string>): string | undefined {
  if (at >= names.length) return undefined;
  const end = names.indexOf(0, at);
  if (end === -1 || end - at > MAX_NAME_BYTES) return undefined;
  const name = names.toString('latin1', at, end);
  return wanted.has(name) ? name : undefined;
}

/** Where in the file the code at an address is: only in what is executed. */
function offsetOf(segments: readonly Segment[], address: number): number | undefined {
  for (const segment of segments) {
    if (address >= segment.address && address < segment.address + segment.sizeBytes)
      return address - segment.address + segment.offset;
  }
  return undefined;
}

function u64(from: Buffer, at: number): number {
  const value = from.readUInt32LE(at) + from.readUInt32LE(at + 4) * 0x1_0000_0000;
  if (value >= MAX_OFFSET) throw new ElfError('a number in it is out of range');
  return value;
}

/** @throws ElfError when the file ends before */
export async function exactly(
  read: ReadAt,
  offset: number,
  sizeBytes: number,
  what: string,
): Promise<Buffer> {
  const bytes = await read(offset, sizeBytes);
  if (bytes.length < sizeBytes) throw new ElfError(`its ${what} are cut off`);
  return bytes;
}
