/**
 * What a stripped library still tells of its functions: where each begins, by the index of its unwind tables
 * (.eh_frame_hdr), and which build it is, by its build id. Whoever is told an address by somebody he does not trust
 * asks here first: a breakpoint amid an instruction is the end of everybody who executes that file.
 */
import { ElfError, exactly, executed, type ReadAt, readHeader, readSegments, type Segment } from './elf.js';

const PT_NOTE = 4;
const PT_GNU_EH_FRAME = 0x6474e550;
const NT_GNU_BUILD_ID = 3;
const NAME_GNU = 'GNU\0';
const MAX_NOTES_BYTES = 64 * 1024;
const MAX_ID_BYTES = 64;
/** Functions of one library; libmlx5 has some 2,000. */
const MAX_FRAMES = 1 << 20;
const INDEX_HEADER_BYTES = 12;
/** DW_EH_PE_sdata4 | DW_EH_PE_pcrel, DW_EH_PE_udata4, DW_EH_PE_datarel | DW_EH_PE_sdata4: what every linker writes. */
const ENCODINGS = [0x1b, 0x03, 0x3b] as const;
const ENTRY_BYTES = 8;

/**
 * Whether a function, or a part that the compiler moved away from one, begins at `offset` of the file.
 * @throws ElfError when the file does not tell
 */
export async function beginsFunction(read: ReadAt, offset: number): Promise<boolean> {
  const segments = await readSegments(read, await readHeader(read));
  const code = executed(segments).find((one) => offset >= one.offset && offset < one.offset + one.sizeBytes);
  if (code === undefined) return false;
  const index = segments.find(({ type }) => type === PT_GNU_EH_FRAME);
  if (index === undefined) throw new ElfError('it has no index of its functions');
  // Places in the index are relative to its own.
  return isIndexed(await frameIndex(read, index), offset - code.offset + code.address - index.address);
}

/** Hexadecimal; undefined when it has none. @throws ElfError */
export async function buildIdOf(read: ReadAt): Promise<string | undefined> {
  const segments = await readSegments(read, await readHeader(read));
  for (const { type, offset, sizeBytes } of segments) {
    if (type !== PT_NOTE || sizeBytes > MAX_NOTES_BYTES) continue;
    const notes = await exactly(read, offset, sizeBytes, 'notes');
    const id = buildIdIn(notes);
    if (id !== undefined) return id;
  }
  return undefined;
}

/** The sorted table: where a function begins and where its entry is, four bytes each. */
async function frameIndex(read: ReadAt, { offset }: Segment): Promise<Buffer> {
  const header = await exactly(read, offset, INDEX_HEADER_BYTES, 'index of functions');
  if (header[0] !== 1 || ENCODINGS.some((encoding, i) => header[i + 1] !== encoding))
    throw new ElfError('the index of its functions is of another kind');
  const count = header.readUInt32LE(8);
  if (count > MAX_FRAMES) throw new ElfError('the index of its functions is too large');
  return exactly(read, offset + INDEX_HEADER_BYTES, count * ENTRY_BYTES, 'index of functions');
}

function isIndexed(table: Buffer, place: number): boolean {
  let low = 0;
  let high = table.length / ENTRY_BYTES - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const at = table.readInt32LE(middle * ENTRY_BYTES);
    if (at === place) return true;
    if (at < place) low = middle + 1;
    else high = middle - 1;
  }
  return false;
}

function buildIdIn(notes: Buffer): string | undefined {
  for (let at = 0; at + 12 <= notes.length; ) {
    const nameBytes = notes.readUInt32LE(at);
    const idBytes = notes.readUInt32LE(at + 4);
    const type = notes.readUInt32LE(at + 8);
    const name = at + 12;
    const id = name + padded(nameBytes);
    const end = id + padded(idBytes);
    if (end > notes.length) return undefined;
    const isGnu = notes.toString('latin1', name, name + nameBytes) === NAME_GNU;
    if (type === NT_GNU_BUILD_ID && isGnu && idBytes > 0 && idBytes <= MAX_ID_BYTES)
      return notes.toString('hex', id, id + idBytes);
    at = end;
  }
  return undefined;
}

function padded(sizeBytes: number): number {
  return Math.ceil(sizeBytes / 4) * 4;
}
