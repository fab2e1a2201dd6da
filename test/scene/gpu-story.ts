/** What probes say of GPUs, for stories. GPU n is at the PCI address `pciOf(n)`, which is all that the kernel log knows. */
import type { EventCatalogue } from '../../src/events/event.js';
import type { GpuHealthAttrs, GpuProcess, GpuStateAttrs, GpuUseAttrs } from '../../src/events/gpu.js';
import type { XidAttrs } from '../../src/events/xid.js';
import type { Story } from './build.js';

export const GIB = 2 ** 30;
const TOTAL = 80 * GIB;

/** Processes of stories start in the first clock tick. */
export type User = readonly [pid: number, gib: number, sm?: number];

export function pciOf(gpu: number): string {
  return `0000:${(0x3b + gpu).toString(16)}:00.0`;
}

export function device(s: Story, gpu = 0, pci = pciOf(gpu)): Story {
  return s.say('gpu.device', `gpu:${gpu}`, TOTAL, { pci, instances: [], minor: gpu }, 'gpu');
}

export function users(s: Story, gpu: number, ...list: readonly User[]): Story {
  const processes = list.map(
    ([pid, gib, smPercent]): GpuProcess => ({
      pid,
      startTicks: 0,
      comm: `p${pid}`,
      memoryBytes: gib * GIB,
      ...(smPercent !== undefined && { smPercent }),
    }),
  );
  const bytes = list.reduce((sum, [, gib]) => sum + gib * GIB, 0);
  return s.say('gpu.processes', `gpu:${gpu}`, bytes, { processes }, 'gpu');
}

export function opened(s: Story, gpu: number, ...pids: readonly number[]): Story {
  const holders = pids.map((pid) => ({ pid, start: pid * 1_000, comm: `p${pid}`, fd: 7 }));
  return s.say('gpu.users', `gpu:${gpu}`, pids.length, { holders }, 'gpu');
}

export function use(s: Story, gpu: number, more: Partial<GpuUseAttrs> = {}): Story {
  const attrs = { usedBytes: 10 * GIB, totalBytes: TOTAL, throttle: [], windowMs: 1_000, ...more };
  return s.say('gpu.use', `gpu:${gpu}`, more.gpuPercent ?? 0, attrs, 'gpu');
}

export function health(s: Story, gpu: number, more: Partial<GpuHealthAttrs> = {}): Story {
  const attrs = { uncorrectedVolatile: 0, remapPending: false, remapFailed: false, links: [], ...more };
  return s.say('gpu.health', `gpu:${gpu}`, 0, attrs, 'gpu');
}

export function state(
  s: Story,
  gpu: number,
  attrs: Partial<GpuStateAttrs> & Pick<GpuStateAttrs, 'state'>,
): Story {
  return s.say('gpu.state', `gpu:${gpu}`, 0, { was: 'ok', scope: 'gpu', ...attrs }, 'gpu');
}

/** A line of the kernel log: it knows the address alone. */
export function line(
  s: Story,
  gpu: number,
  code: number,
  more: Partial<XidAttrs> & { readonly pid?: number } = {},
): Story {
  const { pid, ...said } = more;
  const attrs: EventCatalogue['error.xid'] = {
    code,
    pci: pciOf(gpu),
    toldBy: 'line',
    message: `Xid ${code}`,
    ...said,
  };
  return s.say('error.xid', `gpu:${pciOf(gpu)}`, 1 + (said.suppressed ?? 0), attrs, 'kmsg', pid);
}

/** The same by NVML. */
export function nvml(s: Story, gpu: number, xid: number): Story {
  return s.say('gpu.event', `gpu:${gpu}`, xid, { kind: 'xid', xid }, 'gpu');
}

/** GPU 0 with process 10 on it, which sleeps; 8 s later. */
export function training(s: Story): Story {
  users(device(s.seen(10)), 0, [10, 10]);
  health(use(s, 0, { gpuPercent: 90 }), 0, {
    links: [
      { link: 0, up: true },
      { link: 1, up: false },
    ],
  });
  return s.later(8_000).futex(10).pass([]);
}
