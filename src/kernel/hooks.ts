/**
 * Which hooks this kernel has, as far as it can be told cheaply and for sure. What cannot be told is
 * left to the load and the attach. Nothing here looks at a version number: distributions backport.
 */
import { existsSync, readdirSync } from 'node:fs';
import {
  BTF_KIND_FUNC,
  BTF_KIND_STRUCT,
  BTF_KIND_TYPEDEF,
  type BtfHandle,
  type Libbpf,
} from '../ffi/libbpf.js';
import type { Refusal } from './ladder.js';
import type { Rung } from './program.js';
import type { Candidate } from './slots.js';

const TRACEFS = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'];
const KPROBE_PMU = '/sys/bus/event_source/devices/kprobe';
const KERNEL_BTF = '/sys/kernel/btf';

export class Hooks {
  readonly #bpf: Libbpf;
  readonly #uprobeMulti: boolean;
  // Rungs that the kernel refuses as such, learnt from the first program that tried.
  readonly #denied = new Map<Rung, Refusal>();
  #btf: BtfHandle | undefined;

  /** @param uprobeMulti false: as if the kernel could not */
  constructor(bpf: Libbpf, uprobeMulti = true) {
    this.#bpf = bpf;
    this.#uprobeMulti = uprobeMulti;
  }

  /** Whether the kernel carries its types, which every object here needs (CO-RE). */
  hasBtf(): boolean {
    this.#btf ??= this.#bpf.loadKernelBtf();
    return this.#btf !== undefined;
  }

  /** One link for uprobes at many places (6.6). */
  hasUprobeMulti(): boolean {
    if (!this.#uprobeMulti) return false;
    this.#btf ??= this.#bpf.loadKernelBtf();
    return this.#btf !== undefined && this.#bpf.btfHas(this.#btf, 'bpf_uprobe_multi_link', BTF_KIND_STRUCT);
  }

  /** Why this candidate cannot work; undefined when it may. */
  refusal(candidate: Candidate): Refusal | undefined {
    return this.#denied.get(candidate.rung) ?? this.#missing(candidate);
  }

  /** No program of this rung can be attached here: spares every later one the attempt. */
  deny(rung: Rung, refusal: Refusal): void {
    this.#denied.set(rung, refusal);
  }

  /** Frees the kernel's types, 10 MB, which are only needed while objects are loaded. */
  stop(): void {
    if (this.#btf !== undefined) this.#bpf.freeBtf(this.#btf);
    this.#btf = undefined;
  }

  #missing({ rung, section }: Candidate): Refusal | undefined {
    const hook = section.slice(section.indexOf('/') + 1);
    switch (rung) {
      case 'tp_btf':
      case 'raw_tp':
        if (this.#inKernelBtf(`btf_trace_${hook}`, BTF_KIND_TYPEDEF)) return undefined;
        return absent(`no tracepoint ${hook} in this kernel`);
      case 'fentry':
        if (this.#inKernelBtf(hook, BTF_KIND_FUNC)) return undefined;
        return absent(`no function ${hook} in this kernel's BTF`);
      case 'tp': {
        const tracefs = TRACEFS.find((dir) => existsSync(`${dir}/events`));
        if (tracefs === undefined) return absent('tracefs is not mounted at /sys/kernel/tracing');
        return existsSync(`${tracefs}/events/${hook}`)
          ? undefined
          : absent(`no tracepoint ${hook} in tracefs`);
      }
      case 'kprobe': {
        const some = existsSync(KPROBE_PMU) || TRACEFS.some((dir) => existsSync(`${dir}/kprobe_events`));
        return some ? undefined : absent('this kernel is built without kprobes');
      }
      case 'iter_s':
      case 'iter':
        if (this.#inKernelBtf(`bpf_iter_${hook}`, BTF_KIND_FUNC)) return undefined;
        return absent(`no iterator ${hook} in this kernel`);
      case 'other':
        return undefined;
    }
  }

  #inKernelBtf(name: string, kind: number): boolean {
    this.#btf ??= this.#bpf.loadKernelBtf();
    if (this.#btf === undefined) return true;
    if (this.#bpf.btfHas(this.#btf, name, kind)) return true;
    // It may be a module's, whose types are elsewhere: let libbpf look.
    return readdirSync(KERNEL_BTF).length > 1;
  }
}

function absent(reason: string): Refusal {
  return { stage: 'probe', errno: 'ENOENT', reason };
}
