/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Registered memory, summed up by process: regions come by the thousand, and only how many and how large they are in
 * all matters. User space reads the sums once a second. Each region is remembered with whom it was counted for, so
 * that none is counted twice (it may be found and made at the same moment), and none is taken off that was not added.
 */
#ifndef XCTL_RDMA_MEMORY_BPF_H
#define XCTL_RDMA_MEMORY_BPF_H

#include "owner.bpf.h"

struct counted_region {
	struct xctl_rdma_memory_key key;
	__u64 bytes;
};

/* By address of the region. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct counted_region);
} xctl_regions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct xctl_rdma_memory_key);
	__type(value, struct xctl_rdma_memory);
} xctl_rdma_memory SEC(".maps");

static __always_inline void memory_adds(const struct xctl_rdma_memory_key *key, __s64 bytes, __s64 regions)
{
	struct xctl_rdma_memory *sum = bpf_map_lookup_elem(&xctl_rdma_memory, key), fresh = {};

	if (!sum && regions > 0) {
		bpf_map_update_elem(&xctl_rdma_memory, key, &fresh, BPF_NOEXIST);
		sum = bpf_map_lookup_elem(&xctl_rdma_memory, key);
		if (!sum)
			xctl_count_loss(XCTL_LOST_TABLE_FULL);
	}
	if (!sum)
		return;
	__sync_fetch_and_add(&sum->bytes, bytes);
	__sync_fetch_and_add(&sum->regions, regions);
}

static __always_inline void region_added(struct ib_mr *mr)
{
	struct task_struct *task = BPF_CORE_READ(mr, res.task);
	struct counted_region region = {};
	__u64 key = (__u64)mr;

	/* The kernel's own. */
	if (!task)
		return;
	region.key.pid = BPF_CORE_READ(task, tgid);
	region.key.start_ns = xctl_start_ns(task);
	region.bytes = BPF_CORE_READ(mr, length);
	if (!bpf_map_update_elem(&xctl_regions, &key, &region, BPF_NOEXIST))
		memory_adds(&region.key, region.bytes, 1);
	else if (!bpf_map_lookup_elem(&xctl_regions, &key))
		xctl_count_loss(XCTL_LOST_TABLE_FULL);
}

static __always_inline void region_removed(struct ib_mr *mr)
{
	__u64 key = (__u64)mr;
	struct counted_region *known = bpf_map_lookup_elem(&xctl_regions, &key), region;

	if (!known)
		return;
	region = *known;
	if (!bpf_map_delete_elem(&xctl_regions, &key))
		memory_adds(&region.key, -(__s64)region.bytes, -1);
}

static __always_inline struct ib_mr *mr_of_res(struct rdma_restrack_entry *res)
{
	return (void *)res - bpf_core_field_offset(struct ib_mr, res);
}

#endif
