/**
 * What is recognised in the kernel log: which lines, and what they mean. The lines themselves are in
 * kmsg-rules-*.ts, each with the file of the kernel that prints it (5.10 to 6.18).
 *
 * Three things make a rule safe against lines that somebody provoked with names of his choice:
 * - Patterns are anchored at the start and have no part that could match in two ways over and over.
 * - Some kernel lines begin with a process name, 15 bytes that anybody may choose ("%s[%d]: segfault at …
 *   in LIBRARY"). So the fixed text of a rule begins at the start and reaches past the 15th byte without a
 *   gap, or the line must come from dev_printk() (`device`), or the pattern covers the line to its end.
 * - Names of network interfaces count only with the PCI device under them: a container has an eth0, too.
 */
import type { FilesystemErrorAttrs, HardwareErrorAttrs, KernelErrorAttrs } from '../events/host.js';
import { FILESYSTEM_RULES } from './kmsg-rules-fs.js';
import { GPU_RULES, type GpuFound } from './kmsg-rules-gpu.js';
import { HARDWARE_RULES } from './kmsg-rules-hw.js';
import { KERNEL_RULES } from './kmsg-rules-kernel.js';
import { LINK_RULES } from './kmsg-rules-link.js';
import { STORAGE_RULES } from './kmsg-rules-storage.js';
import type { KmsgLine } from './kmsg-record.js';
import type { Places } from './kmsg-places.js';

/** An event without what every event has: its time, its message, how many like it were not told. */
export type Found =
  | {
      readonly type: 'error.hw';
      readonly entity: string;
      readonly class: HardwareErrorAttrs['class'];
      readonly severity: HardwareErrorAttrs['severity'];
      readonly about?: readonly string[];
    }
  | {
      readonly type: 'error.kernel';
      readonly entity: string;
      readonly class: KernelErrorAttrs['class'];
      readonly pid?: number;
      readonly comm?: string;
      readonly seconds?: number;
    }
  | {
      readonly type: 'error.fs';
      readonly entity: string;
      readonly class: FilesystemErrorAttrs['class'];
      readonly fsType: string;
      readonly op?: FilesystemErrorAttrs['op'];
    }
  | GpuFound
  | { readonly type: 'topo.link'; readonly entity: string; readonly up: boolean; readonly driver?: string }
  | {
      readonly type: 'storage.server';
      readonly entity: string;
      readonly server: string;
      readonly responding: boolean;
    };

export interface Rule {
  readonly pattern: RegExp;
  /** Only lines of dev_printk(), which say of which device they are. */
  readonly device?: true;
  /** undefined: a line of this kind that is no fault, or one that names nothing known. */
  readonly find: (match: RegExpExecArray, places: Places, line: KmsgLine) => Found | undefined;
}

/** The first that matches decides. */
const RULES: readonly Rule[] = [
  ...GPU_RULES,
  ...STORAGE_RULES,
  ...FILESYSTEM_RULES,
  ...KERNEL_RULES,
  ...HARDWARE_RULES,
  ...LINK_RULES,
];

export function recognise(line: KmsgLine, places: Places): Found | undefined {
  for (const rule of RULES) {
    if (rule.device && line.device === undefined) continue;
    const match = rule.pattern.exec(line.text);
    if (match !== null) return rule.find(match, places, line);
  }
  return undefined;
}
