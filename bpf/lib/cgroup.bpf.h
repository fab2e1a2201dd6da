/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Control groups from the kernel's own structures, which are the same in version 1 and 2 of the
 * interface: names, levels, memory counters. Only probe reads: a group may go while it is read.
 * Minimum kernel 5.5 (64-bit ids of kernfs nodes). Cost: one probe read (10-15 ns) a step.
 */
#ifndef XCTL_CGROUP_BPF_H
#define XCTL_CGROUP_BPF_H

#include "compat.bpf.h"

/* Groups above a process that are looked at; a pod is four or five deep. */
#define XCTL_GROUP_LEVELS 8
#define XCTL_PAGE_SHIFT 12
/* PAGE_COUNTER_MAX: no limit. */
#define XCTL_PAGES_MAX (0x7fffffffffffffffULL >> XCTL_PAGE_SHIFT)
/* The kernel charges in batches of this many pages (MEMCG_CHARGE_BATCH): a full group may be one short. */
#define XCTL_CHARGE_BATCH 64

#define XCTL_NO_LIMIT (~0ULL)

/* "parent/leaf": enough to tell which pod, short enough to carry. Longer names are cut at 63 bytes. */
static __always_inline void xctl_group_name(char *out, struct kernfs_node *leaf)
{
	struct kernfs_node *parent = xctl_kn_parent(leaf);
	long used = 0;

	if (parent && xctl_kn_parent(parent)) {
		used = bpf_probe_read_kernel_str(out, XCTL_CGROUP_LEN / 2, BPF_CORE_READ(parent, name));
		if (used < 1 || used > XCTL_CGROUP_LEN / 2)
			return;
	}
	/* Over the NUL that the first one ends with. */
	out[used ? used - 1 : 0] = '/';
	bpf_probe_read_kernel_str(&out[used ?: 1], XCTL_CGROUP_LEN / 2 - 1, BPF_CORE_READ(leaf, name));
}

/* Version 2 is the hierarchy with id 0 (cgrp_dfl_root). */
static __always_inline bool xctl_is_v2(struct cgroup *group)
{
	return !BPF_CORE_READ(group, root, hierarchy_id);
}

/* How far `group` is above the group that the task is in, in the same hierarchy; `own` is the task's css's. */
static __always_inline __u32 xctl_levels(struct task_struct *task, struct cgroup *own, struct cgroup *group)
{
	int from, to = BPF_CORE_READ(group, level);

	/* In version 2 a controller may end above the group that the process is in. */
	if (xctl_is_v2(group))
		own = BPF_CORE_READ(task, cgroups, dfl_cgrp);
	from = BPF_CORE_READ(own, level);
	return from > to ? from - to : 0;
}

static __always_inline struct cgroup_subsys_state *xctl_memory_css(const struct task_struct *task)
{
	__u32 index = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);

	return BPF_CORE_READ(task, cgroups, subsys[index]);
}

/* css is the first member of struct mem_cgroup. */
static __always_inline struct mem_cgroup *xctl_memcg(struct cgroup_subsys_state *css)
{
	return container_of(css, struct mem_cgroup, css);
}

static __always_inline __u64 xctl_pages_bytes(__u64 pages)
{
	return pages >= XCTL_PAGES_MAX ? XCTL_NO_LIMIT : pages << XCTL_PAGE_SHIFT;
}

static __always_inline __u64 xctl_memory_events(struct mem_cgroup *memcg, __u32 event)
{
	long count = 0;

	bpf_probe_read_kernel(&count, sizeof(count), &memcg->memory_events[event].counter);
	return count;
}

/* No room for one more batch. */
static __always_inline bool xctl_counter_full(__u64 usage, __u64 max)
{
	return max < XCTL_PAGES_MAX && usage + XCTL_CHARGE_BATCH >= max;
}

#define XCTL_MM_FILEPAGES 0
#define XCTL_MM_ANONPAGES 1
#define XCTL_MM_SWAPENTS 2
#define XCTL_MM_SHMEMPAGES 3

/* As /proc/PID/statm has it: without what CPUs have not added to the sum yet. */
static __always_inline __u64 xctl_rss_bytes(struct mm_struct *mm)
{
	return (xctl_mm_counter(mm, XCTL_MM_FILEPAGES) + xctl_mm_counter(mm, XCTL_MM_ANONPAGES) +
		xctl_mm_counter(mm, XCTL_MM_SHMEMPAGES))
	       << XCTL_PAGE_SHIFT;
}

#endif
