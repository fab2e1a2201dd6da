/** The few functions of libc that Node does not offer. */
import { nativeMemory, Pinned } from './memory.js';
import { errno, errnoName, Library, memcpy } from './native.js';
import { NativeError } from '../util/errors.js';

const libc = Library.open(undefined);
const getpidFunction = libc.bind('getpid', 'i32', []);
const getuidFunction = libc.bind('getuid', 'u64', []);
const sysconf = libc.bind('sysconf', 'i64', ['i32']);
const mmapFunction = libc.bind('mmap', 'i64', ['ptr', 'u64', 'i32', 'i32', 'i32', 'u64']);
const munmapFunction = libc.bind('munmap', 'i32', ['ptr', 'u64']);
const clockGettime = libc.bind('clock_gettime', 'i32', ['i32', 'ptr']);
const exitFunction = libc.bind('_exit', 'void', ['i32']);
const mallocTrim = libc.bind('malloc_trim', 'i32', ['u64']);
const vsnprintfFunction = libc.bind('vsnprintf', 'i32', ['ptr', 'u64', 'ptr', 'ptr']);

/** Numbers of <sys/mman.h> and <time.h>, the same on x86-64 and arm64. */
export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 1;
export const CLOCK_REALTIME = 0;
export const CLOCK_MONOTONIC = 1;
export const CLOCK_MONOTONIC_RAW = 4;
export const CLOCK_BOOTTIME = 7;
const SC_PAGESIZE = 30;

export function getpid(): number {
  return getpidFunction.call();
}

/** Comes back when libuv's pool has begun all that was asked of it before. */
export async function poolAnswers(): Promise<void> {
  await getpidFunction.callAsync();
}

/** Real uid of the process. */
export function getuid(): number {
  return getuidFunction.call() % 0x1_0000_0000;
}

/**
 * Ends the process, now. `process.exit()` first waits for every call that runs on another thread, and one of a driver
 * that hangs may take for ever.
 */
export function exitNow(code: number): void {
  exitFunction.call(code);
}

/** Bytes of a memory page. */
export function pageSizeBytes(): number {
  return sysconf.call(SC_PAGESIZE);
}

/** A mapping of a file descriptor; `bytes` must not be touched after `unmap()`. */
export interface Mapping {
  readonly bytes: Buffer;
  /** The ArrayBuffer of `bytes` claims more than is mapped: give typed arrays over it this length. */
  readonly sizeBytes: number;
  unmap(): void;
}

/**
 * Maps `sizeBytes` of `fd` from `offset`, shared.
 * @throws NativeError `EPERM`, `ENOMEM`, …
 */
export function mmap(fd: number, sizeBytes: number, protection: number, offset = 0): Mapping {
  const address = mmapFunction.call(0, sizeBytes, protection, MAP_SHARED, fd, offset);
  if (address === -1) throw new NativeError('mmap', errnoName(errno()));
  const bytes = nativeMemory(address, sizeBytes);
  return {
    bytes,
    sizeBytes,
    unmap: () => {
      if (munmapFunction.call(address, sizeBytes) !== 0) throw new NativeError('munmap', errnoName(errno()));
    },
  };
}

/** Gives free memory of the C heap back to the kernel: libbpf's parsing of the kernel's types leaves tens of MB. */
export function trimHeap(): void {
  mallocTrim.call(0);
}

const timespec = new Pinned(16);

/** Nanoseconds of a clock; exact to 2^53 ns, 104 days, and to 2 ns for twice as long. */
export function clockNs(clock: number): number {
  if (clockGettime.call(clock, timespec) !== 0) throw new NativeError('clock_gettime', errnoName(errno()));
  return timespec.readU64(0) * 1e9 + timespec.readU64(8);
}

/** Copies `out.bytes.length` bytes from `address`. */
export function copyFrom(address: number, out: Pinned): void {
  memcpy.call(out, address, out.bytes.length);
}

// A verifier log comes as one message; the list can be walked only once, so guess high.
const FORMATTED_BYTES = 256 * 1024;
let page: Pinned | undefined;

/** `format` with a va_list, as printf would show it, cut at 256 KiB. */
export function formatted(format: number, vaList: number): string {
  page ??= new Pinned(FORMATTED_BYTES);
  const length = vsnprintfFunction.call(page, page.bytes.length, format, vaList);
  return page.bytes.toString('utf8', 0, Math.max(0, Math.min(length, page.bytes.length - 1)));
}
