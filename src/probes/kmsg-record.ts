/**
 * A record of /dev/kmsg (Documentation/ABI/testing/dev-kmsg):
 *
 *     3,1721,98123456,-;I/O error, dev sda, sector 2048 op 0x0:(READ) flags 0x0
 *      SUBSYSTEM=block
 *      DEVICE=b8:0
 *
 * Priority and facility in one number, sequence number, µs, flags; then the text, in which the kernel
 * shows every byte that is not printable ASCII as `\xNN`; then what dev_printk() knows of the device.
 */

/** Of the text: what is further back identifies nothing. */
const TEXT_BYTES = 1024;
const COMMA = 0x2c;
const SEMICOLON = 0x3b;
const NEWLINE = 0x0a;

export interface KmsgHead {
  /** 0: the kernel. Whoever writes to /dev/kmsg gets another one, whatever he asks for. */
  readonly facility: number;
  readonly level: number;
  readonly seq: number;
  readonly timeUs: number;
  /** Where the text begins. */
  readonly textAt: number;
}

export interface KmsgLine {
  readonly text: string;
  /** As dev_printk() says it: `b8:0`, `n3`, `c10:5`, `+pci:0000:3b:00.0`. */
  readonly device?: string;
}

/** The part before the text; undefined: this is no record. */
export function headOf(bytes: Buffer, length: number): KmsgHead | undefined {
  const numbers: [number, number, number] = [0, 0, 0];
  let at = 0;
  for (const field of [0, 1, 2] as const) {
    const from = at;
    let value = 0;
    for (; at < length; at++) {
      const digit = (bytes[at] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    if (at === from || at - from > 20 || bytes[at] !== COMMA) return undefined;
    numbers[field] = value;
    at++;
  }
  const semicolon = bytes.indexOf(SEMICOLON, at);
  if (semicolon === -1 || semicolon >= length) return undefined;
  const [priority, seq, timeUs] = numbers;
  return { facility: Math.floor(priority / 8), level: priority % 8, seq, timeUs, textAt: semicolon + 1 };
}

export function lineOf(bytes: Buffer, head: KmsgHead, length: number): KmsgLine {
  const newline = bytes.indexOf(NEWLINE, head.textAt);
  const textEnd = newline === -1 || newline > length ? length : newline;
  const text = unescaped(bytes.toString('latin1', head.textAt, Math.min(textEnd, head.textAt + TEXT_BYTES)));
  const dictionary = bytes.toString('latin1', textEnd, Math.min(length, textEnd + TEXT_BYTES));
  const device = /^ DEVICE=([^\n]{1,128})$/m.exec(dictionary)?.[1];
  return device === undefined ? { text } : { text, device: unescaped(device) };
}

/** `\x0a` back to what it was; a process may have any bytes for a name. */
function unescaped(text: string): string {
  if (!text.includes('\\x')) return text;
  const bytes = text.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
