/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Identity of a process, read from any task_struct, trusted or not, in any context.
 * A process is (tgid, start_boottime of its group leader). Costs one probe_read (10-15 ns) a step.
 */
#ifndef XCTL_TASK_BPF_H
#define XCTL_TASK_BPF_H

#include "compat.bpf.h"

#define XCTL_PF_KTHREAD 0x00200000

/*
 * src->a->b…, as a plain load each where the program has the pointer from a BTF typed hook (`typed`, a
 * constant): 1 ns in place of a probe read's 15.
 */
#define xctl_get(typed, src, ...) ((typed) ? ___arrow(src, __VA_ARGS__) : BPF_CORE_READ(src, __VA_ARGS__))

static __always_inline struct task_struct *xctl_leader(const struct task_struct *task)
{
	return BPF_CORE_READ(task, group_leader);
}

/* Of the thread group leader: the process's, not the thread's. */
static __always_inline __u64 xctl_start_ns(const struct task_struct *task)
{
	return BPF_CORE_READ(task, group_leader, start_boottime);
}

static __always_inline bool xctl_is_kthread(const struct task_struct *task)
{
	return BPF_CORE_READ(task, flags) & XCTL_PF_KTHREAD;
}

/*
 * Innermost pid namespace and the tgid in it. Both stay 0 for a task whose pid is gone already
 * (reaped), which a fork, exec or exit never is.
 */
static __always_inline void xctl_ns_pid(struct xctl_process *p, const struct task_struct *leader, bool typed)
{
	struct pid *pid = xctl_get(typed, leader, thread_pid);
	struct upid upid = {};

	if (!pid)
		return;
	bpf_probe_read_kernel(&upid, sizeof(upid), &pid->numbers[xctl_get(typed, pid, level)]);
	p->ns_pid = upid.nr;
	p->pid_ns = BPF_CORE_READ(upid.ns, ns.inum);
}

/* Everything that an exec and a fork tell; pid and ts go to the header. */
static __always_inline void xctl_fill_process(struct xctl_process *p, const struct task_struct *task, bool typed)
{
	struct task_struct *leader = xctl_get(typed, task, group_leader);
	struct task_struct *parent = xctl_get(typed, leader, real_parent);

	p->hdr.pid = xctl_get(typed, leader, tgid);
	p->start_ns = xctl_get(typed, leader, start_boottime);
	p->ppid = xctl_get(typed, parent, tgid);
	p->parent_start_ns = xctl_get(typed, parent, group_leader, start_boottime);
	/* Of the version 2 hierarchy; the root's when the process is only in groups of version 1. */
	p->cgroup_id = xctl_get(typed, task, cgroups, dfl_cgrp, kn, id);
	p->uid = xctl_get(typed, task, real_cred, uid.val);
	xctl_ns_pid(p, leader, typed);
	/* The kernel pads it with NULs. */
	bpf_probe_read_kernel(&p->comm, sizeof(p->comm), &leader->comm);
}

#endif
