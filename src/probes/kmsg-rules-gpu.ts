/**
 * GPUs and NVSwitches, by the lines of NVIDIA's driver. Which forms there are, and why none of them can be made
 * up with a process name, is in src/xid/line.ts and switch-line.ts: the number comes after `): ` and before a
 * comma, where no other line of the kernel that begins with 15 bytes of somebody's choice has one.
 */
import { gpuPciId, nvswitchId } from '../events/ids.js';
import type { SxidAttrs, XidAttrs } from '../events/xid.js';
import { printable } from '../util/text.js';
import { gpuLine, type XidLine } from '../xid/line.js';
import { sxidLine } from '../xid/switch-line.js';
import type { Rule } from './kmsg-rules.js';

type FaultAttrs = Omit<XidAttrs, 'suppressed'>;

export type GpuFound =
  | {
      readonly type: 'error.xid';
      readonly entity: string;
      readonly pid?: number;
      readonly attrs: FaultAttrs;
    }
  | { readonly type: 'error.sxid'; readonly entity: string; readonly attrs: Omit<SxidAttrs, 'suppressed'> };

const MESSAGE_CHARS = 256;
/** What a GPU that does not answer any more is called by the driver. */
const LOST = 79;

export const GPU_RULES: readonly Rule[] = [
  { pattern: /^(?:NVRM: |nvidia-nvswitch\d)/, find: (_match, _places, { text }) => gpuFault(text) },
];

/** Cheap enough for every line: a fault of one GPU must not be lost among the noise of another. */
export function gpuFault(text: string): GpuFound | undefined {
  if (text.startsWith('nvidia-nvswitch')) return switchFault(text);
  const line = gpuLine(text);
  if (line === undefined || line.kind === 'uuid') return undefined;
  const entity = gpuPciId(line.pci);
  if (line.kind === 'lost') {
    const attrs = {
      code: LOST,
      pci: line.pci,
      toldBy: 'lost',
      message: 'GPU has fallen off the bus.',
    } as const;
    return { type: 'error.xid', entity, attrs };
  }
  return {
    type: 'error.xid',
    entity,
    ...(line.pid !== undefined && { pid: line.pid }),
    attrs: attrsOf(line),
  };
}

function attrsOf({ pci, code, message, comm, mig, causedBy, recovery, sm, nvlink }: XidLine): FaultAttrs {
  return {
    code,
    pci,
    toldBy: 'line',
    message: printable(message, MESSAGE_CHARS),
    ...(comm !== undefined && { comm: printable(comm) }),
    ...mig,
    ...(causedBy !== undefined && { causedBy }),
    ...(recovery !== undefined && { recovery }),
    ...(sm !== undefined && { sm }),
    ...(nvlink !== undefined && { nvlink }),
  };
}

function switchFault(text: string): GpuFound | undefined {
  const line = sxidLine(text);
  if (line === undefined) return undefined;
  const { pci, instance, code, severity, link, message } = line;
  return {
    type: 'error.sxid',
    entity: nvswitchId(instance),
    attrs: {
      code,
      pci,
      severity,
      message: printable(message, MESSAGE_CHARS),
      ...(link !== undefined && { link }),
    },
  };
}

/** What counts as the same thing for the limit: a link, a process, a MIG instance is another one. */
export function gpuKey(found: GpuFound): string {
  if (found.type === 'error.sxid')
    return `${found.type}/${found.entity}/${found.attrs.code}/${found.attrs.link ?? ''}`;
  const { code, toldBy, gi = '', nvlink } = found.attrs;
  const parts = [found.type, found.entity, code, toldBy, gi, nvlink?.link ?? '', found.pid ?? ''];
  return parts.join('/');
}
