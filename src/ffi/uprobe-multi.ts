/**
 * One link for many places of one file (Linux 6.6), by the system call itself: libbpf knows it from 1.3 on. Taking it
 * out waits for one grace period of the kernel, and not for one a place, and several wait side by side.
 */
import { close, closeSync } from 'node:fs';
import { NativeError } from '../util/errors.js';
import { Pinned } from './memory.js';
import { errno, errnoName, Library } from './native.js';

const SYS_BPF: Readonly<Record<string, number>> = { x64: 321, arm64: 280 };
const BPF_LINK_CREATE = 28;
export const BPF_TRACE_UPROBE_MULTI = 48;
const BPF_F_UPROBE_MULTI_RETURN = 1;
/** union bpf_attr, as far as the end of link_create.uprobe_multi. */
const ATTR_BYTES = 64;

export interface UprobePlaces {
  readonly path: string;
  /** In the file, bytes. */
  readonly offsets: readonly number[];
  readonly atReturn: boolean;
  readonly cookie: number;
  /** In this process only, and not even a trap in all others. */
  readonly pid?: number;
}

const syscall = Library.open(undefined).bind('syscall', 'i64', ['u64', 'u64', 'ptr', 'u64']);

/**
 * @returns the link, a file descriptor
 * @throws NativeError
 */
export async function linkUprobes(programFd: number, places: UprobePlaces): Promise<number> {
  const number = SYS_BPF[process.arch];
  if (number === undefined) throw new NativeError('bpf uprobe_multi', 'ENOSYS');
  const path = Pinned.string(places.path);
  const offsets = new Pinned(8 * places.offsets.length);
  const cookies = new Pinned(8 * places.offsets.length);
  for (const [i, offset] of places.offsets.entries()) {
    offsets.writeAddress(8 * i, offset);
    cookies.writeAddress(8 * i, places.cookie);
  }
  const attr = new Pinned(ATTR_BYTES);
  attr.view.setUint32(0, programFd, true);
  attr.view.setUint32(8, BPF_TRACE_UPROBE_MULTI, true);
  attr.writeAddress(16, path.address);
  attr.writeAddress(24, offsets.address);
  attr.writeAddress(40, cookies.address);
  attr.view.setUint32(48, places.offsets.length, true);
  attr.view.setUint32(52, places.atReturn ? BPF_F_UPROBE_MULTI_RETURN : 0, true);
  attr.view.setUint32(56, places.pid ?? 0, true);
  let fd = await syscall.callAsync(number, BPF_LINK_CREATE, attr, ATTR_BYTES);
  // errno stayed on that thread. It came back once and so will again, with the same answer most likely.
  if (fd < 0) fd = syscall.call(number, BPF_LINK_CREATE, attr, ATTR_BYTES);
  const code = fd < 0 ? errno() : 0;
  // Keeps alive across the calls what C was given the address of alone.
  for (const pinned of [path, offsets, cookies]) pinned.bytes.fill(0);
  if (fd < 0) throw new NativeError('bpf uprobe_multi', errnoName(code));
  return fd;
}

export function unlinkUprobes(fd: number): void {
  closeSync(fd);
}

/** On a thread of the pool: the kernel waits until nobody is in the program any more. */
export function unlinkUprobesAsync(fd: number): Promise<void> {
  return new Promise((resolve) => close(fd, () => resolve()));
}
