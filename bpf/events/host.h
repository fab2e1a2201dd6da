/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What control groups have used of CPU and memory, and processes of memory. Part of xctl_events.h, whose rules hold here. */
#ifndef XCTL_EVENTS_HOST_H
#define XCTL_EVENTS_HOST_H

/* XCTL_CGROUP_CPU: told when something changed since the last pass, and for each process in it. */
struct xctl_cgroup_cpu {
	struct xctl_hdr hdr; /* pid: a process that the limit holds */
	__u64 start_ns;
	__u64 cgroup_id; /* of the group with the limit, in its hierarchy */
	__u64 quota_ns;
	__u64 period_ns;
	__u64 periods; /* so far */
	__u64 throttled_periods;
	__u64 throttled_ns;
	__u32 levels; /* above the process's own group */
	__u32 throttled; /* now */
	char cgroup[XCTL_CGROUP_LEN]; /* "parent/leaf" */
};

/* XCTL_CGROUP_MEMORY */
struct xctl_cgroup_memory {
	struct xctl_hdr hdr; /* pid: a process in it */
	__u64 start_ns;
	__u64 cgroup_id;
	__u64 usage_bytes;
	__u64 limit_bytes; /* memory.max; all ones: none */
	__u64 high_bytes; /* memory.high; all ones: none */
	__u64 high_events; /* times that usage went over high, so far; of the limit, and so on */
	__u64 max_events;
	__u64 oom_events;
	__u64 oom_kills;
	__u32 levels;
	__u32 pad;
	char cgroup[XCTL_CGROUP_LEN];
};

/* XCTL_MEMORY_USE */
struct xctl_memory_use {
	struct xctl_hdr hdr;
	__u64 start_ns;
	__u64 rss_bytes;
	__u64 swap_bytes;
	char comm[XCTL_COMM_LEN];
};

#endif
