/**
 * One ELF, opened: its programs, its version check, and what can be done with it before and after
 * the kernel has seen it. Which programs are tried is the ladder's business.
 */
import { existsSync } from 'node:fs';
import type { Libbpf, LinkHandle, MapHandle, ObjectHandle, ProgramHandle } from '../ffi/libbpf.js';
import { BPF_TRACE_UPROBE_MULTI } from '../ffi/uprobe-multi.js';
import { messageOf, XctlError } from '../util/errors.js';
import { XCTL_ABI_VERSION } from './abi.generated.js';

/** An object file that cannot be used at all; the others can. */
export class ObjectError extends XctlError {
  override readonly name = 'ObjectError';
}

/** File descriptors of the maps that all objects share, by name. */
export type SharedMaps = Readonly<Record<string, number>>;

const ABI_SECTION = '.rodata.xctl';

export class OpenObject {
  readonly handle: ObjectHandle;
  /** By name of the C function. */
  readonly programs: ReadonlyMap<string, ProgramHandle>;
  readonly maps: ReadonlyMap<string, MapHandle>;
  readonly #bpf: Libbpf;
  readonly #links: LinkHandle[] = [];
  #closed = false;

  private constructor(bpf: Libbpf, handle: ObjectHandle) {
    this.#bpf = bpf;
    this.handle = handle;
    this.programs = new Map(bpf.programs(handle).map((p) => [bpf.programName(p), p]));
    this.maps = new Map(bpf.maps(handle).map((m) => [bpf.mapName(m), m]));
  }

  /**
   * Opens `path` and puts the shared maps in place.
   * @throws ObjectError when it is missing, is no BPF object, or is of another version.
   */
  static open(bpf: Libbpf, path: string, shared: SharedMaps, btfPath: string | undefined): OpenObject {
    if (!existsSync(path)) {
      throw new ObjectError(`${path}: no such file; build it with \`make bpf\` or install the package again`);
    }
    let object: OpenObject;
    try {
      object = new OpenObject(bpf, bpf.openObject(path, btfPath));
    } catch (error) {
      throw new ObjectError(`${path}: not a BPF object (${messageOf(error)})`, { cause: error });
    }
    try {
      object.#checkVersion(path);
      for (const [name, fd] of Object.entries(shared)) {
        const map = object.maps.get(name);
        if (map !== undefined) bpf.reuseMap(map, fd);
      }
    } catch (error) {
      object.close();
      throw error;
    }
    return object;
  }

  /** Makes its uprobes such that one link holds many places; they cannot be attached one by one then. */
  useUprobeMulti(): void {
    for (const program of this.programs.values())
      if (/^u(?:ret)?probe\b/.test(this.#bpf.sectionName(program)))
        this.#bpf.setExpectedAttachType(program, BPF_TRACE_UPROBE_MULTI);
  }

  /** Loads only the programs named. @returns 0 or the negative errno. */
  load(programs: ReadonlySet<string>): number {
    for (const [name, program] of this.programs) this.#bpf.setAutoload(program, programs.has(name));
    return this.#bpf.loadObject(this.handle);
  }

  /** Keeps a link until `close()`. */
  hold(link: LinkHandle): LinkHandle {
    this.#links.push(link);
    return link;
  }

  /** Detaches and unloads. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const link of this.#links) this.#bpf.destroyLink(link);
    this.#bpf.closeObject(this.handle);
  }

  #checkVersion(path: string): void {
    const section = this.maps.get(ABI_SECTION);
    const version = section === undefined ? undefined : this.#bpf.initialValue(section, 4)?.readUInt32LE(0);
    if (version === XCTL_ABI_VERSION) return;
    const theirs = version === undefined ? 'names no event ABI' : `has event ABI ${version}`;
    throw new ObjectError(
      `${path}: ${theirs}, this agent has ${XCTL_ABI_VERSION}; install objects and agent from one package`,
    );
  }
}
