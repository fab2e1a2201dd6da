/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Hooks in the owner's own context: who sent, accepted, connected, closed (lib/owner.bpf.h says what each proves). */
#ifndef XCTL_TCP_SENDERS_BPF_H
#define XCTL_TCP_SENDERS_BPF_H

#include "flow_state.bpf.h"

static __noinline int sender_changed(struct sock *sk, struct sock_owner *owner, struct task_struct *task)
{
	bool kernel = xctl_kernel_socket(sk);

	if (kernel || xctl_is_kthread(task)) {
		/* A worker that carries a program's bytes (kTLS, sockmap) does not become their owner. */
		if (kernel || !owner->o.last_pid)
			owner->o.kernel = 1;
		return 0;
	}
	owner->o.kernel = 0;
	xctl_owner_last(&owner->o, task, XCTL_HOW_SEND);
	return 0;
}

/* NULL: storage could not be had, which was counted. */
static __always_inline struct sock_owner *on_send(struct sock *sk)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct sock_owner *owner = bpf_sk_storage_get(&xctl_owners, sk, 0, 0);

	if (owner && owner->o.last_pid == (__u32)task->tgid && owner->o.last_how == XCTL_HOW_SEND &&
	    owner->o.last_start_ns == task->group_leader->start_boottime)
		return owner;
	if (!owner)
		owner = xctl_owner_make(sk);
	if (owner)
		sender_changed(sk, owner, task);
	return owner;
}

#ifndef XCTL_SENDS_SEEN_LATE
/*
 * Before the bytes are queued, so that no retransmit of them can come first. The tracepoint of the same name (6.16+)
 * would do, too, but is called for every part of what is sent, four times for 64 KiB: 1.1 % of loopback's throughput
 * for a program that does nothing.
 */
SEC("fentry/tcp_sendmsg_locked")
int BPF_PROG(send__fentry, struct sock *sk)
{
	on_send(sk);
	return 0;
}

/* sendfile and kTLS before 6.5 */
SEC("fentry/do_tcp_sendpages")
int BPF_PROG(sendpage__fentry, struct sock *sk)
{
	on_send(sk);
	return 0;
}
#else
SEC("tp_btf/sock_send_length")
int BPF_PROG(send__tp_btf, struct sock *sk, int ret)
{
	struct sock_owner *owner;
	struct tcp_sock *tp;

	if (ret <= 0 || sk->sk_protocol != XCTL_IPPROTO_TCP)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	owner = tp ? on_send(sk) : NULL;
	if (owner) {
		owner->after = 1;
		owner->sent_seq = tp->write_seq;
	}
	return 0;
}
#endif

SEC("fexit/inet_csk_accept")
int accept__fentry(__u64 *ctx)
{
	struct sock *sk = xctl_accepted(ctx);
	struct task_struct *task = bpf_get_current_task_btf();
	struct sock_owner *owner;

	if (!sk || sk->sk_protocol != XCTL_IPPROTO_TCP)
		return 0;
	owner = xctl_owner_make(sk);
	if (!owner)
		return 0;
	/* Over what the listener handed down. */
	__builtin_memset(owner, 0, sizeof(*owner));
	if (xctl_kernel_socket(sk) || xctl_is_kthread(task)) {
		owner->o.kernel = 1;
		return 0;
	}
	xctl_owner_created(&owner->o, task, XCTL_HOW_ACCEPT);
	xctl_owner_last(&owner->o, task, XCTL_HOW_ACCEPT);
	return 0;
}

static __always_inline void connect_started(struct sock *sk)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct sock_owner *owner = xctl_owner_make(sk);

	bpf_get_socket_cookie(sk);
	if (!owner)
		return;
	/* The socket may have been connected before. */
	__builtin_memset(owner, 0, sizeof(*owner));
	owner->connect_ns = bpf_ktime_get_boot_ns();
	if (xctl_kernel_socket(sk) || xctl_is_kthread(task)) {
		owner->o.kernel = 1;
		return;
	}
	xctl_owner_created(&owner->o, task, XCTL_HOW_CONNECT);
	xctl_owner_last(&owner->o, task, XCTL_HOW_CONNECT);
}

static __always_inline void listening(struct sock *sk)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct sock_owner *owner;

	if (xctl_is_kthread(task))
		return;
	owner = xctl_owner_make(sk);
	if (!owner)
		return;
	__builtin_memset(owner, 0, sizeof(*owner));
	xctl_owner_created(&owner->o, task, XCTL_HOW_LISTENER);
	xctl_owner_last(&owner->o, task, XCTL_HOW_LISTENER);
}

/*
 * Runs in close(2), shutdown(2) or exit of the last holder. With nothing else in flight the FIN is
 * all that can be retransmitted, and it is this process's.
 */
static __always_inline void closing(struct sock *sk)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct tcp_sock *tp = (struct tcp_sock *)sk;
	struct sock_owner *owner;
	__u32 write_seq = BPF_CORE_READ(tp, write_seq);

	if (xctl_is_kthread(task))
		return;
	if (write_seq != BPF_CORE_READ(tp, snd_una)) {
		/* Data goes before it, and stays whose it is; the FIN takes one number after that. */
		owner = bpf_sk_storage_get(&xctl_owners, sk, 0, 0);
		if (owner && owner->after && owner->sent_seq == write_seq)
			owner->sent_seq++;
		return;
	}
	owner = xctl_owner_make(sk);
	if (!owner || owner->o.kernel)
		return;
	if (owner->o.last_pid != (__u32)task->tgid || owner->o.last_how != XCTL_HOW_SEND)
		xctl_owner_last(&owner->o, task, XCTL_HOW_SEND);
	owner->sent_seq = write_seq + 1;
}

#endif
