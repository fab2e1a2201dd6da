/**
 * libbpf.so.1 (1.0 or later), function by function: typed, and with its return codes turned into
 * NativeError. Nothing here decides anything; src/kernel/ does.
 */
import { NativeError } from '../util/errors.js';
import { copyFrom } from './libc.js';
import { type Handle, Pinned } from './memory.js';
import { cString, errno, errnoName, Library, type NativeFunction } from './native.js';

export type ObjectHandle = Handle<'bpf_object'>;
export type ProgramHandle = Handle<'bpf_program'>;
export type MapHandle = Handle<'bpf_map'>;
export type LinkHandle = Handle<'bpf_link'>;
export type BtfHandle = Handle<'btf'>;

/** `enum bpf_map_type`. */
export const BPF_MAP_TYPE_PERCPU_ARRAY = 6;
export const BPF_MAP_TYPE_RINGBUF = 27;
const PER_CPU_TYPES: ReadonlySet<number> = new Set([5, BPF_MAP_TYPE_PERCPU_ARRAY, 10, 21]);
/** BTF kinds. */
export const BTF_KIND_TYPEDEF = 8;
export const BTF_KIND_STRUCT = 4;
export const BTF_KIND_FUNC = 12;
const BPF_STATS_RUN_TIME = 0;

export interface MapInfo {
  readonly type: number;
  readonly keySizeBytes: number;
  readonly valueSizeBytes: number;
  readonly maxEntries: number;
  readonly perCpu: boolean;
}

/** A place in a file that processes execute. */
export interface UprobeTarget {
  readonly path: string;
  /** In the file, bytes. */
  readonly offset: number;
  /** When the function that begins there returns. */
  readonly atReturn: boolean;
  /** What the program learns of where it was attached; 0: nothing, which needs no Linux 5.15. */
  readonly cookie: number;
  /** In this process only, and not even a trap in all others. */
  readonly pid?: number;
}

const ALL_PROCESSES = -1;

/** struct bpf_uprobe_opts of libbpf 1.0: size_t sz, size_t ref_ctr_offset, u64 bpf_cookie, bool retprobe, char *func_name. */
function uprobeOptions({ atReturn, cookie }: UprobeTarget): Pinned {
  const options = new Pinned(40);
  options.writeAddress(0, 40);
  options.writeAddress(16, cookie);
  options.view.setUint8(24, atReturn ? 1 : 0);
  return options;
}

const HINTS: Readonly<Record<string, string>> = {
  EPERM: 'needs CAP_BPF and CAP_PERFMON (root), and a kernel that is not locked down',
  EACCES: 'the verifier refused the program',
  EOPNOTSUPP: 'this kernel has no such program or map type',
};

/** The error for a negative return code (or an errno) of `fn`. */
export function bpfError(fn: string, code: number, hint?: string): NativeError {
  const name = errnoName(code);
  return new NativeError(fn, name, hint ?? HINTS[name]);
}

type Ptr1 = NativeFunction<readonly ['ptr']>;

