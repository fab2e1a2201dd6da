/**
 * One spelling of a PCI address for all: the kernel's own, `0000:3b:00.0`. NVIDIA's driver prints
 * `PCI:0000:3b:00` without the function, nvidia-smi `00000000:3B:00.0`, drivers of before 2012 `003b:00`.
 */

/** Each part has its own separator, so there is one way to read a text at most. */
const SPELLING = /^(?:PCI:)?(?:([0-9a-f]{1,8}):)?([0-9a-f]{1,4}):([0-9a-f]{1,2})(?:\.([0-7]))?$/i;
const MAX_BUS = 0xff;
const MAX_DEVICE = 0x1f;

/** @returns undefined: this is no PCI address */
export function pciAddress(text: string): string | undefined {
  const [, domainText = '0', busText = '', deviceText = '', functionText = '0'] = SPELLING.exec(text) ?? [];
  if (busText === '') return undefined;
  const bus = Number.parseInt(busText, 16);
  const device = Number.parseInt(deviceText, 16);
  if (bus > MAX_BUS || device > MAX_DEVICE) return undefined;
  return `${hex(Number.parseInt(domainText, 16), 4)}:${hex(bus, 2)}:${hex(device, 2)}.${functionText}`;
}

function hex(value: number, width: number): string {
  return value.toString(16).padStart(width, '0');
}
