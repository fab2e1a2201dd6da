// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Limits of control groups and memory of processes, by looking and not by tracing: what the CPU
 * controller has held back, how near memory is to its limits, who uses most of it.
 *
 * A group is told, once for each process in it, when its counters have moved since the last pass, so
 * that a node where nothing is held back costs a walk and no record.
 *
 * Minimum kernel 5.8 (iterators). Cost, in the agent's own context: groups 1-2 us, memory 0.5 us a
 * process, 0.1 us a further thread.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "xctl_events.h"
#include "lib/ring.bpf.h"
#include "lib/task.bpf.h"
#include "lib/cgroup.bpf.h"
#include "host/groups.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The process of which the iterator has come to the first thread; NULL for all other threads. */
static __always_inline struct task_struct *process_of(struct bpf_iter__task *ctx)
{
	struct task_struct *t = ctx->task;

	if (!t || BPF_CORE_READ(t, pid) != BPF_CORE_READ(t, tgid) || xctl_is_kthread(t))
		return NULL;
	/* A zombie has ended already. */
	return BPF_CORE_READ(t, signal, live.counter) ? t : NULL;
}

SEC("iter/task")
int groups__iter(struct bpf_iter__task *ctx)
{
	struct task_struct *t = process_of(ctx);
	struct host_pass *pass;
	struct host_scratch *s;
	__u32 zero = 0;

	if (!t)
		return 0;
	pass = bpf_map_lookup_elem(&xctl_host_pass, &zero);
	s = bpf_map_lookup_elem(&xctl_host_scratch, &zero);
	if (!pass || !s)
		return 0;
	cpu_groups(t, ctx->meta->seq, pass, &s->cpu);
	memory_groups(t, ctx->meta->seq, pass, &s->memory);
	return 0;
}

SEC("iter/task")
int memory__iter(struct bpf_iter__task *ctx)
{
	struct task_struct *t = process_of(ctx);
	struct xctl_memory_use e = {};
	struct mm_struct *mm;

	if (!t)
		return 0;
	mm = BPF_CORE_READ(t, mm);
	/* A leader that ended before its threads has none. */
	if (!mm)
		return 0;
	xctl_fill_hdr(&e.hdr, XCTL_MEMORY_USE, sizeof(e));
	e.hdr.pid = BPF_CORE_READ(t, tgid);
	e.start_ns = xctl_start_ns(t);
	e.rss_bytes = xctl_rss_bytes(mm);
	e.swap_bytes = xctl_mm_counter(mm, XCTL_MM_SWAPENTS) << XCTL_PAGE_SHIFT;
	BPF_CORE_READ_STR_INTO(&e.comm, t, comm);
	bpf_seq_write(ctx->meta->seq, &e, sizeof(e));
	return 0;
}
