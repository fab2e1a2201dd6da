/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Slots for every way down the ladder; see test/kernel/ladder.test.ts. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "xctl_events.h"
#include "lib/ring.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The best rung does it. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(best__tp_btf, struct task_struct *task)
{
	struct xctl_wait_same *e;

	e = xctl_reserve(&xctl_critical, struct xctl_wait_same, XCTL_WAIT_SAME);
	if (!e)
		return 0;
	e->hdr.pid = BPF_CORE_READ(task, tgid);
	xctl_submit(e);
	return 0;
}

SEC("tp/sched/sched_process_exec")
int best__tp(void *ctx)
{
	return 0;
}

/* fentry where the kernel allows it, a tracepoint where not. */
SEC("fentry/tcp_close")
int BPF_PROG(falls__fentry)
{
	return 0;
}

SEC("raw_tp/inet_sock_set_state")
int falls__raw_tp(void *ctx)
{
	return 0;
}

/* Again fentry: by now it is known whether there is any. */
SEC("fexit/tcp_close")
int BPF_PROG(falls_too__fentry)
{
	return 0;
}

SEC("raw_tp/inet_sock_set_state")
int falls_too__raw_tp(void *ctx)
{
	return 0;
}

/* Only where tracefs is mounted. */
SEC("tp/sock/inet_sock_set_state")
int by_tracefs__tp(void *ctx)
{
	return 0;
}

/* The verifier refuses the first: it reads above its own stack frame. */
SEC("tp_btf/sched_process_fork")
int refused_then_good__tp_btf(void *ctx)
{
	__u64 value;

	asm volatile("%0 = *(u64 *)(r10 + 8)" : "=r"(value));
	return value;
}

SEC("raw_tp/sched_process_fork")
int refused_then_good__raw_tp(void *ctx)
{
	return 0;
}

/* Nothing is left. */
SEC("tp_btf/sched_process_exit")
int hopeless__tp_btf(void *ctx)
{
	__u64 value;

	asm volatile("%0 = *(u64 *)(r10 + 8)" : "=r"(value));
	return value;
}

SEC("tp_btf/xctl_no_such_tracepoint")
int absent__tp_btf(void *ctx)
{
	return 0;
}

SEC("fentry/xctl_no_such_function")
int absent__fentry(void *ctx)
{
	return 0;
}

SEC("tp/xctl/no_such_tracepoint")
int absent__tp(void *ctx)
{
	return 0;
}

/* An iterator that needs to sleep, and one that does not. */
struct seen {
	__u32 pid;
	__u32 tid;
};

static __always_inline int show(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct seen seen = {};

	if (!task)
		return 0;
	seen.pid = task->tgid;
	seen.tid = task->pid;
	bpf_seq_write(ctx->meta->seq, &seen, sizeof(seen));
	return 0;
}

SEC("iter.s/task")
int tasks__iter_s(struct bpf_iter__task *ctx)
{
	return show(ctx);
}

SEC("iter/task")
int tasks__iter(struct bpf_iter__task *ctx)
{
	return show(ctx);
}

SEC("iter.s/task")
int awake__iter_s(struct bpf_iter__task *ctx)
{
	__u64 value;

	asm volatile("%0 = *(u64 *)(r10 + 8)" : "=r"(value));
	return value;
}

SEC("iter/task")
int awake__iter(struct bpf_iter__task *ctx)
{
	return show(ctx);
}

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} table SEC(".maps");
