/**
 * Where `post_send` is in a provider library. No provider exports it, and all of them are stripped; what leads there is
 * `ibv_context.ops.post_send`, at a fixed place of libibverbs' public ABI:
 *
 *   - the agent's own: it opens each device as any program does and looks at its own context. The same file, or the
 *     same build of it (by its build id) in a container, has the function at the same place, if the same code is there.
 *   - that of a process: the kernel keeps the address of each struct ibv_qp (`user_handle`). There, in the process's
 *     memory, its number and its context's descriptor must be those that the kernel knows, and the pointer must lead to
 *     the beginning of a function in a provider's file. So other builds, in containers, are found without running any
 *     code of theirs, and a process that writes rubbish there cannot have a breakpoint put amid an instruction.
 */
import { open } from 'node:fs/promises';
import type { Ibverbs } from '../ffi/ibverbs.js';
import { beginsFunction, buildIdOf } from '../kernel/elf-frames.js';
import type { ReadAt } from '../kernel/elf.js';
import { isSame } from './proc.js';
import { openMapped, readerOf } from './uprobe-file.js';
import { codeAround, type CodeRegion, type FileKind, type MappedFile, mappedFiles } from './uprobe-maps.js';
import { readMaps } from './uprobe-watch.js';

export type MappedProvider = MappedFile<'provider'>;

/** `device`: the agent's own context. `build`: another copy of the same. `queue pair`: a process's context. */
export type FoundBy = 'device' | 'build' | 'queue pair';

export interface Place {
  /** In the file, bytes. */
  readonly offset: number;
  readonly by: FoundBy;
}

/** A queue pair of a process, as the kernel has it. */
export interface QpHandle {
  readonly pid: number;
  readonly start: number;
  readonly fd: number;
  readonly qpn: number;
  /** Address of its struct ibv_qp. */
  readonly address: number;
}

/** Names that rdma-core gives its providers; those that also are libraries of their own have a number behind. */
const NAME = /\/lib(?:[a-z0-9_]+-rdmav\d+\.so|(?:mlx4|mlx5|efa|mana|hns)(?:-[0-9a-f]+)?\.so(?:\.[0-9.]+)?)$/;
const KINDS: readonly FileKind<'provider'>[] = [
  '-rdmav',
  '/libmlx4',
  '/libmlx5',
  '/libefa',
  '/libmana',
  '/libhns',
].map((needle) => ({ library: 'provider', needle, name: NAME }));

/** struct ibv_qp and struct ibv_context. */
const QP = { sizeBytes: 56, context: 0, number: 52 } as const;
const CONTEXT = { sizeBytes: 268, postSend: 208, commandFd: 264 } as const;
/** As much of a function as tells it from another. */
const CODE_BYTES = 64;
const MAX_ADDRESS = 2 ** 47;
/** Of one process. libibverbs loads all that it has, some twenty, whichever is used. */
const MAX_PROVIDERS = 64;
/** What is remembered of files and of queue pairs. */
const MAX_KNOWN = 4_096;

/** @param maps the text of /proc/PID/maps */
export function mappedProviders(maps: string): readonly MappedProvider[] {
  return mappedFiles(maps, KINDS, MAX_PROVIDERS);
}

interface KnownCode {
  readonly offset: number;
  readonly code: Buffer;
}

export class ProviderPlaces {
  /** By device and inode. */
  readonly #own = new Map<string, KnownCode>();
  /** By build id. */
  readonly #builds = new Map<string, KnownCode>();
  /** Build ids of files; '' where there is none. */
  readonly #ids = new Map<string, string>();
  /** Where queue pairs lead to. */
  readonly #led = new Map<string, { readonly key: string; readonly offset: number }>();

