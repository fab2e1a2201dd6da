/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is waited for, from the pass over the threads to the pass over the files: the second one
 * reports only holders of these, so that a node with 100,000 descriptors answers with a handful.
 */
#ifndef XCTL_WAITS_WANTED_BPF_H
#define XCTL_WAITS_WANTED_BPF_H

#include "file.bpf.h"

struct pass {
	__u64 generation; /* of this pass; an entry of xctl_wanted with another one is old */
	__u64 full; /* report every thread with all it waits for, also those that have not run */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pass);
} xctl_pass SEC(".maps");

struct wanted {
	__u64 generation;
	__u64 object; /* inode number, as in the record of the waiter; 0 for a flow */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct wanted_key);
	__type(value, struct wanted);
} xctl_wanted SEC(".maps");

static __always_inline struct pass *xctl_this_pass(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&xctl_pass, &zero);
}

/* `flow` is the waiter's, filled, where w->tcp is set. */
static __always_inline void xctl_want(struct wait_file *w, const struct xctl_flow *flow)
{
	struct pass *pass = xctl_this_pass();
	struct wanted value = {};

	if (w->tcp)
		xctl_flow_key(&w->wanted, flow, true);
	if (!pass || !w->wanted.a)
		return;
	value.generation = pass->generation;
	value.object = w->peer ?: w->object;
	if (bpf_map_update_elem(&xctl_wanted, &w->wanted, &value, BPF_ANY))
		xctl_count_loss(XCTL_LOST_WANTED_FULL);
}

#endif
