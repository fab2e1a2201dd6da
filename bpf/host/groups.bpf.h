/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The limits that hold a process: its own group's and those of the groups above it. Whether a group
 * is told is decided when the first of its processes comes by, and holds for the whole pass.
 */
#ifndef XCTL_HOST_GROUPS_BPF_H
#define XCTL_HOST_GROUPS_BPF_H

#define RUNTIME_INF (~0ULL)
/* A full group is told once a second at most, where nothing else has changed. */
#define NEAR_LIMIT_NS 1000000000ULL

/* What this kernel keeps; written by the first pass. */
#define HAS_CPU_LIMITS 1u
#define HAS_MEMORY_LIMITS 2u
#define HAS_PASSED 0x80000000u

struct host_pass {
	__u64 generation;
	__u32 has;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct host_pass);
} xctl_host_pass SEC(".maps");

/* By the css's serial number, which no other css of any controller ever has. */
struct group_seen {
	__u64 generation;
	__u64 told_ns;
	__u64 counts[3];
	__u32 told; /* in this generation */
	__u32 near; /* its limit, when it was told last */
};

/* One that was pushed out is told once more, with the same counters: no harm. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct group_seen);
} xctl_groups SEC(".maps");

/* Records are too large for the stack. Only one pass runs at a time. */
struct host_scratch {
	struct xctl_cgroup_cpu cpu;
	struct xctl_cgroup_memory memory;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct host_scratch);
} xctl_host_scratch SEC(".maps");

/* @near: its limit, and so told although nothing has changed; once more when it is not any longer */
static __always_inline bool to_tell(struct host_pass *pass, __u64 serial, const __u64 *counts, bool near)
{
	struct group_seen *seen = bpf_map_lookup_elem(&xctl_groups, &serial), now = {};
	__u64 ns = bpf_ktime_get_boot_ns();

	if (seen && seen->generation == pass->generation)
		return seen->told;
	now.generation = pass->generation;
	__builtin_memcpy(now.counts, counts, sizeof(now.counts));
	now.told = !seen || seen->counts[0] != counts[0] || seen->counts[1] != counts[1] ||
		   seen->counts[2] != counts[2] || near != seen->near ||
		   (near && ns - seen->told_ns >= NEAR_LIMIT_NS);
	now.told_ns = seen && !now.told ? seen->told_ns : ns;
	now.near = near;
	if (bpf_map_update_elem(&xctl_groups, &serial, &now, BPF_ANY))
		xctl_count_loss(XCTL_LOST_WANTED_FULL);
	return now.told;
}

/*
 * Its queue, or that of a group above, on the CPU of `t`; on the others it may have time left.
 * A function of its own: the offsets of what this kernel does not have must not be moved out of the loop.
 */
static __noinline bool is_throttled(struct task_struct *t, struct task_group *group)
{
	struct cfs_rq **queues = BPF_CORE_READ(group, cfs_rq), *queue = NULL;

	if (bpf_probe_read_kernel(&queue, sizeof(queue), &queues[xctl_task_cpu(t)]) || !queue)
		return false;
	return BPF_CORE_READ(queue, throttle_count) > 0;
}

static __always_inline void tell_cpu(struct task_struct *t, struct task_group *group, struct task_group *own,
				     struct seq_file *seq, struct host_pass *pass, struct xctl_cgroup_cpu *e)
{
	struct cgroup *cgroup = BPF_CORE_READ(group, css.cgroup);
	__u64 counts[3] = { BPF_CORE_READ(group, cfs_bandwidth.nr_throttled),
			    BPF_CORE_READ(group, cfs_bandwidth.throttled_time) };

	if (!cgroup || !to_tell(pass, BPF_CORE_READ(group, css.serial_nr), counts, false))
		return;
	__builtin_memset(e, 0, sizeof(*e));
	xctl_fill_hdr(&e->hdr, XCTL_CGROUP_CPU, sizeof(*e));
	e->hdr.pid = BPF_CORE_READ(t, tgid);
	e->start_ns = xctl_start_ns(t);
	e->cgroup_id = BPF_CORE_READ(cgroup, kn, id);
	e->quota_ns = BPF_CORE_READ(group, cfs_bandwidth.quota);
	e->period_ns = BPF_CORE_READ(group, cfs_bandwidth.period);
	e->periods = BPF_CORE_READ(group, cfs_bandwidth.nr_periods);
	e->throttled_periods = counts[0];
	e->throttled_ns = counts[1];
	e->levels = xctl_levels(t, BPF_CORE_READ(own, css.cgroup), cgroup);
	e->throttled = is_throttled(t, group);
	xctl_group_name(e->cgroup, BPF_CORE_READ(cgroup, kn));
	bpf_seq_write(seq, e, sizeof(*e));
}