  /** Looks at the agent's own contexts. @throws NativeError when libibverbs has no devices */
  async learn(ibverbs: Ibverbs): Promise<void> {
    const providers = await ibverbs.providers();
    const maps = await readMaps('self');
    for (const { postSend } of providers) {
      const region = codeAround(maps, postSend);
      if (region === undefined || this.#own.has(region.key)) continue;
      await this.#remember(region, offsetIn(region, postSend));
    }
  }

  /** The file that a queue pair leads to, as far as that is known. */
  fileOf(handle: QpHandle): string | undefined {
    return this.#led.get(nameOf(handle))?.key;
  }

  /**
   * @param handles queue pairs of the process
   * @returns undefined when nothing tells yet: most of what a process has mapped is not used
   * @throws ElfError when the file is not what it should be
   */
  async find(pid: number, mapped: MappedProvider, handles: readonly QpHandle[]): Promise<Place | undefined> {
    const own = await this.#sameCode(pid, mapped, this.#own.get(mapped.key));
    if (own !== undefined) return { offset: own, by: 'device' };
    const build = await this.#sameCode(pid, mapped, await this.#buildOf(pid, mapped));
    if (build !== undefined) return { offset: build, by: 'build' };
    for (const handle of handles) {
      const led = await this.follow(handle);
      if (led?.key !== mapped.key) continue;
      const begins = await withMapped(pid, mapped, (read) => beginsFunction(read, led.offset));
      if (begins) return { offset: led.offset, by: 'queue pair' };
    }
    return undefined;
  }

  /** Where a queue pair leads to. */
  async follow(handle: QpHandle): Promise<{ readonly key: string; readonly offset: number } | undefined> {
    const known = this.#led.get(nameOf(handle));
    if (known !== undefined) return known;
    const address = await postSendOf(handle);
    if (address === undefined) return undefined;
    const region = codeAround(await readMaps(handle.pid), address);
    if (region === undefined || !isSame(handle.pid, handle.start)) return undefined;
    const led = { key: region.key, offset: offsetIn(region, address) };
    if (this.#led.size >= MAX_KNOWN) this.#led.clear();
    this.#led.set(nameOf(handle), led);
    return led;
  }

  async #remember({ key, range, path }: CodeRegion, offset: number): Promise<void> {
    const mapped: MappedProvider = { library: 'provider', key, range, path };
    await withMapped('self', mapped, async (read) => {
      const known = { offset, code: await read(offset, CODE_BYTES) };
      this.#own.set(key, known);
      const id = await buildIdOf(read);
      if (id !== undefined) this.#builds.set(id, known);
    });
  }

  async #buildOf(pid: number, mapped: MappedProvider): Promise<KnownCode | undefined> {
    if (this.#builds.size === 0) return undefined;
    let id = this.#ids.get(mapped.key);
    if (id === undefined) {
      id = (await withMapped(pid, mapped, buildIdOf)) ?? '';
      if (this.#ids.size >= MAX_KNOWN) this.#ids.clear();
      this.#ids.set(mapped.key, id);
    }
    return this.#builds.get(id);
  }

  /** A build id is what a file says of itself, and numbers of files on an overlay are not always their own. */
  async #sameCode(
    pid: number,
    mapped: MappedProvider,
    known: KnownCode | undefined,
  ): Promise<number | undefined> {
    if (known === undefined) return undefined;
    const code = await withMapped(pid, mapped, (read) => read(known.offset, CODE_BYTES));
    return code.equals(known.code) ? known.offset : undefined;
  }
}

async function withMapped<T>(
  pid: number | 'self',
  mapped: MappedProvider,
  look: (read: ReadAt) => Promise<T>,
): Promise<T> {
  const handle = await openMapped(pid, mapped);
  try {
    return await look(readerOf(handle));
  } finally {
    await handle.close();
  }
}

function nameOf({ pid, start, fd, qpn, address }: QpHandle): string {
  return `${pid} ${start} ${fd} ${qpn} ${address}`;
}

/** The pointer that the process calls through; undefined when its memory is not what the kernel knows of it. */
async function postSendOf({ pid, fd, qpn, address }: QpHandle): Promise<number | undefined> {
  try {
    const memory = await open(`/proc/${pid}/mem`, 'r');
    try {
      const read = readerOf(memory);
      const qp = await read(address, QP.sizeBytes);
      if (qp.length < QP.sizeBytes || qp.readUInt32LE(QP.number) !== qpn) return undefined;
      const at = addressIn(qp, QP.context);
      const context = at === undefined ? undefined : await read(at, CONTEXT.sizeBytes);
      if (context === undefined || context.length < CONTEXT.sizeBytes) return undefined;
      if (context.readInt32LE(CONTEXT.commandFd) !== fd) return undefined;
      return addressIn(context, CONTEXT.postSend);
    } finally {
      await memory.close();
    }
  } catch {
    // It ended, its memory is not there, or it is not ours to look at.
    return undefined;
  }
}

function addressIn(bytes: Buffer, at: number): number | undefined {
  const address = bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 0x1_0000_0000;
  return address > 0 && address < MAX_ADDRESS ? address : undefined;
}

function offsetIn(region: CodeRegion, address: number): number {
  return address - region.start + region.offset;
}
