/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Calls of libibverbs. Part of xctl_events.h, whose rules hold here. */
#ifndef XCTL_EVENTS_RDMA_TRACE_H
#define XCTL_EVENTS_RDMA_TRACE_H

#define XCTL_VERBS_QPS 4

/* XCTL_VERBS_FILE: once a process and descriptor. */
struct xctl_verbs_file {
	struct xctl_hdr hdr;
	__u64 start_ns;
	__u64 handles[XCTL_VERBS_QPS]; /* addresses of its youngest struct ibv_qp in the process; 0: no more */
	__u32 qpns[XCTL_VERBS_QPS];
	__s32 fd;
	__u32 qps; /* that it has in all */
	__u32 driver; /* enum rdma_driver_id */
	__u32 pad;
	char device[XCTL_RDMA_NAME_LEN]; /* empty when it has no queue pair */
};

/* Key of the hash `xctl_posts`. */
struct xctl_posts_key {
	__u64 start_ns;
	__u64 qp; /* address of its struct ibv_qp in the process */
	__u32 pid;
	__u32 pad;
};

/* Its value. */
struct xctl_posts {
	__u64 posts; /* work requests so far */
	__u64 bytes; /* of their scatter/gather lists */
	__u64 cut; /* posts whose list was longer than is looked at: posts and bytes are too low */
	__u64 last_ns;
	__u64 source; /* attachment that counts: a file that was found twice is counted once */
	__u32 qpn;
	__u32 driver; /* enum rdma_driver_id; 0 unknown */
	__s32 outstanding; /* when the kernel's queue pairs were last walked; -1 unknown */
	__u32 known; /* the kernel has such a queue pair in that process: not only the process says so */
	char device[XCTL_RDMA_NAME_LEN];
};

/* Index into the per-CPU array `xctl_verbs_calls`. */
enum xctl_verbs_class {
	XCTL_VERBS_POST = 0,
	XCTL_VERBS_CLASS_MAX = 1,
};

#endif
