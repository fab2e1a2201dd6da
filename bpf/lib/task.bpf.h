/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Identity of a process, read from any task_struct, trusted or not, in any context.
 * A process is (tgid, start_boottime of its group leader). Costs one probe_read (10-15 ns) a step.
 */
#ifndef XCTL_TASK_BPF_H
#define XCTL_TASK_BPF_H

#include "compat.bpf.h"

#define XCTL_PF_KTHREAD 0x00200000

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

static __always_inline __u32 xctl_ppid(const struct task_struct *task)
{
	return BPF_CORE_READ(task, group_leader, real_parent, tgid);
}

static __always_inline __u64 xctl_parent_start_ns(const struct task_struct *task)
{
	return BPF_CORE_READ(task, group_leader, real_parent, group_leader, start_boottime);
}

static __always_inline __u32 xctl_uid(const struct task_struct *task)
{
	return BPF_CORE_READ(task, real_cred, uid.val);
}

/* Of the cgroup v2 hierarchy; the root's when the process is only in v1 hierarchies. */
static __always_inline __u64 xctl_cgroup_id(const struct task_struct *task)
{
	return BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
}

/*
 * Innermost pid namespace and the tgid in it. Both stay 0 for a task whose pid is gone already
 * (reaped), which a fork, exec or exit never is.
 */
static __always_inline void xctl_ns_pid(const struct task_struct *task, __u32 *ns, __u32 *nr)
{
	struct pid *pid = BPF_CORE_READ(task, group_leader, thread_pid);
	struct upid upid = {};

	if (!pid)
		return;
	bpf_probe_read_kernel(&upid, sizeof(upid), &pid->numbers[BPF_CORE_READ(pid, level)]);
	*nr = upid.nr;
	*ns = BPF_CORE_READ(upid.ns, ns.inum);
}

/* Everything that an exec and a fork tell; pid and ts go to the header. */
static __always_inline void xctl_fill_process(struct xctl_process *p, const struct task_struct *task)
{
	struct task_struct *leader = xctl_leader(task);
	struct task_struct *parent = BPF_CORE_READ(leader, real_parent);

	p->hdr.pid = BPF_CORE_READ(leader, tgid);
	p->start_ns = BPF_CORE_READ(leader, start_boottime);
	p->ppid = BPF_CORE_READ(parent, tgid);
	p->parent_start_ns = BPF_CORE_READ(parent, group_leader, start_boottime);
	p->cgroup_id = xctl_cgroup_id(task);
	p->uid = xctl_uid(task);
	xctl_ns_pid(task, &p->pid_ns, &p->ns_pid);
	BPF_CORE_READ_STR_INTO(&p->comm, leader, comm);
}

#endif
