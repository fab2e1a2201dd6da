/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Block requests, queues and latencies. Part of xctl_events.h, whose rules hold here. */
#ifndef XCTL_EVENTS_BLOCK_H
#define XCTL_EVENTS_BLOCK_H

enum xctl_block_op {
	XCTL_B_READ = 1,
	XCTL_B_WRITE = 2,
	XCTL_B_FLUSH = 3,
	XCTL_B_DISCARD = 4,
	XCTL_B_OTHER = 5,
};

#define XCTL_BF_WRITEBACK 1u /* the kernel wrote a cache back: no process submitted it, its cgroup did */
#define XCTL_BF_METADATA 2u

/* XCTL_BLOCK_SLOW, _ERROR, _INFLIGHT. hdr.pid: who submitted it, 0 when that is not proven. */
struct xctl_block_rq {
	struct xctl_hdr hdr;
	__u64 start_ns; /* of the submitting process */
	__u64 cgroup_id; /* that the request is charged to; 0 unknown */
	__u64 sector; /* of 512 bytes, on the disk */
	__u64 age_ns; /* since it was made: until it completed, or until now */
	__u64 device_ns; /* of that, with the driver; 0 unknown */
	__u32 dev; /* of the disk, major << 20 | minor */
	__u32 part; /* of the partition or disk that was written to, as dev; 0 unknown */
	__u32 bytes;
	__u32 status; /* blk_status_t */
	__u16 op; /* enum xctl_block_op */
	__u16 flags; /* XCTL_BF_* */
	__u32 suppressed; /* like it, not told of since the last one */
	char comm[XCTL_COMM_LEN]; /* of the submitter */
	char cgroup[XCTL_CGROUP_LEN]; /* "parent/leaf" */
};

/* XCTL_BLOCK_QUEUE */
struct xctl_block_queue {
	struct xctl_hdr hdr;
	__u64 oldest_ns; /* age of the oldest request; 0: none */
	__u32 dev;
	__u32 in_flight; /* with the driver, or on the way to it */
	__u32 depth; /* requests that the queue can hold */
	__u32 told; /* XCTL_BLOCK_INFLIGHT records before this one */
};

/*
 * Latencies of completed requests in units of 1024 ns: 0-3 a slot each, from there on 4 slots an
 * octave; the last one ends at 275 s.
 */
#define XCTL_LATENCY_SLOTS 108
/* Of requests that took less than 10 ms one in so many is counted, for all of them. */
#define XCTL_FAST_WEIGHT 8
#define XCTL_LATENCY_OPS 2 /* read, write */

/* Value of the per-CPU array `xctl_block_latency`; where a device's is, block/latency.bpf.h says. */
struct xctl_block_latency {
	__u32 dev; /* disk or partition, major << 20 | minor; 0: free, on this CPU */
	__u32 pad;
	__u32 counts[XCTL_LATENCY_OPS * XCTL_LATENCY_SLOTS];
};

/* Value of the array `xctl_block_config`. */
struct xctl_block_config {
	__u64 slow_ns; /* a request that took longer is told of; 0: 500 ms */
	__s32 fd; /* of the process that reads: an open file in /sys/block/NAME, the disk to look at */
	__u32 pad;
};

#endif
