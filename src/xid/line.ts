/**
 * Lines that NVIDIA's driver prints about a GPU; those of NVSwitches are in switch-line.ts:
 *
 *     NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, name=python3, GPU has fallen off the bus.
 *     NVRM: Xid (PCI:0000:3b:00 GPU-I:01 GPU-CI:02): 45, Ch 00000010 caused by previous Xid 149
 *     NVRM: GPU 0000:3b:00.0: GPU has fallen off the bus.
 *     NVRM: GPU at PCI:0000:3b:00: GPU-c24840ec-8de1-83d5-b126-08000173ae32
 *
 * Printed by krcReportXid() and _krcLogUuidOnce() (kernel_rc.c) and osHandleGpuLost() of the driver. Up to 2022
 * a process is always named, `pid='<unknown>', name=<unknown>` if need be; since, only a known one. A line may
 * be cut anywhere: what may be cut off a number is taken for no number. Only the code and the address must be
 * there. Nothing here goes back over what it has read.
 */
import type { Recovery } from './actions.js';
import { xid } from './catalogue.js';
import { type NvlinkFault, nvlinkFault } from './nvlink5.js';
import { pciAddress } from './pci.js';

export interface SmPlace {
  readonly gpc: number;
  readonly tpc: number;
  readonly sm?: number;
}

export interface XidLine {
  readonly kind: 'xid';
  readonly pci: string;
  readonly code: number;
  /** What follows the code and the process. */
  readonly message: string;
  readonly pid?: number;
  readonly comm?: string;
  /** MIG: GPU instance, and compute instance in it. */
  readonly mig?: { readonly gi: number; readonly ci?: number };
  /** Which code the driver itself names as the cause. */
  readonly causedBy?: number;
  readonly recovery?: Recovery;
  readonly sm?: SmPlace;
  readonly nvlink?: NvlinkFault;
}

/** The same as an Xid 79, which older drivers do not always print. */
export interface LostLine {
  readonly kind: 'lost';
  readonly pci: string;
}

export interface UuidLine {
  readonly kind: 'uuid';
  readonly pci: string;
  readonly uuid: string;
}

export type GpuLine = XidLine | LostLine | UuidLine;

const XID = 'NVRM: Xid (';
const GPU = 'NVRM: GPU ';
const GPU_AT = 'NVRM: GPU at PCI:';
const THE_GPU = 'NVRM: The NVIDIA GPU ';
const FALLEN = 'fallen off the bus';
const CAUSED_BY = ' caused by previous Xid ';
const RECOVERY = 'GPU recovery action changed from 0x';

/** Between the brackets, at most. */
const PLACE_CHARS = 64;
const CODE_DIGITS = 5;
/** TASK_COMM_LEN, and room for what a namespace may show. */
const COMM_CHARS = 100;
const MAX_PID = 2 ** 22;
const UUID = /^GPU-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** In the order of the driver's numbers. */
const RECOVERIES: readonly Recovery[] = ['none', 'reset-gpu', 'reboot', 'drain-p2p', 'drain-and-reset'];

/** @returns undefined: not about a GPU, or not enough of it is left */
export function gpuLine(text: string): GpuLine | undefined {
  if (text.startsWith(XID)) return xidLine(text);
  if (text.startsWith(GPU_AT)) return uuidLine(text.slice(GPU_AT.length));
  if (text.startsWith(GPU)) return lostLine(text.slice(GPU.length), ': GPU has ');
  // One record of several lines: `…0000:3b:00.0\nNVRM: (PCI ID: 10de:2330) installed in this system has\nNVRM: fallen off …`
  if (text.startsWith(THE_GPU)) return lostLine(text.slice(THE_GPU.length), '\n');
  return undefined;
}

function xidLine(text: string): XidLine | undefined {
  const close = text.indexOf('): ', XID.length);
  if (close === -1 || close - XID.length > PLACE_CHARS) return undefined;
  const [address = '', ...instances] = text.slice(XID.length, close).split(' ');
  const pci = pciAddress(address);
  const codeAt = close + 3;
  // The driver always puts a comma after it: without, some of its digits may be missing.
  const comma = text.indexOf(',', codeAt);
  if (pci === undefined || comma === -1 || comma - codeAt > CODE_DIGITS) return undefined;
  const code = decimal(text.slice(codeAt, comma));
  if (code === undefined || code === 0) return undefined;
  const { message, ...process } = withoutProcess(text.slice(comma + 1).trim());
  const mig = migOf(instances);
  const causedBy = causeIn(message);
  const recovery = code === 154 ? recoveryIn(message) : undefined;
  const sm = code === 13 ? smIn(message) : undefined;
  const nvlink = code >= 144 && code <= 150 ? nvlinkFault(message) : undefined;
  return {
    kind: 'xid',
    pci,
    code,
    message,
    ...process,
    ...(mig !== undefined && { mig }),
    ...(causedBy !== undefined && { causedBy }),
    ...(recovery !== undefined && { recovery }),
    ...(sm !== undefined && { sm }),
    ...(nvlink !== undefined && { nvlink }),
  };
}

