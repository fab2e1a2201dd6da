/**
 * The very file that a process executes, whatever its path leads to by now, and probes in it. Probes in a file work in
 * every process that maps it, now and later.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { ReadAt } from '../kernel/elf.js';
import type { LoadedObject, UprobeLink, UprobePlaces } from '../kernel/program.js';
import { errnoOf, NativeError, XctlError } from '../util/errors.js';
import type { MappedFile } from './uprobe-maps.js';

/** Not blocked by a pipe that has the name of a library. */
const HOW = constants.O_RDONLY | constants.O_NONBLOCK;

/**
 * By the mapping, which leads to the very file: no path is walked, so that no dead mount in it matters, and a file
 * that was replaced meanwhile is still the one that is executed.
 */
export async function openMapped(
  pid: number | 'self',
  { key, range, path }: MappedFile,
): Promise<FileHandle> {
  try {
    return await open(`/proc/${pid}/map_files/${range}`, HOW);
  } catch (error) {
    // Without CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN.
    if (errnoOf(error) !== 'EPERM' && errnoOf(error) !== 'EACCES') throw error;
  }
  const handle = await open(`/proc/${pid}/root${path}`, HOW);
  const { ino } = await handle.stat();
  if (key.endsWith(`/${ino}`)) return handle;
  await handle.close();
  throw new XctlError('its path leads to another file by now');
}

export function readerOf(handle: FileHandle): ReadAt {
  return async (offset, sizeBytes) => {
    const buffer = Buffer.alloc(sizeBytes);
    const { bytesRead } = await handle.read(buffer, 0, sizeBytes, offset);
    return buffer.subarray(0, bytesRead);
  };
}

/** The path of an open file, for the kernel: the file itself, whatever its name leads to. */
export function pathOf(handle: FileHandle): string {
  return `/proc/self/fd/${handle.fd}`;
}

/** Attaches the programs of one object, with cookies where the kernel knows them (5.15). */
export class Uprobes {
  readonly #object: LoadedObject;
  /** The kernel knows no cookies: a file under two names counts twice. */
  #noCookies = false;

  constructor(object: LoadedObject) {
    this.#object = object;
  }

  async attach(slot: string, places: UprobePlaces): Promise<UprobeLink> {
    if (this.#noCookies) return this.#object.attachUprobe(slot, { ...places, cookie: 0 });
    try {
      return await this.#object.attachUprobe(slot, places);
    } catch (error) {
      if (!(error instanceof NativeError) || error.errno !== 'EOPNOTSUPP') throw error;
      this.#noCookies = true;
      return this.#object.attachUprobe(slot, { ...places, cookie: 0 });
    }
  }
}
