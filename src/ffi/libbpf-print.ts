/**
 * libbpf's own messages as data: `libbpf_set_print` with a callback that formats the va_list by
 * vsnprintf. One callback for the process, kept for as long as it runs, since libbpf keeps its
 * address. It is only switched on where a message is wanted: a load prints hundreds.
 */
import type { Libbpf } from './libbpf.js';
import { formatted } from './libc.js';
import { NativeCallback } from './callback.js';

/** `enum libbpf_print_level`. */
export type PrintLevel = 'warn' | 'info' | 'debug';
const LEVELS: readonly PrintLevel[] = ['warn', 'info', 'debug'];

export interface PrintedLine {
  readonly level: PrintLevel;
  /** Without `libbpf: ` and the newline; may span lines when it is a verifier log. */
  readonly text: string;
}

let sink: (line: PrintedLine) => void = () => {};
let callback: NativeCallback | undefined;

/** Runs `body`, giving each message that libbpf prints meanwhile to `onLine`; silence otherwise. */
export function withPrint<T>(bpf: Libbpf, onLine: (line: PrintedLine) => void, body: () => T): T {
  callback ??= new NativeCallback(
    3,
    ([level = 0, format = 0, vaList = 0]) => {
      const text = formatted(format, vaList)
        .replace(/^libbpf: /, '')
        .trimEnd();
      if (text !== '') sink({ level: LEVELS[level % 0x1_0000_0000] ?? 'debug', text });
      return 0;
    },
    () => {},
  );
  sink = onLine;
  bpf.setPrint(callback.address);
  try {
    return body();
  } finally {
    bpf.setPrint(0);
    sink = () => {};
  }
}
