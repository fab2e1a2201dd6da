/**
 * Lines that the driver prints about an NVSwitch (NVSWITCH_PRINT_SXID of the driver, intr_nvswitch.h):
 *
 *     nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 28006, Non-fatal, Link 46 MC TS crumbstore MCTO (First)
 *     nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 28006, Severity 0 Engine instance 46 Sub-engine instance 00
 *     nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 28006, Data {0x00000000, 0x00000001, …}
 *
 * The first is the fault; those that follow are its registers, not faults of their own.
 */
import { pciAddress } from './pci.js';
import type { SxidSeverity } from './sxid.js';

export interface SxidLine {
  readonly pci: string;
  /** Number of the switch, as in /dev/nvidia-nvswitch3. */
  readonly instance: number;
  readonly code: number;
  readonly severity: SxidSeverity;
  readonly link?: number;
  readonly message: string;
}

const SEVERITIES: Readonly<Record<string, SxidSeverity>> = {
  'Correctable,': 'correctable',
  'Non-fatal,': 'non-fatal',
  'Fatal,': 'fatal',
};
/** No switch has more links, no node more switches. */
const HEAD = /^nvidia-nvswitch(\d{1,3}): SXid \(([0-9A-Za-z:.]{1,32})\): (\d{5}), /;
const LINK = /^Link (\d{2,3})(?: |$)/;
const REGISTERS = /^(?:Severity \d|Data \{)/;

/** @returns undefined: no SXid, not enough of one, or registers of one */
export function sxidLine(text: string): SxidLine | undefined {
  const [head = '', instance, address = '', code] = HEAD.exec(text) ?? [];
  const pci = pciAddress(address);
  if (pci === undefined || instance === undefined || code === undefined) return undefined;
  const message = text.slice(head.length).trim();
  if (REGISTERS.test(message)) return undefined;
  const space = message.indexOf(' ');
  const severity = SEVERITIES[space === -1 ? message : message.slice(0, space)] ?? 'unknown';
  const link = LINK.exec(severity === 'unknown' ? message : message.slice(space + 1))?.[1];
  return {
    pci,
    instance: Number(instance),
    code: Number(code),
    severity,
    message,
    ...(link !== undefined && { link: Number(link) }),
  };
}