/** `pid=1234, name=python3, rest` → what of it is known, and the rest. */
function withoutProcess(text: string): { message: string; pid?: number; comm?: string } {
  if (!text.startsWith('pid=')) return { message: text };
  const comma = text.indexOf(', name=');
  if (comma === -1) return { message: '' };
  const pid = decimal(text.slice(4, comma));
  const nameAt = comma + ', name='.length;
  // A name with a comma in it is cut short: what it is called does not decide anything.
  const end = text.indexOf(', ', nameAt);
  const comm = text.slice(nameAt, end === -1 ? text.length : end).replace(/,$/, '');
  const known = pid !== undefined && pid > 0 && pid <= MAX_PID;
  return {
    message: end === -1 ? '' : text.slice(end + 2),
    ...(known && { pid }),
    ...(known && end !== -1 && comm !== '' && comm !== '<unknown>' && { comm: comm.slice(0, COMM_CHARS) }),
  };
}

/** `GPU-I:01 GPU-CI:02` */
function migOf(instances: readonly string[]): XidLine['mig'] {
  const value = (name: string): number | undefined => {
    const said = instances.find((word) => word.startsWith(name));
    return said === undefined ? undefined : decimal(said.slice(name.length));
  };
  const gi = value('GPU-I:');
  const ci = value('GPU-CI:');
  return gi === undefined ? undefined : { gi, ...(ci !== undefined && { ci }) };
}

function causeIn(message: string): number | undefined {
  const at = message.lastIndexOf(CAUSED_BY);
  const code = at === -1 ? undefined : decimal(message.slice(at + CAUSED_BY.length));
  if (code === undefined) return undefined;
  // Of a line cut short the last digits may be missing; what is left then is as a rule no cause of anything.
  const { class: kind } = xid(code);
  return kind === 'unused' || kind === 'informational' ? undefined : code;
}

/** `… changed from 0x0 (None) to 0x1 (GPU Reset Required)` */
function recoveryIn(message: string): Recovery | undefined {
  if (!message.startsWith(RECOVERY)) return undefined;
  const at = message.indexOf(' to 0x', RECOVERY.length);
  if (at === -1) return undefined;
  const number = /^([0-9a-f]{1,2}) /i.exec(message.slice(at + ' to 0x'.length))?.[1];
  return number === undefined ? undefined : (RECOVERIES[Number.parseInt(number, 16)] ?? 'unknown');
}

/** `Graphics SM Warp Exception on (GPC 1, TPC 3, SM 0): Out Of Range Address` */
function smIn(message: string): SmPlace | undefined {
  const at = message.indexOf('(GPC ');
  if (at === -1) return undefined;
  const [, gpc, tpc, sm] =
    /^\(GPC (\d{1,3}), TPC (\d{1,3})(?:, SM (\d{1,3}))?\)/.exec(message.slice(at, at + 48)) ?? [];
  if (gpc === undefined || tpc === undefined) return undefined;
  return { gpc: Number(gpc), tpc: Number(tpc), ...(sm !== undefined && { sm: Number(sm) }) };
}

function lostLine(text: string, until: string): LostLine | undefined {
  const end = text.indexOf(until);
  const pci = end === -1 || end > PLACE_CHARS ? undefined : pciAddress(text.slice(0, end));
  return pci === undefined || !text.includes(FALLEN, end) ? undefined : { kind: 'lost', pci };
}

function uuidLine(text: string): UuidLine | undefined {
  const colon = text.indexOf(': ');
  const pci = colon === -1 || colon > PLACE_CHARS ? undefined : pciAddress(text.slice(0, colon));
  const uuid = colon === -1 ? '' : text.slice(colon + 2, colon + 64).trim();
  return pci === undefined || !UUID.test(uuid)
    ? undefined
    : { kind: 'uuid', pci, uuid: uuid.replace(/^gpu-/i, 'GPU-') };
}

/** Digits and nothing else. */
function decimal(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}