static __always_inline void cpu_groups(struct task_struct *t, struct seq_file *seq, struct host_pass *pass,
				       struct xctl_cgroup_cpu *e)
{
	struct task_group *own, *group = NULL;

	pass->has |= HAS_PASSED;
	if (!bpf_core_field_exists(t->sched_task_group) || !bpf_core_field_exists(group->cfs_bandwidth.quota))
		return;
	pass->has |= HAS_CPU_LIMITS;
	own = group = BPF_CORE_READ(t, sched_task_group);
	for (int i = 0; i < XCTL_GROUP_LEVELS && group; i++) {
		if (BPF_CORE_READ(group, cfs_bandwidth.quota) != RUNTIME_INF)
			tell_cpu(t, group, own, seq, pass, e);
		group = BPF_CORE_READ(group, parent);
	}
}

static __always_inline __u64 memory_high(struct mem_cgroup *memcg)
{
	/* 5.8 moved it from the group to its counter. */
	if (!bpf_core_field_exists(memcg->memory.high))
		return XCTL_PAGES_MAX;
	return BPF_CORE_READ(memcg, memory.high);
}

static __always_inline void tell_memory(struct task_struct *t, struct cgroup_subsys_state *css,
					struct cgroup_subsys_state *own, struct seq_file *seq,
					struct host_pass *pass, struct xctl_cgroup_memory *e, __u64 max, __u64 high)
{
	struct mem_cgroup *memcg = xctl_memcg(css);
	__u64 limit = high < max ? high : max, usage = BPF_CORE_READ(memcg, memory.usage.counter);
	struct cgroup *cgroup = BPF_CORE_READ(css, cgroup);
	__u64 counts[3] = {
		xctl_memory_events(memcg, bpf_core_enum_value(enum memcg_memory_event, MEMCG_HIGH)),
		xctl_memory_events(memcg, bpf_core_enum_value(enum memcg_memory_event, MEMCG_MAX)),
		xctl_memory_events(memcg, bpf_core_enum_value(enum memcg_memory_event, MEMCG_OOM)),
	};

	if (!to_tell(pass, BPF_CORE_READ(css, serial_nr), counts, usage >= limit - limit / 20))
		return;
	__builtin_memset(e, 0, sizeof(*e));
	xctl_fill_hdr(&e->hdr, XCTL_CGROUP_MEMORY, sizeof(*e));
	e->hdr.pid = BPF_CORE_READ(t, tgid);
	e->start_ns = xctl_start_ns(t);
	e->cgroup_id = BPF_CORE_READ(cgroup, kn, id);
	e->usage_bytes = usage << XCTL_PAGE_SHIFT;
	e->limit_bytes = xctl_pages_bytes(max);
	e->high_bytes = xctl_pages_bytes(high);
	e->high_events = counts[0];
	e->max_events = counts[1];
	e->oom_events = counts[2];
	e->oom_kills = xctl_memory_events(memcg, bpf_core_enum_value(enum memcg_memory_event, MEMCG_OOM_KILL));
	e->levels = xctl_levels(t, BPF_CORE_READ(own, cgroup), cgroup);
	xctl_group_name(e->cgroup, BPF_CORE_READ(cgroup, kn));
	bpf_seq_write(seq, e, sizeof(*e));
}

static __always_inline void memory_groups(struct task_struct *t, struct seq_file *seq, struct host_pass *pass,
					  struct xctl_cgroup_memory *e)
{
	struct cgroup_subsys_state *own, *css;
	struct mem_cgroup *memcg = NULL;
	__u64 max, high;

	if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id) ||
	    !bpf_core_field_exists(memcg->memory_events))
		return;
	pass->has |= HAS_MEMORY_LIMITS;
	own = css = xctl_memory_css(t);
	for (int i = 0; i < XCTL_GROUP_LEVELS && css; i++) {
		memcg = xctl_memcg(css);
		max = BPF_CORE_READ(memcg, memory.max);
		high = memory_high(memcg);
		if (max < XCTL_PAGES_MAX || high < XCTL_PAGES_MAX)
			tell_memory(t, css, own, seq, pass, e, max, high);
		css = BPF_CORE_READ(css, parent);
	}
}

#endif
