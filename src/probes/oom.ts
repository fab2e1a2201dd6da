/** What a `struct xctl_process_oom` adds to its process: what the victim had, and the group that ran out. */
import type { OomAttrs } from '../events/event.js';
import { XctlProcessOomLayout } from '../kernel/abi.generated.js';
import { readText } from '../kernel/abi-read.js';
import { printable } from '../util/text.js';
import { u64 } from './records.js';

const O = XctlProcessOomLayout;

type OomOnly = Pick<OomAttrs, 'cgroup' | 'rssBytes' | 'limitBytes' | 'usageBytes' | 'limited'>;

/** Without what the kernel part did not know: all of it where it was given only a thread's id. */
export function oomOf(view: DataView, at: number): OomOnly {
  const cgroup = readText(view, at + O.cgroup, O.limited - O.cgroup);
  const rssBytes = u64(view, at + O.rssBytes);
  const limitBytes = u64(view, at + O.limitBytes);
  return {
    ...(cgroup !== '' && { cgroup: printable(cgroup) }),
    ...(rssBytes > 0 && { rssBytes }),
    ...(limitBytes > 0 && {
      limitBytes,
      usageBytes: u64(view, at + O.usageBytes),
      limited: printable(readText(view, at + O.limited, O.sizeBytes - O.limited)),
    }),
  };
}
