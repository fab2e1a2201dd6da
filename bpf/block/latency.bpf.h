/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What each device's requests took, in the kernel, so that a percentile costs no event.
 *
 * A device's counts lie at index (dev * 0x9e3779b1) >> 25 of an array, or at one of the three after it;
 * each CPU takes the first that is free, for good. Requests count for the partition that they are
 * for: it is at hand where the disk would be two cache misses away.
 */
#ifndef XCTL_BLOCK_LATENCY_BPF_H
#define XCTL_BLOCK_LATENCY_BPF_H

#define XCTL_DEVICES_BITS 7
#define XCTL_DEVICE_PROBES 4

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1 << XCTL_DEVICES_BITS);
	__type(key, __u32);
	__type(value, struct xctl_block_latency);
} xctl_block_latency SEC(".maps");

/* A device beyond the table is counted, and has the kernel's own counters (/proc/diskstats) left. */
static __always_inline struct xctl_block_latency *xctl_latency_of(__u32 dev)
{
	__u32 home = (dev * 0x9e3779b1U) >> (32 - XCTL_DEVICES_BITS);
	struct xctl_block_latency *latency;

	for (__u32 probe = 0; probe < XCTL_DEVICE_PROBES; probe++) {
		__u32 index = (home + probe) & ((1 << XCTL_DEVICES_BITS) - 1);

		latency = bpf_map_lookup_elem(&xctl_block_latency, &index);
		if (!latency || latency->dev == dev)
			return latency;
		if (!latency->dev) {
			latency->dev = dev;
			return latency;
		}
	}
	xctl_count_loss(XCTL_LOST_WANTED_FULL);
	return NULL;
}

/* As XCTL_LATENCY_SLOTS says. */
static __always_inline __u32 xctl_latency_slot(__u64 ns)
{
	__u64 units = ns >> 10;
	__u32 v = units < (1U << 28) ? units : (1U << 28) - 1;
	__u32 x = v, log = 0;

	if (v < 4)
		return v;
	if (x >> 16) {
		x >>= 16;
		log += 16;
	}
	if (x >> 8) {
		x >>= 8;
		log += 8;
	}
	if (x >> 4) {
		x >>= 4;
		log += 4;
	}
	if (x >> 2) {
		x >>= 2;
		log += 2;
	}
	log += x >> 1;
	return (log - 1) * 4 + ((v >> (log - 2)) & 3);
}

#endif