export class Libbpf {
  readonly #open: NativeFunction<readonly ['ptr', 'ptr']>;
  readonly #close: Ptr1;
  readonly #load: Ptr1;
  readonly #nextProgram: NativeFunction<readonly ['ptr', 'ptr']>;
  readonly #programName: Ptr1;
  readonly #sectionName: Ptr1;
  readonly #setAutoload: NativeFunction<readonly ['ptr', 'i32']>;
  readonly #setAttachType: NativeFunction<readonly ['ptr', 'i32']>;
  readonly #programFd: Ptr1;
  readonly #attach: Ptr1;
  readonly #attachIter: NativeFunction<readonly ['ptr', 'ptr']>;
  readonly #attachUprobe: NativeFunction<readonly ['ptr', 'i32', 'ptr', 'u64', 'ptr']>;
  readonly #linkFd: Ptr1;
  readonly #linkDestroy: Ptr1;
  readonly #iterCreate: NativeFunction<readonly ['i32']>;
  readonly #nextMap: NativeFunction<readonly ['ptr', 'ptr']>;
  readonly #mapName: Ptr1;
  readonly #mapFd: Ptr1;
  readonly #mapType: Ptr1;
  readonly #mapKeySize: Ptr1;
  readonly #mapValueSize: Ptr1;
  readonly #mapMaxEntries: Ptr1;
  readonly #reuseFd: NativeFunction<readonly ['ptr', 'i32']>;
  readonly #initialValue: NativeFunction<readonly ['ptr', 'ptr']>;
  readonly #mapCreate: NativeFunction<readonly ['i32', 'ptr', 'u32', 'u32', 'u32', 'ptr']>;
  readonly #lookup: NativeFunction<readonly ['i32', 'ptr', 'ptr']>;
  readonly #update: NativeFunction<readonly ['i32', 'ptr', 'ptr', 'u64']>;
  readonly #delete: NativeFunction<readonly ['i32', 'ptr']>;
  readonly #nextKey: NativeFunction<readonly ['i32', 'ptr', 'ptr']>;
  readonly #enableStats: NativeFunction<readonly ['i32']>;
  readonly #testRun: NativeFunction<readonly ['i32', 'ptr']>;
  readonly #vmlinuxBtf: NativeFunction<readonly []>;
  readonly #btfFind: NativeFunction<readonly ['ptr', 'ptr', 'u32']>;
  readonly #btfFree: Ptr1;
  readonly #setPrint: Ptr1;
  /** CPUs a per-CPU map has values for. */
  readonly possibleCpus: number;
  readonly version: string;

