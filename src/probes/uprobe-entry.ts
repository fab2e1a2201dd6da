/**
 * Where at the beginning of a function to break. The kernel does what some instructions do by itself; all others it
 * has the CPU step through elsewhere, a second trap, ten times as dear on a virtual machine.
 */

export interface EntryPoint {
  readonly offset: number;
  /** The instruction there is stepped through. */
  readonly stepped: boolean;
}

/** Enough for what is looked at. */
export const ENTRY_BYTES = 6;

const ENDBR64 = Buffer.from([0xf3, 0x0f, 0x1e, 0xfa]);

/** @param code the first bytes of the function */
export function entryPoint(offset: number, code: Buffer, arch: string = process.arch): EntryPoint {
  if (arch !== 'x64') return { offset, stepped: true };
  // It marks where indirect calls may go and does nothing: behind it all registers and the stack are the same.
  const skip = code.subarray(0, ENDBR64.length).equals(ENDBR64) ? ENDBR64.length : 0;
  return { offset: offset + skip, stepped: !isEmulated(code[skip] ?? 0, code[skip + 1] ?? 0) };
}

/** push, nop, call and jump (arch/x86/kernel/uprobes.c); functions of any size begin with a push. */
function isEmulated(first: number, second: number): boolean {
  const isPush = (byte: number): boolean => byte >= 0x50 && byte <= 0x57;
  return isPush(first) || (first === 0x41 && isPush(second)) || [0x90, 0xe8, 0xe9, 0xeb].includes(first);
}
