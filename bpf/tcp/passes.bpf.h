/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Passes over all descriptors: owners of older sockets at start; recoveries, closed windows and held-back updates later. */
#ifndef XCTL_TCP_PASSES_BPF_H
#define XCTL_TCP_PASSES_BPF_H

#include "trouble.bpf.h"

/* The TCP socket behind a descriptor; NULL for anything else and for a thread that shares its table. */
static __always_inline struct sock *tcp_socket(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;

	if (!task || !file)
		return NULL;
	if (task->tgid != task->pid && task->files == task->group_leader->files)
		return NULL;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return NULL;
	sk = socket->sk;
	if (!sk || sk->sk_protocol != XCTL_IPPROTO_TCP || !xctl_is_tcp(sk))
		return NULL;
	return sk;
}

/* Run once, after everything is attached: a probe that saw the owner wins over who merely holds it. */
SEC("iter/task_file")
int boot__iter(struct bpf_iter__task_file *ctx)
{
	struct sock *sk = tcp_socket(ctx);
	struct task_struct *task = ctx->task;
	struct sock_owner *owner;
	struct xctl_owner *o;
	__u64 start_ns;
	__u8 state;

	if (!sk || !task)
		return 0;
	state = sk->__sk_common.skc_state;
	if (state == BPF_TCP_CLOSE || !xctl_is_full(state))
		return 0;
	bpf_get_socket_cookie(sk);
	owner = xctl_owner_make(sk);
	if (!owner)
		return 0;
	o = &owner->o;
	start_ns = xctl_start_ns(task);
	if (state == BPF_TCP_LISTEN) {
		/* Of several holders the oldest is the likeliest to have set it up; a hint, and told as one. */
		if (o->created_pid && o->created_start_ns <= start_ns)
			return 0;
		xctl_owner_created(o, task, XCTL_HOW_LISTENER);
		xctl_owner_last(o, task, XCTL_HOW_LISTENER);
		return 0;
	}
	switch (o->last_how) {
	case XCTL_HOW_ITER:
		if (o->last_pid == (__u32)task->tgid && o->last_start_ns == start_ns)
			return 0;
		o->shared = 1;
		if (o->created_how == XCTL_HOW_ITER) {
			o->created_pid = 0;
			o->created_start_ns = 0;
			o->created_how = XCTL_HOW_NONE;
		}
		return 0;
	case XCTL_HOW_NONE:
	case XCTL_HOW_LISTENER:
		if (o->kernel)
			return 0;
		if (!o->created_pid)
			xctl_owner_created(o, task, XCTL_HOW_ITER);
		xctl_owner_last(o, task, XCTL_HOW_ITER);
		sent_so_far(owner, sk);
		return 0;
	}
	return 0;
}

/* The peer takes no more: nothing is in flight, and what waits does not fit or is being probed for. */
static __always_inline bool window_closed(const struct sock *sk, struct xctl_tcp_state *s)
{
	__u32 mss = BPF_CORE_READ((struct tcp_sock *)sk, mss_cache);
	__u32 need = s->write_queue_bytes < mss ? s->write_queue_bytes : mss;

	return s->write_queue_bytes && !s->packets_out && (s->probes_out || s->snd_wnd < need);
}

/*
 * Updates that are due: recovery, a window that closed, what the rate limit held back, and once a
 * pass how a flow in trouble stands. Nothing is marked as told before it is written: a record that
 * does not fit makes the kernel show the same descriptor again.
 */
SEC("iter/task_file")
int flush__iter(struct bpf_iter__task_file *ctx)
{
	struct sock *sk = tcp_socket(ctx);
	struct xctl_tcp e = {};
	struct flow_state *flow;
	bool shut, over;
	__u64 now;
	__u8 state;

	if (!sk)
		return 0;
	state = sk->__sk_common.skc_state;
	if (state == BPF_TCP_LISTEN || state == BPF_TCP_CLOSE || !xctl_is_full(state))
		return 0;
	flow = bpf_sk_storage_get(&xctl_flows, sk, 0, 0);
	if (!(flow && (flow->since_ns || flow->suppressed)) &&
	    (BPF_CORE_READ((struct tcp_sock *)sk, packets_out) ||
	     BPF_CORE_READ((struct tcp_sock *)sk, write_seq) == BPF_CORE_READ((struct tcp_sock *)sk, snd_una)))
		return 0;
	xctl_fill_tcp_state(&e.tcp, sk);
	shut = window_closed(sk, &e.tcp);
	now = bpf_ktime_get_boot_ns();
	if (!flow) {
		if (!shut)
			return 0;
		flow = bpf_sk_storage_get(&xctl_flows, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
		if (!flow) {
			xctl_count_loss(XCTL_LOST_STORAGE);
			return 0;
		}
		bpf_get_socket_cookie(sk);
	}
	xctl_fill_flow(&e.flow, sk);
	over = flow->zero_window ? !shut : !e.tcp.packets_out || (__s32)(e.tcp.snd_una - flow->doubt_seq) >= 0;
	if (shut && !flow->zero_window) {
		/* Nothing was sent since the window closed, so that is when it did, or a little later. */
		flow->since_ns = e.tcp.last_snd_ms == XCTL_NEVER_MS ? now : now - e.tcp.last_snd_ms * 1000000ULL;
		xctl_fill_hdr(&e.hdr, XCTL_TCP_ZERO_WINDOW, sizeof(e));
	} else if (flow->since_ns && over) {
		xctl_fill_hdr(&e.hdr, XCTL_TCP_RECOVERED, sizeof(e));
	} else if ((flow->since_ns || flow->suppressed) && now - flow->sent_ns >= UPDATE_NS) {
		xctl_fill_hdr(&e.hdr, XCTL_TCP_STATE, sizeof(e));
	} else {
		return 0;
	}
	fill(&e, sk, bpf_sk_storage_get(&xctl_owners, sk, 0, 0), flow);
	if (bpf_seq_write(ctx->meta->seq, &e, sizeof(e)))
		return 0;
	flow->sent_ns = now;
	flow->suppressed = 0;
	if (e.hdr.kind == XCTL_TCP_RECOVERED)
		end_trouble(flow);
	else if (shut)
		flow->zero_window = 1;
	return 0;
}

#endif