  /**
   * @param soname the library to load; another one only in tests.
   * @throws NativeError when it is missing or too old.
   */
  constructor(soname = 'libbpf.so.1') {
    const lib = Library.open(soname, 'apt-get install libbpf1');
    this.#open = lib.bind('bpf_object__open_file', 'ptr', ['ptr', 'ptr']);
    this.#close = lib.bind('bpf_object__close', 'void', ['ptr']);
    this.#load = lib.bind('bpf_object__load', 'i32', ['ptr']);
    this.#nextProgram = lib.bind('bpf_object__next_program', 'ptr', ['ptr', 'ptr']);
    this.#programName = lib.bind('bpf_program__name', 'ptr', ['ptr']);
    this.#sectionName = lib.bind('bpf_program__section_name', 'ptr', ['ptr']);
    this.#setAutoload = lib.bind('bpf_program__set_autoload', 'i32', ['ptr', 'i32']);
    this.#setAttachType = lib.bind('bpf_program__set_expected_attach_type', 'i32', ['ptr', 'i32']);
    this.#programFd = lib.bind('bpf_program__fd', 'i32', ['ptr']);
    this.#attach = lib.bind('bpf_program__attach', 'ptr', ['ptr']);
    this.#attachIter = lib.bind('bpf_program__attach_iter', 'ptr', ['ptr', 'ptr']);
    this.#attachUprobe = lib.bind('bpf_program__attach_uprobe_opts', 'ptr', [
      'ptr',
      'i32',
      'ptr',
      'u64',
      'ptr',
    ]);
    this.#linkFd = lib.bind('bpf_link__fd', 'i32', ['ptr']);
    this.#linkDestroy = lib.bind('bpf_link__destroy', 'i32', ['ptr']);
    this.#iterCreate = lib.bind('bpf_iter_create', 'i32', ['i32']);
    this.#nextMap = lib.bind('bpf_object__next_map', 'ptr', ['ptr', 'ptr']);
    this.#mapName = lib.bind('bpf_map__name', 'ptr', ['ptr']);
    this.#mapFd = lib.bind('bpf_map__fd', 'i32', ['ptr']);
    this.#mapType = lib.bind('bpf_map__type', 'i32', ['ptr']);
    this.#mapKeySize = lib.bind('bpf_map__key_size', 'i32', ['ptr']);
    this.#mapValueSize = lib.bind('bpf_map__value_size', 'i32', ['ptr']);
    this.#mapMaxEntries = lib.bind('bpf_map__max_entries', 'i32', ['ptr']);
    this.#reuseFd = lib.bind('bpf_map__reuse_fd', 'i32', ['ptr', 'i32']);
    this.#initialValue = lib.bind('bpf_map__initial_value', 'ptr', ['ptr', 'ptr']);
    this.#mapCreate = lib.bind('bpf_map_create', 'i32', ['i32', 'ptr', 'u32', 'u32', 'u32', 'ptr']);
    this.#lookup = lib.bind('bpf_map_lookup_elem', 'i32', ['i32', 'ptr', 'ptr']);
    this.#update = lib.bind('bpf_map_update_elem', 'i32', ['i32', 'ptr', 'ptr', 'u64']);
    this.#delete = lib.bind('bpf_map_delete_elem', 'i32', ['i32', 'ptr']);
    this.#nextKey = lib.bind('bpf_map_get_next_key', 'i32', ['i32', 'ptr', 'ptr']);
    this.#enableStats = lib.bind('bpf_enable_stats', 'i32', ['i32']);
    this.#testRun = lib.bind('bpf_prog_test_run_opts', 'i32', ['i32', 'ptr']);
    this.#vmlinuxBtf = lib.bind('btf__load_vmlinux_btf', 'ptr', []);
    this.#btfFind = lib.bind('btf__find_by_name_kind', 'i32', ['ptr', 'ptr', 'u32']);
    this.#btfFree = lib.bind('btf__free', 'void', ['ptr']);
    this.#setPrint = lib.bind('libbpf_set_print', 'ptr', ['ptr']);
    // libbpf's default writes to stderr, which belongs to the log.
    this.setPrint(0);
    this.possibleCpus = lib.bind('libbpf_num_possible_cpus', 'i32', []).call();
    this.version = cString(lib.bind('libbpf_version_string', 'ptr', []).call());
  }

  // ---- objects and programs

  /**
   * @param btfPath types to relocate by instead of the running kernel's own.
   * @throws NativeError `ENOENT`, `LIBBPF_ERRNO__FORMAT` (no ELF of ours), …
   */
  openObject(path: string, btfPath?: string): ObjectHandle {
    let object: number;
    if (btfPath === undefined) {
      object = this.#open.call(Pinned.string(path), 0);
    } else {
      const btf = Pinned.string(btfPath);
      // struct bpf_object_open_opts of libbpf 1.0: size_t sz at 0, btf_custom_path at 48, 80 bytes.
      const options = new Pinned(80);
      options.writeAddress(0, 80);
      options.writeAddress(48, btf.address);
      object = this.#open.call(Pinned.string(path), options);
      btf.bytes.fill(0); // keeps `btf`, whose address alone C was given, alive across the call
    }
    if (object === 0) throw bpfError(`bpf_object__open_file ${path}`, errno());
    return object as ObjectHandle;
  }

  closeObject(object: ObjectHandle): void {
    this.#close.call(object);
  }

  /** @returns 0, or the negative errno: a refused program is for the ladder to judge. */
  loadObject(object: ObjectHandle): number {
    return this.#load.call(object);
  }

  programs(object: ObjectHandle): ProgramHandle[] {
    const found: ProgramHandle[] = [];
    for (let p = this.#nextProgram.call(object, 0); p !== 0; p = this.#nextProgram.call(object, p)) {
      found.push(p as ProgramHandle);
    }
    return found;
  }

  programName(program: ProgramHandle): string {
    return cString(this.#programName.call(program));
  }

  /** `tp_btf/tcp_retransmit_skb`. */
  sectionName(program: ProgramHandle): string {
    return cString(this.#sectionName.call(program));
  }

  setAutoload(program: ProgramHandle, on: boolean): void {
    const code = this.#setAutoload.call(program, on ? 1 : 0);
    if (code !== 0) throw bpfError('bpf_program__set_autoload', code);
  }

  /** `enum bpf_attach_type`; before the object is loaded. */
  setExpectedAttachType(program: ProgramHandle, type: number): void {
    const code = this.#setAttachType.call(program, type);
    if (code !== 0) throw bpfError('bpf_program__set_expected_attach_type', code);
  }

  /** Of a loaded program; negative when it is not. */
  programFd(program: ProgramHandle): number {
    return this.#programFd.call(program);
  }

  /** By what its section says. @throws NativeError `EPERM`, `ENOENT`, … */
  attach(program: ProgramHandle): LinkHandle {
    const link = this.#attach.call(program);
    if (link === 0) throw bpfError('bpf_program__attach', errno());
    return link as LinkHandle;
  }

  /**
   * @param pid walk only this process's tasks (kernel 6.1 or later); undefined for all.
   * @throws NativeError; `EINVAL` or `E2BIG` when the kernel cannot restrict the walk.
   */
  attachIterator(program: ProgramHandle, pid?: number): LinkHandle {
    let link: number;
    if (pid === undefined) {
      link = this.#attachIter.call(program, 0);
    } else {
      // union bpf_iter_link_info { struct { u32 tid; u32 pid; u32 pid_fd; } task; }, 16 bytes
      const info = new Pinned(16);
      info.view.setUint32(4, pid, true);
      // struct bpf_iter_attach_opts { size_t sz; union *link_info; u32 link_info_len; }
      const options = new Pinned(24);
      options.writeAddress(0, 24);
      options.writeAddress(8, info.address);
      options.view.setUint32(16, info.bytes.length, true);
      link = this.#attachIter.call(program, options);
      info.bytes.fill(0); // keeps `info`, whose address alone C was given, alive across the call
    }
    if (link === 0) throw bpfError('bpf_program__attach_iter', errno());
    return link as LinkHandle;
  }

  /**
   * On a thread of the pool: the kernel waits for the memory lock of every process that has the file mapped.
   * @throws NativeError `EPERM`, `EINVAL` (nothing to break on at that offset), …
   */
  async attachUprobeAsync(program: ProgramHandle, target: UprobeTarget): Promise<LinkHandle> {
    const path = Pinned.string(target.path);
    const pid = target.pid ?? ALL_PROCESSES;
    const link = await this.#attachUprobe.callAsync(program, pid, path, target.offset, uprobeOptions(target));
    if (link !== 0) return link as LinkHandle;
    // errno stayed on that thread. It came back once and so will again, with the same answer most likely.
    const again = this.#attachUprobe.call(program, pid, path, target.offset, uprobeOptions(target));
    if (again === 0) throw bpfError('bpf_program__attach_uprobe_opts', errno());
    return again as LinkHandle;
  }

  destroyLink(link: LinkHandle): void {
    this.#linkDestroy.call(link);
  }

  /** On a thread of the pool: the kernel waits until nobody is in the program any more. */
  async destroyLinkAsync(link: LinkHandle): Promise<void> {
    await this.#linkDestroy.callAsync(link);
  }

  /** @returns a file descriptor; reading it to its end is one pass. */
  createIterator(link: LinkHandle): number {
    const fd = this.#iterCreate.call(this.#linkFd.call(link));
    if (fd < 0) throw bpfError('bpf_iter_create', fd);
    return fd;
  }

  /** @returns a file descriptor; run time is measured while it is open. */
  enableStats(): number {
    const fd = this.#enableStats.call(BPF_STATS_RUN_TIME);
    if (fd < 0) throw bpfError('bpf_enable_stats', fd, 'needs CAP_SYS_ADMIN and Linux 5.8');
    return fd;
  }

  /**
   * Runs a program in the kernel, without its hook, on a thread of the pool.
   * @param options a `struct bpf_test_run_opts`; what it points to must be kept by the caller.
   * @returns 0 or the negative errno.
   */
  testRunAsync(programFd: number, options: Pinned): Promise<number> {
    return this.#testRun.callAsync(programFd, options);
  }

  testRun(programFd: number, options: Pinned): number {
    return this.#testRun.call(programFd, options);
  }

  // ---- maps

  maps(object: ObjectHandle): MapHandle[] {
    const found: MapHandle[] = [];
    for (let m = this.#nextMap.call(object, 0); m !== 0; m = this.#nextMap.call(object, m)) {
      found.push(m as MapHandle);
    }
    return found;
  }

  mapName(map: MapHandle): string {
    return cString(this.#mapName.call(map));
  }

  mapFd(map: MapHandle): number {
    return this.#mapFd.call(map);
  }

  mapInfo(map: MapHandle): MapInfo {
    const type = this.#mapType.call(map);
    return {
      type,
      keySizeBytes: this.#mapKeySize.call(map),
      valueSizeBytes: this.#mapValueSize.call(map),
      maxEntries: this.#mapMaxEntries.call(map) >>> 0,
      perCpu: PER_CPU_TYPES.has(type),
    };
  }

  /** Puts an existing map in place of the definition in the object; before the object is loaded. */
  reuseMap(map: MapHandle, fd: number): void {
    const code = this.#reuseFd.call(map, fd);
    if (code !== 0) throw bpfError('bpf_map__reuse_fd', code);
  }

  /** First `sizeBytes` of a data section of an opened object; undefined when it is shorter. */
  initialValue(map: MapHandle, sizeBytes: number): Buffer | undefined {
    const size = new Pinned(8);
    const address = this.#initialValue.call(map, size);
    if (address === 0 || size.readU64(0) < sizeBytes) return undefined;
    const out = new Pinned(sizeBytes);
    copyFrom(address, out);
    return out.bytes;
  }

  /** @returns a file descriptor. @throws NativeError `EPERM` without CAP_BPF. */
  createMap(
    type: number,
    name: string,
    keySizeBytes: number,
    valueSizeBytes: number,
    maxEntries: number,
  ): number {
    const fd = this.#mapCreate.call(type, Pinned.string(name), keySizeBytes, valueSizeBytes, maxEntries, 0);
    if (fd < 0) throw bpfError(`bpf_map_create ${name}`, fd);
    return fd;
  }

  /** @returns 0 or the negative errno (`-ENOENT`: no such key). */
  lookup(fd: number, key: Pinned, value: Pinned): number {
    return this.#lookup.call(fd, key, value);
  }

  update(fd: number, key: Pinned, value: Pinned): number {
    return this.#update.call(fd, key, value, 0);
  }

  delete(fd: number, key: Pinned): number {
    return this.#delete.call(fd, key);
  }

  /** @param key undefined for the first. @returns 0 or the negative errno (`-ENOENT`: was the last). */
  nextKey(fd: number, key: Pinned | undefined, next: Pinned): number {
    return this.#nextKey.call(fd, key ?? 0, next);
  }

  // ---- BTF

  /** The kernel's types, some 10 MB: free them soon. Undefined when it has none. */
  loadKernelBtf(): BtfHandle | undefined {
    const btf = this.#vmlinuxBtf.call();
    return btf === 0 ? undefined : (btf as BtfHandle);
  }

  /** Whether there is a type of this name and `BTF_KIND_*`. */
  btfHas(btf: BtfHandle, name: string, kind: number): boolean {
    return this.#btfFind.call(btf, Pinned.string(name), kind) > 0;
  }

  freeBtf(btf: BtfHandle): void {
    this.#btfFree.call(btf);
  }

  // ---- messages

  /** @param callback address of a `libbpf_print_fn_t`, which must outlive every later call; 0 for silence. */
  setPrint(callback: number): void {
    this.#setPrint.call(callback);
  }
}
