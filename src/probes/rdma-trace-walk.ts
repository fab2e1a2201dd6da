/**
 * Who has an RDMA device open and which queue pairs, by the open files of processes (`verbs__iter` of
 * bpf/rdma_trace.bpf.c). Each walk also brings the table of posts up to date: which of its queue pairs the kernel knows,
 * and how much is outstanding, where the driver tells (rxe).
 *
 * Devices' files are told from others by their numbers (/sys/class/infiniband_verbs): in a container the same device
 * may have any name.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeXctlVerbsFile } from '../kernel/abi.generated.js';
import type { LoadedObject } from '../kernel/program.js';
import type { QpHandle } from './rdma-trace-places.js';
import { forEachRecord } from './records.js';

const CLASS = 'class/infiniband_verbs';
/** As many as the kernel's table takes. */
const MAX_DEVICES = 256;
const MINOR_BITS = 20;
/** Of a walk over all files of the node, its part of the time at most. */
const MAX_SHARE = 0.001;
const GAP_MS = 5_000;
/** Walked one by one at most; beyond, one walk over all is less. */
const MAX_ALONE = 16;

/** A process with a device open. */
export interface VerbsUser {
  readonly pid: number;
  /** Nanoseconds since boot. */
  readonly start: number;
  readonly qps: number;
}

/** Devices that programs can open, `uverbs0` by its number as the kernel has it. */
export function verbsDevices(sysDir: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const name of namesIn(join(sysDir, CLASS))) {
    const dev = deviceNumber(textOf(join(sysDir, CLASS, name, 'dev')));
    if (dev !== undefined && found.size < MAX_DEVICES) found.set(name, dev);
  }
  return found;
}

export class VerbsWalk {
  readonly #object: LoadedObject;
  /** By process and descriptor. */
  #handles = new Map<number, QpHandle[]>();
  #users: VerbsUser[] = [];
  #walkedAt = Number.NEGATIVE_INFINITY;
  #costMs = 0;
  walks = 0;

  constructor(object: LoadedObject) {
    this.#object = object;
  }

  /** Why there is none; undefined when there is. */
  get refusal(): string | undefined {
    const status = this.#object.programs.find(({ slot }) => slot === 'verbs');
    return status?.attached === true ? undefined : (status?.reason ?? 'not in the object');
  }

  /** Of the last walk over all. */
  get users(): readonly VerbsUser[] {
    return this.#users;
  }

  /** Queue pairs of a process, some of them. */
  handles(pid: number): readonly QpHandle[] {
    return this.#handles.get(pid) ?? [];
  }

  setDevices(devices: ReadonlyMap<string, number>): void {
    const map = this.#object.map('xctl_verbs_devs');
    const wanted = new Set(devices.values());
    for (const key of map.keys()) {
      if (!wanted.delete(new DataView(key.buffer, key.byteOffset).getUint32(0, true))) map.delete(key);
    }
    for (const dev of wanted) map.update(word(dev), word(1));
  }

  /** Whether the next walk over all is due. */
  get due(): boolean {
    return performance.now() - this.#walkedAt >= Math.max(GAP_MS, this.#costMs / MAX_SHARE);
  }

  /** Over all processes. @throws NativeError */
  all(): void {
    const started = performance.now();
    const handles = new Map<number, QpHandle[]>();
    this.#users = this.#read(undefined, handles).users;
    this.#handles = handles;
    this.#walkedAt = performance.now();
    this.#costMs = this.#walkedAt - started;
  }

  /** Over these processes alone, where the kernel can (6.1). @throws NativeError */
  some(pids: readonly number[]): void {
    if (pids.length > MAX_ALONE) {
      this.all();
      return;
    }
    for (const pid of pids) {
      const handles = new Map<number, QpHandle[]>();
      const { restricted } = this.#read(pid, handles);
      const found = handles.get(pid);
      if (found !== undefined) this.#handles.set(pid, found);
      // It was all of them.
      if (!restricted) return;
    }
  }

  #read(
    pid: number | undefined,
    handles: Map<number, QpHandle[]>,
  ): { readonly users: VerbsUser[]; readonly restricted: boolean } {
    const users = new Map<number, VerbsUser>();
    const iterator = this.#object.iterator('verbs');
    if (iterator === undefined) return { users: [], restricted: false };
    this.walks++;
    const { bytes, restricted } = iterator.read(pid);
    forEachRecord(bytes, (view, at) => {
      const file = decodeXctlVerbsFile(view, at);
      const { fd, qps, startNs: start } = file;
      const known = users.get(file.hdr.pid);
      users.set(file.hdr.pid, { pid: file.hdr.pid, start, qps: qps + (known?.qps ?? 0) });
      const list = handles.get(file.hdr.pid) ?? [];
      handles.set(file.hdr.pid, list);
      file.handles.forEach((address, i) => {
        const qpn = file.qpns[i] ?? 0;
        if (address !== 0) list.push({ pid: file.hdr.pid, start, fd, qpn, address });
      });
    });
    return { users: [...users.values()], restricted };
  }
}

/** `231:192` as the kernel has it. */
function deviceNumber(text: string | undefined): number | undefined {
  const [, major, minor] = /^(\d{1,4}):(\d{1,7})$/.exec(text ?? '') ?? [];
  return major === undefined ? undefined : Number(major) * 2 ** MINOR_BITS + Number(minor);
}

function word(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).filter((name) => /^uverbs\d{1,4}$/.test(name));
  } catch {
    return [];
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
