/** Tasks that hang, CPUs that are stuck, the kernel's own faults. See kmsg-rules.ts. */
import { processId } from '../events/ids.js';
import { printable } from '../util/text.js';
import type { Found, Rule } from './kmsg-rules.js';

/** A name has 15 bytes, each shown as up to four characters. */
const COMM_CHARS = 64;

export const KERNEL_RULES: readonly Rule[] = [
  // kernel/hung_task.c, check_hung_task(). The name may hold anything, but no more than 15 bytes.
  {
    pattern: /^INFO: task (.{0,15}):(\d{1,7}) blocked (?:in I\/O wait )?for more than (\d{1,9}) seconds/s,
    find: ([, comm = '', pid, seconds]) => ofProcess('hung-task', Number(pid), comm, Number(seconds)),
  },
  // kernel/watchdog.c, watchdog_timer_fn().
  {
    pattern:
      /^(?:NMI )?watchdog: BUG: soft lockup - CPU#(\d{1,5}) stuck for (\d{1,9})s! \[(.{0,15}):(\d{1,7})\]/s,
    find: ([, cpu, seconds, comm = '', pid]) => ({
      type: 'error.kernel',
      entity: `cpu:${Number(cpu)}`,
      class: 'soft-lockup',
      comm: printable(comm, COMM_CHARS),
      seconds: Number(seconds),
      ...(Number(pid) > 0 && { pid: Number(pid) }),
    }),
  },
  // kernel/watchdog.c, watchdog_hardlockup_check(); kernel/watchdog_hld.c up to 6.4.
  {
    pattern: /^(?:NMI )?watchdog: (?:CPU\d{1,5}: )?Watchdog detected hard LOCKUP on cpu (\d{1,5})/,
    find: ([, cpu]) => ofCpu('hard-lockup', cpu),
  },
  // kernel/rcu/tree_stall.h, print_other_cpu_stall(), print_cpu_stall(): this line does not say which CPU …
  {
    pattern: /^rcu: INFO: rcu[a-z_]{0,16} (?:detected stalls on CPUs\/tasks|self-detected stall on CPU)/,
    find: () => ({ type: 'error.kernel', entity: 'node', class: 'rcu-stall' }),
  },
  // … print_cpu_stall_info() does: `rcu: \t3-....: (5249 ticks this GP) idle=…`
  {
    pattern: /^rcu: \t(\d{1,5})-[.!?0-9A-Z]{2,6}: \(\d{1,12} (?:ticks this GP|GPs behind)\)/,
    find: ([, cpu]) => ofCpu('rcu-stall', cpu),
  },
  // mm/oom_kill.c, __oom_kill_process(). The group and its limit come with process.oom_kill.
  {
    pattern:
      /^(?:Memory cgroup out of memory|Out of memory(?: \(oom_kill_allocating_task\))?): Killed process (\d{1,7}) \((.{0,15})\) total-vm:\d/s,
    find: ([, pid, comm = '']) => ofProcess('oom', Number(pid), comm),
  },
  // arch/x86/mm/fault.c, show_fault_oops(); arch/arm64/mm/fault.c, die_kernel_fault().
  {
    pattern:
      /^(?:BUG: unable to handle (?:page fault|kernel)|BUG: kernel NULL pointer dereference|Unable to handle kernel )/,
    find: bug,
  },
  // kernel/panic.c; lib/bug.c; mm/page_alloc.c; kernel/sched/core.c; kernel/workqueue.c.
  {
    pattern:
      /^(?:Kernel panic - not syncing: |kernel BUG at [^ ]{1,128}:\d+!|BUG: Bad (?:page state in process|rss-counter state)|BUG: scheduling while atomic: |BUG: workqueue lockup - pool)/,
    find: bug,
  },
  // arch/x86/kernel/dumpstack.c, __die_header(); traps.c for protection faults of the kernel (those of processes begin with `traps: `).
  {
    pattern:
      /^(?:Internal error: )?(?:Oops(?: - [A-Za-z ]{1,40})?: ){0,2}(?:general protection fault[^:\n]{0,80}(?: 0x[0-9a-f]{1,16})?: |[a-z][a-z ]{2,40}: )?[0-9a-f]{4,16} \[#\d{1,4}\](?: [A-Z_]{2,16}(?:\([a-z]{2,16}\))?){0,6} ?$/,
    find: bug,
  },
];

function bug(): Found {
  return { type: 'error.kernel', entity: 'node', class: 'bug' };
}

function ofCpu(kind: 'hard-lockup' | 'rcu-stall', cpu: string | undefined): Found {
  return { type: 'error.kernel', entity: `cpu:${Number(cpu)}`, class: kind };
}

function ofProcess(kind: 'hung-task' | 'oom', pid: number, comm: string, seconds?: number): Found {
  return {
    type: 'error.kernel',
    entity: processId(pid),
    class: kind,
    pid,
    comm: printable(comm, COMM_CHARS),
    ...(seconds !== undefined && { seconds }),
  };
}
